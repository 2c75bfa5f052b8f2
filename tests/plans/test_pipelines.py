"""Pipelines by schedule: bubbles and memory in flight against published formulas, and properties."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noptoolkit.errors import ScheduleError, UnknownNameError
from noptoolkit.plans.compiled_pipelines import CODES, makespan_of
from noptoolkit.plans.pipeline_formulas import passes_in_flight
from noptoolkit.plans.pipeline_orders import ORDERS, Pass, PipelineShape, Slot
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.scheduling import schedule_graph

PUBLISHED = [
    # order, devices, micro-batches, chunks, F, B, W, F&B, bubble (by hand from the publications' formulas)
    ("gpipe", 4, 8, 1, 1, 2, 0, None, 9),
    ("gpipe", 8, 32, 1, 1, 2.5, 0, None, 24.5),
    ("1f1b", 4, 8, 1, 1, 2, 0, None, 9),
    ("1f1b", 8, 32, 1, 1, 2, 0, None, 21),
    ("interleaved", 4, 8, 2, 1, 2, 0, None, 4.5),
    ("interleaved", 8, 32, 4, 1, 2, 0, None, 5.25),
    ("interleaved", 8, 16, 3, 1, 1.5, 0, None, 35 / 6),
    ("zb-h1", 4, 8, 1, 1, 2, 1, None, 3),
    ("zb-h1", 8, 32, 1, 1, 2, 1, None, 7),
    ("zb-h1", 6, 30, 1, 1, 2, 0.5, None, 10),
    ("zb-h2", 4, 16, 1, 1, 2, 1, None, 0),
    ("zb-h2", 8, 32, 1, 1, 2, 0.5, None, 10.5),
    ("dualpipe", 4, 20, 1, 1, 2, 1, 3, 2),
    ("dualpipe", 8, 40, 1, 1, 2, 1, 3, 6),
]


@pytest.mark.parametrize(("order", "p", "m", "v", "f", "b", "w", "both", "bubble"), PUBLISHED)
def test_a_published_bubble_comes_out_of_the_schedule(
    order: str, p: int, m: int, v: int, f: float, b: float, w: float, both: float | None, bubble: float
) -> None:
    run = pipeline(order, Stage(f / v, b / v, w / v), m, devices=p, chunks=v, together=both)
    run.verify()
    assert math.isclose(run.bubble, bubble, abs_tol=1e-9)
    assert run.formula is not None
    assert run.formula.exact
    assert math.isclose(run.formula.bubble, bubble, abs_tol=1e-9)
    assert np.allclose(run.work, m * (f + b))


def test_dualpipe_away_from_its_point_is_what_its_own_order_gives() -> None:
    run = pipeline("dualpipe", Stage(1, 2, 1), 40, devices=8, together=2.5)
    assert run.formula is not None
    assert not run.formula.exact
    assert (run.idle.max(), run.formula.bubble) == (3.5, 4.5)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_memory_in_flight_and_bubble_are_those_of_the_formulas(order: str, data: st.DataObject) -> None:
    p = 2 * data.draw(st.integers(1, 4))
    v = data.draw(st.integers(1, 3)) if ORDERS[order].chunked else 1
    m = data.draw(st.integers(2, 4)) * p if order != "gpipe" else data.draw(st.integers(1, 12))
    f, b, w = (data.draw(st.sampled_from(choice)) for choice in ((1, 1.5), (2, 2.25, 3), (0.5, 1)))
    run = pipeline(order, Stage(f, b, w, activation=7.0), m, devices=p, chunks=v)
    run.verify()
    shape = PipelineShape(p, m, v)
    assert run.in_flight.tolist() == [passes_in_flight(order, shape, r) for r in range(p)]
    assert run.activation_bytes.tolist() == (7 * run.in_flight).tolist()
    assert run.makespan >= m * v * (f + b)  # no device can do its work faster
    if run.formula is not None and run.formula.exact:
        assert math.isclose(run.bubble, run.formula.bubble, abs_tol=1e-6)


def recurrence(slots: list[list[Slot]], stages: list[Stage], transfer: float) -> float:
    """Return the makespan by fixed-point iteration over slots of one pass each: no task graph, no engine."""
    end: dict[Pass, float] = {}
    where = {p: r for r, own in enumerate(slots) for (p,) in own}
    todo = [list(own) for own in slots]
    free = [0.0] * len(slots)
    while any(todo):
        moved = False
        for r, own in enumerate(todo):
            while own:
                (p,) = own[0]
                kind, i, s = p
                if kind == "forward":
                    needs = [q for q in where if q[1:] == (i, s - 1) and q[0] == "forward"]
                elif kind == "weight":
                    needs = [q for q in where if q[1:] == (i, s) and q[0] == "input"]
                else:
                    needs = [q for q in where if q[1:] == (i, s) and q[0] == "forward"]
                    needs += [q for q in where if q[1:] == (i, s + 1) and q[0] in ("backward", "input")]
                if any(q not in end for q in needs):
                    break
                ready = [end[q] + (transfer if where[q] != r else 0.0) for q in needs]
                cost: float = getattr(stages[s], kind)
                end[p] = free[r] = max([free[r], *ready]) + cost
                own.pop(0)
                moved = True
        assert moved
    return max(end.values())


@pytest.mark.parametrize("order", ["gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"])
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_uneven_stages_agree_with_a_recurrence_that_knows_no_tasks(order: str, data: st.DataObject) -> None:
    p, v = data.draw(st.integers(2, 3)), 2 if order == "interleaved" else 1
    m = p * data.draw(st.integers(1, 2))
    times, shares = st.floats(0.1, 3), st.just(0.0) | st.floats(1e-6, 1)
    stages = []
    for _ in range(p * v):
        b = data.draw(times)
        stages.append(Stage(data.draw(times), b, weight=b * data.draw(shares)))
    transfer = data.draw(st.sampled_from([0.0, 0.3]))
    run = pipeline(order, stages, m, chunks=v, transfer=transfer)
    run.verify()
    expected = recurrence(ORDERS[order].slots(PipelineShape(p, m, v)), stages, transfer)
    assert math.isclose(run.makespan, expected, rel_tol=1e-9)


def test_recomputation_is_work_and_takes_memory_only_while_it_runs() -> None:
    kept = pipeline("1f1b", Stage(1, 2, activation=10), 8, devices=4)
    again = pipeline("1f1b", Stage(1, 2, recompute=1, activation=2, working=8), 8, devices=4)
    assert kept.activation_bytes.tolist() == [40, 30, 20, 10]
    assert again.activation_bytes.tolist() == [16, 14, 12, 10]
    assert (again.work - kept.work).tolist() == [8.0] * 4
    assert again.formula is not None
    assert again.bubble == 12.0 == again.formula.bubble


def test_communication_is_exposed_alone_and_hides_behind_the_other_micro_batch() -> None:
    talks = Stage(1, 2, 1, forward_network=0.5, backward_network=1, layers=8)
    plain = pipeline("1f1b", talks, 32, devices=4)
    assert math.isclose(plain.exposed, 32 * 1.5)
    for order in ("1f1b-together", "dualpipe"):
        both = pipeline(order, talks, 32, devices=4)
        both.verify()
        assert both.exposed < 0.35 * plain.exposed
        assert both.makespan < plain.makespan
        assert both.makespan >= 32 * 3


def test_a_message_between_devices_delays_the_pipeline_but_not_the_devices() -> None:
    run = pipeline("1f1b", Stage(1, 2), 1, devices=4, transfer=0.25)
    assert run.makespan == 4 * 3 + 6 * 0.25
    assert run.work.tolist() == [3.0] * 4


def test_no_barrier_is_what_zb_h2_needs() -> None:
    run = pipeline("zb-h2", Stage(1, 2, 1), 16, devices=4)
    assert (run.bubble, run.bubble_with_barrier, run.period) == (0.0, 3.0, 48.0)


@pytest.mark.parametrize(
    ("order", "p", "m", "v", "says"),
    [
        ("interleaved", 4, 6, 2, "devices must divide the micro-batches; take 8"),
        ("1f1b", 4, 8, 2, "take interleaved"),
        ("dualpipe", 3, 8, 1, "even number; take 4"),
        ("dualpipe", 4, 7, 1, "take 8"),
        ("gpipe", 0, 8, 1, "devices 0 is not a whole number above 0"),
        ("gpipe", 4, 0, 1, "micro-batches 0 is not a whole number above 0"),
        ("gpipe", 4, 2.5, 1, "2.5 is not a whole number"),
        ("gpipe", 2000, 2000, 1, "take fewer micro-batches"),
    ],
)
def test_a_shape_that_does_not_exist_names_the_rule_and_the_nearest(
    order: str, p: int, m: int, v: int, says: str
) -> None:
    with pytest.raises(ScheduleError, match=says):
        pipeline(order, Stage(1, 2), m, devices=p, chunks=v)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean '1f1b'"):
        pipeline("1fb1", Stage(1, 2), 4, devices=2)
    with pytest.raises(ScheduleError, match="say how many devices"):
        pipeline("1f1b", Stage(1, 2), 4)
    with pytest.raises(ScheduleError, match="3 stages for 2 devices"):
        pipeline("1f1b", [Stage(1, 2)] * 3, 4, devices=2)
    with pytest.raises(ScheduleError, match="cannot be longer"):
        Stage(1, 2, weight=3)
    with pytest.raises(ScheduleError, match="transfer nan"):
        pipeline("1f1b", Stage(1, 2), 4, devices=2, transfer=math.nan)
    with pytest.raises(ScheduleError, match="forward -1"):
        Stage(-1.0, 2)


def test_the_table_says_what_was_published() -> None:
    text = str(pipeline("zb-h1", Stage(1, 2, 1), 8, devices=4).table())
    assert "published bubble" in text
    assert "2401.10241" in text


@pytest.mark.parametrize("order", CODES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_fast_makespan_equals_that_of_the_task_graph(order: str, data: st.DataObject) -> None:
    p, v = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3)) if order == "interleaved" else 1
    m = data.draw(st.integers(1, 9)) if v == 1 else p * data.draw(st.integers(1, 3))
    times, shares = st.floats(0.1, 3), st.just(0.0) | st.floats(1e-6, 1)
    stages = []
    for _ in range(p * v):
        b = data.draw(times)
        stages.append(Stage(data.draw(times), b, weight=b * data.draw(shares)))
    transfer = data.draw(st.sampled_from([0.0, 0.3]))
    run = pipeline(order, stages, m, chunks=v, transfer=transfer)
    columns = (np.array([getattr(s, name) for s in stages]) for name in ("forward", "backward", "weight"))
    fast = makespan_of(order, *columns, m, devices=p, chunks=v, transfer=transfer)
    assert math.isclose(fast, run.makespan, rel_tol=1e-9)


def test_planted_faults_of_passes_are_seen() -> None:
    run = pipeline("zb-h1", Stage(1, 2, 1), 8, devices=4)
    run.verify()
    first, other = run.passes[0], run.passes[5]
    moved = run.spans.copy()
    moved[0, 0] = (moved[0, 0] + 1) % 4
    crowd = run.spans.copy()
    crowd[crowd[:, 0] == 1, 0] = 0
    graph = run.schedule.graph
    free = dataclasses.replace(graph, pred=graph.pred[:0], pred_ptr=0 * graph.pred_ptr)
    half = dataclasses.replace(graph, duration=0.5 * graph.duration)
    faults: dict[str, dict[str, Any]] = {
        "runs twice": {"passes": (other, *run.passes[1:])},
        "has passes": {"passes": run.passes[1:], "spans": run.spans[1:]},
        "starts before": {"passes": (other, *run.passes[1:5], first, *run.passes[6:])},  # change places
        "what is kept for it is on": {"spans": moved},
        "that it needs ends": {"schedule": schedule_graph(free)},
        "its stage": {"schedule": schedule_graph(half)},
        "takes 1 s, its stage 2 s": {"stages": (Stage(2, 2, 1),) * 4},
        "begins a slot": {"spans": crowd},
        "micro-batches on stages, not": {"shape": PipelineShape(4, 7)},
    }
    for said, change in faults.items():
        with pytest.raises(ScheduleError, match=said):
            dataclasses.replace(run, **change).verify()
