"""The inner loops of the flow solvers, compiled by numba; imported only where a problem is large.

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

from noptoolkit._arrays import Floats

__all__ = ["LANES", "certify", "halpern_step", "spread_equally"]

LANES = 64  # of 8 to 256, the fastest at 1,000 vertices: their prices just fit a core's cache

Singles = NDArray[np.float32]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def _shortest_trees(first: Ints, head: Ints, length: Floats, distance: Floats, parent: Ints) -> None:
    """Lower the distances of a block [vertices, LANES] to the shortest, and fill the arc into each vertex.

    Passes over the vertices, forwards and backwards in turn, relax what leaves those that were lowered, all
    lanes at once, until none is (Bellman and Ford; Yen, 1970): with lengths above 0 they end, at the truth.
    """
    vertices = len(first) - 1
    lowered = np.ones(vertices, np.bool_)
    forwards = True
    waiting = True
    while waiting:
        waiting = False
        for i in range(vertices):
            u = i if forwards else vertices - 1 - i
            if not lowered[u]:
                continue
            lowered[u] = False
            here = distance[u]
            for a in range(first[u], first[u + 1]):
                v = head[a]
                there = distance[v]
                some = length[a]
                fewer = 0
                for j in range(LANES):
                    fewer += here[j] + some < there[j]
                if fewer > 0:
                    arc = parent[v]
                    for j in range(LANES):
                        if here[j] + some < there[j]:
                            there[j] = here[j] + some
                            arc[j] = a
                    lowered[v] = True
                    waiting = True
        forwards = not forwards


@njit(cache=True, nogil=True)
def _root_first(tail: Ints, parent: Ints, root: int, lane: int, order: Ints, depth: Ints, count: Ints) -> int:
    """Write the vertices of a lane's tree so that each comes after its parent; return their number."""
    vertices = len(parent)
    depth[:] = -1
    depth[root] = 0
    count[:] = 0
    count[1] = 1
    for v in range(vertices):
        if parent[v, lane] < 0:
            continue
        size = 0
        u = v
        while depth[u] < 0:
            order[size] = u
            size += 1
            u = tail[parent[u, lane]]
        below = depth[u]
        while size > 0:
            size -= 1
            below += 1
            depth[order[size]] = below
            count[below + 1] += 1
    for d in range(1, vertices + 1):
        count[d] += count[d - 1]
    reached = int(count[vertices])
    for v in range(vertices):
        if depth[v] >= 0:
            order[count[depth[v]]] = v
            count[depth[v]] += 1
    return reached


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
    """Add the loads of the repaired flows of some blocks; return the demand times distance of theirs.

    The repair is that of `noptoolkit.flow.bounds.certificate.repair`. ``distances`` [blocks, vertices,
    LANES] and ``repaired`` [commodities, arcs] are filled where they are not empty.
    """
    # Why both results are proofs, however rough the iterate. Bound: for prices y >= 0 that sum to 1 with the
    # capacities, every routing costs at least demand x distance under the lengths A^T y, and no routing
    # finishes before its cost; distances are exact shortest paths in float64, so nothing of the iterate but
    # its prices enters. Flow: the single-precision flow is cut off at 0 (and where no path from the
    # commodity's end leads, so that nothing is conjured up), and `need` counts in float64 what each vertex
    # still lacks. Going through the shortest-path tree from the leaves to its root, each lack is passed to
    # the parent and the tree arc carries it, so in the end every vertex but the end gets at least what it
    # passes on and takes; surplus only adds load. The tree arcs are where repair is cheapest under y.
    vertices = len(first) - 1
    arcs = len(head)
    distance = np.empty((vertices, LANES))
    parent = np.empty((vertices, LANES), np.int32)
    order = np.empty(vertices, np.int64)
    depth = np.empty(vertices, np.int64)
    count = np.empty(vertices + 2, np.int64)
    need = np.empty((vertices, LANES))
    fed = np.empty((vertices, LANES))
    moved = np.empty(LANES)
    cost = 0.0
    for b in range(begin, end):
        lanes = min(LANES, len(ends) - b * LANES)
        distance[:] = np.inf
        parent[:] = -1
        fed[:] = 0.0
        for j in range(lanes):
            distance[ends[b * LANES + j], j] = 0.0
        _shortest_trees(first, head, length, distance, parent)
        for j in range(lanes):
            q = b * LANES + j
            farthest = 0.0
            for v in range(vertices):
                need[v, j] = demand[q, v]
                if need[v, j] > 0:
                    cost += need[v, j] * distance[v, j]
                if distance[v, j] < np.inf:  # a vertex that no path reaches forwards nothing
                    fed[v, j] = 1.0
                    farthest = max(farthest, distance[v, j])
            if len(distances) > 0:
                for v in range(vertices):
                    distances[b, v, j] = min(distance[v, j], farthest)
        for a in range(arcs):
            u, v, x = tail[a], head[a], flow[b, a]
            total = 0.0
            for j in range(LANES):
                moved[j] = max(np.float64(x[j]), 0.0) * fed[u, j]
                total += moved[j]
            for j in range(LANES):
                need[v, j] -= moved[j]
            for j in range(LANES):
                need[u, j] += moved[j]
            load[a] += total
            if len(repaired) > 0:
                for j in range(lanes):
                    repaired[b * LANES + j, a] = moved[j]
        for j in range(lanes):
            for i in range(_root_first(tail, parent, ends[b * LANES + j], j, order, depth, count) - 1, 0, -1):
                v = order[i]
                lack = need[v, j]
                if lack > 0:
                    a = parent[v, j]
                    load[a] += lack
                    need[tail[a], j] += lack
                    if len(repaired) > 0:
                        repaired[b * LANES + j, a] += lack
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
    """Write a flow of some commodities, and the scale of their flow out of each vertex where it is not empty.

    The flow [blocks, arcs, lanes] splits, hop by hop, over minimum-hop paths in proportion to ``width``.
    What passes an arc that starts h hops from the commodity's end is, on average, what is owed beyond,
    over the arcs there; its scale [blocks, vertices, lanes] is the root of that share.
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
        for v in range(vertices):
            h = hops[v]
            scale[b, v, lane] = total * np.sqrt((beyond[h] if h >= 0 else 0.0) / largest + 1e-4)


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

    The step is ``scale / (3 omega)``, by the arc's tail, on flows [blocks, arcs, LANES], and ``omega *
    inverse_spread`` on prices [blocks, vertices, LANES]. ``load`` gains the extrapolated arc loads 2 T(x) -
    x, for the caller's step on the resources' prices.
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
            xa, xa0, pu, pv, su = x[a], x0[a], p[u], p[v], s[u]
            into, out_of = excess[v], excess[u]
            total = zero
            for j in range(LANES):  # short loops over few arrays: the compiler must prove them apart
                slope[j] = cost + pu[j] - pv[j]
            for j in range(LANES):
                step = max(-third * su[j] * slope[j], -xa[j])
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
