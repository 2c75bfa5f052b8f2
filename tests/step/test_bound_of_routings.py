"""The bound over all routings and orders: against enumerated routes and orders, and by properties."""

import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from seeds import seeds
from small_steps import along, best_makespan, paths_of, small_package, small_step, small_workload, tables

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, Switch, load_topology, load_workload
from noptoolkit.scheduling import list_schedule
from noptoolkit.step import Step
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.overlapping import overlapped_graph
from noptoolkit.step.phases import phases_of
from noptoolkit.step.routes import named_routing, routed_step
from noptoolkit.step.routing_bound import RoutingBound, bound_of_routings

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")


def bound_of(step: Step) -> RoutingBound:
    shortest = routed_step(step, named_routing(step.package, "shortest"))
    return bound_of_routings(shortest, overlapped_graph)


def enclose(seed: int, most: int, limit: float) -> None:
    """Hold the bound of a random step against tables of paths, and the best of them against CP-SAT."""
    rng = np.random.default_rng(seed)
    step = small_step(rng, mode=str(rng.choice(["training", "training", "decode"])))
    bound = bound_of(step).value
    best, least = None, np.inf
    paths = paths_of(step.package, phases_of(step).pairs)
    for table in tables(rng, paths, most):
        graph = overlapped_graph(along(step, table))
        timeline = list_schedule(graph, rounds=1)
        assert bound <= timeline.bounds.value * (1 + 1e-9), "the bound of given routes is no weaker"
        if timeline.makespan < least:
            best, least = graph, timeline.makespan
    assert best is not None
    assert bound <= least * (1 + 1e-9)
    assert bound <= best_makespan(best, limit) * (1 + 1e-6)


@pytest.mark.parametrize("seed", seeds(5, 16))
def test_no_table_of_paths_and_no_order_is_faster(seed: int) -> None:
    enclose(seed, most=12, limit=0.5)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_no_table_of_paths_and_no_order_is_faster_at_length(seed: int) -> None:
    enclose(seed, most=100, limit=3.0)


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_on_a_tree_joint_and_alone_are_the_same_and_both_bounds_are_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng, tree=True)
    workload = small_workload(rng, package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    joint, alone = (nop.schedule(package, workload, layout, routing=r) for r in ("optimal", "optimal-alone"))
    assert joint.makespan == pytest.approx(alone.makespan, rel=1e-12)
    assert joint.lower_bound == pytest.approx(joint.bound_of_routes, rel=1e-9)


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_detours_of_valiant_do_not_raise_the_bound_over_any_routing(seed: int) -> None:
    """On a tree too, where every other routing is the only one."""
    rng = np.random.default_rng(seed)
    package = small_package(rng, tree=True)
    workload = small_workload(rng, package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    direct, relayed = (nop.schedule(package, workload, layout, routing=r) for r in ("optimal", "valiant"))
    assert relayed.lower_bound <= direct.makespan * (1 + 1e-9)


@pytest.mark.parametrize("seed", seeds(5, 10))
def test_a_free_network_is_no_network(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    workload = small_workload(rng, package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    fast = package.replace(
        links=[dataclasses.replace(link, bandwidth=1e30, reverse_bandwidth=None) for link in package.links]
    )
    free = nop.schedule(fast, workload, layout, routing="shortest")
    apart = nop.schedule(fast, workload, layout, routing="shortest", weights_on_network=False)
    assert free.lower_bound == pytest.approx(apart.lower_bound, rel=1e-6)
    assert free.makespan == pytest.approx(apart.makespan, rel=1e-6)


@pytest.mark.parametrize("policy", ["serial", "streaming"])
def test_where_only_messages_cross_the_network_there_is_nothing_to_share(policy: str) -> None:
    rng = np.random.default_rng(5)
    package = small_package(rng, tree=True)
    workload = small_workload(rng, package)
    plan = nop.schedule(package, workload, policy=policy, weights_on_network=False)
    assert plan.lower_bound <= plan.makespan * (1 + 1e-9)


def test_where_only_the_heads_messages_cross_the_network() -> None:
    names = ("e0", "e1", "e2")
    nodes = [Chiplet(name, role="expert", flops=1e12, replicates=True, reduces=True) for name in names]
    ring = [Link(a, b, 1e9) for a, b in (("e0", "e1"), ("e1", "e2"), ("e2", "e0"))]
    package = Package("ring", [*nodes, Memory("h0", 1e9)], [*ring, Link("h0", "e0", 1e9)])
    workload = small_workload(np.random.default_rng(0), package)
    count = workload.trace.num_experts
    layout = nop.Allocation(names, np.zeros((workload.trace.num_layers, count), int))
    plan = nop.schedule(package, workload, layout, weights_on_network=False, hosts=("e0",), split_head=True)
    assert plan.verify()


def two_cables(*, hub: bool) -> Package:
    """Return attention and two experts, on a hub or in a ring, two unequal cables to each."""
    names = ("a", "e0", "e1")
    nodes = [
        Chiplet(name, role="expert" if name != "a" else "attention", flops=1e12, sram=60e3) for name in names
    ]
    ends = [("hub", name) for name in names] if hub else [("a", "e0"), ("e0", "e1"), ("e1", "a")]
    links = [Link(*pair, rate) for pair in ends for rate in (1e9, 3e9)]
    links += [Link("h0", "a", 1e9), Link("h0", "a", 2e9)]
    switches = [Switch("hub", replicates=True, reduces=True)] if hub else []
    return Package("cables", [*nodes, *switches, Memory("h0", 4e9)], links)


@pytest.mark.parametrize("hub", [False, True])
def test_parallel_links_are_shared_as_the_routing_says(hub: bool) -> None:
    package = two_cables(hub=hub)
    workload = small_workload(np.random.default_rng(2), package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    spans = {}
    for routing in ("optimal", "shortest", "ecmp", "optimal-alone"):
        plan = nop.schedule(package, workload, layout, routing=routing)
        assert plan.verify()
        spans[routing] = plan.makespan
        alone = "optimal" if routing.startswith("optimal") else routing
        for sent in plan.step.transfers():
            if sent.problem is not None and sent.paths is None and sent.size > 0:
                flow = nop.congestion(package, sent.problem.traffic, routing=alone)
                assert sent.time == pytest.approx(flow.time, rel=1e-9)
    assert spans["optimal"] <= min(spans.values()) * (1 + 1e-9)
    assert spans["shortest"] > spans["optimal"] * 1.01
    assert spans["ecmp"] > spans["optimal"] * 1.01


def same_work(package: Package, seed: int) -> float:
    workload = small_workload(np.random.default_rng(seed), package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    return bound_of(unrouted_step(package, workload, layout)).value


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_another_cable_never_raises_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    ends = rng.choice(package.terminals, 2, replace=False)
    wider = package.replace(links=[*package.links, Link(str(ends[0]), str(ends[1]), 2e9)])
    assert same_work(wider, seed) <= same_work(package, seed) * (1 + 1e-6)


@pytest.mark.parametrize("seed", seeds(4, 8))
def test_twice_the_bandwidth_never_raises_the_bound(seed: int) -> None:
    package = small_package(np.random.default_rng(seed))
    wider = package.replace(
        links=[dataclasses.replace(link, bandwidth=2 * link.bandwidth) for link in package.links]
    )
    assert same_work(wider, seed) <= same_work(package, seed) * (1 + 1e-6)


@pytest.mark.parametrize("seed", seeds(4, 8))
def test_the_order_of_links_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    links = [package.links[i] for i in rng.permutation(len(package.links))]
    assert same_work(package.replace(links=links), seed) == pytest.approx(same_work(package, seed), rel=1e-6)


@cache
def qwen(name: str, layers: int = 48, **options: object) -> nop.Schedule:
    package, workload = load_topology(name), load_workload("qwen3-30b-a3b").replace(layers=layers)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    return nop.schedule(package, workload, layout, **options)  # type: ignore[arg-type]


def test_hexamesh_by_hand() -> None:
    """Shortest paths take 818 ms: the lowest channel index sends all weights of a stack over one cable."""
    plan = qwen("hexamesh-19")
    assert plan.makespan <= 705.6e-3
    assert plan.lower_bound >= 703e-3
    assert qwen("hexamesh-19", routing="shortest").makespan > 800e-3


def test_tree_by_hand() -> None:
    """Forward loads 56.6 ms, head 29.2, backward loads and stores 113.2, less 1.2 that SRAM prefetches."""
    plan = qwen("mozart-nop-tree")
    assert plan.makespan == pytest.approx(198.28e-3, abs=0.01e-3)
    assert 198.0e-3 <= plan.lower_bound <= plan.makespan


@pytest.mark.long
def test_one_path_for_each_transfer_beats_a_table_with_two_attention_chiplets() -> None:
    """Weights and tokens of both cross the mesh: tables cannot balance them, turns of transfers can."""
    mesh, workload = load_topology("mesh-4x4"), load_workload("qwen3-30b-a3b")
    nodes = [*mesh.nodes, dataclasses.replace(mesh["attn"], name="attn2", position=None)]
    links = [*mesh.links, *(Link("attn2", f"e{i}", "128 GB/s") for i in range(12, 16))]
    for memory in [memory for memory in mesh.memories if memory.serves == ("attn",)]:
        link = next(link for link in mesh.links if memory.name in (link.a, link.b))
        name = f"{memory.name}b"
        nodes.append(dataclasses.replace(memory, name=name, serves=("attn2",), position=None))
        links.append(Link(name, "attn2", link.bandwidth))
    package = Package("two", nodes, links)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    plans = {r: nop.schedule(package, workload, layout, routing=r) for r in ("shortest", "optimal")}
    assert plans["optimal"].routing == "joint, by transfer"
    assert plans["optimal"].gap < 0.02
    assert plans["shortest"].gap > 0.06


@pytest.mark.parametrize("name", ["mesh-4x4", pytest.param("torus-4x4", marks=pytest.mark.long)])
def test_the_step_is_never_longer_than_with_a_fixed_routing(name: str) -> None:
    best = qwen(name, layers=12).makespan
    for routing in ("shortest", "dor", "ecmp"):
        assert best <= qwen(name, layers=12, routing=routing).makespan


def test_a_broken_bound_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs that are too high give a bound that some table of paths undercuts."""
    from noptoolkit.step import prices

    true: Callable[..., np.ndarray] = prices._distances
    monkeypatch.setattr(prices, "_distances", lambda network, y: 1.3 * true(network, y))
    for seed in range(12):
        try:
            enclose(seed, most=12, limit=0.2)
        except AssertionError:
            return
    pytest.fail("no table of paths undercuts the broken bound")
