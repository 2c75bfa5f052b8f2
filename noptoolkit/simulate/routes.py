"""A routing as the tables that routers read: output port and class of VCs by input port and destination.

A routing that forwards by destination (`noptoolkit.routing`) becomes rows, one for each state of a packet at
an input port; where it splits, an entry stands for several, of which the hash of a packet chooses one by
their shares. Given paths and the optimum's flow become lists of paths with shares, of which the source
chooses one for each packet. ``valiant`` reads rows of two phases, ``adaptive`` takes the emptiest minimal
output. Classes of VCs keep a routing free of deadlock (`noptoolkit.simulate.ordering`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bits, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.routing.forwarding import ForwardingRule, in_parts
from noptoolkit.simulate.columns import ANY_CLASS
from noptoolkit.simulate.ports import Ports

__all__ = ["Choice", "Options", "options_by_source", "options_of", "stacked", "table_of"]

CODE = 1 << 20  # entries to be chosen from are keyed below this


@dataclass(frozen=True, eq=False)
class Options:
    """The output ports that a routing may take, by state of a packet and destination.

    Parameters
    ----------
    begin, port, share
        Where the options of each cell begin, [cells + 1], their ports and their shares; cell of a state and a
        destination is ``state * terminals + destination``.
    state_of_in
        State of a packet at each input port, [inputs].
    head
        State that each option leads to, -1 at the terminal.
    one_state
        Whether the input port alone tells the state; else the source does too.
    """

    begin: Ints
    port: Ints
    share: NDArray[np.float64]
    state_of_in: Ints
    head: Ints
    one_state: bool


@dataclass(frozen=True, eq=False)
class Choice:
    """Rows of entries, and what the negative ones stand for.

    Parameters
    ----------
    table
        Port | class << 8, or -(k + 1) for choice k, [rows, terminals].
    row_of_in
        [inputs].
    choices
        First entry, number of entries, purpose of the draw and salt of each choice, [choices, 4].
    entry, limit
        Of the choices: entry and the hash below which it is taken, [entries].
    start
        Row of a packet that begins anew at each router, [routers]; where ``None``, those of the terminals.
    """

    table: NDArray[np.int32]
    row_of_in: Ints
    choices: Ints = field(default_factory=lambda: np.zeros((1, 4), np.int64))
    entry: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1, np.int32))
    limit: Bits = field(default_factory=lambda: np.zeros(1, np.uint64))
    start: Ints | None = None


def options_of(ports: Ports, rule: ForwardingRule) -> Options:
    """Return the options of a routing that forwards by destination.

    Raises
    ------
    RoutingError
        If it does not apply to the package.
    """
    network = ports.network
    nodes = np.array([network.package.index[name] for name in ports.endpoints], np.int64)
    ends = network.destination[nodes]
    count = len(ends)
    state = np.full(network.num_arcs, -1)
    tails, tos, arcs, shares, heads = [], [], [], [], []
    states = network.num_vertices
    for part, forwarding in in_parts(network, rule, ends):
        state[forwarding.arc] = forwarding.head
        heads.append(forwarding.head)
        states = forwarding.num_states
        tails.append(forwarding.tail)
        tos.append(np.arange(count)[part][forwarding.to])
        arcs.append(forwarding.arc)
        shares.append(forwarding.share)
    tail, to, arc, share, head = (np.concatenate(x) for x in (tails, tos, arcs, shares, heads))
    one_state = bool((state[arc] == head).all())
    state = np.where(state < 0, network.head, state)
    width = np.array([len(x) for x in ports.out_of_arc], np.int64)
    first = np.cumsum(width) - width
    flat_port = np.array([p for x in ports.out_of_arc for p in x], np.int64)
    flat_share = np.array([float(p) for x in ports.share_of_arc for p in x])
    many = width[arc]
    at = np.repeat(first[arc] - (np.cumsum(many) - many), many) + np.arange(many.sum())
    tail, to, share, head = (np.repeat(x, many) for x in (tail, to, share, head))
    port, share = flat_port[at], share * flat_share[at]
    for copy in range(states // network.num_vertices):  # arrived: to the terminal
        tail = np.r_[tail, ends + copy * network.num_vertices]
        to, port, share = np.r_[to, np.arange(count)], np.r_[port, ports.eject], np.r_[share, np.ones(count)]
        head = np.r_[head, np.full(count, -1)]
    memory = ends != network.origin[nodes]
    tail = np.r_[tail, network.origin[nodes][memory]]  # a stack reads its own without the network
    to = np.r_[to, np.flatnonzero(memory)]
    port, share = np.r_[port, ports.eject[memory]], np.r_[share, np.ones(int(memory.sum()))]
    head = np.r_[head, np.full(int(memory.sum()), -1)]
    cell = tail * count + to
    order = np.lexsort((-port, cell))
    begin = np.searchsorted(cell[order], np.arange(states * count + 1))
    state_of_in = np.where(ports.arc_in >= 0, state[ports.arc_in], 0)
    state_of_in[ports.terminal_in] = network.origin[nodes]
    return Options(begin, port[order], share[order], state_of_in, head[order], one_state)


def options_by_source(ports: Ports, options: Options) -> list[Options]:
    """Return the options of each endpoint's packets, where the state at an input port depends on the source.

    Raises
    ------
    RoutingError
        If it depends on more than that.
    """
    count = len(ports.endpoints)
    cell_of = np.repeat(np.arange(len(options.begin) - 1), np.diff(options.begin)) // count
    inner = np.flatnonzero(options.head >= 0)
    tail, head, ip = cell_of[inner], options.head[inner], ports.to_input[options.port[inner]]
    _, first = np.unique(np.stack([tail, head, ip]), axis=1, return_index=True)
    tail, head, ip = tail[first], head[first], ip[first]
    found = []
    for terminal in ports.terminal_in.tolist():
        reached = np.zeros((len(options.begin) - 1) // count, bool)
        reached[options.state_of_in[terminal]] = True
        while True:
            fresh = head[reached[tail] & ~reached[head]]
            if len(fresh) == 0:
                break
            reached[fresh] = True
        mine = np.flatnonzero(reached[tail])
        state = options.state_of_in.copy()
        state[ip[mine]] = head[mine]
        if (state[ip[mine]] != head[mine]).any():
            raise RoutingError(
                f"package {ports.network.package.name!r}: the shares depend on more than where a packet is, "
                "comes from and goes to; simulate a routing by destination, or a table of paths"
            )
        found.append(replace(options, state_of_in=state))
    return found


def stacked(choices: Sequence[Choice]) -> Choice:
    """Return the rows of several tables one below the other, each with a row for every input port."""
    tables: list[Ints] = []
    rows: list[Ints] = []
    entries: list[NDArray[np.int32]] = []
    limits: list[Bits] = []
    for part in choices:
        shift = sum(map(len, rows))
        table = part.table[part.row_of_in]
        tables.append(np.where(table < 0, table - shift, table))
        moved = part.choices.copy()
        moved[:, 0] += sum(map(len, entries))
        rows.append(moved)
        entries.append(part.entry)
        limits.append(part.limit)
    return Choice(
        np.concatenate(tables).astype(np.int32), np.arange(len(choices[0].row_of_in)), np.concatenate(rows),
        np.concatenate(entries), np.concatenate(limits),
    )  # fmt: skip


def table_of(
    ports: Ports,
    options: Options,
    rule: Callable[[Ints, Ints, Ints], Ints],
    every: int,
    tie: Ints | None = None,
    begins: Ints | None = None,
) -> Choice:
    """Return the rows of options, with the classes that a rule gives.

    Parameters
    ----------
    rule
        From input ports, output ports and destinations to a class, or to NEXT_CLASS, SAME_CLASS or ANY_CLASS.
    every
        Number of the class that stands for all.
    tie
        Purpose of the draw at each output port where two share equally, 0 for the common one, [outputs].
    begins
        State of a packet that begins anew at each router, for rows of their own, [routers].
    """

    def class_rule(ip: Ints, out: Ints, to: Ints) -> Ints:
        cls = rule(ip, out, to)
        return np.where(cls == ANY_CLASS, every, cls)

    count = len(ports.endpoints)
    at_router, state = ports.router_of_in, options.state_of_in
    if begins is not None:
        at_router, state = np.r_[at_router, np.arange(len(begins))], np.r_[state, begins]
    inputs = len(at_router)
    first_out = ports.first_out[at_router]
    cell = (state[:, None] * count + np.arange(count)).ravel()
    many = options.begin[cell + 1] - options.begin[cell]
    table = np.zeros(inputs * count, np.int32)
    ip = np.repeat(np.arange(inputs), count)
    to = np.tile(np.arange(count), inputs)
    alone = np.flatnonzero(many == 1)
    port = options.port[options.begin[cell[alone]]]
    table[alone] = port - first_out[ip[alone]] | class_rule(ip[alone], port, to[alone]) << 8
    several = np.flatnonzero(many > 1)
    found: dict[bytes, int] = {}
    choices: list[tuple[int, int, int, int]] = []
    entries: list[int] = []
    limits: list[int] = []
    for width in np.unique(many[several]).tolist():
        rows = several[many[several] == width]
        at = options.begin[cell[rows]][:, None] + np.arange(width)
        port = options.port[at]
        wide_ip, wide_to = np.repeat(ip[rows], width), np.repeat(to[rows], width)
        code = class_rule(wide_ip, port.ravel(), wide_to).reshape(port.shape) << 8
        code |= port - first_out[ip[rows]][:, None]
        share = np.round(options.share[at] * (1 << 40)).astype(np.int64)
        here = at_router[ip[rows]]
        purpose = np.zeros(len(rows), np.int64)
        if tie is not None and width == 2:
            both = (tie[port] > 0).all(axis=1) & (share[:, 0] == share[:, 1])
            purpose = np.where(both, tie[port[:, 0]], 0)
        key = np.column_stack([code, share, purpose, np.where(purpose > 0, 0, here + 1)])
        distinct, which = np.unique(key, axis=0, return_inverse=True)
        numbers = np.zeros(len(distinct), np.int64)
        for k, row in enumerate(distinct):
            mark = row.tobytes()
            if mark not in found:
                found[mark] = len(choices)
                part = row[width : 2 * width].astype(float)
                edge = np.cumsum(part) / part.sum()
                choices.append((len(entries), width, int(row[-2]) or 4, int(row[-1])))
                entries += row[:width].tolist()
                limits += [min(int(x * 2.0**64), 2**64 - 1) for x in edge.tolist()]
            numbers[k] = found[mark]
        table[rows] = -1 - numbers[which.ravel()]
    rows, row_of = np.unique(table.reshape(inputs, count), axis=0, return_inverse=True)
    row_of_in, start = row_of.ravel()[: ports.inputs], row_of.ravel()[ports.inputs :]
    return Choice(
        np.ascontiguousarray(rows),
        row_of_in,
        np.array(choices or [(0, 0, 0, 0)], np.int64),
        np.array(entries or [0], np.int32),
        np.array(limits or [0], np.uint64),
        None if begins is None else start,
    )
