"""What must hold of a package; every fault is collected and raised once."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from noptoolkit._names import did_you_mean
from noptoolkit.errors import MOST_COUNTED, MOST_SHOWN, NopWarning, TopologyError, raise_collected
from noptoolkit.package.elements import ROLES, Chiplet, Link, LinkKind, Memory, Node, Switch

if TYPE_CHECKING:
    from noptoolkit.package.graph import Package

__all__ = ["check_package", "graph_faults"]

NUMBERED = re.compile(r"#\d+$")
"""How the names of parallel channels end."""

SLOW = 1e6
"""Bandwidth of a die-to-die link, in B/s, below which a unit was probably forgotten."""

SMALLEST, LARGEST = 1e-12, 1e36
"""Bandwidths and rates that are read: sums and quotients of others leave what floats hold."""

DIES = (LinkKind.D2D, LinkKind.HYBRID_BOND)
"""Kinds of links between dies."""


def check_package(package: Package) -> None:
    """Raise one TopologyError with all that is wrong with a package.

    Reachability is only checked where the rest is sound.
    """
    faults = graph_faults(package.nodes, package.links)
    if not any(isinstance(node, Chiplet) for node in package.nodes):
        faults.append("no chiplet: nothing could send or receive; add a Chiplet")
    if not faults:
        faults = [*_channel_faults(package), *_reach_faults(package)]
    raise_collected(TopologyError, f"package {package.name!r}", faults)
    _warn_of_bare_numbers(package)


def _channel_faults(package: Package) -> list[str]:
    """Name the channels that are called alike: ``b#2`` as a node, and the second link to ``b``."""
    numbered = [node.name for node in package.nodes if NUMBERED.search(node.name)]
    if not numbered:
        return []
    return [
        f"{count} channels are named {name!r}, the second to a node and the first to one that is named like "
        "it; name no node like another one with '#' and a number"
        for name, count in Counter(package.channel_names).items()
        if count > 1
    ]


def _warn_of_bare_numbers(package: Package) -> None:
    """Warn of die-to-die links too slow to be meant: a 128 that should have been 128 GB/s.

    One byte per second is taken for what it is in closed forms, the unit of capacity.
    """
    slow = [
        link for link in package.links if link.bandwidth < SLOW and link.kind in DIES and link.bandwidth > 1
    ]
    if slow:
        link = slow[0]
        more = f" (and {len(slow) - 1} more)" if len(slow) > 1 else ""
        warnings.warn(
            f"package {package.name!r}: link {link.a!r}-{link.b!r}{more} has {link.bandwidth:g} B/s, "
            f"less than 1 MB/s; numbers are in B/s: write '{link.bandwidth:g} GB/s' if that is meant",
            NopWarning,
            stacklevel=4,
        )


def graph_faults(nodes: Sequence[Node], links: Sequence[Link], more: Collection[str] = ()) -> list[str]:
    """Return what is wrong with nodes and links, one by one and with each other.

    Parameters
    ----------
    nodes, links
        Nodes and links of the package, or as many of them as could be made.
    more
        Names of nodes that could not be made: links to them are not to blame.
    """
    faults = [
        f"{node!r} is not a node; use Chiplet, Switch or Memory"
        for node in nodes
        if not isinstance(node, (Chiplet, Switch, Memory))
    ]
    if faults:
        return faults
    names = Counter(node.name for node in nodes)
    known = dict.fromkeys([*more, *names])
    _add_node_faults(nodes, names, known, faults)
    _add_link_faults(links, known, faults)
    return faults


def _add_node_faults(
    nodes: Sequence[Node], names: Mapping[str, int], known: Collection[str], faults: list[str]
) -> None:
    for name, count in names.items():
        if not isinstance(name, str) or not name or "->" in name:
            faults.append(f"node name {name!r}: use text that is not empty and has no '->'")
        if count > 1:
            faults.append(f"{count} nodes are named {name!r}; give each its own name")
    for node in nodes:
        if len(faults) >= MOST_COUNTED:
            break
        place = f"{type(node).__name__.lower()} {node.name!r}"
        if isinstance(node, Chiplet) and node.role not in ROLES:
            faults.append(f"{place}: no role named {node.role!r}; {did_you_mean(node.role, ROLES)}")
        for field in _positive_fields(node):
            value = getattr(node, field)
            if value is not None and value <= 0:
                faults.append(f"{place}: {field} {value:g} must be above 0; leave it out if unlimited")
            elif value is not None and not SMALLEST <= value <= LARGEST:
                faults.append(f"{place}: {field} {value:g} is not from {SMALLEST:g} to {LARGEST:g}")
        if node.latency < 0:
            faults.append(f"{place}: latency {node.latency:g} s is negative")
        if node.size is not None and min(node.size) <= 0:
            faults.append(f"{place}: size {node.size} must be above 0")
        for pair in (node.position, node.size):
            if pair is not None and not all(map(math.isfinite, pair)):
                faults.append(f"{place}: position and size must be finite")
        if isinstance(node, Memory):
            if node.energy_per_bit is not None and node.energy_per_bit < 0:
                faults.append(f"{place}: energy_per_bit {node.energy_per_bit:g} is negative")
            for served in node.serves:
                if served not in known:
                    faults.append(f"{place}: serves no node named {served!r}{_hint(served, known, faults)}")


def _positive_fields(node: object) -> list[str]:
    fields = ("flops", "sram", "sram_bandwidth", "injection_bandwidth", "ejection_bandwidth")
    more = ("crossbar_bandwidth", "bandwidth", "capacity")
    return [field for field in (*fields, *more) if hasattr(node, field)]


def _hint(name: str, known: Collection[str], faults: list[str]) -> str:
    """Return a suggestion while faults are few enough to be shown."""
    return f"; {did_you_mean(name, known)}" if len(faults) < MOST_SHOWN else ""


def _add_link_faults(links: Sequence[Link], known: Collection[str], faults: list[str]) -> None:
    for link in links:
        if not isinstance(link, Link):
            faults.append(f"{link!r} is not a link; use Link")
            continue
        bandwidth, backward = link.bandwidth, link.reverse_bandwidth
        if (  # the usual link, of which there are many
            SMALLEST <= bandwidth <= LARGEST
            and (backward is None or SMALLEST <= backward <= LARGEST)
            and not link.half_duplex
            and link.a in known
            and link.b in known
            and link.a != link.b
            and link.latency >= 0
            and link.energy_per_bit is None
            and link.length is None
        ):
            continue
        if len(faults) >= MOST_COUNTED:
            break
        place = f"link {link.a!r}-{link.b!r}"
        for end in dict.fromkeys((link.a, link.b)):
            if end not in known:
                faults.append(f"{place}: no node named {end!r}{_hint(end, known, faults)}")
        if link.a == link.b:
            faults.append(f"{place}: a link joins two different nodes")
        if link.bandwidth < 0 or link.backward_bandwidth < 0:
            faults.append(f"{place}: negative bandwidth")
        elif link.bandwidth == 0 and link.backward_bandwidth == 0:
            faults.append(f"{place}: zero bandwidth; leave the link out")
        for width in dict.fromkeys((link.bandwidth, link.backward_bandwidth)):
            if width > 0 and not SMALLEST <= width <= LARGEST:
                faults.append(
                    f"{place}: a bandwidth of {width:g} B/s is not from {SMALLEST:g} to {LARGEST:g}"
                )
        if not isinstance(link.half_duplex, bool):
            faults.append(f"{place}: half_duplex {link.half_duplex!r} must be True or False")
        elif link.half_duplex and link.backward_bandwidth != link.bandwidth:
            faults.append(f"{place}: a half-duplex link has one bandwidth; drop reverse_bandwidth")
        if link.latency < 0:
            faults.append(f"{place}: latency {link.latency:g} s is negative")
        for field in ("length", "energy_per_bit"):
            value = getattr(link, field)
            if value is not None and value < 0:
                faults.append(f"{place}: {field} {value:g} is negative")


def _reach_faults(package: Package) -> list[str]:
    """Name the terminals and memories that cannot be reached from, or cannot reach, the first terminal."""
    forward: dict[str, list[str]] = {node.name: [] for node in package.nodes}
    one_way = []
    for link in package.links:
        if link.reverse_bandwidth == 0:
            one_way.append((link.a, link.b))
        elif link.bandwidth == 0:
            one_way.append((link.b, link.a))
        else:
            forward[link.a].append(link.b)
            forward[link.b].append(link.a)
    backward = forward
    if one_way:
        backward = {name: list(others) for name, others in forward.items()}
        for tail, head in one_way:
            forward[tail].append(head)
            backward[head].append(tail)
    memories = dict.fromkeys(memory.name for memory in package.memories)
    root = package.terminals[0]
    ends = [*package.terminals, *memories]
    faults = []
    for towards, verb in ((forward, "cannot be reached from"), (backward, "cannot reach")):
        reached, frontier = {root}, [root]
        while frontier:
            name = frontier.pop()
            if name in memories:  # memory never forwards
                continue
            fresh = set(towards[name]) - reached
            reached |= fresh
            frontier.extend(fresh)
        lost = [name for name in ends if name not in reached]
        if lost:
            shown = ", ".join(map(repr, lost[:6])) + (", ..." if len(lost) > 6 else "")
            faults.append(f"{shown} {verb} {root!r}; add a link or leave the node out")
        if not one_way and not faults:
            break
    return faults
