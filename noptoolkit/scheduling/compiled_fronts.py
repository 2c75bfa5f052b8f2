"""Which tasks of a graph come after, and which before, the fronts of a lower bound, compiled.

A walk carries for each task a mask: which members of a front it comes after (or before). Fronts are taken
from the last to the first to see what comes after them, so that tasks that come after all members of one
are not walked over again for those before it; and the other way round to see what comes before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Bits, Floats, Ints

__all__ = ["reach_of_chain", "reach_of_fronts", "ways_between_fronts"]

Masks = Bits

ONE = np.uint64(1)
NONE = np.uint64(0)


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
    place = np.empty(n, np.int64)
    for k in range(n):
        place[order[k]] = k
    mask = np.zeros(n, np.uint64)
    stamp = np.full(n, -1, np.int64)  # the front that a mask is about: of another one, it counts as none
    kept = _chain_of_fronts(front_ptr, front, order, place, pred_ptr, pred, mask, stamp)
    keeps = len(kept)
    after_some = np.full(n, -1, np.int64)
    after_all = np.full(n, -1, np.int64)
    stamp[:] = -1
    left = np.arange(n)  # places of tasks after all of no front yet
    count = n
    for f in range(keeps - 1, -1, -1):
        members = front[front_ptr[kept[f]] : front_ptr[kept[f] + 1]]
        full = _mark(members, f, mask, stamp)
        rest = np.searchsorted(left[:count], place[members].min())
        for k in range(rest, count):
            i = order[left[k]]
            inherited = _gather(i, f, pred_ptr, pred, mask, stamp)
            if inherited != NONE and after_some[i] < 0:
                after_some[i] = f
            if inherited == full:
                after_all[i] = f
            else:
                left[rest] = left[k]
                rest += 1
        count = rest
    before_some = np.full(n, keeps, np.int64)
    before_all = np.full(n, keeps, np.int64)
    stamp[:] = -1
    left = np.arange(n)  # places, from the end, of tasks before all of no front yet
    count = n
    for f in range(keeps):
        members = front[front_ptr[kept[f]] : front_ptr[kept[f] + 1]]
        full = _mark(members, f, mask, stamp)
        rest = np.searchsorted(left[:count], n - 1 - place[members].max())
        for k in range(rest, count):
            i = order[n - 1 - left[k]]
            inherited = _gather(i, f, succ_ptr, succ, mask, stamp)
            if stamp[i] == f and before_some[i] == keeps:
                before_some[i] = f
            if inherited == full:
                before_all[i] = f
            else:
                left[rest] = left[k]
                rest += 1
        count = rest
    return kept, after_some, after_all, before_some, before_all


@njit(cache=True)
def ways_between_fronts(
    front_ptr: Ints,
    front: Ints,
    order: Ints,
    pred_ptr: Ints,
    pred: Ints,
    succ_ptr: Ints,
    succ: Ints,
    time: Floats,
    after_all: Ints,
    before_some: Ints,
    head: Floats,
    tail: Floats,
) -> Any:
    """Return how long the ways are between each task and the fronts kept beside it.

    The first is the least time from the end of a member of the last front that a task comes after all of to
    the task's start (its head where there is none). The others are from the task's end to the end of the
    last and of the first member to follow in the next front (its tail where there is none). All along the
    longest of the paths.
    """
    n = len(order)
    count = len(front_ptr) - 1
    place = np.empty(n, np.int64)
    for k in range(n):
        place[order[k]] = k
    since = head.copy()
    until_last = tail.copy()
    until_first = tail.copy()
    # the walk about a front begins at its first member, that of the next ends there or behind
    begins = np.empty(count, np.int64)
    ends = np.empty(count, np.int64)
    most = 1
    for f in range(count):
        members = front[front_ptr[f] : front_ptr[f + 1]]
        begins[f] = place[members].min()
        ends[f] = place[members].max() + 1
        most = max(most, len(members))
    widest = 1
    for f in range(count):
        widest = max(widest, (ends[f + 1] if f + 1 < count else n) - begins[f])
        widest = max(widest, ends[f] - (begins[f - 1] if f > 0 else 0))
    way = np.empty(
        (widest, most)
    )  # of the tasks of one walk, in order: -inf to members that it does not meet
    member = np.zeros(n, np.bool_)
    for f in range(count):
        members = front[front_ptr[f] : front_ptr[f + 1]]
        size = len(members)
        for i in members:
            member[i] = True
        begin = begins[f]
        end = ends[f + 1] if f + 1 < count else n
        for k in range(begin, end):
            i = order[k]
            here = way[k - begin]
            here[:size] = -np.inf
            for e in range(pred_ptr[i], pred_ptr[i + 1]):
                p = pred[e]
                if place[p] >= begin:
                    there = way[place[p] - begin]
                    for m in range(size):
                        here[m] = max(here[m], there[m] + time[p])
                    if member[p]:
                        for m in range(size):
                            if members[m] == p:
                                here[m] = max(here[m], 0.0)
            if after_all[i] == f:
                since[i] = here[:size].min()
        begin = begins[f - 1] if f > 0 else 0
        end = ends[f]
        for k in range(end - 1, begin - 1, -1):
            i = order[k]
            here = way[k - begin]
            here[:size] = -np.inf
            for e in range(succ_ptr[i], succ_ptr[i + 1]):
                s = succ[e]
                if place[s] < end:
                    there = way[place[s] - begin]
                    for m in range(size):
                        here[m] = max(here[m], there[m] + time[s])
                    if member[s]:
                        for m in range(size):
                            if members[m] == s:
                                here[m] = max(here[m], time[s])
            if before_some[i] == f:
                until_last[i] = max(0.0, here[:size].max())
                until_first[i] = 0.0 if member[i] else here[:size].min()
        for i in members:
            member[i] = False
    return since, until_last, until_first


@njit(cache=True)
def _chain_of_fronts(
    front_ptr: Ints,
    front: Ints,
    order: Ints,
    place: Ints,
    pred_ptr: Ints,
    pred: Ints,
    mask: Masks,
    stamp: Ints,
) -> Any:
    """Return the fronts that form a chain, each the next that fits behind the one before."""
    count = len(front_ptr) - 1
    kept = np.empty(count, np.int64)
    keeps = 0
    full = NONE
    begin = 0  # where the walk from the last front kept has come to
    for f in range(count):
        members = front[front_ptr[f] : front_ptr[f + 1]]
        end = place[members].max() + 1
        covered = NONE
        fits = True
        if keeps > 0:
            last = kept[keeps - 1]
            for k in range(begin, end):
                _gather(order[k], last, pred_ptr, pred, mask, stamp)
            begin = max(begin, end)
            for i in members:
                before = NONE
                for e in range(pred_ptr[i], pred_ptr[i + 1]):
                    if stamp[pred[e]] == last:
                        before |= mask[pred[e]]
                covered |= before
                fits = fits and before != NONE
        if covered == full and fits:
            kept[keeps] = f
            keeps += 1
            full = _mark(members, f, mask, stamp)
            begin = place[members].min()
    return kept[:keeps]


@njit(cache=True)
def _mark(members: Ints, front: int, mask: Masks, stamp: Ints) -> Any:
    """Give each member of a front its bit; return all bits."""
    full = NONE
    for m in range(len(members)):
        bit = ONE << np.uint64(m)
        if stamp[members[m]] == front:  # named twice
            mask[members[m]] |= bit
        else:
            mask[members[m]] = bit
            stamp[members[m]] = front
        full |= bit
    return full


@njit(cache=True)
def _gather(task: int, front: int, ptr: Ints, neighbours: Ints, mask: Masks, stamp: Ints) -> Any:
    """Add to a task's mask what its neighbours on one side have, and return that."""
    found = NONE
    for e in range(ptr[task], ptr[task + 1]):
        if stamp[neighbours[e]] == front:
            found |= mask[neighbours[e]]
    if found != NONE:
        if stamp[task] == front:
            mask[task] |= found
        else:
            mask[task] = found
            stamp[task] = front
    return found
