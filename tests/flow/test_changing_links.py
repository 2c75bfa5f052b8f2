"""Warm solves of changing graphs: certified intervals that hold the optimum of an independent program."""

import networkx as nx
import numpy as np
import pytest
from brute_force import concurrent_time

from noptoolkit.errors import RoutingError
from noptoolkit.flow.changing_links import ChangingLinks


def test_every_graph_of_a_walk_is_certified():
    rng = np.random.default_rng(11)
    demand = rng.pareto(1.5, (9, 9)) * (1 - np.eye(9))
    demand[3] = 0.0  # sends nothing
    solver = ChangingLinks(demand)
    graph = nx.random_regular_graph(4, 9, seed=3)
    ruled_out = 0
    for step in range(3):
        edges = tuple(sorted((min(e), max(e), 1) for e in graph.edges))
        links = np.array([edge[:2] for edge in edges])
        exact = concurrent_time(9, edges, demand)
        assert solver.bound(links, np.ones(1)) <= exact * (1 + 1e-7)
        found = solver.solve(links, np.ones(1), tol=0.01)
        assert found.bound <= exact * (1 + 1e-7)
        assert exact <= found.time * (1 + 1e-7)
        assert found.gap <= 0.01
        assert found.load.max() == pytest.approx(found.time)
        scaled = solver.solve(links, np.full(1, 4e9), tol=0.01)
        assert scaled.bound * 4e9 <= exact * (1 + 1e-7) <= scaled.time * 4e9 * (1 + 1e-6)
        solves = solver.solves
        fast = solver.solve(links, np.ones(1), above=0.9 * exact)
        ruled_out += solver.solves == solves
        assert fast.bound >= 0.9 * exact * (1 - 1e-9)
        nx.double_edge_swap(graph, 1, seed=step)
    assert ruled_out == 3


def test_what_has_no_path_takes_for_ever_and_faults_are_named():
    solver = ChangingLinks(1 - np.eye(4))
    apart = solver.solve(np.array([(0, 1), (2, 3)]), np.ones(2))
    assert apart.time == np.inf
    assert solver.solve(np.array([(0, 1), (1, 2), (2, 3)]), np.ones(3)).time == pytest.approx(4.0, rel=0.02)
    for links, capacity, words in (
        ([(0, 4)], 1.0, "join two"),
        ([(1, 1)], 1.0, "join two"),
        ([(0, 1)], 0.0, "above 0"),
    ):
        with pytest.raises(RoutingError, match=words):
            solver.solve(np.array(links), np.full(1, capacity))
    with pytest.raises(RoutingError, match="nothing is to be carried"):
        ChangingLinks(np.eye(3))
    with pytest.raises(RoutingError, match="none negative"):
        ChangingLinks(np.ones((2, 3)))
