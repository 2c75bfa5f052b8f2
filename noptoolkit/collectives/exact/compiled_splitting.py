"""Splitting relays off and packing arborescences in integers, compiled by numba.

See `noptoolkit.collectives.exact.exact_trees` for the theorems and the order of the two steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit.collectives.exact.compiled_flow import link_arcs, max_flow

__all__ = ["pack_arborescences", "split_off"]

Ints = NDArray[Any]

INFINITE = 2**55
CANDIDATES = 6  # arcs compared before a batch is split


@njit(cache=True, nogil=True)
def _lacking(n: int, capacity: Ints, sources: Ints, weights: Ints, members: Ints) -> int:
    """Return how much of the total the first member that cannot receive all of it lacks; 0 if all can."""
    count = 0
    for u in range(n):
        for v in range(n):
            if capacity[u, v] > 0:
                count += 1
    m = count + len(sources)
    tail = np.empty(m, np.int64)
    head = np.empty(m, np.int64)
    residual = np.zeros(2 * m, np.int64)
    k = 0
    for u in range(n):
        for v in range(n):
            if capacity[u, v] > 0:
                tail[k] = u
                head[k] = v
                residual[2 * k] = capacity[u, v]
                k += 1
    total = 0
    for i in range(len(sources)):
        tail[k] = n
        head[k] = sources[i]
        residual[2 * k] = weights[i]
        total += weights[i]
        k += 1
    first, after, to = link_arcs(n + 1, tail, head)
    start = n
    for t in members:
        if t == start:
            continue
        value, _ = max_flow(first, after, to, residual, start, t, total)
        if value < total:
            return total - value
        start = t
    return 0


@njit(cache=True, nogil=True)
def split_off(capacity: Ints, relays: Ints, sources: Ints, weights: Ints, members: Ints) -> tuple[Ints, int]:
    """Replace pairs of arcs u -> w -> t at relays w by arcs u -> t, as much as connectivity allows.

    Splitting an amount off lowers exactly the cuts that w crosses alone, by the amount: so the largest
    possible one is found by lowering it by what the first failing member lacks, until none fails.

    Parameters
    ----------
    capacity
        Capacity from each vertex to each, [vertices, vertices]; changed in place.
    relays
        Vertices to split off, in this order, [relays].
    sources, weights
        Where data starts and how much, [sources].
    members
        Vertices that must stay able to receive everything, [members].

    Returns
    -------
    steps, left
        Rows of u, w, t, amount in the order of the splits; and the capacity left at relays.
    """
    n = len(capacity)
    steps = np.empty((64, 4), np.int64)
    count = 0
    left = 0
    for w in relays:
        for loops in range(2):  # u -> w -> u only loses capacity: last
            for u in range(n):
                if capacity[u, w] == 0:
                    continue
                for t in range(n):
                    if (u == t) != (loops == 1):
                        continue
                    amount = min(capacity[u, w], capacity[w, t])
                    if amount == 0:
                        continue
                    while amount > 0:
                        capacity[u, w] -= amount
                        capacity[w, t] -= amount
                        if u != t:
                            capacity[u, t] += amount
                        lacking = _lacking(n, capacity, sources, weights, members)
                        if lacking == 0:
                            break
                        capacity[u, w] += amount
                        capacity[w, t] += amount
                        if u != t:
                            capacity[u, t] -= amount
                        amount -= lacking
                    if amount > 0:
                        if count == len(steps):
                            more = np.empty((2 * count, 4), np.int64)
                            more[:count] = steps
                            steps = more
                        steps[count, 0] = u
                        steps[count, 1] = w
                        steps[count, 2] = t
                        steps[count, 3] = amount
                        count += 1
        for v in range(n):
            left += capacity[v, w] + capacity[w, v]
    return steps[:count], left


@njit(cache=True, nogil=True)
def _addable(
    n: int,
    tail: Ints,
    head: Ints,
    multiplicity: Ints,
    holds: Any,
    amount: Ints,
    batch: int,
    batches: int,
    arc: int,
) -> int:
    """Return how many trees of a batch may take an arc so that all other batches can still be completed."""
    m = len(tail)
    extra = 0
    for o in range(batch + 1, batches):
        for v in range(n):
            if holds[o, v]:
                extra += 1
        extra += 1
    ta = np.empty(m + extra, np.int64)
    he = np.empty(m + extra, np.int64)
    residual = np.zeros(2 * (m + extra), np.int64)
    for e in range(m):
        ta[e] = tail[e]
        he[e] = head[e]
        residual[2 * e] = multiplicity[e]
    k = m
    rest = 0
    node = n
    x = tail[arc]
    for o in range(batch + 1, batches):
        for v in range(n):
            if holds[o, v]:
                ta[k] = node
                he[k] = v
                residual[2 * k] = INFINITE
                k += 1
        ta[k] = x
        he[k] = node
        residual[2 * k] = amount[o]
        k += 1
        rest += amount[o]
        node += 1
    first, after, to = link_arcs(node, ta, he)
    want = min(amount[batch], multiplicity[arc])
    value, _ = max_flow(first, after, to, residual, x, head[arc], rest + want)
    addable: int = min(want, value - rest)
    return addable


@njit(cache=True, nogil=True)
def pack_arborescences(
    n: int,
    num_members: int,
    tail: Ints,
    head: Ints,
    multiplicity: Ints,
    roots: Ints,
    amounts: Ints,
    most: int,
) -> tuple[int, Ints, Ints, Ints]:
    """Pack ``amounts[i]`` arborescences at each root that span all members, as batches of equal trees.

    Each batch grows arc by arc (Lovasz' proof of Edmonds' theorem): an arc may join if the others can still
    be completed, which a maximum flow tells. A batch of which only a part may take the arc is parted.

    Parameters
    ----------
    multiplicity
        Trees that each arc may carry, [arcs]; what is left afterwards, in place.
    most
        Batches to make before giving up.

    Returns
    -------
    count, root, amount, arcs
        Number of batches, -1 without success; and of each its root, its number of trees and its arcs in
        growing order, [batches, members - 1].
    """
    m = len(tail)
    first_out = np.zeros(n + 1, np.int64)
    for e in range(m):
        first_out[tail[e] + 1] += 1
    for v in range(n):
        first_out[v + 1] += first_out[v]
    fill = first_out[:-1].copy()
    outgoing = np.empty(m, np.int64)
    for e in range(m):
        outgoing[fill[tail[e]]] = e
        fill[tail[e]] += 1
    root = np.empty(most, np.int64)
    amount = np.zeros(most, np.int64)
    size = np.ones(most, np.int64)
    holds = np.zeros((most, n), np.bool_)
    order = np.empty((most, num_members), np.int64)
    arcs = np.full((most, num_members - 1), -1, np.int64)
    batches = 0
    for i in range(len(roots)):
        if amounts[i] > 0:
            root[batches] = roots[i]
            amount[batches] = amounts[i]
            holds[batches, roots[i]] = True
            order[batches, 0] = roots[i]
            batches += 1
    tried = np.zeros(m, np.bool_)
    b = 0
    while b < batches:
        tried[:] = False
        while size[b] < num_members:
            best, best_arc, seen = 0, -1, 0
            for i in range(size[b]):
                x = order[b, i]
                for j in range(first_out[x], first_out[x + 1]):
                    e = outgoing[j]
                    if tried[e] or multiplicity[e] <= 0 or holds[b, head[e]]:
                        continue
                    mu = _addable(n, tail, head, multiplicity, holds, amount, b, batches, e)
                    if mu <= 0:
                        tried[e] = True  # impossible now, and for good
                        continue
                    seen += 1
                    if mu > best:
                        best, best_arc = mu, e
                    if best == amount[b] or seen == CANDIDATES:
                        break
                if best == amount[b] or seen >= CANDIDATES:
                    break
            if best_arc < 0:
                return -1, root[:0], amount[:0], arcs[:0]
            if best < amount[b]:
                if batches == most:
                    return -1, root[:0], amount[:0], arcs[:0]
                root[batches] = root[b]
                amount[batches] = amount[b] - best
                size[batches] = size[b]
                holds[batches] = holds[b]
                order[batches] = order[b]
                arcs[batches] = arcs[b]
                amount[b] = best
                batches += 1
            y = head[best_arc]
            arcs[b, size[b] - 1] = best_arc
            order[b, size[b]] = y
            size[b] += 1
            holds[b, y] = True
            multiplicity[best_arc] -= best
        b += 1
    return batches, root[:batches], amount[:batches], arcs[:batches]
