"""Packings of spanning trees on links of many sorts: exchanges of edges, and partitions along an order."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest

from noptoolkit import Package
from noptoolkit.collectives import collective
from noptoolkit.collectives.kinds.compiled_partitions import slowest_partition
from noptoolkit.collectives.kinds.compiled_spanning import greedy_trees, mend_trees


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


@pytest.mark.parametrize("count", [80, pytest.param(520, marks=pytest.mark.long)])
def test_a_package_of_links_of_many_sorts_is_within_a_per_cent_and_checked(count: int) -> None:
    rng = np.random.default_rng(8)
    base = Package.from_networkx(nx.random_regular_graph(4, count, seed=8), bandwidth="1 GB/s", name="sorts")
    links = [dataclasses.replace(link, bandwidth=1e9 * float(rng.uniform(1, 3))) for link in base.links]
    found = collective(base.replace(links=links), "all-reduce", "1 GB")
    assert found.gap <= 0.01
    assert "exchanged" in found.method
    found.verify()
