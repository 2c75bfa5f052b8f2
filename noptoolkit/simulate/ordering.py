"""Deadlock: the dependencies between channels, a cycle in them by name, and classes of VCs without one.

The model (Dally and Seitz, IEEE Transactions on Computers, 1987). A packet that holds channel a and asks for
channel b next makes b depend on a; without a cycle of dependencies nothing can deadlock. Where there is one,
all channels are put in an order, and a packet moves on to the next class of virtual channels whenever it goes
against that order: within a class channels are then taken in order alone. The order is found by the greedy
heuristic of Eades, Lin and Smyth (Information Processing Letters 47, 1993), which leaves few dependencies
against it; datelines on a ring are a special case.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noptoolkit._arrays import Bools, Ints

__all__ = ["find_cycle", "follow_routes", "order_of"]

ClassRule = Callable[[Ints, Ints, Ints], Ints]
"""From input ports, output ports and destinations to the class of VCs that a packet takes next."""

UNBOUNDED = 62


def find_cycle(holds: Ints, asks: Ints, channels: int) -> list[int]:
    """Return a shortest cycle through the lowest channel that is on any, empty without.

    Examples
    --------
    >>> find_cycle(np.array([0, 1, 2, 3]), np.array([1, 2, 1, 0]), 4)
    [1, 2]
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = csr_array((np.ones(len(holds)), (holds, asks)), shape=(channels, channels))
    _, strong = connected_components(graph, connection="strong")
    itself = holds[holds == asks]
    on_cycle = np.flatnonzero(np.bincount(strong)[strong] > 1) if channels else np.zeros(0, np.int64)
    if len(itself):
        return [int(itself[0])]
    if len(on_cycle) == 0:
        return []
    start = int(on_cycle[0])
    order, before = breadth_first_order(graph, start)
    rank = np.full(channels, channels)
    rank[order] = np.arange(len(order))
    closing = holds[asks == start]
    cycle = [int(closing[np.argmin(rank[closing])])]
    while cycle[-1] != start:
        cycle.append(int(before[cycle[-1]]))
    return cycle[::-1]


def order_of(holds: Ints, asks: Ints, channels: int) -> Ints:
    """Return the place of each channel in an order that few dependencies go against, [channels].

    Examples
    --------
    >>> order_of(np.array([0, 1, 2]), np.array([1, 2, 0]), 3)
    array([0, 1, 2])
    """
    follow: list[set[int]] = [set() for _ in range(channels)]
    precede: list[set[int]] = [set() for _ in range(channels)]
    for a, b in zip(holds.tolist(), asks.tolist(), strict=True):
        if a != b:
            follow[a].add(b)
            precede[b].add(a)
    left = dict.fromkeys(range(channels))
    first: list[int] = []
    last: list[int] = []
    sinks = [c for c in left if not follow[c]]
    sources = [c for c in left if not precede[c]]

    def take(c: int, into: list[int]) -> None:
        del left[c]
        into.append(c)
        for b in follow[c]:
            precede[b].discard(c)
            if not precede[b] and b in left:
                sources.append(b)
        for b in precede[c]:
            follow[b].discard(c)
            if not follow[b] and b in left:
                sinks.append(b)

    while left:
        if sinks:
            c = sinks.pop()
            if c in left:
                take(c, last)
        elif sources:
            c = sources.pop()
            if c in left:
                take(c, first)
        else:
            c = max(left, key=lambda c: (len(follow[c]) - len(precede[c]), -c))
            take(c, first)
    place = np.zeros(channels, np.int64)
    place[first + last[::-1]] = np.arange(channels)
    return place


def follow_routes(
    starts: tuple[Ints, ...],
    options: tuple[Ints, Ints],
    cell_of_in: Ints,
    to_input: Ints,
    from_output: Ints,
    class_of: Callable[[Ints, Ints, Ints, Ints], Ints],
    classes: int,
    destinations: int,
) -> tuple[Ints, Ints, int]:
    """Return the pairs of (channel, class) that packets use one after the other, and the highest class.

    Parameters
    ----------
    starts
        Input port and destination of what is injected; and the output port that it has come by, if any.
    options
        Begin of each cell, [cells + 1], and the output ports that may be taken from it.
    cell_of_in
        First cell of each input port, [inputs]; that of a destination is so many further.
    to_input, from_output
        As in `noptoolkit.simulate.ports.Ports`.
    class_of
        From input ports, output ports, destinations and classes to the next class.
    """
    begin, port = options
    inputs = len(from_output)
    seen: Bools = np.zeros(inputs * destinations * classes, bool)
    ip, to = starts[:2]
    cls = np.zeros(len(ip), np.int64)
    pairs: list[Ints] = []
    highest = 0
    size = len(to_input) * classes
    fresh = (ip * destinations + to) * classes
    seen[fresh] = True
    held = starts[2] * classes if len(starts) > 2 else np.full(len(ip), -1, np.int64)
    while len(ip):
        cell = cell_of_in[ip] + to
        many = begin[cell + 1] - begin[cell]
        at = np.repeat(begin[cell] - (np.cumsum(many) - many), many) + np.arange(many.sum())
        out = port[at]
        ip, to, cls, held = (np.repeat(x, many) for x in (ip, to, cls, held))
        after = class_of(ip, out, to, cls)
        asked = out * classes + after
        there = to_input[out] < inputs
        inner = there & (held >= 0)
        highest = max(highest, int(after[there].max(initial=0)))
        if highest >= classes:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), highest
        pairs.append(np.unique(held[inner] * size + asked[inner]))
        ip, to, cls, held = to_input[out[there]], to[there], after[there], asked[there]
        key = (ip * destinations + to) * classes + cls
        _, first = np.unique(key, return_index=True)
        first = first[~seen[key[first]]]
        seen[key[first]] = True
        ip, to, cls, held = ip[first], to[first], cls[first], held[first]
    together = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
    return together // size, together % size, highest
