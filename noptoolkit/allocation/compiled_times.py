"""Compiled inner loop of the search for a layout of least time; see `noptoolkit.allocation.time_search`.

Imported only by the function that searches, because numba is slow to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["anneal_time", "smooth_time", "start_time"]

Array = Any
State = Any  # the tuple that start_time returns; numba infers its type


@njit(cache=True)
def start_time(
    members: Array,
    weight: Array,
    places: Array,
    load: Array,
    parts: Array,
    out: Array,
    back: Array,
    choice_time: Array,
    streaming: float,
) -> State:
    """Return (inside, met, busy out, busy back, busy chiplets) of a layout.

    ``inside[t, q]`` counts the experts of set t on chiplet q, ``met[t, P]`` the chiplets of set t in part P.
    Behind the chiplets stands ``streaming``, which no swap changes: the time that the weights load.
    """
    sets, k = members.shape
    count, chiplets = parts.shape
    inside = np.zeros((sets, chiplets), dtype=np.uint8)
    met = np.zeros((sets, count), dtype=np.uint8)
    busy_out, busy_back = np.zeros(len(out)), np.zeros(len(back))
    busy, tokens = np.zeros(chiplets + 1), np.zeros(count)
    busy[chiplets] = streaming
    for a in range(len(places)):
        if places[a] < chiplets:
            busy[places[a]] += load[a] * choice_time[places[a]]
    for t in range(sets):
        for i in range(k):
            q = places[members[t, i]]
            if q < chiplets:
                if inside[t, q] == 0:
                    for j in range(count):
                        met[t, j] += parts[j, q]
                inside[t, q] += 1
        for j in range(count):
            if met[t, j] > 0:
                tokens[j] += weight[t]
    for r in range(len(out)):
        for j in range(count):
            busy_out[r] += tokens[j] * out[r, j]
            busy_back[r] += tokens[j] * back[r, j]
    return inside, met, busy_out, busy_back, busy


@njit(cache=True)
def _norm(values: Array, scale: float) -> float:
    """Return the 16-norm, a smooth maximum, computed with the values over a scale near their maximum."""
    total = 0.0
    for value in values:
        x = value / scale
        x = x * x
        x = x * x
        x = x * x
        total += x * x
    smooth: float = scale * total**0.0625
    return smooth


@njit(cache=True)
def smooth_time(busy_out: Array, busy_back: Array, busy: Array, scale: float) -> float:
    """Return the sum of the smooth maxima of dispatch, combine and experts."""
    return _norm(busy_out, scale) + _norm(busy_back, scale) + _norm(busy, scale)


@njit(cache=True)
def _move(
    members: Array,
    starts: Array,
    sets_of: Array,
    weight: Array,
    a: int,
    b: int,
    p: int,
    q: int,
    state: State,
    near: Array,
    change: Array,
    really: bool,
) -> None:
    """Add to ``change``, [parts], the tokens met if a moves from p to q while b moves from q to p.

    Only the sets of a are looked at; those that hold b too do not change. ``really`` also makes the move.
    """
    inside, met = state[0], state[1]
    parts_of, parts_count, parts = near
    for i in range(starts[a], starts[a + 1]):
        t = sets_of[i]
        both = False
        for j in range(members.shape[1]):
            both |= members[t, j] == b
        if both:
            continue
        leaves, joins = inside[t, p] == 1, inside[t, q] == 0
        if leaves:
            for x in range(parts_count[p]):
                j = parts_of[p, x]
                if met[t, j] == 1 and not (joins and parts[j, q]):
                    change[j] -= weight[t]
        if joins:
            for x in range(parts_count[q]):
                j = parts_of[q, x]
                if met[t, j] == 0:
                    change[j] += weight[t]
        if really:
            inside[t, p] -= 1
            inside[t, q] += 1
            if leaves:
                for x in range(parts_count[p]):
                    met[t, parts_of[p, x]] -= 1
            if joins:
                for x in range(parts_count[q]):
                    met[t, parts_of[q, x]] += 1


@njit(cache=True)
def anneal_time(
    sets: Array,
    places: Array,
    state: State,
    model: Array,
    near: Array,
    limits: Array,
    pairs: Array,
    chances: Array,
    hot: float,
    cold: float,
) -> None:
    """Cool from ``hot`` to ``cold``, shares of the time; leave the best layout in ``places``.

    Step i proposes to swap ``pairs[i]`` and draws ``chances[i]`` from 0 to 1. Swaps that fill a block beyond
    its limit are never made.
    """
    members, weight, starts, sets_of, load = sets
    out, back, choice_time = model
    busy_out, busy_back, busy = state[2], state[3], state[4]
    weights, blocks, room = limits
    scale = max(busy_out.max(), busy_back.max(), busy.max(), 1e-300)
    now = smooth_time(busy_out, busy_back, busy, scale)
    best, best_places = now, places.copy()
    change = np.zeros(out.shape[1])
    new_out, new_back = busy_out.copy(), busy_back.copy()
    for step in range(len(pairs)):
        a, b = pairs[step]
        p, q = places[a], places[b]
        if p == q:
            continue
        allowed = True
        for m in range(len(weights)):
            x, y, more = blocks[m, p], blocks[m, q], weights[m, b] - weights[m, a]
            if x != y and (
                (more > 0 and more > room[m, x] + 1e-9) or (more < 0 and -more > room[m, y] + 1e-9)
            ):
                allowed = False
        if not allowed:
            continue
        change[:] = 0.0
        _move(members, starts, sets_of, weight, a, b, p, q, state, near, change, False)
        _move(members, starts, sets_of, weight, b, a, q, p, state, near, change, False)
        new_out[:] = busy_out
        new_back[:] = busy_back
        for j in range(len(change)):
            if change[j] != 0.0:
                for r in range(len(new_out)):
                    new_out[r] += change[j] * out[r, j]
                    new_back[r] += change[j] * back[r, j]
        more_load = load[b] - load[a]
        busy[p] += more_load * choice_time[p]
        busy[q] -= more_load * choice_time[q]
        then = smooth_time(new_out, new_back, busy, scale)
        temperature = max(best - busy[-1], 1e-9 * best) * hot * (cold / hot) ** (step / len(pairs))
        if then > now and chances[step] >= np.exp((now - then) / temperature):
            busy[p] -= more_load * choice_time[p]
            busy[q] += more_load * choice_time[q]
            continue
        _move(members, starts, sets_of, weight, a, b, p, q, state, near, change, True)
        _move(members, starts, sets_of, weight, b, a, q, p, state, near, change, True)
        busy_out[:] = new_out
        busy_back[:] = new_back
        places[a], places[b] = q, p
        for m in range(len(weights)):
            room[m, blocks[m, p]] -= weights[m, b] - weights[m, a]
            room[m, blocks[m, q]] += weights[m, b] - weights[m, a]
        now = then
        if now < best:
            best = now
            best_places[:] = places
    places[:] = best_places
