"""BookSim2: ``anynet`` network files out, with a configuration that runs them under uniform traffic.

Every chiplet and switch becomes a router, every chiplet also a node; memory stacks are left out. BookSim
knows channel latency in cycles but no bandwidth per channel, and merges parallel links: a channel carries
one flit per cycle, so that a flit is the bandwidth of the slowest link between routers divided by the clock.
With concentration, a chiplet that hangs on one switch is a node of the switch's router.

What BookSim2's ``anynet.cpp`` (2015) does is kept to. A direction that a file does not list has a latency of
one cycle, so both are always written. Routers and nodes are numbered from 0 without gaps; a node has one
router. A latency after a node would be taken for one between routers, and a line that begins with a node
makes a router of its number, so injection always takes one cycle. Words are parted by spaces. Names in a
configuration begin with a letter, ``_``, ``-``, ``/`` or ``.`` (``config.l``).

BookSim's ``min`` (`noptoolkit.routing.latency_routing`) has no scheme against deadlock: all virtual channels
are used alike. Where its channels can wait for each other in a cycle, configuration and report say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.losses import lost_features, network_links
from noptoolkit.package import Memory, Package, Switch
from noptoolkit.routing.deadlock import check_deadlock
from noptoolkit.routing.latency_routing import booksim_min, cycles_of
from noptoolkit.routing.method import RoutingMethod
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["ANYNET", "BookSimOptions", "anynet_losses", "dump_anynet", "dump_anynet_config", "node_numbers"]

ANYNET = "BookSim2 anynet file"
"""Source of a package that was read from one."""

CLOCK = 1e9
MOST_CLOCK = 1e12
MOST_FLITS = 100_000
MOST_CYCLES = 1_000_000
MOST_CHECKED = 3000
"""Routers of the largest network whose routing is checked for deadlock."""

FILE_NAME = re.compile(r"[A-Za-z.][A-Za-z0-9_\-/.+]*", re.ASCII)


@dataclass(frozen=True)
class BookSimOptions:
    """Options of a BookSim2 export, and the clock of an import.

    Parameters
    ----------
    clock : float or str
        Clock of the routers, in Hz: turns latencies into cycles and the flit size into bytes.
    packet_size : int
        Flits of a packet.
    vcs : int
        Virtual channels of each channel.
    vc_buffer : int
        Flits that the buffer of a virtual channel holds.
    injection_rate : float
        Flits that each node injects per cycle, at most 1.
    concentration : bool or None
        Whether a chiplet whose only link leads to a switch is a node of the switch's router instead of a
        router of its own; ``None`` does so where the package came from an anynet file.

    Raises
    ------
    FormatError
        If a value is out of range.
    """

    clock: Quantity = CLOCK
    packet_size: int = 1
    vcs: int = 8
    vc_buffer: int = 16
    injection_rate: float = 0.1
    concentration: bool | None = None

    def __post_init__(self) -> None:
        if not 0 < parse_quantity(self.clock, "Hz", "clock") <= MOST_CLOCK:
            raise FormatError(f"clock {self.clock!r} must be above 0 and at most 1 THz")
        for name in ("packet_size", "vcs", "vc_buffer"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_FLITS:
                raise FormatError(f"{name} {value!r} must be a whole number from 1 to {MOST_FLITS}")
        if not 0 < self.injection_rate <= 1:
            raise FormatError(f"injection_rate {self.injection_rate!r} must be above 0 and at most 1")

    @property
    def frequency(self) -> float:
        """Clock in Hz."""
        return parse_quantity(self.clock, "Hz", "clock")


class _Network(NamedTuple):
    """What a file says.

    Routers and the nodes at each of them (by number), in order; cycles of each channel by its routers; names
    of the chiplets that are nodes of a switch's router.
    """

    routers: list[str]
    nodes: dict[str, list[int]]
    cycles: dict[tuple[str, str], int]
    hosted: dict[str, str]


def dump_anynet(package: Package, options: BookSimOptions | None = None) -> str:
    """Return a package's network as an anynet file.

    Parameters
    ----------
    package
        Package to write; memory stacks are left out.
    options
        Clock and concentration; latencies are rounded up to cycles, at least one.

    Raises
    ------
    TopologyError
        If it has no link, or a one-way link: BookSim can represent neither.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> print(dump_anynet(ring(3)), end="")
    router 0 node 0 router 1 1 router 2 1
    router 1 node 1 router 0 1 router 2 1
    router 2 node 2 router 1 1 router 0 1
    """
    network = _network(package, options or BookSimOptions())
    number = {name: i for i, name in enumerate(network.routers)}
    lines = [[f"router {i}"] for i in range(len(number))]
    for name, nodes in network.nodes.items():
        lines[number[name]] += [f"node {node}" for node in nodes]
    for (tail, head), cycles in network.cycles.items():
        lines[number[tail]].append(f"router {number[head]} {cycles}")
    return "".join(" ".join(line) + "\n" for line in lines)


def anynet_losses(package: Package, options: BookSimOptions | None = None) -> tuple[str, ...]:
    """Return what an anynet file of a package cannot say, and whether its routing can deadlock."""
    chosen = options or BookSimOptions()
    network = _network(package, chosen)
    lost = list(lost_features(package, "latency", "one-way"))
    latencies = np.array([link.latency for link in network_links(package)])
    exact = latencies * chosen.frequency
    rounded = int((np.abs(exact - cycles_of(latencies, chosen.clock)) > 1e-6).sum())
    if rounded:
        cycle = format_quantity(1 / chosen.frequency, "s")
        lost.append(f"latencies of {rounded} links: rounded up to whole cycles of {cycle}")
    slow = [
        name
        for name, hub in network.hosted.items()
        if max(_cycles_between(package, name, hub, chosen), default=1) > 1
    ]
    if slow:
        lost.append(f"latencies of the links of {len(slow)} concentrated chiplets: injection takes one cycle")
    wide = [name for name in package.terminals if _degree(package).get(name, 0) > 1]
    if wide:
        lost.append(
            f"injection by several links at once: {len(wide)} chiplets send one flit per cycle in all"
        )
    cycle_text = _deadlock(package, network, chosen)
    if cycle_text:
        lost.append(cycle_text)
    return tuple(lost)


def dump_anynet_config(package: Package, network_file: str, options: BookSimOptions | None = None) -> str:
    """Return a BookSim configuration for a network file: uniform traffic over the paths of ``min``.

    Parameters
    ----------
    package
        Package whose network the file holds.
    network_file
        Name of the file.
    options
        Packets, buffers, clock and rate.

    Raises
    ------
    FormatError
        If BookSim cannot read the name of the file.

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
    chosen = options or BookSimOptions()
    network = _network(package, chosen)
    between = [
        link
        for link in network_links(package)
        if link.a not in network.hosted and link.b not in network.hosted
    ] or network_links(package)
    slowest = min(
        width for link in between for width in (link.bandwidth, link.backward_bandwidth) if width > 0
    )
    flit = format_quantity(slowest / chosen.frequency, "B")
    cycle_text = _deadlock(package, network, chosen)
    clock = format_quantity(chosen.frequency, "Hz")
    return (
        f"// {' '.join(package.name.split())}: a flit is {flit} at {clock}\n"
        + (f"// {' '.join(cycle_text.split())}\n" if cycle_text else "")
        + "topology = anynet;\n"
        "routing_function = min;\n"
        f"network_file = {name};\n"
        "traffic = uniform;\n"
        f"injection_rate = {chosen.injection_rate:g};\n"
        "injection_rate_uses_flits = 1;\n"
        f"packet_size = {chosen.packet_size};\n"
        f"num_vcs = {chosen.vcs};\n"
        f"vc_buf_size = {chosen.vc_buffer};\n"
        "sim_type = latency;\n"
    )


def _network(package: Package, options: BookSimOptions) -> _Network:
    """Return routers, nodes and channels of a package.

    Raises
    ------
    TopologyError
        If BookSim cannot represent it.
    """
    hosted = _hosted(package, options)
    routers = [
        node.name for node in package.nodes if not isinstance(node, Memory) and node.name not in hosted
    ]
    links = network_links(package)
    if not links:
        raise TopologyError(f"package {package.name!r}: one router alone is not a network for BookSim")
    nodes: dict[str, list[int]] = {}
    for number, name in zip(node_numbers(package), package.terminals, strict=True):
        nodes.setdefault(hosted.get(name, name), []).append(number)
    delays = cycles_of(np.array([link.latency for link in links]), options.clock).tolist()
    if max(delays) > MOST_CYCLES:
        slow = links[delays.index(max(delays))]
        raise TopologyError(
            f"package {package.name!r}: link {slow.a!r}-{slow.b!r} takes {max(delays)} cycles; "
            f"BookSim is given at most {MOST_CYCLES}, so take a slower clock"
        )
    cycles: dict[tuple[str, str], int] = {}
    for link, delay in zip(links, delays, strict=True):
        if link.a in hosted or link.b in hosted:
            continue
        for ends, width in (
            ((link.a, link.b), link.bandwidth),
            ((link.b, link.a), link.backward_bandwidth),
        ):
            if width > 0:
                cycles[ends] = min(delay, cycles.get(ends, delay))
    for a, b in cycles:
        if (b, a) not in cycles:
            raise TopologyError(f"package {package.name!r}: {a!r}->{b!r} is one-way; BookSim adds a way back")
    return _Network(routers, {name: sorted(several) for name, several in nodes.items()}, cycles, hosted)


def _degree(package: Package) -> dict[str, int]:
    degree: dict[str, int] = {}
    for link in network_links(package):
        for name in (link.a, link.b):
            degree[name] = degree.get(name, 0) + 1
    return degree


def _hosted(package: Package, options: BookSimOptions) -> dict[str, str]:
    """Return the switch at whose router each concentrated chiplet is.

    In a package from an anynet file, a link to a node begins at the switch, one to the router of a chiplet at
    the chiplet.
    """
    came = options.concentration is None
    if options.concentration is False or (came and package.source != ANYNET):
        return {}
    degree = _degree(package)
    found = {}
    for link in network_links(package):
        for name, hub in ((link.a, link.b), (link.b, link.a)):
            alone = degree[name] == 1 and not isinstance(package[name], Switch)
            if alone and isinstance(package[hub], Switch) and (link.a == hub or not came):
                found[name] = hub
    return found


def _cycles_between(package: Package, name: str, hub: str, options: BookSimOptions) -> Sequence[int]:
    delays = [link.latency for link in network_links(package) if {link.a, link.b} == {name, hub}]
    return [int(delay) for delay in cycles_of(np.array(delays), options.clock)]


def node_numbers(package: Package) -> list[int]:
    """Return the number of each terminal: its place, or what an anynet file called it."""
    count = len(package.terminals)
    if package.source == ANYNET:
        given = [name[1:] for name in package.terminals if re.fullmatch(r"n[0-9]{1,9}", name, re.ASCII)]
        if sorted(map(int, given)) == list(range(count)):
            return [int(number) for number in given]
    return list(range(count))


def _deadlock(package: Package, network: _Network, options: BookSimOptions) -> str:
    """Return a sentence where channels can wait for each other under BookSim's min, else nothing."""
    if len(network.routers) > MOST_CHECKED:
        return f"deadlock: not checked for {len(network.routers)} routers"
    clock = options.frequency
    method = RoutingMethod("booksim-min", forward=partial(booksim_min, clock=clock))
    found = check_deadlock(package, routing=method)
    if found.free:
        return ""
    return f"deadlock: BookSim's min on this network can deadlock: {_shown(found.cycle)}"


def _shown(cycle: Sequence[str]) -> str:
    """Return the channels of a cycle in turn, the middle of a long one left out."""
    if len(cycle) <= 12:
        return ", ".join(cycle)
    return f"{', '.join(cycle[:8])}, ... ({len(cycle)} channels)"
