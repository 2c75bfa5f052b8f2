"""A package as routers with numbered ports: what the arrays of the engine are made of.

The model. Every node is a router, and every endpoint of the traffic has a terminal at its router. An arc of
`noptoolkit.network` (the parallel channels between two nodes together) is one output and one input port of
its summed rate, or one of each for every channel. A link takes the cycles of its latency, and those of the
router that it enters, at least one. Both ways of a half-duplex link take turns on one medium, as do reads and
writes at the port of a memory stack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from noptoolkit._arrays import Bools, Ints
from noptoolkit.errors import RoutingError, TopologyError, WorkloadError
from noptoolkit.network import FlowNetwork, Sharing
from noptoolkit.package import Chiplet, Memory
from noptoolkit.routing.lattice import Grid, find_grid
from noptoolkit.simulate.router import Router

__all__ = ["Ports", "ports_of", "turned"]

MOST_PORTS = 62
MOST_TERMINALS = 1 << 14


@dataclass(frozen=True, eq=False)
class Ports:
    """The ports of all routers; terminal n's injection side is output port ``outputs + n``.

    Parameters
    ----------
    network, router, endpoints
        What they were made of.
    flit_bytes
        Size of a flit, in B.
    first_in, first_out
        First input and output port of each router, and one past the last, [routers + 1].
    arc_in, arc_out
        Arc that comes in by each input port, that goes out by each output port; -1 for a terminal, [ports].
    channel_out
        First channel of each output port, -1 for a terminal, [outputs].
    to_input
        Input port, or ``inputs`` + terminal, at the far end of each output port, [outputs + terminals].
    from_output
        Output port, or ``outputs`` + terminal, at the other end of each input port, [inputs].
    rate
        Flits per cycle of each output port, [outputs + terminals].
    latency
        Cycles on the link behind each output port, [outputs + terminals].
    medium
        Output port whose time each takes, [outputs + terminals].
    at_router, eject
        Router of each terminal, and its output port there, [terminals].
    out_of_arc, share_of_arc
        Output ports of each arc, and the share of its packets that each takes, [arcs] of tuples.
    crossing
        Flits per cycle that may pass through a router, by router.
    """

    network: FlowNetwork
    router: Router
    endpoints: tuple[str, ...]
    flit_bytes: float
    first_in: Ints
    first_out: Ints
    arc_in: Ints
    arc_out: Ints
    channel_out: Ints
    to_input: Ints
    from_output: Ints
    rate: tuple[Fraction, ...]
    latency: Ints
    medium: Ints
    at_router: Ints
    eject: Ints
    out_of_arc: tuple[tuple[int, ...], ...]
    share_of_arc: tuple[tuple[Fraction, ...], ...]
    crossing: dict[int, Fraction]

    @property
    def inputs(self) -> int:
        """Input ports of all routers."""
        return len(self.arc_in)

    @property
    def outputs(self) -> int:
        """Output ports of all routers."""
        return len(self.arc_out)

    @property
    def router_of_in(self) -> Ints:
        """Router of each input port, [inputs]."""
        return np.repeat(np.arange(len(self.first_in) - 1), np.diff(self.first_in))

    @property
    def router_of_out(self) -> Ints:
        """Router of each output port, [outputs]."""
        return np.repeat(np.arange(len(self.first_out) - 1), np.diff(self.first_out))

    @property
    def terminal_in(self) -> Ints:
        """Input port of each terminal, [terminals]."""
        return self.to_input[self.outputs :]

    def name_of_out(self, port: int) -> str:
        """Return the name of the channel behind an output port."""
        channel = int(self.channel_out[port])
        if channel < 0:
            return f"{self.endpoints[int(self.to_input[port]) - self.inputs]} ejection"
        return self.network.package.channel_names[channel]


def ports_of(
    network: FlowNetwork, router: Router, endpoints: tuple[str, ...], sharing: Sharing = "by bandwidth"
) -> Ports:
    """Return the ports of a network for a router design, with a terminal for each endpoint.

    Parameters
    ----------
    sharing
        How a routing splits what goes over parallel channels: by bandwidth, equally, or all on the first.

    Raises
    ------
    TopologyError
        If a router has more than 62 ports, or a bandwidth is not a ratio that a clock gives.
    WorkloadError
        If an endpoint has no channel in or none out, or there are none or too many.
    """
    package = network.package
    nodes = len(package.nodes)
    _check_endpoints(network, endpoints)
    flit = router.flit_bytes(network)
    lanes = _lanes(network, router, flit, sharing)
    node_of = {name: package.index[name] for name in endpoints}
    east = _directions(network) if router.port_order == "grid" else None

    def order(port: tuple[int, int, int]) -> tuple[int, int, int]:
        """Sort key of (router at the far end or -1 for the terminal, its own router, number)."""
        far, near, number = port
        if east is None:
            return (-1 if far < 0 else 0, far, number)
        return (east(near, far), far, number)

    outs: list[list[tuple[int, int, int]]] = [[] for _ in range(nodes)]
    ins: list[list[tuple[int, int, int]]] = [[] for _ in range(nodes)]
    for number, lane in enumerate(lanes):
        outs[lane.tail].append((lane.head, lane.tail, number))
        ins[lane.head].append((lane.tail, lane.head, number))
    for n, name in enumerate(endpoints):
        outs[node_of[name]].append((-1, node_of[name], n))
        ins[node_of[name]].append((-1, node_of[name], n))
    for ports in (*outs, *ins):
        ports.sort(key=order)
    for r, ports in enumerate(ins):
        if max(len(ports), len(outs[r])) > MOST_PORTS:
            raise TopologyError(
                f"package {package.name!r}: {package.nodes[r].name!r} has {max(len(ports), len(outs[r]))} "
                "ports; "
                f"the simulator takes {MOST_PORTS} at most, so split it into several switches"
            )
    first_in, first_out = (np.r_[0, np.cumsum([len(x) for x in side])] for side in (ins, outs))
    inputs, outputs, terminals = int(first_in[-1]), int(first_out[-1]), len(endpoints)

    where_in: dict[tuple[bool, int], int] = {}
    where_out: dict[tuple[bool, int], int] = {}
    for side, where in ((ins, where_in), (outs, where_out)):
        flat = [port for ports in side for port in ports]
        for k, (far, _, number) in enumerate(flat):
            where[far < 0, number] = k
    arc_in, arc_out = np.full(inputs, -1), np.full(outputs, -1)
    channel_out, medium = np.full(outputs, -1), np.arange(outputs + terminals)
    to_input, from_output = np.zeros(outputs + terminals, np.int64), np.zeros(inputs, np.int64)
    latency = np.ones(outputs + terminals, np.int64)
    rate: list[Fraction] = [Fraction(1)] * (outputs + terminals)
    out_of_arc: list[list[int]] = [[] for _ in range(network.num_arcs)]
    lead: dict[int, int] = {}
    for number, lane in enumerate(lanes):
        o, i = where_out[False, number], where_in[False, number]
        arc_out[o], arc_in[i], channel_out[o] = lane.arc, lane.arc, lane.channel
        to_input[o], from_output[i] = i, o
        rate[o], latency[o] = lane.rate, lane.latency
        out_of_arc[lane.arc].append(o)
        medium[o] = lead.setdefault(lane.medium, o)
    weight = [Fraction(1)] * len(rate) if sharing == "equally" else rate
    share = [tuple(weight[o] / sum(weight[p] for p in ports) for o in ports) for ports in out_of_arc]
    at_router, eject = np.zeros(terminals, np.int64), np.zeros(terminals, np.int64)
    for n, name in enumerate(endpoints):
        node = node_of[name]
        o, i = where_out[True, n], where_in[True, n]
        at_router[n], eject[n] = node, o
        to_input[o], to_input[outputs + n], from_output[i] = inputs + n, i, outputs + n
        latency[outputs + n] = 1 + _cycles(package.nodes[node].latency * float(router.clock))
        latency[outputs + n] += router.pipeline
        sends = sum(
            (rate[p] for far, _, k in outs[node] if far >= 0 for p in [where_out[False, k]]), Fraction(0)
        )
        takes = sum(
            (rate[p] for far, _, k in ins[node] if far >= 0 for p in [where_out[False, k]]), Fraction(0)
        )
        rate[outputs + n], rate[o] = _port_rates(network, router, node, flit, sends, takes)
        if isinstance(package.nodes[node], Memory):
            medium[outputs + n] = o
    crossing = {}
    for r, node_ in enumerate(package.nodes):
        limit = None if isinstance(node_, Memory) else node_.crossbar_bandwidth
        if limit is not None:
            crossing[r] = router.rate(limit, flit, f"{node_.name} crossbar")
    return Ports(
        network=network, router=router, endpoints=endpoints, flit_bytes=flit, first_in=first_in,
        first_out=first_out, arc_in=arc_in, arc_out=arc_out, channel_out=channel_out, to_input=to_input,
        from_output=from_output, rate=tuple(rate), latency=latency, medium=medium, at_router=at_router,
        eject=eject, out_of_arc=tuple(map(tuple, out_of_arc)), share_of_arc=tuple(share), crossing=crossing,
    )  # fmt: skip


@dataclass(frozen=True)
class _Lane:
    """One port's worth of an arc: all its channels, or a single one."""

    arc: int
    channel: int
    tail: int
    head: int
    rate: Fraction
    latency: int
    medium: int


def _lanes(network: FlowNetwork, router: Router, flit: float, sharing: Sharing) -> list[_Lane]:
    package, nodes = network.package, len(network.origin)
    memory_of = [package.index[stack.name] for stack in package.memories]
    node_of = [*range(nodes), *memory_of]
    lanes = []
    channels = network.arc_of_channel
    groups = [[c] for c in range(len(channels))]
    if router.parallel == "merged" or sharing == "first":
        groups = [np.flatnonzero(channels == arc).tolist() for arc in range(network.num_arcs)]
    if sharing == "first":
        groups = [group[:1] for group in groups]
    elif sharing == "equally":
        groups = [[c] for c in range(len(channels))]
    bandwidth = np.array([channel.bandwidth for channel in package.channels])
    for group in groups:
        arc = int(channels[group[0]])
        first = package.channels[group[0]]
        flight = min(package.links[package.channels[c].link].latency for c in group)
        tail, head = node_of[int(network.tail[arc])], node_of[int(network.head[arc])]
        behind = package.nodes[head].latency
        half = package.links[first.link].half_duplex
        lanes.append(
            _Lane(
                arc, group[0], tail, head,
                router.rate(float(bandwidth[group].sum()), flit, first.name),
                max(1, _cycles((flight + behind) * float(router.clock))) + router.pipeline,
                medium=-1 - first.link if half else group[0],
            )
        )  # fmt: skip
    return lanes


def _port_rates(
    network: FlowNetwork, router: Router, node: int, flit: float, sends: Fraction, takes: Fraction
) -> tuple[Fraction, Fraction]:
    """Return the flits per cycle that the terminal of a node may send and receive."""
    thing = network.package.nodes[node]
    if isinstance(thing, Memory):
        port = router.rate(thing.bandwidth, flit, f"{thing.name} port")
        return port, port
    limits = []
    for name, links, default in (
        ("injection", sends, router.injection),
        ("ejection", takes, router.ejection),
    ):
        own = getattr(thing, f"{name}_bandwidth") if isinstance(thing, Chiplet) else None
        if own is not None:
            limits.append(router.rate(own, flit, f"{thing.name} {name}"))
        elif default is not None:
            limits.append(Fraction(default).limit_denominator(4096))
        else:
            limits.append(min(links, Fraction(32)))
    return limits[0], limits[1]


def _check_endpoints(network: FlowNetwork, endpoints: tuple[str, ...]) -> None:
    package = network.package
    if not 1 <= len(endpoints) <= MOST_TERMINALS or len(set(endpoints)) < len(endpoints):
        raise WorkloadError(
            f"package {package.name!r}: {len(endpoints)} endpoints; the simulator takes 1 to "
            f"{MOST_TERMINALS}, "
            "each once"
        )
    sends: Bools = np.isin(network.origin, network.tail)
    receives: Bools = np.isin(network.destination, network.head)
    for name in endpoints:
        package[name]
        node = package.index[name]
        for way, there in (("send", sends[node]), ("receive", receives[node])):
            if not there and len(package.nodes) > 1:
                raise WorkloadError(
                    f"package {package.name!r}: {name!r} cannot {way}, for it has no channel that way; "
                    "add a link, or leave it out of the traffic"
                )


def _cycles(exact: float) -> int:
    """Return whole cycles, rounded up but for the noise of floating point."""
    return math.ceil(exact - 1e-6)


def _directions(network: FlowNetwork):  # type: ignore[no-untyped-def]
    """Return the rank of a port by its direction: east, west, south, north, off the grid, own terminal."""
    try:
        grid = find_grid(network.package)
    except RoutingError as error:
        raise TopologyError(f"Router(port_order='grid'): {error}") from None
    rows, columns = grid.nodes.shape
    cell = {int(node): at for at, node in np.ndenumerate(turned(grid))}

    def rank(near: int, far: int) -> int:
        if far < 0:
            return 9
        a, b = cell.get(near), cell.get(far)
        if a is None or b is None:
            return 8
        if a[0] == b[0]:
            step = (b[1] - a[1]) % columns if grid.rows == "ring" else b[1] - a[1]
            return 0 if step == 1 or (grid.rows != "ring" and step > 0) else 1
        step = (b[0] - a[0]) % rows if grid.columns == "ring" else b[0] - a[0]
        return 2 if step == 1 or (grid.columns != "ring" and step > 0) else 3

    return rank


def turned(grid: Grid) -> Ints:
    """Return the nodes of a grid, turned so that their numbers grow eastwards and southwards."""
    nodes = grid.nodes[:: -1 if grid.nodes[0, 0] > grid.nodes[-1, 0] else 1]
    return nodes[:, :: -1 if nodes[0, 0] > nodes[0, -1] else 1]
