"""Packages made comparable: the same total of something, by scaling their die-to-die bandwidth.

A tree and a mesh with equal links are not equal packages: they have different numbers of links, of
different lengths, and a tree pays for its switches. Bandwidth, beachfront and wire are proportional to the
links' bandwidth: one factor makes the totals equal. Cost is not: silicon, carrier and assembly cost something
without any bandwidth, and yield falls as PHYs make dies larger. There the factor is the
root of a function that grows with it, where it has one; the price is the one of `package_cost` and `profile`.
Whether the edges of the dies have room for what the money buys is another question: where they have not, a
warning says so, and `noptoolkit.physical.violations` says where.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.errors import NopWarning, TopologyError
from noptoolkit.package import Chiplet, LinkKind, Package
from noptoolkit.physical.cost import package_cost
from noptoolkit.physical.feasibility import violations
from noptoolkit.physical.geometry import is_of, link_lengths
from noptoolkit.topology.composition import scale_bandwidth

__all__ = ["MEASURES", "normalise"]

EXACT = 1e-9
"""Relative difference of totals that counts as none."""

REACH = 9.0
"""Bandwidths are scaled by 10^-9 to 10^9."""


def _bandwidth(package: Package) -> float:
    """Return the bandwidth of all die-to-die links, both directions, in B/s."""
    return float(package.link_totals[is_of(package, LinkKind.D2D)].sum())


def _beachfront(package: Package) -> float:
    """Return the bandwidth that passes the edges of chiplets, in B/s; ends at switches do not count."""
    chiplet = np.array([isinstance(node, Chiplet) for node in package.nodes], dtype=bool)
    crossed = chiplet[package.link_ends].sum(axis=1)
    return float((package.link_totals * crossed)[is_of(package, LinkKind.D2D)].sum())


def _wire(package: Package) -> float:
    """Return the sum of bandwidth x length over all die-to-die links, in B m/s: what the wires take."""
    return float((package.link_totals * link_lengths(package))[is_of(package, LinkKind.D2D)].sum())


def _cost(package: Package) -> float:
    """Return the cost of a good package as `package_cost` and `profile` have it: UCIe on a substrate."""
    return package_cost(package).total


MEASURES: dict[str, Callable[[Package], float]] = {
    "bandwidth": _bandwidth,
    "beachfront": _beachfront,
    "wire": _wire,
    "cost": _cost,
}


def normalise(
    packages: Sequence[Package], by: str | Callable[[Package], float] = "beachfront"
) -> tuple[Package, ...]:
    """Return packages whose totals equal that of the first, their die-to-die links scaled alike.

    Parameters
    ----------
    packages
        The first stays as it is.
    by
        Name in `MEASURES`, or a function of a package that grows with its bandwidth.

    Warns
    -----
    NopWarning
        If ``by`` is ``cost`` and dies have no room for the links of a package.

    Raises
    ------
    TopologyError
        If no bandwidth makes the totals equal: the dies alone cost more, say, or it does not matter.

    Examples
    --------
    >>> from noptoolkit.topology import mesh, nop_tree
    >>> tree, grid = normalise([nop_tree(4, 4), mesh(4)], by="bandwidth")
    >>> grid.links[0].bandwidth / 1e9  # 20 links against 24
    106.66...

    A mesh has no switches to pay for, and buys bandwidth for what they cost:

    >>> from noptoolkit.topology import concentrated_mesh
    >>> switched, grid = normalise([concentrated_mesh(2), mesh(4)], by="cost")
    >>> round(grid.links[0].bandwidth / switched.links[0].bandwidth, 1)
    3.2
    """
    measure = resolve(by, MEASURES, "measure")
    if not packages:
        return ()
    wanted = measure(packages[0])
    what = by if isinstance(by, str) else getattr(by, "__name__", repr(by))
    level = (packages[0], *(_scaled(package, measure, wanted, what) for package in packages[1:]))
    if measure is _cost:
        for package in level[1:]:
            _warn_if_crowded(package)
    return level


def _warn_if_crowded(package: Package) -> None:
    """Warn where the dies have no room for the links that their price allows."""
    crowded = [found for found in violations(package, "ucie-2d") if found.rule in ("beachfront", "phy area")]
    if crowded:
        worst = max(crowded, key=lambda found: found.excess)
        warnings.warn(
            f"package {package.name!r}: at equal cost {len(crowded)} dies or sides have no room for their "
            f"links, the worst: {worst}",
            NopWarning,
            stacklevel=3,
        )


def _scaled(package: Package, measure: Callable[[Package], float], wanted: float, what: str) -> Package:
    """Return a package whose bandwidth is such that its measure is what is wanted."""
    total = measure(package)
    if total > 0 and wanted > 0:
        proportional = scale_bandwidth(package, wanted / total)
        if math.isclose(measure(proportional), wanted, rel_tol=EXACT):
            return proportional

    def excess(exponent: float) -> float:
        try:
            with warnings.catch_warnings():  # a trial bandwidth may be absurdly small
                warnings.simplefilter("ignore", NopWarning)
                return measure(scale_bandwidth(package, 10.0**exponent)) - wanted
        except TopologyError:  # a die has outgrown the wafer
            return math.inf

    least, most = excess(-REACH), excess(REACH)
    if least > -EXACT * abs(wanted):
        raise TopologyError(
            f"package {package.name!r}: its {what} is {least + wanted:.4g} even without bandwidth, more than "
            f"the {wanted:.4g} of the first; compare it with a more expensive package, or leave it out"
        )
    if not most > 0:
        raise TopologyError(
            f"package {package.name!r}: its {what} is {total:.4g} and does not grow to {wanted:.4g}, "
            "whatever its bandwidth; nothing to scale"
        )
    low, high = -REACH, REACH
    while high - low > EXACT:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    changed = scale_bandwidth(package, 10.0**low)
    if not math.isclose(measure(changed), wanted, rel_tol=1e-6):
        raise TopologyError(
            f"package {package.name!r}: its {what} jumps over {wanted:.4g}, from {measure(changed):.4g}; "
            "nothing to scale"
        )
    return changed
