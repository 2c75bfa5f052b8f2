"""Cheapest way to serve groups under given prices, compiled by numba; see `collectives.prices.pricing`.

Relays copy nothing, so a tree of a group is a tree of its *closure*: the complete graph of its members, whose
arcs are shortest paths. An exchange takes shortest paths; spreading a cheapest out-arborescence; collecting
the same with the arcs reversed; an all-reduce the root with the cheapest pair of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit.collectives.prices.compiled_arborescence import cheapest_arborescence
from noptoolkit.collectives.prices.compiled_parties import least_of_any, spanning_tree

__all__ = ["BOTH", "COLLECT", "EXCHANGE", "SPREAD", "lay_all", "lay_group", "nearest_members", "path_arcs"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]
Bools = NDArray[np.bool_]

SPREAD, COLLECT, BOTH, EXCHANGE = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def nearest_members(
    start: Ints,
    heads: Ints,
    arcs: Ints,
    length: Floats,
    source: int,
    wanted: Ints,
    mark: int,
    left: int,
    distance: Floats,
    entered: Ints,
    heap: Ints,
    place: Ints,
) -> None:
    """Dijkstra from a source until ``left`` vertices of a mark are settled; fills the arc into each."""
    distance[:] = np.inf
    entered[:] = -1
    place[:] = -1
    distance[source] = 0.0
    heap[0] = source
    place[source] = 0
    size = 1
    while size > 0:
        u = heap[0]
        place[u] = -2
        size -= 1
        if wanted[u] == mark and u != source:
            left -= 1
            if left == 0:
                return
        if size > 0:
            last = heap[size]
            i = 0
            while True:
                child = 2 * i + 1
                if child >= size:
                    break
                if child + 1 < size and distance[heap[child + 1]] < distance[heap[child]]:
                    child += 1
                if distance[heap[child]] >= distance[last]:
                    break
                heap[i] = heap[child]
                place[heap[i]] = i
                i = child
            heap[i] = last
            place[last] = i
        for k in range(start[u], start[u + 1]):
            v = heads[k]
            reach = distance[u] + length[arcs[k]]
            if reach < distance[v]:
                distance[v] = reach
                entered[v] = arcs[k]
                i = place[v]
                if i < 0:
                    i = size
                    size += 1
                while i > 0 and distance[heap[(i - 1) // 2]] > reach:
                    heap[i] = heap[(i - 1) // 2]
                    place[heap[i]] = i
                    i = (i - 1) // 2
                heap[i] = v
                place[v] = i


@njit(cache=True, nogil=True)
def _bar(cost: Floats, ends: Bools, root: int, collects: bool, weight: Floats) -> None:
    """Fill the weights of all arcs; those where a member would forward that may not cost too much to use."""
    k, e = len(cost), 0
    high = (k + 1) * cost.max()
    if high == 0:
        high = 1.0
    for i in range(k):
        for j in range(k):
            if i != j:
                barred = (ends[j] and j != root) if collects else (ends[i] and i != root)
                weight[e] = high if barred else cost[i, j]
                e += 1


@njit(cache=True, nogil=True)
def lay_group(
    motion: int,
    shares: Floats,
    pairs: Floats,
    cost: Floats,
    ends: Bools,
    symmetric: bool,
    bounding: bool,
    hops: Ints,
    amounts: Floats,
) -> tuple[int, float, float]:
    """Lay the cheapest trees or pairs of one group in its closure.

    Parameters
    ----------
    motion
        `SPREAD`, `COLLECT`, `BOTH` or `EXCHANGE`.
    shares
        Bytes of each member; for `BOTH` the first entry is the size of the buffer, [members].
    pairs
        For `EXCHANGE`: bytes from each member to each, [members, members].
    cost
        Cost from each member to each, per byte, [members, members].
    ends
        Which members send nothing but what is their own, [members].
    symmetric
        Whether costs are; an all-reduce then takes a minimum spanning tree both ways.
    bounding
        Whether to work out what any schedule of an all-reduce must pay.
    hops, amounts
        Filled: commodity (root or sender; -1 - root for the in-trees of `BOTH`), from, to, and bytes, of
        each hop.

    Returns
    -------
    count, total, least
        Number of hops; their cost; and for `BOTH` what any schedule must pay (see `pricing`), else ``total``.
    """
    k = len(cost)
    count, total = 0, 0.0
    if motion == EXCHANGE:
        for i in range(k):
            for j in range(k):
                if pairs[i, j] > 0:
                    hops[count, 0], hops[count, 1], hops[count, 2] = i, i, j
                    amounts[count] = pairs[i, j]
                    total += pairs[i, j] * cost[i, j]
                    count += 1
        return count, total, total
    closed = ends.any()
    both_ways = symmetric and not closed
    if motion == BOTH and both_ways:
        near, best = np.empty(k, np.int64), np.empty(k)
        total = 2 * shares[0] * spanning_tree(cost, near, best)
        for v in range(k):
            if near[v] >= 0:
                hops[count, 0], hops[count, 1], hops[count, 2] = 0, near[v], v
                amounts[count] = shares[0]
                hops[count + 1, 0], hops[count + 1, 1], hops[count + 1, 2] = -1, v, near[v]
                amounts[count + 1] = shares[0]
                count += 2
        least = shares[0] * least_of_any(cost, both_ways) if bounding else 0.0
        return count, total, least
    tail, head, weight = (
        np.empty(k * (k - 1), np.int64),
        np.empty(k * (k - 1), np.int64),
        np.empty(k * (k - 1)),
    )
    e = 0
    for i in range(k):
        for j in range(k):
            if i != j:
                tail[e], head[e], weight[e] = i, j, cost[i, j]
                e += 1
    back = weight.copy()
    if motion == BOTH:
        chosen, cheapest, first = 0, np.inf, np.inf
        into = np.empty(k)
        for j in range(k):
            into[j] = np.inf
            for i in range(k):
                if i != j:
                    into[j] = min(into[j], cost[i, j])
        for r in range(k):
            if closed:
                _bar(cost, ends, r, False, weight)
                _bar(cost, ends, r, True, back)
            _, spread = cheapest_arborescence(k, r, tail, head, weight)
            _, collected = cheapest_arborescence(k, r, head, tail, back)
            first = min(first, collected + into.sum() - into[r])
            if spread + collected < cheapest:
                cheapest, chosen = spread + collected, r
        if closed:
            _bar(cost, ends, chosen, False, weight)
            _bar(cost, ends, chosen, True, back)
        spread_arcs, _ = cheapest_arborescence(k, chosen, tail, head, weight)
        collect_arcs, _ = cheapest_arborescence(k, chosen, head, tail, back)
        for v in range(k):
            if v != chosen:
                x, y = spread_arcs[v], collect_arcs[v]
                hops[count, 0], hops[count, 1], hops[count, 2] = chosen, tail[x], head[x]
                amounts[count] = shares[0]
                hops[count + 1, 0], hops[count + 1, 1], hops[count + 1, 2] = -1 - chosen, tail[y], head[y]
                amounts[count + 1] = shares[0]
                count += 2
        least = shares[0] * least_of_any(cost, both_ways) if bounding else 0.0
        if bounding and closed:
            least = max(least, shares[0] * first)
        return count, shares[0] * cheapest, least
    for r in range(k):
        if shares[r] <= 0:
            continue
        if closed:
            _bar(cost, ends, r, motion == COLLECT, weight)
        if motion == SPREAD:
            arcs, tree = cheapest_arborescence(k, r, tail, head, weight)
        else:
            arcs, tree = cheapest_arborescence(k, r, head, tail, weight)
        total += shares[r] * tree
        for v in range(k):
            if v != r:
                hops[count, 0], hops[count, 1], hops[count, 2] = r, tail[arcs[v]], head[arcs[v]]
                amounts[count] = shares[r]
                count += 1
    return count, total, total


@njit(cache=True, nogil=True)
def lay_all(
    start: Ints,
    heads: Ints,
    arcs: Ints,
    tail: Ints,
    length: Floats,
    group_start: Ints,
    origin: Ints,
    destination: Ints,
    ends: Bools,
    inject: Floats,
    eject: Floats,
    motion: Ints,
    shares: Floats,
    pair_start: Ints,
    pairs: Floats,
    symmetric: bool,
    bounding: bool,
    chosen: Ints,
    weights: Floats,
    load: Floats,
    sent: Floats,
    received: Floats,
) -> tuple[float, float]:
    """Serve some groups at the least cost; add their loads, return the cost and what any schedule pays.

    Parameters
    ----------
    start, heads, arcs
        Arcs out of each vertex, in rows.
    tail, length
        Of each arc, [arcs].
    group_start
        Where the members of each group begin, [groups + 1].
    origin, destination
        Vertex at which the data of each member starts and ends, [all members].
    ends
        Which members send nothing but what is their own, [all members].
    inject, eject
        Price of a byte that a member sends or receives, [all members].
    motion, pair_start
        Of each group, [groups].
    chosen, weights
        Groups to serve, and how often each counts, [chosen].
    load, sent, received
        Added to, [arcs] and [all members].
    """
    n = len(start) - 1
    distance, heap, place = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    wanted = np.full(n, -1, np.int64)
    cost_of_all, least_of_all = 0.0, 0.0
    for c in range(len(chosen)):
        g = chosen[c]
        low, k = group_start[g], group_start[g + 1] - group_start[g]
        for i in range(k):
            wanted[destination[low + i]] = g
        cost = np.zeros((k, k))
        entered = np.empty((k, n), np.int64)
        for i in range(k):
            if motion[g] == EXCHANGE:
                row = pair_start[g] + i * k
                if not (pairs[row : row + k] > 0).any():
                    continue
            nearest_members(
                start,
                heads,
                arcs,
                length,
                origin[low + i],
                wanted,
                g,
                k if ends[low + i] else k - 1,  # its own end is met on the way, too
                distance,
                entered[i],
                heap,
                place,
            )
            for j in range(k):
                if i != j:
                    cost[i, j] = distance[destination[low + j]] + inject[low + i] + eject[low + j]
        most = k * k + 1 if motion[g] != SPREAD and motion[g] != COLLECT else k * k
        hops, amounts = np.empty((max(most, 2 * k), 3), np.int64), np.empty(max(most, 2 * k))
        table = pairs[pair_start[g] : pair_start[g] + k * k] if motion[g] == EXCHANGE else pairs[:0]
        square = table.reshape(k, k) if motion[g] == EXCHANGE else np.zeros((0, 0))
        count, total, least = lay_group(
            motion[g],
            shares[low : low + k],
            square,
            cost,
            ends[low : low + k],
            symmetric,
            bounding,
            hops,
            amounts,
        )
        cost_of_all += weights[c] * total
        least_of_all += weights[c] * least
        for h in range(count):
            i, j = hops[h, 1], hops[h, 2]
            amount = amounts[h] * weights[c]
            sent[low + i] += amount
            received[low + j] += amount
            v = destination[low + j]
            while v != origin[low + i]:
                a = entered[i, v]
                load[a] += amount
                v = tail[a]
    return cost_of_all, least_of_all


@njit(cache=True, nogil=True)
def path_arcs(
    start: Ints, heads: Ints, arcs: Ints, tail: Ints, length: Floats, origins: Ints, destinations: Ints
) -> tuple[Floats, Ints, Ints]:
    """Return the distance between all members, and the arcs of the shortest paths, in rows of member pairs.

    Returns
    -------
    distance, row, path
        [members, members]; where the arcs from i to j begin, at i * members + j, [members ** 2 + 1]; arcs
        in order.
    """
    n, k = len(start) - 1, len(origins)
    reach, heap, place = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    entered = np.empty((k, n), np.int64)
    wanted = np.full(n, -1, np.int64)
    distance = np.zeros((k, k))
    for j in range(k):
        wanted[destinations[j]] = 0
    row = np.zeros(k * k + 1, np.int64)
    for i in range(k):
        most = k - 1 if origins[i] == destinations[i] else k  # its own end is met on the way, too
        nearest_members(
            start, heads, arcs, length, origins[i], wanted, 0, most, reach, entered[i], heap, place
        )
        for j in range(k):
            if i != j:
                distance[i, j] = reach[destinations[j]]
                v, hops = destinations[j], 0
                while v != origins[i] and entered[i, v] >= 0:
                    v = tail[entered[i, v]]
                    hops += 1
                row[i * k + j + 1] = hops
    for x in range(k * k):
        row[x + 1] += row[x]
    path = np.empty(row[k * k], np.int64)
    for i in range(k):
        for j in range(k):
            v, at = destinations[j], row[i * k + j + 1]
            while at > row[i * k + j]:
                at -= 1
                path[at] = entered[i, v]
                v = tail[entered[i, v]]
    return distance, row, path
