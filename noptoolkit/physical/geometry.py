"""Points where links leave the dies, and lengths of links.

A link leaves a die through the side that faces the other die: the side where the line between the centres
crosses the outline. Its length is measured between those points, Manhattan or Euclidean, unless the link
states its own; hybrid bonds are vertical and have none. Nodes without size are points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.errors import TopologyError
from noptoolkit.package import Link, LinkKind, Package
from noptoolkit.physical.technology import Technology

__all__ = [
    "Ports",
    "area",
    "is_of",
    "lengths_between",
    "link_lengths",
    "link_ports",
    "measured_links",
    "wire_length",
]

Wiring = Literal["manhattan", "euclidean"]
DIE_TO_DIE = (LinkKind.D2D, LinkKind.SUBSTRATE)
"""Kinds of links that have PHYs at the edges of dies."""

SIDES = ("right", "left", "top", "bottom")


def is_of(package: Package, *kinds: LinkKind) -> Bools:
    """Return which links are of some kinds, [links]."""
    return np.array([link.kind in kinds for link in package.links], dtype=bool)


def expect_placed(package: Package) -> None:
    """Raise where a node has no position."""
    lost = [node.name for node in package.nodes if node.position is None]
    if lost:
        raise TopologyError(
            f"package {package.name!r}: {lost[0]!r} has no position; give "
            "position=, or place everything with noptoolkit.physical.place(package)"
        )


@dataclass(frozen=True, eq=False)
class Ports:
    """Positions of both ends of every link.

    Parameters
    ----------
    node
        Index of the node at each end, [links, 2].
    point
        Position of each end, in m, [links, 2 ends, 2 coordinates].
    side
        Index into `SIDES` of the side of the die it is on, [links, 2].
    """

    node: Ints
    point: Floats
    side: Ints


@lru_cache(maxsize=4)
def link_ports(package: Package) -> Ports:
    """Return the points where every link leaves its dies.

    Raises
    ------
    TopologyError
        If a node has no position.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> ports = link_ports(mesh(2))
    >>> [SIDES[i] for i in ports.side[0]], ports.point[0, 0].round(6).tolist()
    (['right', 'left'], [0.005, 0.0])
    """
    ends = package.link_ends
    point, side = _exits(package, ends)
    ports = Ports(ends, point, side)
    ports.point.flags.writeable = ports.side.flags.writeable = False
    return ports


def _exits(package: Package, ends: Ints) -> tuple[Floats, Ints]:
    """Return the points where links between pairs of nodes leave both dies, and on which sides.

    Parameters
    ----------
    ends
        Pairs of nodes, [pairs, 2].
    """
    expect_placed(package)
    centre = np.array([node.position for node in package.nodes], dtype=float)
    size = np.array([node.size or (0.0, 0.0) for node in package.nodes], dtype=float)
    towards = centre[ends[:, ::-1]] - centre[ends]
    half = size[ends] / 2
    # the way to the other centre in half dies, per axis: the larger axis hits the outline first
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(half > 0, np.abs(towards) / half, np.inf * np.sign(np.abs(towards)))
    share = np.nan_to_num(share, nan=0.0, posinf=np.inf)
    across = share[..., 0] >= share[..., 1]
    largest = np.maximum(share.max(axis=2), 1.0)
    point = centre[ends] + np.where(np.isinf(largest)[..., None], 0.0, towards / largest[..., None])
    sign = np.where(across, towards[..., 0], towards[..., 1]) < 0
    return point, np.where(across, 0, 2) + sign


def lengths_between(package: Package) -> Floats:
    """Return how long a link between any two nodes would be, in m, Manhattan, [nodes, nodes].

    As `link_lengths`; where the nodes are joined already, no longer than the shortest link that they have.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> lengths_between(mesh(2)).round(6).tolist()[0]
    [0.0, 0.001, 0.001, 0.002]
    """
    count = len(package.nodes)
    first, second = np.triu_indices(count, 1)
    point, _ = _exits(package, np.stack([first, second], axis=1))
    apart = np.zeros((count, count))
    apart[first, second] = np.abs(np.diff(point, axis=1)[:, 0]).sum(axis=1)
    for (a, b), length in zip(package.link_ends.tolist(), link_lengths(package).tolist(), strict=True):
        low, high = min(a, b), max(a, b)
        apart[low, high] = min(apart[low, high], length)
    return apart + apart.T


def link_lengths(package: Package, wiring: Wiring = "manhattan") -> Floats:
    """Return the length of every link, in m, [links].

    A link leaves each die where the line between both centres crosses its outline, and is measured between
    those two points: not between the nearest points of the two rectangles.

    Parameters
    ----------
    package
        A link's own ``length`` counts where it has one.
    wiring
        How wires run between the edges of the dies.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> link_lengths(mesh(2)).round(6).tolist()
    [0.001, 0.001, 0.001, 0.001]

    Two dies of 10 mm, 20 mm apart and 4 mm aslant: from (5, 1) to (15, 3) mm.

    >>> from noptoolkit import Chiplet, Link, Package
    >>> size = ("10 mm", "10 mm")
    >>> dies = [Chiplet("a", position=(0, 0), size=size), Chiplet("b", position=("20 mm", "4 mm"), size=size)]
    >>> link_lengths(Package("aslant", dies, [Link("a", "b", "1 GB/s")])).round(6).tolist()
    [0.012]
    """
    if wiring not in ("manhattan", "euclidean"):
        raise TopologyError(f"no wiring {wiring!r}; known: manhattan, euclidean")
    given = np.array([np.nan if link.length is None else link.length for link in package.links])
    bond = is_of(package, LinkKind.HYBRID_BOND)
    given[bond & np.isnan(given)] = 0.0
    if not np.isnan(given).any():
        return given
    apart = np.diff(link_ports(package).point, axis=1)[:, 0]
    reach = np.abs(apart).sum(axis=1) if wiring == "manhattan" else np.hypot(apart[:, 0], apart[:, 1])
    return np.where(np.isnan(given), reach, given)


def wire_length(package: Package, wiring: Wiring = "manhattan") -> float:
    """Return the total length of all links, in m, as `link_lengths` measures each."""
    return float(link_lengths(package, wiring).sum())


def area(package: Package) -> float:
    """Return the area of the smallest rectangle round all outlines, in m2: the interposer or wafer needed.

    Raises
    ------
    TopologyError
        If a node has no position.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> round(area(mesh(2)), 8)
    0.000441
    """
    from noptoolkit.topology.composition import extent

    expect_placed(package)
    _, (width, height) = extent(package)
    return width * height


def measured_links(package: Package, technology: Technology, wiring: Wiring = "manhattan") -> Package:
    """Return a package whose die-to-die links have the length, latency and energy that their geometry gives.

    Parameters
    ----------
    package
        With positions.
    technology
        Latency = PHYs + length x latency per length; energy where the technology has one.
    wiring
        How wires run.

    Examples
    --------
    >>> from noptoolkit.physical import TECHNOLOGIES
    >>> from noptoolkit.topology import mesh
    >>> measured_links(mesh(2), TECHNOLOGIES["rapidchiplet"]).links[0].latency
    2.425e-08
    """
    links = []
    for link, length in zip(package.links, link_lengths(package, wiring).tolist(), strict=True):
        if link.kind in DIE_TO_DIE:
            energy = technology.energy_per_bit
            link = Link(
                link.a,
                link.b,
                link.bandwidth,
                link.reverse_bandwidth,
                link.kind,
                technology.phy_latency + length * technology.latency_per_length,
                link.energy_per_bit if energy is None else energy,
                link.half_duplex,
                length,
            )
        links.append(link)
    return package.replace(links=links)
