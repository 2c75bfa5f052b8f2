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
    _, _, _, _, places, _, alone, anew, _, _ = state
    p, q = places[a], places[b]
    change = anew[b, p] - alone[a, a] + alone[a, b] + anew[a, q] - alone[b, b] + alone[b, a]
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
def bound_swaps(places: Array, movable: int, slots: int, count: int) -> tuple[Any, Array]:
    """Return (residents, sizes, least of all, least of the free, changed), to be filled, and free_from.

    ``residents[q, :sizes[q]]`` are the movable experts of chiplet q; least[p, q] is the minimum of f(., q) on
    chiplet p, over all of them and over those that are not barred; ``changed`` marks rows to compute anew.
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
    return (residents, sizes, least, least.copy(), np.ones(count, dtype=np.bool_)), free_from


@njit(cache=True)
def update_bounds(state: State, bounds: Any, free_from: Array, turn: int, p: int, q: int) -> None:
    """Bring the bounds up to date after experts of chiplets p and q, none where -1, were swapped.

    A swap changes A in columns p and q and S[a, a] on p and q alone: two columns and two rows. Chiplets of
    experts that are free again have a new row as well.
    """
    places, alone, anew = state[4], state[6], state[7]
    residents, sizes, least, least_free, changed = bounds
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
                value = anew[a, column] - alone[a, a]
                least[here, column] = min(least[here, column], value)
                if free_from[a] <= turn:
                    least_free[here, column] = min(least_free[here, column], value)
    for row in range(count):
        if not changed[row]:
            continue
        changed[row] = False
        least[row] = np.inf
        least_free[row] = np.inf
        for i in range(sizes[row]):
            a = residents[row, i]
            own, free = alone[a, a], free_from[a] <= turn
            for column in range(count):
                least[row, column] = min(least[row, column], anew[a, column] - own)
            if free:
                for column in range(count):
                    least_free[row, column] = min(least_free[row, column], anew[a, column] - own)


@njit(cache=True)
def best_swap(
    state: State, limits: Array, bounds: Any, free_from: Array, turn: int, aspired: float, rounding: float
) -> tuple[float, int, int]:
    """Return the least change of a swap and its experts a > b, the first of equals; -1 where none is allowed.

    Experts barred beyond ``turn`` are swapped only for a change below ``aspired``.
    """
    _, blocks, room, price = limits
    _, _, least_of_all, least_of_free, _ = bounds
    count = len(least_of_all)
    over = np.zeros(count)
    for m in range(len(price)):
        for q in range(count):
            over[q] += price[m] * max(-room[m, blocks[m, q]], 0.0)
    found = (np.inf, -1, -1)
    first, first_p, first_q = np.inf, -1, -1
    for p in range(count):
        for q in range(p):
            bound = least_of_free[p, q] + least_of_free[q, p] - over[p] - over[q]
            if bound < first:
                first, first_p, first_q = bound, p, q
    if first_p >= 0:
        found = _best_between(state, limits, bounds, free_from, turn, aspired, first_p, first_q, found)
    for p in range(count):
        for q in range(p):
            limit = found[0] + rounding
            relief = over[p] + over[q]
            if least_of_free[p, q] + least_of_free[q, p] - relief <= limit or (
                least_of_all[p, q] + least_of_all[q, p] - relief <= min(limit, aspired + rounding)
            ):
                found = _best_between(state, limits, bounds, free_from, turn, aspired, p, q, found)
    return found


@njit(cache=True)
def _best_between(
    state: State,
    limits: Array,
    bounds: Any,
    free_from: Array,
    turn: int,
    aspired: float,
    p: int,
    q: int,
    found: tuple[float, int, int],
) -> tuple[float, int, int]:
    """Return the best of a swap found and those of chiplets p and q."""
    residents, sizes = bounds[0], bounds[1]
    least, least_a, least_b = found
    for i in range(sizes[p]):
        for j in range(sizes[q]):
            a, b = residents[p, i], residents[q, j]
            if a < b:
                a, b = b, a
            change = change_of_swap(state, limits, a, b)
            if change > least:
                continue
            if change == least and (a > least_a or (a == least_a and b >= least_b)):
                continue
            barred = free_from[a] > turn or free_from[b] > turn
            if not barred or change < aspired:
                least, least_a, least_b = change, a, b
    return least, least_a, least_b
