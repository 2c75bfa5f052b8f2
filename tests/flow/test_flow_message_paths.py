"""Messages follow the routing that was asked for, and part where its paths do; verify() follows every one."""

import dataclasses
import functools

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_package
from hypothesis import example, given, settings
from hypothesis import strategies as st
from message_cases import capable, members_of, messages, random_sets
from seeds import examples

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import RoutingError
from noptoolkit.flow import ROUTINGS, congestion
from noptoolkit.traffic import DestinationSets, from_matrix


def grid(rows=3, columns=4, helpers=None):
    rng = np.random.default_rng(2)
    nodes = [
        Chiplet(f"n{i}", role="expert", position=(c * 1e-2, r * 1e-2))
        for i, (r, c) in enumerate(np.ndindex(rows, columns))
    ]
    pairs = [(i, i + 1) for i in range(rows * columns) if (i + 1) % columns]
    pairs += [(i, i + columns) for i in range((rows - 1) * columns)]
    links = [Link(f"n{i}", f"n{j}", *rng.uniform(0.5, 1.5, 1)) for i, j in pairs]
    return capable(Package("grid", nodes, links), helpers)


def along_tries(package, sets, paths, reverse=False):
    """Loads by recursion over the paths of a message: copies part where the paths do."""
    names = package.terminals
    load = dict.fromkeys((channel.name for channel in package.channels), 0.0)
    for row in range(len(sets)):
        root = names[sets.root[row]]
        ways = []
        for member in sorted(members_of(sets, row, names)):
            way = list(paths(member, root))[::-1] if reverse else list(paths(root, member))
            ways.append(tuple(way))

        def copies(so_far, ways=ways, row=row):
            inside = [way for way in ways if way[: len(so_far)] == so_far]
            count = sum(way == so_far for way in inside)
            for ahead in {way[len(so_far)] for way in inside if way != so_far}:
                below = copies((*so_far, ahead))
                a, b = (ahead, so_far[-1]) if reverse else (so_far[-1], ahead)
                load[f"{a}->{b}"] += below * sets.bytes[row]
                count += below
            return min(count, 1) if package[so_far[-1]].replicates else count

        if ways:
            copies((root,))
    return list(load.values())


def walked_by(package, routing):
    """The path of a single-path routing, read off the loads of one byte."""

    @functools.cache
    def path(a, b):
        index = {name: i for i, name in enumerate(package.terminals)}
        demand = np.zeros((len(index), len(index)))
        demand[index[a], index[b]] = 1.0
        flow = congestion(package, from_matrix(package, demand), routing=routing)
        used = {c.tail: c.head for c, load in zip(package.channels, flow.load, strict=True) if load > 0.5}
        way = [a]
        while way[-1] != b:
            way.append(used[way[-1]])
        return tuple(way)

    return path


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("helpers", [None, {"n1", "n5", "n6", "n9"}])
@pytest.mark.parametrize("routing", ["shortest", "dor"])
def test_messages_take_the_paths_of_the_routing(routing, helpers, reverse):
    package = grid(helpers=helpers)
    sets = random_sets(12, 30, 7, seed=1)
    flow = congestion(package, messages(package, sets, reverse=reverse), routing=routing)
    expected = along_tries(package, sets, walked_by(package, routing), reverse)
    np.testing.assert_allclose(flow.load, expected, rtol=1e-12)
    assert flow.verify()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("helpers", [None, {"n0", "n2", "n5"}])
def test_messages_take_given_paths(helpers, reverse):
    """Detours that meet again after parting, too: two copies then pass the same node."""
    package = capable(from_graph(nx.gnm_random_graph(8, 14, seed=3)), helpers)
    graph = package.graph.to_undirected()
    rng = np.random.default_rng(0)
    table = {}
    for a in package.terminals:
        for b in package.terminals:
            if a != b:
                ways = list(nx.all_simple_paths(graph, a, b, cutoff=4))
                table[a, b] = ways[rng.integers(len(ways))]
    sets = random_sets(8, 40, 5, seed=2)
    expected = along_tries(package, sets, lambda a, b: table[a, b], reverse)
    for given_paths in (table, lambda a, b: table[a, b]):
        flow = congestion(package, messages(package, sets, reverse=reverse), routing=given_paths)
        np.testing.assert_allclose(flow.load, expected, rtol=1e-12)
        assert flow.verify()
    backwards = {(b, a): way[::-1] for (a, b), way in table.items()}
    mirror = congestion(package, messages(package, sets, reverse=not reverse), routing=backwards)
    there = {channel.name: load for channel, load in zip(package.channels, flow.load, strict=True)}
    back = [there[f"{channel.head}->{channel.tail}"] for channel in package.channels]
    np.testing.assert_allclose(mirror.load, back, rtol=1e-12)


def test_a_table_needs_only_the_paths_that_are_used():
    package = grid()
    sets = DestinationSets(np.array([0]), np.array([[0b110]], np.uint64), np.ones(1))
    table = {("n0", "n1"): ["n0", "n1"], ("n0", "n2"): ["n0", "n1", "n2"]}
    flow = congestion(package, messages(package, sets), routing=table)
    assert flow.load.sum() == 2
    with pytest.raises(RoutingError, match="no path from 'n0' to 'n2'"):
        congestion(package, messages(package, sets), routing={("n0", "n1"): ["n0", "n1"]})


def test_up_down_messages_never_climb_after_a_descent():
    package = capable(from_graph(nx.gnm_random_graph(14, 24, seed=4)))
    sets = random_sets(14, 60, 8, seed=5)
    flow = congestion(package, messages(package, sets), routing="up-down")
    assert flow.verify()
    ones = np.ones((14, 14))
    unicast = congestion(package, from_matrix(package, ones), routing="up-down")
    assert (unicast.load[flow.load > 0] > 0).all()
    hops = unicast.load.sum()
    alone = [
        congestion(
            package,
            messages(package, DestinationSets(np.array([a]), np.array([[1 << b]], np.uint64), np.ones(1))),
            routing="up-down",
        ).load.sum()
        for a in range(14)
        for b in range(14)
        if a != b
    ]
    assert sum(alone) == pytest.approx(hops)  # single members: as many hops as unicast takes
    trees = flow.routed.trees.trees
    channel = package.channels
    up = {}  # every arc of a path is of one kind: the order is a spanning tree's, found from the loads
    for tree in trees:
        for node in range(1, len(tree.arc)):
            up.setdefault(int(tree.arc[node]), set()).add(int(tree.arc[tree.parent[node]]))
    turns = nx.DiGraph((before, arc) for arc, befores in up.items() for before in befores if before >= 0)
    assert nx.is_directed_acyclic_graph(turns)
    assert len(channel) == flow.network.num_arcs


@pytest.mark.parametrize("reverse", [False, True])
def test_valiant_is_the_mean_over_the_chiplets_between(reverse):
    package = grid()
    sets = random_sets(12, 20, 6, seed=6)
    flow = congestion(package, messages(package, sets, reverse=reverse), routing="valiant")
    away = sets.contains(12)
    away[np.arange(len(sets)), sets.root] = False
    words = (away * (1 << np.arange(12))).sum(axis=1).astype(np.uint64)[:, None]
    expected = np.zeros(len(package.channels))
    used = np.bincount(sets.root, sets.bytes * away.any(axis=1), 12)
    for between in range(12):
        trip = np.zeros((12, 12))
        trip[:, between] = used
        there = congestion(package, from_matrix(package, trip.T if reverse else trip), routing="ecmp")
        moved = DestinationSets(np.full(len(sets), between), words, sets.bytes)
        onward = congestion(package, messages(package, moved, reverse=reverse), routing="ecmp")
        expected += (there.load + onward.load) / 12
    np.testing.assert_allclose(flow.load, expected, rtol=1e-9)
    assert not flow.verify().unchecked


def any_traffic(package, kind, seed):
    names = package.terminals
    demand = np.random.default_rng(seed).pareto(1.5, (len(names),) * 2)
    np.fill_diagonal(demand, 0.0)
    sets = random_sets(len(names), 25, 5, seed=seed)
    if kind == "unicast":
        return from_matrix(package, demand)
    if kind == "multicast":
        return messages(package, sets)
    if kind == "reduction":
        return messages(package, sets, reverse=True)
    more = random_sets(len(names), 9, 6, seed=seed + 1)
    return dataclasses.replace(messages(package, sets), demand=demand, reduction=more)


KINDS = ("unicast", "multicast", "reduction", "everything")


@given(
    seed=st.integers(0, 10_000),
    routing=st.sampled_from(sorted(set(ROUTINGS) - {"dor"})),
    kind=st.sampled_from(KINDS),
    everyone=st.booleans(),
)
@example(seed=8820, routing="optimal", kind="everything", everyone=False)  # a copy comes by its root again
@settings(max_examples=examples(60), deadline=None)
def test_every_routing_verifies_on_any_package(seed, routing, kind, everyone):
    package = capable(random_package(seed % 40, nodes=8), None if everyone else {"n1", "n2", "n5"})
    traffic = any_traffic(package, kind, seed)
    try:
        flow = congestion(package, traffic, routing=routing)
    except RoutingError:
        assert routing == "up-down"  # over a one-way link
        return
    checked = flow.verify()
    assert not checked.unchecked
    assert checked.messages == (0 if kind == "unicast" else 34 if kind == "everything" else 25)


def scaled(array, rng):
    changed = np.array(array, dtype=float)
    where = np.argwhere(np.abs(changed) > 1e-9 * np.abs(changed).max())
    changed[tuple(where[rng.integers(len(where))])] *= 0.5
    return changed


def tampered(flow, rng):
    """Every way to make a part of a result a little better than it is."""
    replace = dataclasses.replace
    routed = flow.routed
    yield replace(flow, load=scaled(flow.load, rng))
    yield replace(flow, time=flow.time * 0.999)
    yield replace(flow, time_bound=flow.time * 1.001, prices=flow.prices)
    if flow.prices.any():
        yield replace(flow, prices=-flow.prices)
    if routed.arc_load.any():
        yield replace(flow, routed=replace(routed, arc_load=scaled(routed.arc_load, rng)))
        proof = routed.commodity_flow()
        if proof is not None:
            yield replace(flow, routed=replace(routed, proof=replace(proof, flow=scaled(proof.flow, rng))))
    trees = routed.trees
    if trees.arc_load.any():
        yield replace(flow, routed=replace(routed, trees=replace(trees, arc_load=trees.arc_load * 0.99)))
    if trees.trees:
        which = int(rng.integers(len(trees.trees)))
        tree = trees.trees[which]
        wrong = [
            replace(tree, shares=tree.shares * 0.9),
            replace(tree, messages=tree.messages[1:], shares=tree.shares[1:]),
        ]
        if (tree.ends > 0).any():
            wrong.append(replace(tree, ends=np.where(tree.ends > 0, 0, tree.ends)))
            wrong.append(replace(tree, arc=np.r_[tree.arc[:-1], (tree.arc[-1] + 1) % len(trees.arc_load)]))
        for other in wrong:
            changed = (*trees.trees[:which], other, *trees.trees[which + 1 :])
            yield replace(flow, routed=replace(routed, trees=replace(trees, trees=changed)))
    if trees.branches:
        ways = trees.branches[0]
        for other in (
            replace(ways, shares=ways.shares * 0.9),
            replace(ways, begins=np.minimum(ways.begins, len(ways.arcs) - 1), arcs=ways.arcs[:-1]),
            replace(ways, arcs=np.r_[(ways.arcs[0] + 1) % len(trees.arc_load), ways.arcs[1:]]),
        ):
            changed = (other, *trees.branches[1:])
            yield replace(flow, routed=replace(routed, trees=replace(trees, branches=changed)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("routing", sorted(ROUTINGS))
@pytest.mark.parametrize(
    "helpers", [pytest.param(None, marks=pytest.mark.long), {"n1", "n5", "n6", "n9"}], ids=["all", "few"]
)
def test_nothing_tampered_with_passes(routing, kind, helpers):
    package = grid(helpers=helpers)
    flow = congestion(package, any_traffic(package, kind, 3), routing=routing)
    assert not flow.verify().unchecked
    rng = np.random.default_rng(0)
    count = 0
    for wrong in tampered(flow, rng):
        count += 1
        with pytest.raises(RoutingError, match="does not hold"):
            wrong.verify()
    assert count >= 5
