"""Packings of spanning trees on links of many sorts: exchanges of edges, and partitions along an order."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest

from noptoolkit import Package
from noptoolkit.collectives import collective
from noptoolkit.collectives.kinds.compiled_partitions import slowest_partition
from noptoolkit.collectives.kinds.compiled_spanning import (
    greedy_trees,
    hang_trees,
    matroid_trees,
    mend_trees,
    spanning_cost,
)


def graph_of(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    graph = nx.connected_watts_strogatz_graph(n, 4, 0.5, seed=int(rng.integers(2**31)))
    ends = np.array(sorted(map(sorted, graph.edges)), np.int64)
    return ends[:, 0].copy(), ends[:, 1].copy(), rng.integers(1, 9, len(ends)).astype(float)


def packing(a: np.ndarray, b: np.ndarray, capacity: np.ndarray, n: int, count: int) -> np.ndarray:
    noise = np.random.default_rng(0).random(997)
    return greedy_trees(n, a, b, capacity, 0.0, 0.0, count, noise, np.empty((0, n - 1), np.int64))[0]


def worth(parts: np.ndarray, a: np.ndarray, b: np.ndarray, capacity: np.ndarray) -> float:
    return float(parts.max() / capacity[parts[a] != parts[b]].sum())


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_exchanged_between_trees_that_stay_spanning_trees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    a, b, capacity = graph_of(rng, n)
    trees = packing(a, b, capacity, n, 60)
    before = np.bincount(trees.ravel(), minlength=len(a)) / capacity / 60
    worst = mend_trees(n, a, b, capacity, 0.0, trees, 10)
    for tree in trees:
        assert nx.is_tree(nx.Graph(zip(a[tree], b[tree], strict=True)))
        assert len(set(tree.tolist())) == n - 1
    after = np.bincount(trees.ravel(), minlength=len(a)) / capacity / 60
    assert worst == pytest.approx(after.max(), rel=1e-12)
    assert worst <= before.max()


@pytest.mark.parametrize("seed", range(4))
def test_mending_ends_where_no_exchange_helps(seed: int) -> None:
    """So few trees that all are asked: an edge stays if each that could enter would have as much load."""
    n = 12
    a, b, capacity = graph_of(np.random.default_rng(seed), n)
    trees = np.repeat(packing(a, b, capacity, n, 1), 12, axis=0)  # all alike: much to exchange
    worst = mend_trees(n, a, b, capacity, 0.0, trees, 1000)
    load = np.bincount(trees.ravel(), minlength=len(a))
    assert worst == pytest.approx((load / capacity).max() / 12)
    for tree in trees:
        for e in tree:
            rest = nx.Graph([(a[x], b[x]) for x in tree if x != e])
            rest.add_nodes_from(range(n))
            half = nx.node_connected_component(rest, int(a[e]))
            enter = [f for f in range(len(a)) if f != e and (int(a[f]) in half) != (int(b[f]) in half)]
            assert min((load[f] + 1) / capacity[f] for f in enter) >= load[e] / capacity[e]


def test_mending_stops_where_nothing_is_too_much() -> None:
    a, b, capacity = graph_of(np.random.default_rng(1), 20)
    trees = packing(a, b, capacity, 20, 30)
    same = trees.copy()
    mend_trees(20, a, b, capacity, 1e9, same, 10)
    assert np.array_equal(same, trees)


def test_a_packing_goes_on_where_it_was_left() -> None:
    a, b, capacity = graph_of(np.random.default_rng(2), 30)
    noise = np.random.default_rng(0).random(997)
    known = packing(a, b, capacity, 30, 25)
    onward = greedy_trees(30, a, b, capacity, 0.0, 0.0, 60, noise, known)
    assert np.array_equal(onward[0], packing(a, b, capacity, 30, 60))


@pytest.mark.parametrize("seed", range(6))
def test_the_partition_along_an_order_is_the_slowest_of_all_on_the_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    a, b, capacity = graph_of(rng, n)
    order = rng.permutation(len(a))
    found = slowest_partition(n, a, b, capacity, order)
    best = 0.0
    for count in range(len(a) + 1):
        graph = nx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(zip(a[order[:count]].tolist(), b[order[:count]].tolist(), strict=True))
        parts = np.zeros(n, np.int64)
        for number, vertices in enumerate(nx.connected_components(graph)):
            parts[list(vertices)] = number
        if parts.max() > 0:
            best = max(best, worth(parts, a, b, capacity))
    assert worth(found, a, b, capacity) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_no_partition_along_any_order_is_above_the_strength(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 6
    a, b, capacity = graph_of(rng, n)
    top = max(
        worth(np.unique(labels, return_inverse=True)[1], a, b, capacity)
        for labels in itertools.product(range(n), repeat=n)
        if len(set(labels)) > 1 and all(x <= len(set(labels[:i])) for i, x in enumerate(labels))
    )
    found = [
        worth(slowest_partition(n, a, b, capacity, rng.permutation(len(a))), a, b, capacity)
        for _ in range(40)
    ]
    assert max(found) == pytest.approx(top, rel=1e-12), "some order leads to the slowest"


@pytest.mark.parametrize("seed", range(6))
def test_trees_are_the_cheapest_by_the_load_before(seed: int) -> None:
    """Without noise to speak of, each tree is a minimum spanning tree of load / capacity."""
    rng = np.random.default_rng(seed)
    n = 9
    a, b, capacity = graph_of(rng, n)
    capacity += rng.random(len(a))
    trees, time = greedy_trees(n, a, b, capacity, 0.0, 0.0, 12, np.zeros(97), np.empty((0, n - 1), np.int64))
    load = np.zeros(len(a))
    for tree in trees:
        lengths = load / capacity
        assert nx.is_tree(nx.Graph(zip(a[tree], b[tree], strict=True)))
        graph = nx.Graph()
        graph.add_weighted_edges_from(zip(a.tolist(), b.tolist(), lengths.tolist(), strict=True))
        assert lengths[tree].sum() == pytest.approx(nx.minimum_spanning_tree(graph).size("weight"))
        load[tree] += 1.0
    assert time == pytest.approx((load / capacity).max() / 12)
    worst = [
        (np.bincount(trees[: k + 1].ravel(), minlength=len(a)) / capacity).max() / (k + 1) for k in range(12)
    ]
    for goal in (0.0, 0.3):  # the first time that they are near enough, they stop
        enough = next(k for k in range(12) if worst[k] <= worst[6] * (1 + goal))
        some, at = greedy_trees(
            n, a, b, capacity, worst[6], goal, 12, np.zeros(97), np.empty((0, n - 1), np.int64)
        )
        assert (len(some), at) == (enough + 1, worst[enough])


def test_noise_orders_edges_that_tie_and_no_others() -> None:
    """It is less than a thousandth of what the widest edge takes for one tree."""
    n = 9
    a, b, capacity = graph_of(np.random.default_rng(7), n)
    noise = np.random.default_rng(0).random(97)
    trees, _ = greedy_trees(n, a, b, 1e4 * capacity, 0.0, 0.0, 12, noise, np.empty((0, n - 1), np.int64))
    load = np.zeros(len(a))
    for tree in trees:
        graph = nx.Graph()
        graph.add_weighted_edges_from(zip(a.tolist(), b.tolist(), (load / capacity).tolist(), strict=True))
        least = nx.minimum_spanning_tree(graph).size("weight")
        assert (load / capacity)[tree].sum() <= least + (n - 1) * (1e-3 / capacity.max() + 1e-5)
        load[tree] += 1.0


def test_the_cost_that_lengths_prove_is_that_of_a_minimum_spanning_tree() -> None:
    for seed in range(4):
        a, b, length = graph_of(np.random.default_rng(seed), 15)
        graph = nx.Graph()
        graph.add_weighted_edges_from(zip(a.tolist(), b.tolist(), length.tolist(), strict=True))
        assert spanning_cost(15, a, b, length) == nx.minimum_spanning_tree(graph).size("weight")


@pytest.mark.parametrize("seed", range(8))
def test_as_many_trees_are_packed_as_partitions_allow(seed: int) -> None:
    """Nash-Williams and Tutte: k trees exist iff every partition is crossed by k (parts - 1) copies."""
    rng = np.random.default_rng(seed)
    n = 6
    a, b, _ = graph_of(rng, n)
    copies = rng.integers(1, 4, len(a))
    most = min(
        int(copies[labels[a] != labels[b]].sum()) // (len(set(labels.tolist())) - 1)
        for labels in map(np.array, itertools.product(range(n), repeat=n))
        if len(set(labels.tolist())) > 1
        and all(x <= len(set(labels[:i].tolist())) for i, x in enumerate(labels))
    )
    for count in (most, most + 1):
        success, holds = matroid_trees(n, a, b, copies, count, 10**9)
        assert success == (count == most)
        assert (holds.sum(axis=0) <= copies).all()
        for forest in holds:
            graph = nx.Graph(zip(a[forest].tolist(), b[forest].tolist(), strict=True))
            assert graph.number_of_edges() == 0 or nx.is_forest(graph)
            assert graph.number_of_edges() == forest.sum() <= n - 1
    assert not matroid_trees(n, a, b, copies, most, 3)[0]  # gives up


@pytest.mark.parametrize("seed", range(5))
def test_trees_hang_from_their_centres(seed: int) -> None:
    """Half of a longest path is the height; every edge leads on from what the edges before it reached."""
    n = 5 + 2 * seed
    a, b, capacity = graph_of(np.random.default_rng(seed), n)
    trees = packing(a, b, capacity, n, 4)
    root, order, forth = hang_trees(n, a, b, trees)
    for t, tree in enumerate(trees):
        assert sorted(order[t].tolist()) == sorted(tree.tolist())
        depth = {int(root[t]): 0}
        for e, ahead in zip(order[t].tolist(), forth[t].tolist(), strict=True):
            near, far = (a[e], b[e]) if ahead else (b[e], a[e])
            depth[int(far)] = depth[int(near)] + 1
        assert len(depth) == n
        graph = nx.Graph(zip(a[tree].tolist(), b[tree].tolist(), strict=True))
        assert max(depth.values()) == -(-nx.diameter(graph) // 2)


@pytest.mark.parametrize("count", [80, pytest.param(520, marks=pytest.mark.long)])
def test_a_package_of_links_of_many_sorts_is_within_a_per_cent_and_checked(count: int) -> None:
    rng = np.random.default_rng(8)
    base = Package.from_networkx(nx.random_regular_graph(4, count, seed=8), bandwidth="1 GB/s", name="sorts")
    links = [dataclasses.replace(link, bandwidth=1e9 * float(rng.uniform(1, 3))) for link in base.links]
    found = collective(base.replace(links=links), "all-reduce", "1 GB")
    assert found.gap <= 0.01
    assert "exchanged" in found.method
    found.verify()
