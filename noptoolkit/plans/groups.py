"""Groups of ranks: who communicates with whom in each dimension of a plan.

Ranks count row-major with the pipeline outermost, as Megatron-Core's do: a rank is (PP, DP, CP, TP) to
attention and (PP, EDP, EP, ETP) to the experts. (The listing of MoE Parallel Folding, arXiv 2504.14960,
reshapes so that pipeline groups of attention and experts differ unless TP x CP = ETP x EP; with PP
outermost they are always the same.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._names import resolve
from noptoolkit.plans.plan import ParallelPlan

__all__ = ["DIMENSIONS", "coordinates", "groups"]


def _attention(plan: ParallelPlan) -> Ints:
    return np.arange(plan.world).reshape(plan.pp, -1, plan.cp, plan.tp)


def _experts(plan: ParallelPlan) -> Ints:
    """Return the ranks as [PP, EDP, EP, ETP]."""
    if plan.folded:
        return np.arange(plan.world).reshape(plan.pp, -1, plan.ep, plan.etp)
    classic = np.arange(plan.world).reshape(plan.pp, -1, plan.ep, plan.cp, plan.tp)
    return np.moveaxis(classic, 3, 2).reshape(plan.pp, -1, plan.ep, plan.tp)


def _along(ranks: Ints, *axes: int) -> Ints:
    """Return the groups along some axes of a grid, [groups, size], members in row-major order."""
    last = range(ranks.ndim - len(axes), ranks.ndim)
    size = int(np.prod([ranks.shape[axis] for axis in axes]))
    return np.moveaxis(ranks, axes, list(last)).reshape(-1, size)


DIMENSIONS: dict[str, Callable[[ParallelPlan], Ints]] = {
    "tp": lambda plan: _along(_attention(plan), 3),
    "cp": lambda plan: _along(_attention(plan), 2),
    "dp": lambda plan: _along(_attention(plan), 1),
    "dp_cp": lambda plan: _along(_attention(plan), 1, 2),
    "etp": lambda plan: _along(_experts(plan), 3),
    "ep": lambda plan: _along(_experts(plan), 2),
    "edp": lambda plan: _along(_experts(plan), 1),
    "pp": lambda plan: _along(_attention(plan), 0),
    "stage": lambda plan: _attention(plan).reshape(plan.pp, -1),
}
"""Groups of each dimension; ``dp_cp`` are the replicas of attention's weights, ``stage`` a stage's ranks."""


def groups(plan: ParallelPlan, dimension: str) -> Ints:
    """Return the groups of a dimension as ranks, [groups, members].

    Parameters
    ----------
    plan
        A plan whose world is known.
    dimension
        A key of `DIMENSIONS`.

    Raises
    ------
    UnknownNameError
        If there is no such dimension.
    PlanError
        If the plan's world is not known.

    Examples
    --------
    >>> plan = ParallelPlan(tp=2, cp=2, ep=8, dp=2)
    >>> groups(plan, "cp").tolist(), groups(plan, "ep").tolist()
    ([[0, 2], [1, 3], [4, 6], [5, 7]], [[0, 1, 2, 3, 4, 5, 6, 7]])
    """
    return resolve(dimension, DIMENSIONS, "dimension")(plan)


def coordinates(plan: ParallelPlan) -> dict[str, Ints]:
    """Return the place of each rank along every dimension, name -> [ranks].

    Examples
    --------
    >>> coordinates(ParallelPlan(tp=2, ep=4, dp=2))["ep"].tolist()
    [0, 1, 2, 3]
    """
    places = {}
    for names, grid in (
        (("pp", "dp", "cp", "tp"), _attention(plan)),
        (("pp", "edp", "ep", "etp"), _experts(plan)),
    ):
        found = np.indices(grid.shape).reshape(4, -1)
        for name, place in zip(names, found, strict=True):
            held = np.empty(plan.world, dtype=np.int64)
            held[grid.ravel()] = place
            places[name] = held
    return places
