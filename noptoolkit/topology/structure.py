"""What a topology is as a graph, whatever runs on it: degree, distances, bisection, path diversity, spectrum.

The graph is that of the package's network: chiplets, switches and die-to-die links, memory stacks left out.
Distances are hops between chiplets (through switches where there are any). The bisection bandwidth is the
least bandwidth, in one direction, of the channels between two halves of the chiplets (sizes differing by at
most one; switches go to either side). Finding it is NP-hard: up to `MOST_EXACT` nodes a mixed-integer
program proves it, beyond that the best of many Kernighan-Lin-style descents from spectral and random halves
is an upper bound, and the second-smallest Laplacian eigenvalue gives a lower bound, lambda_2 n / 4, where
there are no switches (Fiedler 1973; Mohar 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import TopologyError
from noptoolkit.package import Memory, Package
from noptoolkit.topology.cuts import cut_weight, descend, least_cut, settle
from noptoolkit.units import Measured, measured

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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

MOST_EXACT = 30
MOST_DENSE = 200
"""Nodes up to which all eigenvalues are taken; beyond, Lanczos iterations find two."""

MOST_RANDOM = 256
"""Nodes up to which random halves are tried beside the spectral one and the order of the nodes."""


@dataclass(frozen=True)
class Bisection:
    """The bandwidth between two halves of the chiplets.

    Parameters
    ----------
    bandwidth
        Of the best cut found, from one half to the other, in B/s.
    bound
        No bisection has less, in B/s.
    half
        Names of the nodes of one side of the cut.
    status
        ``exact`` (proved to be the least) or ``bounded``.
    """

    bandwidth: Measured = measured("B/s")
    bound: Measured = measured("B/s")
    half: tuple[str, ...] = ()
    status: Literal["exact", "bounded"] = "bounded"


@lru_cache(maxsize=16)
def _network(package: Package) -> tuple[tuple[str, ...], NDArray[np.int64], csr_array[Any]]:
    """Return the names of the network's nodes, the chiplets' indices, and the bandwidth matrix in B/s."""
    names = tuple(node.name for node in package.nodes if not isinstance(node, Memory))
    keep = np.array([package.index[name] for name in names])
    matrix = package.to_sparse()[keep][:, keep]
    chiplets = set(package.terminals)
    return names, np.array([i for i, name in enumerate(names) if name in chiplets]), matrix


def degrees(package: Package) -> dict[str, int]:
    """Return the number of die-to-die links at each chiplet and switch; memory links do not count.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> max(degrees(mesh(4)).values()), min(degrees(mesh(4)).values())
    (4, 2)
    """
    count = {node.name: 0 for node in package.nodes if not isinstance(node, Memory)}
    for link in package.links:
        if link.a in count and link.b in count:
            count[link.a] += 1
            count[link.b] += 1
    return count


def distances(package: Package) -> NDArray[np.int32]:
    """Return the hops from each chiplet to each other, [terminals, terminals].

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> distances(ring(5))[0]
    array([0, 1, 2, 2, 1], dtype=int32)
    """
    hops = _hops(package)
    return hops.astype(np.int32)


@lru_cache(maxsize=4)
def _hops(package: Package) -> NDArray[np.float64]:
    from scipy.sparse.csgraph import shortest_path

    _, chiplets, matrix = _network(package)
    hops = shortest_path(matrix, method="D", unweighted=True, indices=chiplets)[:, chiplets]
    hops.flags.writeable = False
    return np.asarray(hops)


def diameter(package: Package) -> int:
    """Return the largest number of hops between two chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> diameter(mesh(4))
    6
    """
    return int(_hops(package).max())


def mean_hops(package: Package) -> float:
    """Return the mean number of hops between two different chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import hypercube
    >>> mean_hops(hypercube(4))  # d 2^(d-1) / (2^d - 1)
    2.13...
    """
    hops = _hops(package)
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
    from scipy.sparse.csgraph import shortest_path

    _, chiplets, matrix = _network(package)
    hops = shortest_path(matrix, method="D", unweighted=True)
    links = _multiplicity(package)
    size = len(hops)
    paths = np.eye(size)
    reach = np.nan_to_num(hops, posinf=-1).astype(np.int64)
    for length in range(1, int(reach.max()) + 1):
        longer = paths * (reach == length - 1) @ links
        paths = np.where(reach == length, longer, paths)
    between = paths[np.ix_(chiplets, chiplets)]
    off = ~np.eye(len(chiplets), dtype=bool)
    return float(np.exp(np.log(between[off]).mean())) if off.any() else 1.0


def _multiplicity(package: Package) -> csr_array[Any]:
    from scipy.sparse import coo_array

    names, _, _ = _network(package)
    index = {name: i for i, name in enumerate(names)}
    ends = [(index[c.tail], index[c.head]) for c in package.channels if c.tail in index and c.head in index]
    tail, head = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return coo_array((np.ones(len(tail)), (tail, head)), shape=(len(names),) * 2).tocsr()


def edge_connectivity(package: Package) -> int:
    """Return the fewest die-to-die links whose loss cuts some chiplet or switch off (Menger 1927; by igraph).

    Examples
    --------
    >>> from noptoolkit.topology import nop_tree, torus
    >>> edge_connectivity(torus(4)), edge_connectivity(nop_tree(4, 4))
    (4, 1)
    """
    import igraph

    names, _, _ = _network(package)
    index = {name: i for i, name in enumerate(names)}
    edges = [(index[link.a], index[link.b]) for link in package.links if {link.a, link.b} <= index.keys()]
    return int(igraph.Graph(n=len(names), edges=edges).edge_connectivity()) if len(names) > 1 else 0


def spectral_gap(package: Package) -> float:
    """Return the second-smallest eigenvalue of the Laplacian with one unit per link: how well it is knit.

    It is 0 for a graph that falls apart and n for a complete one (Fiedler's algebraic connectivity).

    Examples
    --------
    >>> from noptoolkit.topology import hypercube
    >>> round(spectral_gap(hypercube(4)), 9)
    2.0
    """
    links = _multiplicity(package)
    return float(_fiedler((links + links.T) / 2)[0])


def _fiedler(weights: csr_array[Any]) -> tuple[float, NDArray[np.float64]]:
    """Return the second-smallest Laplacian eigenvalue of symmetric weights, and its vector."""
    size = weights.shape[0]
    if size < 2:
        return 0.0, np.zeros(size)
    degree = np.asarray(weights.sum(axis=1), dtype=float).ravel()
    if size <= MOST_DENSE:
        values, vectors = np.linalg.eigh(np.diag(degree) - weights.toarray())
        return max(float(values[1]), 0.0), vectors[:, 1]
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    top = 2.0 * float(degree.max())  # above every eigenvalue: the two least become the two largest
    shifted = diags_array(top - degree) + weights
    start = np.random.default_rng(0).random(size)
    values, vectors = eigsh(shifted.tocsr(), k=2, v0=start, which="LA", tol=1e-9)
    second = int(np.argmin(values))
    return max(top - float(values[second]), 0.0), np.asarray(vectors[:, second], dtype=float)


def bisection(
    package: Package, *, exact: bool | None = None, rng: int | np.random.Generator | None = 0
) -> Bisection:
    """Return the least bandwidth between two halves of the chiplets.

    Parameters
    ----------
    package
        At least two chiplets.
    exact
        Whether to prove it; up to 30 chiplets and switches where ``None``.
    rng
        Of the random starts.

    Raises
    ------
    TopologyError
        If there are fewer than two chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> cut = bisection(mesh(4, link_bandwidth="1 GB/s"))
    >>> cut.bandwidth, cut.status
    (4000000000.0, 'exact')
    """
    names, chiplets, matrix = _network(package)
    if len(chiplets) < 2:
        raise TopologyError(f"package {package.name!r}: a bisection needs two chiplets")
    weights = ((matrix + matrix.T) / 2).toarray()
    side = _best_cut(weights, chiplets, np.random.default_rng(rng))
    found = cut_weight(weights, side)
    bound = 0.0
    if len(chiplets) == len(names):
        bound = _fiedler((matrix + matrix.T) / 2)[0] * (len(names) ** 2 // 4) / len(names)
    proved = len(names) <= MOST_EXACT if exact is None else exact
    if proved:
        side = least_cut(weights, chiplets, side)
        found = bound = cut_weight(weights, side)
    half = tuple(name for name, chosen in zip(names, side, strict=True) if chosen)
    return Bisection(found, min(bound, found), half, "exact" if proved else "bounded")


def _best_cut(
    weights: NDArray[np.float64], chiplets: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return the best of several halves, each improved by swaps until none helps."""
    from scipy.sparse import csr_array

    size = len(weights)
    orders = [_fiedler(csr_array(weights))[1], np.arange(size, dtype=float)]
    orders += [rng.random(size) for _ in range(8 if size <= MOST_RANDOM else 0)]
    best: NDArray[np.bool_] | None = None
    for order in orders:
        side = np.zeros(size, dtype=bool)
        ranked = chiplets[np.argsort(order[chiplets], kind="stable")]
        side[ranked[: len(chiplets) // 2]] = True
        settle(weights, side, chiplets)
        descend(weights, side, chiplets)
        if best is None or cut_weight(weights, side) < cut_weight(weights, best):
            best = side
    assert best is not None
    return best
