"""The loads of routings by hops, compiled by numba; see `noptoolkit.routing.hop_loads`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats

__all__ = ["load_equally", "load_first"]

Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def _search(ends: Ints, first: Ints, tail: Ints, hops: Ints, queue: Ints) -> int:
    """Fill the hops of every state to its nearest end, and the states in that order; return their number."""
    hops[:] = -1
    seen = 0
    for end in ends:
        hops[end] = 0
        queue[seen] = end
        seen += 1
    i = 0
    while i < seen:
        u = queue[i]
        i += 1
        for k in range(first[u], first[u + 1]):
            v = tail[k]
            if hops[v] < 0:
                hops[v] = hops[u] + 1
                queue[seen] = v
                seen += 1
    return seen


@njit(cache=True, nogil=True)
def load_equally(
    begin: int,
    end: int,
    ends: Ints,
    first: Ints,
    tail: Ints,
    arc: Ints,
    width: Floats,
    demand: Floats,
    load: Floats,
) -> None:
    """Add what some destinations' traffic puts on each arc, split over all shortest paths hop by hop.

    Steps are sorted by head: those into state u have the tails ``tail[first[u]:first[u + 1]]``. ``ends``
    is [destinations, ways to arrive], ``demand`` [destinations, vertices] and ``load`` [arcs].
    """
    states = len(first) - 1
    queue = np.empty(states, np.int64)
    hops = np.empty(states, np.int64)
    ways = np.empty(states)
    need = np.empty(states)
    for d in range(begin, end):
        seen = _search(ends[d], first, tail, hops, queue)
        need[:] = 0
        need[: demand.shape[1]] = demand[d]
        ways[:] = 0
        for i in range(seen):
            u = queue[i]
            for k in range(first[u], first[u + 1]):
                if hops[tail[k]] == hops[u] + 1:
                    ways[tail[k]] += width[k]
        for i in range(seen - 1, -1, -1):
            u = queue[i]
            for k in range(first[u], first[u + 1]):
                v = tail[k]
                if hops[v] == hops[u] + 1 and need[v] > 0:
                    amount = need[v] * width[k] / ways[v]
                    load[arc[k]] += amount
                    need[u] += amount


@njit(cache=True, nogil=True)
def load_first(
    begin: int,
    end: int,
    ends: Ints,
    first: Ints,
    tail: Ints,
    head: Ints,
    arc: Ints,
    demand: Floats,
    load: Floats,
) -> None:
    """Add what some destinations' traffic puts on each arc, all of it along the lowest arc of each state.

    As `load_equally`; ``head`` [steps] is the state that each step leads to.
    """
    states = len(first) - 1
    queue = np.empty(states, np.int64)
    hops = np.empty(states, np.int64)
    choice = np.empty(states, np.int64)
    need = np.empty(states)
    for d in range(begin, end):
        seen = _search(ends[d], first, tail, hops, queue)
        need[:] = 0
        need[: demand.shape[1]] = demand[d]
        choice[:] = -1
        for i in range(seen):
            u = queue[i]
            for k in range(first[u], first[u + 1]):
                v = tail[k]
                if hops[v] == hops[u] + 1 and (choice[v] < 0 or arc[k] < arc[choice[v]]):
                    choice[v] = k
        for i in range(seen - 1, -1, -1):
            v = queue[i]
            if hops[v] > 0 and need[v] > 0:
                k = choice[v]
                load[arc[k]] += need[v]
                need[head[k]] += need[v]
