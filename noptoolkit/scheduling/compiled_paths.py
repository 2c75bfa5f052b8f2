"""Walks over task graphs, compiled: topological order, heads and tails, longest paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["critical_chain", "heads_and_tails", "topological_order"]


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
