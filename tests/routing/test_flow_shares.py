"""The split of a flow as a rule: it carries the demand, adds no load, and passes every check."""

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph, random_package, random_traffic
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Chiplet, Link, Memory, Package, congestion
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network
from noptoolkit.routing import Forwarding, check_deadlock, zero_load_latency
from noptoolkit.routing.flow_shares import forwarding_of_flow, without_cycles
from noptoolkit.routing.forwarding import push
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import CommodityFlow
from noptoolkit.topology import dragonfly, mesh, nop_tree, torus
from noptoolkit.traffic import from_matrix


def hung_trees():
    """A ring with a tree of chiplets and a stack on it: what solvers strip before they start."""
    ring, leaves = [f"r{i}" for i in range(4)], ["a", "b", "c"]
    links = [Link(ring[i], ring[(i + 1) % 4], 1.0 + i % 2) for i in range(4)]
    links += [Link("r0", "a", 1.0), Link("a", "b", 1.0), Link("a", "c", 2.0), Link("r2", "m", 1.0)]
    return Package("hung", [*(Chiplet(n) for n in (*ring, *leaves)), Memory("m", bandwidth=3.0)], links)


def some_pairs(package, seed, share=0.4):
    rng = np.random.default_rng(seed)
    names = tuple(node.name for node in package.nodes)
    demand = rng.pareto(1.5, (len(names), len(names))) * (rng.random((len(names), len(names))) < share)
    for stack in package.memories:
        for other in package.memories:
            demand[names.index(stack.name), names.index(other.name)] = 0
    np.fill_diagonal(demand, 0)
    return from_matrix(package, demand, endpoints=names)


CASES = {
    "mesh": lambda: (mesh(4, link_bandwidth=1.0), all_to_all),
    "torus": lambda: (torus(3, 5, link_bandwidth=1.0), lambda p: random_traffic(p, 1)),
    "tree": lambda: (nop_tree(2, 3), all_to_all),
    "dragonfly": lambda: (dragonfly(4, link_bandwidth=1.0), lambda p: random_traffic(p, 2)),
    "petersen": lambda: (from_graph(nx.petersen_graph()), all_to_all),
    "hung trees": lambda: (hung_trees(), lambda p: some_pairs(p, 3)),
    "hung trees, all": lambda: (hung_trees(), lambda p: some_pairs(p, 4, share=1.0)),
    **{f"random {s}": lambda s=s: (random_package(s), lambda p: random_traffic(p, s)) for s in range(6)},
}


def owes(package, traffic, flow, rule):
    """Check everything that a rule owes to the flow that it was taken from."""
    network = flow_network(package)
    problem = routing_problem(package, traffic)
    load = push(network, rule, problem.demand).sum(axis=0)
    arc_load = flow.routed.arc_load
    assert (load <= arc_load + 1e-6 * arc_load.max()).all()
    again = congestion(package, traffic, routing=rule)
    assert again.time <= flow.time * (1 + 1e-6)
    assert again.time >= flow.time_bound * (1 - 1e-6)
    assert again.verify()
    total = np.zeros((len(rule.destinations), rule.num_states))
    np.add.at(total, (rule.to, rule.tail), rule.share)
    np.testing.assert_allclose(total[rule.to, rule.tail], 1.0)


@pytest.mark.parametrize("case", CASES)
def test_the_optimum_is_a_rule(case):
    package, make = CASES[case]()
    traffic = make(package)
    flow = congestion(package, traffic)
    owes(package, traffic, flow, flow.forwarding())


@pytest.mark.parametrize("case", ["torus", "hung trees", "random 1", "random 4"])
def test_either_way_a_flow_may_be_kept(case):
    """Flows by source and by destination of the same traffic: both make rules; only the first has states."""
    package, make = CASES[case]()
    traffic = make(package)
    network, problem = flow_network(package), routing_problem(package, traffic)
    known = congestion(package, traffic, routing="ecmp")
    towards = known.routed.commodity_flow()
    assert not towards.by_source
    rule = forwarding_of_flow(network, towards, problem.demand)
    assert rule.num_states == network.num_vertices
    owes(package, traffic, known, rule)
    flow = np.zeros((len(problem.sources), network.num_arcs))
    for row, source in enumerate(problem.sources):
        alone = np.zeros_like(problem.demand)
        alone[source] = problem.demand[source]
        forwarding = known.forwarding()
        flow[row] = push(network, forwarding, alone).sum(axis=0)
    by_source = CommodityFlow(flow, towards.arcs, True, problem.sources, towards.anchor)
    rule = forwarding_of_flow(network, by_source, problem.demand)
    assert rule.num_states == network.num_vertices * (1 + len(problem.sources))
    owes(package, traffic, known, rule)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 10_000))
def test_cycles_are_cancelled_and_nothing_else(seed):
    """A flow along simple paths plus flows round random cycles: what is left balances and has no cycle."""
    package = torus(3, 3, link_bandwidth=1.0)
    network, rng = flow_network(package), np.random.default_rng(seed)
    traffic = random_traffic(package, seed)
    proof = congestion(package, traffic, routing="ecmp").routed.commodity_flow()
    graph = nx.DiGraph()
    arc_of = {(int(t), int(h)): a for a, (t, h) in enumerate(zip(network.tail, network.head, strict=True))}
    graph.add_edges_from(arc_of)
    flow = proof.flow[0].copy()
    cycles = [c for _, c in zip(range(200), nx.simple_cycles(graph, length_bound=6), strict=False)]
    for k in rng.integers(len(cycles), size=5):
        for pair in zip(cycles[k], [*cycles[k][1:], cycles[k][0]], strict=True):
            flow[arc_of[pair]] += rng.random()
    left = without_cycles(network, proof.arcs, flow)
    assert (left <= flow + 1e-12).all()
    assert nx.is_directed_acyclic_graph(nx.DiGraph([pair for pair, a in arc_of.items() if left[a] > 0]))
    for sign_before, sign_after in ((flow, left),):
        out = np.bincount(network.tail, sign_before - sign_after, network.num_vertices)
        into = np.bincount(network.head, sign_before - sign_after, network.num_vertices)
        np.testing.assert_allclose(out, into, atol=1e-9 * flow.max())


def test_latency_of_a_split_is_the_mean_over_its_paths():
    """Two ways of 1 and 3 s beside each other, loaded in proportion to their widths 2 and 1."""
    nodes = [Chiplet(n) for n in "abcd"]
    links = [Link("a", "b", 2.0, latency=0.5), Link("b", "d", 2.0, latency=0.5)]
    links += [Link("a", "c", 1.0, latency=1.5), Link("c", "d", 1.0, latency=1.5)]
    package = Package("two ways", nodes, links)
    flow = congestion(package, from_matrix(package, [[0, 6], [0, 0]], endpoints=("a", "d")), tol=1e-9)
    assert flow.time == pytest.approx(2.0)
    found = zero_load_latency(package, routing=flow.forwarding(), among=("a", "d"))
    assert found.per_pair[0, 1] == pytest.approx((2 * 1 + 3) / 3)
    assert np.isnan(found.per_pair[1, 0])
    assert found.mean == found.max == found.per_pair[0, 1]
    with pytest.raises(RoutingError, match="leads from none of b, c to another"):
        zero_load_latency(package, routing=flow.forwarding(), among=("b", "c"))


def test_deadlock_of_a_split():
    """Everything clockwise round a ring of 3 closes the cycle; the optimum of neighbours needs no turn."""
    ring = Package("ring", [Chiplet(n) for n in "abc"], [Link(*p, 1.0) for p in ("ab", "bc", "ca")])
    around = {("a", "c"): ["a", "b", "c"], ("b", "a"): ["b", "c", "a"], ("c", "b"): ["c", "a", "b"]}
    traffic = from_matrix(ring, np.eye(3)[[2, 0, 1]])
    flow = congestion(ring, traffic, routing=around)
    split = flow.forwarding()
    assert isinstance(split, Forwarding)
    assert check_deadlock(ring, routing=split) == check_deadlock(ring, routing=around)
    assert not check_deadlock(ring, routing=split).free
    assert check_deadlock(ring, routing=congestion(ring, traffic).forwarding()).dependencies <= 6


@pytest.mark.parametrize("routing", ["shortest", "ecmp", "dor", "up-down"])
def test_a_fixed_routing_hands_out_its_own_rule(routing):
    package = torus(4, 4, link_bandwidth=1.0)
    rule = congestion(package, all_to_all(package), routing=routing).forwarding()
    for ask in (check_deadlock, lambda p, routing: zero_load_latency(p, routing=routing).per_pair.tolist()):
        assert ask(package, routing=rule) == ask(package, routing=routing)
    layered = [check_deadlock(package, routing=r, datelines=True) for r in (rule, routing)]
    assert layered[0] == layered[1]


def test_paths_hand_out_themselves():
    """Paths from one source that meet again and part: a flow alone would mix them, the rule does not."""
    package = mesh(3, link_bandwidth=1.0)
    table = {
        ("e0", "e5"): ["e0", "e1", "e4", "e5"],
        ("e0", "e7"): ["e0", "e3", "e4", "e7"],
    }
    demand = np.zeros((9, 9))
    demand[0, 5], demand[0, 7] = 1.0, 3.0
    traffic = from_matrix(package, demand, endpoints=tuple(f"e{i}" for i in range(9)))
    flow = congestion(package, traffic, routing=table)
    rule = flow.forwarding()
    assert (rule.share == 1.0).all()
    np.testing.assert_array_equal(congestion(package, traffic, routing=rule).load, flow.load)
    towards_5 = {flow_network(package).node_of_vertex(int(t) % 9) for t in rule.tail[rule.to == 0]}
    assert towards_5 == {"e0", "e1", "e4"}


def test_no_flow_no_rule():
    package = mesh(3, link_bandwidth=1.0)
    flow = congestion(package, all_to_all(package), routing="valiant")
    with pytest.raises(RoutingError, match="keeps no flow to take shares from"):
        flow.forwarding()
    nothing = congestion(package, from_matrix(package, np.zeros((9, 9))))
    assert len(nothing.forwarding().to) == 0
