"""The inner loops of the flow solvers, compiled by numba; imported only by the solvers of large problems.

All release the interpreter's lock, so that callers can run a range of commodities in each of a few
threads. Commodities come in blocks of ``LANES``: in an array [blocks, arcs, LANES] neighbours in memory
are the same arc of different commodities, which lets the compiler use vector instructions although arcs
join arbitrary vertices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "LANES",
    "certify",
    "dijkstra",
    "greedy_paths",
    "halpern_step",
    "spread_equally",
    "steiner_costs",
    "steiner_loads",
    "steiner_roots",
    "trace_paths",
]

LANES = 64  # of 8 to 256, the fastest at 1,000 vertices: their prices just fit a core's cache

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def dijkstra(
    source: int,
    target: int,
    first: Ints,
    head: Ints,
    length: Floats,
    distance: Floats,
    parent: Ints,
    order: Ints,
    keys: Floats,
    heap: Ints,
    place: Ints,
) -> int:
    """Fill distances, the arc into each vertex and the settled vertices in order; return their number.

    A binary heap with decrease-key; ``place`` is -1 before a vertex is seen and -2 once it is settled.
    Stops at ``target`` (-1: never).
    """
    for v in range(len(first) - 1):
        distance[v] = np.inf
        place[v] = -1
        parent[v] = -1
    distance[source] = 0.0
    heap[0] = source
    keys[0] = 0.0
    place[source] = 0
    size = 1
    settled = 0
    while size > 0:
        u = heap[0]
        order[settled] = u
        settled += 1
        place[u] = -2
        if u == target:
            break
        size -= 1
        if size > 0:
            v = heap[size]
            key = keys[size]
            i = 0
            while True:
                child = 2 * i + 1
                if child >= size:
                    break
                if child + 1 < size and keys[child + 1] < keys[child]:
                    child += 1
                if keys[child] >= key:
                    break
                keys[i] = keys[child]
                heap[i] = heap[child]
                place[heap[i]] = i
                i = child
            keys[i] = key
            heap[i] = v
            place[v] = i
        for a in range(first[u], first[u + 1]):
            v = head[a]
            d = distance[u] + length[a]
            if place[v] == -2 or d >= distance[v]:
                continue
            distance[v] = d
            parent[v] = a
            i = place[v]
            if i < 0:
                i = size
                size += 1
            while i > 0:
                up = (i - 1) >> 1
                if keys[up] <= d:
                    break
                keys[i] = keys[up]
                heap[i] = heap[up]
                place[heap[i]] = i
                i = up
            keys[i] = d
            heap[i] = v
            place[v] = i
    return settled


@njit(cache=True, nogil=True)
def certify(
    begin: int,
    end: int,
    first: Ints,
    tail: Ints,
    head: Ints,
    length: Floats,
    demand: Floats,
    ends: Ints,
    flow: Singles,
    load: Floats,
    distances: Singles,
    repaired: Floats,
) -> float:
    """Add the loads of the repaired flows of some commodities; return their demand times distance.

    The repair is that of `noptoolkit.flow.certificate.repair`. ``distances`` [blocks, vertices, LANES] and
    ``repaired`` [commodities, arcs] are filled where they are not empty.
    """
    vertices = len(first) - 1
    arcs = len(head)
    distance = np.empty(vertices)
    parent = np.empty(vertices, np.int64)
    order = np.empty(vertices, np.int64)
    keys = np.empty(vertices)
    heap = np.empty(vertices, np.int64)
    place = np.empty(vertices, np.int64)
    need = np.empty(vertices)
    cost = 0.0
    for q in range(begin, end):
        b, lane = q // LANES, q % LANES
        settled = dijkstra(ends[q], -1, first, head, length, distance, parent, order, keys, heap, place)
        for v in range(vertices):
            need[v] = demand[q, v]
            if need[v] > 0:
                cost += need[v] * distance[v]
        if len(distances) > 0:
            farthest = distance[order[settled - 1]]
            for v in range(vertices):
                distances[b, v, lane] = min(distance[v], farthest)
        for a in range(arcs):
            x = np.float64(flow[b, a, lane])
            if x > 0 and distance[tail[a]] < np.inf:  # what no path feeds (a memory stack) feeds nobody
                need[head[a]] -= x
                need[tail[a]] += x
                load[a] += x
                if len(repaired) > 0:
                    repaired[q, a] = x
        for i in range(settled - 1, 0, -1):
            v = order[i]
            if need[v] > 0:
                a = parent[v]
                load[a] += need[v]
                need[tail[a]] += need[v]
                if len(repaired) > 0:
                    repaired[q, a] += need[v]
    return cost


@njit(cache=True, nogil=True)
def spread_equally(
    begin: int,
    end: int,
    first: Ints,
    tail: Ints,
    head: Ints,
    width: Floats,
    demand: Floats,
    ends: Ints,
    flow: Any,
    scale: Any,
) -> None:
    """Write a flow of some commodities, and the scale that their flow has on each arc where it is not empty.

    The flow [blocks, arcs, lanes] splits, hop by hop, over minimum-hop paths in proportion to ``width``.
    What passes an arc that starts h hops from the commodity's end is, on average, what is owed beyond,
    over the arcs there; its scale is the root of that share.
    """
    vertices = len(first) - 1
    queue = np.empty(vertices, np.int64)
    hops = np.empty(vertices, np.int64)
    fathers = np.empty(vertices)
    lanes = flow.shape[2]
    beyond = np.empty(vertices + 1)
    count = np.empty(vertices)
    need = np.empty(vertices)
    for q in range(begin, end):
        b, lane = q // lanes, q % lanes
        hops[:] = -1
        beyond[:] = 0
        count[:] = 0
        fathers[:] = 0
        need[:] = demand[q]
        queue[0] = ends[q]
        hops[ends[q]] = 0
        seen = 1
        i = 0
        while i < seen:
            u = queue[i]
            i += 1
            for a in range(first[u], first[u + 1]):
                v = head[a]
                if hops[v] < 0:
                    hops[v] = hops[u] + 1
                    queue[seen] = v
                    seen += 1
                if hops[v] == hops[u] + 1:
                    fathers[v] += width[a]
        for i in range(seen - 1, -1, -1):
            u = queue[i]
            for a in range(first[u], first[u + 1]):
                v = head[a]
                if hops[v] == hops[u] + 1:
                    share = need[v] * width[a] / fathers[v]
                    flow[b, a, lane] = share
                    need[u] += share
            beyond[hops[u]] += demand[q, u]
            count[hops[u]] += first[u + 1] - first[u]
        if len(scale) == 0:
            continue
        last = hops[queue[seen - 1]]
        for h in range(last - 1, -1, -1):
            beyond[h] += beyond[h + 1]
        total = beyond[0]
        largest = 0.0
        for h in range(last + 1):
            beyond[h] = max(beyond[h + 1] / max(count[h], 1.0), 1e-4 * total)
            largest = max(largest, beyond[h])
        for a in range(len(head)):
            h = hops[tail[a]]
            scale[b, a, lane] = total * np.sqrt((beyond[h] if h >= 0 else 0.0) / largest + 1e-4)


@njit(cache=True, fastmath=True, nogil=True)
def halpern_step(
    begin: int,
    end: int,
    tail: Ints,
    head: Ints,
    length: Singles,
    flow: Singles,
    price: Singles,
    demand: Singles,
    ends: Ints,
    scale: Singles,
    inverse_spread: Singles,
    omega: float,
    flow0: Singles,
    price0: Singles,
    weight: float,
    load: Singles,
) -> float:
    """Move some blocks by z <- w (2 T(z) - z) + (1 - w) z0, with T the primal-dual map; return the residual.

    The step is ``scale / (3 omega)`` on flows [blocks, arcs, LANES] and ``omega * inverse_spread`` on
    prices [blocks, vertices, LANES], with spread the sum of ``scale`` over the arcs of a vertex. ``load``
    gains the extrapolated arc loads 2 T(x) - x, for the caller's step on the resources' prices.
    """
    vertices = price.shape[1]
    excess = np.empty((vertices, LANES), np.float32)
    ahead = np.empty(LANES, np.float32)
    slope = np.empty(LANES, np.float32)
    moved = np.empty(LANES, np.float32)
    w = np.float32(weight)
    w0 = np.float32(1) - w
    zero, two = np.float32(0), np.float32(2)
    third, omega32 = np.float32(1 / (3 * omega)), np.float32(omega)
    residual = 0.0
    for b in range(begin, end):
        x, x0, p, p0 = flow[b], flow0[b], price[b], price0[b]
        s, r, d = scale[b], inverse_spread[b], demand[b]
        excess[:] = 0
        moved[:] = 0
        for a in range(len(tail)):
            u, v, cost = tail[a], head[a], length[a]
            xa, xa0, pu, pv, sa = x[a], x0[a], p[u], p[v], s[a]
            into, out_of = excess[v], excess[u]
            total = zero
            for j in range(LANES):  # short loops over few arrays: the compiler must prove them apart
                slope[j] = cost + pu[j] - pv[j]
            for j in range(LANES):
                step = max(-third * sa[j] * slope[j], -xa[j])
                moved[j] -= step * slope[j]
                slope[j] = step
            for j in range(LANES):
                ahead[j] = xa[j] + two * slope[j]
                total += ahead[j]
            for j in range(LANES):
                xa[j] = w * ahead[j] + w0 * xa0[j]
            load[a] += total
            for j in range(LANES):
                into[j] += ahead[j]
            for j in range(LANES):
                out_of[j] -= ahead[j]
        for j in range(LANES):
            if ends[b, j] >= 0:
                excess[ends[b, j], j] = d[ends[b, j], j]
        for v in range(vertices):
            for j in range(LANES):
                lack = d[v, j] - excess[v, j]
                step = omega32 * r[v, j] * lack
                moved[j] += step * lack
                p[v, j] = w * (p[v, j] + two * step) + w0 * p0[v, j]
        for j in range(LANES):
            residual += moved[j]
    return residual


@njit(cache=True, nogil=True)
def greedy_paths(
    first: Ints,
    tail: Ints,
    head: Ints,
    capacity: Floats,
    base: Floats,
    resource_first: Ints,
    resource: Ints,
    source: Ints,
    target: Ints,
    amount: Floats,
    steep: float,
    paths: Ints,
    hops: Ints,
    mean_price: Floats,
) -> None:
    """Route an equal part of each pair in turn, round after round, on prices exponential in congestion.

    ``paths`` [rounds, pairs, vertices] and ``hops`` [rounds, pairs] are filled; ``mean_price`` gains the
    prices of the later rounds. Resource r of arc a is among ``resource[resource_first[a]:resource_first[a
    + 1]]``.
    """
    vertices = len(first) - 1
    arcs = len(head)
    rounds = len(paths)
    use = base / rounds
    price = 1 / capacity
    length = np.empty(arcs)
    distance = np.empty(vertices)
    parent = np.empty(vertices, np.int64)
    order = np.empty(vertices, np.int64)
    keys = np.empty(vertices)
    heap = np.empty(vertices, np.int64)
    place = np.empty(vertices, np.int64)
    peak = 0.0
    for turn in range(rounds):
        if turn > 0:
            use += base / rounds
        for a in range(arcs):
            length[a] = 0.0
            for i in range(resource_first[a], resource_first[a + 1]):
                length[a] += price[resource[i]]
        for k in range(len(source)):
            dijkstra(source[k], target[k], first, head, length, distance, parent, order, keys, heap, place)
            v = target[k]
            while v != source[k]:
                a = parent[v]
                paths[turn, k, hops[turn, k]] = a
                hops[turn, k] += 1
                v = tail[a]
                for i in range(resource_first[a], resource_first[a + 1]):
                    r = resource[i]
                    use[r] += amount[k] / rounds
                    ratio = use[r] * rounds / capacity[r]
                    if turn == 0:
                        price[r] = (1 + ratio) / capacity[r]
                    else:
                        price[r] = np.exp(steep * (ratio / peak - 1)) / capacity[r]
                length[a] = 0.0
                for i in range(resource_first[a], resource_first[a + 1]):
                    length[a] += price[resource[i]]
        peak = (use / capacity).max() * rounds * (turn + 2) / (turn + 1)
        price = np.exp(steep * (use * rounds / capacity / peak - 1)) / capacity
        if 3 * turn >= rounds:
            mean_price += price / (capacity * price).sum()


@njit(cache=True, nogil=True)
def trace_paths(
    begin: int,
    end: int,
    first: Ints,
    tail: Ints,
    head: Ints,
    length: Floats,
    source: Ints,
    target: Ints,
    paths: Ints,
    hops: Ints,
    distances: Floats,
) -> None:
    """Fill the shortest path of some pairs, its arcs from the target back, and its length."""
    vertices = len(first) - 1
    distance = np.empty(vertices)
    parent = np.empty(vertices, np.int64)
    order = np.empty(vertices, np.int64)
    keys = np.empty(vertices)
    heap = np.empty(vertices, np.int64)
    place = np.empty(vertices, np.int64)
    for k in range(begin, end):
        dijkstra(source[k], target[k], first, head, length, distance, parent, order, keys, heap, place)
        distances[k] = distance[target[k]]
        hops[k] = 0
        v = target[k]
        while v != source[k]:
            a = parent[v]
            paths[k, hops[k]] = a
            hops[k] += 1
            v = tail[a]


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
