"""Loads of messages to sets along cheap trees, compiled: members join at their nearest node, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Bools, Floats, Ints

__all__ = ["tree_loads"]


@njit(cache=True)
def tree_loads(price: Floats, root: Ints, inside: Bools, amount: Floats) -> Any:
    """Return what crosses each arc, in B, [nodes, nodes], and the price of all trees.

    Every message is copied wherever its tree branches; trees are found greedily (Takahashi and Matsuyama,
    Math. Japonica 24, 1980: at most twice the shortest).

    Parameters
    ----------
    price
        Of a byte over each arc, either way; infinite where there is no link, [nodes, nodes].
    root, inside, amount
        Root of each message, whether each node is a member, and its bytes.
    """
    size = len(price)
    apart = price.copy()
    after = np.empty((size, size), np.int64)
    for a in range(size):
        for b in range(size):
            after[a, b] = b
        apart[a, a] = 0.0
    for m in range(size):
        for a in range(size):
            for b in range(size):
                if apart[a, m] + apart[m, b] < apart[a, b]:
                    apart[a, b] = apart[a, m] + apart[m, b]
                    after[a, b] = after[a, m]
    load = np.zeros((size, size))
    near, start = np.empty(size), np.empty(size, np.int64)
    there = np.empty(size, np.bool_)
    total = 0.0
    for k in range(len(root)):
        there[:] = False
        there[root[k]] = True
        near[:] = apart[root[k]]
        start[:] = root[k]
        while True:
            best = -1
            for v in range(size):
                if inside[k, v] and not there[v] and (best < 0 or near[v] < near[best]):
                    best = v
            if best < 0:
                break
            u = start[best]
            while u != best:
                v = after[u, best]
                if not there[v]:
                    load[u, v] += amount[k]
                    total += amount[k] * price[u, v]
                    there[v] = True
                    for w in range(size):
                        if apart[v, w] < near[w]:
                            near[w], start[w] = apart[v, w], v
                u = v
    return load, total
