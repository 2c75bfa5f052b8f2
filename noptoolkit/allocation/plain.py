"""Layouts that look at no co-activation: by index, at random, dealt round, or by load alone."""

from __future__ import annotations

import numpy as np

from noptoolkit.allocation.limits import Ints
from noptoolkit.allocation.problem import LayoutProblem

__all__ = ["place_by_load", "place_contiguous", "place_randomly", "place_round_robin"]


def place_contiguous(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return experts 0, 1, ... on the first chiplet until it is full, then on the next.

    Chiplets with more slots than needed are filled in proportion.
    """
    ends = np.ceil(np.cumsum(problem.slots) * (problem.num_experts / problem.slots.sum()) - 1e-9)
    return np.searchsorted(ends, np.arange(problem.num_experts), side="right").astype(np.int64)


def place_randomly(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return the experts shuffled over all slots: every layout is equally likely."""
    slots = np.repeat(np.arange(problem.num_chiplets), problem.slots)
    return rng.permutation(slots)[: problem.num_experts]


def place_round_robin(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return the experts dealt one by one to the chiplets, skipping full ones."""
    number = np.concatenate([np.arange(slots) for slots in problem.slots])
    chiplet = np.repeat(np.arange(problem.num_chiplets), problem.slots)
    order = np.lexsort((chiplet, number))
    return chiplet[order][: problem.num_experts].astype(np.int64)


def place_by_load(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return longest-processing-time first: the hottest expert left to the coolest chiplet with a free slot.

    Graham's rule (SIAM J. Appl. Math. 17, 1969) with a limit on the number of jobs per machine.
    """
    places = np.empty(problem.num_experts, dtype=np.int64)
    free = problem.slots.copy()
    load = np.zeros(problem.num_chiplets)
    for expert in np.argsort(-problem.load, kind="stable"):
        coolest = int(np.argmin(np.where(free > 0, load, np.inf)))
        places[expert] = coolest
        load[coolest] += problem.load[expert]
        free[coolest] -= 1
    return places
