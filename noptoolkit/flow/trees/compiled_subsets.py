"""The dynamic program over subsets on one set after another, compiled by numba; see `cheapest`.

What made a cost is not kept: it is found again where a tree goes, as the sum that gives the very same number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats

__all__ = ["cheapest_ways"]

Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def subset_costs(ends: Ints, onto: Floats, helpers: Ints, cost: Floats, merged: Floats) -> None:
    """Fill the cost of reaching every part of a set from one copy at every vertex (Dreyfus and Wagner).

    Parameters
    ----------
    ends
        Vertices of the members; a part of them is a number, bit by bit, [members].
    onto
        Distance onto each vertex (row) from every other (column), [vertices, vertices].
    helpers
        Vertices at which one copy can become two.
    cost
        Output: cost from each vertex, [parts, vertices].
    merged
        Output: cost from each vertex if the copy splits there, [parts, vertices].
    """
    for i in range(len(ends)):
        cost[1 << i] = onto[ends[i]]
    for part in range(1, 1 << len(ends)):
        low = part & -part
        rest = part ^ low
        if rest == 0:
            continue
        split = merged[part]
        split[:] = np.inf
        half = rest
        while half != 0:  # every half that holds the lowest member, and its complement
            half = (half - 1) & rest
            one, other = cost[half | low], cost[rest ^ half]
            for v in range(len(onto)):
                total = one[v] + other[v]
                split[v] = total if total < split[v] else split[v]
        best = cost[part]
        best[:] = np.inf
        for v in helpers:
            here = split[v]
            if here < best[v]:  # else it is as cheap to split where the copy came by before
                row = onto[v]
                for u in range(len(onto)):
                    total = row[u] + here
                    best[u] = total if total < best[u] else best[u]


@njit(cache=True, nogil=True)
def cheapest_ways(
    first_end: Ints,
    ends: Ints,
    first_message: Ints,
    root: Ints,
    wanted: Ints,
    amount: Floats,
    alone: Any,
    per_copy: Floats,
    distance: Floats,
    helps: Any,
    tail: Ints,
    by: Ints,
    between: Floats,
    copies: Ints,
    begins: Ints,
    keep: bool,
) -> tuple[float, Any]:
    """Find the cheapest tree of each message; return what all cost, and the arcs of each where to be kept.

    Parameters
    ----------
    first_end, ends
        Vertices of the members of each set: those of set i are ends[first_end[i] .. first_end[i + 1]].
    first_message
        The messages of each set, likewise, [sets + 1].
    root, wanted, amount
        Vertex where each starts, its members as a part of its set, its bytes, [messages].
    alone, per_copy
        Whether its root cannot split a copy, but may send several; the price of each of those, [messages].
    distance, helps
        Distances between vertices, [vertices, vertices]; whether a vertex can split a copy, [vertices].
    tail, by
        Tail of each arc; the arc by which each vertex (column) is reached from each other (row).
    between
        Bytes from each vertex to each other along shortest paths, added to, [vertices, vertices].
    copies
        Output: number of copies that the root sends, [messages].
    begins
        Output if ``keep``: index at which the arcs of each message begin, [messages + 1].
    """
    # Why the trees are cheapest (Dreyfus and Wagner, 1971): a cheapest tree from u for a part of the set is a
    # shortest path to the first vertex v where the copy splits, and from v two cheapest trees for two halves
    # of the part; `subset_costs` takes the least over all v that can split and over all halves, from small
    # parts to large. Messages to one set share that table: its cost depends on the set, not on the root.
    # Why no path is stored: `via` and `split` are found when first needed by looking for the sum that gives
    # exactly the stored number. The same float64 operations on the same numbers give the same bits, so the
    # comparison with == finds it; tables of choices would take as much memory as the costs.
    vertices = len(distance)
    onto, helpers = np.ascontiguousarray(distance.T), np.flatnonzero(helps)
    most = 0
    for i in range(len(first_end) - 1):
        most = max(most, first_end[i + 1] - first_end[i])
    parts = 1 << most
    cost, merged = np.empty((parts, vertices)), np.empty((parts, vertices))
    via, split = np.empty((parts, vertices), np.int32), np.empty((parts, vertices), np.int32)
    total, first = np.empty(parts), np.empty(parts, np.int64)
    waiting, starts = np.empty(2 * most + 2, np.int64), np.empty(2 * most + 2, np.int64)
    arcs = np.empty(1024, np.int32)
    filled = 0
    bound = 0.0
    for i in range(len(first_end) - 1):
        members = ends[first_end[i] : first_end[i + 1]]
        subset_costs(members, onto, helpers, cost, merged)
        via[: 1 << len(members)] = -1
        split[: 1 << len(members)] = -1
        for message in range(first_message[i], first_message[i + 1]):
            start, left = root[message], wanted[message]
            begins[message] = filled
            copies[message] = 0
            if alone[message]:
                send_apart(left, cost, start, per_copy[message], total, first)
                bound += amount[message] * total[left]
            else:
                first[left] = left
                bound += amount[message] * (cost[left, start] + per_copy[message])
            while left != 0:  # one turn for each copy that the root sends
                copies[message] += 1
                waiting[0], starts[0] = first[left], start
                left ^= first[left]
                depth = 1
                while depth > 0:  # depth first; a part of k members splits k - 1 times: the stack suffices
                    depth -= 1
                    part, here = waiting[depth], starts[depth]
                    if via[part, here] < 0:
                        via[part, here] = way_on(part, here, members, cost, merged, distance, helps)
                    stop = via[part, here]
                    between[here, stop] += amount[message]
                    back = stop
                    while keep and back != here:
                        if filled == len(arcs):
                            longer = np.empty(2 * filled, np.int32)
                            longer[:filled] = arcs
                            arcs = longer
                        arcs[filled] = by[here, back]
                        back = tail[arcs[filled]]
                        filled += 1
                    if part & (part - 1) == 0:
                        continue
                    if split[part, stop] < 0:
                        split[part, stop] = first_half(part, stop, cost, merged)
                    half = split[part, stop]
                    waiting[depth], starts[depth] = half, stop
                    waiting[depth + 1], starts[depth + 1] = part ^ half, stop
                    depth += 2
    begins[len(root)] = filled
    return bound, arcs[:filled]


@njit(cache=True, nogil=True)
def send_apart(wanted: int, cost: Floats, root: int, per_copy: float, total: Floats, first: Ints) -> None:
    """Fill the least cost in several copies of every part of what is wanted, and what the first serves."""
    part = 0
    while part != wanted:
        part = (part - wanted) & wanted  # the next larger part of what is wanted
        total[part], first[part] = cost[part, root] + per_copy, part
        low = part & -part
        rest = part ^ low
        half = rest
        while half != 0:
            half = (half - 1) & rest
            now = cost[half | low, root] + per_copy + total[rest ^ half]
            if now < total[part]:
                total[part], first[part] = now, half | low


@njit(cache=True, nogil=True)
def way_on(
    part: int, here: int, members: Ints, cost: Floats, merged: Floats, distance: Floats, helps: Any
) -> int:
    """Return the vertex where a copy for a part of a set first splits, or ends: what made its cost."""
    if part & (part - 1) == 0:
        bit = 0
        while part >> bit != 1:
            bit += 1
        return int(members[bit])
    if merged[part, here] == cost[part, here] and helps[here]:
        return here
    for v in range(len(distance)):
        if distance[here, v] + merged[part, v] == cost[part, here] and helps[v]:
            return v
    return -1


@njit(cache=True, nogil=True)
def first_half(part: int, here: int, cost: Floats, merged: Floats) -> int:
    """Return the half of a part that goes one way from where a copy splits: what made its cost."""
    low = part & -part
    rest = part ^ low
    half = rest
    while half != 0:
        half = (half - 1) & rest
        if cost[half | low, here] + cost[rest ^ half, here] == merged[part, here]:
            break
    return half | low
