"""The inner loops of path columns, compiled by numba; see `noptoolkit.flow.optimal.path_columns`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit.flow.optimal.compiled import dijkstra

__all__ = ["greedy_round", "trace_paths"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


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
