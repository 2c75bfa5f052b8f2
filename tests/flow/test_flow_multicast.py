"""Multicast and reduction: tree loads by counting, packings against all trees, bounds that hold."""

import dataclasses

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_package
from message_cases import all_tree_packing_time, capable, members_of, messages, random_sets

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.flow import congestion, verification
from noptoolkit.traffic import Traffic


def nop_tree(groups=3, leaves=3):
    nodes, links = [Chiplet("root", role="attention")], []
    for g in range(groups):
        nodes.append(Switch(f"sw{g}"))
        links.append(Link("root", f"sw{g}", 1.0))
        for e in range(leaves):
            nodes.append(Chiplet(f"e{g}.{e}", role="expert", injection_bandwidth=3.0))
            links.append(Link(f"sw{g}", f"e{g}.{e}", 1.0))
    return Package("tree", nodes, links)


def loads_on_tree(package, sets, reverse):
    """Copy by copy: a message leaves a node once if the node can copy, else once for each copy beyond."""
    graph = package.graph.to_undirected()
    names = package.terminals
    load = dict.fromkeys((channel.name for channel in package.channels), 0.0)
    for row in range(len(sets.root)):
        root, members = names[sets.root[row]], members_of(sets, row, names)

        def copies(node, parent, members=members, row=row):
            count = int(node in members)
            for child in graph[node]:
                if child != parent:
                    below = copies(child, node)
                    channel = f"{child}->{node}" if reverse else f"{node}->{child}"
                    load[channel] += below * sets.bytes[row]
                    count += below
            return min(count, 1) if package[node].replicates else count

        copies(root, None)
    return list(load.values())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("helpers", [["sw0", "sw1", "sw2"], ["sw1", "root"], ["root"], None])
def test_loads_on_a_tree_are_exact(helpers, reverse):
    package = capable(nop_tree(), helpers)
    sets = random_sets(10, 40, 6, seed=1)
    flow = congestion(package, messages(package, sets, reverse=reverse), routing="shortest")
    np.testing.assert_allclose(flow.load, loads_on_tree(package, sets, reverse), rtol=1e-12)
    assert flow.verify()
    best = congestion(package, messages(package, sets, reverse=reverse))
    assert best.time <= flow.time * (1 + 1e-12)
    assert best.verify()
    if helpers is None:
        np.testing.assert_allclose(best.load, flow.load, rtol=1e-12)
        assert best.status == "exact"


def test_without_helpers_messages_are_unicast():
    package = nop_tree()
    sets = random_sets(10, 30, 5, seed=2)
    copies = np.zeros((10, 10))
    for row in range(30):
        for name in members_of(sets, row, package.terminals):
            copies[sets.root[row], package.terminals.index(name)] += sets.bytes[row]
    flow = congestion(package, messages(package, sets))
    plain = congestion(package, Traffic(package.terminals, copies))
    np.testing.assert_allclose(flow.load, plain.load, rtol=1e-12)


def test_sets_wider_than_a_word():
    package = capable(nop_tree(groups=12, leaves=10))
    sets = random_sets(121, 50, 30, seed=3)
    flow = congestion(package, messages(package, sets))
    np.testing.assert_allclose(flow.load, loads_on_tree(package, sets, False), rtol=1e-12)
    assert flow.verify()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_packing_is_the_optimum_over_all_trees(seed, reverse):
    package = capable(from_graph(nx.gnm_random_graph(5, 7, seed=5 + seed), capacity_seed=seed))
    sets = random_sets(len(package.terminals), 5, 3, seed=seed)
    flow = congestion(package, messages(package, sets, reverse=reverse), tol=1e-5)
    assert flow.time == pytest.approx(all_tree_packing_time(package, sets, reverse), rel=1e-4)
    assert flow.gap < 1e-5
    assert flow.verify()


@pytest.mark.parametrize("seed", range(4))
def test_packing_with_few_helpers_limits_and_unicast(seed):
    package = capable(random_package(seed, nodes=9), {"n2", "n3", "n6"})
    sets = random_sets(len(package.terminals), 25, 4, seed=seed)
    demand = np.random.default_rng(seed).random((len(package.terminals),) * 2)
    traffic = dataclasses.replace(
        messages(package, sets), demand=demand, reduction=random_sets(len(demand), 9, 3, 7)
    )
    best = congestion(package, traffic, tol=0.005)
    assert best.gap <= 0.005
    assert best.verify()
    for routing in ("shortest", "ecmp", "valiant"):
        fixed = congestion(package, traffic, routing=routing)
        assert fixed.time >= best.time_bound * (1 - 1e-9)
        assert fixed.verify()
    helpless = congestion(random_package(seed, nodes=9), traffic)
    everyone = congestion(capable(package), traffic, tol=0.005)
    assert everyone.time_bound <= best.time * (1 + 1e-9)
    assert best.time_bound <= helpless.time * (1 + 1e-9)


def test_dropped_branch_is_rejected():
    package = capable(from_graph(nx.cycle_graph(6)))
    flow = congestion(package, messages(package, random_sets(6, 8, 4, seed=0)))
    assert flow.verify()
    trees = flow.routed.trees
    ways = trees.branches[0]
    broken = dataclasses.replace(
        ways, arcs=ways.arcs[:-1], begins=np.minimum(ways.begins, len(ways.arcs) - 1)
    )
    changed = dataclasses.replace(trees, branches=(broken, *trees.branches[1:]))
    with pytest.raises(RoutingError, match=r"lacks copies|do not add up"):
        dataclasses.replace(flow, routed=dataclasses.replace(flow.routed, trees=changed)).verify()


def test_verify_follows_many_messages_in_parts(monkeypatch):
    """A few at a time, as memory allows: every part is counted, and a fault in the last is found."""
    package = capable(random_package(5, nodes=9, rich=False), {"n1", "n2", "n5"})
    flow = congestion(package, messages(package, random_sets(9, 25, 4, seed=5)))
    assert flow.routed.trees.branches
    monkeypatch.setattr(verification.messages, "CHUNK", 60)
    assert flow.verify()
    trees = flow.routed.trees
    ways = trees.branches[-1]
    lost = dataclasses.replace(ways, shares=np.r_[ways.shares[:-1], 0.9 * ways.shares[-1]])
    changed = dataclasses.replace(trees, branches=(*trees.branches[:-1], lost))
    with pytest.raises(RoutingError, match=r"of a message of .* is routed"):
        dataclasses.replace(flow, routed=dataclasses.replace(flow.routed, trees=changed)).verify()


def test_sets_that_make_no_sense():
    package = capable(nop_tree())
    sets = random_sets(10, 4, 3, seed=0)
    for changes, message in (
        ({"members": sets.members | (np.uint64(1) << np.uint64(40))}, "beyond the 10"),
        ({"members": np.tile(sets.members, 2)}, "words"),
        ({"bytes": -sets.bytes}, "not negative"),
        ({"root": sets.root + 10}, "root"),
    ):
        with pytest.raises(WorkloadError, match=message):
            congestion(package, messages(package, dataclasses.replace(sets, **changes)))


@pytest.mark.parametrize("endpoints", [40, 100, 300])
def test_compiled_counts_equal_the_plain_ones(endpoints, monkeypatch):
    """More messages than numba pays for, one, two and five words wide."""
    package = capable(nop_tree(groups=endpoints // 10, leaves=10))
    sets = random_sets(len(package.terminals), 300, 12, seed=endpoints)
    plain = congestion(package, messages(package, sets), routing="shortest")
    monkeypatch.setattr("noptoolkit.flow.trees.message_loads.MANY", 1)
    monkeypatch.setattr("noptoolkit.flow.bounds.certificate.MANY", 1)
    compiled = congestion(package, messages(package, sets), routing="shortest")
    np.testing.assert_allclose(compiled.load, plain.load, rtol=1e-12)
    np.testing.assert_allclose(compiled.use, plain.use, rtol=1e-12)
    assert compiled.time_bound == pytest.approx(plain.time_bound, rel=1e-12)
