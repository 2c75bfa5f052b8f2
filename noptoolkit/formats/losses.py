"""What formats that say less than a package leave out, feature by feature, so that a report names all of it.

A feature is reported where a package has it. A format names those that it keeps; what is left is its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from noptoolkit.formats.attributes import memories_lost
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Package
from noptoolkit.units import format_quantity

__all__ = ["lost_features", "network_links"]


def network_links(package: Package) -> tuple[Link, ...]:
    """Return the links between chiplets and switches: all but those of memory stacks."""
    stacks = {memory.name for memory in package.memories}
    return tuple(link for link in package.links if link.a not in stacks and link.b not in stacks)


def lost_features(package: Package, *kept: str, links: Sequence[Link] | None = None) -> tuple[str, ...]:
    """Return what a format leaves out of a package.

    Parameters
    ----------
    package
        Package that is written.
    kept
        Names of the features that the format keeps, see ``FEATURES``.
    links
        Links that are written; those between chiplets and switches where ``None``.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> lost_features(ring(3, link_latency="2 ns"), "groups", "source")
    ('names, roles, compute, positions', 'latencies of links')
    """
    written = network_links(package) if links is None else links
    found = (tell(package, written) for feature, tell in FEATURES.items() if feature not in kept)
    return tuple(text for text in found if text)


def _memory(package: Package, links: Sequence[Link]) -> str:
    return "".join(memories_lost(package))


def _source(package: Package, links: Sequence[Link]) -> str:
    return "source and assumptions" if package.source or package.assumed else ""


def _groups(package: Package, links: Sequence[Link]) -> str:
    return "groups of chiplets" if any(chiplet.group is not None for chiplet in package.chiplets) else ""


def _router_latency(package: Package, links: Sequence[Link]) -> str:
    routers = [node for node in package.nodes if not isinstance(node, Memory) and node.latency]
    if not routers:
        return ""
    shown = ", ".join(format_quantity(value, "s") for value in sorted({node.latency for node in routers})[:4])
    return f"latencies of {len(routers)} routers ({shown})"


def _ports(package: Package, links: Sequence[Link]) -> str:
    limited = [
        chiplet
        for chiplet in package.chiplets
        if chiplet.injection_bandwidth is not None or chiplet.ejection_bandwidth is not None
    ]
    return f"injection and ejection limits of {len(limited)} chiplets" if limited else ""


def _crossbars(package: Package, links: Sequence[Link]) -> str:
    limited = [node for node in package.nodes if getattr(node, "crossbar_bandwidth", None) is not None]
    return f"crossbar limits of {len(limited)} routers" if limited else ""


def _replication(package: Package, links: Sequence[Link]) -> str:
    able = [
        node for node in package.nodes if not isinstance(node, Memory) and (node.replicates or node.reduces)
    ]
    return "replication and reduction in the network" if able else ""


def _half_duplex(package: Package, links: Sequence[Link]) -> str:
    count = sum(link.half_duplex for link in links)
    return f"half duplex of {count} links: both directions get the full bandwidth" if count else ""


def _bandwidths(package: Package, links: Sequence[Link]) -> str:
    widths = sorted(
        {width for link in links for width in (link.bandwidth, link.backward_bandwidth) if width > 0}
    )
    if len(widths) < 2:
        return ""
    shown = ", ".join(format_quantity(width, "B/s") for width in widths[:4])
    return f"different bandwidths ({shown}{', ...' if len(widths) > 4 else ''}): every channel is alike"


def _one_way(package: Package, links: Sequence[Link]) -> str:
    count = sum(0.0 in (link.bandwidth, link.backward_bandwidth) for link in links)
    return f"that {count} links are one-way: they go both ways" if count else ""


def _parallel(package: Package, links: Sequence[Link]) -> str:
    seen: set[tuple[str, str]] = set()
    count = 0
    for link in links:
        ways = [(link.a, link.b)] if link.bandwidth > 0 else []
        ways += [(link.b, link.a)] if link.backward_bandwidth > 0 else []
        count += any(way in seen for way in ways)
        seen.update(ways)
    return f"{count} parallel links: merged" if count else ""


def _kinds(package: Package, links: Sequence[Link]) -> str:
    kinds = {str(link.kind) for link in links if link.kind is not LinkKind.D2D}
    return f"kinds of links ({', '.join(sorted(kinds))})" if kinds else ""


def _energy(package: Package, links: Sequence[Link]) -> str:
    return "energies of links" if any(link.energy_per_bit is not None for link in links) else ""


def _lengths(package: Package, links: Sequence[Link]) -> str:
    return "lengths of links" if any(link.length is not None for link in links) else ""


def _latency(package: Package, links: Sequence[Link]) -> str:
    return "latencies of links" if any(link.latency for link in links) else ""


def _overlaps(package: Package, links: Sequence[Link]) -> str:
    """Tell of stacked dies, which formats of one level take for a fault."""
    boxes = []
    for node in package.nodes:
        if isinstance(node, Chiplet | Memory) and node.position and node.size:
            (x, y), (width, height) = node.position, node.size
            boxes.append((x - width / 2, x + width / 2, y - height / 2, y + height / 2))
    if len(boxes) > 2000:
        return ""
    slack = 1e-9  # m
    for (l1, r1, b1, t1), (l2, r2, b2, t2) in combinations(boxes, 2):
        if min(r1, r2) - max(l1, l2) > slack and min(t1, t2) - max(b1, b2) > slack:
            return "dies over one another: overlapping ones are taken for a fault"
    return ""


FEATURES: dict[str, Callable[[Package, Sequence[Link]], str]] = {
    "names": lambda package, links: "names, roles, compute, positions",
    "memory": _memory,
    "bandwidths": _bandwidths,
    "parallel": _parallel,
    "one-way": _one_way,
    "half duplex": _half_duplex,
    "latency": _latency,
    "router latency": _router_latency,
    "ports": _ports,
    "crossbars": _crossbars,
    "replication": _replication,
    "overlaps": _overlaps,
    "groups": _groups,
    "kinds": _kinds,
    "energy": _energy,
    "lengths": _lengths,
    "source": _source,
}
"""The text that tells of each feature of a package and of the links that are written; empty without it."""
