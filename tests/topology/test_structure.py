"""Structural measurements against networkx, enumeration and closed forms."""

import igraph
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Chiplet, Link, Memory, Package
from noptoolkit.structure.profile import (
    _hops_by_products,
    degrees,
    diameter,
    distances,
    edge_connectivity,
    mean_hops,
    path_diversity,
    spectral_gap,
)
from noptoolkit.topology import fully_connected, hypercube, mesh, of_size, ring


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


@settings(max_examples=examples(25), deadline=None)
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


def test_spectra() -> None:
    assert spectral_gap(ring(301)) == pytest.approx(2 - 2 * np.cos(2 * np.pi / 301), rel=1e-4)
    assert spectral_gap(hypercube(9)) == pytest.approx(2)


@pytest.mark.parametrize(
    "family", ["flattened_butterfly", "hypercube", "slim_noc", "torus", "mesh", "dragonfly"]
)
def test_connectivity_by_spectrum_is_that_of_maximum_flows(family: str) -> None:
    package = of_size(family, 100)
    edges = [(link.a, link.b) for link in package.links]
    graph = igraph.Graph.TupleList(edges, directed=False)
    assert edge_connectivity(package) == graph.edge_connectivity()


@settings(max_examples=examples(40), deadline=None)
@given(packages())
def test_connectivity(package: Package) -> None:
    graph = igraph.Graph.TupleList([(link.a, link.b) for link in package.links], directed=False)
    assert edge_connectivity(package) == graph.edge_connectivity()


def test_long_paths_are_counted() -> None:
    assert path_diversity(ring(1025)) == 1
    n = 300  # of 2 n (2 n - 1) ordered pairs, 4 (n - d) are d columns apart in other rows: d + 1 paths each
    logs = sum(4 * (n - d) * np.log(d + 1) for d in range(1, n))
    assert path_diversity(mesh(2, n)) == pytest.approx(np.exp(logs / (2 * n * (2 * n - 1))))


def test_memory_is_not_part_of_the_network() -> None:
    plain, full = mesh(3), mesh(3, memory=True)
    assert degrees(full) == degrees(plain)
    assert (distances(full) == distances(plain)).all()


def test_complete_graph() -> None:
    package = fully_connected(7, link_bandwidth=1.0)
    assert diameter(package) == 1
    assert spectral_gap(package) == pytest.approx(7)


def test_one_chiplet_has_no_distances() -> None:
    package = Package("one", [Chiplet("a"), Memory("m", 1.0)], [Link("a", "m", 1.0)])
    assert diameter(package) == 0
    assert mean_hops(package) == 0
    assert edge_connectivity(package) == 0


@pytest.mark.parametrize("seed", range(4))
def test_hops_by_products_are_those_of_searches(seed: int) -> None:
    """Also where some nodes are out of reach."""
    from scipy.sparse.csgraph import shortest_path

    linked = np.random.default_rng(seed).random((40, 40)) < 0.02 * 3**seed
    np.fill_diagonal(linked, False)
    found = _hops_by_products(linked)
    np.testing.assert_array_equal(found, shortest_path(linked.astype(float), method="D", unweighted=True))
    assert seed in (1, 2) or np.isinf(found).any() == (seed == 0)
