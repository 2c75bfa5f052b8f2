"""Screens of graphs, compiled: byte-hops of shortest paths, the peak of an equal split, and annealing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["anneal", "screen"]


@njit(cache=True)
def screen(joined: Ints, degree: Ints, demand: Floats, load: Floats, peak: bool) -> Any:
    """Return byte-hops over shortest paths and the fullest link's load, next hops sharing equally.

    Infinite where the graph does not hang together.

    Parameters
    ----------
    joined, degree
        Neighbours of each node, [nodes, ports], and their number, [nodes].
    demand
        Bytes, [nodes, nodes].
    load
        Filled with the load of each link out of each node, [nodes, ports], if ``peak`` is wanted.
    """
    nodes = len(degree)
    load[:] = 0.0
    hop = np.empty(nodes, np.int64)
    order = np.empty(nodes, np.int64)
    closer = np.empty(joined.shape[1], np.int64)
    flow = np.empty(nodes)
    hops = 0.0
    for target in range(nodes):
        hop[:] = -1
        hop[target] = 0
        order[0] = target
        count, at = 1, 0
        while at < count:
            u = order[at]
            at += 1
            for k in range(degree[u]):
                v = joined[u, k]
                if hop[v] < 0:
                    hop[v] = hop[u] + 1
                    order[count] = v
                    count += 1
        if count < nodes:
            return np.inf, np.inf
        if not peak:
            for u in range(nodes):
                hops += demand[u, target] * hop[u]
            continue
        flow[:] = demand[:, target]
        for i in range(nodes - 1, 0, -1):
            u = order[i]
            hops += demand[u, target] * hop[u]
            ways = 0
            here = hop[u]
            for k in range(degree[u]):
                if hop[joined[u, k]] < here:
                    closer[ways] = k
                    ways += 1
            share = flow[u] / ways
            for i_way in range(ways):
                k = closer[i_way]
                load[u, k] += share
                flow[joined[u, k]] += share
    return hops, load.max()


@njit(cache=True)
def _place(joined: Ints, degree: Ints, u: int, v: int) -> int:
    for k in range(degree[u]):
        if joined[u, k] == v:
            return k
    return -1


@njit(cache=True)
def anneal(
    joined: Ints,
    degree: Ints,
    demand: Floats,
    allowed: Any,
    length: Floats,
    spare_wire: float,
    steps: int,
    weight: float,
    start: float,
    seed: int,
) -> Any:
    """Return the best cost found by swapping the ends of two links; ``joined`` is left at that graph.

    The cost is byte-hops over links plus ``weight`` times the peak. Swaps keep every port, and the reach; a
    graph with more wire than is spare is not entered.
    """
    np.random.seed(seed)  # noqa: NPY002
    nodes = len(degree)
    ends = degree.sum()
    load = np.zeros(joined.shape)
    hops, peak = screen(joined, degree, demand, load, weight > 0)
    now = hops / ends + weight * peak
    best = now
    kept = joined.copy()
    for step in range(steps):
        heat = now * start * 0.003 ** (step / steps)
        a = np.random.randint(nodes)  # noqa: NPY002
        c = np.random.randint(nodes)  # noqa: NPY002
        if degree[a] == 0 or degree[c] == 0:
            continue
        i = np.random.randint(degree[a])  # noqa: NPY002
        j = np.random.randint(degree[c])  # noqa: NPY002
        b, d = joined[a, i], joined[c, j]
        if a in (c, d) or b in (c, d) or not allowed[a, c] or not allowed[b, d]:
            continue
        if _place(joined, degree, a, c) >= 0 or _place(joined, degree, b, d) >= 0:
            continue
        more = length[a, c] + length[b, d] - length[a, b] - length[c, d]
        if more > spare_wire + 1e-9:
            continue
        k, m = _place(joined, degree, b, a), _place(joined, degree, d, c)
        joined[a, i], joined[c, j], joined[b, k], joined[d, m] = c, a, d, b
        hops, peak = screen(joined, degree, demand, load, weight > 0)
        then = hops / ends + weight * peak
        if then <= now or np.random.random() < np.exp((now - then) / heat):  # noqa: NPY002
            now = then
            spare_wire -= more
            if now < best - 1e-12 * best:
                best = now
                kept[:] = joined
        else:
            joined[a, i], joined[c, j], joined[b, k], joined[d, m] = b, d, a, c
    joined[:] = kept
    return best
