"""The bisection bandwidth of a package: the best cut found, and how much none can be below.

It is the least bandwidth, in one direction, of the channels between two halves of the chiplets (sizes
differing by at most one; switches go to either side; where the directions differ, their mean counts).
Finding it is NP-hard. From above: the best of several Kernighan-Lin-style descents, from halves by
eigenvectors, by position, by order and at random. From below, the largest of

*spectrum*: lambda_2 a b / n with halves of a and b of n chiplets (Fiedler 1973; Mohar 1989), where lambda_2
is the second-smallest eigenvalue of the Laplacian from which switches are eliminated (its Schur complement):
eliminating them is the same as letting each switch be anywhere between the sides, which costs no more than
the better of the two;

*trees*: `noptoolkit.structure.tree_bound`;

*throughput*: if every chiplet can send r B/s to every other at the same time, r a b of them cross any two
halves. Which r can be had is a question of routing, so the caller gives it: `noptoolkit.flow.bisecting`
finds it.

Where all bandwidths are multiples of one unit, cuts are too, and a bound is rounded up. If it reaches the cut
found, that is exact. Up to `MOST_EXACT` nodes a mixed-integer program decides what is still open, if it can
in `SECONDS`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._seeds import generator_from
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.structure.halving import cut_weight, descend, least_cut, place_switches
from noptoolkit.structure.matrices import low_spectrum, network, symmetric
from noptoolkit.structure.tree_bound import tree_bound
from noptoolkit.units import Measured, measured

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Bisection", "bisection"]

MOST_EXACT = 40
SECONDS = 5.0
"""Nodes up to which, and time for which, a mixed-integer program looks for the least cut unasked."""

MOST_RANDOM = 256
"""Nodes up to which random halves are tried beside the others."""

VECTORS = 6
"""Eigenvectors whose order is tried: a square has two of each, and neither need be along an axis."""

DENSE = 16
"""Links per chiplet, both directions, beyond which one eigenvector is tried: dense graphs cut much alike."""

SLACK = 1e-6
"""Relative error of eigenvalues and flows that is forgiven."""


@dataclass(frozen=True)
class Bisection:
    """The bandwidth between two halves of the chiplets.

    Parameters
    ----------
    bandwidth
        Bandwidth of the best cut found, from one half to the other, in B/s.
    bound
        No bisection has less, in B/s.
    half
        Names of the nodes of one side of the cut.
    status
        ``exact`` (proved to be the least) or ``bounded``.
    proof
        Which bound it is.
    """

    bandwidth: Measured = measured("B/s")
    bound: Measured = measured("B/s")
    half: tuple[str, ...] = ()
    status: Literal["exact", "bounded"] = "bounded"
    proof: str = ""


def bisection(
    package: Package,
    *,
    exact: bool | None = None,
    throughput: float = 0.0,
    rng: int | np.random.Generator | None = 0,
) -> Bisection:
    """Return the least bandwidth between two halves of the chiplets.

    Parameters
    ----------
    package
        Package with at least two chiplets.
    exact
        Whether to prove it by a mixed-integer program, however long that takes; where ``None``, up to 40
        chiplets and switches and for a few seconds.
    throughput
        Rate at which every chiplet can send to every other at the same time, in B/s, where it is known.
    rng
        Seed or generator of the random starts.

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

    A torus of 8 x 8 carries uniform traffic in 64 s per byte and pair over channels of 1 B/s:

    >>> from noptoolkit.topology import torus
    >>> cut = bisection(torus(8, link_bandwidth=1.0), throughput=1 / 64)
    >>> cut.bandwidth, cut.status, cut.proof
    (16.0, 'exact', 'uniform throughput')
    """
    names, chiplets, _ = network(package)
    if len(chiplets) < 2:
        raise TopologyError(f"package {package.name!r}: a bisection needs two chiplets")
    found = _searched(package) if rng == 0 else _search(package, generator_from(rng))
    flow = throughput * (len(chiplets) // 2) * ((len(chiplets) + 1) // 2)
    if flow > found.bound:
        found = _with_bound(found, flow, "uniform throughput", symmetric(package).data)
    small = len(names) <= MOST_EXACT if exact is None else exact
    if small and found.status != "exact":
        sparse = symmetric(package)
        limit = None if exact else SECONDS
        side, bound = least_cut(sparse.toarray(), chiplets, np.isin(names, found.half), limit)
        better = dataclasses.replace(
            found, bandwidth=cut_weight(sparse.toarray(), side), half=_half(names, side)
        )
        found = _with_bound(better, bound, "mixed-integer program", sparse.data)
    return found


@lru_cache(maxsize=16)
def _searched(package: Package) -> Bisection:
    return _search(package, np.random.default_rng(0))


def _search(package: Package, rng: np.random.Generator) -> Bisection:
    """Return the best cut found and the bounds that need no flow."""
    names, chiplets, _ = network(package)
    sparse = symmetric(package)
    weights = sparse.toarray()
    bound = _spectral_bound(sparse, chiplets)
    side = _best_cut(package, weights, chiplets, bound, rng)
    found = Bisection(cut_weight(weights, side), 0.0, _half(names, side))
    found = _with_bound(found, bound, "spectrum", sparse.data)
    if found.status != "exact" and (len(chiplets) < len(names) or len(sparse.data) == 2 * len(names) - 2):
        found = _with_bound(found, tree_bound(sparse, chiplets), "trees", sparse.data)
    return found


def _with_bound(found: Bisection, bound: float, proof: str, widths: Floats) -> Bisection:
    """Return a bisection with a further lower bound, rounded up to a multiple of all bandwidths' unit."""
    unit = float(widths.min())
    if np.abs(widths / unit - np.rint(widths / unit)).max() < 1e-9:
        bound = np.ceil(bound / unit * (1 - SLACK)) * unit
    if bound <= found.bound:
        return found
    if bound >= found.bandwidth * (1 - SLACK):
        return dataclasses.replace(found, bound=found.bandwidth, status="exact", proof=proof)
    return dataclasses.replace(found, bound=bound, proof=proof)


def _spectral_bound(weights: csr_array[Any], chiplets: Ints) -> float:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    size, count = weights.shape[0], len(chiplets)
    if count < size:
        _, part = connected_components(weights, directed=False)
        linked = np.flatnonzero(part == part[chiplets[0]])
        switches = np.setdiff1d(linked, chiplets)
        dense = weights.toarray()
        inner = np.diag(dense[switches].sum(axis=1)) - dense[np.ix_(switches, switches)]
        outer = dense[np.ix_(switches, chiplets)]
        through = outer.T @ np.linalg.solve(inner, outer)
        reduced = dense[np.ix_(chiplets, chiplets)] + (through + through.T) / 2
        np.fill_diagonal(reduced, 0.0)
        weights = csr_array(reduced)
    return float(low_spectrum(weights)[0][0]) * (count // 2) * ((count + 1) // 2) / count


def _half(names: tuple[str, ...], side: Bools) -> tuple[str, ...]:
    return tuple(name for name, chosen in zip(names, side, strict=True) if chosen)


def _best_cut(
    package: Package,
    weights: Floats,
    chiplets: Ints,
    bound: float,
    rng: np.random.Generator,
) -> Bools:
    """Return the best of several halves, each improved by swaps; the first that reaches the bound."""
    from scipy.sparse import csr_array

    size = len(weights)
    sparse = csr_array(weights)
    vectors = VECTORS if sparse.nnz <= DENSE * size else 1
    orders = [*low_spectrum(sparse, vectors)[1].T, np.arange(size, dtype=float)]
    places = [package[name].position for name in network(package).names]
    for axis in (0, 1):
        orders.append(np.array([0.0 if place is None else place[axis] for place in places]))
    orders += [rng.random(size) for _ in range(8 if size <= MOST_RANDOM else 0)]
    best: Bools | None = None
    for order in orders:
        side = np.zeros(size, dtype=bool)
        ranked = chiplets[np.argsort(order[chiplets], kind="stable")]
        side[ranked[: len(chiplets) // 2]] = True
        place_switches(weights, side, chiplets)
        descend(weights, side, chiplets)
        place_switches(weights, side, chiplets)
        if best is None or cut_weight(weights, side) < cut_weight(weights, best):
            best = side
        if cut_weight(weights, best) <= bound * (1 + SLACK):
            break
    assert best is not None
    return best
