"""Other people's schedulers: SimPy runs the same rule, CP-SAT proves what is optimal."""

import itertools

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples, seeds

from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, schedule_graph, verify_schedule
from noptoolkit.scheduling.verify_bounds import proved_bound
from noptoolkit.testing.oracles.schedule_program import shortest_schedule

INSTANT = 1e-9
"""SimPy serves whoever asks first: what happens at one instant is spread out by rank."""


def simpy_makespan(graph: TaskGraph, urgency: np.ndarray) -> float:
    """Run a graph whose tasks need one resource each, as SimPy processes with priorities."""
    env = simpy.Environment()
    servers = [simpy.PriorityResource(env, int(capacity)) for capacity in graph.capacity]
    done = [env.event() for _ in range(len(graph))]
    rank = np.argsort(np.argsort(-urgency, kind="stable"))

    def task(i: int):  # type: ignore[no-untyped-def]
        for p in graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]]:
            if not done[p].processed:
                yield done[p]
        yield env.timeout(INSTANT * (1 + rank[i]))
        with servers[graph.resource_of[i]].request(priority=int(rank[i])) as turn:
            yield turn
            yield env.timeout(graph.duration[i])
            done[i].succeed()
            yield env.timeout(INSTANT * (2 + len(graph)))  # whom it made ready asks before it leaves

    for i in range(len(graph)):
        env.process(task(i))
    env.run()
    return float(env.now)


def optimum(graph: TaskGraph) -> tuple[int, int]:
    found = shortest_schedule(graph)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", seeds(6, 20))
def test_simpy_gives_the_same_makespan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 60))
    tasks = TaskGraphBuilder({"pair": 2})
    for i in range(count):
        before = np.unique(rng.integers(0, i, size=min(i, 2))).tolist() if i else []
        tasks.add(rng.uniform(0.1, 5.0), str(rng.choice(["a", "b", "pair"])), before)
    graph = tasks.build()
    urgency = rng.permutation(count).astype(float)
    plan = schedule_graph(graph, priority=lambda _: urgency)
    delays = INSTANT * 4 * count**2
    assert simpy_makespan(graph, urgency) == pytest.approx(plan.makespan, abs=delays)


def block(chiplets: int = 4, micro_batches: int = 2) -> TaskGraph:
    """Return one block of a streaming step with whole-number times, hot and cold experts."""
    tasks = TaskGraphBuilder()
    loads = [tasks.add(3, "hbm", kind="load", label=f"load {c}") for c in range(chiplets)]
    for b in range(micro_batches):
        attention = tasks.add(4, "attn", label=f"attention m{b}")
        for c in range(chiplets):
            sent = tasks.add(1 + (b + c) % 2, f"down {c}", [attention], kind="dispatch")
            run = tasks.add(2 + 2 * c, f"e{c}", [sent, loads[c]], label=f"expert {c} m{b}")
            tasks.add(1 + (b + c) % 2, f"up {c}", [run], kind="combine")
    return tasks.build()


def test_improvement_leaves_little_to_the_optimum() -> None:
    """Forty random graphs: list schedules are 2.3 % too long in the mean, improved ones 0.9 %."""
    rng = np.random.default_rng(3)
    excess = []
    for _ in range(40):
        tasks = TaskGraphBuilder({"pair": 2})
        for i in range(14):
            before = np.unique(rng.integers(0, i, size=min(i, 2))).tolist() if i % 3 else []
            tasks.add(float(rng.integers(1, 9)), str(rng.choice(["a", "b", "pair"])), before)
        graph = tasks.build()
        best, proven = optimum(graph)
        assert best == proven
        excess.append([schedule_graph(graph, rounds=rounds).makespan / best - 1 for rounds in (0, 5)])
    plain, improved = np.mean(excess, axis=0)
    assert improved < 0.5 * plain


def test_a_block_is_scheduled_optimally() -> None:
    graph = block()
    best, proven = optimum(graph)
    assert best == proven
    assert schedule_graph(graph).makespan == best


def broken(kind: str) -> tuple[TaskGraph, np.ndarray, np.ndarray]:
    tasks = TaskGraphBuilder({"pair": 2}, buffers={"sram": 10.0})
    a = tasks.add(2, "pe", label="a", buffer="sram", hold=6.0)
    b = tasks.add(2, "pe", [a], label="b", buffer="sram", hold=-6.0)
    tasks.add(2, "dram", label="c", buffer="sram", hold=6.0)
    for _ in range(3):
        tasks.add(2, "pair", label="d")
    tasks.add_flow(1, {"x": 1}, label="f")
    tasks.add_flow(1, {"x": 1}, label="g")
    del b
    start = np.array([0, 2, 4, 0, 0, 2, 0, 0], float)
    end = np.array([2, 4, 6, 2, 2, 4, 2, 2], float)
    if kind == "precedence":
        start[1], end[1] = 1, 3
    elif kind == "duration":
        end[2] = 5
    elif kind == "capacity":
        start[5], end[5] = 1, 3
    elif kind == "buffer":
        start[2], end[2] = 1, 3
    elif kind == "rate":
        end[6] = end[7] = 1.5
    elif kind == "early":
        start[3], end[3] = -1, 1
    return tasks.build(), start, end


FAULTS = {
    "precedence": "b starts before a ends",
    "duration": "c does not take as long",
    "capacity": "'pair' serves 3 tasks",
    "buffer": "buffer 'sram' holds 12 B",
    "rate": "'x' is used beyond its rate",
    "early": "d starts before time 0",
}


def test_the_checker_passes_a_schedule() -> None:
    verify_schedule(*broken("not at all"))


@pytest.mark.parametrize(("kind", "message"), FAULTS.items())
def test_the_checker_finds_each_fault(kind: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        verify_schedule(*broken(kind))


@pytest.mark.parametrize("seed", range(5))
def test_flows_beside_tasks_are_verified(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tasks = TaskGraphBuilder(buffers={"sram": 3.0})
    for i, resource in zip(range(40), itertools.cycle("abc"), strict=False):
        before = rng.integers(0, i, size=min(i, 2)).tolist() if i else []
        if i % 3 == 2:
            uses = {
                channel: float(rng.uniform(0.5, 2)) for channel in rng.choice(list("xyz"), 2, replace=False)
            }
            tasks.add_flow(float(rng.uniform(1, 2)), uses, before)
        else:
            task = tasks.add(float(rng.uniform(1, 3)), resource, before, buffer="sram", hold=1.0)
            tasks.add(0.0, None, [task], buffer="sram", hold=-1.0)
    plan = schedule_graph(tasks.build())
    plan.verify()
    assert plan.makespan >= plan.lower_bound * (1 - 1e-12)
    assert proved_bound(plan.graph, plan.bounds.stages) == pytest.approx(plan.bounds.value, rel=1e-9)


@st.composite
def staged_graphs(draw: st.DrawFn) -> TaskGraph:
    """Draw a graph whose fronts form a chain, with tasks between them that share the machines."""
    tasks = TaskGraphBuilder(capacities={"b": draw(st.integers(1, 2))})
    machine = st.sampled_from(["a", "b", "c", None])

    def add(after: list[int]) -> int:
        chosen = draw(machine)
        return tasks.add(draw(st.integers(0 if chosen is None else 1, 5)), chosen, after)

    last: list[int] = []
    for _ in range(draw(st.integers(2, 3))):
        between = [
            add(draw(st.lists(st.sampled_from(last), unique=True)) if last else [])
            for _ in range(draw(st.integers(1, 3)))
        ]
        last_free = draw(st.permutations(last))
        members = []
        size = draw(st.integers(1, 3))
        for m in range(size):
            own = last_free[m::size] or last_free[:1]  # every one of the last front leads to one of this
            members.append(add([*own, *draw(st.lists(st.sampled_from(between), unique=True))]))
        tasks.front(members)
        last = members
    for _ in range(draw(st.integers(0, 2))):
        add(draw(st.lists(st.sampled_from(last), unique=True)))
    return tasks.build()


@settings(max_examples=examples(60), deadline=None)
@given(staged_graphs())
def test_the_bound_holds_between_fronts(graph: TaskGraph) -> None:
    best, _ = optimum(graph)
    bounds = schedule_graph(graph).bounds
    assert bounds.fronts <= best + 1e-9
    assert proved_bound(graph, bounds.stages) == pytest.approx(bounds.value, rel=1e-9)


def test_a_fronts_first_member_need_not_follow_anothers_last() -> None:
    """Task 5 follows one of the first front only, and 14 is the machine's load; the bound once was 16."""
    tasks = TaskGraphBuilder()
    steps = [(5, "a", ()), (5, "a", ()), (1, "a", (0,)), (2, "c", ()), (3, "a", (2, 3)), (3, "b", (1,))]
    for duration, machine, before in [*steps, (2, "b", (5,))]:
        tasks.add(duration, machine, before)
    tasks.front([1, 2])
    tasks.front([4, 5])
    plan = schedule_graph(tasks.build())
    assert plan.makespan == plan.lower_bound == 14
    assert proved_bound(plan.graph, plan.graph.fronts) == 14  # nor does its verification prove more


def test_ways_tighten_the_bound_between_fronts() -> None:
    """Between the fronts the bus is idle until the first store, and the last load is still to be used."""
    tasks = TaskGraphBuilder()
    stage = [tasks.add(1, "pe")]
    for _ in range(2):
        loads = [tasks.add(2, "bus", [tasks.add(3, f"pe{i}", stage)]) for i in range(2)]
        tasks.front(loads)
        stage = [tasks.add(1, "pe", [tasks.add(4, None, loads)]) for _ in range(2)]
        tasks.front(stage)
    plan = schedule_graph(tasks.build())
    assert plan.makespan == plan.lower_bound == 1 + 2 * (3 + 2 * 2 + 4 + 2)
    plan.verify()


def test_a_stages_own_time_comes_behind_the_load_before_it() -> None:
    """Twice two loads of 2 s on one bus, then 4 s and 1 s: no set of loads alone proves more than 16."""
    tasks = TaskGraphBuilder()
    stage: list[int] = []
    for _ in range(2):
        loads = [tasks.add(2, "bus", stage) for _ in range(2)]
        stage = [tasks.add(1, None, [tasks.add(4, None, loads)])]
        tasks.front(stage)
    plan = schedule_graph(tasks.build())
    assert plan.bounds.quick == 16
    assert plan.makespan == plan.lower_bound == 18
    plan.verify()


def test_fronts_tighten_the_bound() -> None:
    """Stages of two tasks each: only the fronts see that the machines never work side by side."""
    tasks = TaskGraphBuilder()
    first = [tasks.add(2, "a"), tasks.add(2, "a")]
    middle = [tasks.add(3, "b", first), tasks.add(3, "b", first)]
    for _ in range(2):
        tasks.add(2, "a", middle)
    loose = schedule_graph(tasks.build())
    tasks.front(first)
    tasks.front(middle)
    tight = schedule_graph(tasks.build())
    assert loose.makespan == tight.makespan == 14
    assert loose.lower_bound < tight.lower_bound == 14
    tight.verify()
