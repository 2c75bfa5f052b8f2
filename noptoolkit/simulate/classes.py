"""Classes of virtual channels for routes, proved free of deadlock or refused with the cycle named.

A packet's class is the number of times that its path has gone against an order of the channels. Where whole
packets fit into a VC, each class has one VC of its own and all other VCs are open to every packet (Duato, A
necessary and sufficient condition for deadlock-free routing in cut-through and store-and-forward networks,
TPDS 1996): a VC is given only to a packet for which it has room, so that blocked packets wait at the front of
their buffers; each of them may wait for the VC of its class, the packet at the front of that one for a later
one in the order of (class, channel), and the last one for none. Longer packets keep to the VCs of their
class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import RoutingError
from noptoolkit.routing.lattice import Grid, find_grid
from noptoolkit.simulate.columns import ANY_CLASS, NEXT_CLASS, SAME_CLASS
from noptoolkit.simulate.ordering import find_cycle, follow_routes, order_of
from noptoolkit.simulate.ports import Ports, turned
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.routes import Options

__all__ = ["Classes", "class_masks", "classes_for", "dateline_ties", "escape_cycle"]

ClassRule = Callable[[Ints, Ints, Ints], Ints]
MOST_CLASSES = 31


@dataclass(frozen=True, eq=False)
class Classes:
    """How many classes of VCs routes need, and which a packet takes.

    Parameters
    ----------
    count
        Classes; with one, every VC is open to every packet.
    rule
        From input ports, output ports and destinations to the class, or to NEXT_CLASS or SAME_CLASS.
    rank
        Place of each output port in the order that classes keep to, ``None`` where that does not matter.
    cycle
        Names of channels that can wait for each other in turn; empty if the routes are free of deadlock.
    how
        For the notes of a result.
    datelines
        Whether the classes are those of BookSim2's tori, which share all VCs between them.
    """

    count: int
    rule: ClassRule
    rank: Ints | None
    cycle: tuple[str, ...]
    how: str
    datelines: bool = False

    def masks(self, needed: int, router: Router) -> tuple[Ints, int]:
        """Return the VCs of each class as bits, and the room for a packet that one must have."""
        open_to_all = needed > 1 and not self.datelines and router.packet <= router.depth
        masks = class_masks(needed, router.vcs, open_to_all=open_to_all)
        return masks, router.packet if open_to_all else 0


def classes_for(
    ports: Ports,
    options: Options | Sequence[Options] | None,
    sends: tuple[Ints, Ints],
    others: tuple[Ints, Ints],
    *,
    name: str,
    vcs: int,
    datelines: bool = False,
    allow_deadlock: bool = False,
    phases: int = 1,
) -> Classes:
    """Return the classes of VCs that keep routes free of deadlock.

    Parameters
    ----------
    options
        Of a routing by destination, if there is one; or one for each source.
    sends
        Terminal and destination of what is sent by it.
    others
        Pairs of output ports that follow one another on paths and trees.
    datelines
        Whether the routing is dimension order, whose rings two classes break.
    phases
        Times that a packet begins anew, in classes of its own.

    Raises
    ------
    RoutingError
        If there are fewer VCs than classes, with the cycle of channels.
    """
    size = len(ports.to_input)
    holds, asks = others
    if options is not None:
        found = _follow(ports, options, sends, lambda ip, out, to: np.zeros(len(ip), np.int64), 1)
        holds, asks = np.r_[holds, found[0]], np.r_[asks, found[1]]
    eject = _one_class(ports)
    cycle = find_cycle(holds, asks, size)
    names = tuple(ports.name_of_out(port) for port in cycle)
    if cycle and datelines and options is not None and len(others[0]) == 0 and vcs >= 2:
        rule = _datelines(ports, find_grid(ports.network.package))
        if rule is not None:
            by_class = _follow(ports, options, sends, rule, 3)
            if not find_cycle(by_class[0], by_class[1], size * 3):
                return Classes(2, rule, None, (), "2 classes of VCs by datelines", datelines=True)
    if not cycle or allow_deadlock:
        how = "free of deadlock" if not cycle else "can deadlock, as was allowed"
        if phases == 1:
            return Classes(1, eject, None, names, how)
        if vcs >= phases or allow_deadlock:
            return Classes(min(phases, vcs), eject, None, names, f"{phases} classes of VCs")
    rank = order_of(holds, asks, size)
    needed = _ordered_classes(ports, options, sends, holds, asks, rank, phases)
    if needed > vcs:
        raise RoutingError(
            f"package {ports.network.package.name!r}: {name} can deadlock, for these channels wait for each "
            "other "
            f"in turn: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}; it needs {needed} classes "
            "of "
            f"VCs and a router has {vcs} VCs: give Router(vcs={needed}) or more, choose routing='up-down', "
            "or "
            f"see it happen with allow_deadlock=True"
            if names
            else f"package {ports.network.package.name!r}: {name} needs {needed} classes of VCs, a router "
            "has "
            f"{vcs}; give Router(vcs={needed}) or more"
        )
    return Classes(
        needed, _ordered(ports, rank), rank, (), f"{needed} classes of VCs in an order of channels"
    )


def class_masks(count: int, vcs: int, *, open_to_all: bool = False) -> Ints:
    """Return the VCs of each class as bits, and of all together last, [classes].

    Parameters
    ----------
    open_to_all
        Whether each class has one VC of its own and may take those that are left too; else all are parted.

    Examples
    --------
    >>> class_masks(2, 8).tolist(), class_masks(1, 3).tolist()
    ([15, 240, 255], [7])
    >>> [f"{mask:04b}" for mask in class_masks(2, 4, open_to_all=True).tolist()]
    ['1101', '1110', '1111']
    """
    if open_to_all:
        others = (1 << vcs) - (1 << count)
        masks = [1 << k | others for k in range(count)]
    else:
        edges = [k * vcs // count for k in range(count + 1)]
        masks = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return np.array(masks if count == 1 else [*masks, (1 << vcs) - 1], np.int64)


def escape_cycle(
    ports: Ports, options: Options, begins: tuple[Ints, Ints], others: tuple[Ints, Ints]
) -> list[int]:
    """Return the output ports of a cycle of dependencies of an escape routing, empty without.

    Parameters
    ----------
    options
        Of the escape routing.
    begins
        States and destinations with which packets may begin to escape, wherever they are.
    others
        Pairs of output ports that follow one another on trees.
    """
    count = len(ports.endpoints)
    cell = begins[0] * count + begins[1]
    many = options.begin[cell + 1] - options.begin[cell]
    at = np.repeat(options.begin[cell] - (np.cumsum(many) - many), many) + np.arange(many.sum())
    out, to = options.port[at], np.repeat(begins[1], many)
    on = ports.arc_out[out] >= 0
    out, to = out[on], to[on]
    holds, asks, _ = follow_routes(
        (ports.to_input[out], to, out), (options.begin, options.port), options.state_of_in * count,
        ports.to_input, ports.from_output, lambda ip, out, to, before: np.zeros(len(ip), np.int64), 1, count,
    )  # fmt: skip
    return find_cycle(np.r_[holds, others[0]], np.r_[asks, others[1]], len(ports.to_input))


def dateline_ties(ports: Ports) -> Ints:
    """Return the purpose of the draw that decides ties on rings: 2 along rows, 3 along columns."""
    grid = find_grid(ports.network.package)
    axis = _axis_of_arcs(ports, grid)[0]
    ring = np.array([grid.rows == "ring", grid.columns == "ring"])
    along = np.where(ports.arc_out >= 0, axis[ports.arc_out], -1)
    return np.where((along >= 0) & ring[np.maximum(along, 0)], along + 2, 0)


def _follow(
    ports: Ports,
    options: Options | Sequence[Options],
    sends: tuple[Ints, Ints],
    rule: ClassRule,
    classes: int,
) -> tuple[Ints, Ints, int]:
    def class_of(ip: Ints, out: Ints, to: Ints, before: Ints) -> Ints:
        after = rule(ip, out, to)
        after = np.where(after == ANY_CLASS, classes - 1, after)
        after = np.where(after == SAME_CLASS, before, after)
        return np.where(after == NEXT_CLASS, before + 1, after)

    count = len(ports.endpoints)
    parts = (
        [(options, np.ones(len(sends[0]), bool))]
        if isinstance(options, Options)
        else [(own, sends[0] == source) for source, own in enumerate(options)]
    )
    size = len(ports.to_input) * classes
    pairs, highest = [], 0
    for own, mine in parts:
        holds, asks, top = follow_routes(
            (ports.terminal_in[sends[0][mine]], sends[1][mine]),
            (own.begin, own.port),
            own.state_of_in * count,
            ports.to_input,
            ports.from_output,
            class_of,
            classes,
            count,
        )
        pairs.append(holds * size + asks)
        highest = max(highest, top)
    together = np.unique(np.concatenate(pairs))
    return together // size, together % size, highest


def _one_class(ports: Ports) -> ClassRule:
    """Return the rule that stays in class 0; the ejection port, which never waits, is open to all."""

    def rule(ip: Ints, out: Ints, to: Ints) -> Ints:
        return np.where(ports.arc_out[out] < 0, ANY_CLASS, 0)

    return rule


def _ordered(ports: Ports, rank: Ints) -> ClassRule:
    """Return the rule that moves on to the next class wherever a packet goes against an order."""
    before = np.where(ports.arc_in >= 0, rank[np.minimum(ports.from_output, len(rank) - 1)], -1)

    def rule(ip: Ints, out: Ints, to: Ints) -> Ints:
        turn = np.where(rank[out] > before[ip], SAME_CLASS, NEXT_CLASS)
        turn = np.where(ports.arc_in[ip] < 0, 0, turn)
        return np.where(ports.arc_out[out] < 0, ANY_CLASS, turn)

    return rule


def _ordered_classes(
    ports: Ports,
    options: Options | Sequence[Options] | None,
    sends: tuple[Ints, Ints],
    holds: Ints,
    asks: Ints,
    rank: Ints,
    phases: int,
) -> int:
    """Return how many classes routes by destination need under an order."""
    if options is None:
        return 1
    highest = _follow(ports, options, sends, _ordered(ports, rank), MOST_CLASSES)[2]
    return (highest + 1) * phases


def _axis_of_arcs(ports: Ports, grid: Grid) -> tuple[Ints, Ints, Ints]:
    """Return each arc's axis (0 a row, 1 a column, -1 none), whether it wraps, and each vertex's cell."""
    network = ports.network
    rows, columns = int(grid.nodes.shape[0]), int(grid.nodes.shape[1])
    place = np.full(network.num_vertices, -1)
    place[turned(grid).ravel()] = np.arange(grid.nodes.size)
    tail, head = place[network.tail], place[network.head]
    inside = (tail >= 0) & (head >= 0)
    in_row = tail // columns == head // columns
    axis = np.where(inside, np.where(in_row, 0, 1), -1)
    step = np.where(in_row, head % columns - tail % columns, head // columns - tail // columns)
    length = np.where(in_row, columns, rows)
    wraps = inside & (length > 2) & (abs(step) == length - 1)
    return axis, wraps.astype(np.int64), place


def _datelines(ports: Ports, grid: Grid) -> ClassRule | None:
    """Return the two classes of dimension order on rings, chosen where a packet enters one, as in BookSim2.

    Class 1 leads to lower coordinates, class 0 to higher ones, whichever way round; a packet goes at most
    half way, so that neither class has a cycle. Towards a node off the grid, whose door may be any, class 1
    begins behind the wrap link.
    """
    if "ring" not in (grid.rows, grid.columns):
        return None
    axis, wraps, place = _axis_of_arcs(ports, grid)
    columns = grid.nodes.shape[1]
    ring = np.array([grid.rows == "ring", grid.columns == "ring"])
    nodes = np.array([ports.network.package.index[name] for name in ports.endpoints], np.int64)
    target = place[ports.network.destination[nodes]]
    tail = place[ports.network.tail]

    def rule(ip: Ints, out: Ints, to: Ints) -> Ints:
        arc, came = ports.arc_out[out], ports.arc_in[ip]
        along = np.where(arc >= 0, axis[arc], -1)
        on_ring = (along >= 0) & ring[np.maximum(along, 0)]
        onward = (came >= 0) & (along >= 0) & (axis[came] == along)
        here, goal = tail[arc], target[to]
        here, goal = (np.where(along == 0, x % columns, x // columns) for x in (here, goal))
        fresh = np.where((target[to] >= 0) & (here > goal), 1, 0)
        going = np.where((target[to] < 0) & (wraps[came] == 1), 1, SAME_CLASS)
        return np.where(on_ring, np.where(onward, going, fresh), ANY_CLASS)

    return rule
