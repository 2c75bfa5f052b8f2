"""Compiled inner loop of the search for a layout of least time; see `noptoolkit.allocation.time_search`.

Imported only by the function that searches, because numba is slow to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["anneal_time", "smooth_time", "start_time", "tokens_met"]

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

    ``inside[q, t]`` counts the experts of set t on chiplet q, ``met[P, t]`` the chiplets of set t in part P:
    what a swap looks at lies in a few rows. Behind the chiplets stands ``streaming``, which no swap changes:
    the time that the weights load.
    """
    sets, k = members.shape
    count, chiplets = parts.shape
    inside = np.zeros((chiplets, sets), dtype=np.uint8)
    met = np.zeros((count, sets), dtype=np.uint8)
    busy_out, busy_back = np.zeros(len(out)), np.zeros(len(back))
    busy, tokens = np.zeros(chiplets + 1), np.zeros(count)
    busy[chiplets] = streaming
    for a in range(len(places)):
        if places[a] < chiplets:
            busy[places[a]] += load[a] * choice_time[places[a]]
    begins = np.zeros(chiplets + 1, dtype=np.int64)  # of the parts that hold each chiplet
    holding = np.empty(parts.sum(), dtype=np.int64)
    for q in range(chiplets):
        begins[q + 1] = begins[q]
        for j in range(count):
            if parts[j, q]:
                holding[begins[q + 1]] = j
                begins[q + 1] += 1
    for t in range(sets):
        for i in range(k):
            q = places[members[t, i]]
            if q < chiplets:
                if inside[q, t] == 0:
                    for e in range(begins[q], begins[q + 1]):
                        if met[holding[e], t] == 0:
                            tokens[holding[e]] += weight[t]
                        met[holding[e], t] += 1
                inside[q, t] += 1
    for r in range(len(out)):
        for j in range(count):
            busy_out[r] += tokens[j] * out[r, j]
            busy_back[r] += tokens[j] * back[r, j]
    return inside, met, busy_out, busy_back, busy


@njit(cache=True)
def tokens_met(members: Array, weight: Array, places: Array, parts_of: Array) -> Array:
    """Return how many tokens meet each part, [parts]; ``parts_of[q, P]`` is whether chiplet q is in P."""
    count = parts_of.shape[1]
    met = np.zeros(count)
    latest = np.full(count, -1)  # set that met a part
    for t in range(len(members)):
        for i in range(members.shape[1]):
            q = places[members[t, i]]
            for j in range(count):
                if parts_of[q, j] and latest[j] != t:
                    latest[j] = t
                    met[j] += weight[t]
    return met


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
def _stamp(starts: Array, sets_of: Array, expert: int, turn: int, stamp: Array) -> None:
    """Mark the sets that hold an expert with a turn."""
    for i in range(starts[expert], starts[expert + 1]):
        stamp[sets_of[i]] = turn


@njit(cache=True)
def _move(
    starts: Array,
    sets_of: Array,
    weight: Array,
    a: int,
    p: int,
    q: int,
    state: State,
    near: Array,
    change: Array,
    skipped: Array,
    turn: int,
    really: bool,
) -> None:
    """Add to ``change``, [parts], the tokens met if a moves from p to q while another moves from q to p.

    Only the sets of a are looked at; those that hold the other too, in ``skipped`` marked with the turn, do
    not change. ``really`` also makes the move. The last of ``near`` says whether every chiplet is a part of
    its own and of no other.
    """
    inside, met = state[0], state[1]
    parts_of, parts_count, parts, single = near
    if single:  # no branches, which are hard to foresee
        left, joined, old, new = 0.0, 0.0, parts_of[p, 0], parts_of[q, 0]
        for i in range(starts[a], starts[a + 1]):
            t = sets_of[i]
            moves = skipped[t] != turn
            left += weight[t] * (moves & (inside[p, t] == 1))
            joined += weight[t] * (moves & (inside[q, t] == 0))
            if really:
                inside[p, t] -= moves
                inside[q, t] += moves
                met[old, t] = inside[p, t] > 0
                met[new, t] = inside[q, t] > 0
        change[old] -= left
        change[new] += joined
        return
    for i in range(starts[a], starts[a + 1]):
        t = sets_of[i]
        if skipped[t] == turn:
            continue
        leaves, joins = inside[p, t] == 1, inside[q, t] == 0
        if leaves:
            for x in range(parts_count[p]):
                j = parts_of[p, x]
                if met[j, t] == 1 and not (joins and parts[j, q]):
                    change[j] -= weight[t]
        if joins:
            for x in range(parts_count[q]):
                j = parts_of[q, x]
                if met[j, t] == 0:
                    change[j] += weight[t]
        if really:
            inside[p, t] -= 1
            inside[q, t] += 1
            if leaves:
                for x in range(parts_count[p]):
                    met[parts_of[p, x], t] -= 1
            if joins:
                for x in range(parts_count[q]):
                    met[parts_of[q, x], t] += 1


@njit(cache=True)
def _spread(change: Array, uses: Any, busy: Array) -> None:
    """Add to the time that resources are busy what some more tokens in each part, ``change``, need there."""
    begins, rows, times = uses
    for j in range(len(change)):
        if change[j] != 0.0:
            for e in range(begins[j], begins[j + 1]):
                busy[rows[e]] += change[j] * times[e]


@njit(cache=True)
def anneal_time(
    sets: Array,
    places: Array,
    state: State,
    uses_out: Any,
    uses_back: Any,
    choice_time: Array,
    near: Array,
    limits: Array,
    pairs: Array,
    chances: Array,
    hot: float,
    cold: float,
) -> None:
    """Cool from ``hot`` to ``cold``, shares of the time; leave the best layout in ``places``.

    Step i proposes to swap ``pairs[i]`` and draws ``chances[i]`` from 0 to 1. Swaps that fill a block beyond
    its limit are never made. ``uses_out`` and ``uses_back`` are the columns of the model's matrices: where
    each part begins, resources, and s per token.
    """
    members, weight, starts, sets_of, load = sets
    busy_out, busy_back, busy = state[2], state[3], state[4]
    weights, blocks, room = limits
    scale = max(busy_out.max(), busy_back.max(), busy.max(), 1e-300)
    now = smooth_time(busy_out, busy_back, busy, scale)
    best, best_places = now, places.copy()
    change = np.zeros(len(state[1]))
    with_a, with_b = np.full(len(members), -1), np.full(len(members), -1)
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
        _stamp(starts, sets_of, a, step, with_a)
        _stamp(starts, sets_of, b, step, with_b)
        _move(starts, sets_of, weight, a, p, q, state, near, change, with_b, step, False)
        _move(starts, sets_of, weight, b, q, p, state, near, change, with_a, step, False)
        new_out[:] = busy_out
        new_back[:] = busy_back
        _spread(change, uses_out, new_out)
        _spread(change, uses_back, new_back)
        more_load = load[b] - load[a]
        busy[p] += more_load * choice_time[p]
        busy[q] -= more_load * choice_time[q]
        then = smooth_time(new_out, new_back, busy, scale)
        temperature = max(best - busy[-1], 1e-9 * best) * hot * (cold / hot) ** (step / len(pairs))
        if then > now and chances[step] >= np.exp((now - then) / temperature):
            busy[p] -= more_load * choice_time[p]
            busy[q] += more_load * choice_time[q]
            continue
        _move(starts, sets_of, weight, a, p, q, state, near, change, with_b, step, True)
        _move(starts, sets_of, weight, b, q, p, state, near, change, with_a, step, True)
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
