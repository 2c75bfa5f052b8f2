"""Bytes of every dimension against published values and a recount by token; times against the engines."""

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noptoolkit as nop
from noptoolkit import Batch, MoEModel, ParallelPlan, RoutingTrace, collective, topology
from noptoolkit.errors import PlanError, UnknownNameError
from noptoolkit.plans import (
    Exchange,
    PlanNetwork,
    Room,
    communication_time,
    dispatched_bytes,
    exchange_table,
    exchanges_of,
    groups,
    nested_order,
    place,
    placed,
    plan_memory,
)
from noptoolkit.plans.memory import parameters_of
from noptoolkit.plans.plan_step import plan_step
from noptoolkit.plans.stages import chunks_of
from noptoolkit.plans.step_costs import FamilyExchange, gradient_exchanges, layer_exchanges
from noptoolkit.plans.two_levels import Ask, two_levels_of

MIB = 2**20


@pytest.mark.parametrize(
    ("name", "plan", "world", "mib"),
    [
        ("mixtral-8x22b", ParallelPlan(tp=2, ep=4, etp=2, pp=8), 128, (36, 48, 24)),
        ("mixtral-8x22b", ParallelPlan(tp=2, ep=8, pp=8), 128, (42, 0, 24)),
        ("mixtral-8x22b-g8t8", ParallelPlan(tp=2, ep=8, etp=2, pp=8), 128, (168, 192, 24)),
        ("mixtral-8x22b-g8t8", ParallelPlan(tp=4, ep=8, pp=8), 128, (84, 0, 36)),
    ],
)
def test_published_bytes(name: str, plan: ParallelPlan, world: int, mib: tuple[float, ...]) -> None:
    """What a rank receives of one layer and micro-batch of 4096 tokens: all-to-all, ETP, TP."""
    workload = nop.load_workload(name)
    plan = plan.on(world)
    plan = plan.replace(micro_batches=256 // plan.world * plan.pp * plan.tp)
    found = {(e.name, e.direction): e for e in exchanges_of(plan, workload.model, workload.batch)}
    assert found["dispatch", "forward"].received / MIB == mib[0]
    inside = found.get(("gathered tokens", "forward"))
    assert (0 if inside is None else inside.received / MIB) == mib[1]
    assert found["attention in", "forward"].received / MIB == mib[2]


def test_a_folded_plan_of_mixtral_8x7b() -> None:
    """64 chiplets, TP4 CP2 DP8, EP8 EDP8, s 8192: AG 2 + RS 2 of 32 MiB, CP 3 x 4 MiB, EP 4 x 16 MiB."""
    workload = nop.load_workload("mixtral-8x7b").with_batch({"sequence_length": 8192})
    plan = ParallelPlan(tp=4, cp=2, ep=8, dp=8, micro_batches=4)
    found = [e for e in exchanges_of(plan, workload.model, workload.batch) if e.direction != "update"]
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for exchange in found:
        sums[exchange.dimension, exchange.kind] += exchange.times * exchange.size / MIB
    assert dict(sums) == {
        ("tp", "all-gather"): 2 * 32,
        ("tp", "reduce-scatter"): 2 * 32,
        ("cp", "ring"): 3 * 4,
        ("ep", "all-to-all"): 4 * 16,
    }


MODEL = MoEModel(
    "toy", hidden=4, layers=4, heads=4, kv_heads=4, head_dim=2, vocab=8, expert_width=8, experts=4, top_k=2,
    shared_experts=1, dense_layers=1, dense_width=8,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
)
def test_bytes_recounted_token_by_token(tp: int, cp: int, ep: int, etp: int, pp: int) -> None:
    """Every value that crosses from rank to rank, counted by who has it and who needs it."""
    dp = math.lcm(tp * cp, ep * etp) // (tp * cp)
    plan = ParallelPlan(tp=tp, cp=cp, ep=ep, etp=etp, pp=pp, dp=dp, micro_batches=2)
    batch = Batch(sequences=2 * dp, sequence_length=8, micro_batches=2)
    tokens: dict[int, set[tuple[int, int]]] = {
        r: set() for r in range(plan.stage_ranks)
    }  # of the first stage: (sequence, position)
    for d in range(dp):
        for position in range(8):
            owner = (d * cp + position // (8 // cp)) * tp + position % (8 // cp) // (8 // cp // tp)
            tokens[owner].add((d, position))
    row = MODEL.hidden * 2
    counted: dict[str, float] = defaultdict(float)
    for group in groups(plan, "tp")[: dp * cp].tolist():
        everything = set().union(*(tokens[r] for r in group))
        for r in group:
            counted["attention in"] += row * len(everything - tokens[r])
            counted["attention out"] += row * len(tokens[r]) * (tp - 1)
    kv = 2 * MODEL.kv_heads * MODEL.head_dim * 2 // tp
    for group in groups(plan, "cp")[: dp * tp].tolist():
        for _ in group:
            counted["keys and values"] += kv * (cp - 1) * (8 // cp)
    for group in groups(plan, "ep")[: plan.stage_ranks // ep].tolist():
        for r in group:
            for _ in range(len(tokens[r]) * MODEL.top_k * (ep - 1)):
                counted["dispatch"] += row / ep
    for group in groups(plan, "etp")[: plan.stage_ranks // etp].tolist():
        for r in group:
            counted["gathered tokens"] += row * sum(len(tokens[q]) for q in group if q != r) * MODEL.top_k
    found = {
        e.name: e.received * e.times * e.ranks.size / pp
        for e in exchanges_of(plan, MODEL, batch)
        if e.direction == "forward" and e.where in ("every layer", "moe layer")
    }
    for name, size in counted.items():
        assert found.get(name, 0.0) == pytest.approx(size), name
    ahead = [e for e in exchanges_of(plan, MODEL, batch) if e.name == "to the next stage"]
    assert sum(e.size * len(e.ranks) for e in ahead) == (2 * row * 8 * dp if pp > 1 else 0)


def test_real_routing_is_counted_as_it_is() -> None:
    trace = RoutingTrace([[0, 1], [0, 2], [0, 1], [3, 2]], num_experts=4)
    plan = ParallelPlan(ep=2, dp=2, micro_batches=1)
    batch = Batch(sequences=2, sequence_length=2, micro_batches=1)
    row = MODEL.hidden * 2
    by_expert = dispatched_bytes(plan, MODEL, batch, trace=trace)[0] / row
    assert by_expert.tolist() == [[3, 1], [2, 2]]
    by_chiplet = dispatched_bytes(plan, MODEL, batch, trace=trace, copies="chiplets")[0] / row
    assert by_chiplet.tolist() == [[2, 1], [1, 1]]
    owned = dispatched_bytes(plan, MODEL, batch, trace=trace, owner=[0, 1, 0, 1])[0] / row
    assert owned.tolist() == [[3, 1], [2, 2]]
    skewed = [e for e in exchanges_of(plan, MODEL, batch, trace=trace) if e.name == "dispatch"]
    assert skewed[0].received == pytest.approx(row * 3 / 2)
    with pytest.raises(PlanError, match=r"the trace has 8 experts, top-1; toy has 4, top-2"):
        dispatched_bytes(plan, MODEL, batch, trace=RoutingTrace([[0], [1]], num_experts=8))
    with pytest.raises(PlanError, match=r"owner: give the member, 0 to 1, of each of the 4 experts"):
        dispatched_bytes(plan, MODEL, batch, trace=trace, owner=[0, 1, 2, 3])
    with pytest.raises(PlanError, match="copies = 'chiplet': did you mean 'chiplets'"):
        dispatched_bytes(plan, MODEL, batch, copies="chiplet")  # type: ignore[arg-type]


def test_copies_of_uniform_routing_are_the_expected_ones() -> None:
    """Drawn: sets of 8 of 64 experts, on 8 chiplets."""
    workload = nop.load_workload("mixtral-8x22b-g8t8")
    plan = ParallelPlan(ep=8, dp=8, micro_batches=32)
    one = dispatched_bytes(plan, workload.model, workload.batch)
    few = dispatched_bytes(plan, workload.model, workload.batch, copies="chiplets")
    rng = np.random.default_rng(0)
    drawn = [len(set((rng.permutation(64)[:8] // 8).tolist())) for _ in range(4000)]
    assert few.sum() / one.sum() * 8 == pytest.approx(np.mean(drawn), rel=0.01)


def test_gradients_by_zero_stage() -> None:
    workload = nop.load_workload("olmoe-1b-7b")
    sums = {}
    for zero in range(4):
        plan = ParallelPlan(ep=2, dp=4, zero=zero, micro_batches=2)
        found = exchanges_of(plan, workload.model, workload.batch, gradient_bytes=2)
        sums[zero] = sum(e.received * e.times for e in found if e.where == "replica")
    assert sums[0] == pytest.approx(sums[1])
    assert sums[1] == sums[2]
    assert sums[3] == pytest.approx(
        sums[2] * 2.5
    )  # weights twice a micro-batch, two of them: 4 + 1 for 1 + 1


def test_two_levels_are_what_the_engine_finds() -> None:
    """What would stay in the node goes over both links where that is faster."""
    machine = topology.dgx_h100(16, memory=False)
    levels = two_levels_of(machine)
    assert levels is not None
    names = machine.terminals
    for kind in ("all-gather", "all-reduce", "all-to-all"):
        for members in (
            np.arange(16).reshape(2, 8),
            np.arange(16).reshape(8, 2).T.copy(),
            np.arange(16).reshape(2, 8).T.copy(),
        ):
            ask = Ask(kind, 16e6, members)
            wanted = [[names[i] for i in group] for group in members.tolist()]
            engine = collective(machine, kind, 16e6, groups=wanted)
            assert levels.bound([ask]) == pytest.approx(engine.time_bound, rel=0.01)
            assert engine.time_bound * (1 - 1e-9) <= levels.lay([ask]).time <= engine.time * 1.01


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["all-gather", "reduce-scatter", "all-reduce", "all-to-all", "ring"]),
)
def test_two_levels_bound_from_below_whatever_the_groups(seed: int, kind: str) -> None:
    machine = topology.gpu_nodes(3, 4, rails=2, link_bandwidth="40 GB/s", network_bandwidth="10 GB/s")
    levels = two_levels_of(machine)
    assert levels is not None
    members = np.random.default_rng(seed).permutation(12).reshape(3, 4)
    ask = Ask(kind, 1e6, members)
    time, bound = levels.lay([ask]).time, levels.bound([ask])
    assert bound <= time * (1 + 1e-9)
    network = PlanNetwork(machine)
    network.levels = None
    exchange = Exchange("x", "tp", kind, 1e6, "every layer", "forward", members)
    best = network.time(exchange, placed(ParallelPlan(tp=4, dp=3), machine))
    assert bound <= best.time * (1 + 1e-6)
    assert time >= best.bound * (1 - 1e-6)


def test_what_is_no_machine_of_two_levels() -> None:
    assert two_levels_of(topology.mesh(2, 2)) is None
    assert two_levels_of(topology.frontier(16)) is None
    assert two_levels_of(topology.nop_tree()) is None
    assert two_levels_of(topology.gpu_nodes(2, 8)) is not None
    one = two_levels_of(topology.dgx_h100(8))
    assert one is not None
    assert one.card == 0
    wide = topology.dgx_h100(16)
    assert two_levels_of(wide.with_link_bandwidth("nv0->e0", "300 GB/s")) is None


@pytest.mark.parametrize("name", ["mesh", "nop_tree", "gpu_nodes"])
def test_together_is_between_the_longest_and_the_sum(name: str) -> None:
    package = topology.BUILDERS[name](attention=False)
    plan = ParallelPlan(tp=2, ep=4, pp=2, dp=4, micro_batches=1)
    place = placed(plan, package)
    network = PlanNetwork(package, tol=0.001)
    workload = nop.load_workload("olmoe-1b-7b")
    asked = [
        e
        for e in exchanges_of(plan, workload.model, workload.batch)
        if e.name in ("dispatch", "attention in", "to the next stage") and e.direction == "forward"
    ]
    alone = [network.time(e, place) for e in asked]
    both = network.together(asked, place)
    assert max(t.bound for t in alone) <= both.time * (1 + 1e-6)
    assert both.bound <= sum(t.time for t in alone) * (1 + 1e-6)
    assert both.bound <= both.time * (1 + 1e-9)
    slow = PlanNetwork(package, effort="quick")
    for exchange, certified in zip(asked, alone, strict=True):
        quick = slow.time(exchange, place)
        assert quick.bound <= certified.time * (1 + 1e-6)
        assert quick.time >= certified.bound * (1 - 1e-6)


def test_contention_between_dimensions_on_a_tree() -> None:
    """Two links of a tree: TP4 at a switch and EP across together take longer than either."""
    package = topology.nop_tree(4, 4, attention=False, link_bandwidth="1 GB/s")
    place = placed(ParallelPlan(tp=4, ep=4, dp=4, folded=False, etp=4), package)
    network = PlanNetwork(package, tol=0.001)
    within = Exchange("tp", "tp", "all-gather", 4e9, "every layer", "forward", groups(place.plan, "tp"))
    across = Exchange("ep", "ep", "all-to-all", 4e9, "every layer", "forward", groups(place.plan, "ep"))
    alone = [network.time(e, place).time for e in (within, across)]
    assert alone == pytest.approx([3.0, 12.0])
    assert network.together([within, across], place).time == pytest.approx(12.0)


def test_placing() -> None:
    mesh = topology.mesh(4, 4)
    assert nested_order(mesh)[:4] in {("e0", "e4", "e1", "e5"), ("e0", "e1", "e4", "e5")}
    assert sorted(nested_order(mesh)) == sorted(mesh.terminals)
    tree = topology.nop_tree(4, 4)
    assert set(nested_order(tree)[:4]) in [set(tree.experts[4 * g : 4 * g + 4]) for g in range(4)]
    machine = topology.dgx_h100(64)
    assert nested_order(machine) == machine.terminals
    with pytest.raises(PlanError, match=r"32 ranks, package 'mesh-4x4' has 16 chiplets; the nearest plan"):
        placed(ParallelPlan(tp=4, dp=8), mesh)
    with pytest.raises(PlanError, match="no node named 'x'"):
        placed(ParallelPlan(dp=1), mesh, ["x"])
    with pytest.raises(PlanError, match="named twice"):
        placed(ParallelPlan(dp=2), mesh, ["e0", "e0"])
    with pytest.raises(PlanError, match="effort = 'fast': known: quick, certified"):
        PlanNetwork(mesh, effort="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mesh", "nop_tree"])
def test_an_optimised_placement_is_no_slower_and_undoes_a_bad_order(name: str) -> None:
    """Chiplets shuffled: the search finds what nesting would, or better."""
    package = topology.BUILDERS[name](attention=False)
    shuffled = np.random.default_rng(3).permutation(list(package.experts)).tolist()
    order = {name: i for i, name in enumerate(shuffled)}
    nodes = sorted(package.nodes, key=lambda node: order.get(node.name, 99))
    package = package.replace(nodes=nodes)
    workload = nop.load_workload("olmoe-1b-7b")
    plan = ParallelPlan(tp=4, ep=4, dp=4, micro_batches=1)
    network = PlanNetwork(package)
    times = {}
    for method in ("order", "nested", "optimised"):
        place_of = place(plan, package, workload, method=method, seconds=1.0)
        assert sorted(place_of.chiplets) == sorted(package.experts)
        found = exchanges_of(plan, workload.model, workload.batch)
        times[method], bound = communication_time(found, place_of, network, workload)
        assert bound <= times[method] * (1 + 1e-9)
    assert times["optimised"] <= min(times.values()) * 1.02
    assert times["optimised"] < 0.8 * times["order"]


def test_placing_asks_for_what_it_needs() -> None:
    mesh = topology.mesh(2, 2)
    with pytest.raises(PlanError, match="method 'optimised' needs the workload"):
        place(ParallelPlan(dp=4), mesh, method="optimised")
    with pytest.raises(UnknownNameError, match="no method of placing named 'best'"):
        place(ParallelPlan(dp=4), mesh, method="best")  # type: ignore[arg-type]


def test_decode_adds_the_partial_results_of_a_cut_context() -> None:
    workload = nop.load_workload("mixtral-8x22b").with_batch({"mode": "decode"})
    plan = ParallelPlan(tp=2, cp=2, ep=4, dp=2, micro_batches=1)
    found = {e.name: e for e in exchanges_of(plan, workload.model, workload.batch)}
    assert set(found) == {"attention in", "attention out", "partial results", "dispatch", "combine"}
    assert found["partial results"].size == 128 * 24 * (128 + 1) * 2


def test_what_does_not_fit_is_never_counted() -> None:
    workload = nop.load_workload("mixtral-8x22b")
    unfit = ParallelPlan(ep=3, dp=3, micro_batches=1)
    counts: tuple[Callable[..., object], ...] = (exchanges_of, plan_memory)
    for count in counts:
        with pytest.raises(PlanError, match="8 experts are not divided by ep = 3"):
            count(unfit, workload.model, workload.batch)
        with pytest.raises(PlanError, match="'mixtral' is no model"):
            count(unfit, "mixtral", workload.batch)
        with pytest.raises(PlanError, match="how many replicas"):
            count(ParallelPlan(), workload.model, workload.batch)
    fits = ParallelPlan(dp=2, ep=2)
    with pytest.raises(PlanError, match="1 rooms for 2 ranks"):
        plan_memory(fits, workload.model, workload.batch, rooms=[Room(1.0, 1.0)])
    with pytest.raises(PlanError, match="gradient_bytes = -1 is not a number of 0 or more"):
        plan_memory(fits, workload.model, workload.batch, gradient_bytes=-1)


def test_the_table_of_exchanges() -> None:
    workload = nop.load_workload("olmoe-1b-7b")
    found = exchanges_of(ParallelPlan(tp=2, ep=2, dp=2, micro_batches=1), workload.model, workload.batch)
    table = exchange_table(found)
    assert len(table.rows) == len(found)
    assert "dispatch" in str(table)


def test_messages_between_stages_meet_a_layers_collectives() -> None:
    """On a row of four the dispatch of either pair shares no link that the messages across need for long."""
    nodes = [nop.Chiplet(f"g{i}", role="expert", flops=1e12) for i in range(4)]
    width = dict.fromkeys(((0, 1), (1, 2), (2, 3)), 1e9)
    links = [nop.Link(f"g{a}", f"g{b}", bandwidth) for (a, b), bandwidth in width.items()]
    workload = nop.load_workload("olmoe-1b-7b").replace(layers=2, sequences=8, micro_batches=4)
    step = plan_step(ParallelPlan(ep=2, pp=2, micro_batches=4), workload, nop.Package("row", nodes, links))
    # w from g0 to g2 and from g1 to g3: 2 w in the middle, w at the ends. A dispatch that takes as long has
    # 2 w at the ends each way: together 3 w, so that half of the message is left over
    share, met, extra = step.contention
    assert share == pytest.approx(0.5, rel=0.05)
    assert met in ("dispatch", "combine")
    assert 0 < extra <= 2 * 0.55 * step.costs.transfer * (step.costs.micro_batches + 1)
    assert plan_step(ParallelPlan(ep=2, micro_batches=1), workload, step.package).contention == (0.0, "", 0.0)


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("zero", [0, 1, 3])
def test_a_step_costs_the_bytes_that_are_listed(zero: int, folded: bool) -> None:
    """Two lists of the same collectives, by ranks and buffers and by families: the bytes that arrive."""
    workload = nop.load_workload("deepseek-moe-16b").replace(sequences=16, micro_batches=2)
    model, batch = workload.model, workload.batch
    plan = ParallelPlan(
        tp=2, cp=2, ep=2, etp=2, pp=2, dp=4, micro_batches=2, zero=zero, folded=folded, recompute="selective"
    )  # fmt: skip
    listed: dict[tuple[str, str], float] = {}
    for each in exchanges_of(plan, model, batch):
        layers = {"every layer": ("moe", "dense"), "moe layer": ("moe",), "dense layer": ("dense",)}
        weights = each.where == "replica"
        dimension = each.dimension.removesuffix("_cp")
        for kind in layers.get(each.where, ("",) if weights else ()):
            key = (dimension, kind)
            listed[key] = listed.get(key, 0.0) + each.received * each.times
    counted: dict[tuple[str, str], float] = {}

    def count(exchange: FamilyExchange, kind: str) -> None:
        size = exchange.family.size
        each = exchange.size * (size - 1) / (size if exchange.family.kind == "all-to-all" else 1)
        key = (exchange.dimension, kind)
        counted[key] = counted.get(key, 0.0) + (exchange.forward + exchange.backward) * each

    for kind in ("moe", "dense"):
        for exchange in layer_exchanges(plan, model, batch, batch.sequences // 8, moe=kind == "moe"):
            count(exchange, kind)
    held = [parameters_of(plan, model, chunks) for chunks in chunks_of(plan, model)]
    most = [max(sizes[i] for sizes in held) for i in (0, 1)]
    for exchange in gradient_exchanges(plan, *most, micro_batches=2):
        count(exchange, "")
    assert counted == pytest.approx(listed)
