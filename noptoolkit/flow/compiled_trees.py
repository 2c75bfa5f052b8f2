"""The dynamic program over subsets, compiled by numba; see `noptoolkit.flow.cheapest_trees`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["bytes_that_meet", "steiner_costs", "steiner_loads", "steiner_roots"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


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


@njit(cache=True, nogil=True)
def bytes_that_meet(rows: Ints, members: Any, amount: Floats, masks: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set; ``masks`` is [words, groups]."""
    words, groups = masks.shape
    hit = np.empty(groups, np.uint64)
    for i in range(len(rows)):
        row = rows[i]
        share = amount[row]
        first = members[row, 0]
        for g in range(groups):
            hit[g] = first & masks[0, g]
        for word in range(1, words):
            more = members[row, word]
            for g in range(groups):
                hit[g] |= more & masks[word, g]
        for g in range(groups):
            met[g] += share if hit[g] != 0 else 0.0
