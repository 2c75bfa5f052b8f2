"""The dynamic program over subsets, compiled by numba; see `noptoolkit.flow.cheapest_trees`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["meet_narrow_sets", "meet_wide_sets", "steiner_costs", "steiner_loads", "steiner_roots"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


def _lowest_bit(context: Any, word: Any) -> Any:
    def count_trailing_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.uint64(types.uint64), count_trailing_zeros


lowest_bit: Any = intrinsic(_lowest_bit)  # its place in a word that is not 0, by one instruction


@njit(cache=True, nogil=True)
def steiner_costs(
    masks: Ints, place: Ints, distance: Floats, helps: Any, at: Ints, cost: Floats, via: Ints, split: Ints
) -> None:
    """Fill the cost of reaching every set of end points from one copy at every vertex (Dreyfus and Wagner).

    Parameters
    ----------
    masks
        The sets as bits, ascending, with every subset of each, [sets].
    place
        Row of each set, [2 ** bits].
    distance
        Between vertices, [vertices, vertices].
    helps
        Vertices at which one copy can become two, [vertices].
    at
        Vertex of each bit, [bits].
    cost, via
        Filled: from each vertex, and the vertex where it first splits or ends, [sets, vertices].
    split
        Filled: the part of the set that goes one way there, [sets, vertices].
    """
    vertices = len(distance)
    merged = np.empty(vertices)
    for row in range(len(masks)):
        mask = masks[row]
        merged[:] = np.inf
        low = mask & -mask
        if mask == low:
            bit = 0
            while (1 << bit) != mask:
                bit += 1
            merged[at[bit]] = 0.0
            split[row, at[bit]] = mask
        else:
            rest = mask ^ low
            part = (rest - 1) & rest
            while True:  # every part that holds the lowest member, and its complement
                one = place[part | low]
                other = place[mask ^ (part | low)]
                for v in range(vertices):
                    if helps[v]:
                        total = cost[one, v] + cost[other, v]
                        if total < merged[v]:
                            merged[v] = total
                            split[row, v] = part | low
                if part == 0:
                    break
                part = (part - 1) & rest
        for u in range(vertices):
            best = np.inf
            where = 0
            for v in range(vertices):
                total = distance[u, v] + merged[v]
                if total < best:
                    best = total
                    where = v
            cost[row, u] = best
            via[row, u] = where


@njit(cache=True, nogil=True)
def steiner_roots(
    masks: Ints,
    place: Ints,
    cost: Floats,
    root: int,
    alone: bool,
    per_copy: float,
    total: Floats,
    first: Ints,
) -> None:
    """Fill the cost of every set from a root, and the part that its first copy serves.

    A root that is ``alone`` cannot split a copy, but may send several.
    """
    for row in range(len(masks)):
        mask = masks[row]
        total[row] = cost[row, root] + per_copy
        first[row] = mask
        if not alone:
            continue
        low = mask & -mask
        rest = mask ^ low
        part = rest
        while part > 0:
            part = (part - 1) & rest
            now = cost[place[part | low], root] + per_copy + total[place[mask ^ (part | low)]]
            if now < total[row]:
                total[row] = now
                first[row] = part | low


@njit(cache=True, nogil=True)
def steiner_loads(
    masks: Ints, place: Ints, via: Ints, split: Ints, first: Ints, root: int, owed: Floats, carried: Floats
) -> float:
    """Add what trees from a root carry between vertices, [vertices, vertices]; return the copies it sends.

    ``owed`` is the weight of each set, [sets].
    """
    waiting = np.zeros(via.shape)
    left = owed.copy()
    copies = 0.0
    for row in range(len(masks) - 1, -1, -1):
        mask = masks[row]
        if left[row] > 0:
            part = first[row]
            copies += left[row]
            waiting[place[part], root] += left[row]
            if part != mask:
                left[place[mask ^ part]] += left[row]
    for row in range(len(masks) - 1, -1, -1):
        mask = masks[row]
        for u in range(via.shape[1]):
            weight = waiting[row, u]
            if weight > 0:
                v = via[row, u]
                carried[u, v] += weight
                part = split[row, v]
                if part != mask:
                    waiting[place[part], v] += weight
                    waiting[place[mask ^ part], v] += weight
    return copies


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
