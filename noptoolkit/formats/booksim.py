"""BookSim2: ``anynet`` network files in and out, with a configuration that runs them under uniform traffic.

Every chiplet and switch becomes a router, every chiplet also a node; memory stacks are left out. BookSim
knows channel latency in cycles but no bandwidth per channel, and merges parallel links: a channel carries
one flit per cycle, so that a flit is the bandwidth of the slowest link divided by the clock.

What BookSim2's ``anynet.cpp`` (2015) does is kept to. A direction that a file does not list has a latency of
one cycle, so both are always written. Routers and nodes are numbered from 0 without gaps; a node has one
router. A latency after a node would be taken for one between routers, so none is written there. Words are
parted by spaces. Names in a configuration begin with a letter, ``_``, ``-``, ``/`` or ``.`` (``config.l``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.attributes import MOST_EDGES, Imported, memories_lost
from noptoolkit.package import Chiplet, Link, Memory, Package, Switch
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["anynet_losses", "dump_anynet", "dump_anynet_config", "parse_anynet"]

CLOCK = 1e9
"""Hz; only turns latencies into cycles."""

KINDS = ("router", "node")
MOST_ROUTERS = 100_000
FILE_NAME = re.compile(r"[A-Za-z.][A-Za-z0-9_\-/.+]*", re.ASCII)


def dump_anynet(package: Package, *, clock: Quantity = CLOCK) -> str:
    """Return a package's network as an anynet file.

    Parameters
    ----------
    package
        Memory stacks are left out.
    clock
        Of the routers, in Hz; latencies are rounded up to cycles, at least one.

    Raises
    ------
    TopologyError
        If it has no link, or a one-way link: BookSim has no words for either.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> print(dump_anynet(ring(3)), end="")
    router 0 node 0 router 1 1 router 2 1
    router 1 node 1 router 0 1 router 2 1
    router 2 node 2 router 1 1 router 0 1
    """
    frequency = parse_quantity(clock, "Hz", "clock")
    routers = [node for node in package.nodes if not isinstance(node, Memory)]
    _check_links(package)
    number = {node.name: i for i, node in enumerate(routers)}
    lines = [[f"router {i}"] for i in range(len(routers))]
    for node, name in enumerate(package.terminals):
        lines[number[name]].append(f"node {node}")
    seen: set[tuple[str, str]] = set()
    for channel in package.channels:
        ends = (channel.tail, channel.head)
        if channel.tail not in number or channel.head not in number or ends in seen:
            continue
        seen.add(ends)
        latency = package.links[channel.link].latency
        cycles = max(1, -int(-latency * frequency // 1))
        lines[number[channel.tail]].append(f"router {number[channel.head]} {cycles}")
    for a, b in seen:
        if (b, a) not in seen:
            raise TopologyError(f"package {package.name!r}: {a!r}->{b!r} is one-way; BookSim adds a way back")
    return "".join(" ".join(line) + "\n" for line in lines)


def anynet_losses(package: Package) -> tuple[str, ...]:
    """Return what an anynet file of a package cannot say."""
    lost = ["names, roles, compute, positions", *memories_lost(package)]
    network = [link for link in package.links if link.kind != "memory"]
    widths = {width for link in network for width in (link.bandwidth, link.backward_bandwidth)}
    if len(widths) > 1:
        shown = ", ".join(format_quantity(width, "B/s") for width in sorted(widths)[:4])
        lost.append(f"different bandwidths ({shown}): every channel carries one flit per cycle")
    pairs = [frozenset((link.a, link.b)) for link in network]
    if len(set(pairs)) < len(pairs):
        lost.append(f"{len(pairs) - len(set(pairs))} parallel links: merged")
    if any(getattr(node, "replicates", False) or getattr(node, "reduces", False) for node in package.nodes):
        lost.append("replication and reduction in the network")
    return tuple(lost)


def dump_anynet_config(package: Package, network_file: str, *, clock: Quantity = CLOCK) -> str:
    """Return a BookSim configuration for a network file: uniform traffic, shortest paths, packets of a flit.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> dump_anynet_config(ring(3), "ring.anynet").splitlines()[1]
    'topology = anynet;'
    """
    name = network_file if network_file[:1].isalpha() else f"./{network_file}"
    if FILE_NAME.fullmatch(name) is None:
        raise FormatError(
            f"{network_file}: BookSim's configurations know no such file name; "
            "use letters, digits, '_', '-', '.' and '+'"
        )
    frequency = parse_quantity(clock, "Hz", "clock")
    _check_links(package)
    slowest = min(channel.bandwidth for channel in package.channels)
    flit = format_quantity(slowest / frequency, "B")
    return (
        f"// {' '.join(package.name.split())}: a flit is {flit} at {format_quantity(frequency, 'Hz')}\n"
        "topology = anynet;\n"
        "routing_function = min;\n"
        f"network_file = {name};\n"
        "traffic = uniform;\n"
        "injection_rate = 0.1;\n"
        "packet_size = 1;\n"
        "num_vcs = 8;\n"
        "vc_buf_size = 16;\n"
        "sim_type = latency;\n"
    )


def _check_links(package: Package) -> None:
    if len(package.nodes) - len(package.memories) < 2:
        raise TopologyError(f"package {package.name!r}: one router alone is no network for BookSim")


def parse_anynet(text: str, place: str, *, bandwidth: float, clock: Quantity = CLOCK) -> Imported:
    """Return the package of an anynet file: a router with a node is a chiplet, one without a switch.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Of every link, in B/s: the file has none.
    clock
        Of the routers, in Hz.
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
            cycles = _number(words[i], where)
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
    uneven = False
    for (a, b), cycles in file.channels.items():
        back = file.channels.get((b, a), 1)
        uneven |= back != cycles
        if a < b or (b, a) not in file.channels:
            links.append(Link(name_of[a], name_of[b], bandwidth, latency=max(cycles, back) / frequency))
    assumed = [
        f"{format_quantity(bandwidth, 'B/s')} for every link: the file has no bandwidth",
        f"a clock of {format_quantity(frequency, 'Hz')}",
        "every node is an expert chiplet",
    ]
    if uneven:
        assumed.append("the longer latency where the two directions of a link differ")
    inner = [
        node for node, (router, cycles) in file.nodes.items() if len(attached[router]) == 1 and cycles > 1
    ]
    ignored = [f"latency of the injection and ejection of {len(inner)} nodes"] if inner else []
    try:
        package = Package(Path(place).stem, nodes, links)
    except TopologyError as error:
        raise FormatError(f"{place}: {error}") from error
    return Imported(package, tuple(assumed), tuple(ignored))


def _number(text: str, where: str) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) > MOST_ROUTERS:
        raise FormatError(f"{where}: {text[:20]!r} is no number from 0 to {MOST_ROUTERS}")
    return int(text)
