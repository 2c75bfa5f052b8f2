"""Walks over task graphs, compiled: topological order, heads and tails, longest paths, reach of fronts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "critical_chain",
    "heads_and_tails",
    "reach_of_chain",
    "reach_of_fronts",
    "topological_order",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@njit(cache=True)
def topological_order(pred_ptr: Ints, succ_ptr: Ints, succ: Ints) -> Any:
    """Return the tasks in an order in which predecessors come first; tasks on cycles are left out."""
    n = len(pred_ptr) - 1
    waiting = np.diff(pred_ptr)
    order = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        if waiting[i] == 0:
            order[count] = i
            count += 1
    done = 0
    while done < count:
        i = order[done]
        done += 1
        for e in range(succ_ptr[i], succ_ptr[i + 1]):
            j = succ[e]
            waiting[j] -= 1
            if waiting[j] == 0:
                order[count] = j
                count += 1
    return order[:count]


@njit(cache=True)
def heads_and_tails(order: Ints, time: Floats, succ_ptr: Ints, succ: Ints) -> Any:
    """Return the longest path before each task and the longest after it, both without its own time."""
    n = len(order)
    head = np.zeros(n)
    tail = np.zeros(n)
    for k in range(n):
        i = order[k]
        end = head[i] + time[i]
        for e in range(succ_ptr[i], succ_ptr[i + 1]):
            if end > head[succ[e]]:
                head[succ[e]] = end
    for k in range(n - 1, -1, -1):
        i = order[k]
        longest = 0.0
        for e in range(succ_ptr[i], succ_ptr[i + 1]):
            j = succ[e]
            if time[j] + tail[j] > longest:
                longest = time[j] + tail[j]
        tail[i] = longest
    return head, tail


@njit(cache=True)
def critical_chain(order: Ints, time: Floats, head: Floats, tail: Floats, succ_ptr: Ints, succ: Ints) -> Any:
    """Return the tasks of a longest path, first to last."""
    n = len(order)
    chain = np.empty(n, np.int64)
    best = order[0]
    for k in range(n):
        i = order[k]
        if head[i] == 0.0 and time[i] + tail[i] > time[best] + tail[best]:
            best = i
    chain[0] = best
    count = 1
    while succ_ptr[best] < succ_ptr[best + 1]:
        follower = succ[succ_ptr[best]]
        for e in range(succ_ptr[best], succ_ptr[best + 1]):
            j = succ[e]
            if time[j] + tail[j] > time[follower] + tail[follower]:
                follower = j
        best = follower
        chain[count] = best
        count += 1
    return chain[:count]


@njit(cache=True)
def reach_of_chain(chain: Ints, order: Ints, pred_ptr: Ints, pred: Ints, succ_ptr: Ints, succ: Ints) -> Any:
    """Return what `reach_of_fronts` returns of fronts of one task each that form a chain, in one walk."""
    n = len(order)
    place = np.full(n, -1, np.int64)
    for k in range(len(chain)):
        place[chain[k]] = k
    after = np.full(n, -1, np.int64)
    before = np.full(n, len(chain), np.int64)
    for k in range(n):
        i = order[k]
        for e in range(pred_ptr[i], pred_ptr[i + 1]):
            p = pred[e]
            after[i] = max(after[i], place[p] if place[p] >= 0 else after[p])
    for k in range(n - 1, -1, -1):
        i = order[k]
        for e in range(succ_ptr[i], succ_ptr[i + 1]):
            s = succ[e]
            before[i] = min(before[i], place[s] if place[s] >= 0 else before[s])
    before_or_in = np.where(place >= 0, place, before)
    return np.arange(len(chain)), after, after, before_or_in, before


@njit(cache=True)
def reach_of_fronts(
    front_ptr: Ints, front: Ints, order: Ints, pred_ptr: Ints, pred: Ints, succ_ptr: Ints, succ: Ints
) -> Any:
    """Return which fronts are kept, and which of them each task is after or before, in some part or in all.

    The fronts kept form a chain: every member of one has a successor in the next, and every member of the
    next a predecessor in it. Reaches are indices into those kept: the last front of which a task comes after
    some (all) members, -1 for none, and the first of which it comes before all members, or before or is one
    of them (some), the number of fronts for none. A front has at most 64 members.
    """
    n = len(order)
    count = len(front_ptr) - 1
    kept = np.empty(count, np.int64)
    keeps = 0
    after_some = np.full(n, -1, np.int64)
    after_all = np.full(n, -1, np.int64)
    before_some = np.full(n, count, np.int64)
    before_all = np.full(n, count, np.int64)
    mask = np.zeros(n, np.uint64)
    last = np.zeros(n, np.uint64)  # mask of the last front kept
    one = np.uint64(1)
    none = np.uint64(0)
    for f in range(count):
        members = front[front_ptr[f] : front_ptr[f + 1]]
        if keeps > 0:
            covered = none
            fits = True
            for i in members:
                covered |= last[i]
                fits = fits and last[i] != none
            size = front_ptr[kept[keeps - 1] + 1] - front_ptr[kept[keeps - 1]]
            full = ~none if size == 64 else (one << np.uint64(size)) - one
            if not fits or covered != full:
                continue
        size = len(members)
        full = ~none if size == 64 else (one << np.uint64(size)) - one
        mask[:] = none
        for m in range(size):
            mask[members[m]] |= one << np.uint64(m)
        for k in range(n):
            i = order[k]
            inherited = none
            for e in range(pred_ptr[i], pred_ptr[i + 1]):
                inherited |= mask[pred[e]]
            last[i] = inherited
            mask[i] |= inherited
            if inherited != none:
                after_some[i] = keeps
            if inherited == full:
                after_all[i] = keeps
        mask[:] = none
        for m in range(size):
            mask[members[m]] |= one << np.uint64(m)
        for k in range(n - 1, -1, -1):
            i = order[k]
            inherited = none
            for e in range(succ_ptr[i], succ_ptr[i + 1]):
                inherited |= mask[succ[e]]
            mask[i] |= inherited
            if mask[i] != none and before_some[i] == count:
                before_some[i] = keeps
            if inherited == full and before_all[i] == count:
                before_all[i] = keeps
        kept[keeps] = f
        keeps += 1
    for i in range(n):
        before_some[i] = min(before_some[i], keeps)
        before_all[i] = min(before_all[i], keeps)
    return kept[:keeps], after_some, after_all, before_some, before_all
