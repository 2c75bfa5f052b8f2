"""What a finished schedule shows."""

import dataclasses
import warnings

import numpy as np
import pytest

from noptoolkit import Batch, Chiplet, Link, MoEModel, Package, RoutingTrace, Switch, Workload
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopWarning, ScheduleError, TopologyError, UnknownNameError, WorkloadError
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.nodes import OPTIMISERS, Efficiency, step_flops
from noptoolkit.package import Memory
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph, verify_schedule
from noptoolkit.step import Policy, schedule

TINY = MoEModel(
    "tiny",
    hidden=8,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=4,
    vocab=16,
    expert_width=4,
    experts=4,
    top_k=2,
    shared_experts=1,
)
TRACE = RoutingTrace([[0, 2], [0, 2], [1, 3], [0, 1]], num_experts=4)


def star(**memory: object) -> Package:
    """Return an attention chiplet and two expert chiplets round a hub, a stack for each role."""
    nodes = [
        Chiplet("attn", role="attention", flops=1e6, sram=4e3),
        Switch("hub"),
        Chiplet("e0", role="expert", flops=1e6, sram=4e3),
        Chiplet("e1", role="expert", flops=1e6, sram=4e3),
        Memory("m0", bandwidth=1e6, energy_per_bit=2e-12, serves=("attn",), **memory),  # type: ignore[arg-type]
        Memory("m1", bandwidth=1e6, energy_per_bit=2e-12, serves=("e0", "e1"), **memory),  # type: ignore[arg-type]
    ]
    links = [Link("hub", n, 1e6, energy_per_bit=1e-12) for n in ("attn", "e0", "e1", "m1")]
    return Package("star", nodes, [*links, Link("attn", "m0", 1e6, energy_per_bit=1e-12)])


def plan_of(policy: str | Policy = "streaming", mode: str = "training", **options: object) -> Schedule:
    batch = Batch(sequences=4, sequence_length=2, micro_batches=2, mode=mode)  # type: ignore[arg-type]
    return schedule(star(), Workload("tiny", TINY, batch, TRACE), policy=policy, **options)  # type: ignore[arg-type]


def test_serial_is_the_sum_of_its_stages() -> None:
    """Every number of the tiny step by hand: flops, bytes and copies, at 1e6 per second each."""
    plan = plan_of("serial", weights_on_network=False, layout="contiguous")
    tokens, value = 8, 2
    pairs = 4 * 2 * 3 / 2
    linear = 2 * 8 * 4 * (2 + 1)
    attention = 2 * tokens * linear + pairs * 2 * 2 * (4 + 4) + 2 * tokens * 8 * 4
    shared = 2 * tokens * 3 * 8 * 4
    # the trace of 4 tokens stands for 8: activations on e0 (experts 0, 1) and e1 (2, 3)
    experts = 6 * 8 * 4 * max(2 * (1 + 1 + 1 + 2), 2 * (1 + 1 + 1 + 0))
    host = (linear + 2 * 8 + 8 * 4 + 3 * 8 * 4) * value
    load = max(host, 4 * 3 * 8 * 4 * value)
    copies = 2 * tokens * 8 * value  # k copies of each token leave the attention chiplet, and come back
    forward = load + attention + shared + copies + experts + copies
    update = 2 * max(host / value, 2 * 3 * 8 * 4)
    backward = load + 2 * copies + 2 * (attention + shared + experts) + update + load
    head = 3 * 2 * tokens * 8 * 16 + 3 * 8 * 16 * value - 8 * 16 * value + 2 * 8 * 16
    assert 1e6 * plan.makespan == pytest.approx(2 * (forward + backward) + head, rel=1e-12)


def test_copies_of_an_expert_are_loaded_exchanged_and_updated() -> None:
    """The same step with a second copy of expert 0 on e1: the copies take turns, token by token."""
    layout = Allocation(("e0", "e1"), [0, 0, 1, 1], replicas=[[(0, 1)]])
    plan = plan_of("serial", weights_on_network=False, allocation=layout)
    expert, host, value = 3 * 8 * 4, 192 + 2 * 8 + 32 + 96, 2
    once = plan_of("serial", weights_on_network=False, layout="contiguous")
    load = max(host, 5 * expert) - max(host, 4 * expert)
    # activations: e0 has 2 + 5 of the two micro-batches and e1 has 6 + 3, where it was 10 and 6
    compute = 6 * 8 * 4 * (9 - 10)
    update = 2 * (max(host, 3 * expert) - max(host, 2 * expert))
    exchange = 2 * expert * value / 2  # 2 W / n each way, n = 2
    more = 2 * (3 * load * value + 3 * compute + update + exchange)
    assert 1e6 * (plan.makespan - once.makespan) == pytest.approx(more, rel=1e-9)


@pytest.mark.parametrize("policy", ["serial", "overlap", "all-to-all", "streaming"])
def test_chiplets_compute_exactly_what_the_model_needs(policy: str) -> None:
    plan = plan_of(policy)
    chiplets = [plan.resources.index(name) for name in ("attn", "e0", "e1")]
    busy = (plan.utilisation[chiplets] * plan.makespan).sum()
    assert busy * 1e6 == pytest.approx(step_flops_without_norms(plan), rel=1e-12)


def step_flops_without_norms(plan: Schedule) -> float:
    """Return the step's operations; norms are updated but their weights are not all placed by `step_of`."""
    assert plan.workload is not None
    batch = plan.workload.batch
    unplaced = (
        TINY.vocab * TINY.hidden + TINY.hidden
    )  # embedding table and last norm: not loaded, not updated
    return step_flops(TINY, batch, OPTIMISERS["sgd"]) - 2 * unplaced


def test_energy_by_hand() -> None:
    plan = plan_of("all-to-all", energy_per_flop=3e-12)
    assert plan.workload is not None
    assert plan.energy is not None
    assert plan.energy.unknown == ()
    assert plan.energy.compute == pytest.approx(3e-12 * step_flops(TINY, plan.workload.batch))
    weights = 2 * 2 * (192 + 16 + 32 + 96 + 4 * 96)  # bytes of both layers
    head = 2 * 16 * 8
    moved = 3 * weights + 2 * head  # loaded forward, backward and stored; the head loaded and stored once
    assert plan.energy.memory == pytest.approx(8 * 2e-12 * moved)
    host_weights, expert_weights = 2 * 2 * (192 + 16 + 32 + 96), 2 * 2 * 4 * 96
    by_hops = 3 * host_weights + 2 * head + 2 * 3 * expert_weights  # m0 is one hop away, m1 two
    tokens = 2 * 2 * 2 * 2 * 8 * 16 * 7 / 4  # layers, passes, ways, hops, tokens, bytes, C_T
    assert plan.energy.network == pytest.approx(8 * 1e-12 * (by_hops + tokens))


def test_sram_high_water_is_within_the_sram() -> None:
    plan = plan_of()
    assert set(plan.high_water) == {"attn", "e0", "e1"}
    for name, most in plan.high_water.items():
        assert 0 < most <= 4e3, name


def test_a_package_without_memory_says_that_loading_is_free() -> None:
    full = star()
    bare = full.replace(
        nodes=[node for node in full.nodes if not isinstance(node, Memory)],
        links=[link for link in full.links if not {link.a, link.b} & {"m0", "m1"}],
    )
    workload = Workload("tiny", TINY, Batch(4, 2, 2), TRACE)
    with pytest.warns(NopWarning, match="'star' has no memory stacks: weights and caches take no time"):
        plan = schedule(bare, workload)
    assert plan.breakdown.load == 0.0


def test_weights_that_do_not_fit() -> None:
    small = star()
    nodes = [dataclasses.replace(n, sram=300.0) if isinstance(n, Chiplet) else n for n in small.nodes]
    workload = Workload("tiny", TINY, Batch(4, 2, 2), TRACE)
    with pytest.raises(ScheduleError, match=r"does not fit in 300 B of SRAM; use more than slices=1"):
        schedule(small.replace(nodes=nodes), workload, slices=1)
    plan = schedule(small.replace(nodes=nodes), workload)  # as many slices as it takes
    assert max(plan.high_water.values()) <= 300.0


def test_critical_path_is_a_chain_from_start_to_end() -> None:
    for policy in ("serial", "streaming"):
        plan = plan_of(policy)
        chain = plan.critical_path
        assert plan.start[chain[0]] == 0.0
        assert plan.end[chain[-1]] == plan.makespan
        assert (plan.start[chain[1:]] == plan.end[chain[:-1]]).all()


def test_busy_share_adds_up_to_the_utilisation() -> None:
    for contention in ("factor", "fluid"):
        plan = plan_of(contention=contention)
        edges = np.linspace(0.0, plan.makespan, 14)
        share = plan.busy_share(edges)
        assert share.shape == (len(plan.resources), 13)
        assert share.mean(axis=1) == pytest.approx(plan.utilisation)
        assert share.max() <= 1 + 1e-9


def test_busy_share_by_hand() -> None:
    tasks = TaskGraphBuilder()
    tasks.add(1.0, "pe", [tasks.add(3.0, "dram")])
    plan = schedule_graph(tasks.build())
    assert plan.busy_share([0.0, 2.0, 4.0])[plan.resources.index("dram")].tolist() == [1.0, 0.5]


def one_transfer(contention: str) -> float:
    """Return the step time where communication is nearly everything and nothing runs beside a transfer."""
    batch = Batch(sequences=4, sequence_length=2, micro_batches=1)
    slow = star()
    links = [dataclasses.replace(link, bandwidth=1e3) for link in slow.links]
    workload = Workload("tiny", TINY, batch, TRACE)
    plan = schedule(
        slow.replace(links=links), workload, policy="overlap", contention=contention, weights_on_network=False
    )
    verify_schedule(plan.graph, plan.start, plan.end)
    return plan.makespan


def test_factor_is_no_slower_than_fluid_or_reserve_on_lone_transfers() -> None:
    factor = one_transfer("factor")
    assert factor <= one_transfer("fluid") * (1 + 1e-9)
    assert factor <= one_transfer("reserve") * (1 + 1e-9)


@pytest.mark.parametrize("contention", ["factor", "fluid", "reserve"])
@pytest.mark.parametrize("mode", ["training", "prefill", "decode"])
def test_every_contention_gives_a_schedule(contention: str, mode: str) -> None:
    plan = plan_of("streaming", mode, contention=contention)
    verify_schedule(plan.graph, plan.start, plan.end)
    assert plan.makespan >= plan.lower_bound * (1 - 1e-12)


def test_efficiency_scales_the_serial_step() -> None:
    full, half = plan_of("serial"), plan_of("serial", efficiency=Efficiency(0.5, 0.5, 0.5))
    assert half.makespan == pytest.approx(2 * full.makespan, rel=1e-12)


def test_an_optimiser_with_state_moves_more() -> None:
    plain, adam = plan_of("serial"), plan_of("serial", optimiser="adam")
    assert adam.breakdown.load > plain.breakdown.load
    with pytest.raises(ScheduleError, match="did you mean 'adam'"):
        plan_of(optimiser="adm")


def test_best_is_no_worse_than_what_it_searches() -> None:
    best = plan_of("best")
    assert best.makespan <= plan_of("streaming").makespan
    assert best.policy is not None
    assert isinstance(best.policy.prefetch, int)


def test_bad_questions() -> None:
    workload = Workload("tiny", TINY, Batch(4, 2, 2), TRACE)
    with pytest.raises(UnknownNameError, match="did you mean 'streaming'"):
        schedule(star(), workload, policy="steaming")
    with pytest.raises(UnknownNameError, match="did you mean 'prefetch'"):
        schedule(star(), workload, prefech=1)
    with pytest.raises(ScheduleError, match="prefetch -1 must be"):
        schedule(star(), workload, prefetch=-1)
    with pytest.raises(ScheduleError, match="did you mean 'fluid'"):
        schedule(star(), workload, contention="fluids")
    with pytest.raises(WorkloadError, match="4 sequences do not divide into 3 micro-batches"):
        schedule(star(), workload, micro_batches=3)
    nodes = [Chiplet(name, flops=1e6, role="attention") for name in "ab"]
    no_experts = Package("pair", nodes, [Link("a", "b", 1e6)])
    with pytest.raises((TopologyError, WorkloadError), match="no expert chiplet"):
        schedule(no_experts, workload)
    mute = star()
    nodes = [dataclasses.replace(n, flops=None) if n.name == "e0" else n for n in mute.nodes]  # type: ignore[arg-type]
    with pytest.raises(
        ScheduleError, match="'star': chiplet 'e0' does not say how fast it computes; give flops"
    ):
        schedule(mute.replace(nodes=nodes), workload)


def test_a_full_step_reaches_its_bound_where_prefetch_is_free() -> None:
    package = load_topology("mozart-nop-tree")
    roomy = package.replace(
        nodes=[dataclasses.replace(n, sram=None) if isinstance(n, Chiplet) else n for n in package.nodes]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        plan = schedule(roomy, load_workload("qwen3-30b-a3b"), prefetch=96)
    assert len(plan.graph) > 24000
    assert plan.gap <= 1e-3


def test_table_of_a_schedule() -> None:
    head, body = plan_of().cells()
    assert len(head) == 3
    assert {row[0] for row in body} >= {"makespan", "lower bound", "gap", "dynamic energy", "SRAM, fullest"}
    assert any("tasks" in line for line in plan_of().notes())
