"""BookSim2's ``anynet`` network files, read; `noptoolkit.formats.booksim_export` writes them.

A router with one node is a chiplet, one with none or several a switch with its chiplets. What BookSim2's
``anynet.cpp`` (2015) does is kept to: a direction that a file does not list has a latency of one cycle,
routers and nodes are numbered from 0 without gaps, and a node has one router.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.attributes import MOST_EDGES, Imported
from noptoolkit.formats.booksim_export import ANYNET, MOST_CYCLES
from noptoolkit.package import Chiplet, Link, Package, Switch
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["parse_anynet"]

CLOCK = 1e9
KINDS = ("router", "node")
MOST_ROUTERS = 100_000


def parse_anynet(text: str, place: str, *, bandwidth: float, clock: Quantity = CLOCK) -> Imported:
    """Return the package of an anynet file: a router with a node is a chiplet, one without a switch.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Bandwidth of every link, in B/s: the file has none.
    clock
        Clock of the routers, in Hz.
    """
    frequency = parse_quantity(clock, "Hz", "clock")
    file = _Anynet({}, {}, {})
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words:
            _read_line(words, file, f"{place}: line {number}")
        if len(file.channels) > 2 * MOST_EDGES:
            raise FormatError(f"{place}: more than {MOST_EDGES} links; is it the right file?")
    for what, numbers in (("router", file.routers), ("node", file.nodes)):
        if gap := next((i for i in range(len(numbers)) if i not in numbers), None):
            raise FormatError(f"{place}: no {what} {gap}: BookSim numbers them from 0 without gaps")
    return _package(file, place, bandwidth, frequency)


class _Anynet(NamedTuple):
    """What a file says: routers in order of appearance, the router of each node, and channels by their ends.

    A node comes with the latency of its injection and ejection channels, in cycles.
    """

    routers: dict[int, None]
    nodes: dict[int, tuple[int, int]]
    channels: dict[tuple[int, int], int]


def _read_line(words: list[str], file: _Anynet, where: str) -> None:
    """Add a line: a router or node, and what it is linked to."""
    if len(words) < 2 or words[0] not in KINDS:
        raise FormatError(f"{where}: it must start with 'router' and a number, not {words[0][:20]!r}")
    head_kind, head = words[0], _number(words[1], where)
    if head_kind == "router":
        file.routers[head] = None
    i = 2
    while i < len(words):
        if words[i] not in KINDS or i + 1 >= len(words):
            raise FormatError(f"{where}: {words[i][:20]!r} in place of 'router' or 'node' and a number")
        kind, other = words[i], _number(words[i + 1], where)
        i += 2
        cycles = 1
        if i < len(words) and words[i] not in KINDS:
            cycles = _number(words[i], where, MOST_CYCLES)
            i += 1
        if kind == head_kind == "node":
            raise FormatError(f"{where}: a node is linked to a router, not to node {other}")
        if kind == head_kind:
            file.routers[other] = None
            file.channels[head, other] = cycles
            continue
        node, router = (other, head) if kind == "node" else (head, other)
        file.routers[router] = None
        if file.nodes.setdefault(node, (router, cycles))[0] != router:
            raise FormatError(f"{where}: node {node} is at router {file.nodes[node][0]} and at {router}")


def _package(file: _Anynet, place: str, bandwidth: float, frequency: float) -> Imported:
    name_of: dict[int, str] = {}
    nodes: list[Chiplet | Switch] = []
    links = []
    attached: dict[int, list[int]] = {router: [] for router in file.routers}
    for node, (router, _) in file.nodes.items():
        attached[router].append(node)
    for router in sorted(attached):
        if len(attached[router]) == 1:
            name_of[router] = f"n{attached[router][0]}"
            nodes.append(Chiplet(name_of[router], role="expert"))
        else:
            name_of[router] = f"r{router}"
            nodes.append(Switch(f"r{router}"))
            for node in attached[router]:
                nodes.append(Chiplet(f"n{node}", role="expert"))
                delay = file.nodes[node][1] / frequency
                links.append(Link(f"r{router}", f"n{node}", bandwidth, latency=delay))
    uneven = 0
    for (a, b), cycles in file.channels.items():
        back = file.channels.get((b, a), 1)
        if b < a and (b, a) in file.channels:
            continue
        if len(attached[a]) != 1 and len(attached[b]) == 1:  # from the chiplet, see booksim_export
            a, b, cycles, back = b, a, back, cycles
        ends, delays = (name_of[a], name_of[b]), (cycles / frequency, back / frequency)
        if back == cycles:
            links.append(Link(*ends, bandwidth, latency=delays[0]))
            continue
        uneven += 1
        links.append(Link(*ends, bandwidth, reverse_bandwidth=0.0, latency=delays[0]))
        links.append(Link(*ends[::-1], bandwidth, reverse_bandwidth=0.0, latency=delays[1]))
    assumed = [
        f"{format_quantity(bandwidth, 'B/s')} for every link: the file has no bandwidth",
        f"a clock of {format_quantity(frequency, 'Hz')}",
        "every node is an expert chiplet",
    ]
    if uneven:
        assumed.append(
            f"two one-way links for each of {uneven} pairs of routers whose directions differ in latency"
        )
    inner = [
        node for node, (router, cycles) in file.nodes.items() if len(attached[router]) == 1 and cycles > 1
    ]
    ignored = [f"latency of the injection and ejection of {len(inner)} nodes"] if inner else []
    try:
        package = Package(Path(place).stem, nodes, links, source=ANYNET)
    except TopologyError as error:
        raise FormatError(f"{place}: {error}") from error
    return Imported(package, tuple(assumed), tuple(ignored), without_bandwidth=len(links))


def _number(text: str, where: str, most: int = MOST_ROUTERS) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) > most:
        raise FormatError(f"{where}: {text[:20]!r} is not a number from 0 to {most}")
    return int(text)
