"""Maximum flow in integers by Dinic's algorithm, compiled by numba.

A residual network is held as linked lists: arc ``2 i`` is arc i, ``2 i + 1`` its reverse, so that the partner
of an arc is ``arc ^ 1``. Capacities are int64, so cuts are exact: there is no tolerance anywhere.

Dinic, Algorithm for solution of a problem of maximum flow in networks with power estimation, 1970.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["link_arcs", "max_flow", "passing_targets"]

Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def link_arcs(n: int, tail: Ints, head: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the first arc of each vertex, the next arc of each arc, and the head of each arc.

    Parameters
    ----------
    n
        Number of vertices.
    tail, head
        Vertices of each arc, [arcs]; the residual network has twice as many.
    """
    m = len(tail)
    first = np.full(n, -1, np.int64)
    after = np.empty(2 * m, np.int64)
    to = np.empty(2 * m, np.int64)
    for i in range(m):
        to[2 * i] = head[i]
        after[2 * i] = first[tail[i]]
        first[tail[i]] = 2 * i
        to[2 * i + 1] = tail[i]
        after[2 * i + 1] = first[head[i]]
        first[head[i]] = 2 * i + 1
    return first, after, to


@njit(cache=True, nogil=True)
def max_flow(
    first: Ints, after: Ints, to: Ints, residual: Ints, source: int, sink: int, limit: int
) -> tuple[int, Ints]:
    """Push flow from source to sink, at most ``limit``; return its value and the level of each vertex.

    Parameters
    ----------
    first, after, to
        Made by `link_arcs`.
    residual
        Residual capacity of each arc and its reverse, [2 arcs]; changed in place.

    Returns
    -------
    value, level
        Where value < limit, the vertices with level >= 0 are the source side of a minimum cut.
    """
    n = len(first)
    level = np.empty(n, np.int64)
    current = np.empty(n, np.int64)
    queue = np.empty(n, np.int64)
    path = np.empty(n + 1, np.int64)
    total = 0
    while True:
        level[:] = -1
        level[source] = 0
        queue[0] = source
        low, high = 0, 1
        while low < high and level[sink] < 0:
            u = queue[low]
            low += 1
            e = first[u]
            while e >= 0:
                v = to[e]
                if residual[e] > 0 and level[v] < 0:
                    level[v] = level[u] + 1
                    queue[high] = v
                    high += 1
                e = after[e]
        if level[sink] < 0 or total >= limit:
            return total, level
        for i in range(high):
            current[queue[i]] = first[queue[i]]
        depth = 0
        u = source
        while True:
            if u == sink:
                pushed = limit - total
                for i in range(depth):
                    pushed = min(pushed, residual[path[i]])
                back = depth
                for i in range(depth - 1, -1, -1):
                    residual[path[i]] -= pushed
                    residual[path[i] ^ 1] += pushed
                    if residual[path[i]] == 0:
                        back = i
                total += pushed
                if total >= limit:
                    return total, level
                depth = back  # go on from the first arc that is full now
                u = to[path[depth] ^ 1]
            e = current[u]
            while e >= 0 and not (residual[e] > 0 and level[to[e]] == level[u] + 1):
                e = after[e]
            current[u] = e
            if e >= 0:
                path[depth] = e
                depth += 1
                u = to[e]
            else:
                level[u] = -2  # a dead end of this phase
                if depth == 0:
                    break
                depth -= 1
                u = to[path[depth] ^ 1]


@njit(cache=True, nogil=True)
def passing_targets(
    first: Ints, after: Ints, to: Ints, capacity: Ints, source: int, targets: Ints, amount: int
) -> tuple[int, Ints]:
    """Return how many targets, in order, can each receive an amount, and the cut of the next.

    The flow to one target is led on to the next one: a flow of the same amount from the source to t'
    exists iff the residual network of the flow to t carries the amount from t to t', and neighbours are near.

    Parameters
    ----------
    capacity
        Capacity of each arc and its reverse, [2 arcs].
    targets
        Vertices, [targets].

    Returns
    -------
    passed, level
        ``passed == len(targets)`` if all can; else level >= 0 marks a cut of less than ``amount``.
    """
    residual = capacity.copy()
    start = source
    level = np.empty(0, np.int64)
    for i in range(len(targets)):
        if targets[i] == start:
            continue
        value, level = max_flow(first, after, to, residual, start, targets[i], amount)
        if value < amount:
            return i, level
        start = targets[i]
    return len(targets), level
