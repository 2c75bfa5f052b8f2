import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def noptoolkit(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200"}
    command = [sys.executable, "-m", "noptoolkit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_list_names_the_presets() -> None:
    done = noptoolkit("list")
    assert done.returncode == 0
    for name in ("mozart-nop-tree", "mesh-4x4", "torus-4x4", "qwen3-30b-a3b", "deepseek-v3"):
        assert name in done.stdout


def test_show_tells_channels_and_source() -> None:
    done = noptoolkit("show", "mozart-nop-tree")
    assert done.returncode == 0
    assert "26 links" in done.stdout
    assert "source: " in done.stdout
    assert "assumed: " in done.stdout
    assert "experts" in noptoolkit("show", "qwen3-30b-a3b").stdout


def test_compare_writes_tables_and_pictures(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = noptoolkit(
        "compare",
        "mozart-nop-tree",
        "mesh-4x4",
        "--on",
        "olmoe-1b-7b",
        "--allocator",
        "contiguous",
        "-o",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert "synthetic routing" in done.stdout
    assert "mesh-4x4" in done.stdout
    names = {path.name for path in out.iterdir()}
    for name in ("comparison.csv", "comparison.json", "topology-mesh-4x4.png", "load-olmoe-1b-7b.svg"):
        assert name in names
    assert "all_to_all [s]" in (out / "comparison.csv").read_text()


TOPOLOGY = """schema = 1
name = "pair"
source = "test"
[[chiplet]]
name = "a"
role = "expert"
[[chiplet]]
name = "b"
role = "expert"
[[link]]
a = "a"
b = "b"
bandwidth = "128 GB/s"
"""

BAD = {
    "malformed": (TOPOLOGY.replace("[[link]]", "[[link"), "line"),
    "truncated": (TOPOLOGY[:-12], "TOML"),
    "binary": ("\x00\x01\x02\xff", "not text"),
    "unknown key": (TOPOLOGY.replace("bandwidth =", "bandwith ="), "did you mean 'bandwidth'"),
    "wrong unit": (TOPOLOGY.replace("GB/s", "GB"), "B/s"),
    "negative": (TOPOLOGY.replace('"128 GB/s"', "-1.0"), "negative"),
    "nan": (TOPOLOGY.replace('"128 GB/s"', "nan"), "finite"),
    "infinite": (TOPOLOGY.replace('"128 GB/s"', "inf"), "finite"),
    "unknown node": (TOPOLOGY.replace('b = "b"', 'b = "c"'), "no node named 'c'"),
    "enormous": ("#" + "x" * 20_000_000, "large|big|MB|bytes"),
    "huge count": (
        'schema = 1\nbuilder = "mesh"\n[params]\nrows = 1000000\ncolumns = 1000000\n',
        "mesh|rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_topology_is_one_message(case: str, tmp_path: Path) -> None:
    text, says = BAD[case]
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("latin-1"))
    done = noptoolkit("show", path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "mine.toml" in done.stderr
    assert re.search(says, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["show", "mehs-4x4"], 1, "did you mean 'mesh-4x4'"),
        (["show", "no/such.toml"], 1, "no/such.toml"),
        (["compare", "mesh-4x4", "--on", "qwen4"], 1, "qwen4"),
        (["compare", "mesh-4x4"], 2, "--on"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--allocator", "mozrt"], 1, "did you mean 'mozart'"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b@no.npz"], 1, "no.npz"),
        (["plot", "mesh-4x4", "-o", "mesh.xyz"], 1, "mesh.xyz"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--degree", "many"], 2, "many"),
        (["reproduce", "mozrat"], 2, "mozart"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_bad_words(words: list[str], code: int, says: str, tmp_path: Path) -> None:
    done = noptoolkit(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
