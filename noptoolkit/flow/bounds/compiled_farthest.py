"""Distances of the farthest members of many bit sets, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from noptoolkit._arrays import Floats

__all__ = ["lowest_bit", "sum_of_farthest"]

Ints = NDArray[Any]


def _lowest_bit(context: Any, word: Any) -> Any:
    def count_trailing_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.uint64(types.uint64), count_trailing_zeros


lowest_bit: Any = intrinsic(_lowest_bit)  # its place in a word that is not 0, by one instruction


@njit(cache=True, nogil=True)
def sum_of_farthest(row: Ints, members: Any, amount: Floats, distance: Floats) -> float:
    """Return the sum over messages of bytes times the largest distance of a member.

    Parameters
    ----------
    row
        Row of ``distance`` of each message, [messages].
    members, amount
        Arrays as in `meet_wide_sets`.
    distance
        Distance to each endpoint, [rows, endpoints].
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
