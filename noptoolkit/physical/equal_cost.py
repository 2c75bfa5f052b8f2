"""Packages made comparable: the same total of something, by scaling their die-to-die bandwidth.

A tree and a mesh with equal links are not equal packages: they have different numbers of links, of
different lengths. Every measure here is proportional to bandwidth, so one factor per package makes the
totals equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from noptoolkit._names import resolve
from noptoolkit.errors import TopologyError
from noptoolkit.package import LinkKind, Package
from noptoolkit.physical.geometry import link_lengths
from noptoolkit.topology.composition import scale_bandwidth

__all__ = ["MEASURES", "normalise"]


def _bandwidth(package: Package) -> float:
    """Return the bandwidth of all die-to-die links, both directions, in B/s."""
    return sum(
        link.bandwidth + (0.0 if link.half_duplex else link.backward_bandwidth)
        for link in package.links
        if link.kind is LinkKind.D2D
    )


def _beachfront(package: Package) -> float:
    """Return the bandwidth that passes the edges of chiplets, in B/s; ends at switches do not count."""
    chiplets = set(package.terminals)
    total = 0.0
    for link in package.links:
        if link.kind is LinkKind.D2D:
            both = link.bandwidth + (0.0 if link.half_duplex else link.backward_bandwidth)
            total += both * ((link.a in chiplets) + (link.b in chiplets))
    return total


def _wire(package: Package) -> float:
    """Return the sum of bandwidth x length over all die-to-die links, in B m/s: what the wires take."""
    total = 0.0
    for link, length in zip(package.links, link_lengths(package).tolist(), strict=True):
        if link.kind is LinkKind.D2D:
            total += (link.bandwidth + (0.0 if link.half_duplex else link.backward_bandwidth)) * length
    return total


MEASURES: dict[str, Callable[[Package], float]] = {
    "bandwidth": _bandwidth,
    "beachfront": _beachfront,
    "wire": _wire,
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
        A name in `MEASURES`, or a function of a package that is proportional to its bandwidth.

    Raises
    ------
    TopologyError
        If a total is zero or not proportional to bandwidth.

    Examples
    --------
    >>> from noptoolkit.topology import mesh, nop_tree
    >>> tree, grid = normalise([nop_tree(4, 4), mesh(4)], by="bandwidth")
    >>> grid.links[0].bandwidth / 1e9  # 20 links against 24
    106.66...
    """
    measure = resolve(by, MEASURES, "measure")
    if not packages:
        return ()
    wanted = measure(packages[0])
    scaled = [packages[0]]
    for package in packages[1:]:
        total = measure(package)
        if not (total > 0 and wanted > 0):
            raise TopologyError(f"package {package.name!r}: its total {by!r} is {total:g}; nothing to scale")
        changed = scale_bandwidth(package, wanted / total)
        if abs(measure(changed) - wanted) > 1e-9 * wanted:
            raise TopologyError(f"measure {by!r} is not proportional to bandwidth")
        scaled.append(changed)
    return tuple(scaled)
