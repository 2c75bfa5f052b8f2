"""A topology as a graph, independent of traffic: degrees, distances, paths, connectivity, spectrum.

The graph is that of the package's network: chiplets, switches and die-to-die links, memory stacks left out.
Distances are hops between chiplets (through switches where there are any). The bisection has a room of its
own, `noptoolkit.structure.bisection_bandwidth`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.package import Memory, Package
from noptoolkit.structure.bisection_bandwidth import Bisection, bisection
from noptoolkit.structure.matrices import links_between, low_spectrum, network

DENSE = 0.1
"""Share of all pairs that are linked beyond which distances are found by products of matrices."""

__all__ = [
    "Bisection",
    "bisection",
    "degrees",
    "diameter",
    "distances",
    "edge_connectivity",
    "mean_hops",
    "path_diversity",
    "spectral_gap",
]


def degrees(package: Package) -> dict[str, int]:
    """Return the number of die-to-die links at each chiplet and switch; memory links do not count.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> max(degrees(mesh(4)).values()), min(degrees(mesh(4)).values())
    (4, 2)
    """
    count = np.bincount(_network_links(package).ravel(), minlength=len(package.nodes)).tolist()
    return {node.name: count[i] for i, node in enumerate(package.nodes) if not isinstance(node, Memory)}


def _network_links(package: Package) -> Ints:
    """Return the indices of the ends of the links that join no memory stack, [links, 2]."""
    memory = np.array([isinstance(node, Memory) for node in package.nodes], dtype=bool)
    return package.link_ends[~memory[package.link_ends].any(axis=1)]


def distances(package: Package) -> NDArray[np.int32]:
    """Return the hops from each chiplet to each other, [terminals, terminals].

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> distances(ring(5))[0]
    array([0, 1, 2, 2, 1], dtype=int32)
    """
    return _between_chiplets(package).astype(np.int32)


@lru_cache(maxsize=4)
def _hops(package: Package) -> Floats:
    """Return the hops from each node to each other, switches included, [nodes, nodes]."""
    from scipy.sparse.csgraph import shortest_path

    bandwidth = network(package).bandwidth
    if bandwidth.nnz > DENSE * bandwidth.shape[0] ** 2:
        hops = _hops_by_products(bandwidth.toarray() > 0)
    else:
        hops = np.asarray(shortest_path(bandwidth, method="D", unweighted=True))
    hops.flags.writeable = False
    return hops


def _hops_by_products(linked: Bools) -> Floats:
    """Return the hops between nodes of a dense graph by products of matrices, [nodes, nodes]."""
    step = (linked | np.eye(len(linked), dtype=bool)).astype(np.float32)
    hops = np.where(linked, 1.0, np.inf)
    np.fill_diagonal(hops, 0.0)
    reached, length = step, 1
    while np.isinf(hops).any():
        length += 1
        further = np.minimum(reached @ step, 1.0)
        if (further == reached).all():
            break
        hops[(further > 0) & np.isinf(hops)] = length
        reached = further
    return hops


def _between_chiplets(package: Package) -> Floats:
    chiplets = network(package).chiplets
    return _hops(package)[np.ix_(chiplets, chiplets)]


def diameter(package: Package) -> int:
    """Return the largest number of hops between two chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> diameter(mesh(4))
    6
    """
    return int(_between_chiplets(package).max())


def mean_hops(package: Package) -> float:
    """Return the mean number of hops between two different chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import hypercube
    >>> mean_hops(hypercube(4))  # d 2^(d-1) / (2^d - 1)
    2.13...
    """
    hops = _between_chiplets(package)
    pairs = len(hops) * (len(hops) - 1)
    return float(hops.sum() / pairs) if pairs else 0.0


def path_diversity(package: Package) -> float:
    """Return the geometric mean, over pairs of chiplets, of the number of shortest paths between them.

    A tree has 1, a mesh has binomial coefficients. Parallel links count as different paths.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> path_diversity(ring(4))  # 2 paths between opposite chiplets, 1 between neighbours
    1.25...
    """
    from scipy.sparse import csr_array, eye_array

    hops, links, chiplets = _hops(package), links_between(package), network(package).chiplets
    paths = np.ones_like(hops)
    frontier = eye_array(len(hops), format="csr")
    for length in range(1, int(_between_chiplets(package).max()) + 1):
        longer = (frontier @ links).tocoo()
        shortest = hops[longer.row, longer.col] == length
        at = longer.row[shortest], longer.col[shortest]
        paths[at] = longer.data[shortest]
        frontier = csr_array((longer.data[shortest], at), shape=hops.shape)
    between = paths[np.ix_(chiplets, chiplets)]
    off = ~np.eye(len(chiplets), dtype=bool)
    return float(np.exp(np.log(between[off]).mean())) if off.any() else 1.0


def edge_connectivity(package: Package) -> int:
    """Return the fewest die-to-die links whose loss cuts some chiplet or switch off.

    Where no two nodes have two links, fewer links than the least degree d can only part more than d nodes
    from more than d others, between which there are at least lambda_2 (d + 1) (n - d - 1) / n links (Fiedler
    1973). Where those are not fewer, the answer is d; else igraph finds it by maximum flows (Menger 1927).

    Examples
    --------
    >>> from noptoolkit.topology import nop_tree, torus
    >>> edge_connectivity(torus(4)), edge_connectivity(nop_tree(4, 4))
    (4, 1)
    """
    names = network(package).names
    size = len(names)
    if size < 2:
        return 0
    index = np.array([isinstance(node, Memory) for node in package.nodes], dtype=bool)
    edges = np.cumsum(~index)[_network_links(package)] - 1
    least = min(degrees(package).values())
    pairs = edges.min(axis=1) * size + edges.max(axis=1)
    if len(np.unique(pairs)) == len(pairs):
        between = spectral_gap(package) * (least + 1) * (size - least - 1) / size
        if size < 2 * (least + 1) or between > least * (1 + 1e-6):
            return least
    import igraph

    return int(igraph.Graph(n=size, edges=edges.tolist()).edge_connectivity())


def spectral_gap(package: Package) -> float:
    """Return the second-smallest eigenvalue of the Laplacian with one unit per link.

    Fiedler's algebraic connectivity: 0 for a disconnected graph, n for a complete one.

    Examples
    --------
    >>> from noptoolkit.topology import hypercube
    >>> round(spectral_gap(hypercube(4)), 9)
    2.0
    """
    return _spectral_gap(package)


@lru_cache(maxsize=16)
def _spectral_gap(package: Package) -> float:
    links = links_between(package)
    values, _ = low_spectrum(((links + links.T) / 2).tocsr())
    return float(values[0]) if len(values) else 0.0
