"""Load caps and sizes: making a layout keep them, and saying which cap could be kept.

A layout that breaks a limit is mended by swaps that see the excess beside the copies; if that fails, from a
layout balanced by load. What no search can mend is reported with the smallest cap that a layout was found
for, an upper bound of the smallest feasible one (to find that is NP-hard: multiprocessor scheduling).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from noptoolkit.allocation.limits import Floats, Ints, Limit, excess_of, is_kept
from noptoolkit.allocation.plain import place_by_load
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.allocation.swap_search import search_tabu
from noptoolkit.errors import InfeasibleError, WorkloadError

__all__ = ["keep_limits", "limits_of"]

TIGHTENINGS = 12  # of a cap, by bisection: to 1/4000 of the first bracket


def limits_of(
    problem: LayoutProblem, cap_chiplet: float | None, cap_group: float | None
) -> tuple[Limit, ...]:
    """Return the load caps of a problem, given as multiples of the mean load per chiplet.

    Raises
    ------
    WorkloadError
        If a cap is not above 0.
    """
    mean = problem.load.sum() / problem.num_chiplets
    members = np.bincount(problem.group_of_chiplet)
    blocks = {
        "cap_chiplet": (cap_chiplet, np.arange(problem.num_chiplets), np.full(problem.num_chiplets, mean)),
        "cap_group": (cap_group, problem.group_of_chiplet, members * mean),
    }
    limits = []
    for name, (cap, block, unit) in blocks.items():
        if cap is None:
            continue
        if not cap > 0:
            raise WorkloadError(
                f"{name} {cap!r} must be above 0; it is a multiple of the mean load, such as 1.2"
            )
        limits.append(Limit(name, problem.load, block, cap * unit))
    return tuple(limits)


def keep_limits(problem: LayoutProblem, places: Ints, rng: np.random.Generator) -> Ints:
    """Return the layout itself if it keeps every limit, else a near one that does.

    Raises
    ------
    InfeasibleError
        If none was found; the message names the nearest cap that a layout was found for.
    """
    if is_kept(problem.limits, places):
        return places
    patience = 4 * problem.num_experts
    for start in (places, place_by_load(problem, rng)):
        mended = search_tabu(problem, start, patience=patience, rng=rng)
        if is_kept(problem.limits, mended):
            return mended
    worst = max(problem.limits, key=lambda limit: excess_of(limit, mended))
    if worst.name == "capacity":
        raise InfeasibleError(
            f"no layout found in which the experts' sizes fit the chiplets: {worst.weight.sum():g} in all, "
            f"capacity {worst.cap.sum():g}; give more capacity"
        )
    asked, nearest = _as_multiple(problem, worst, worst.cap), _nearest(problem, worst, rng)
    verdict = "no layout keeps" if asked < _least(problem, worst) else "no layout found with"
    raise InfeasibleError(
        f"{verdict} {worst.name}={asked:.4g}; the nearest cap that one was found for is {nearest:.4g}"
    )


def _least(problem: LayoutProblem, limit: Limit) -> float:
    """Return a cap, as a multiple of the mean load, that no layout can be below.

    The hottest expert shares a chiplet without empty slots with at least the coolest ones.
    """
    if limit.name != "cap_chiplet" or problem.slots.sum() > problem.num_experts:
        return 1.0
    ascending = np.sort(problem.load)
    fewest = int(problem.slots[problem.slots > 0].min())
    hottest = ascending[-1] + ascending[: fewest - 1].sum()
    return max(1.0, float(hottest / (problem.load.sum() / problem.num_chiplets)))


def _as_multiple(problem: LayoutProblem, limit: Limit, held: Floats) -> float:
    """Return weights per block as a multiple of the mean load."""
    chiplets = np.bincount(limit.block, minlength=len(limit.cap))
    mean = problem.load.sum() / problem.num_chiplets
    return float((held / (chiplets * mean)).max())


def _nearest(problem: LayoutProblem, limit: Limit, rng: np.random.Generator) -> float:
    """Return the smallest multiple of the mean load that bisection finds a layout for, rounded up."""
    others = tuple(other for other in problem.limits if other is not limit and other.name == "capacity")
    places = place_by_load(problem, rng)
    low, high = _as_multiple(problem, limit, limit.cap), _as_multiple(problem, limit, limit.held(places))
    for _ in range(TIGHTENINGS):
        cap = (low + high) / 2
        tighter = dataclasses.replace(limit, cap=limit.cap * (cap / _as_multiple(problem, limit, limit.cap)))
        tried = dataclasses.replace(problem, limits=(*others, tighter))
        found = search_tabu(tried, places, patience=2 * problem.num_experts, rng=rng)
        if is_kept(tried.limits, found):
            places, high = found, _as_multiple(problem, limit, limit.held(found))
        else:
            low = cap
    return float(np.ceil(high * 1000) / 1000)
