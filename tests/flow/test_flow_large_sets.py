"""Trees and bounds for sets of any size: against all trees, Edmonds, a linear and the exact program."""

import dataclasses

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_package
from hypothesis import given, settings
from hypothesis import strategies as st
from message_cases import all_tree_packing_time, capable, messages, random_sets
from scipy.optimize import linprog
from seeds import examples

from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.trees import blocks
from noptoolkit.flow.trees.cheapest import CheapestTrees, SetGroup, covering_sets
from noptoolkit.flow.trees.dual_ascent import AscentTrees
from noptoolkit.routing.problem import routing_problem
from noptoolkit.traffic import DestinationSets, Traffic


@pytest.fixture
def all_large(monkeypatch):
    """No set is small enough to be priced exactly."""
    monkeypatch.setattr(blocks, "CHEAP_STEPS", 0.0)
    monkeypatch.setattr(blocks, "STEPS_PER_MESSAGE", 0.0)


def both_prices(package, sets, prices, reverse):
    """Bound and cost of trees by dual ascent, and the cheapest trees, of all messages."""
    problem = routing_problem(package, messages(package, sets, reverse=reverse))
    (part,) = problem.messages
    raised, exact = AscentTrees(problem, part, prices), CheapestTrees(problem, part, prices)
    covering = covering_sets(problem, part)
    ports = problem.network.on_ejected if reverse else problem.network.on_injected
    found = []
    for row in range(len(covering.members)):
        group = SetGroup.of(problem, part, covering, np.array([row]))
        for served in (raised.serve(group.messages), exact.serve(group)):
            spent = served.load @ (problem.network.on_arcs.T @ prices) + served.sent @ (ports.T @ prices)
            found.append((served.bound, spent))
    (bound, tree), (least, spent) = np.array(found).reshape(-1, 2, 2).transpose(1, 2, 0)
    return bound, tree, least, spent


@given(seed=st.integers(0, 10_000), reverse=st.booleans(), everyone=st.booleans())
@settings(max_examples=examples(30), deadline=None)
def test_dual_ascent_brackets_the_cheapest_trees(seed, reverse, everyone):
    package = capable(random_package(seed % 50, nodes=9), None if everyone else {"n1", "n3", "n6"})
    sets = random_sets(len(package.terminals), 12, 6, seed=seed)
    size = routing_problem(package, messages(package, sets)).network.num_resources
    prices = np.random.default_rng(seed).exponential(1, size)
    bound, tree, exact, spent = both_prices(package, sets, prices, reverse)
    np.testing.assert_allclose(spent, exact, rtol=1e-9)
    assert (bound <= exact * (1 + 1e-9)).all()
    assert (exact <= tree * (1 + 1e-9)).all()
    assert tree.sum() <= 1.1 * bound.sum()


@pytest.mark.parametrize("seed", range(4))
def test_broadcast_trees_are_minimum_arborescences(seed):
    package = capable(from_graph(nx.gnm_random_graph(12, 26, seed=seed), capacity_seed=seed))
    names = package.terminals
    everyone = DestinationSets(np.array([3]), np.array([[2 ** len(names) - 1]], np.uint64), np.ones(1))
    problem = routing_problem(package, messages(package, everyone))
    (part,) = problem.messages
    prices = np.random.default_rng(seed).exponential(1, problem.network.num_resources)
    served = AscentTrees(problem, part, prices).serve(np.arange(1))
    graph = nx.DiGraph()
    for tail, head, length in zip(problem.network.tail, problem.network.head, prices, strict=True):
        if head != part.root[0]:
            graph.add_edge(int(tail), int(head), weight=length)
    least = nx.minimum_spanning_arborescence(graph).size(weight="weight")
    assert served.bound == pytest.approx(least, rel=1e-9)
    assert served.load @ prices == pytest.approx(least, rel=1e-9)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_packing_by_dual_ascent_brackets_the_optimum_over_all_trees(seed, reverse):
    package = capable(from_graph(nx.gnm_random_graph(5, 7, seed=5 + seed), capacity_seed=seed))
    sets = random_sets(len(package.terminals), 5, 3, seed=seed)
    flow = congestion(package, messages(package, sets, reverse=reverse), tol=1e-4)
    optimum = all_tree_packing_time(package, sets, reverse)
    assert flow.time_bound * (1 - 1e-9) <= optimum <= flow.time * (1 + 1e-9)
    assert flow.gap < 0.03
    assert flow.packings or flow.bound_method != "Steiner tree packing"
    assert flow.verify()


def coded_multicast_time(package, sets):
    """The optimum with network coding: a channel carries the most that any one member gets through it."""
    channels, names = package.channels, package.terminals
    tail = np.array([package.index[channel.tail] for channel in channels])
    head = np.array([package.index[channel.head] for channel in channels])
    arcs, nodes = len(channels), len(package.nodes)
    incidence = np.zeros((nodes, arcs))
    incidence[head, np.arange(arcs)] += 1
    incidence[tail, np.arange(arcs)] -= 1
    pairs = [
        (row, member)
        for row in range(len(sets))
        for member in np.flatnonzero(sets.contains(len(names))[row])
        if member != sets.root[row]
    ]
    columns = arcs * (len(pairs) + len(sets)) + 1
    equal, owed, below, room = [], [], [], []
    for k, (row, member) in enumerate(pairs):
        mine = slice(k * arcs, (k + 1) * arcs)
        block = np.zeros((nodes, columns))
        block[:, mine] = incidence
        equal.append(block)
        owed.append(np.zeros(nodes))
        owed[-1][package.index[names[member]]] = sets.bytes[row]
        owed[-1][package.index[names[sets.root[row]]]] = -sets.bytes[row]
        block = np.zeros((arcs, columns))
        block[:, mine] = np.eye(arcs)
        start = (len(pairs) + row) * arcs
        block[:, start : start + arcs] = -np.eye(arcs)
        below.append(block)
        room.append(np.zeros(arcs))
    total = np.zeros((arcs, columns))
    for row in range(len(sets)):
        start = (len(pairs) + row) * arcs
        total[:, start : start + arcs] = np.eye(arcs)
    total[:, -1] = [-channel.bandwidth for channel in channels]
    cost = np.zeros(columns)
    cost[-1] = 1
    answer = linprog(
        cost,
        np.vstack([*below, total]),
        np.concatenate([*room, np.zeros(arcs)]),
        np.vstack(equal),
        np.concatenate(owed),
    )
    return answer.fun


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("seed", range(3))
def test_bound_by_dual_ascent_is_below_network_coding(seed):
    """Cuts count against copies and codes alike, so their bound is below the optimum with coding."""
    package = capable(from_graph(nx.gnm_random_graph(7, 11, seed=seed), capacity_seed=seed))
    sets = random_sets(len(package.terminals), 4, 5, seed=seed)
    flow = congestion(package, messages(package, sets), tol=1e-4)
    coded = coded_multicast_time(package, sets)
    assert flow.time_bound <= coded * (1 + 1e-7)
    assert coded <= flow.time * (1 + 1e-7)
    assert flow.gap < 0.03


def grid(side=6, wrap=False):
    graph = nx.grid_2d_graph(side, side, periodic=wrap)
    return capable(from_graph(nx.convert_node_labels_to_integers(graph)))


@pytest.mark.parametrize("wrap", [False, True])
def test_everybody_broadcasts(wrap):
    """A corner of a mesh takes 35 bytes by two channels, a node of a torus by four; no channel needs more."""
    package = grid(wrap=wrap)
    words = np.full((36, 1), 2**36 - 1, np.uint64)
    traffic = messages(package, DestinationSets(np.arange(36), words, np.ones(36)))
    flow = congestion(package, traffic)
    assert flow.time == pytest.approx(35 / 4 if wrap else 35 / 2, rel=0.01)
    assert flow.gap <= 0.01
    checked = flow.verify()
    assert checked.messages == 36
    assert not checked.unchecked


@pytest.mark.parametrize("reverse", [False, True])
def test_large_sets_are_certified(reverse):
    package = grid()
    flow = congestion(package, messages(package, random_sets(36, 20, 34, seed=2), reverse=reverse), tol=0.03)
    assert flow.gap <= 0.03
    assert not flow.verify().unchecked


@pytest.mark.usefixtures("all_large")
def test_tampered_cuts_are_rejected():
    package = grid(5, wrap=True)
    flow = congestion(package, messages(package, random_sets(25, 200, 6, seed=3)), tol=0.1)
    (packing,) = flow.packings
    assert not flow.verify().unchecked
    heavier = dataclasses.replace(packing, weights=packing.weights * 1.1)
    other = dataclasses.replace(packing, cuts=packing.cuts ^ np.uint64(1 << 7))
    for wrong in (heavier, other):
        with pytest.raises(RoutingError, match="cuts of message"):
            dataclasses.replace(flow, packings=(wrong,)).verify()
    lighter = dataclasses.replace(packing, weights=packing.weights * 0.5)
    with pytest.raises(RoutingError, match="prove"):
        dataclasses.replace(flow, packings=(lighter,)).verify()


def test_mixed_small_and_large_sets_with_unicast():
    package = grid(5)
    small, large = random_sets(25, 40, 3, seed=4), random_sets(25, 6, 24, seed=5)
    both = DestinationSets(
        *(
            np.concatenate([getattr(small, name), getattr(large, name)])
            for name in ("root", "members", "bytes")
        )
    )
    demand = np.random.default_rng(0).random((25, 25)) / 10
    traffic = Traffic(package.terminals, demand, multicast=both, reduction=random_sets(25, 9, 20, seed=6))
    flow = congestion(package, traffic, tol=0.02)
    assert flow.gap <= 0.02
    assert not flow.verify().unchecked
    assert flow.time <= congestion(package, traffic, routing="ecmp").time
