"""Reading a study: fronts against brute force, limits, and what changed between two points."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.metrics import Metric
from noptoolkit.studies import (
    Row,
    Store,
    Study,
    best_points,
    difference,
    pareto_front,
    read_study,
    sweep_all,
)
from noptoolkit.studies.difference import MIXED, inputs_between
from noptoolkit.tables import Missing

SPACE = {
    "builder": "mesh",
    "params.rows": [2, 3],
    "params.columns": [2, 4],
    "params.link_bandwidth": ["64 GB/s", "128 GB/s"],
    "workload": "stdlib-moe",
}
METRICS = ["links", "total_bandwidth"]


def study_of(*columns: list[float]) -> Study:
    names = ["step", "links", "total_bandwidth"][: len(columns)]
    values = zip(*columns, strict=True)
    rows = [Row(f"{i:08d}", {"seed": i}, dict(zip(names, one, strict=True))) for i, one in enumerate(values)]
    return Study.of(rows)


def brute(costs: np.ndarray) -> list[bool]:
    def beats(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a <= b).all() and (a < b).any())

    return [not any(beats(other, one) for other in costs) for one in costs]


@pytest.mark.parametrize("goals", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_brute_force(goals: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.integers(1, 9, (60, goals)).astype(float)  # with many ties
    study = study_of(*costs.T.tolist())
    names = ["step", "links", "total_bandwidth"][:goals]
    front = pareto_front(study, names)
    assert front.on_front.tolist() == brute(costs)
    opposite = pareto_front(study, [f"max {name}" for name in names])
    assert opposite.on_front.tolist() == brute(-costs)


def test_distances_are_those_of_their_definition() -> None:
    rng = np.random.default_rng(3)
    costs = rng.uniform(1.0, 9.0, (50, 2))
    front = pareto_front(study_of(*costs.T.tolist()), "step,links")
    best = [one for one, ok in zip(costs, front.on_front, strict=True) if ok]
    for cost, away, mine in zip(costs, front.distance, front.on_front, strict=True):
        least = min(max(a / b for a, b in zip(cost, other, strict=True)) for other in best) - 1
        assert away == pytest.approx(0.0 if mine else least)
        assert mine or away > 0
    assert front.relative
    signed = pareto_front(study_of([-1.0, 3.0, 0.5], [2.0, 1.0, 2.0]), "step,links")
    assert not signed.relative
    assert signed.distance.tolist() == [0.0, 0.0, pytest.approx(1.5 / 4)]


def test_points_without_a_number_are_left_out_and_told() -> None:
    study = study_of([1.0, math.nan, 2.0], [3.0, 1.0, 3.5])
    rows = (*study.rows, Row("f", {}, {"step": 0.1, "links": 1}, "failed"))
    rows = (*rows, Row("g", {}, {"step": Missing("no"), "links": 1}))
    front = pareto_front(Study.of(rows), "step,links")
    assert (len(front.rows), len(front.dominated), front.left_out) == (1, 1, 3)
    assert "3 points left out" in front.table().text()
    with pytest.raises(NopError, match="no point of study 'study' has a number"):
        pareto_front(study_of([math.nan]), "step")


def test_wrong_goals_are_told() -> None:
    study = study_of([1.0], [2.0])
    with pytest.raises(UnknownNameError, match="did you mean 'links'"):
        pareto_front(study, "link")
    with pytest.raises(FormatError, match="write 'min seed' or 'max seed'"):
        pareto_front(study, "seed")
    with pytest.raises(NopError, match="stands twice"):
        pareto_front(study, "step,max step")
    with pytest.raises(NopError, match="no goals"):
        pareto_front(study, " , ")
    with pytest.raises(FormatError, match="cannot be read"):
        pareto_front(study, "least step of all")


def test_the_best_under_limits_is_that_of_python() -> None:
    rng = np.random.default_rng(5)
    step, links = rng.uniform(0.0, 1.0, 80), rng.integers(0, 20, 80).astype(float)
    found = best_points(study_of(step.tolist(), links.tolist()), "step", ["links <= 6", "step > 200 ms"])
    wanted = sorted((s, i) for i, (s, n) in enumerate(zip(step, links, strict=True)) if n <= 6 and s > 0.2)
    assert [int(row.key) for row in found.rows] == [i for _, i in wanted]
    assert found.kept == (int((links <= 6).sum()), int((step > 0.2).sum()))
    with pytest.raises(NopError, match=r"links < -3 is met by 0 of 80, nearest 0"):
        best_points(study_of(step.tolist(), links.tolist()), "step", "links < -3")


def test_a_stored_study_is_read_as_it_was(tmp_path: Path) -> None:
    rows = sweep_all(SPACE, METRICS, store=tmp_path / "a.db")
    study = read_study(tmp_path / "a.db")
    assert [(row.key, row.values) for row in study.rows] == [(row.key, row.values) for row in rows]
    assert study.varying == ("params.rows", "params.columns", "params.link_bandwidth")
    assert study.parameters["params.link_bandwidth"].unit == "B/s"
    kept = read_study(tmp_path / "a.db", where=["links > 5", "params.link_bandwidth >= 0.1 TB/s"])
    assert {row.key for row in kept.rows} == {
        r.key
        for r in rows
        if r.values["links"] > 5 and "128" in r.point["params.link_bandwidth"]  # type: ignore[operator]
    }
    with pytest.raises(NopError, match="no point of study 'study' meets 'links > 5000'"):
        read_study(tmp_path / "a.db", where=["links > 5000"])
    assert study.row(rows[3].key[:10]).key == rows[3].key
    with pytest.raises(UnknownNameError, match="no point 'zz'"):
        study.row("zz")


def test_shares_add_up_to_the_change_and_effects_are_single_runs(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        rows = sweep_all(SPACE, METRICS, store=store)
        found = difference(rows[0], rows[-1], store=store)
        assert store.studies() == {"study": 8}  # the mixtures are kept, but are no study of the reader's
        before = store.ask("SELECT count(*) FROM evaluations")
        difference(rows[0], rows[-1], store=store)
        assert store.ask("SELECT count(*) FROM evaluations") == before
    assert [one.name for one in found.inputs] == ["params.rows", "params.columns", "params.link_bandwidth"]
    by = {
        tuple(row.point[name] for name in ("params.rows", "params.columns", "params.link_bandwidth")): row
        for row in rows
    }
    first, second = (2, 2, "64 GB/s"), (3, 4, "128 GB/s")
    for j, name in enumerate(METRICS):
        value = {point: float(row.values[name]) for point, row in by.items()}  # type: ignore[arg-type]
        assert found.change(name) == value[second] - value[first]
        for i in range(3):
            one = tuple(second[k] if k == i else first[k] for k in range(3))
            but = tuple(first[k] if k == i else second[k] for k in range(3))
            assert found.alone[i, j] == value[one] - value[first]
            assert found.last[i, j] == value[second] - value[but]
        mean = np.zeros(3)
        for order in itertools.permutations(range(3)):  # the Shapley value by its own definition
            held = list(first)
            for i in order:
                was = value[tuple(held)]  # type: ignore[index]
                held[i] = second[i]
                mean[i] += (value[tuple(held)] - was) / 6  # type: ignore[index]
        assert found.share is not None
        assert found.share[:, j] == pytest.approx(mean)
        assert found.share[:, j].sum() == pytest.approx(found.change(name))
    text = found.table().text(None)
    assert "3 inputs differ" in text
    assert "100 %" in text


def test_arguments_of_another_builder_are_changed_with_it() -> None:
    ring = {"builder": "ring", "params.count": 4, "workload": "a", "seed": 1}
    mesh = {"builder": "mesh", "params.rows": 2, "workload": "b", "seed": 1, "policy": "serial"}
    found = inputs_between(ring, mesh)
    assert [one.names for one in found] == [
        ("builder", "params.count", "params.rows"),
        ("workload",),
        ("policy",),
    ]
    assert (found[0].first, found[0].second) == ("ring, count=4", "mesh, rows=2")


def test_many_inputs_are_changed_one_at_a_time_only() -> None:
    first = {"builder": "mesh", "params.rows": 2, "params.columns": 2, "params.link_bandwidth": "1 GB/s"}
    first |= {"workload": "stdlib-moe", "seed": 0, "tol": 0.01}
    second = {**first, "params.rows": 3, "params.columns": 3, "params.link_bandwidth": "2 GB/s"}
    second |= {"seed": 1, "tol": 0.02}
    a, b = sweep_all(first, METRICS)[0], sweep_all(second, METRICS)[0]
    found = difference(a, b)
    assert len(found.inputs) == MIXED + 1
    assert found.share is None
    assert "need not add up" in found.table().text(None)
    with pytest.raises(NopError, match="have the same inputs"):
        difference(a, a)


def test_a_mixture_that_fails_is_told_and_leaves_a_gap() -> None:
    metric = Metric("odd", "", "lower", lambda run: 1 / (len(run.package.links) - 6), "fails on 6 links")
    rows = sweep_all({**SPACE, "params.link_bandwidth": "1 GB/s", "params.columns": [2, 3]}, [metric])
    by = {(row.point["params.rows"], row.point["params.columns"]): row for row in rows}
    with pytest.raises(NopError, match="give its record"):
        difference(by[2, 2], by[3, 3])
    found = difference(by[2, 2], by[3, 3], [metric])  # 2 x 3 has 7 links, 3 x 2 as well
    assert not found.failed
    odd = Metric("odd", "", "lower", lambda run: 1 / (len(run.package.links) - 7), "fails on 7 links")
    found = difference(by[2, 2], by[3, 3], [odd])
    assert set(found.failed) == {"params.rows", "params.columns"}
    assert "ZeroDivisionError" in found.table().text(None)


def test_the_layout_that_a_study_shares_is_taken_for_mixtures() -> None:
    space = {**SPACE, "params.columns": 2, "allocator": "round-robin", "seed": [0, 1]}
    with Store(None) as store:
        rows = sweep_all({**space, "params.rows": 2}, ["c_t"], store=store, layout="fixed")
        found = difference(rows[0], rows[-1], store=store)
        assert found.first.record["allocation_digest"] == rows[0].record["allocation_digest"]
        assert [found.first.values, found.second.values] == [rows[0].values, rows[-1].values]
        own = sweep_all({**space, "params.rows": 2}, ["c_t"], store=store, study="own")
        with pytest.raises(NopError, match="layouts of different kinds"):
            difference(rows[0], own[-1], store=store)
