"""Cheapest out-tree that spans a directed graph, compiled by numba.

Edmonds (Optimum branchings, 1967) in the form of Gabow, Galil, Spencer and Tarjan (Efficient algorithms for
finding minimum spanning trees in undirected and directed graphs, 1986): a path is grown backwards along
cheapest arcs, cycles are contracted, and the arcs into each (contracted) vertex wait in a mergeable heap
whose keys are lowered lazily. Here skew heaps are used, and a union-find structure that can be undone opens
the cycles again at the end. O(arcs log vertices).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["cheapest_arborescence"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def _settle(x: int, key: Floats, lazy: Floats, left: Ints, right: Ints) -> None:
    """Hand the waiting reduction of a heap's root on to its children."""
    if lazy[x] != 0.0:
        key[x] += lazy[x]
        if left[x] >= 0:
            lazy[left[x]] += lazy[x]
        if right[x] >= 0:
            lazy[right[x]] += lazy[x]
        lazy[x] = 0.0


@njit(cache=True, nogil=True)
def _meld(a: int, b: int, key: Floats, lazy: Floats, left: Ints, right: Ints, spine: Ints) -> int:
    """Return the root of two skew heaps made one."""
    depth = 0
    while a >= 0 and b >= 0:
        _settle(a, key, lazy, left, right)
        _settle(b, key, lazy, left, right)
        if key[b] < key[a]:
            a, b = b, a
        spine[depth] = a
        depth += 1
        a = right[a]
    merged = a if a >= 0 else b
    for i in range(depth - 1, -1, -1):
        x = spine[i]
        right[x] = left[x]
        left[x] = merged
        merged = x
    return merged


@njit(cache=True, nogil=True)
def _copy(values: Ints, count: int, into: Ints) -> None:
    """Copy the first values; assigning slices would compile the words of an error about their shapes."""
    for i in range(count):
        into[i] = values[i]


@njit(cache=True, nogil=True)
def _top(union: Ints, x: int) -> int:
    while union[x] >= 0:
        x = union[x]
    return x


@njit(cache=True, nogil=True)
def cheapest_arborescence(n: int, root: int, tail: Ints, head: Ints, cost: Floats) -> tuple[Ints, float]:
    """Return the arc into each vertex of the cheapest out-tree of a root (-1 at the root), and its cost.

    Parameters
    ----------
    n
        Number of vertices.
    tail, head, cost
        Ends and cost >= 0 of each arc, [arcs].

    Returns
    -------
    arcs, total
        ``total`` is infinite where the root cannot reach every vertex.
    """
    m = len(tail)
    key, lazy = cost.copy(), np.zeros(m)
    left, right = np.full(m, -1, np.int64), np.full(m, -1, np.int64)
    spine = np.empty(m + 1, np.int64)
    heap = np.full(n, -1, np.int64)
    for e in range(m):
        if tail[e] != head[e] and head[e] != root:
            heap[head[e]] = _meld(heap[head[e]], e, key, lazy, left, right, spine)
    union = np.full(n, -1, np.int64)  # minus the size at a representative
    changed, before, changes = np.empty(4 * n + 4, np.int64), np.empty(4 * n + 4, np.int64), 0
    walk = np.full(n, -1, np.int64)  # the walk in which a vertex was seen
    walk[root] = root
    taken, path = np.empty(2 * n + 2, np.int64), np.empty(2 * n + 2, np.int64)
    into = np.full(n, -1, np.int64)
    cycle_at, cycle_changes = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    cycle_start = np.zeros(n + 2, np.int64)
    cycle_arcs, cycles, stored = np.empty(4 * n + 4, np.int64), 0, 0
    for s in range(n):
        u = _top(union, s)
        length = 0
        while walk[u] < 0:
            e = heap[u]
            if e < 0:
                return into, np.inf
            _settle(e, key, lazy, left, right)
            cheapest = key[e]
            heap[u] = _meld(left[e], right[e], key, lazy, left, right, spine)
            if heap[u] >= 0:
                lazy[heap[u]] -= cheapest
            taken[length] = e
            path[length] = u
            length += 1
            walk[u] = s
            u = _top(union, tail[e])
            if walk[u] == s:  # closed a cycle: contract it
                merged, end, since = -1, length, changes
                while True:
                    length -= 1
                    w = path[length]
                    merged = _meld(merged, heap[w], key, lazy, left, right, spine)
                    a, b = _top(union, u), _top(union, w)
                    if a == b:
                        break
                    if union[a] > union[b]:
                        a, b = b, a
                    changed[changes], before[changes] = a, union[a]
                    changed[changes + 1], before[changes + 1] = b, union[b]
                    changes += 2
                    union[a] += union[b]
                    union[b] = a
                u = _top(union, u)
                heap[u] = merged
                walk[u] = -1
                cycle_at[cycles], cycle_changes[cycles], cycle_start[cycles] = u, since, stored
                for i in range(length, end):
                    if stored == len(cycle_arcs):
                        longer = np.empty(2 * stored, np.int64)
                        _copy(cycle_arcs, stored, longer)
                        cycle_arcs = longer
                    cycle_arcs[stored] = taken[i]
                    stored += 1
                cycles += 1
                if cycles == len(cycle_at):
                    wider = np.empty((3, 2 * cycles + 2), np.int64)
                    _copy(cycle_at, cycles, wider[0])
                    _copy(cycle_changes, cycles, wider[1])
                    _copy(cycle_start, cycles, wider[2])
                    cycle_at, cycle_changes, cycle_start = wider[0], wider[1], wider[2]
                cycle_start[cycles] = stored
        for i in range(length):
            into[_top(union, head[taken[i]])] = taken[i]
    for c in range(cycles - 1, -1, -1):  # open the cycles again, the last one first
        while changes > cycle_changes[c]:
            changes -= 1
            union[changed[changes]] = before[changes]
        entering = into[cycle_at[c]]
        for i in range(cycle_start[c], cycle_start[c + 1]):
            into[_top(union, head[cycle_arcs[i]])] = cycle_arcs[i]
        into[_top(union, head[entering])] = entering
    into[root] = -1
    total = 0.0
    for v in range(n):
        if into[v] >= 0:
            total += cost[into[v]]
    return into, total
