"""Bit sets built and merged in one pass each, compiled by numba; see `noptoolkit.traffic.routed`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Bits, Floats

__all__ = ["join_bits", "merge_rows"]

Words = Bits


@njit(cache=True, nogil=True)
def join_bits(chosen: Any, members: Words) -> None:
    """Set the bits of some endpoints in each row: ``chosen`` is [rows, k], ``members`` [rows, words]."""
    for i in range(len(chosen)):
        for j in range(chosen.shape[1]):
            members[i, chosen[i, j] // 64] |= np.uint64(1) << np.uint64(chosen[i, j] % 64)


@njit(cache=True, nogil=True)
def merge_rows(members: Words, amount: Floats, slots: Words, distinct: Words, total: Floats) -> int:
    """Fill the distinct rows, in the order in which they first occur, and their amounts; return how many.

    Parameters
    ----------
    members, amount
        [rows, words], [rows].
    slots
        Zeros, a power of two and more than the rows: a hash table with open addressing. A slot holds the
        upper half of a hash and, plus one, the place among the distinct rows.
    distinct, total
        Output: distinct rows and their sums, [rows, words] and [rows].
    """
    last = np.uint64(len(slots) - 1)
    upper = np.uint64(0xFFFFFFFF00000000)
    found = 0
    for i in range(len(members)):
        mixed = np.uint64(0)
        for word in range(members.shape[1]):  # multiply and fold, as splitmix64 does
            mixed = (mixed ^ members[i, word]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        slot = (mixed * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(20)) & last
        tag = mixed & upper
        while True:
            entry = slots[slot]
            if entry == 0:
                slots[slot] = tag | np.uint64(found + 1)
                distinct[found] = members[i]
                total[found] = amount[i]
                found += 1
                break
            if entry & upper == tag:
                place = np.int64(entry ^ tag) - 1
                same = True
                for word in range(members.shape[1]):
                    same &= distinct[place, word] == members[i, word]
                if same:
                    total[place] += amount[i]
                    break
            slot = (slot + np.uint64(1)) & last
    return found
