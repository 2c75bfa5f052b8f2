"""What a package is called: a line for people, a digest for programs, names for its channels."""

from __future__ import annotations

import hashlib
from collections import Counter

from noptoolkit._digests import digest, fields_of
from noptoolkit.package.elements import ROLES, Chiplet
from noptoolkit.package.graph import Package
from noptoolkit.units import format_quantity

__all__ = ["channel_names", "describe", "package_digest", "wiring"]


def describe(package: Package) -> str:
    """Return one line that tells whether the graph is what was meant."""
    parts = [_count(len(package.chiplets), "chiplet") + _roles(package.chiplets)]
    if package.switches:
        parts.append(_count(len(package.switches), "switch", "switches"))
    if package.memories:
        parts.append(_count(len(package.memories), "memory stack"))
    parts.append(_count(len(package.links), "link"))
    parts.append(_count(len(package.channels), "channel"))
    parts.append(format_quantity(package.total_bandwidth, "B/s"))
    return ", ".join(parts)


def channel_names(package: Package) -> tuple[str, ...]:
    """Return ``tail->head`` for each channel; further ones between the same nodes are numbered ``#2``, ..."""
    names = []
    for link in package.links:
        if link.bandwidth > 0:
            names.append(f"{link.a}->{link.b}")
        if link.backward_bandwidth > 0:
            names.append(f"{link.b}->{link.a}")
    if len(set(names)) < len(names):
        seen: Counter[str] = Counter()
        for i, name in enumerate(names):
            seen[name] += 1
            if seen[name] > 1:
                names[i] = f"{name}#{seen[name]}"
    return tuple(names)


def package_digest(package: Package) -> str:
    """Return the digest of nodes and links; a link whose two directions are equal has one however written."""
    links = []
    for link in package.links:
        fields = fields_of(link, without=("reverse_bandwidth",))
        if link.backward_bandwidth != link.bandwidth:
            fields["reverse_bandwidth"] = link.backward_bandwidth
        links.append(fields)
    return digest("package", {"nodes": package.nodes, "links": links})


def wiring(package: Package) -> str:
    """Return a digest of nodes, roles and groups in their order, and of the pairs that links join.

    Bandwidths, sizes and positions are left out: they do not change what a traffic means.
    """
    nodes = [
        f"{type(node).__name__} {node.name!r}"
        + (f" {node.role} {node.group!r}" if isinstance(node, Chiplet) else "")
        for node in package.nodes
    ]
    links = sorted(
        f"{min(link.a, link.b)!r} {max(link.a, link.b)!r} {link.bandwidth > 0} {link.backward_bandwidth > 0}"
        for link in package.links
    )
    return hashlib.sha256("\n".join([*nodes, *links]).encode("utf-8", "surrogatepass")).hexdigest()


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def _roles(chiplets: tuple[Chiplet, ...]) -> str:
    counts = Counter(chiplet.role for chiplet in chiplets)
    named = [f"{counts[role]} {role}" for role in ROLES if counts[role]]
    return f" ({', '.join(named)})" if named else ""
