"""Spanning trees of an undirected graph packed into its capacities, compiled by numba.

*Greedily* (Thorup, Fully-dynamic min-cut, 2007): every tree is a minimum spanning tree of the relative
loads of the trees before it. The largest load / capacity, divided by the number of trees, tends to 1 /
strength, as 1 / their number; so the last few per cent are left to exchanges of edges between a tree and the
rest of the graph.

*Exactly*: K forests grow element by element; an edge that closes a cycle in every forest may still enter one
if an edge of that cycle moves to another forest, and so on: the shortest chain of such exchanges is an
augmenting path of matroid union (Edmonds, Matroid partition, 1968; Roskind and Tarjan, A note on finding
minimum-cost edge-disjoint spanning trees, 1985).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["greedy_trees", "hang_trees", "matroid_trees", "mend_trees", "spanning_cost"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def _root(union: Ints, x: int) -> int:
    while union[x] >= 0:
        if union[union[x]] >= 0:
            union[x] = union[union[x]]
        x = union[x]
    return x


@njit(cache=True, nogil=True)
def _kruskal(n: int, a: Ints, b: Ints, order: Ints, union: Ints, tree: Ints) -> int:
    union[:] = -1
    size = 0
    for e in order:
        x, y = _root(union, a[e]), _root(union, b[e])
        if x != y:
            if union[x] > union[y]:
                x, y = y, x
            union[x] += union[y]
            union[y] = x
            tree[size] = e
            size += 1
            if size == n - 1:
                break
    return size


@njit(cache=True, nogil=True)
def spanning_cost(n: int, a: Ints, b: Ints, length: Floats) -> float:
    """Return the cost of a minimum spanning tree."""
    union, tree = np.empty(n, np.int64), np.empty(n - 1, np.int64)
    _kruskal(n, a, b, np.argsort(length), union, tree)
    total = 0.0
    for e in tree:
        total += length[e]
    return total


@njit(cache=True, nogil=True)
def greedy_trees(
    n: int,
    a: Ints,
    b: Ints,
    capacity: Floats,
    target: float,
    goal: float,
    rounds: int,
    noise: Floats,
    known: Ints,
) -> tuple[Ints, float]:
    """Return trees with load / capacity per tree of at most ``target * (1 + goal)``, if rounds allow.

    Parameters
    ----------
    a, b, capacity
        Ends and capacity of each edge, [edges].
    target
        1 / strength, or another lower bound.
    noise
        Numbers in [0, 1) that order edges that tie, [any number >= edges].
    known
        The first trees of the same packing, found before; they are not grown again,
        [trees, vertices - 1].

    Returns
    -------
    trees, time
        Edges of each tree, [trees, vertices - 1]; largest load / capacity / trees.
    """
    m = len(a)
    load, key, slight = np.zeros(m), np.empty(m), 1e-9 + 1e-3 / capacity.max()
    trees = np.empty((rounds, n - 1), np.int64)
    union = np.empty(n, np.int64)
    time = np.inf
    for r in range(rounds):
        if r < len(known):
            trees[r] = known[r]
        else:
            for e in range(m):
                key[e] = load[e] / capacity[e] + slight * noise[(e + 7919 * r) % len(noise)]
            _kruskal(n, a, b, np.argsort(key), union, trees[r])
        worst = 0.0
        for e in trees[r]:
            load[e] += 1.0
        for e in range(m):
            worst = max(worst, load[e] / capacity[e])
        time = worst / (r + 1)
        if time <= target * (1 + goal):
            return trees[: r + 1], time
    return trees, time


@njit(cache=True, nogil=True)
def mend_trees(n: int, a: Ints, b: Ints, capacity: Floats, most: float, trees: Ints, sweeps: int) -> float:
    """Exchange edges of trees, in place, until load / capacity per tree is at most ``most``; return it.

    An edge with too much load leaves a tree, and the one with least load that joins the two halves enters,
    if it then has less than the other had. Sweeps over all edges end when nothing is too much, or moves.
    """
    count, m = len(trees), len(a)
    load, place = np.zeros(m), np.full((count, m), -1, np.int32)
    for t in range(count):
        for i in range(n - 1):
            load[trees[t, i]] += 1.0
            place[t, trees[t, i]] = i
    union, half = np.empty(n, np.int64), np.empty(n, np.bool_)
    worst = 0.0
    for sweep in range(sweeps):
        moved = False
        for e in np.argsort(-load / capacity):
            patience = 16  # trees in a row that cannot do without the edge
            for step in range(count):
                if load[e] <= most * count * capacity[e] or patience == 0:
                    break
                t = (step + 7919 * sweep + e) % count
                if place[t, e] < 0:
                    continue
                union[:] = -1
                for other in trees[t]:
                    if other != e:
                        x, y = _root(union, a[other]), _root(union, b[other])
                        if union[x] > union[y]:
                            x, y = y, x
                        union[x] += union[y]
                        union[y] = x
                side = _root(union, a[e])
                for v in range(n):
                    half[v] = _root(union, v) == side
                patience -= 1
                best, least = -1, load[e] / capacity[e]
                for f in range(m):
                    if half[a[f]] != half[b[f]] and f != e and (load[f] + 1) / capacity[f] < least:
                        best, least = f, (load[f] + 1) / capacity[f]
                if best >= 0:
                    i = place[t, e]
                    trees[t, i] = best
                    place[t, best], place[t, e] = i, -1
                    load[e] -= 1.0
                    load[best] += 1.0
                    moved, patience = True, 16
        worst = (load / capacity).max() / count
        if worst <= most or not moved:
            break
    return worst


@njit(cache=True, nogil=True)
def _hang(n: int, a: Ints, b: Ints, holds: Any, parent: Ints, above: Ints, depth: Ints, part: Ints) -> None:
    """Root every tree of a forest: edge to the parent, the parent, depth and component of each vertex."""
    m = len(a)
    degree = np.zeros(n + 1, np.int64)
    for e in range(m):
        if holds[e]:
            degree[a[e] + 1] += 1
            degree[b[e] + 1] += 1
    for v in range(n):
        degree[v + 1] += degree[v]
    fill = degree[:-1].copy()
    near = np.empty(degree[n], np.int64)
    for e in range(m):
        if holds[e]:
            near[fill[a[e]]] = e
            fill[a[e]] += 1
            near[fill[b[e]]] = e
            fill[b[e]] += 1
    part[:] = -1
    queue = np.empty(n, np.int64)
    for s in range(n):
        if part[s] >= 0:
            continue
        part[s], parent[s], above[s], depth[s] = s, -1, -1, 0
        queue[0] = s
        low, high = 0, 1
        while low < high:
            u = queue[low]
            low += 1
            for i in range(degree[u], degree[u + 1]):
                e = near[i]
                v = a[e] + b[e] - u
                if part[v] < 0:
                    part[v], parent[v], above[v], depth[v] = s, e, u, depth[u] + 1
                    queue[high] = v
                    high += 1


@njit(cache=True, nogil=True)
def matroid_trees(n: int, a: Ints, b: Ints, copies: Ints, count: int, most_work: int) -> tuple[bool, Any]:
    """Pack ``count`` spanning trees, edge e in at most ``copies[e]`` of them.

    Parameters
    ----------
    most_work
        Steps after which to give up.

    Returns
    -------
    success, holds
        Whether all trees span; and which forest holds which edge, [forests, edges].
    """
    m = len(a)
    holds = np.zeros((count, m), np.bool_)
    parent = np.empty((count, n), np.int64)
    above = np.empty((count, n), np.int64)
    depth = np.empty((count, n), np.int64)
    part = np.empty((count, n), np.int64)
    for i in range(count):
        _hang(n, a, b, holds[i], parent[i], above[i], depth[i], part[i])
    came = np.full((count, m), -1, np.int64)  # element before, in a chain; elements are forest * m + edge
    stamp = np.zeros((count, m), np.int64)
    queue = np.empty(count * m + 1, np.int64)
    placed, now, work, start = 0, 0, 0, 0
    most = 0
    for e in range(m):
        most = max(most, copies[e])
    for turn in range(most):
        for first in range(m):
            if turn >= copies[first]:
                continue
            if placed == count * (n - 1):
                return True, holds
            now += 1
            queue[0] = -1  # the new copy itself
            low, high = 0, 1
            found, where = -2, -1
            while low < high and where < 0:
                x = queue[low]
                low += 1
                e = first if x < 0 else x % m
                for k in range(count):
                    j = (start + k) % count
                    if holds[j, e]:
                        continue
                    u, v = a[e], b[e]
                    work += 1
                    if part[j, u] != part[j, v]:
                        found, where = x, j
                        break
                    while u != v:
                        if depth[j, u] < depth[j, v]:
                            u, v = v, u
                        f = parent[j, u]
                        u = above[j, u]
                        work += 1
                        if stamp[j, f] != now:
                            stamp[j, f] = now
                            came[j, f] = x
                            queue[high] = j * m + f
                            high += 1
                if work > most_work:
                    return False, holds
            if where < 0:
                continue  # dependent: this copy is in no packing together with those placed
            x, j = found, where
            start = (where + 1) % count
            while True:
                e = first if x < 0 else x % m
                old = -1 if x < 0 else x // m
                before = -1 if x < 0 else came[old, e]
                if old >= 0:
                    holds[old, e] = False
                holds[j, e] = True
                _hang(n, a, b, holds[j], parent[j], above[j], depth[j], part[j])
                work += m
                if x < 0:
                    break
                x, j = before, old
            placed += 1
    return placed == count * (n - 1), holds


@njit(cache=True, nogil=True)
def hang_trees(n: int, a: Ints, b: Ints, trees: Ints) -> tuple[Ints, Ints, Any]:
    """Root spanning trees at their centres, and order their edges from the root out.

    Parameters
    ----------
    trees
        Edges of each tree, [trees, vertices - 1].

    Returns
    -------
    root, order, forth
        Root of each tree, [trees]; its edges in order, and whether each leads from ``a`` to ``b`` away from
        the root, [trees, vertices - 1].
    """
    count = len(trees)
    root = np.zeros(count, np.int64)
    order = np.empty((count, n - 1), np.int64)
    forth = np.empty((count, n - 1), np.bool_)
    start = np.empty(n + 1, np.int64)
    near = np.empty(2 * (n - 1), np.int64)
    queue, came = np.empty(n, np.int64), np.empty(n, np.int64)
    for t in range(count):
        start[:] = 0
        for e in trees[t]:
            start[a[e] + 1] += 1
            start[b[e] + 1] += 1
        for v in range(n):
            start[v + 1] += start[v]
        fill = start[:-1].copy()
        for e in trees[t]:
            near[fill[a[e]]] = e
            fill[a[e]] += 1
            near[fill[b[e]]] = e
            fill[b[e]] += 1
        source = 0
        for turn in range(3):  # to one end of a longest path, to the other, then from the middle
            came[:] = -2
            came[source] = -1
            queue[0] = source
            low, high = 0, 1
            while low < high:
                u = queue[low]
                low += 1
                for i in range(start[u], start[u + 1]):
                    e = near[i]
                    v = a[e] + b[e] - u
                    if came[v] == -2:
                        came[v] = e
                        if turn == 2:
                            order[t, high - 1] = e
                            forth[t, high - 1] = a[e] == u
                        queue[high] = v
                        high += 1
            if turn == 0:
                source = queue[n - 1]
            elif turn == 1:
                length, v = 0, queue[n - 1]
                while came[v] >= 0:
                    v = a[came[v]] + b[came[v]] - v
                    length += 1
                v = queue[n - 1]
                for _ in range(length // 2):
                    v = a[came[v]] + b[came[v]] - v
                source = v
        root[t] = source
    return root, order, forth
