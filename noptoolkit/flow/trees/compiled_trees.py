"""Counting of messages by bit sets, compiled by numba; see `noptoolkit.flow.trees.multicast`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats
from noptoolkit.flow.bounds.compiled_farthest import lowest_bit

__all__ = ["meet_narrow_sets", "meet_wide_sets"]

Ints = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
def meet_narrow_sets(rows: Ints, members: Any, amount: Floats, masks: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set, for at most 128 endpoints.

    Parameters
    ----------
    rows
        The messages, [rows].
    members, amount
        Bit set and bytes of every message, [messages, 1 or 2] and [messages].
    masks
        The bit sets, [2, sets]: as many tests as there are sets, but on all lanes of the processor at once.
    met
        Bytes that are added to, [sets].
    """
    low, high = masks[0], masks[1]
    wide = members.shape[1] == 2
    for i in range(len(rows)):
        row = rows[i]
        share = amount[row]
        first = members[row, 0]
        second = members[row, 1] if wide else np.uint64(0)
        for g in range(len(met)):
            met[g] += share if (first & low[g]) | (second & high[g]) != 0 else 0.0


@njit(cache=True, nogil=True)
def meet_wide_sets(rows: Ints, members: Any, amount: Floats, holds: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set, for any number of endpoints.

    The work grows with the members of a message and the bit sets they meet, not with all there are.

    Parameters
    ----------
    rows, members, amount, met
        Arrays as in `meet_narrow_sets`; members are [messages, words].
    holds
        The bit sets that hold each endpoint, as bit sets themselves, [64 words, words of sets].
    """
    hit = np.empty(holds.shape[1], np.uint64)
    for i in range(len(rows)):
        row = rows[i]
        share = amount[row]
        hit[:] = 0
        for word in range(members.shape[1]):
            left = members[row, word]
            while left != 0:
                bit = 64 * word + np.int64(lowest_bit(left))
                left &= left - np.uint64(1)
                for k in range(len(hit)):
                    hit[k] |= holds[bit, k]
        for k in range(len(hit)):
            left = hit[k]
            while left != 0:
                met[64 * k + np.int64(lowest_bit(left))] += share
                left &= left - np.uint64(1)
