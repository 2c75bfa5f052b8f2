"""All-reduce of gradients among three hosts or more: its time, its bound, and what verification sees."""

import dataclasses

import numpy as np
import pytest
from seeds import seeds

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch, Workload
from noptoolkit.allocation import Allocation
from noptoolkit.collectives import collective
from noptoolkit.errors import ScheduleError
from noptoolkit.network import flow_network
from noptoolkit.step import gradients
from noptoolkit.step.gradients import GradientSum, all_reduce_among
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
