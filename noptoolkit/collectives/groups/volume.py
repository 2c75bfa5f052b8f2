"""Groups at once on large packages: a first-order method with a certified interval.

The dual problem, maximise the bound of `noptoolkit.collectives.prices.pricing` over prices y with C . y = 1,
is ascended by the volume algorithm (Barahona and Anbil, The volume algorithm: producing primal solutions with
a subgradient method, 2000): the cheapest trees under a price are a subgradient, and their running average,
whose loads are kept, is a schedule. The step is the gap over the squared length of the average subgradient;
the weight of the newest trees in the average is the best of a few.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.groups.rounds import interval_so_far
from noptoolkit.collectives.prices.pricing import Groups
from noptoolkit.collectives.prices.symmetry import Symmetry

__all__ = ["Averaged", "ascend"]

STEP_LIMITS = (1e-3, 4.0)
PATIENCE = 10  # rounds without progress after which the step shrinks
CHECKED = 100  # rounds after which the weight of new trees is reconsidered


@dataclass(frozen=True, eq=False)
class Averaged:
    """An interval, and how the average came to be.

    Parameters
    ----------
    time, bound
        Of the averaged schedule, and the bound on schedules in trees, in s.
    prices
        That prove the bound, [resources].
    use
        Of each resource by the average, in B, [resources].
    rounds
        Number of prices asked.
    """

    time: float
    bound: float
    prices: Floats
    use: Floats
    rounds: int


def ascend(
    groups: Groups,
    *,
    tol: float,
    deadline: float,
    symmetry: Symmetry,
    most: int = 100_000,
    report: Callable[[str], None] | None = None,
) -> Averaged:
    """Return an averaged schedule within ``tol`` of its bound, if the deadline allows."""
    capacity = groups.network.capacity
    folded = groups.folded(symmetry)

    def price(share: Floats) -> tuple[float, Floats]:
        """Return the bound and the relative loads of prices, given as shares of the capacity's worth."""
        mixed = (share + 1e-6 / len(share)) / (1 + 1e-6)
        total, _, use = folded.cheapest(
            mixed / capacity,
            symmetric=symmetry.reversible,
            chosen=symmetry.chosen,
            weights=symmetry.weights,
        )
        return total, symmetry.mean(use / capacity)

    share = symmetry.mean(np.full(len(capacity), 1 / len(capacity)))
    share = share / share.sum()
    best, newest = price(share)
    centre, average = share, newest.copy()
    time = float(average.max())
    step, weight, fails, checked, turn = 1.0, 0.1, 0, best, 0
    for turn in range(1, most):
        if time <= best * (1 + tol) or clock.perf_counter() > deadline:
            break
        direction = average - average.mean()
        goal = min(time, best * 1.05)
        share = _project(centre + step * (goal - best) / max(direction @ direction, 1e-300) * direction)
        value, newest = price(share)
        weights_tried = [weight / 10, weight / 3, weight, min(1.0, 2 * weight)]
        tried = [float(((1 - w) * average + w * newest).max()) for w in weights_tried]
        taken = weights_tried[int(np.argmin(tried))]
        average = (1 - taken) * average + taken * newest
        time = float(average.max())
        if value > best:
            if (newest - newest.mean()) @ direction > 0:
                step = min(step * 1.1, STEP_LIMITS[1])
            best, centre, fails = value, share, 0
        else:
            fails += 1
            if fails == PATIENCE:
                step, fails = max(step * 0.66, STEP_LIMITS[0]), 0
        if turn % CHECKED == 0:
            if best < checked * 1.002:
                weight = max(weight / 2, 2e-3)
            checked = best
            if report is not None:
                report(interval_so_far(turn + 1, time, best))
    return Averaged(time, best, centre / capacity, average * capacity, turn)


def _project(point: Floats) -> Floats:
    """Return the nearest point of the simplex (Held, Wolfe and Crowder 1974)."""
    ordered = np.sort(point)[::-1]
    above = np.cumsum(ordered) - 1
    last = np.flatnonzero(ordered > above / np.arange(1, len(ordered) + 1))[-1]
    return np.asarray(np.maximum(point - above[last] / (last + 1), 0.0))
