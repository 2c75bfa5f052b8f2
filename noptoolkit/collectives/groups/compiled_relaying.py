"""Trees laid and re-laid against soft lengths, compiled by numba; see `collectives.groups.relaying`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit.collectives.prices.compiled_arborescence import cheapest_arborescence
from noptoolkit.collectives.prices.compiled_pricing import EXCHANGE, lay_group, nearest_members

__all__ = ["grow_order", "relay_groups", "relay_spreading"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]

STEEPEST = 4.0  # relative load beyond which lengths grow no more


@njit(cache=True, nogil=True)
def relay_spreading(
    n: int,
    tail: Ints,
    head: Ints,
    capacity: Floats,
    roots: Ints,
    amounts: Floats,
    copies: int,
    target: float,
    goal: float,
    sweeps: int,
    power: float,
    noise: Floats,
) -> tuple[Ints, float]:
    """Lay ``copies`` trees at each root over all vertices, each the cheapest against the load of the others.

    Parameters
    ----------
    amounts
        Bytes that start at each root, [roots].
    target, goal
        Stop when the largest load / capacity is at most ``target * (1 + goal)``.
    power
        Lengths are (relative load) ** power / capacity.
    noise
        Numbers in [0, 1) that part equal lengths, [any number].

    Returns
    -------
    into, time
        Arc into each vertex, [copies, roots, n]; largest load / capacity.
    """
    m = len(tail)
    into = np.full((copies, len(roots), n), -1, np.int64)
    best = into.copy()
    load = np.zeros(m)
    length = np.empty(m)
    time = np.inf
    shift = 0
    for sweep in range(sweeps):
        for i in range(len(roots)):
            share = amounts[i] / copies
            filled = 1.0 if sweep > 0 else (i + 1.0) / len(roots)
            for c in range(copies):
                if sweep > 0:
                    for v in range(n):
                        if into[c, i, v] >= 0:
                            load[into[c, i, v]] -= share
                shift += 7919
                for e in range(m):
                    relative = (load[e] + share) / capacity[e] / (target * filled + share / capacity[e])
                    if sweep > 0:
                        relative = (load[e] + share) / capacity[e] / target
                    soft = min(relative, STEEPEST) ** power
                    length[e] = (soft + 1e-12 + 1e-6 * noise[(e + shift) % len(noise)]) / capacity[e]
                arcs, _ = cheapest_arborescence(n, roots[i], tail, head, length)
                into[c, i] = arcs
                for v in range(n):
                    if arcs[v] >= 0:
                        load[arcs[v]] += share
        worst = (load / capacity).max()
        if worst < time:
            time = worst
            best[:] = into
        if time <= target * (1 + goal):
            break
    return best, time


@njit(cache=True, nogil=True)
def grow_order(n: int, root: int, into: Ints, tail: Ints, order: Ints) -> None:
    """Write the arcs of an out-tree in an order in which they can be used."""
    first = np.full(n, -1, np.int64)
    following = np.full(n, -1, np.int64)
    for v in range(n - 1, -1, -1):
        if into[v] >= 0:
            u = tail[into[v]]
            following[v] = first[u]
            first[u] = v
    queue = np.empty(n, np.int64)
    queue[0] = root
    low, high, size = 0, 1, 0
    while low < high:
        v = first[queue[low]]
        low += 1
        while v >= 0:
            order[size] = into[v]
            size += 1
            queue[high] = v
            high += 1
            v = following[v]


@njit(cache=True, nogil=True)
def relay_groups(
    start: Ints,
    heads: Ints,
    arcs: Ints,
    tail: Ints,
    use_start: Ints,
    uses: Ints,
    capacity: Floats,
    inject: Ints,
    eject: Ints,
    partner: Ints,
    group_start: Ints,
    origin: Ints,
    destination: Ints,
    ends: NDArray[np.bool_],
    motion: Ints,
    shares: Floats,
    pair_start: Ints,
    pairs: Floats,
    copies: int,
    target: float,
    goal: float,
    sweeps: int,
    power: float,
    deadline_work: int,
) -> tuple[Ints, Ints, Ints, float]:
    """Lay ``copies`` of every group's trees; lay each again around the load of the rest.

    Parameters
    ----------
    start, heads, arcs, tail
        Arcs out of each vertex, in rows; tail of each arc.
    use_start, uses
        Resources that each arc uses, in rows.
    inject, eject
        Resource of what each member sends and receives, -1 for none, [all members].
    partner
        Arc back of each arc, or empty where both directions have lengths of their own.
    deadline_work
        Trees to lay at most.

    Returns
    -------
    hops, path_start, path, time
        Rows of group, copy, commodity, from, to; where the arcs of each hop begin; the arcs; the largest
        use / capacity.
    """
    n, m, groups = len(start) - 1, len(tail), len(motion)
    load, price = np.zeros(len(capacity)), np.zeros(len(capacity))
    length = np.zeros(m)
    distance, heap, place = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    wanted = np.full(n, -1, np.int64)
    old_hops, old_start, old_path = np.empty((0, 5), np.int64), np.zeros(1, np.int64), np.empty(0, np.int64)
    old_amount = np.empty(0)
    best_hops, best_start, best_path, time = old_hops, old_start, old_path, np.inf
    parts = 0  # what is laid at a time: a group, or one sender of an exchange
    for g in range(groups):
        parts += group_start[g + 1] - group_start[g] if motion[g] == EXCHANGE else 1
    part_group, part_sender = np.empty(parts, np.int64), np.full(parts, -1, np.int64)
    part = 0
    for g in range(groups):
        for i in range(group_start[g + 1] - group_start[g] if motion[g] == EXCHANGE else 1):
            part_group[part] = g
            part_sender[part] = i if motion[g] == EXCHANGE else -1
            part += 1
    none = np.zeros((0, 0))
    laid = 0
    for sweep in range(sweeps):
        steep = min(power, 8.0 * 2.0**sweep)  # far from the target a small power is quicker
        hops, hop_count = np.empty((1024, 5), np.int64), 0
        amount_of = np.empty(1024)
        begin = np.zeros(1025, np.int64)
        path, path_count = np.empty(4096, np.int64), 0
        reading = 0
        for c in range(copies):
            for part in range(parts):
                g, sender = part_group[part], part_sender[part]
                low, k = group_start[g], group_start[g + 1] - group_start[g]
                filled = 1.0 if sweep > 0 else (c * parts + part + 1.0) / (copies * parts)
                while (
                    reading < len(old_hops)
                    and old_hops[reading, 0] == g
                    and old_hops[reading, 1] == c
                    and (sender < 0 or old_hops[reading, 2] == sender)
                ):  # take the old trees out
                    amount = old_amount[reading]
                    for x in range(old_start[reading], old_start[reading + 1]):
                        a = old_path[x]
                        for y in range(use_start[a], use_start[a + 1]):
                            load[uses[y]] -= amount
                    i, j = old_hops[reading, 3], old_hops[reading, 4]
                    if inject[low + i] >= 0:
                        load[inject[low + i]] -= amount
                    if eject[low + j] >= 0:
                        load[eject[low + j]] -= amount
                    reading += 1
                for r in range(len(capacity)):
                    relative = max(load[r], 0.0) / capacity[r] / (target * filled)
                    price[r] = (min(relative + 1e-3, STEEPEST) ** steep + 1e-9) / capacity[r]
                for a in range(m):
                    length[a] = 0.0
                    for y in range(use_start[a], use_start[a + 1]):
                        length[a] += price[uses[y]]
                if len(partner):
                    for a in range(m):
                        if a < partner[a]:
                            both = 0.5 * (length[a] + length[partner[a]])
                            length[a] = both
                            length[partner[a]] = both
                for i in range(k):
                    wanted[destination[low + i]] = g
                cost = np.zeros((k, k))
                entered = np.empty((k, n), np.int64)
                for i in range(k):
                    if sender >= 0 and i != sender:
                        continue
                    nearest_members(
                        start,
                        heads,
                        arcs,
                        length,
                        origin[low + i],
                        wanted,
                        g,
                        k if ends[low + i] else k - 1,
                        distance,
                        entered[i],
                        heap,
                        place,
                    )
                    for j in range(k):
                        if i != j:
                            cost[i, j] = distance[destination[low + j]]
                            if inject[low + i] >= 0:
                                cost[i, j] += price[inject[low + i]]
                            if eject[low + j] >= 0:
                                cost[i, j] += price[eject[low + j]]
                new, amounts = np.empty((max(k * k, 2 * k), 3), np.int64), np.empty(max(k * k, 2 * k))
                count = 0
                if sender >= 0:
                    row = pair_start[g] + sender * k
                    for j in range(k):
                        if pairs[row + j] > 0:
                            new[count, 0], new[count, 1], new[count, 2] = sender, sender, j
                            amounts[count] = pairs[row + j]
                            count += 1
                else:
                    count, _, _ = lay_group(
                        motion[g],
                        shares[low : low + k],
                        none,
                        cost,
                        ends[low : low + k],
                        len(partner) > 0,
                        False,
                        new,
                        amounts,
                    )
                laid += 1
                for h in range(count):
                    i, j = new[h, 1], new[h, 2]
                    if hop_count == len(hops):
                        wider = np.empty((2 * hop_count, 5), np.int64)
                        wider[:hop_count] = hops
                        hops = wider
                        longer = np.empty(2 * hop_count)
                        longer[:hop_count] = amount_of
                        amount_of = longer
                        starts = np.zeros(2 * hop_count + 1, np.int64)
                        starts[: hop_count + 1] = begin[: hop_count + 1]
                        begin = starts
                    hops[hop_count, 0], hops[hop_count, 1], hops[hop_count, 2] = g, c, new[h, 0]
                    hops[hop_count, 3], hops[hop_count, 4] = i, j
                    amount = amounts[h] / copies
                    amount_of[hop_count] = amount
                    if inject[low + i] >= 0:
                        load[inject[low + i]] += amount
                    if eject[low + j] >= 0:
                        load[eject[low + j]] += amount
                    first = path_count
                    v = destination[low + j]
                    while v != origin[low + i]:
                        a = entered[i, v]
                        if path_count == len(path):
                            longer_path = np.empty(2 * path_count, np.int64)
                            longer_path[:path_count] = path
                            path = longer_path
                        path[path_count] = a
                        path_count += 1
                        for y in range(use_start[a], use_start[a + 1]):
                            load[uses[y]] += amount
                        v = tail[a]
                    path[first:path_count] = path[first:path_count][::-1].copy()
                    hop_count += 1
                    begin[hop_count] = path_count
        old_hops, old_start, old_path = hops[:hop_count], begin[: hop_count + 1], path[:path_count]
        old_amount = amount_of[:hop_count]
        worst = 0.0
        for r in range(len(capacity)):
            worst = max(worst, load[r] / capacity[r])
        if worst < time:
            time = worst
            best_hops, best_start, best_path = old_hops, old_start, old_path
        if time <= target * (1 + goal) or laid > deadline_work:
            break
    return best_hops, best_start, best_path, time
