"""Dilworth truncation by minimum cuts, compiled by numba; see `noptoolkit.collectives.exact.strength`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit.collectives.exact.compiled_flow import link_arcs, max_flow

__all__ = ["truncate"]

Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def truncate(n: int, a: Ints, b: Ints, weight: Ints, q: int) -> Ints:
    """Return labels of the partition that minimises the sum over its parts of (weight of the boundary - 2 q).

    Vertex j takes x_j = min over S in {0..j} holding j of f(S) - x(S - j), f(S) = boundary(S) - 2 q: a
    minimum cut, in which S pays for edges to later vertices as well. The minimising sets of all j, merged
    where they meet, are the partition (Cunningham 1985; Frank and Tardos 1988).

    Parameters
    ----------
    weight
        Weight of each edge, [edges].
    """
    m = len(a)
    source, sink = n, n + 1
    tail = np.empty(m + 2 * n, np.int64)
    head = np.empty(m + 2 * n, np.int64)
    for e in range(m):
        tail[e] = a[e]
        head[e] = b[e]
    for v in range(n):
        tail[m + v] = source
        head[m + v] = v
        tail[m + n + v] = v
        head[m + n + v] = sink
    first, after, to = link_arcs(n + 2, tail, head)
    residual = np.zeros(2 * (m + 2 * n), np.int64)
    x = np.zeros(n, np.int64)
    label = np.arange(n)
    later = np.zeros(n, np.int64)  # weight of a vertex's edges to vertices beyond j
    for e in range(m):
        later[a[e]] += weight[e]
        later[b[e]] += weight[e]
    huge = 4 * q * n + 1
    for e in range(m):
        huge += 4 * weight[e]
    merged = np.zeros(n, np.bool_)
    for j in range(n):
        for e in range(m):
            if max(a[e], b[e]) == j:
                later[a[e]] -= weight[e]
                later[b[e]] -= weight[e]
            live = weight[e] if a[e] <= j and b[e] <= j else 0
            residual[2 * e] = live
            residual[2 * e + 1] = live
        for v in range(n):
            own = later[v] - x[v] if v <= j else 0
            residual[2 * (m + v)] = huge if v == j else max(-own, 0)
            residual[2 * (m + v) + 1] = 0
            residual[2 * (m + n + v)] = max(own, 0)
            residual[2 * (m + n + v) + 1] = 0
        _, level = max_flow(first, after, to, residual, source, sink, 2**62)
        bound = -2 * q
        merged[:] = False
        for v in range(j + 1):
            if level[v] >= 0 or v == j:
                bound += later[v] - x[v]
                merged[label[v]] = True
        for e in range(m):
            if a[e] <= j and b[e] <= j:
                left = level[a[e]] >= 0 or a[e] == j
                right = level[b[e]] >= 0 or b[e] == j
                if left != right:
                    bound += weight[e]
        x[j] = bound
        for v in range(j + 1):
            if merged[label[v]]:
                merged[label[j]] = True
        mine = label[j]
        for v in range(j + 1):
            if merged[label[v]]:
                label[v] = mine
    return label
