"""Allocations out and in again, and files that are none."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from noptoolkit.allocation import Allocation
from noptoolkit.errors import FormatError
from noptoolkit.formats.allocations import load_allocation, save_allocation

LAYOUT = Allocation(("e0", 'e"1', "é2"), [[0, 1, 2, 0], [2, 2, 1, 0]], ((0, 2), (1,)), 'auto: "x"')


@pytest.mark.parametrize("name", ["layout.toml", "layout.json", "layout"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    save_allocation(tmp_path / name, LAYOUT)
    found = load_allocation(tmp_path / name)
    assert (found.experts, found.groups, found.method) == (LAYOUT.experts, LAYOUT.groups, LAYOUT.method)
    assert np.array_equal(found.chiplet_of_expert, LAYOUT.chiplet_of_expert)


def test_other_software_reads_the_files(tmp_path: Path) -> None:
    save_allocation(tmp_path / "a.toml", LAYOUT)
    save_allocation(tmp_path / "a.json", LAYOUT)
    first = tomllib.loads((tmp_path / "a.toml").read_text(encoding="utf-8"))
    assert first == json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert first["chiplet_of_expert"] == [[0, 1, 2, 0], [2, 2, 1, 0]]


def test_method_and_groups_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"schema": 1, "chiplets": ["a", "b"], "chiplet_of_expert": [[1, 0]]}')
    assert load_allocation(path).groups == ((0,), (1,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "schema is None; this version reads schema = 1"),
        ("schema = 1\nchiplet = []", "unknown key 'chiplet'; did you mean 'chiplets'"),
        ('schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[0, 1]]', "chiplet 1 is out of range 0 to 0"),
        (
            'schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[0], [0, 0]]',
            "rows of equally many chiplet indices",
        ),
        ('schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[0.5]]', "rows of equally many"),
        ('schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[true]]', "rows of equally many"),
        ('schema = 1\nchiplets = ["a"]\nchiplet_of_expert = 3', "rows of equally many"),
        ('schema = 1\nchiplets = ["a", "a"]\nchiplet_of_expert = [[0]]', "a name occurs twice"),
        (
            'schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[0]]\ngroups = [[1]]',
            "each of 0 to 0 occurs once",
        ),
        ('schema = 1\nmethod = 3\nchiplets = ["a"]\nchiplet_of_expert = [[0]]', "method 3 is not text"),
        ("schema = ", "no TOML"),
        ("\x00", "not text"),
    ],
)
def test_faults_are_named_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "layout.toml"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        load_allocation(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("[]", "not an object"), ("{", "no JSON"), ("[" * 100_000, "nested too deeply")]
)
def test_json_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "layout.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        load_allocation(path)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        load_allocation(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match="not text"):
        load_allocation(tmp_path / "b.toml")


def test_replicas_round_trip(tmp_path: Path) -> None:
    layout = Allocation(("a", "b"), [[0, 1]], replicas=[[(0, 1), (-1, -1)]], choice="local")
    for name in ("r.toml", "r.json"):
        save_allocation(tmp_path / name, layout)
        found = load_allocation(tmp_path / name)
        assert found.choice == "local"
        assert found.replicas.tolist() == [[[0, 1], [-1, -1]]]
    (tmp_path / "bad.toml").write_text(
        'schema = 1\nchiplets = ["a"]\nchiplet_of_expert = [[0]]\nreplicas = [[[0]]]\nchoice = "near"'
    )
    with pytest.raises(FormatError, match=r"2 faults[\s\S]*choice is 'near'[\s\S]*pairs of whole numbers"):
        load_allocation(tmp_path / "bad.toml")
