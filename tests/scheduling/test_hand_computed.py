"""Schedules that can be worked out on paper."""

import numpy as np
import pytest

from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import Schedule, TaskGraph, TaskGraphBuilder, schedule_graph, verify_schedule


def added_first(graph: TaskGraph) -> np.ndarray:
    return -np.arange(len(graph), dtype=float)


def test_chain() -> None:
    tasks = TaskGraphBuilder()
    first = tasks.add(2, "pe")
    second = tasks.add(3, "pe", [first])
    tasks.add(5, "pe", [second])
    plan = schedule_graph(tasks.build())
    assert plan.makespan == plan.lower_bound == 10


@pytest.mark.parametrize(("capacity", "expected"), [(1, 4), (2, 2)])
def test_unit_tasks(capacity: int, expected: float) -> None:
    tasks = TaskGraphBuilder({"pe": capacity})
    for _ in range(4):
        tasks.add(1, "pe")
    plan = schedule_graph(tasks.build())
    assert plan.makespan == plan.lower_bound == expected


@pytest.mark.parametrize(("urgent", "expected"), [("long tail", 11), ("other", 16)])
def test_priority_matters(urgent: str, expected: float) -> None:
    tasks = TaskGraphBuilder()
    opener = tasks.add(1, "pe", label="long tail")
    tasks.add(5, "pe", label="other")
    tasks.add(10, "link", [opener])

    def priority(graph: TaskGraph) -> np.ndarray:
        return np.array([float(label == urgent) for label in graph.labels])

    assert schedule_graph(tasks.build(), priority=priority).makespan == expected
    assert schedule_graph(tasks.build()).makespan == 11


def stream(count: int, load: float, compute: float, prefetch: int) -> Schedule:
    tasks = TaskGraphBuilder()
    done: list[int] = []
    for i in range(count):
        gate = [done[i - 1 - prefetch]] if i - 1 - prefetch >= 0 else []
        loaded = tasks.add(load, "dram", gate, kind="load")
        done.append(tasks.add(compute, "pe", [loaded]))
    return schedule_graph(tasks.build())


@pytest.mark.parametrize(
    ("load", "compute", "prefetch", "expected"), [(3, 2, 0, 20), (3, 2, 1, 14), (2, 3, 1, 14)]
)
def test_streaming(load: float, compute: float, prefetch: int, expected: float) -> None:
    assert stream(4, load, compute, prefetch).makespan == expected


@pytest.mark.parametrize(("load", "compute", "prefetch"), [(3, 2, 0), (3, 2, 1), (2, 3, 1)])
def test_a_buffer_does_what_a_gate_does(load: float, compute: float, prefetch: int) -> None:
    """Room for one or two blocks of weights is prefetch depth 0 or 1."""
    tasks = TaskGraphBuilder(buffers={"sram": 10.0 * (1 + prefetch)})
    for _ in range(4):
        loaded = tasks.add(load, "dram", kind="load", buffer="sram", hold=10.0)
        tasks.add(compute, "pe", [loaded], buffer="sram", hold=-10.0)
    plan = schedule_graph(tasks.build(), priority=added_first)
    assert plan.makespan == stream(4, load, compute, prefetch).makespan


def test_pipeline() -> None:
    tasks = TaskGraphBuilder()
    for _ in range(4):
        before: list[int] = []
        for stage, time in enumerate((1, 2, 1, 1)):
            before = [tasks.add(time, f"stage {stage}", before)]
    assert schedule_graph(tasks.build()).makespan == 11


def test_shared_memory_port() -> None:
    tasks = TaskGraphBuilder()
    for chiplet in range(4):
        tasks.add(3, f"e{chiplet}", [tasks.add(2, "hbm", kind="load")])
    plan = schedule_graph(tasks.build())
    assert plan.makespan == plan.lower_bound == 11


@pytest.mark.parametrize(("computes", "expected"), [((5, 1, 1), 6), ((1, 1, 5), 8)])
def test_heavy_experts_first(computes: tuple[float, ...], expected: float) -> None:
    tasks = TaskGraphBuilder({"pe": 3})
    for time in computes:
        tasks.add(time, "pe", [tasks.add(1, "dram", kind="load")])
    assert schedule_graph(tasks.build(), priority=added_first).makespan == expected
    assert schedule_graph(tasks.build()).makespan == 6  # the longest tail is the heavy one


def test_diamond_with_joins() -> None:
    tasks = TaskGraphBuilder()
    fork = tasks.add(0)
    sides = [tasks.add(2, "a", [fork]), tasks.add(3, "b", [fork])]
    tasks.add(1, "a", [tasks.add(0, None, sides)])
    assert schedule_graph(tasks.build()).makespan == 4


@pytest.mark.parametrize(("last", "expected"), [(True, 5), (False, 3)])
def test_graham_three_machines(last: bool, expected: float) -> None:
    tasks = TaskGraphBuilder({"machine": 3})
    times = [1, 1, 1, 1, 1, 1, 3] if last else [3, 1, 1, 1, 1, 1, 1]
    for time in times:
        tasks.add(time, "machine")
    plan = schedule_graph(tasks.build(), priority=added_first)
    assert plan.makespan == expected
    assert plan.lower_bound == 3
    assert schedule_graph(tasks.build(), priority=added_first, rounds=1).makespan == 3


def test_two_resources_at_once() -> None:
    tasks = TaskGraphBuilder()
    tasks.add(2, ("a", "b"))
    tasks.add(3, ("b", "c"))
    tasks.add(2, ("a", "c"))
    assert schedule_graph(tasks.build()).makespan == 7


@pytest.mark.parametrize("urgent", range(3))
def test_the_most_urgent_goes_first_whatever_else_it_needs(urgent: int) -> None:
    tasks = TaskGraphBuilder(buffers={"sram": 8.0})
    tasks.add(1, "a")
    tasks.add(1, ("a", "b"))
    tasks.add(1, "a", buffer="sram", hold=1.0)

    def priority(graph: TaskGraph) -> np.ndarray:
        return np.array([float(i == urgent) for i in range(len(graph))])

    assert schedule_graph(tasks.build(), priority=priority).start[urgent] == 0.0


@pytest.mark.parametrize(
    ("flows", "expected"),
    [
        ([(1, "x"), (1, "x")], [2, 2]),
        ([(1, "x"), (2, "x")], [2, 3]),
        ([(1, "xy"), (1, "x"), (2, "y")], [2, 2, 4 / 3]),  # y is twice as wide as x
    ],
)
def test_flows_share(flows: list[tuple[float, str]], expected: list[float]) -> None:
    bandwidth = {"x": 1.0, "y": 2.0}
    tasks = TaskGraphBuilder()
    for size, path in flows:
        tasks.add_flow(size, {channel: size / bandwidth[channel] for channel in path})
    assert schedule_graph(tasks.build()).end == pytest.approx(expected, rel=1e-12)


def test_flow_across_a_line() -> None:
    tasks = TaskGraphBuilder()
    tasks.add_flow(3, {"x": 3, "y": 3})
    tasks.add_flow(1, {"x": 1})
    tasks.add_flow(1, {"y": 1})
    assert schedule_graph(tasks.build()).end == pytest.approx([4, 2, 2], rel=1e-12)


def test_flow_that_comes_later() -> None:
    tasks = TaskGraphBuilder()
    tasks.add_flow(2, {"x": 2})
    tasks.add_flow(1, {"x": 1}, [tasks.add(1, "pe")])
    assert schedule_graph(tasks.build()).end == pytest.approx([3, 1, 3], rel=1e-12)


def test_flows_all_to_all_on_a_star() -> None:
    tasks = TaskGraphBuilder()
    for source in range(4):
        for sink in range(4):
            if source != sink:
                tasks.add_flow(1, {f"{source} up": 1, f"{sink} down": 1})
    assert schedule_graph(tasks.build()).makespan == pytest.approx(3, rel=1e-12)


def test_cycle_is_named() -> None:
    tasks = TaskGraphBuilder()
    tasks.add(1, label="free")
    tasks.add(1, after=[3], label="load")
    tasks.add(1, after=[1], label="run")
    tasks.add(1, after=[2], label="send")
    with pytest.raises(ScheduleError, match="cycle: load -> run -> send -> load"):
        schedule_graph(tasks.build())


def test_stuck_buffer_is_named() -> None:
    tasks = TaskGraphBuilder(buffers={"sram": 3.0})
    tasks.add(1, "dram", buffer="sram", hold=2.0, label="first")
    tasks.add(1, "dram", buffer="sram", hold=2.0, label="second")
    with pytest.raises(ScheduleError, match="second never finds 2 B free in buffer 'sram'"):
        schedule_graph(tasks.build())


@pytest.mark.parametrize("duration", [-1.0, float("nan"), float("inf")])
def test_durations_are_finite(duration: float) -> None:
    with pytest.raises(ScheduleError, match="duration"):
        TaskGraphBuilder().add(duration, "pe")


@pytest.mark.parametrize("before", [1, 7])
def test_unknown_predecessor(before: int) -> None:
    tasks = TaskGraphBuilder()
    tasks.add(1, "pe", [before], label="run")
    with pytest.raises(ScheduleError, match=f"run waits for task {before}"):
        tasks.build()


def test_hold_without_room() -> None:
    with pytest.raises(ScheduleError, match="takes 5 B of buffer 'sram', which has 3 B"):
        TaskGraphBuilder(buffers={"sram": 3.0}).add(1, "dram", buffer="sram", hold=5.0)
    with pytest.raises(ScheduleError, match="did you mean 'sram'"):
        TaskGraphBuilder(buffers={"sram": 3.0}).add(1, "dram", buffer="srm", hold=1.0)


@pytest.mark.parametrize("held", [None, "gate"])
@pytest.mark.parametrize("rounds", [0, 3])
def test_a_task_of_no_length_delays_nothing(held: str | None, rounds: int) -> None:
    """Load 1 s, then compute 5 s; the other load runs 1 to 6 s, with barriers before the first or none."""
    for barriers in range(3):
        tasks = TaskGraphBuilder()
        before: list[int] = []
        for _ in range(barriers):
            before = [tasks.add(0.0, held, after=before)]
        load = tasks.add(1.0, "dram", after=before)
        tasks.add(5.0, "pe", after=[load])
        tasks.add(5.0, "dram")
        plan = schedule_graph(tasks.build(), rounds=rounds)
        assert plan.makespan == plan.lower_bound == 6.0
        verify_schedule(plan.graph, plan.start, plan.end)


def test_room_that_a_task_of_no_length_gives_back_is_free_at_once() -> None:
    """At 1 s the urgent load (its compute takes 5 s) gets the room, not the other load that fits as well."""
    tasks = TaskGraphBuilder(buffers={"sram": 2.0})
    held = tasks.add(1.0, "dram", buffer="sram", hold=2.0)
    tasks.add(0.0, None, after=[held], buffer="sram", hold=-2.0)
    urgent = tasks.add(1.0, "dram", buffer="sram", hold=2.0)
    compute = tasks.add(5.0, "pe", after=[urgent])
    tasks.add(0.0, None, after=[compute], buffer="sram", hold=-2.0)
    plan = schedule_graph(tasks.build())
    assert plan.makespan == 7.0
    verify_schedule(plan.graph, plan.start, plan.end)


@pytest.mark.parametrize("priority", ["tail", "added"])
def test_barriers_leave_random_schedules_as_they_are(priority: str) -> None:
    """The same tasks, straight after each other or with a task of no length on every precedence."""
    for seed in range(150):
        spans = []
        for barriers in (False, True):
            rng = np.random.default_rng(seed)
            tasks = TaskGraphBuilder({"pe": 2})
            made: list[int] = []
            for i in range(20):
                after = (
                    [made[k] for k in rng.choice(i, min(i, 2), replace=False)] if rng.random() < 0.7 else []
                )
                if barriers:
                    after = [tasks.add(0.0, None, after=after)]
                duration = float(rng.integers(1, 9))
                made.append(tasks.add(duration, str(rng.choice(["pe", "dram", "link"])), after=after))
            plan = schedule_graph(tasks.build(), priority=priority)
            verify_schedule(plan.graph, plan.start, plan.end)
            spans.append(plan.makespan)
        assert spans[0] == spans[1]


def test_overlap_and_breakdown_by_hand() -> None:
    """Loads from 0 to 3, compute from 0 to 4, a dispatch from 4 to 6: of 9 s busy 3 are covered."""
    tasks = TaskGraphBuilder()
    tasks.add(3, "hbm", kind="load")
    run = tasks.add(4, "pe")
    tasks.add(2, "link", [run], kind="dispatch")
    plan = schedule_graph(tasks.build())
    assert plan.overlap == pytest.approx(3 / 9)
    parts = plan.breakdown
    assert (parts.compute, parts.communication, parts.load, parts.idle) == (4, 2, 0, 0)
    assert schedule_graph(TaskGraphBuilder().build()).overlap == 0.0
    waits = TaskGraphBuilder()
    pause = waits.add(5, None, kind="wait")
    waits.add(1, "pe", [pause])
    plan = schedule_graph(waits.build())
    assert plan.overlap == 0.0
    assert plan.breakdown.idle + plan.breakdown.compute == 6


@pytest.mark.parametrize("duration", [-1.0, float("nan"), float("inf")])
def test_durations_of_tasks_that_are_added_together_are_finite(duration: float) -> None:
    tasks = TaskGraphBuilder()
    assert list(tasks.add_each([0.0, 2.0], ["pe", "pe"], [[], [0]])) == [0, 1]
    with pytest.raises(ScheduleError, match=r"task 2: duration .* is not 0 or more seconds"):
        tasks.add_each([1.0, duration], ["pe", "pe"], [[], []])


def test_of_tasks_that_end_together_the_longest_is_on_the_critical_path() -> None:
    tasks = TaskGraphBuilder()
    long = tasks.add(3, "a", label="long")
    short = tasks.add(2, "b", [tasks.add(1, "b", label="first")], label="short")
    tasks.add(1, "a", [short, long], label="last")
    plan = schedule_graph(tasks.build())
    assert [plan.graph.labels[task] for task in plan.critical_path] == ["long", "last"]
