"""Edits of a package: lost parts, other bandwidths of links and stacks; each returns a new package.

A link is named by its channels, as tables and bottlenecks name them: ``"sw3->e12"`` is one direction,
``"sw3<->e12"`` both. Names may hold the wildcards of ``fnmatch`` (``*``, ``?``, ``[...]``), and a link kind
(``"d2d"``) names all links of that kind. A half-duplex link has one bandwidth, which either direction names.

A memory stack and its bus are two capacities in series. Changing one alone is rarely meant: raising the
bandwidth of a stack above what its links carry changes nothing, and draws a warning.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from noptoolkit._names import did_you_mean
from noptoolkit.errors import NopWarning, TopologyError, UnknownNameError
from noptoolkit.package.elements import Link, LinkKind, Memory
from noptoolkit.units import Quantity, format_quantity, parse_quantity

if TYPE_CHECKING:
    from noptoolkit.package.graph import Package

__all__ = [
    "Links",
    "chosen_directions",
    "chosen_memories",
    "warn_of_narrow_buses",
    "with_link_bandwidth",
    "with_memory_bandwidth",
    "without",
]

Links = str | LinkKind | Callable[[Link], bool] | Iterable[str | LinkKind]
"""Which links: channel names, wildcards or kinds, or a function of a `Link` that chooses whole links."""

FORWARD, BACKWARD = 1, 2
CLOSE = 1 - 1e-9


def without(package: Package, names: Sequence[str]) -> Package:
    """Return what is left of a package when nodes or links are lost; see `Package.without`."""
    link_of = {channel.name: channel.link for channel in package.channels}
    names = [name if name in package.index else name.replace("<->", "->") for name in names]
    for name in names:
        if name not in package.index and name not in link_of:
            hint = did_you_mean(name, [*package.index, *link_of])
            raise UnknownNameError(f"package {package.name!r}: no node or channel {name!r}; {hint}")
    lost = set(names)
    lost_links = {link_of[name] for name in lost if name in link_of}
    nodes = []
    for node in package.nodes:
        if node.name in lost:
            continue
        if isinstance(node, Memory) and lost.intersection(node.serves):
            left = tuple(name for name in node.serves if name not in lost)
            if not left:
                continue
            node = dataclasses.replace(node, serves=left)
        nodes.append(node)
    kept = {node.name for node in nodes}
    links = [
        link
        for i, link in enumerate(package.links)
        if link.a in kept and link.b in kept and i not in lost_links
    ]
    return package.replace(nodes=nodes, links=links)


def with_link_bandwidth(package: Package, links: Links, bandwidth: Quantity) -> Package:
    """Return a package in which some links have another bandwidth; see `Package.with_link_bandwidth`."""
    width = parse_quantity(bandwidth, "B/s", "bandwidth")
    if width <= 0:
        raise TopologyError(f"bandwidth {width:g} B/s must be above 0; without() removes a link")
    directions = chosen_directions(package, links)
    return package.replace(
        links=[
            _widened(link, chosen, width) if chosen else link
            for link, chosen in zip(package.links, directions, strict=True)
        ]
    )


def with_memory_bandwidth(
    package: Package, stacks: str | Iterable[str], bandwidth: Quantity, *, links: bool = True
) -> Package:
    """Return a package with another bandwidth of some stacks; see `Package.with_memory_bandwidth`."""
    width = parse_quantity(bandwidth, "B/s", "bandwidth")
    chosen = chosen_memories(package, stacks)
    factor = {name: max(width / old, width / _carried(package, name)) for name, old in chosen.items()}
    nodes = [
        dataclasses.replace(node, bandwidth=width)
        if isinstance(node, Memory) and node.name in chosen
        else node
        for node in package.nodes
    ]
    if not links:
        return package.replace(nodes=nodes)
    return package.replace(
        nodes=nodes,
        links=[_times(link, factor.get(link.a) or factor.get(link.b) or 1.0) for link in package.links],
    )


def chosen_memories(package: Package, stacks: str | Iterable[str]) -> dict[str, float]:
    """Return the bandwidth of the stacks that names or wildcards choose, in B/s, by name.

    Raises
    ------
    UnknownNameError
        If a name or a wildcard matches no memory stack.
    """
    widths = {memory.name: memory.bandwidth for memory in package.memories}
    chosen: dict[str, float] = {}
    for pattern in [stacks] if isinstance(stacks, str) else stacks:
        found = [name for name in widths if fnmatchcase(name, pattern)]
        if not found:
            hint = did_you_mean(pattern, widths)
            raise UnknownNameError(f"package {package.name!r}: no memory stack {pattern!r}; {hint}")
        chosen |= {name: widths[name] for name in found}
    return chosen


def warn_of_narrow_buses(before: Package, after: Package) -> None:
    """Warn where an edit raised the bandwidth of a stack above what its links carry."""
    old = {memory.name: memory.bandwidth for memory in before.memories}
    for memory in after.memories:
        if memory.bandwidth <= old.get(memory.name, memory.bandwidth):
            continue
        carried = _carried(after, memory.name)
        if carried < memory.bandwidth * CLOSE:
            warnings.warn(
                f"package {after.name!r}: memory stack {memory.name!r} has "
                f"{format_quantity(memory.bandwidth, 'B/s')}, its links carry "
                f"{format_quantity(carried, 'B/s')} and stay the limit; "
                f"with_memory_bandwidth({memory.name!r}, ...) changes both",
                NopWarning,
                stacklevel=4,
            )


def _carried(package: Package, memory: str) -> float:
    """Return the bandwidth of the links of a stack, in its better direction, in B/s."""
    links = [link for link in package.links if memory in (link.a, link.b)]
    out = sum(link.bandwidth if link.a == memory else link.backward_bandwidth for link in links)
    into = sum(link.bandwidth if link.b == memory else link.backward_bandwidth for link in links)
    return max(out, into)


def chosen_directions(package: Package, links: Links) -> Sequence[int]:
    """Return which directions of each link are chosen, a sum of ``FORWARD`` and ``BACKWARD``, [links]."""
    if callable(links):
        return [FORWARD + BACKWARD if links(link) else 0 for link in package.links]
    chosen = [0] * len(package.links)
    for pattern in [links] if isinstance(links, str) else links:
        found = _matched(package, pattern)
        if not any(found):
            if pattern in [kind.value for kind in LinkKind]:
                there = sorted({link.kind.value for link in package.links})
                raise UnknownNameError(
                    f"package {package.name!r} has no link of kind {str(pattern)!r}; its links are of "
                    f"{', '.join(there)}"
                )
            names = [*package.channel_names, *(kind.value for kind in LinkKind)]
            hint = did_you_mean(pattern.replace("<->", "->"), names)
            raise UnknownNameError(
                f"package {package.name!r}: no link {str(pattern)!r}; {hint} Name a link by its channels "
                "('a->b' one direction, 'a<->b' both; wildcards allowed) or by its kind"
            )
        chosen = [old | new for old, new in zip(chosen, found, strict=True)]
    return chosen


def _matched(package: Package, pattern: str) -> list[int]:
    """Return the directions of each link that one name, wildcard or kind chooses, [links]."""
    found = [0] * len(package.links)
    if pattern in [kind.value for kind in LinkKind]:
        return [FORWARD + BACKWARD if link.kind == pattern else 0 for link in package.links]
    tail, arrow, head = pattern.partition("<->")
    for channel in package.channels:
        forward = channel.tail == package.links[channel.link].a
        here = FORWARD if forward else BACKWARD
        if not arrow:
            if fnmatchcase(channel.name, pattern):
                found[channel.link] |= here
            continue
        number = channel.name.partition("#")[1:]
        ends = (f"{channel.tail}->{channel.head}", f"{channel.head}->{channel.tail}")
        if any(fnmatchcase(f"{name}{''.join(number)}", f"{tail}->{head}") for name in ends):
            found[channel.link] |= FORWARD + BACKWARD
    return found


def _widened(link: Link, directions: int, width: float) -> Link:
    if link.half_duplex:
        return dataclasses.replace(link, bandwidth=width, reverse_bandwidth=None)
    forward = width if directions & FORWARD else link.bandwidth
    backward = width if directions & BACKWARD else link.backward_bandwidth
    if link.reverse_bandwidth == 0 and directions == FORWARD + BACKWARD:
        backward = 0.0  # a one-way link stays one
    if link.bandwidth == 0 and directions == FORWARD + BACKWARD:
        forward = 0.0
    return dataclasses.replace(
        link, bandwidth=forward, reverse_bandwidth=None if backward == forward else backward
    )


def _times(link: Link, factor: float) -> Link:
    backward = link.reverse_bandwidth
    return (
        link
        if factor == 1.0
        else dataclasses.replace(
            link,
            bandwidth=link.bandwidth * factor,
            reverse_bandwidth=None if backward is None else backward * factor,
        )
    )
