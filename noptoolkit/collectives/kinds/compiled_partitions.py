"""The slowest of the partitions that grow along an order of edges, compiled by numba.

Edges join their ends one after another, as in Kruskal's algorithm. Every partition on the way is a candidate:
an all-reduce crosses it (parts - 1) times per byte. Where the order is that of the loads of a packing of
trees, the edges of the slowest partition come last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["slowest_partition"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def slowest_partition(n: int, a: Ints, b: Ints, capacity: Floats, order: Ints) -> Ints:
    """Return the part of each vertex, from 0, in the partition with most (parts - 1) / crossing capacity.

    Parameters
    ----------
    a, b, capacity
        Ends and capacity of each edge, [edges].
    order
        Edges in the order in which they join their ends, [edges].
    """
    m = len(a)
    start = np.zeros(n + 1, np.int64)
    for e in range(m):
        start[a[e] + 1] += 1
        start[b[e] + 1] += 1
    for v in range(n):
        start[v + 1] += start[v]
    fill, near = start[:-1].copy(), np.empty(2 * m, np.int64)
    for e in range(m):
        near[fill[a[e]]] = e
        fill[a[e]] += 1
        near[fill[b[e]]] = e
        fill[b[e]] += 1
    part, following, last, size = np.arange(n), np.full(n, -1), np.arange(n), np.ones(n, np.int64)
    crossing, parts = 0.0, n
    for e in range(m):
        crossing += capacity[e]
    best, joined = (parts - 1) / crossing, 0
    for step in range(m):
        x, y = part[a[order[step]]], part[b[order[step]]]
        if x == y:
            continue
        if size[x] < size[y]:
            x, y = y, x
        v = y  # the smaller part joins the larger
        while v >= 0:
            for k in range(start[v], start[v + 1]):
                if part[a[near[k]]] + part[b[near[k]]] == x + y and part[a[near[k]]] != part[b[near[k]]]:
                    crossing -= capacity[near[k]]
            v = following[v]
        v = y
        while v >= 0:
            part[v] = x
            v = following[v]
        following[last[x]] = y
        last[x] = last[y]
        size[x] += size[y]
        parts -= 1
        if parts == 1:
            break
        if (parts - 1) / crossing > best:
            best, joined = (parts - 1) / crossing, n - parts
    return _after(n, a, b, order, joined)


@njit(cache=True, nogil=True)
def _after(n: int, a: Ints, b: Ints, order: Ints, joined: int) -> Ints:
    """Return the parts after so many joins."""
    above = np.arange(n)
    for e in order:
        if joined == 0:
            break
        x, y = a[e], b[e]
        while above[x] != x:
            above[x] = above[above[x]]
            x = above[x]
        while above[y] != y:
            above[y] = above[above[y]]
            y = above[y]
        if x != y:
            above[y] = x
            joined -= 1
    label, number = np.full(n, -1), 0
    for v in range(n):
        x = v
        while above[x] != x:
            x = above[x]
        if label[x] < 0:
            label[x] = number
            number += 1
        above[v] = x
    for v in range(n):
        above[v] = label[above[v]]
    return above
