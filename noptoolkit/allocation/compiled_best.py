"""Compiled choice of the best swap of two experts, without looking at every pair.

With the sums S and A of `noptoolkit.allocation.swap_search`, let f(a, q) = A[a, q] - S[a, a]. The swap of a
on chiplet p and b on chiplet q changes the connectivity by

    f(a, q) + f(b, p) + S[a, b] + S[b, a]  >=  min of f(., q) on p  +  min of f(., p) on q,

and relieves broken limits of no more than what p and q hold too much. Pairs of chiplets whose bound exceeds
the best swap found are skipped; the result is that of looking at every pair.

Imported only by the functions that search, because numba is slow to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["best_swap", "bound_swaps", "change_of_swap", "update_bounds"]

Array = Any
State = Any  # the tuple that build_state returns; numba infers its type


@njit(cache=True)
def change_of_swap(state: State, limits: Array, a: int, b: int) -> Any:
    """Return what swapping a and b adds to connectivity and penalty."""
    places, alone, anew = state[4], state[6], state[7]
    p, q = places[a], places[b]
    change = anew[p, b] - alone[a, a] + alone[a, b] + anew[q, a] - alone[b, b] + alone[b, a]
    weights, blocks, room, price = limits
    for m in range(len(price)):
        x, y = blocks[m, p], blocks[m, q]
        if x != y:
            more = weights[m, b] - weights[m, a]  # what the block of a gains
            before = max(-room[m, x], 0.0) + max(-room[m, y], 0.0)
            after = max(more - room[m, x], 0.0) + max(-more - room[m, y], 0.0)
            change += price[m] * (after - before)
    return change


@njit(cache=True)
def bound_swaps(places: Array, movable: int, count: int) -> tuple[Any, Array]:
    """Return (residents, sizes, least of all, least of the free, pairs of both, changed), and free_from.

    They are to be filled by `update_bounds`. ``residents[q, :sizes[q]]`` are the movable experts of chiplet
    q; least[p, q] is the minimum of f(., q) on chiplet p, over all of them and over those that are not
    barred; the pairs are least[p, q] + least[q, p]; ``changed`` marks rows to compute anew.
    """
    sizes = np.zeros(count, dtype=np.int64)
    for a in range(movable):
        sizes[places[a]] += 1
    residents = np.full((count, max(1, sizes.max())), -1, dtype=np.int64)
    sizes[:] = 0
    for a in range(movable):
        residents[places[a], sizes[places[a]]] = a
        sizes[places[a]] += 1
    least = np.full((count, count), np.inf)
    free_from = np.zeros(movable, dtype=np.int64)
    changed = np.ones(count, dtype=np.bool_)
    return (residents, sizes, least, least.copy(), least.copy(), least.copy(), changed), free_from


@njit(cache=True)
def update_bounds(state: State, bounds: Any, free_from: Array, turn: int, p: int, q: int) -> None:
    """Bring the bounds up to date after experts of chiplets p and q, none where -1, were swapped.

    A swap changes A in columns p and q and S[a, a] on p and q alone: two columns and two rows. Chiplets of
    experts that are free again have a new row as well.
    """
    places, alone, anew = state[4], state[6], state[7]
    residents, sizes, least, least_free, pairs, pairs_free, changed = bounds
    movable, count = len(free_from), len(sizes)
    for a in range(movable):
        if free_from[a] == turn and turn > 0:
            changed[places[a]] = True
    if p >= 0:
        changed[p] = changed[q] = True
        sizes[p] = sizes[q] = 0
        for column in (p, q):
            least[:, column] = np.inf
            least_free[:, column] = np.inf
        for a in range(movable):
            here = places[a]
            if here in (p, q):
                residents[here, sizes[here]] = a
                sizes[here] += 1
            for column in (p, q):
                value = anew[column, a] - alone[a, a]
                least[here, column] = min(least[here, column], value)
                if free_from[a] <= turn:
                    least_free[here, column] = min(least_free[here, column], value)
    for row in range(count):
        if not changed[row]:
            continue
        least[row] = np.inf
        least_free[row] = np.inf
        for i in range(sizes[row]):
            a = residents[row, i]
            own, free = alone[a, a], free_from[a] <= turn
            for column in range(count):
                least[row, column] = min(least[row, column], anew[column, a] - own)
            if free:
                for column in range(count):
                    least_free[row, column] = min(least_free[row, column], anew[column, a] - own)
    for row in range(count):  # columns p and q are rows that changed, too
        if changed[row]:
            changed[row] = False
            for column in range(count):
                pairs[row, column] = pairs[column, row] = least[row, column] + least[column, row]
                free_pair = least_free[row, column] + least_free[column, row]
                pairs_free[row, column] = pairs_free[column, row] = free_pair


@njit(cache=True)
def best_swap(
    state: State, limits: Array, bounds: Any, free_from: Array, turn: int, aspired: float, rounding: float
) -> tuple[float, int, int]:
    """Return the least change of a swap and its experts a > b, the first of equals; -1 where none is allowed.

    Experts barred beyond ``turn`` are swapped only for a change below ``aspired``.
    """
    _, blocks, room, price = limits
    pairs, pairs_free = bounds[4], bounds[5]
    count = len(pairs)
    over = np.zeros(count)
    for m in range(len(price)):
        for q in range(count):
            over[q] += price[m] * max(-room[m, blocks[m, q]], 0.0)
    listed = np.empty((count * (count - 1) // 2 + 1, 2), dtype=np.int64)  # pairs of chiplets to look at
    first = np.inf
    for p in range(count):
        for q in range(p):
            bound = pairs_free[p, q] - over[p] - over[q]
            if bound < first:
                first = bound
                listed[0] = p, q
    found, barring = (np.inf, -1, -1), (free_from, turn, aspired)
    if first < np.inf:
        found = _best_between(state, limits, bounds, barring, rounding, over, listed[:1], found)
    limit, size = found[0] + rounding, 0
    for p in range(count):
        for q in range(p):
            relief = over[p] + over[q]
            if pairs_free[p, q] - relief <= limit or pairs[p, q] - relief <= min(limit, aspired + rounding):
                listed[size] = p, q
                size += 1
    return _best_between(state, limits, bounds, barring, rounding, over, listed[:size], found)


@njit(cache=True)
def _best_between(
    state: State,
    limits: Array,
    bounds: Any,
    barring: Any,
    rounding: float,
    over: Array,
    listed: Array,
    found: tuple[float, int, int],
) -> tuple[float, int, int]:
    """Return the best of a swap found and those of some pairs of chiplets, which hold ``over`` too much."""
    residents, sizes, least_of_all, pairs = bounds[0], bounds[1], bounds[2], bounds[4]
    alone, anew = state[6], state[7]
    free_from, turn, aspired = barring
    least, least_a, least_b = found
    own = np.empty(len(alone))  # side by side, as the diagonal is not
    for a in range(len(own)):
        own[a] = alone[a, a]
    for pair in range(len(listed)):
        p, q = listed[pair]
        relief = over[p] + over[q] + rounding
        if pairs[p, q] > least + relief:
            continue
        for i in range(sizes[p]):
            one = residents[p, i]
            there = anew[q, one] - own[one]
            if there + least_of_all[q, p] > least + relief:
                continue
            for j in range(sizes[q]):
                other = residents[q, j]
                apart = there + anew[p, other] - own[other]  # and more where sets hold both
                if apart > least + relief or apart + alone[one, other] + alone[other, one] > least + relief:
                    continue
                a, b = max(one, other), min(one, other)
                change = change_of_swap(state, limits, a, b)
                if change > least:
                    continue
                if change == least and (a > least_a or (a == least_a and b >= least_b)):
                    continue
                barred = free_from[a] > turn or free_from[b] > turn
                if not barred or change < aspired:
                    least, least_a, least_b = change, a, b
    return least, least_a, least_b
