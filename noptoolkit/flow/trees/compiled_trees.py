"""Counting and the dynamic program over subsets, compiled by numba.

See `noptoolkit.flow.trees.multicast` and `noptoolkit.flow.trees.cheapest`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = [
    "fill_slots",
    "follow_trees",
    "meet_narrow_sets",
    "meet_wide_sets",
    "steiner_costs",
    "steiner_roots",
    "sum_of_farthest",
]

Floats = NDArray[np.float64]
Ints = NDArray[Any]
Words = NDArray[np.uint64]


def _lowest_bit(context: Any, word: Any) -> Any:
    def count_trailing_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.uint64(types.uint64), count_trailing_zeros


lowest_bit: Any = intrinsic(_lowest_bit)  # its place in a word that is not 0, by one instruction


@njit(cache=True, nogil=True)
def row_of(mask: Any, masks: Words, slots: Any) -> int:
    """Return the row of a set, by the hash table that `fill_slots` made."""
    last = np.uint64(len(slots) - 1)
    slot = (mask * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & last
    while masks[slots[slot]] != mask:
        slot = (slot + np.uint64(1)) & last
    return int(slots[slot])


@njit(cache=True, nogil=True)
def fill_slots(masks: Words, slots: Any) -> None:
    """Fill a hash table with the row of each set; ``slots`` is -1, a power of two, twice the sets or more."""
    last = np.uint64(len(slots) - 1)
    for row in range(len(masks)):
        slot = (masks[row] * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & last
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & last
        slots[slot] = row


@njit(cache=True, nogil=True)
def steiner_costs(
    masks: Words, slots: Any, onto: Floats, helps: Any, at: Ints, cost: Floats, via: Any, split: Any
) -> None:
    """Fill the cost of reaching every set of end points from one copy at every vertex (Dreyfus and Wagner).

    Parameters
    ----------
    masks, slots
        The sets as bits, ascending, with every subset of each, [sets], and their hash table.
    onto
        Distance onto each vertex (row) from every other (column), [vertices, vertices].
    helps
        Vertices at which one copy can become two, [vertices].
    at
        Vertex of each bit, [bits].
    cost, via
        Filled: from each vertex, and the vertex where it first splits or ends, [sets, vertices].
    split
        Filled: the row of the part that goes one way there, its own where it ends, [sets, vertices].
    """
    vertices = len(onto)
    merged = np.empty(vertices)
    half = np.empty(vertices, np.int64)
    best = np.empty(vertices)
    where = np.empty(vertices, np.int64)
    one = np.uint64(1)
    for row in range(len(masks)):
        mask = masks[row]
        rest = mask & (mask - one)
        low = mask ^ rest
        if rest == 0:
            end = at[np.int64(lowest_bit(mask))]
            cost[row] = onto[end]
            via[row] = end
            split[row] = row
            continue
        merged[:] = np.inf
        part = rest
        while part != 0:  # every part that holds the lowest member, and its complement
            part = (part - one) & rest
            first = row_of(part | low, masks, slots)
            second = row_of(rest ^ part, masks, slots)
            for v in range(vertices):
                total = cost[first, v] + cost[second, v]
                if total < merged[v]:
                    merged[v] = total
                    half[v] = first
        best[:] = np.inf
        for v in range(vertices):
            split[row, v] = half[v]
            if helps[v] and merged[v] < np.inf:
                for u in range(vertices):
                    total = onto[v, u] + merged[v]
                    if total < best[u]:
                        best[u] = total
                        where[u] = v
        for u in range(vertices):
            cost[row, u] = best[u]
            via[row, u] = where[u]


@njit(cache=True, nogil=True)
def steiner_roots(
    masks: Words, slots: Any, cost: Floats, root: int, alone: bool, per_copy: float, total: Floats, first: Any
) -> None:
    """Fill the cost of every set from a root, and the row of the part that its first copy serves.

    A root that is ``alone`` cannot split a copy, but may send several.
    """
    one = np.uint64(1)
    for row in range(len(masks)):
        mask = masks[row]
        total[row] = cost[row, root] + per_copy
        first[row] = row
        rest = mask & (mask - one)
        part = rest
        while alone and part != 0:
            part = (part - one) & rest
            serves = row_of(part | (mask ^ rest), masks, slots)
            now = cost[serves, root] + per_copy + total[row_of(rest ^ part, masks, slots)]
            if now < total[row]:
                total[row] = now
                first[row] = serves


@njit(cache=True, nogil=True)
def follow_trees(
    masks: Words,
    slots: Any,
    via: Any,
    split: Any,
    first: Any,
    root: int,
    rows: Ints,
    amount: Floats,
    tail: Ints,
    by: Ints,
    load: Floats,
    begins: Ints,
    arcs: Any,
) -> float:
    """Add what the trees of some messages from a root put on the arcs; return the bytes that it sends.

    Parameters
    ----------
    first
        From `steiner_roots`, [sets].
    rows, amount
        The set and the bytes of each message, [messages].
    by
        Arc by which each vertex (column) is reached from each other (row), [vertices, vertices].
    load
        Added to, [arcs].
    begins
        Filled: where the arcs of each message begin, [messages + 1].
    arcs
        Filled where there is room: the arcs of each message, those with two copies twice.
    """
    sent = 0.0
    filled = 0
    waiting = np.empty(130, np.int64)  # at most two for each of 64 members
    starts = np.empty(130, np.int64)
    for i in range(len(rows)):
        begins[i] = filled
        left = masks[rows[i]]
        while left != 0:  # one turn for each copy that the root sends
            part = first[row_of(left, masks, slots)]
            left ^= masks[part]
            sent += amount[i]
            waiting[0], starts[0] = part, root
            depth = 1
            while depth > 0:
                depth -= 1
                row, start = waiting[depth], starts[depth]
                stop = via[row, start]
                here = stop
                while here != start:
                    arc = by[start, here]
                    load[arc] += amount[i]
                    if filled < len(arcs):
                        arcs[filled] = arc
                    filled += 1
                    here = tail[arc]
                half = split[row, stop]
                if half != row:
                    waiting[depth], starts[depth] = half, stop
                    waiting[depth + 1] = row_of(masks[row] ^ masks[half], masks, slots)
                    starts[depth + 1] = stop
                    depth += 2
    begins[len(rows)] = filled
    return sent


@njit(cache=True, nogil=True, fastmath=True)
def meet_narrow_sets(rows: Ints, members: Any, amount: Floats, masks: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set, for at most 128 end points.

    Parameters
    ----------
    rows
        The messages, [rows].
    members, amount
        Bit set and bytes of every message, [messages, 1 or 2] and [messages].
    masks
        The bit sets, [2, sets]: as many tests as there are sets, but on all lanes of the processor at once.
    met
        Added to, [sets].
    """
    low, high = masks[0], masks[1]
    wide = members.shape[1] == 2
    for i in range(len(rows)):
        row = rows[i]
        share = amount[row]
        first = members[row, 0]
        second = members[row, 1] if wide else np.uint64(0)
        for g in range(len(met)):
            met[g] += share if (first & low[g]) | (second & high[g]) != 0 else 0.0


@njit(cache=True, nogil=True)
def meet_wide_sets(rows: Ints, members: Any, amount: Floats, holds: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set, for any number of end points.

    The work grows with the members of a message and the bit sets they meet, not with all there are.

    Parameters
    ----------
    rows, members, amount, met
        As in `meet_narrow_sets`; members are [messages, words].
    holds
        The bit sets that hold each end point, as bit sets themselves, [64 words, words of sets].
    """
    hit = np.empty(holds.shape[1], np.uint64)
    for i in range(len(rows)):
        row = rows[i]
        share = amount[row]
        hit[:] = 0
        for word in range(members.shape[1]):
            left = members[row, word]
            while left != 0:
                bit = 64 * word + np.int64(lowest_bit(left))
                left &= left - np.uint64(1)
                for k in range(len(hit)):
                    hit[k] |= holds[bit, k]
        for k in range(len(hit)):
            left = hit[k]
            while left != 0:
                met[64 * k + np.int64(lowest_bit(left))] += share
                left &= left - np.uint64(1)


@njit(cache=True, nogil=True)
def sum_of_farthest(row: Ints, members: Any, amount: Floats, distance: Floats) -> float:
    """Return the sum over messages of bytes times the largest distance of a member.

    Parameters
    ----------
    row
        Row of ``distance`` of each message, [messages].
    members, amount
        As in `meet_wide_sets`.
    distance
        To each end point, [rows, endpoints].
    """
    total = 0.0
    for i in range(len(row)):
        farthest = 0.0
        for word in range(members.shape[1]):
            left = members[i, word]
            while left != 0:
                reach = distance[row[i], 64 * word + np.int64(lowest_bit(left))]
                left &= left - np.uint64(1)
                if reach > farthest:
                    farthest = reach
        total += amount[i] * farthest
    return total
