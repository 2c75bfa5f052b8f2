"""Counting of messages by bit sets, compiled by numba; see `noptoolkit.flow.trees.multicast`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["meet_narrow_sets", "meet_wide_sets", "sum_of_farthest"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


def _lowest_bit(context: Any, word: Any) -> Any:
    def count_trailing_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.uint64(types.uint64), count_trailing_zeros


lowest_bit: Any = intrinsic(_lowest_bit)  # its place in a word that is not 0, by one instruction


@njit(cache=True, nogil=True, fastmath=True)
def meet_narrow_sets(rows: Ints, members: Any, amount: Floats, masks: Any, met: Floats) -> None:
    """Add the bytes of the messages whose members meet each bit set, for at most 128 end points.

    Parameters
    ----------
    rows
        The messages, [rows].
    members, amount
        Bit set and bytes of every message, [messages, 1 or 2] and [messages].
    masks
        The bit sets, [2, sets]: as many tests as there are sets, but on all lanes of the processor at once.
    met
        Added to, [sets].
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
    """Add the bytes of the messages whose members meet each bit set, for any number of end points.

    The work grows with the members of a message and the bit sets they meet, not with all there are.

    Parameters
    ----------
    rows, members, amount, met
        As in `meet_narrow_sets`; members are [messages, words].
    holds
        The bit sets that hold each end point, as bit sets themselves, [64 words, words of sets].
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


@njit(cache=True, nogil=True)
def sum_of_farthest(row: Ints, members: Any, amount: Floats, distance: Floats) -> float:
    """Return the sum over messages of bytes times the largest distance of a member.

    Parameters
    ----------
    row
        Row of ``distance`` of each message, [messages].
    members, amount
        As in `meet_wide_sets`.
    distance
        To each end point, [rows, endpoints].
    """
    total = 0.0
    for i in range(len(row)):
        farthest = 0.0
        for word in range(members.shape[1]):
            left = members[i, word]
            while left != 0:
                reach = distance[row[i], 64 * word + np.int64(lowest_bit(left))]
                left &= left - np.uint64(1)
                if reach > farthest:
                    farthest = reach
        total += amount[i] * farthest
    return total
