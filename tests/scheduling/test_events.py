"""The scheduler's event loop against the same rule in plain Python, which looks at everything every time."""

import math

import numpy as np
import pytest
from seeds import seeds

from noptoolkit._arrays import read_only
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder
from noptoolkit.scheduling.compiled_ranks import falling_order, grouped
from noptoolkit.scheduling.list_scheduling import _run


def drawn(rng: np.random.Generator) -> TaskGraph:
    """Return tasks with equal times, none, shared machines, buffers of little room, and flows beside them."""
    tasks = TaskGraphBuilder({"pair": 2}, buffers={"small": 4.0, "large": 9.0})
    machines = [None, "a", "b", "pair", ("a", "pair"), ("b", "c"), "lone", "lone"]
    holding: list[tuple[int, str, float]] = []
    count, flows, room = int(rng.integers(5, 40)), rng.random() < 0.5, rng.random() < 0.5
    while len(tasks) < count:
        n = len(tasks)
        before = np.unique(rng.integers(0, n, size=min(n, int(rng.integers(0, 3))))).tolist() if n else []
        duration = float(rng.integers(0, 4))
        machine = machines[int(rng.integers(len(machines)))]
        if flows and rng.random() < 0.35:
            some = rng.choice(list("xyz"), int(rng.integers(1, 4)), replace=False)
            uses = {str(place): float(rng.choice([0.5, 1, 1, 2, 3])) for place in some}
            tasks.add_flow(float(rng.choice([1, 2, 5])), uses, before)
        elif room and holding and rng.random() < 0.5:
            taker, buffer, size = holding.pop(int(rng.integers(len(holding))))
            tasks.add(duration, machine, [*before, taker], buffer=buffer, hold=-size)
        elif room and rng.random() < 0.4:
            buffer, size = str(rng.choice(["small", "large"])), float(rng.integers(1, 5))
            holding.append((tasks.add(duration, machine, before, buffer=buffer, hold=size), buffer, size))
        else:
            tasks.add(duration, machine, before)
    return tasks.build()


def rates_of(graph: TaskGraph, flows: list[int]) -> dict[int, float]:
    """Return max-min fair rates, as shares of each flow per s: the fullest resource fixes first."""
    uses = {i: dict(zip(graph.use_resource[s].tolist(), graph.use_time[s].tolist(), strict=True))
            for i in flows for s in [slice(graph.use_ptr[i], graph.use_ptr[i + 1])]}  # fmt: skip
    room = dict.fromkeys({r for own in uses.values() for r in own}, 1.0)
    rate: dict[int, float] = {}
    while left := [i for i in flows if i not in rate]:
        demand = {r: sum(uses[i].get(r, 0.0) / graph.flow_size[i] for i in left) for r in room}
        level = {r: room[r] / demand[r] for r in room if demand[r] > 0}
        least = min(level.values())
        full = {r for r, one in level.items() if one <= least * (1 + 1e-9)}
        fixed = [i for i in left if full & set(uses[i])]
        for i in fixed:
            rate[i] = least / graph.flow_size[i]
            for r, time in uses[i].items():
                room[r] = max(0.0, room[r] - time * rate[i])
    return rate


def by_the_rule(graph: TaskGraph, urgency: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return starts, ends, and how many tasks have ended."""
    n = len(graph)
    rank = np.argsort(np.argsort(-urgency, kind="stable"))
    waits = np.diff(graph.pred_ptr).tolist()
    after: list[list[int]] = [[] for _ in range(n)]
    for i in range(n):
        for p in graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]].tolist():
            after[p].append(i)
    start, end = np.full(n, np.nan), np.full(n, np.nan)
    free, room = graph.capacity.tolist(), graph.buffer_size.tolist()
    held = [graph.needs[need] for need in graph.need.tolist()]
    is_flow = (graph.flow_size > 0) & (np.diff(graph.use_ptr) > 0)
    ready, running, flowing = [], {}, {}
    now = 0.0

    def release(task: int) -> list[int]:
        for j in after[task]:
            waits[j] -= 1
        return [j for j in dict.fromkeys(after[task]) if waits[j] == 0]

    def give(task: int, taken: bool) -> None:
        size, buffer = float(graph.hold[task]), held[task][1]
        if buffer >= 0 and (size > 0) == taken:
            room[buffer] -= size

    fresh = [i for i in range(n) if waits[i] == 0]
    while True:
        while fresh:
            i = fresh.pop(0)
            if is_flow[i]:
                start[i], flowing[i] = now, 1.0
            elif graph.duration[i] == 0 and graph.hold[i] <= 0 and not held[i][0]:
                start[i] = end[i] = now
                give(i, False)
                fresh += release(i)
            else:
                ready.append(i)
        heads: dict[int, int] = {}  # of those with the same needs, only the most urgent is looked at
        for i in sorted(ready, key=rank.__getitem__):
            heads.setdefault(int(graph.need[i]), i)
        fits = [
            i for i in heads.values()
            if all(free[r] > 0 for r in held[i][0])
            and (held[i][1] < 0 or graph.hold[i] <= room[held[i][1]] * (1 + 1e-12))
        ]  # fmt: skip
        if fits:
            i = min(fits, key=rank.__getitem__)
            ready.remove(i)
            start[i] = now
            give(i, True)
            if graph.duration[i] == 0:
                end[i] = now
                give(i, False)
                fresh = release(i)
            else:
                for r in held[i][0]:
                    free[r] -= 1
                running[i] = now + float(graph.duration[i])
            continue
        rate = rates_of(graph, list(flowing))
        finish = {i: now + left / rate[i] for i, left in flowing.items()}
        times = [*running.values(), *finish.values()]
        if not times:
            return start, end, int(np.isfinite(end).sum())
        then = min(times)
        for i in flowing:
            flowing[i] = max(0.0, flowing[i] - rate[i] * (then - now))
        now = then
        ended = [i for i in flowing if flowing[i] <= 1e-12 or finish[i] == now]
        ended += [i for i, time in running.items() if time == now]
        for i in ended:
            end[i] = now
            if i in running:
                del running[i]
                for r in held[i][0]:
                    free[r] += 1
                give(i, False)
            else:
                del flowing[i]
            fresh += release(i)


@pytest.mark.parametrize("seed", seeds(60, 1000))
def test_every_task_starts_and_ends_as_the_rule_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = drawn(rng)
    urgency = rng.permutation(len(graph)) // 2 + 0.0
    start, end, done = by_the_rule(graph, urgency)
    found = _run(graph, urgency)
    assert found[2] == done
    assert found[0] == pytest.approx(start, rel=1e-9, nan_ok=True)
    assert found[1] == pytest.approx(end, rel=1e-9, nan_ok=True)
    assert math.isfinite(np.nanmax(end, initial=0.0))


@pytest.mark.parametrize(("machine", "buffer"), [("lone", None), (None, "own"), ("lone", "own")])
def test_what_a_task_of_no_length_frees_is_ready_at_once(machine: str | None, buffer: str | None) -> None:
    """It holds what nobody else asks for; what waits for it is more urgent than what could start."""
    tasks = TaskGraphBuilder(buffers={"own": 1.0})
    room = {} if buffer is None else {"buffer": buffer, "hold": 0.5}
    instant = tasks.add(0.0, machine, **room)
    tasks.add(2.0, "a", [instant])
    tasks.add(2.0, "a")
    start, _, done = _run(tasks.build(), np.array([3.0, 2.0, 1.0]))
    assert done == 3
    assert start.tolist() == [0, 0, 2]


@pytest.mark.parametrize("seed", seeds(20, 200))
def test_ranks_are_those_of_a_stable_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 400))
    urgency = rng.choice([rng.normal(size=count), rng.integers(-3, 4, count).astype(float)])
    urgency = urgency * 10.0 ** rng.integers(-300, 300, count) if rng.random() < 0.3 else urgency
    urgency = np.where(rng.random(count) < 0.1, rng.choice([0.0, -0.0, math.inf, -math.inf]), urgency)
    rank, order = falling_order(read_only(urgency))
    assert order.tolist() == np.argsort(-urgency, kind="stable").tolist()
    assert rank[order].tolist() == list(range(count))
    group = rng.integers(0, 5, count)
    together = grouped(order, read_only(group), 6)
    assert together.tolist() == np.lexsort((-urgency, group)).tolist()


def test_tasks_added_together_are_those_added_one_by_one() -> None:
    one, other = TaskGraphBuilder(), TaskGraphBuilder()
    for tasks in (one, other):
        tasks.add(1.0, "y")
        tasks.add_flow(1.0, {"x": 2.0})
    times, machines, gates = [0.0, 2.0, 3.0], ["x", "z", "y"], [[0, 1], [], (1,)]
    for time, machine, gate in zip(times, machines, gates, strict=True):
        one.add(time, machine, gate, kind="load", label="some")
    assert other.add_each(times, machines, gates, kind="load", label="some") == range(2, 5)
    for task, earlier in ((4, 3), (2, 0)):
        one.wait(task, earlier)
    other.wait_each(np.array([4, 2]), np.array([3, 0]))
    for first, second in zip(vars(one.build()).values(), vars(other.build()).values(), strict=True):
        assert np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second
    with pytest.raises(ScheduleError, match="'some': duration -1"):
        other.add_each([1.0, -1.0], ["x", "x"], [(), ()], label="some")
