"""Costs of cheapest trees to all small subsets of some endpoints at once, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["tree_costs"]


@njit(cache=True)
def tree_costs(distance: Floats, ends: Ints, most: int) -> Any:
    """Return the length of the cheapest tree from each vertex to each subset, [subsets, vertices].

    Every vertex may copy (Dreyfus and Wagner, Networks 1971): a tree goes from its root to the vertex where
    it first parts in two, and each part reaches its members by a cheapest tree. Subsets are bit sets over
    ``ends``; those of more than ``most`` members are left infinite.

    Parameters
    ----------
    distance
        From each vertex to each other, [vertices, vertices].
    ends
        Vertex of each endpoint.
    """
    vertices = len(distance)
    cost = np.full((1 << len(ends), vertices), np.inf)
    cost[0] = 0.0
    parted = np.empty(vertices)
    for subset in range(1, 1 << len(ends)):
        size = 0
        rest = subset
        while rest > 0:
            size += rest & 1
            rest >>= 1
        if size > most:
            continue
        lowest = subset & -subset
        if size == 1:
            bit = 0
            while (subset >> bit) & 1 == 0:
                bit += 1
            for v in range(vertices):
                cost[subset, v] = distance[v, ends[bit]]
            continue
        parted[:] = np.inf
        others = subset ^ lowest
        half = others
        while half > 0:  # each way to part the subset in two, the lowest member in the first
            half = (half - 1) & others
            first = half | lowest
            for v in range(vertices):
                parted[v] = min(parted[v], cost[first, v] + cost[subset ^ first, v])
        for v in range(vertices):
            best = parted[v]
            for u in range(vertices):
                best = min(best, distance[v, u] + parted[u])
            cost[subset, v] = best
    return cost
