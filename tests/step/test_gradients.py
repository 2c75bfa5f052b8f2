"""All-reduces of gradients among hosts, and among holders of copies: time, bound, what verification sees."""

import dataclasses

import numpy as np
import pytest
from seeds import seeds

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch, Workload
from noptoolkit.allocation import Allocation
from noptoolkit.collectives import Request, collective
from noptoolkit.errors import ScheduleError
from noptoolkit.network import flow_network
from noptoolkit.step import gradients
from noptoolkit.step.gradients import GradientSum, all_reduce_among, all_reduce_of_copies, holders_of
from noptoolkit.step.result import StepSchedule
from noptoolkit.workload import Batch, MoEModel

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory", "ignore:.*single")


def package(rows: int, columns: int, *, wide: bool = False) -> Package:
    """Return a grid of experts without attention chiplets, each with a memory stack of its own."""
    names = [f"e{i}" for i in range(rows * columns)]
    nodes: list[Chiplet | Memory | Switch] = [
        Chiplet(name, flops="1 TFLOP/s", role="expert") for name in names
    ]
    nodes += [Memory(f"m{i}", "4 GB/s", capacity="1 GB", serves=(name,)) for i, name in enumerate(names)]
    links = [Link(f"m{i}", name, "4 GB/s", kind="memory") for i, name in enumerate(names)]
    for i in range(rows * columns):
        if (i + 1) % columns:
            links.append(Link(f"e{i}", f"e{i + 1}", "3 GB/s" if wide and i % 2 else "1 GB/s"))
        if i + columns < rows * columns:
            links.append(Link(f"e{i}", f"e{i + columns}", "1 GB/s"))
    return Package("grid", nodes, links)


def workload(experts: int, mode: str = "training") -> Workload:
    model = MoEModel("tiny", 64, 2, 4, 4, 16, 200, expert_width=32, experts=experts, top_k=2)
    ids = np.stack([np.arange(32) % experts, (np.arange(32) + 3) % experts], axis=1)
    batch = Batch(sequences=2, sequence_length=16, micro_batches=1, mode=mode)  # type: ignore[arg-type]
    return Workload("tiny", model, batch, RoutingTrace(ids, num_experts=experts))


def layout(chips: int) -> Allocation:
    return Allocation(tuple(f"e{i}" for i in range(chips)), np.repeat(np.arange(chips), 2).tolist())


@pytest.mark.parametrize("routing", ["shortest", "optimal"])
@pytest.mark.parametrize("policy", ["serial", "streaming"])
def test_gradients_take_the_time_of_the_all_reduce(policy: str, routing: str) -> None:
    grid = package(2, 3)
    plan = nop.schedule(grid, workload(12), layout(6), policy=policy, routing=routing)
    model = plan.step.workload.model
    sent = plan.step.blocks[0].exchange["attention"]
    size = 2.0 * (model.attention_parameters + 2 * model.hidden + model.router_parameters)
    assert sent.time == pytest.approx(size * 5 / 7 / 1e9)  # five joined parts over the seven links of 2 x 3
    assert sent.time == pytest.approx(collective(grid, "all-reduce", size).time)
    assert plan.any_routing.value <= plan.lower_bound * (1 + 1e-9)
    assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
    plan.verify()


@pytest.mark.parametrize("wide", [False, True])
def test_a_step_of_gradients_alone_meets_the_bound_of_the_all_reduce(wide: bool) -> None:
    grid = package(3, 3, wide=wide)
    plan = nop.schedule(grid, workload(18), layout(9), policy="serial", routing="optimal")
    proof = plan.any_routing
    for sent, priced in zip(plan.step.transfers(), proof.step.transfers(), strict=True):
        if sent.summed is not None:
            best = max(max(priced.uses.values()), max(lane.least for lane in priced.parts.values()))
            assert best == pytest.approx(sent.summed.time_bound, rel=1e-6)
            assert best <= sent.time * (1 + 1e-9)
    plan.verify()


@pytest.mark.parametrize("most", [16, 0])
@pytest.mark.parametrize("seed", seeds(4, 6))
def test_prices_never_cost_more_than_any_schedule(
    seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices of all kinds, zeros among them, prove no more than what the best schedule takes."""
    monkeypatch.setattr(gradients, "MOST_HOSTS", most)
    rng = np.random.default_rng(seed)
    grid = package(2, int(rng.integers(2, 5)), wide=seed % 2 == 1)
    hosts = rng.permutation(grid.experts)[: int(rng.integers(3, len(grid.experts) + 1))].tolist()
    found = GradientSum(all_reduce_among(grid, hosts), 1e9)
    capacity = flow_network(grid).capacity
    prices = rng.random((40, len(capacity))) * (rng.random((40, len(capacity))) < 0.5)
    prices = prices / (prices @ capacity)[:, None]
    costs = found.costs(np.vstack([prices, found.result.prices]))
    time = float((found.use / capacity).max())
    assert (costs <= time * (1 + 1e-9)).all()
    assert (prices @ found.use >= costs[:-1] * (1 - 1e-9)).all()
    assert found.time_bound <= time * (1 + 1e-9)
    assert costs[-1] <= time * (1 + 1e-9)
    monkeypatch.setattr(gradients, "MOST_HOSTS", 16)
    assert (costs <= found.costs(np.vstack([prices, found.result.prices])) * (1 + 1e-9)).all()
    assert costs.max() > 0.1 * time


def test_two_hosts_send_their_gradients_to_each_other() -> None:
    grid = package(1, 2)
    plan = nop.schedule(grid, workload(4), layout(2), policy="serial", routing="shortest")
    sent = plan.step.blocks[0].exchange["attention"]
    assert sent.summed is None
    size = float(next(iter(sent.pairs.values())))
    assert sent.time == pytest.approx(collective(grid, "all-reduce", size).time)


def test_no_gradients_without_training() -> None:
    plan = nop.schedule(package(2, 2), workload(8, "prefill"), layout(4), routing="shortest")
    assert all(sent.summed is None for sent in plan.step.transfers())


def test_verification_sees_a_wrong_sum() -> None:
    plan = nop.schedule(package(2, 2), workload(8), layout(4), policy="serial", routing="shortest")
    plan.verify()

    def but(**changes: object) -> None:
        step = plan.step.with_transfers(
            lambda sent: sent if sent.summed is None else dataclasses.replace(sent, **changes)  # type: ignore[arg-type]
        )
        with pytest.raises(ScheduleError, match="exchange"):
            dataclasses.replace(plan, step=step).verify()

    sent = plan.step.blocks[0].exchange["attention"]
    assert sent.summed is not None
    but(load=sent.load * 0.5)
    but(uses={name: 0.5 * time for name, time in sent.uses.items()})
    faster = dataclasses.replace(sent.summed.result, time_bound=2 * sent.summed.result.time_bound)
    but(summed=GradientSum(faster, sent.summed.size))


COPIES = [(0, 2), (0, 4), (1, 4), (1, 2), (5, 3), (6, 0), (6, 1)]
"""Of experts 0 and 1 (at e0) at e2 and e4, of 5 (at e2) at e3, of 6 (at e3) at e0 and e1."""


def copied(copies: list[tuple[int, int]] = COPIES) -> Allocation:
    return Allocation(layout(6).experts, np.repeat(np.arange(6), 2), replicas=[copies])


def plan_of(policy: str = "streaming", routing: str = "optimal") -> StepSchedule:
    return nop.schedule(package(2, 3), workload(12), copied(), policy=policy, routing=routing)


@pytest.mark.parametrize(("policy", "routing"), [("serial", "shortest"), ("streaming", "optimal")])
def test_copies_take_the_time_of_all_their_all_reduces_together(policy: str, routing: str) -> None:
    plan = plan_of(policy, routing)
    sent = plan.step.blocks[0].exchange["expert"]
    size = 2.0 * plan.step.workload.model.expert_parameters
    groups = [
        Request("all-reduce", 2 * size, ("e0", "e2", "e4")),
        Request("all-reduce", size, ("e2", "e3")),
        Request("all-reduce", size, ("e0", "e1", "e3")),
    ]
    together = collective(plan.step.package, groups=groups, in_network=False)
    assert sent.time == pytest.approx(together.time, rel=0.01)
    assert sent.time >= together.time_bound * (1 - 1e-9)
    assert sent.size == pytest.approx(2 * size * (2 * 2 + 1 + 2))
    assert sent.time > max(collective(plan.step.package, groups=[one]).time for one in groups)
    assert plan.any_routing.value <= plan.lower_bound * (1 + 1e-9)
    assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
    assert plan.verify()


def test_sets_of_holders_are_counted() -> None:
    assert holders_of(copied()) == {("e0", "e2", "e4"): 2, ("e2", "e3"): 1, ("e0", "e1", "e3"): 1}
    assert holders_of(layout(6)) == {}


def test_pairs_send_their_gradients_to_each_other() -> None:
    grid = package(2, 3)
    plan = nop.schedule(grid, workload(12), copied([(0, 2), (5, 3)]), policy="serial")
    sent, size = plan.step.blocks[0].exchange["expert"], 2.0 * plan.step.workload.model.expert_parameters
    assert sent.summed is None
    assert sent.pairs == dict.fromkeys((("e0", "e2"), ("e2", "e0"), ("e2", "e3"), ("e3", "e2")), size)
    both = [Request("all-reduce", size, ("e0", "e2")), Request("all-reduce", size, ("e2", "e3"))]
    assert sent.time >= collective(grid, groups=both).time_bound * (1 - 1e-9)
    plan.verify()


@pytest.mark.parametrize("most", [16, 0])
@pytest.mark.parametrize("seed", range(2))
def test_prices_of_several_groups_never_cost_more_than_any_schedule(
    seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "MOST_HOSTS", most)
    rng = np.random.default_rng(seed)
    grid = package(2, 3, wide=seed % 2 == 1)
    places = rng.permuted(np.tile(np.arange(6), (4, 1)), axis=1)[:, :4]
    copies = [(2 * int(own), int(other)) for own, *others in places for other in others]
    found = GradientSum(all_reduce_of_copies(grid, copied(list(dict.fromkeys(copies)))), 1e9)
    capacity = flow_network(grid).capacity
    prices = rng.random((20, len(capacity))) * (rng.random((20, len(capacity))) < 0.5)
    prices = np.vstack([prices / (prices @ capacity)[:, None], found.result.prices])
    time = float((found.use / capacity).max())
    costs = found.costs(prices)
    assert (costs <= time * (1 + 1e-9)).all()
    assert (prices @ found.use >= costs * (1 - 1e-9)).all()
    assert found.time_bound <= time * (1 + 1e-9)
    monkeypatch.setattr(gradients, "MOST_HOSTS", 16)
    assert (costs <= found.costs(prices) * (1 + 1e-9)).all()


def test_verification_sees_other_groups_and_other_bytes() -> None:
    plan = plan_of("serial", "shortest")
    plan.verify()
    sent = plan.step.blocks[0].exchange["expert"]
    assert sent.summed is not None

    def but(groups: tuple[Request, ...], scale: float = 1.0) -> None:
        result = collective(plan.step.package, groups=groups, in_network=False)
        assert sent.summed is not None
        wrong = GradientSum(result, sent.summed.scale * groups[0].size * scale)
        time = wrong.use / flow_network(plan.step.package).capacity
        uses = {name: float(x) for name, x in zip(result.network.names, time, strict=True) if x > 0}
        changed = dataclasses.replace(sent, summed=wrong, load=wrong.load, uses=uses)
        step = plan.step.with_transfers(lambda one: changed if one.index == sent.index else one)
        with pytest.raises(ScheduleError, match=r"hold the same weights|something else"):
            dataclasses.replace(plan, step=step).verify()

    groups = sent.summed.result.requests
    but(groups[:-1])
    but(groups, scale=0.5)
    but((*groups[:-1], Request("all-reduce", groups[-1].size, ("e0", "e1", "e5"))))
    but((*groups[:-1], Request("reduce", groups[-1].size, groups[-1].members)))


@pytest.mark.parametrize("kind", ["dispatch", "combine"])
@pytest.mark.parametrize("wide", [False, True])
def test_activations_alone_take_the_time_of_an_all_to_all_of_the_same_bytes(kind: str, wide: bool) -> None:
    grid = package(2, 3, wide=wide)
    plan = nop.schedule(
        grid, workload(12), copied(), policy="serial", routing="optimal-alone", degree="copies"
    )
    sent = getattr(plan.step.blocks[0], kind)[0]
    names = grid.experts
    bytes_between = [[sent.pairs.get((a, b), 0.0) for b in names] for a in names]
    alone = collective(grid, "all-to-all", among=names, shares=bytes_between)
    assert sent.time == pytest.approx(alone.time, rel=1e-6)
    assert sent.time >= alone.time_bound * (1 - 1e-9)
    assert np.count_nonzero(bytes_between) > 20


def test_the_bound_over_all_routings_is_never_above_an_optimum_of_cp_sat() -> None:
    """All orders of all tasks, under several routings; durations are rounded down to whole numbers."""
    from ortools.sat.python import cp_model

    chain = package(1, 3)
    copies = Allocation(layout(3).experts, np.repeat(np.arange(3), 2), replicas=[[(0, 1), (0, 2), (3, 2)]])
    for routing in ("shortest", "optimal"):
        plan = nop.schedule(chain, workload(6), copies, policy="serial", routing=routing)
        graph, unit = plan.graph, plan.makespan / 1e6
        durations = np.floor(graph.duration / unit).astype(int)
        model, held = cp_model.CpModel(), dict[int, list[cp_model.IntervalVar]]()
        starts = [model.new_int_var(0, 2_000_000, "") for _ in durations]
        for i, need in enumerate(graph.need.tolist()):
            task = model.new_fixed_size_interval_var(starts[i], int(durations[i]), "")
            for resource in graph.needs[need][0]:
                if graph.capacity[resource] == 1:
                    held.setdefault(resource, []).append(task)
            for p in graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]].tolist():
                model.add(starts[i] >= starts[p] + int(durations[p]))
        for tasks in held.values():
            model.add_no_overlap(tasks)
        end = model.new_int_var(0, 2_000_000, "")
        model.add_max_equality(end, [s + int(d) for s, d in zip(starts, durations, strict=True)])
        model.minimize(end)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        assert solver.solve(model) == cp_model.OPTIMAL
        assert plan.any_routing.value <= (solver.objective_value + len(durations)) * unit
        assert plan.makespan >= solver.objective_value * unit
