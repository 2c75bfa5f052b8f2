"""Shortest paths one by one, and the inner loops of path columns on them, compiled by numba.

See `noptoolkit.flow.optimal.path_columns`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats

__all__ = ["dijkstra", "greedy_round", "trace_paths"]

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
def greedy_round(
    turn: int,
    rounds: int,
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
    use: Floats,
    price: Floats,
    paths: Ints,
    hops: Ints,
) -> None:
    """Route an equal part of each pair in turn, in one round of many, on prices exponential in congestion.

    ``paths`` [pairs, vertices] and ``hops`` [pairs] are filled, from the target back; ``use`` of the
    resources is that of all rounds so far, and ``price`` what the next round begins with. Resource r of arc a
    is among ``resource[resource_first[a]:resource_first[a + 1]]``.
    """
    vertices = len(first) - 1
    arcs = len(head)
    length = np.empty(arcs)
    distance = np.empty(vertices)
    parent = np.empty(vertices, np.int64)
    order = np.empty(vertices, np.int64)
    keys = np.empty(vertices)
    heap = np.empty(vertices, np.int64)
    place = np.empty(vertices, np.int64)
    peak = (use / capacity).max() * rounds * (turn + 1) / max(turn, 1)  # after this round, if all goes on so
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
            paths[k, hops[k]] = a
            hops[k] += 1
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
    peak = (use / capacity).max() * (turn + 2) / (turn + 1)
    price[:] = np.exp(steep * (use / capacity / peak - 1)) / capacity


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
