"""Structural measurements against networkx, enumeration and closed forms."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noptoolkit import Chiplet, Link, Memory, Package
from noptoolkit.errors import TopologyError
from noptoolkit.topology import fully_connected, hypercube, mesh, nop_tree, random_regular, ring
from noptoolkit.topology.cuts import cut_weight, descend
from noptoolkit.topology.structure import (
    bisection,
    degrees,
    diameter,
    distances,
    mean_hops,
    path_diversity,
    spectral_gap,
)


@st.composite
def packages(draw: st.DrawFn) -> Package:
    """Draw a connected package of few chiplets, some links of other bandwidths, some parallel."""
    count = draw(st.integers(2, 9))
    pairs = [(draw(st.integers(0, i - 1)), i) for i in range(1, count)]
    extra = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] != p[1])
    pairs += draw(st.lists(extra, max_size=10))
    widths = draw(st.lists(st.integers(1, 5), min_size=len(pairs), max_size=len(pairs)))
    links = [Link(f"e{a}", f"e{b}", float(w)) for (a, b), w in zip(pairs, widths, strict=True)]
    return Package("drawn", [Chiplet(f"e{i}", role="expert") for i in range(count)], links)


def least_cut(package: Package) -> float:
    """Return the bisection bandwidth by trying every half."""
    names = package.terminals
    best = float("inf")
    for half in combinations(names, len(names) // 2):
        inside = set(half)
        cut = sum(link.bandwidth for link in package.links if (link.a in inside) != (link.b in inside))
        best = min(best, cut)
    return best


@settings(max_examples=40, deadline=None)
@given(packages())
def test_bisection_is_the_least_cut(package: Package) -> None:
    exact = bisection(package)
    assert exact.status == "exact"
    assert exact.bandwidth == exact.bound == pytest.approx(least_cut(package))
    assert len(exact.half) == len(package.terminals) // 2
    bounded = bisection(package, exact=False)
    assert bounded.bound <= exact.bandwidth * (1 + 1e-9)
    assert bounded.bandwidth >= exact.bandwidth * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(packages())
def test_paths_agree_with_networkx(package: Package) -> None:
    graph = nx.MultiGraph((link.a, link.b) for link in package.links)
    plain = nx.Graph(graph)
    lengths = dict(nx.all_pairs_shortest_path_length(plain))
    hops = distances(package)
    logs = []
    for i, a in enumerate(package.terminals):
        for j, b in enumerate(package.terminals):
            assert hops[i, j] == lengths[a][b]
            if a != b:
                ways = sum(
                    np.prod([graph.number_of_edges(*edge) for edge in nx.utils.pairwise(path)])
                    for path in nx.all_shortest_paths(plain, a, b)
                )
                logs.append(np.log(ways))
    assert diameter(package) == nx.diameter(plain)
    assert mean_hops(package) == pytest.approx(nx.average_shortest_path_length(plain))
    assert path_diversity(package) == pytest.approx(np.exp(np.mean(logs)))
    laplacian = nx.laplacian_matrix(graph).toarray()
    assert spectral_gap(package) == pytest.approx(np.linalg.eigvalsh(laplacian)[1], abs=1e-9)


def test_bounds_of_large_packages() -> None:
    cube = bisection(hypercube(7, link_bandwidth=1.0))
    assert cube.status == "bounded"
    assert cube.bandwidth == 64
    assert cube.bound == pytest.approx(64)
    grid = bisection(mesh(8, link_bandwidth=1.0))
    assert grid.bandwidth == 8
    assert grid.bound == pytest.approx((2 - 2 * np.cos(np.pi / 8)) * 64 / 4)
    assert bisection(ring(101, link_bandwidth=1.0)).bandwidth == 2
    assert spectral_gap(ring(301)) == pytest.approx(2 - 2 * np.cos(2 * np.pi / 301), rel=1e-4)
    assert bisection(random_regular(60, 4, link_bandwidth=1.0), exact=False, rng=1).bandwidth < 60


@pytest.mark.parametrize("seed", range(6))
def test_descent_finds_the_least_cut_of_small_packages(seed: int) -> None:
    package = random_regular(24, 3, seed=seed, link_bandwidth=1.0)
    assert bisection(package, exact=False).bandwidth == bisection(package).bandwidth


@pytest.mark.parametrize("seed", range(3))
def test_descent_swaps_are_worth_what_they_claim(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.random((14, 14)) * (rng.random((14, 14)) < 0.5), 1)
    weights += weights.T
    side = np.arange(14) < 7
    before = cut_weight(weights, side)
    descend(weights, side, np.arange(14))
    assert side.sum() == 7
    assert cut_weight(weights, side) <= before
    for i in np.flatnonzero(side):
        for j in np.flatnonzero(~side):
            other = side.copy()
            other[i], other[j] = False, True
            assert cut_weight(weights, other) >= cut_weight(weights, side) - 1e-9


def test_descent_leaves_what_no_swap_betters() -> None:
    side = np.arange(8) < 4
    descend(np.ones((8, 8)) - np.eye(8), side, np.arange(8))
    assert (side == (np.arange(8) < 4)).all()


def test_switches_take_either_side() -> None:
    package = nop_tree(2, 4, link_bandwidth=1.0, attention=False)
    cut = bisection(package)
    assert cut.bandwidth == 1
    assert len([name for name in cut.half if name.startswith("e")]) == 4


def test_memory_is_not_part_of_the_network() -> None:
    plain, full = mesh(3), mesh(3, memory=True)
    assert degrees(full) == degrees(plain)
    assert (distances(full) == distances(plain)).all()
    assert bisection(full).bandwidth == bisection(plain).bandwidth


def test_complete_graph() -> None:
    package = fully_connected(7, link_bandwidth=1.0)
    assert diameter(package) == 1
    assert bisection(package).bandwidth == 12
    assert spectral_gap(package) == pytest.approx(7)


def test_one_chiplet_has_no_bisection() -> None:
    package = Package("one", [Chiplet("a"), Memory("m", 1.0)], [Link("a", "m", 1.0)])
    with pytest.raises(TopologyError, match="needs two chiplets"):
        bisection(package)
    assert diameter(package) == 0
    assert mean_hops(package) == 0
