"""Bounds over all topologies against all topologies: never above the best, and how near."""

import networkx as nx
import numpy as np
import pytest
from brute_force import atlas_graphs, best_time, concurrent_time, multigraphs, regular_graphs
from seeds import seeds

from noptoolkit.bounds import (
    TopologyClass,
    all_to_all_bound,
    design_bound,
    matched_bound,
    ports_bound,
)
from noptoolkit.traffic import Traffic


def traffic_of(matrix):
    matrix = np.array(matrix, dtype=float)
    np.fill_diagonal(matrix, 0.0)
    return Traffic(tuple(f"e{i}" for i in range(len(matrix))), matrix, name="demand")


def uniform(size):
    return traffic_of(np.ones((size, size)))


# best of all graphs over the bound, TOPOLOGY tables: 1 but for these
LOOSE = {(5, 3): 1.077, (7, 3): 1.042, (7, 5): 1.020}


@pytest.mark.parametrize("size", [3, 4, 5, 6, pytest.param(7, marks=pytest.mark.long)])
def test_all_connected_graphs_of_the_atlas(size):
    for ports in range(2, size):
        bound = ports_bound(uniform(size), ports, 1.0)
        best = best_time(size, atlas_graphs(size, ports), np.ones((size, size)) - np.eye(size))
        assert bound.verify()
        assert best / bound.time == pytest.approx(LOOSE.get((size, ports), 1.0), abs=6e-4)


@pytest.mark.parametrize(
    ("degree", "counts"),
    [(3, {4: 1, 6: 2, 8: 5, 10: 19}), (4, {5: 1, 6: 1, 7: 2, 8: 6})],
)
def test_all_regular_graphs(degree, counts):
    """Among regular graphs, the best meets the bound, but for eight chiplets of three ports."""
    for size, count in counts.items():
        graphs = regular_graphs(size, degree)
        assert len(graphs) == count
        some = [[(u, v, 1) for u, v in graph.edges()] for graph in graphs]
        bound = ports_bound(uniform(size), degree, 1.0).time
        best = best_time(size, some, np.ones((size, size)) - np.eye(size))
        assert best / bound == pytest.approx(1.091 if (size, degree) == (8, 3) else 1.0, abs=6e-4)


@pytest.mark.long
@pytest.mark.parametrize(("size", "count"), [(9, 16), (10, 59)])
def test_all_regular_graphs_of_four_ports(size, count):
    graphs = regular_graphs(size, 4)
    assert len(graphs) == count
    some = [[(u, v, 1) for u, v in graph.edges()] for graph in graphs]
    best = best_time(size, some, np.ones((size, size)) - np.eye(size))
    assert best == pytest.approx(ports_bound(uniform(size), 4, 1.0).time)


@pytest.mark.parametrize("kind", ["pareto", "even", "outer", "permutation"])
@pytest.mark.parametrize("seed", seeds(1, 8))
def test_skewed_demand_on_every_labelled_multigraph(kind, seed):
    rng = np.random.default_rng(seed)
    for size, ports in ((4, 2), (4, 3), (5, 2)):
        demand = {
            "pareto": rng.pareto(1.5, (size, size)),
            "even": rng.random((size, size)),
            "outer": np.outer(rng.random(size) ** 2, rng.random(size)),
            "permutation": np.eye(size)[rng.permutation(size)] + 0.05,
        }[kind]
        given = traffic_of(demand)
        best = best_time(size, multigraphs(size, ports), np.array(given.demand))
        plain, matched = ports_bound(given, ports, 1.0), matched_bound(given, ports, 1.0)
        assert plain.verify()
        assert matched.verify()
        assert max(plain.time, matched.time) <= best * (1 + 1e-7)
        assert (
            best / max(plain.time, matched.time) <= 1.93
        )  # the worst that is known, a permutation on a ring


def test_the_matched_level_is_nearer_on_permutations():
    shift = traffic_of(np.eye(6)[[1, 2, 3, 4, 5, 0]] + 0.05)
    assert matched_bound(shift, 3, 1.0).time > 1.1 * ports_bound(shift, 3, 1.0).time


@pytest.mark.parametrize("seed", seeds(3, 20))
def test_unequal_ports_and_multigraphs(seed):
    rng = np.random.default_rng(seed)
    size = 4
    ports = rng.integers(1, 4, size)
    ports[rng.integers(size)] = 3
    if ports.sum() < 2 * (size - 1):
        ports += 1
    demand = rng.pareto(1.2, (size, size))
    given = traffic_of(demand)

    best = best_time(size, multigraphs(size, ports, most=len(ports)), np.array(given.demand))
    bound = ports_bound(given, ports.tolist(), 1.0)
    assert bound.verify()
    assert bound.time <= best * (1 + 1e-7)
    free = design_bound(given, TopologyClass(given.endpoints, ports, 1.0, "split"))
    whole = design_bound(given, TopologyClass(given.endpoints, ports, 1.0, "whole"))
    assert free.time <= whole.time * (1 + 1e-6)
    assert whole.time <= best * (1 + 1e-6)


@pytest.mark.parametrize(
    ("chiplets", "ports", "radix"), [(3, 1, 3), (4, 1, 4), (4, 2, 4), (5, 1, 5), (4, 2, 3)]
)
def test_one_switch(chiplets, ports, radix):
    """All simple graphs of the chiplets and one switch: never below the bound."""
    size = chiplets + 1
    demand = np.zeros((size, size))
    demand[:chiplets, :chiplets] = 1 - np.eye(chiplets)
    bound = all_to_all_bound(chiplets, ports, 1.0, 1.0, switches=[radix])
    pairs = [(u, v) for u in range(size) for v in range(u)]
    limit = [ports] * chiplets + [radix]
    best = np.inf
    for bits in range(1 << len(pairs)):
        edges = [(u, v, 1) for i, (u, v) in enumerate(pairs) if bits >> i & 1]
        degree = np.bincount([x for u, v, _ in edges for x in (u, v)], minlength=size)
        if (degree > limit).any() or not edges:
            continue
        if all(d < m for d, m in zip(degree, limit, strict=True)):
            continue
        graph = nx.Graph([(u, v) for u, v, _ in edges])
        if len(graph) == size and nx.is_connected(graph):
            best = min(best, concurrent_time(size, edges, demand))
    assert bound.verify()
    assert bound.time <= best * (1 + 1e-7)
    assert best <= 2.2 * bound.time
