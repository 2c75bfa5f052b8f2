"""Bits of a word and random words, compiled by numba.

Random numbers are counter-based: a word is a hash (the finaliser of splitmix64: Steele, Lea and Flood, Fast
splittable pseudorandom number generators, OOPSLA 2014) of the key of a run, the purpose, the source and the
cycle. So nothing depends on the order of the calls, the machine or the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from noptoolkit.simulate.compiling import inlined

__all__ = ["at", "bits_in", "choose", "draw", "first_from", "lowest", "mix"]


def _at(context: Any, number: Any) -> Any:
    def keep(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], signature.args[0], types.uint64)

    return types.uint64(number), keep


def _lowest(context: Any, word: Any) -> Any:
    def count_trailing_zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.true_bit)

    return types.int64(types.int64), count_trailing_zeros


def _bits_in(context: Any, word: Any) -> Any:
    def population(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), population


at: Any = intrinsic(_at)  # an index that is not below 0: unsigned, so that no test for it is compiled
lowest: Any = intrinsic(_lowest)  # the place of the lowest bit that is set, of a word that is not 0
bits_in: Any = intrinsic(_bits_in)


@inlined
def mix(z: Any) -> Any:
    """Return a hash of a word."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def draw(key: Any, purpose: Any, source: Any, count: Any) -> Any:
    """Return a random word for a purpose (below 16), a source (below 2^14) and a count (below 2^36)."""
    place = (np.uint64(purpose) << np.uint64(50)) | (np.uint64(source) << np.uint64(36)) | np.uint64(count)
    return mix(key ^ place)


@inlined
def first_from(mask: Any, start: Any) -> Any:
    """Return the lowest bit set at or after a place, else the lowest: a round-robin arbiter."""
    high = mask & (np.int64(-1) << start)
    return lowest(high) if high != 0 else lowest(mask)


@inlined
def choose(net: Any, key: Any, entry: Any, source: Any, count: Any) -> Any:
    """Return one of the entries that a negative entry stands for, by the hash of the packet.

    The hash is turned by one bit, so that of two equal choices its lowest bit decides.
    """
    row = -entry - 1
    first, many = net.choices[row, 0], net.choices[row, 1]
    word = draw(key, net.choices[row, 2], source, count)
    salt = net.choices[row, 3]
    if salt != 0:
        word = mix(word ^ np.uint64(salt))
    word = (word >> np.uint64(1)) | (word << np.uint64(63))
    k = first
    while k + 1 < first + many and word >= net.choice_limit[k]:
        k += 1
    return np.int64(net.choice_entry[k])
