"""Energy of a plan's step: by hand on two chiplets, on two levels, and what has no figure."""

import dataclasses

import pytest

import noptoolkit as nop
from noptoolkit import Batch, Chiplet, Link, Memory, MoEModel, Package, ParallelPlan, Switch, Workload
from noptoolkit.errors import PlanError
from noptoolkit.plans import plan_step
from noptoolkit.plans.group_times import Family, GroupTimes

BIT = 1e-12 / 8  # J/bit, of 1 pJ a byte
MODEL = MoEModel(
    "two experts",
    *(64, 2, 4, 4, 16, 128),  # hidden, layers, heads, kv_heads, head_dim, vocab
    expert_width=32,
    experts=2,
    top_k=1,
)


def pair() -> Package:
    """Return two chiplets, 3 pJ a byte apart, each with a stack at 5 pJ a byte over a link at 2 pJ a byte."""
    nodes: list[Chiplet | Memory] = [Chiplet(name, role="expert", flops=1e12) for name in ("a", "b")]
    nodes += [
        Memory(f"hbm-{name}", bandwidth=1e11, capacity=1e12, energy_per_bit=5 * BIT, serves=(name,))
        for name in ("a", "b")
    ]
    links = [Link("a", "b", 1e11, energy_per_bit=3 * BIT)]
    links += [Link(f"hbm-{n}", n, 1e11, kind="memory", energy_per_bit=2 * BIT) for n in ("a", "b")]
    return Package("pair", nodes, links)


def given(mode: str) -> Workload:
    batch = Batch(sequences=4, sequence_length=16, micro_batches=1, mode=mode)
    return Workload("two experts", MODEL, batch)


def work() -> tuple[float, float, float]:
    """Return operations, bytes and scores of a forward of one rank in both layers.

    A rank has 2 sequences of 16 tokens; the mean expert gets 32 rows.
    """
    rows, h, f = 32, 64, 32
    maps = [(rows, h, 3 * 64, 1), (rows, 64, h, 1), (rows, h, 2, 1), (rows, h, 2 * f, 1), (rows, f, h, 1)]
    flops = sum(2 * r * i * o for r, i, o, _ in maps)
    moved = sum(2 * (r * i + n * i * o + r * o) for r, i, o, n in maps)
    moved += 2 * rows * (12 * h + 8 * h + 3 * f)  # norms and residuals; permuting; the experts' inner width
    scores = 2 * (16 * 17 / 2) * 4 * 4 * 16
    return 2 * flops, 2 * moved, 2 * scores


def test_prefill_by_hand() -> None:
    step = plan_step(ParallelPlan(ep=2), given("prefill"), pair(), energy_per_flop="2 pJ")
    flops, moved, scores = work()
    head_flops, head_bytes = 2 * 2 * 64 * 128, 2 * (2 * 64 + 64 * 128 + 2 * 128) + 8 * 2 * 128
    assert step.energy.compute == pytest.approx(2e-12 * 2 * (flops + scores + head_flops))
    assert step.energy.memory == pytest.approx(7e-12 * 2 * (moved + head_bytes))
    # each rank sends half of 32 rows of 64 values to the other, twice a layer
    assert step.energy.network == pytest.approx(3e-12 * 2 * (2 * 2 * 16 * 64 * 2))
    assert step.energy.unknown == ()


def test_training_by_hand() -> None:
    """Three times a forward's products, 3.5 times its scores, the update's bytes, gradients of attention."""
    step = plan_step(ParallelPlan(ep=2, zero=1), given("training"), pair(), energy_per_flop=2e-12)
    flops, moved, scores = work()
    head_flops, head_bytes = 2 * 32 * 64 * 128, 2 * (32 * 64 + 64 * 128 + 32 * 128) + 8 * 32 * 128
    assert step.energy.compute == pytest.approx(2e-12 * 2 * (3 * flops + 3.5 * scores + 3 * head_flops))
    attention = 4 * 64 * 64 + 2 * 64
    dense = 2 * (attention + 2 * 64) + 2 * 64 * 128 + 64  # layers with their router; tables; the last norm
    expert = 2 * 3 * 64 * 32
    update = 30 * (dense / 2 + expert)
    assert step.energy.memory == pytest.approx(7e-12 * 2 * (3 * (moved + head_bytes) + update))
    layers = 2 * (2 * 2 * 2 * 16 * 64 * 2)  # two layers, both ways, forward and backward, both ranks
    gradients = 2 * dense / 2 * (4 + 2)  # reduce-scatter in FP32, all-gather in two bytes
    assert step.energy.network == pytest.approx(3e-12 * (layers + gradients))
    again = plan_step(ParallelPlan(ep=2, recompute="full"), given("training"), pair(), energy_per_flop=2e-12)
    assert again.energy.compute - step.energy.compute == pytest.approx(2e-12 * 2 * (flops + scores))


def test_a_byte_on_two_levels() -> None:
    """An all-to-all of eight on two nodes of four: three of eight parts stay, at two links a byte."""
    nodes = [
        *(Chiplet(f"g{i}", role="expert", flops=1e12) for i in range(8)),
        *map(Switch, ("n0", "n1", "f")),
    ]
    links = [Link(f"g{i}", f"n{i // 4}", 400e9, energy_per_bit=BIT) for i in range(8)]
    links += [Link(f"g{i}", "f", 50e9, energy_per_bit=10 * BIT) for i in range(8)]
    package = Package("two nodes", nodes, links)
    times = GroupTimes(package)
    found = times.interval(Family("all-to-all", 8, 1))
    assert found.joules == pytest.approx(8 * 2 * (3 / 8 * 1e-12 + 4 / 8 * 10e-12), rel=1e-9, abs=0)
    inside = times.interval(Family("all-gather", 4, 1))  # 3 bytes a member, 1/9 of them by the cards
    assert inside.joules == pytest.approx(8 * 2 * 3 * (8 / 9 * 1e-12 + 1 / 9 * 10e-12), rel=1e-9, abs=0)


def test_stages_share_the_messages_of_a_layer() -> None:
    """Two stages of two ranks: each layer's exchange runs in its own stage, one message to the next stage."""
    nodes = [Chiplet(f"g{i}", role="expert", flops=1e12) for i in range(4)]
    links = [Link(f"g{i}", f"g{i + 1}", 1e11, energy_per_bit=BIT) for i in range(3)]
    step = plan_step(ParallelPlan(ep=2, pp=2), given("prefill"), Package("row", nodes, links))
    layer = 2 * 2 * 16 * 64 * 2  # dispatch and combine, both ranks
    between = 2 * 32 * 64 * 2 * 2  # g0 to g2 and g1 to g3: two links each
    assert step.energy.network == pytest.approx(1e-12 * (2 * layer + between))
    assert step.energy.unknown == ("compute", "memory")
    row = next(row for row in step.table().rows if str(row[0]).startswith("energy"))
    assert row[0] == "energy of network alone"
    assert "no figure for compute and memory, which is not in it" in str(row[2])


def test_without_figures_nothing_is_claimed() -> None:
    package = pair()
    bare = Package("bare", package.chiplets, [dataclasses.replace(package.links[0], energy_per_bit=None)])
    step = plan_step(ParallelPlan(ep=2), given("prefill"), bare)
    assert step.energy.unknown == ("compute", "memory", "network")
    assert "not stated" in str(step.table())
    with pytest.raises(PlanError, match="negative"):
        plan_step(ParallelPlan(ep=2), given("prefill"), bare, energy_per_flop=-1.0)
    with pytest.raises(nop.errors.NopError, match="energy_per_flop"):
        plan_step(ParallelPlan(ep=2), given("prefill"), bare, energy_per_flop="much")
