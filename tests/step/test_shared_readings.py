"""Weights that several chiplets read at once: closed forms, bounds against enumeration, planted faults."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from seeds import seeds
from small_steps import best_makespan, paths_of, small_workload, tables

import noptoolkit as nop
from noptoolkit import Allocation, Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.errors import ScheduleError
from noptoolkit.flow.trees.message_loads import LoadSum
from noptoolkit.flow.trees.multicast import tree_of_paths
from noptoolkit.network import flow_network
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.scheduling import list_schedule
from noptoolkit.step import Step, StepOptions, StepSchedule
from noptoolkit.step.broadcasts import WEIGHTS, Weights
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.overlapping import overlapped_graph
from noptoolkit.step.phases import phases_of
from noptoolkit.step.routes import StepRouting, named_routing, routed_step
from noptoolkit.step.routing_bound import bound_of_routings
from noptoolkit.step.step import Slice
from noptoolkit.step.transfers import Transfer
from noptoolkit.workload import Batch, MoEModel, Workload

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")

RATE = 1e9


def chiplets(count: int, **options: object) -> list[Chiplet]:
    return [Chiplet(f"e{i}", role="expert", flops=1e18, **options) for i in range(count)]  # type: ignore[arg-type]


def star(count: int, *, copies: bool = True, bus: float = RATE) -> Package:
    """Return chiplets and one stack round a switch."""
    nodes = [Switch("hub", replicates=copies), *chiplets(count), Memory("hbm", bandwidth=bus)]
    links = [Link("hub", f"e{i}", RATE) for i in range(count)] + [Link("hbm", "hub", bus)]
    return Package("star", nodes, links)


def line(count: int) -> Package:
    """Return chiplets in a row, with a stack at the first."""
    links = [Link(f"e{i}", f"e{i + 1}", RATE) for i in range(count - 1)] + [Link("hbm", "e0", RATE)]
    return Package("line", [*chiplets(count), Memory("hbm", bandwidth=RATE)], links)


def workload(experts: int, mode: str = "decode") -> Workload:
    """Return a model whose weights are much and whose tokens are few."""
    model = MoEModel(
        "wide", hidden=64, layers=2, heads=4, kv_heads=4, head_dim=16, vocab=200, expert_width=64,
        experts=experts, top_k=1, shared_experts=1,
    )  # fmt: skip
    chosen = [[i % experts] for i in range(4 * experts)]
    return Workload("wide", model, Batch(experts, 8, 1, mode), RoutingTrace(chosen, num_experts=experts))  # type: ignore[arg-type]


def layout_of(load: Workload, package: Package) -> Allocation:
    return nop.allocate(load.trace, package, method="contiguous")


def readings(step: Step) -> Iterator[Slice]:
    """Yield the slices that read for several chiplets."""
    for block in (*step.blocks, step.head):
        for part in block.slices:
            if part.reading == part.index:
                yield part


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_star_that_copies_carries_every_reading_once(count: int) -> None:
    package = star(count)
    load = workload(count)
    for weights, times in (("each", count), ("multicast", 1), ("broadcast", 1)):
        plan = nop.schedule(package, load, layout_of(load, package), routing="shortest", weights=weights)
        heads = plan.step.head.slices
        size, port = heads[0].size, sum(part.load.ports.get("hbm", 0.0) for part in heads)
        assert port == pytest.approx(times * size / RATE, rel=1e-12)
        for i in range(count):
            out = sum(part.load.uses.get(f"hub->e{i}", 0.0) for part in heads)
            assert out == pytest.approx(size / RATE, rel=1e-12), "each leg carries the weights once"
        assert plan.verify()
        assert sum(plan.step.saved.values()) == (0.0 if times > 1 else plan.step.loaded["head"] * (count - 1)
            + sum(plan.step.loaded[kind] for kind in ("attention", "shared")) * (count - 1))  # fmt: skip


@pytest.mark.parametrize("count", [2, 3, 12])
def test_on_a_line_members_that_pass_weights_on_leave_each_channel_one_copy(count: int) -> None:
    package = line(count)
    load = workload(count)
    for weights in WEIGHTS:
        plan = nop.schedule(package, load, layout_of(load, package), weights=weights)
        heads = plan.step.head.slices
        once = weights == "broadcast"
        for i in range(count - 1):
            carried = sum(part.load.uses.get(f"e{i}->e{i + 1}", 0.0) for part in heads)
            copies = 1 if once else count - 1 - i
            assert carried == pytest.approx(copies * heads[0].size / RATE, rel=1e-12)
        port = sum(part.load.ports["hbm"] for part in heads if part.load.ports)
        assert port == pytest.approx((1 if once else count) * heads[0].size / RATE, rel=1e-12)
        wanted = sum(plan.step.loaded.values()) + sum(plan.step.saved.values())
        own = plan.step.loaded["expert"]
        assert plan.step.read == pytest.approx(own + (wanted - own) / (count if once else 1), rel=1e-12)
        assert plan.verify()


def test_a_step_that_only_loads_takes_as_much_less_as_there_are_chiplets() -> None:
    """Each chiplet wants the attention, shared expert and head of a stack; experts of its own besides."""
    count, package, load = 4, star(4), workload(4)
    layout = layout_of(load, package)
    plans = {weights: nop.schedule(package, load, layout, weights=weights) for weights in WEIGHTS}
    bytes_ = plans["each"].step.loaded
    alike = sum(bytes_[kind] for kind in ("attention", "shared", "head"))
    cache = sum(
        sum(block.cache_read.pairs.values()) for block in plans["each"].step.blocks if block.cache_read
    )
    layers = len(plans["each"].step.layers)
    for weights, plan in plans.items():
        shared = alike if weights == "each" else alike / count
        least = (shared + bytes_["expert"] + layers * cache) / RATE
        assert plan.makespan == pytest.approx(least, rel=0.05)
        assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
        assert plan.lower_bound >= least * (1 - 1e-9)


@pytest.mark.parametrize("weights", ["multicast", "broadcast"])
def test_a_network_that_is_free_is_as_weights_beside_it(weights: Weights) -> None:
    package = line(3)
    free = package.replace(
        links=[
            dataclasses.replace(k, bandwidth=1e6 * RATE) if "hbm" not in (k.a, k.b) else k
            for k in package.links
        ]
    )
    load = workload(3)
    layout = layout_of(load, package)
    on, beside = (
        nop.schedule(free, load, layout, weights=weights, routing="shortest", weights_on_network=over)
        for over in (True, False)
    )
    assert on.makespan == pytest.approx(beside.makespan, rel=1e-5)
    assert on.verify()
    assert beside.verify()


@pytest.mark.parametrize("mode", ["training", "prefill", "decode"])
def test_copies_of_an_expert_are_read_once_where_their_chiplets_share_a_stack(mode: str) -> None:
    package, load = star(4, bus=4 * RATE), workload(4, mode)
    base = layout_of(load, package)
    layout = Allocation(base.experts, base.chiplet_of_expert, replicas=[[(0, 1), (0, 2), (3, 1)]])
    each, once = (
        nop.schedule(package, load, layout, weights=weights, experts="all")
        for weights in ("each", "multicast")
    )
    size = load.model.expert_parameters * load.batch.bytes_per_value
    assert each.step.loaded["expert"] - once.step.loaded["expert"] == pytest.approx(3 * size * 2)
    experts = [part for part in readings(once.step) if part.kind == "expert"]
    sent = {frozenset(part.load.problem.traffic.endpoints[1:]) for part in experts if part.load.problem}
    assert sent == {frozenset({"e0", "e1", "e2"}), frozenset({"e1", "e3"})}
    assert each.verify()
    assert once.verify()


def test_chiplets_of_other_stacks_read_their_own() -> None:
    nodes = [
        Switch("hub", replicates=True), *chiplets(4),
        Memory("m0", RATE, serves=("e0", "e1")), Memory("m1", RATE, serves=("e2", "e3")),
    ]  # fmt: skip
    links = [Link("hub", name, RATE) for name in ("e0", "e1", "e2", "e3", "m0", "m1")]
    package, load = Package("two stacks", nodes, links), workload(4)
    plan = nop.schedule(package, load, layout_of(load, package), weights="multicast")
    groups = {
        (part.chiplet, part.load.problem.traffic.endpoints)
        for part in readings(plan.step)
        if part.load.problem
    }
    assert {ends for _, ends in groups} == {("m0", "e0", "e1"), ("m1", "e2", "e3")}
    assert plan.verify()


def test_tensor_parallel_attention_shares_no_attention_and_a_split_head_no_head() -> None:
    package, load = star(4), workload(4)
    layout = layout_of(load, package)
    plan = nop.schedule(package, load, layout, weights="multicast", attention="tensor", split_head=True)
    assert {part.kind for part in readings(plan.step)} == {"shared"}
    assert plan.verify()


def test_each_is_the_default_and_changes_nothing() -> None:
    package, load = line(3), workload(3, "training")
    layout = layout_of(load, package)
    plain, each = nop.schedule(package, load, layout), nop.schedule(package, load, layout, weights="each")
    assert plain.makespan == each.makespan
    assert not list(readings(plain.step))
    assert "weights read" not in [row[0] for row in plain.table().rows]
    told = {row[0]: row[2] for row in nop.schedule(package, load, layout, weights="broadcast").table().rows}
    assert "that chiplets want: broadcast for those of one stack" in told["weights read"]


@pytest.mark.parametrize("routing", ["optimal", "optimal-split", "optimal-alone", "shortest", "valiant"])
@pytest.mark.parametrize("weights", ["multicast", "broadcast"])
def test_every_routing_is_verified(routing: str, weights: Weights) -> None:
    rng = np.random.default_rng(7)
    package = ring(rng)
    load = small_workload(rng, package)
    plan = nop.schedule(
        package, load, layout_of(load, package), routing=routing, weights=weights, hosts="all"
    )
    assert plan.verify()
    assert plan.lower_bound <= plan.makespan * (1 + 1e-9)


@pytest.mark.parametrize("policy", ["serial", "best"])
@pytest.mark.parametrize("contention", ["factor", "fluid", "reserve"])
def test_every_policy_is_verified(policy: str, contention: str) -> None:
    rng = np.random.default_rng(3)
    package = ring(rng)
    load = small_workload(rng, package)
    layout = layout_of(load, package)
    plan = nop.schedule(
        package, load, layout, policy=policy, contention=contention, weights="broadcast", hosts="all"
    )
    assert plan.verify() or contention != "factor"


def ring(rng: np.random.Generator) -> Package:
    """Return four chiplets in a ring, some of which copy, with a chord at times, and one stack or two."""
    names = ["a", "e0", "e1", "e2"]
    nodes: list[Chiplet | Switch | Memory] = [
        Chiplet(
            name,
            role="attention" if name == "a" else "expert",
            flops=4e12,
            sram=float(rng.choice([60e3, 1e6])),
            replicates=bool(rng.random() < 0.3),
        )
        for name in names
    ]
    order = [str(name) for name in rng.permutation(names)]
    links = [
        Link(a, b, float(rng.choice([1e9, 2e9]))) for a, b in zip(order, order[1:] + order[:1], strict=True)
    ]
    if rng.random() < 0.5:
        links.append(Link(order[0], order[2], 1e9))
    for k in range(int(rng.integers(1, 3))):
        nodes.append(Memory(f"h{k}", 2e9))
        links.append(Link(f"h{k}", str(rng.choice(names)), 2e9))
    return Package("ring", nodes, links)


def tree_tables(rng: np.random.Generator, step: Step, most: int) -> Iterator[dict[int, TreeLoads]]:
    """Yield trees for all readings, made of a random simple path to each member."""
    network = flow_network(step.package)
    sent = [t for t in step.transfers() if t.of_memory and t.problem is not None and t.problem.messages]
    names = [node.name for node in step.package.nodes]
    for _ in range(most):
        found = {}
        for one in sent:
            assert one.problem is not None
            loads = LoadSum(one.problem)
            for part in one.problem.messages:
                for row, root in enumerate(part.root.tolist()):
                    ends = [
                        end
                        for end in part.endpoints.tolist()
                        if not isinstance(step.package.nodes[end], Memory)
                    ]
                    ways = paths_of(step.package, [(names[root], names[end]) for end in ends])
                    paths = {}
                    for end in ends:
                        share = ways[names[root], names[end]][
                            int(rng.integers(len(ways[names[root], names[end]])))
                        ]
                        arcs, at = [], int(network.origin[root])
                        while at != network.destination[end]:
                            arc = next(a for a in np.flatnonzero(share) if network.tail[a] == at)
                            arcs.append(int(arc))
                            at = int(network.head[arc])
                        paths[end] = np.array(arcs)
                    tree = tree_of_paths(one.problem, part, root, paths)
                    loads.add(part, tree, np.array([row]), np.array([root]), 1.0)
            found[one.index] = loads.total()
        yield found


def enclose(seed: int, most: int, limit: float) -> None:
    """Hold the bound of a random step against random paths and trees, and the best of them against CP-SAT."""
    rng = np.random.default_rng(seed)
    package = ring(rng)
    load = small_workload(rng, package, str(rng.choice(["training", "decode"])))
    options = StepOptions(weights=str(rng.choice(["multicast", "broadcast"])), hosts="all")  # type: ignore[arg-type]
    step = unrouted_step(package, load, layout_of(load, package), options)
    shortest = routed_step(step, named_routing(package, "shortest"))
    bound = bound_of_routings(shortest, overlapped_graph).value
    plain = {t.index: t.trees for t in shortest.transfers() if t.trees is not None}
    pairs = tables(rng, paths_of(package, phases_of(step).pairs), most)
    best, least = None, np.inf
    for table, trees in zip(itertools.cycle(pairs), tree_tables(rng, step, most), strict=False):
        known = {**plain, **trees}
        routing = StepRouting(
            "drawn", lambda sent, ends, size, t=table: t[ends], lambda sent, k=known: k[sent.index]
        )
        graph = overlapped_graph(routed_step(step, routing))
        timeline = list_schedule(graph, rounds=1)
        assert bound <= timeline.bounds.value * (1 + 1e-9)
        if timeline.makespan < least:
            best, least = graph, timeline.makespan
    assert best is not None
    assert bound <= least * (1 + 1e-9)
    assert bound <= best_makespan(best, limit) * (1 + 1e-6)


@pytest.mark.parametrize("seed", seeds(5, 8))
def test_no_paths_no_trees_and_no_order_are_faster_than_the_bound(seed: int) -> None:
    enclose(seed, most=8, limit=0.3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_no_paths_no_trees_and_no_order_are_faster_than_the_bound_at_length(seed: int) -> None:
    enclose(seed, most=60, limit=3.0)


def broken(plan: StepSchedule, change: object) -> StepSchedule:
    """Return a plan whose step has one reading changed."""
    step = plan.step
    blocks = list(step.blocks)
    for place, block in enumerate(blocks):
        parts = [change(part) for part in block.before]  # type: ignore[operator]
        blocks[place] = dataclasses.replace(block, before=tuple(parts))
        break
    return dataclasses.replace(plan, step=dataclasses.replace(step, blocks=tuple(blocks)))


@pytest.fixture(scope="module")
def shared_plan() -> StepSchedule:
    package, load = star(3), workload(3)
    return nop.schedule(package, load, layout_of(load, package), weights="multicast", routing="shortest")


def leaves_one_out(part: Slice) -> Slice:
    return dataclasses.replace(part, reading=None) if part.chiplet == "e2" else part


def reads_twice(part: Slice) -> Slice:
    if part.chiplet != "e2":
        return part
    ends, package = ("hbm", "e2"), star(3)
    paths = {ends: named_routing(package, "shortest").pair(part.load, ends, part.size)}
    return dataclasses.replace(
        part, load=dataclasses.replace(part.load, pairs={ends: part.size}, paths=paths)
    )


def reads_nothing(part: Slice) -> Slice:
    return dataclasses.replace(part, load=Transfer(part.load.index, "load", {})) if part.reads else part


def takes_half(part: Slice) -> Slice:
    if not part.reads:
        return part
    trees = part.load.trees
    assert trees is not None
    light = dataclasses.replace(trees, arc_load=trees.arc_load / 2)
    return dataclasses.replace(part, load=dataclasses.replace(part.load, trees=light))


def hurries(part: Slice) -> Slice:
    ports = {name: time / 2 for name, time in part.load.ports.items()}
    return dataclasses.replace(part, load=dataclasses.replace(part.load, ports=ports))


def loses_its_reader(part: Slice) -> Slice:
    return dataclasses.replace(part, reading=part.index + 1000) if part.reads else part


FAULTS = [leaves_one_out, reads_twice, reads_nothing, takes_half, hurries, loses_its_reader]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(shared_plan: StepSchedule, fault: object) -> None:
    assert shared_plan.verify()
    with pytest.raises(ScheduleError):
        broken(shared_plan, fault).verify()


def test_a_bound_that_charges_each_chiplet_for_a_reading_is_seen(shared_plan: StepSchedule) -> None:
    proof = shared_plan.any_routing

    def dear(sent: Transfer) -> Transfer:
        uses = {name: 3 * time for name, time in sent.uses.items()} if sent.kind == "load" else sent.uses
        return dataclasses.replace(sent, uses=uses)

    step = proof.step.with_transfers(dear)
    changed = dataclasses.replace(shared_plan)
    object.__setattr__(changed, "any_routing", dataclasses.replace(proof, step=step))
    with pytest.raises(ScheduleError, match="shortest paths"):
        changed.verify()


def test_a_word_that_is_none_is_refused() -> None:
    package, load = star(2), workload(2)
    with pytest.raises(ScheduleError, match="broadcast"):
        nop.schedule(package, load, layout_of(load, package), weights="broadcasts")
