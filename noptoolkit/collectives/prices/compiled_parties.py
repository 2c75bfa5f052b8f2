"""What any schedule of an all-reduce must pay among its members, compiled by numba.

See `noptoolkit.collectives.prices.pricing` for the argument, by members and by parties of members.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.prices.compiled_arborescence import cheapest_arborescence

__all__ = ["least_of_any", "spanning_tree"]

LEVELS = 8  # distances at which members are made one party


@njit(cache=True, nogil=True)
def spanning_tree(cost: Floats, near: Ints, best: Floats) -> float:
    """Prim's minimum spanning tree of a symmetric matrix: ``near`` is the parent of each vertex, -1 at 0."""
    k = len(cost)
    near[:] = 0
    near[0] = -1
    for v in range(k):
        best[v] = cost[0, v]
    done = np.zeros(k, np.bool_)
    done[0] = True
    total = 0.0
    for _ in range(k - 1):
        v = -1
        for u in range(k):
            if not done[u] and (v < 0 or best[u] < best[v]):
                v = u
        done[v] = True
        total += best[v]
        for u in range(k):
            if not done[u] and cost[v, u] < best[u]:
                best[u] = cost[v, u]
                near[u] = v
    return total


@njit(cache=True, nogil=True)
def _least_of_parties(cost: Floats, symmetric: bool) -> float:
    """Return what any schedule of an all-reduce of one byte pays among parties; see `pricing`."""
    k = len(cost)
    if k < 2:
        return 0.0
    into, out = np.full(k, np.inf), np.full(k, np.inf)
    for i in range(k):
        for j in range(k):
            if i != j:
                out[i] = min(out[i], cost[i, j])
                into[j] = min(into[j], cost[i, j])
    if symmetric:
        tree = spanning_tree(cost, np.empty(k, np.int64), np.empty(k))
        total: float = tree + into.sum() - into.max()
        return total
    tail, head = np.empty(k * (k - 1), np.int64), np.empty(k * (k - 1), np.int64)
    weight, e = np.empty(k * (k - 1)), 0
    for i in range(k):
        for j in range(k):
            if i != j:
                tail[e], head[e], weight[e] = i, j, cost[i, j]
                e += 1
    forth, back = np.inf, np.inf
    for r in range(k):
        _, spread = cheapest_arborescence(k, r, tail, head, weight)
        _, collected = cheapest_arborescence(k, r, head, tail, weight)
        forth = min(forth, collected + into.sum() - into[r])
        back = min(back, spread + out.sum() - out[r])
    return max(forth, back)


@njit(cache=True, nogil=True)
def least_of_any(cost: Floats, symmetric: bool) -> float:
    """Return the same at its best over parties: members nearer to each other than some distance are one.

    Parameters
    ----------
    cost
        Cost from each member to each, [members, members].
    symmetric
        Whether it is.
    """
    k = len(cost)
    linked = np.minimum(cost, cost.T)
    near = np.empty(k, np.int64)
    spanning_tree(linked, near, np.empty(k))
    steps = np.zeros(k)
    for v in range(k):
        if near[v] >= 0:
            steps[v] = linked[v, near[v]]
    levels = np.sort(steps[1:])
    best, last, tries = _least_of_parties(cost, symmetric), -1.0, 0
    for at in range(k - 2, -1, -1):  # the longest steps first
        level = levels[at] * (1 + 1e-9)
        if at == k - 2 or level >= last * (1 - 1e-6) or tries == LEVELS:
            last = level
            continue
        last = level
        tries += 1
        party = np.arange(k)
        for _ in range(k):  # members of a party have a chain of short steps between them
            changed = False
            for v in range(k):
                if near[v] >= 0 and steps[v] <= level and party[v] != party[near[v]]:
                    low = min(party[v], party[near[v]])
                    party[v], party[near[v]], changed = low, low, True
            if not changed:
                break
        number, count = np.full(k, -1), 0
        for v in range(k):
            if number[party[v]] < 0:
                number[party[v]] = count
                count += 1
        smaller = np.full((count, count), np.inf)
        for i in range(k):
            for j in range(k):
                a, b = number[party[i]], number[party[j]]
                if a != b:
                    smaller[a, b] = min(smaller[a, b], cost[i, j])
        for a in range(count):
            smaller[a, a] = 0.0
        best = max(best, _least_of_parties(smaller, symmetric))
    return best
