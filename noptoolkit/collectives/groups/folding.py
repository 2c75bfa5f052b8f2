"""Groups at once where package and groups are symmetric: a small linear program over classes of channels.

By symmetry (`noptoolkit.collectives.prices.symmetry`) one price for every orbit of resources is enough, and
one group for every orbit of groups, in it one root or sender for every orbit of members. A master linear
program mixes the cheapest trees of all prices asked so far so that the largest use / capacity of a class is
smallest; its prices, drawn towards the best ones so far, ask for the next trees and for a bound (Kelley's
cutting planes, smoothed). Packages of many equal nodes have few classes, whatever their number of chiplets.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.groups.rounds import interval_so_far
from noptoolkit.collectives.groups.volume import Averaged
from noptoolkit.collectives.prices.pricing import Groups
from noptoolkit.collectives.prices.symmetry import Symmetry

__all__ = ["MOST_CLASSES", "mix"]

MOST_CLASSES = 48  # beyond, the volume algorithm needs fewer prices
SMOOTHING = 0.3


def mix(
    groups: Groups,
    symmetry: Symmetry,
    *,
    tol: float,
    deadline: float,
    most: int = 200,
    report: Callable[[str], None] | None = None,
) -> Averaged:
    """Return a mixture of trees within ``tol`` of its bound, if rounds and deadline allow.

    Parameters
    ----------
    symmetry
        With no more than `MOST_CLASSES` orbits of resources, so that rounds are few.
    """
    classes, orbit = np.unique(symmetry.orbit, return_inverse=True)
    size = np.bincount(orbit)
    capacity = groups.network.capacity
    wide = np.bincount(orbit, capacity)
    folded = groups.folded(symmetry)
    uses: list[Floats] = []
    relative: list[Floats] = []

    def ask(share: Floats) -> float:
        """Add the cheapest trees under prices, given as shares of the capacity's worth; return the bound."""
        total, _, use = folded.cheapest(
            (share / wide)[orbit],
            symmetric=symmetry.reversible,
            chosen=symmetry.chosen,
            weights=symmetry.weights,
        )
        uses.append(np.asarray(np.bincount(orbit, use), dtype=float))
        relative.append(uses[-1] / wide)
        return total

    floor = 1e-9 / len(classes)
    share = np.full(len(classes), 1 / len(classes))
    centre, best, time = share, 0.0, np.inf
    weights = np.ones(1)
    master = _Mixing(len(classes))
    for turn in range(most):
        bound = ask(share)
        if bound > best:
            best, centre = bound, share
        master.add(relative[-1])
        time, dual, weights = master.solve()
        if time <= best * (1 + tol) or clock.perf_counter() > deadline:
            break
        mixed = SMOOTHING * centre + (1 - SMOOTHING) * dual
        if (
            turn and bound < best
        ):  # a null step: look where the program points, or it would ask the same again
            mixed = 0.5 * mixed + 0.5 * dual
        share = np.maximum(mixed, floor)
        share /= share.sum()
        if report is not None and turn % 50 == 49:
            report(interval_so_far(turn + 1, time, best))
    use = np.average(uses, axis=0, weights=weights)
    each = use[orbit] / size[orbit]  # resources of an orbit have one capacity
    return Averaged(time, best, (centre / wide)[orbit], each, len(uses))


class _Mixing:
    """min z such that a mixture of columns is at most z everywhere, warm in HiGHS."""

    def __init__(self, rows: int) -> None:
        import highspy

        solver: Any = highspy.Highs.__base__  # the class itself prints a banner when it is made
        self.highs = solver()
        self.highs.setOptionValue("output_flag", False)
        self.infinite = highspy.kHighsInf
        nothing = np.array([], np.int32), np.array([])
        self.highs.addVar(0.0, self.infinite)
        self.highs.changeColCost(0, 1.0)
        self.highs.addRow(1.0, 1.0, 0, *nothing)
        for _ in range(rows):
            self.highs.addRow(-self.infinite, 0.0, 1, np.array([0], np.int32), np.array([-1.0]))
        self.scale = 0.0

    def add(self, column: Floats) -> None:
        self.scale = self.scale or float(column.max())
        rows = np.arange(len(column) + 1, dtype=np.int32)
        self.highs.addCol(0.0, 0.0, self.infinite, len(rows), rows, np.r_[1.0, column / self.scale])

    def solve(self) -> tuple[float, Floats, Floats]:
        """Return the largest use / capacity, the prices as shares of 1, and the weight of each column."""
        self.highs.run()
        solution = self.highs.getSolution()
        values = np.array(solution.col_value)
        weights = np.maximum(values[1:], 0.0)
        dual = np.maximum(-np.array(solution.row_dual)[1:], 0.0)
        return float(values[0]) * self.scale, dual / max(float(dual.sum()), 1e-300), weights / weights.sum()
