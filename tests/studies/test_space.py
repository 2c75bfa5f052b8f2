"""Spaces: grids, ranges, samples, conditions; sizes are told before anything is made."""

import itertools

import numpy as np
import pytest

from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.studies import Range, Space, load_study
from noptoolkit.studies.conditions import condition


def test_a_grid_is_the_product_of_its_lists() -> None:
    space = Space({"a": [1, 2, 3], "b": "x", "c": [True, False]})
    points = list(space)
    assert [(p["a"], p["b"], p["c"]) for p in points] == [
        (a, "x", c) for a, c in itertools.product([1, 2, 3], [True, False])
    ]
    assert space.size == 6


def test_an_astronomic_space_says_its_size_at_once() -> None:
    space = Space({f"p{i}": list(range(1000)) for i in range(40)})
    assert space.size == 1000**40
    with pytest.raises(NopError, match=r"about 10\^120 points"):
        next(iter(space))


def test_empty_spaces_are_refused() -> None:
    for parameters in ({}, {"a": []}):
        with pytest.raises(NopError, match="the space is empty"):
            Space(parameters)
    with pytest.raises(NopError, match="none of its 2 points"):
        list(Space({"a": [1, 2]}, where="a > 5"))


@pytest.mark.parametrize("sample", ["random", "lhs", "sobol"])
def test_samples_are_repeatable_and_inside(sample: str) -> None:
    parameters = {"x": Range(1.0, 9.0), "y": Range("1 GB/s", "4 GB/s", log=True), "z": ["a", "b"]}
    first, again = (list(Space(parameters, sample=sample, points=64, seed=3)) for _ in range(2))  # type: ignore[arg-type]
    assert first == again
    assert len(first) == 64
    assert all(1 <= p["x"] <= 9 and p["y"].endswith("GB/s") for p in first)
    assert {p["z"] for p in first} == {"a", "b"}
    other = list(Space(parameters, sample=sample, points=64, seed=4))  # type: ignore[arg-type]
    assert other != first


def test_a_latin_hypercube_has_one_point_in_each_slice() -> None:
    points = list(Space({"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)}, sample="lhs", points=20))
    for name in ("x", "y"):
        assert sorted(np.floor([20 * p[name] for p in points])) == list(range(20))


def test_a_sobol_sample_is_balanced() -> None:
    points = list(Space({"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)}, sample="sobol", points=64))
    quarters = [(p["x"] >= 0.5, p["y"] >= 0.5) for p in points]
    assert {quarters.count(one) for one in set(quarters)} == {16}


def test_whole_ranges_reach_both_ends() -> None:
    drawn = {p["n"] for p in Space({"n": Range(2, 5, whole=True)}, sample="sobol", points=64)}
    assert drawn == {2, 3, 4, 5}


def test_conditions_agree_with_python() -> None:
    text = "a * 2 + b >= 7 and not (b in [1, 5]) or a == 3 and b != 2"
    ours = condition(text, ["a", "b"])
    for a, b in itertools.product(range(6), repeat=2):
        assert ours.holds({"a": a, "b": b}) == bool(eval(text, {}, {"a": a, "b": b}))
    assert condition("w >= '100 GB/s'", ["w"]).holds({"w": "0.2 TB/s"})


@pytest.mark.parametrize(
    "text", ["__import__('os')", "a.b()", "[x for x in a]", "a ** 9", "lambda: 1", "a if a else b", "a <", ""]
)
def test_conditions_execute_nothing(text: str) -> None:
    with pytest.raises((FormatError, UnknownNameError)):
        condition(text, ["a"])


def test_a_condition_with_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'params\.rows'"):
        Space({"params.rows": [1, 2]}, where="params.row > 1")


def test_a_study_file_is_read_with_all_its_faults(tmp_path) -> None:  # type: ignore[no-untyped-def]
    good = tmp_path / "good.toml"
    good.write_text(
        'schema = 1\nmetrics = ["links"]\nwhere = ["params.rows <= 3"]\n[space]\nbuilder = "mesh"\n'
        'params.rows = [2, 3, 4]\nworkload = "stdlib-moe"\n'
        'params.link_bandwidth = { low = "1 GB/s", high = "4 GB/s", count = 3, log = true }\n'
    )
    read = load_study(good)
    assert (read.name, read.space.size, len(list(read.space))) == ("good", 9, 6)
    bad = tmp_path / "bad.toml"
    bad.write_text('schema = 1\nmetric = ["links"]\nseed = "x"\n')
    with pytest.raises(FormatError) as caught:
        load_study(bad)
    for part in ("did you mean 'metrics'", "seed = 'x' must be a whole number", "[space] is missing"):
        assert part in str(caught.value)
