"""Exact piecewise linear concave functions of one number, from points with supporting lines.

A concave function lies below the line that supports it at any point, and above the chord between any two
points. Where two supporting lines meet is the one place between their points that can still be a corner: it
is asked next, and if the function meets the lines there, it is the corner, and everything between is known
(Eisner and Severance, Journal of the ACM 23, 1976, for parametric programs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from noptoolkit._arrays import Floats

__all__ = ["Line", "Piecewise", "sandwich"]

TOL = 1e-6


@dataclass(frozen=True)
class Line:
    """Value a + b x of a supporting line.

    Parameters
    ----------
    at_zero, slope
        The numbers a and b.
    name
        What the line stands for.
    """

    at_zero: float
    slope: float
    name: tuple[str, ...] = ()

    def __call__(self, x: float) -> float:
        """Return the value at x."""
        return self.at_zero + self.slope * x


@dataclass(frozen=True, eq=False)
class Piecewise:
    """A concave function between two piecewise linear ones.

    Parameters
    ----------
    x
        Points, in order; corners among them, [points].
    value
        Value achieved at each, [points].
    upper
        Upper bound at each, [points].
    lines
        Supporting lines; their minimum bounds the function everywhere.
    """

    x: Floats
    value: Floats
    upper: Floats
    lines: tuple[Line, ...]

    def corners(self, tol: float = TOL) -> Floats:
        """Return where the slope of the upper bound changes, ends left out."""
        return np.array([start for start, _, _ in self.pieces(tol)[1:]])

    def pieces(self, tol: float = TOL) -> list[tuple[float, float, Line]]:
        """Return the intervals of the upper bound's pieces, each with its line.

        Pieces without which the bound changes by less than ``tol`` of its value are left out: they are what
        rounding makes of a corner.
        """
        low, high = float(self.x[0]), float(self.x[-1])
        chosen = _envelope(self.lines, low, high)
        while len(chosen) > 1:
            lost = [_without(chosen, k, low, high) for k in range(len(chosen))]
            least = int(np.argmin(lost))
            if lost[least] > tol:
                break
            del chosen[least]
        meets = [_meeting(a, b) for a, b in pairwise(chosen)]
        return list(zip([low, *meets], [*meets, high], chosen, strict=True))


def _envelope(lines: Sequence[Line], low: float, high: float) -> list[Line]:
    """Return the lines whose minimum it is, from left to right."""
    here = low
    line = min(lines, key=lambda one: (one(low), one.slope))
    chosen = [line]
    while True:
        flatter = [one for one in lines if one.slope < line.slope]
        meets = [(_meeting(line, one), one.slope, k) for k, one in enumerate(flatter)]
        later = [meet for meet in meets if here <= meet[0] < high]
        if not later:
            return chosen
        here, _, k = min(later)
        line = flatter[k]
        chosen.append(line)


def _meeting(one: Line, other: Line) -> float:
    return (other.at_zero - one.at_zero) / (one.slope - other.slope)


def _without(chosen: list[Line], k: int, low: float, high: float) -> float:
    """Return by how much the minimum grows, relatively, where it grows most, without one of its lines."""
    if k == 0:
        at, others = low, chosen[1:2]
    elif k == len(chosen) - 1:
        at, others = high, chosen[k - 1 : k]
    else:
        at, others = _meeting(chosen[k - 1], chosen[k + 1]), [chosen[k - 1]]
    return others[0](at) / chosen[k](at) - 1.0 if chosen[k](at) > 0 else np.inf


def sandwich(
    ask: Callable[[float], tuple[float, list[Line]]],
    low: float,
    high: float,
    *,
    tol: float = TOL,
    most: int = 200,
    corners: int | None = None,
) -> Piecewise:
    """Return a concave function between two ends, exactly as far as its oracle is exact.

    Parameters
    ----------
    ask
        Gives the value at a point, and lines that bound the function from above, tight there.
    low, high
        Ends.
    tol
        Relative difference of value and line that counts as none.
    most
        Number of questions after which to stop.
    corners
        Number of corners, from the left, after which to stop; the function is known up to the last one.
    """
    points: dict[float, float] = {}
    lines: list[Line] = []

    def put(x: float) -> None:
        value, found = ask(x)
        points[x] = value
        lines.extend(found)

    put(low)
    if high > low:
        put(high)
    certain = 0
    for _ in range(most):
        ordered = sorted(points)
        piecewise = _assembled(points, lines)
        target = None
        certain = 0
        for start, _, _ in piecewise.pieces()[1:]:
            near = min(ordered, key=lambda x: abs(x - start))
            upper = min(line(start) for line in lines)
            right = int(np.searchsorted(ordered, start))
            a, b = ordered[max(right - 1, 0)], ordered[min(right, len(ordered) - 1)]
            share = (start - a) / (b - a) if b > a else 0.0
            chord = (1 - share) * points[a] + share * points[b]
            if upper - chord <= tol * abs(upper) or abs(near - start) <= 1e-9 * (high - low):
                certain += 1  # known, or asked already and no better known
                continue
            target = start
            break
        if target is None or (corners is not None and certain >= corners):
            break
        put(target)
    return _assembled(points, lines)


def _assembled(points: dict[float, float], lines: list[Line]) -> Piecewise:
    x = np.array(sorted(points))
    value = np.array([points[at] for at in x.tolist()])
    upper = np.array([min(line(at) for line in lines) for at in x.tolist()])
    return Piecewise(x, value, np.maximum(upper, value), tuple(lines))
