"""The inner loops of detours, compiled by numba; see `noptoolkit.flow.optimal.detours`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats
from noptoolkit.flow.optimal.compiled_paths import dijkstra

__all__ = ["find_detours", "take_detours"]

Ints = NDArray[Any]

FULL = 1e-9  # slack over capacity below which nothing more is sent over a resource


@njit(cache=True, nogil=True)
def _length(arc: int, user_first: Ints, used: Ints, part: Floats, slack: Floats, capacity: Floats) -> float:
    """Return the length of an arc: the sum over what it uses of 1 / slack, infinite where that is full."""
    length = 0.0
    for i in range(user_first[arc], user_first[arc + 1]):
        r = used[i]
        if slack[r] <= FULL * capacity[r]:
            return np.inf
        length += part[i] / slack[r]
    return length


@njit(cache=True, nogil=True)
def find_detours(
    first: Ints,
    tail: Ints,
    head: Ints,
    user_first: Ints,
    used: Ints,
    part: Floats,
    arc_first: Ints,
    arc: Ints,
    capacity: Floats,
    slack: Floats,
    load: Floats,
    moved: Ints,
    amount: Floats,
    path_first: Ints,
    path: Ints,
) -> int:
    """Lead load round overfull resources, the fullest first, until one cannot be relieved.

    Arc a uses ``part[i]`` of resource ``used[i]``, i from ``user_first[a]``; resource r is used by
    ``arc[arc_first[r]:arc_first[r + 1]]``. Of each move the arc, the amount and the arcs of its path are
    written, as far as there is room; ``slack`` and ``load`` are brought up to date. Return the moves.
    """
    vertices = len(first) - 1
    distance = np.empty(vertices)
    parent = np.empty(vertices, np.int64)
    order = np.empty(vertices, np.int64)
    keys = np.empty(vertices)
    heap = np.empty(vertices, np.int64)
    place = np.empty(vertices, np.int64)
    length = np.empty(len(head))
    for a in range(len(head)):
        length[a] = _length(a, user_first, used, part, slack, capacity)
    moves = 0
    for r in np.argsort(slack / capacity):
        if slack[r] >= -FULL * capacity[r]:
            break
        for k in range(arc_first[r], arc_first[r + 1]):
            a = arc[k]
            own = 0.0
            for i in range(user_first[a], user_first[a + 1]):
                if used[i] == r:
                    own = part[i]
            while slack[r] < -FULL * capacity[r] and load[a] > 0:
                u, v = tail[a], head[a]
                dijkstra(u, v, first, head, length, distance, parent, order, keys, heap, place)
                if distance[v] == np.inf:
                    break
                some = min(-slack[r] / own, load[a])
                end = path_first[moves]
                while v != u:
                    if end == len(path):
                        return moves
                    b = parent[v]
                    path[end] = b
                    end += 1
                    v = tail[b]
                    for i in range(user_first[b], user_first[b + 1]):
                        some = min(some, slack[used[i]] / part[i])
                moved[moves] = a
                amount[moves] = some
                moves += 1
                path_first[moves] = end
                load[a] -= some
                for i in range(user_first[a], user_first[a + 1]):
                    slack[used[i]] += some * part[i]
                for p in range(path_first[moves - 1], end):
                    b = path[p]
                    load[b] += some
                    for i in range(user_first[b], user_first[b + 1]):
                        slack[used[i]] -= some * part[i]
                for p in range(path_first[moves - 1], end):
                    for i in range(user_first[path[p]], user_first[path[p] + 1]):
                        for j in range(arc_first[used[i]], arc_first[used[i] + 1]):
                            length[arc[j]] = _length(arc[j], user_first, used, part, slack, capacity)
                if moves == len(moved):
                    return moves
        if slack[r] < -FULL * capacity[r]:
            break
    return moves


@njit(cache=True, nogil=True)
def take_detours(
    flow: Floats, moved: Ints, share: Floats, path_first: Ints, path: Ints, kept: Floats
) -> None:
    """Lead a share of what each commodity sends over an arc, all the same, over the paths instead."""
    for q in range(len(flow)):
        for m in range(len(moved)):
            some = share[m] * flow[q, moved[m]]
            if some > 0:
                for i in range(path_first[m], path_first[m + 1]):
                    flow[q, path[i]] += some
        for a in range(len(kept)):
            flow[q, a] *= kept[a]
