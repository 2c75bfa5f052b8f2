"""What `verify()` of a schedule checks, and what it says that it assumes: one wrong result each."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph, verify_schedule
from noptoolkit.scheduling.list_scheduling import bounds_of
from noptoolkit.scheduling.verify_bounds import proved_bound, verify_bounds


def stages() -> Schedule:
    """Return a schedule of stages: only the fronts see that the machines never work side by side."""
    tasks = TaskGraphBuilder()
    first = [tasks.add(2, "a"), tasks.add(2, "a")]
    middle = [tasks.add(3, "b", first), tasks.add(3, "b", first)]
    for _ in range(2):
        tasks.add(2, "a", middle)
    tasks.front(first)
    tasks.front(middle)
    return schedule_graph(tasks.build())


PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "value": ({"prove": lambda: (15.0, stages().bounds.stages)}, "the lower bound 15 s is not proved"),
    "path": ({"critical_path": 7.5}, "the critical path 7.5 s is not proved: the graph gives 7 s"),
    "load": ({"load": 8.5}, "the load 8.5 s is not proved: the graph gives 8 s"),
    "load of a": ({"head_load_tail": 12.0}, "the head [+] load [+] tail 12 s is not proved: the graph gives"),
    "fewer stages": ({"prove": lambda: (14.0, ())}, "the lower bound 14 s is not proved"),
    "stages turned round": (
        {"prove": lambda: (14.0, stages().bounds.stages[::-1])}, "stage 0 of the lower bound's proof is not"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_each_part_of_a_bound_is_held_against_the_graph(name: str) -> None:
    plan = stages()
    change, said = PARTS[name]
    assert plan.verify() is None
    bounds = plan.bounds
    change = {"prove": lambda: (bounds.fronts, bounds.stages)} | change
    with pytest.raises(ScheduleError, match=said):
        dataclasses.replace(plan, bounds=dataclasses.replace(bounds, **change)).verify()


def test_the_busiest_resource_is_that_which_is() -> None:
    tasks = TaskGraphBuilder()
    for machine, times in (("a", 3), ("b", 2)):
        for _ in range(times):
            tasks.add(1, machine)
    plan = schedule_graph(tasks.build())
    assert (plan.bounds.resource, plan.bounds.method) == ("a", "load of a")
    other = dataclasses.replace(plan.bounds, resource="b")
    with pytest.raises(ScheduleError, match="'b' is not busy for 3 s, but for 2 s"):
        verify_bounds(plan.graph, other)


@pytest.mark.parametrize("count", [3, 40, 400])
def test_flows_beyond_a_rate_are_seen_wherever_they_begin(count: int) -> None:
    """Flows with pauses between, each at the full rate; at the very end two at once."""
    tasks = TaskGraphBuilder()
    for _ in range(count):
        tasks.add_flow(1.0, {"x": 1.0})
    graph = tasks.build()
    start = 2.0 * np.arange(count)
    verify_schedule(graph, start, start + 1)
    start[-1] = start[-2]
    with pytest.raises(ScheduleError, match="'x' is used beyond its rate"):
        verify_schedule(graph, start, start + 1)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_flows_may_be_served_in_any_way_that_fits(unit: float) -> None:
    """A long flow waits while a short one passes: whoever ends first goes first, as Dertouzos proved."""
    tasks = TaskGraphBuilder()
    for work in (3.0, 1.0, 1.0):
        tasks.add_flow(1.0, {"x": work * unit})
    graph = tasks.build()
    start, end = unit * np.array([0.0, 1.0, 3.0]), unit * np.array([5.0, 2.0, 4.0])
    verify_schedule(graph, start, end)
    for late in itertools.product([0, 1], repeat=3):
        if any(late):
            with pytest.raises(ScheduleError, match="beyond its rate"):
                verify_schedule(graph, start, end - 0.1 * unit * np.array(late))


def test_both_schedule_and_bounds_are_verified() -> None:
    plan = stages()
    with pytest.raises(ScheduleError, match="starts before"):
        dataclasses.replace(plan, start=0 * plan.start, end=plan.graph.duration).verify()
    assert proved_bound(TaskGraphBuilder().build(), ()) == 0
    lone = TaskGraphBuilder()
    lone.add(2.0)
    free = schedule_graph(lone.build())  # of no resource there is no load
    for part in ("load", "head_load_tail"):
        with pytest.raises(ScheduleError, match="the graph gives 0 s"):
            dataclasses.replace(free, bounds=dataclasses.replace(free.bounds, **{part: 0.5})).verify()


def test_room_is_only_given_back_where_it_was_taken() -> None:
    tasks = TaskGraphBuilder(buffers={"sram": 10.0})
    load = tasks.add(1, "dram", buffer="sram", hold=10.0)
    tasks.add(1, "pe", [load], buffer="sram", hold=-6.0)
    tasks.add(0, None, [load], buffer="sram", hold=-4.0)
    graph = tasks.build()
    verify_schedule(graph, np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0]))
    twice = dataclasses.replace(graph, hold=np.array([10.0, -16.0, -4.0]))
    with pytest.raises(ScheduleError, match="is given back 10 B that nothing took, at 2 s"):
        verify_schedule(twice, np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0]))


def test_starts_of_other_tasks_are_refused() -> None:
    plan = stages()
    with pytest.raises(ScheduleError, match="6 tasks, but 5 starts and 6 ends"):
        verify_schedule(plan.graph, plan.start[:-1], plan.end)


def test_what_is_assumed_is_not_seen() -> None:
    """The graph itself, tasks of no length, and rates on several resources at once; the docstring says so."""
    plan = stages()
    graph = dataclasses.replace(plan.graph, duration=0.5 * plan.graph.duration)
    half = dataclasses.replace(
        plan, graph=graph, start=0.5 * plan.start, end=0.5 * plan.end, bounds=bounds_of(graph)
    )
    half.verify()  # other work; `StepSchedule.verify` makes the graph again
    tasks = TaskGraphBuilder()
    for duration in (1.0, 1e-9, 1e-9):
        tasks.add(duration, "pe")
    verify_schedule(tasks.build(), np.array([0.0, 1.0, 1.0]), np.array([1.0, 1 + 1e-9, 1 + 1e-9]))
    tasks = TaskGraphBuilder()
    for uses in ({"x": 1.0}, {"x": 1.0, "y": 1.0}, {"y": 1.0}):
        tasks.add_flow(1.0, uses)
    # x and y have room for their flows one by one, but the one in the middle needs both halves of both
    start, end = np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 2.0])
    verify_schedule(tasks.build(), start, end)


@pytest.mark.parametrize(("after", "stage"), [([[0], [0]], 0), ([[0, 1], []], 1), ([[0, 1], [0]], None)])
def test_stages_that_are_no_chain_prove_nothing(after: list[list[int]], stage: int | None) -> None:
    """Each of the first stage must lead to one of the second, each of the second follow one of the first."""
    tasks = TaskGraphBuilder()
    first = [tasks.add(1.0), tasks.add(2.0)]
    second = [tasks.add(1.0, None, before) for before in after]
    graph, chain = tasks.build(), [np.array(first), np.array(second)]
    if stage is None:
        assert proved_bound(graph, chain) == 3
        return
    with pytest.raises(ScheduleError, match=f"stage {stage} of the lower bound's proof is not in a chain"):
        proved_bound(graph, chain)


def test_flows_take_their_time_over_what_a_resource_has() -> None:
    """Three of 4 s each by themselves, two at once: 6 s of load, which is more than any of them."""
    tasks = TaskGraphBuilder({"x": 2})
    for _ in range(3):
        tasks.add_flow(1.0, {"x": 4.0})
    graph = tasks.build()
    assert proved_bound(graph, []) == pytest.approx(6.0)
    assert schedule_graph(graph).lower_bound == pytest.approx(6.0)
