"""Which batches a curve has, and which of them are scheduled: some at first, then where the curve bends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from noptoolkit.errors import WorkloadError
from noptoolkit.serving.times import grid

__all__ = ["batches_of", "first_batches", "next_batch"]

MOST_BATCH = 1_000_000

BENT = 0.001
"""Share of a step by which neighbours must differ between two batches for another to be scheduled there."""


def batches_of(given: str | int | Iterable[int]) -> list[int]:
    """Return the batches that are asked for.

    Parameters
    ----------
    given
        ``"1:256"``: up to 200 from 1 to 256; ``"1:256:24"``: up to 24; ``"1,8,64"``; a number; or numbers.

    Raises
    ------
    WorkloadError
        If it names no batch.

    Examples
    --------
    >>> batches_of("1,8,64"), batches_of("2:5"), len(batches_of("1:1000")), batches_of(32)
    ([1, 8, 64], [2, 3, 4, 5], 200, [32])
    """
    way = 'give "1:256", "1:256:24", "1,8,64" or numbers, each a whole number above 0'
    asked = given
    if isinstance(given, str):
        ranged = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*(?::\s*(\d+)\s*)?", given)
        if ranged:
            least, most, count = int(ranged[1]), int(ranged[2]), int(ranged[3] or 200)
            if not (1 <= least <= most <= MOST_BATCH and count >= 2):
                raise WorkloadError(
                    f"batch={given!r}: from 1 up to {MOST_BATCH}, in order, two batches or more"
                )
            found = grid(least, most, count)
            return (
                found
                if len(found) <= count
                else [found[i] for i in np.linspace(0, len(found) - 1, count).astype(int)]
            )
        try:
            given = [int(part) for part in given.split(",")]
        except ValueError:
            raise WorkloadError(f"batch={given!r}: {way}") from None
    listed = [given] if isinstance(given, int) else list(given)
    if not listed or any(not isinstance(n, int | np.integer) or isinstance(n, bool) for n in listed):
        raise WorkloadError(f"batch={asked!r}: {way}")
    if min(listed) < 1 or max(listed) > MOST_BATCH:
        raise WorkloadError(f"batch={asked!r}: a batch is a whole number from 1 to {MOST_BATCH}")
    return sorted({int(n) for n in listed})


def first_batches(asked: Sequence[int], count: int) -> list[int]:
    """Return some of the batches that are asked for: the small ones, then evenly by their logarithm."""
    if len(asked) <= count:
        return list(asked)
    small = [n for n in asked if n <= 12][:12]
    rest = [n for n in asked if n not in small]
    wanted = np.geomspace(rest[0], rest[-1], max(count - len(small), 2))
    near = {min(rest, key=lambda n: abs(np.log(n / x))) for x in wanted}
    for n in rest:  # the same number, where several lie near one
        if len(near) + len(small) >= count:
            break
        near.add(n)
    return sorted({*small, *near})


def next_batch(asked: Sequence[int], ratio: Mapping[int, float]) -> int | None:
    """Return a batch between two that are scheduled, where the ratio may be least well known.

    Between two neighbours the ratio is a straight line of logarithms. The lines of the neighbours on either
    side, drawn on, say how far from it the ratio may be: far where it bends, and not at all on a straight
    course, however steep. ``None`` where it is nowhere farther than `BENT`.

    Examples
    --------
    >>> next_batch(range(1, 101), {1: 1.0, 10: 1.0, 40: 1.1, 100: 1.1})  # it bends at 10 and at 40
    3
    >>> next_batch(range(1, 101), {1: 1.0, 10: 10.0, 100: 100.0}) is None  # steep, but straight
    True
    """
    chosen = sorted(ratio)
    place = np.log(chosen)
    value = np.log([ratio[n] for n in chosen])
    slope = np.diff(value) / np.diff(place)
    bend = np.abs(np.diff(slope, prepend=slope[:1], append=slope[-1:]))
    worst, found = BENT, None
    for k, width in enumerate(np.diff(place).tolist()):
        inside = [n for n in asked if chosen[k] < n < chosen[k + 1]]
        far = width / 2 * float(max(bend[k], bend[k + 1]))
        if inside and far > worst:
            middle = float(place[k]) + width / 2
            worst, found = far, min(inside, key=lambda n: abs(float(np.log(n)) - middle))
    return found
