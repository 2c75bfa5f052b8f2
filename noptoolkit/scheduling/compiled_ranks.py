"""The order in which tasks are looked at, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["falling_order", "grouped"]

BITS = 11  # of a digit; six of them make up a float
DIGITS = 6
SIGN = np.uint64(1 << 63)


@njit(cache=True)
def falling_order(urgency: Floats) -> Any:
    """Return the rank of each task by falling urgency, and the task of each rank; of equal ones the first.

    A radix sort: its time is linear in the tasks, where numpy's stable sort of floats compares them.

    Parameters
    ----------
    urgency
        Finite or not, but no NaN, [tasks].
    """
    n = len(urgency)
    base = 1 << BITS
    mask = np.uint64(base - 1)
    keys, sorted_keys = np.empty(n, np.uint64), np.empty(n, np.uint64)
    order, sorted_order = np.empty(n, np.int32), np.empty(n, np.int32)
    counts = np.zeros((DIGITS, base), np.int64)
    bits = urgency.view(np.uint64)
    for i in range(n):
        order[i] = i
        key = bits[i] if urgency[i] != 0.0 else np.uint64(0)  # -0 is 0
        key = key if key & SIGN else ~(key | SIGN)  # the larger the float, the smaller
        keys[i] = key
        for digit in range(DIGITS):
            counts[digit, (key >> np.uint64(digit * BITS)) & mask] += 1
    for digit in range(DIGITS):
        place = counts[digit]
        if place.max() == n:
            continue  # all have the same
        total = 0
        for value in range(base):
            total, place[value] = total + place[value], total
        shift = np.uint64(digit * BITS)
        for k in range(n):
            value = (keys[k] >> shift) & mask
            sorted_keys[place[value]] = keys[k]
            sorted_order[place[value]] = order[k]
            place[value] += 1
        keys, sorted_keys = sorted_keys, keys
        order, sorted_order = sorted_order, order
    rank = np.empty(n, np.int32)
    for k in range(n):
        rank[order[k]] = k
    return rank, order


@njit(cache=True)
def grouped(order: Any, group: Ints, groups: int) -> Any:
    """Return an order with items of one group side by side, groups ascending, each in the order given.

    Parameters
    ----------
    order
        Items, each once, [items].
    group, groups
        Group of each item, [items], and how many there are.
    """
    place = np.zeros(groups, np.int64)
    for i in range(len(group)):
        place[group[i]] += 1
    total = 0
    for g in range(groups):
        total, place[g] = total + place[g], total
    found = np.empty_like(order)
    for k in range(len(order)):
        found[place[group[order[k]]]] = order[k]
        place[group[order[k]]] += 1
    return found
