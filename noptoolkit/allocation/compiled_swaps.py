"""Compiled inner loops of the swap searches; the equations are in `noptoolkit.allocation.swap_search`.

Imported only by the functions that search, because numba is slow to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit.allocation.compiled_best import best_swap, bound_swaps, change_of_swap, update_bounds

__all__ = ["anneal_swaps", "build_state", "change_of_swap", "descend_swaps", "make_swap", "tabu_swaps"]

PRICE_STEP, PRICE_RANGE = 1.2, 1e4  # of the penalty in tabu search, per swap and in all

Array = Any
State = Any  # the tuple that build_state returns; numba infers its type


@njit(cache=True)
def build_state(
    members: Array, weight: Array, starts: Array, sets_of: Array, places: Array, count: int, movable: int
) -> State:
    """Return the state of a search.

    It is (members, weight, starts, sets_of, places, inside, alone, anew, [connectivity], movable, together).
    ``inside[q, t]`` counts the experts of set t in block q, ``anew[q, b]`` is A[b, q]: what a swap looks at
    lies in two rows. ``together[a, b]`` is the weight of the sets that hold both.
    """
    sets, k = members.shape
    slots = len(places)
    inside = np.zeros((count, sets), dtype=np.uint8)
    alone = np.zeros((slots, slots))
    together = np.zeros((slots, slots))
    anew = np.zeros((count, slots))
    connectivity = np.zeros(1)
    for a in range(slots):
        load = 0.0
        for i in range(starts[a], starts[a + 1]):
            load += weight[sets_of[i]]
        anew[:, a] = load
    for t in range(sets):
        for i in range(k):
            q = places[members[t, i]]
            if inside[q, t] == 0:
                connectivity[0] += weight[t]
                for j in range(k):
                    anew[q, members[t, j]] -= weight[t]
            inside[q, t] += 1
        for i in range(k):
            a = members[t, i]
            if inside[places[a], t] == 1:
                for j in range(k):
                    alone[a, members[t, j]] += weight[t]
            for j in range(k):
                together[a, members[t, j]] += weight[t]
    here = places.copy()
    return members, weight, starts, sets_of, here, inside, alone, anew, connectivity, movable, together


@njit(cache=True)
def _move(state: State, a: int, b: int, p: int, q: int, first: bool) -> None:
    """Bring gains and connectivity up to date when a moves from block p to block q and b the other way.

    The sets that hold both are looked at with the ``first`` of the two; `make_swap` has changed A as if no
    other expert of a set were on the two blocks.
    """
    members, weight, starts, sets_of, places, inside, alone, anew, connectivity, _, _ = state
    k = members.shape[1]
    for e in range(starts[a], starts[a + 1]):
        t = sets_of[e]
        w = weight[t]
        holds = False
        for i in range(k):
            holds |= members[t, i] == b
        if holds:
            sign = w * (1.0 * (inside[q, t] == 1) - 1.0 * (inside[p, t] == 1))
            if first and sign != 0.0:
                for i in range(k):
                    alone[a, members[t, i]] += sign
                    alone[b, members[t, i]] -= sign
            continue
        stay, there = inside[p, t] - 1, inside[q, t]  # of the set, beside a
        inside[p, t] -= 1
        inside[q, t] += 1
        if stay == 0 and there == 0:
            continue
        if stay > 0:
            connectivity[0] += w
            for i in range(k):
                anew[p, members[t, i]] -= w
        if there > 0:
            connectivity[0] -= w
            for i in range(k):
                anew[q, members[t, i]] += w
        if stay == 0 or there == 0:
            sign = w if there == 0 else -w
            for i in range(k):
                alone[a, members[t, i]] += sign
        if stay == 1 or there == 1:
            for i in range(k):
                c = members[t, i]
                if c != a and ((stay == 1 and places[c] == p) or (there == 1 and places[c] == q)):
                    sign = w if places[c] == p else -w
                    for j in range(k):
                        alone[c, members[t, j]] += sign


@njit(cache=True)
def make_swap(state: State, limits: Array, a: int, b: int) -> None:
    """Swap a and b and bring gains, connectivity and room up to date."""
    places, anew, together = state[4], state[7], state[10]
    p, q = places[a], places[b]
    for c in range(len(together)):  # sets that hold both cancel
        more = together[a, c] - together[b, c]
        anew[p, c] += more
        anew[q, c] -= more
    _move(state, a, b, p, q, True)
    _move(state, b, a, q, p, False)
    places[a], places[b] = q, p
    weights, blocks, room, _ = limits
    for m in range(len(weights)):
        more = weights[m, b] - weights[m, a]
        room[m, blocks[m, p]] -= more
        room[m, blocks[m, q]] += more


@njit(cache=True)
def _excess(limits: Array) -> float:
    """Return the penalty of all broken limits."""
    _, _, room, price = limits
    total = 0.0
    for m in range(len(price)):
        for block in range(room.shape[1]):
            total += price[m] * max(-room[m, block], 0.0)
    return total


@njit(cache=True)
def descend_swaps(state: State, limits: Array, rounding: float) -> int:
    """Make the best swap until none gains; return how many were made."""
    places, movable = state[4], state[9]
    bounds, free_from = bound_swaps(places, movable, state[7].shape[0])
    update_bounds(state, bounds, free_from, 0, -1, -1)
    made = 0
    while True:
        change, a, b = best_swap(state, limits, bounds, free_from, 0, -np.inf, rounding)
        if a < 0 or change >= -rounding:
            return made
        p, q = places[a], places[b]
        make_swap(state, limits, a, b)
        update_bounds(state, bounds, free_from, 0, p, q)
        made += 1


@njit(cache=True)
def _is_better(kept: bool, value: float, best_kept: bool, best: float, rounding: float) -> bool:
    """Return whether a layout is: one that keeps the limits, then the lesser value."""
    return (kept and not best_kept) or (kept == best_kept and value < best - rounding)


@njit(cache=True)
def tabu_swaps(state: State, limits: Array, patience: int, tenures: Array, rounding: float) -> Array:
    """Return the best layout of a tabu search; it ends after ``patience`` swaps without a better one.

    A swapped expert is barred for one of ``tenures`` turns. Prices rise while a limit is broken and fall
    while all are kept, so that the search crosses the border of the feasible layouts again and again.
    """
    places, connectivity = state[4], state[8]
    price = limits[3]
    first_price = price.copy()
    bounds, free_from = bound_swaps(places, state[9], state[7].shape[0])
    update_bounds(state, bounds, free_from, 0, -1, -1)
    excess = _excess(limits)
    best_kept = excess <= rounding
    best = connectivity[0] if best_kept else excess
    best_places = places.copy()
    turn, since, dearness = 0, 0, 1.0
    while since < patience:
        here = connectivity[0] + _excess(limits)
        aspired = best - rounding - here if best_kept else -np.inf
        _, least_a, least_b = best_swap(state, limits, bounds, free_from, turn, aspired, rounding)
        turn += 1
        since += 1
        if least_a < 0:
            update_bounds(state, bounds, free_from, turn, -1, -1)
            continue  # everything is barred: let time pass
        p, q = places[least_a], places[least_b]
        make_swap(state, limits, least_a, least_b)
        free_from[least_a] = turn + tenures[2 * turn % len(tenures)]
        free_from[least_b] = turn + tenures[(2 * turn + 1) % len(tenures)]
        update_bounds(state, bounds, free_from, turn, p, q)
        excess = _excess(limits) / dearness
        kept = excess <= rounding
        value = connectivity[0] if kept else excess
        if _is_better(kept, value, best_kept, best, rounding):
            best_kept, best, since = kept, value, 0
            best_places[:] = places
        dearness = (
            max(dearness / PRICE_STEP, 1 / PRICE_RANGE) if kept else min(dearness * PRICE_STEP, PRICE_RANGE)
        )
        price[:] = first_price * dearness
    price[:] = first_price
    return best_places


@njit(cache=True)
def anneal_swaps(
    state: State, limits: Array, pairs: Array, chances: Array, hot: float, cold: float, rounding: float
) -> Array:
    """Return the best layout of an annealing by Metropolis steps from temperature ``hot`` to ``cold``.

    Step i proposes to swap ``pairs[i]`` and draws ``chances[i]`` from 0 to 1.
    """
    places, connectivity = state[4], state[8]
    excess = _excess(limits)
    best_kept = excess <= rounding
    best = connectivity[0] if best_kept else excess
    best_places = places.copy()
    for step in range(len(pairs)):
        temperature = hot * (cold / hot) ** (step / len(pairs))
        a, b = pairs[step]
        if places[a] == places[b]:
            continue
        change = change_of_swap(state, limits, a, b)
        if change > 0 and chances[step] >= np.exp(-change / temperature):
            continue
        make_swap(state, limits, a, b)
        if change < 0:
            excess = _excess(limits)
            kept = excess <= rounding
            value = connectivity[0] if kept else excess
            if _is_better(kept, value, best_kept, best, rounding):
                best_kept, best = kept, value
                best_places[:] = places
    return best_places
