"""Search: what it finds, that it goes on, that the best is checked; sensitivity against closed forms."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.metrics import Metric
from noptoolkit.studies import (
    Range,
    Row,
    Space,
    Store,
    optimise,
    pareto_front,
    sensitivity,
    sweep_all,
    verify_row,
)
from noptoolkit.studies.sensitivity import MEASURES

pytest.importorskip("optuna", reason="the extra 'search' is not installed")
pytest.importorskip("SALib", reason="the extra 'sensitivity' is not installed")

MESHES = {
    "builder": "mesh",
    "params.rows": [2, 3, 4, 5],
    "params.columns": Range(2, 6, whole=True),
    "workload": "stdlib-moe",
}
LINES = {"builder": "ring", "params.count": 4, "workload": "stdlib-moe", "tol": Range(0.1, 1.1)}
BOWL = Metric("bowl", "", "lower", lambda run: (run.tol - 0.7) ** 2, "least at tol 0.7")
CHILD = """
import sys
from noptoolkit.studies import Range, optimise
from tests_search_space import SPACE
optimise(SPACE, "min links", 18, 3, limits="links > 12", store=sys.argv[1], verify=False,
         progress=lambda line: print(line, flush=True))
"""


def keys(rows: tuple[Row, ...]) -> list[str]:
    return [row.key for row in rows]


def test_a_whole_space_is_searched_once_and_its_best_found() -> None:
    found = optimise(MESHES, "max links", 100, limits="links < 30")
    assert found.exhausted
    assert (len(found.study.rows), found.computed) == (20, 20)
    every = sweep_all({**MESHES, "params.columns": [2, 3, 4, 5, 6]}, ["links"])
    assert found.row.values["links"] == max(row.values["links"] for row in every if row.values["links"] < 30)  # type: ignore[operator, type-var]
    assert sorted(keys(found.study.rows)) == sorted(row.key for row in every)
    assert found.checks[0].values == found.row.values


def test_several_goals_give_the_front_of_all_points() -> None:
    found = optimise(MESHES, ["max links", "total_bandwidth"], 14, 5)
    assert keys(found.best) == keys(pareto_front(found.study, ["max links", "total_bandwidth"]).rows)
    assert len(found.checks) == len(found.best)
    assert not found.exhausted


def test_a_smooth_goal_is_found_better_than_by_drawing() -> None:
    found = optimise(LINES, BOWL, 25, 1)
    drawn = sweep_all(Space(LINES, sample="random", points=25, seed=1), [BOWL])
    assert found.row.values["bowl"] < 1e-3  # type: ignore[operator]
    assert found.row.values["bowl"] < min(row.values["bowl"] for row in drawn)  # type: ignore[operator, type-var]


def test_a_search_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = optimise(LINES, BOWL, 17, 7)
    part = optimise(LINES, BOWL, 13, 7, store=tmp_path / "a.db")
    rest = optimise(LINES, BOWL, 17, 7, store=tmp_path / "a.db")
    assert (part.computed, rest.computed) == (13, 4)
    assert [(row.key, row.values) for row in rest.study.rows] == [(r.key, r.values) for r in whole.study.rows]
    assert optimise(LINES, BOWL, 17, 7, store=tmp_path / "a.db").computed == 0


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    (tmp_path / "tests_search_space.py").write_text(
        "from noptoolkit.studies import Range\nSPACE = {'builder': 'mesh', 'params.rows': [2, 3, 4, 5], "
        "'params.columns': Range(2, 9, whole=True), 'workload': 'stdlib-moe'}\n"
    )
    store = tmp_path / "a.db"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", os.getcwd())])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("11 of 18"):
            child.send_signal(signal.SIGKILL)
            break
    child.communicate()
    space = {**MESHES, "params.columns": Range(2, 9, whole=True)}
    rest = optimise(space, "min links", 18, 3, limits="links > 12", store=store)
    whole = optimise(space, "min links", 18, 3, limits="links > 12")
    assert 0 < rest.computed <= 7
    assert keys(rest.study.rows) == keys(whole.study.rows)


def test_a_search_learns_from_another_study_and_takes_its_points(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        rows = sweep_all(
            {**MESHES, "params.rows": 5, "params.columns": [5, 6, 7]}, ["links"], store=store, study="before"
        )
        found = optimise(MESHES, "max links", 5, store=store, warm="before")
        assert len(found.study.rows) == 5 + 2  # 7 columns are no point of the space
        assert found.row.key == rows[1].key
        with pytest.raises(UnknownNameError, match="no study 'befor'"):
            optimise(MESHES, "max links", 5, store=store, study="other", warm="befor")
        with pytest.raises(NopError, match="points of another space"):
            optimise(MESHES, "max links", 5, store=store, study="before")


def test_conditions_are_kept_and_builders_have_their_own_arguments() -> None:
    space = Space(
        {**MESHES, "builder": ["mesh", "ring"], "params.count": [4, 8]},
        where="params.rows * params.columns == 12 or builder == 'ring'",
    )
    found = optimise(space, "min links", 50)
    assert found.exhausted
    assert {(r.point.get("params.rows"), r.point.get("params.columns")) for r in found.study.rows} == {
        (2, 6),
        (3, 4),
        (4, 3),
        (None, None),
    }
    assert len(found.study.rows) == 5
    narrow = Space(LINES, where="tol < 0.1000001")
    with pytest.raises(NopError, match="proposals in a row broke the conditions"):
        optimise(narrow, BOWL, 3)


def test_points_that_fail_are_spent_and_told() -> None:
    odd = Metric("odd", "", "lower", lambda run: 1 / (len(run.package.links) % 2), "fails on even numbers")
    found = optimise(MESHES, odd, 20)
    assert found.exhausted
    assert "failed" in found.table().notes[0]
    assert not found.row.error
    assert any(row.error for row in found.study.rows)


def test_a_search_all_of_whose_points_fail_says_why() -> None:
    with pytest.raises(NopError, match=r"all 2 points of the search failed, the first: .* how fast"):
        optimise(MESHES, "step", 2)


def test_the_check_of_the_best_finds_what_is_wrong() -> None:
    [row] = sweep_all({**MESHES, "params.rows": 2, "params.columns": 2}, ["links", "c_t"])
    assert verify_row(row).values == row.values
    wrong = dataclasses.replace(row, values={**row.values, "links": 5})
    with pytest.raises(NopError, match="links was 5, computed again 4"):
        verify_row(wrong)
    other = dataclasses.replace(row, record={**row.record, "package_digest": "0"})
    with pytest.raises(NopError, match="package digest is another one"):
        verify_row(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "link"}, "did you mean 'links'"),
        ({"objective": "params.rows"}, "write 'min params.rows'"),
        ({"objective": "min params.rows"}, "no metric among goals"),
        ({"limits": "link < 3"}, "did you mean 'links'"),
        ({"limits": "links <"}, "write it like"),
        ({"budget": 0}, "budget=0"),
        ({"rng": -1}, "rng=-1"),
        ({"space": {**MESHES, "params.row": 3}}, "did you mean 'params.rows'"),
        ({"space": {"builder": "ring", "workload": "stdlib-moe"}}, "nothing to search"),
    ],
)
def test_wrong_searches_are_refused_before_anything_runs(change: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"space": MESHES, "objective": "links", "budget": 5, **change}
    with pytest.raises((NopError, FormatError), match=message):
        optimise(**given)  # type: ignore[arg-type]


def test_limits_that_no_point_keeps_are_told() -> None:
    with pytest.raises(NopError, match=r"links < 2 is met by 0 of 4, nearest 4"):
        optimise(MESHES, "links", 4, limits="links < 2")


SUM = Metric("sum", "s", "lower", lambda run: 4 * run.tol + 3 * run.seed / 1000, "4 tol + 3 seed / 1000")
PRODUCT = Metric("product", "", "lower", lambda run: (run.tol - 0.6) * (run.seed - 500), "no part alone")
PLANE = {**LINES, "seed": Range(0, 1000, whole=True), "workload.sequences": [4, 8]}


def test_morris_finds_the_slopes_of_a_plane() -> None:
    found = sensitivity(PLANE, [SUM, PRODUCT], samples=12)
    assert found.parameters == ("tol", "seed", "workload.sequences")
    slopes = found.measures["sum"]
    assert slopes["mu"] == pytest.approx([4.0, 3.0, 0.0], rel=2e-3)  # whole numbers have equal parts
    assert slopes["mu_star"] == pytest.approx(slopes["mu"])
    assert slopes["sigma"] == pytest.approx([0, 0, 0], abs=2e-3)
    together = found.measures["product"]
    assert (together["sigma"][:2] > abs(together["mu"][:2])).all()
    assert found.table().parts()[0].rows[0][0] == "tol"


def test_sobol_shares_the_variance() -> None:
    found = sensitivity(PLANE, [SUM, PRODUCT], method="sobol", samples=64)
    alone = found.measures["sum"]
    assert alone["S1"] == pytest.approx([16 / 25, 9 / 25, 0.0], abs=0.06)
    assert alone["ST"] == pytest.approx([16 / 25, 9 / 25, 0.0], abs=0.06)
    together = found.measures["product"]
    assert together["S1"] == pytest.approx([0, 0, 0], abs=0.2)
    assert together["ST"] == pytest.approx([1, 1, 0], abs=0.2)


def test_sensitivity_says_where_it_does_not_apply() -> None:
    with pytest.raises(NopError, match=r"leave out \d+ of the design's"):
        sensitivity(Space(PLANE, where="tol < 0.5"), [SUM])
    with pytest.raises(NopError, match="'allocator' have no order"):
        sensitivity({**LINES, "allocator": ["auto", "contiguous"]}, [SUM])
    with pytest.raises(NopError, match="give two or more"):
        sensitivity(LINES, [SUM])
    with pytest.raises(NopError, match="give 32 or 64"):
        sensitivity(PLANE, [SUM], method="sobol", samples=50)
    with pytest.raises(UnknownNameError, match="did you mean 'sobol'"):
        sensitivity(PLANE, [SUM], method="sobl")  # type: ignore[arg-type]
    word = Metric("word", "", "", lambda run: "a text", "no number")
    with pytest.raises(NopError, match="'word' has no number"):
        sensitivity(MESHES, word, samples=2)
    flat = sensitivity({**LINES, "params.count": [4, 6]}, ["links"], method="sobol", samples=2)
    assert set(flat.measures["links"]) == set(MEASURES["sobol"])
