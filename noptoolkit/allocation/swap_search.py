"""Searches over swaps of two experts: descent, tabu search and simulated annealing, directly on connectivity.

With set t of weight w_t, block p(a) of expert a, and n(t, q) experts of t in block q, let

    S[a, b] = sum over t of w_t [a in t, n(t, p(a)) = 1] [b in t]       a alone keeps its block touched
    A[b, q] = sum over t of w_t [b in t] [n(t, q) = 0]                  b would touch block q anew

Swapping a and b changes the connectivity, the sum of w_t times blocks touched, by

    A[b, p(a)] - S[a, a] + S[a, b]  +  A[a, p(b)] - S[b, b] + S[b, a],

so all pairs' gains follow from two matrix products, and a swap updates them from the sets that hold one of
the two experts. Empty slots are experts that no set holds.

* `descend` makes the best swap until none gains.
* `search_tabu` (Glover, ORSA J. Computing 1, 1989) makes the best swap even where it loses, with neither of
  the last swaps' experts unless it beats the best layout so far.
* `anneal` accepts a random swap with probability min(1, exp(-change / T)) (Kirkpatrick et al., Science 220,
  1983).

Each sees connectivity plus a penalty for broken limits, and prefers a layout that keeps them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.allocation.limits import Floats, Ints
from noptoolkit.allocation.problem import LayoutProblem

__all__ = ["anneal", "descend", "search_tabu", "sets_of_experts", "swap_changes"]

STRICTNESS = 8.0  # copies per token that the whole load above a cap is worth: far more than a swap can gain
ROUNDING = 1e-9  # of the connectivity


def descend(problem: LayoutProblem, places: Ints) -> Ints:
    """Return the layout that steepest descent reaches, [experts]."""
    from noptoolkit.allocation.compiled_swaps import descend_swaps

    state, limits = _start(problem, places)
    descend_swaps(state, limits, _rounding(problem))
    return _placed(problem, state[4])


def search_tabu(problem: LayoutProblem, places: Ints, *, patience: int, rng: np.random.Generator) -> Ints:
    """Return the best layout found before ``patience`` swaps in a row bring no better one, [experts]."""
    from noptoolkit.allocation.compiled_swaps import descend_swaps, tabu_swaps

    state, limits = _start(problem, places)
    descend_swaps(state, limits, _rounding(problem))
    tenure = max(3, len(state[4]) // 8)
    tenures = rng.integers(tenure, 2 * tenure + 1, 4096)
    return _placed(problem, tabu_swaps(state, limits, patience, tenures, _rounding(problem)))


def anneal(
    problem: LayoutProblem,
    places: Ints,
    *,
    proposals: int,
    rng: np.random.Generator,
    hot: float = 0.04,
    cold: float = 0.001,
) -> Ints:
    """Return the layout that cooling reaches, and descent after it, [experts].

    ``hot`` and ``cold`` are the first and last temperature, in multiples of the mean load of an expert.
    """
    from noptoolkit.allocation.compiled_swaps import anneal_swaps

    state, limits = _start(problem, places)
    pairs, chances = rng.integers(state[9], size=(proposals, 2)), rng.random(proposals)
    mean = problem.tokens * problem.sets.shape[1] / problem.num_experts
    span = (hot * mean, cold * mean)
    found = anneal_swaps(state, limits, pairs, chances, *span, _rounding(problem))
    return descend(problem, _placed(problem, found))


def swap_changes(problem: LayoutProblem, places: Ints) -> Floats:
    """Return what each swap of two experts adds to connectivity and penalty, [experts, experts].

    Examples
    --------
    >>> sets = np.array([[0, 2], [1, 3]])
    >>> problem = LayoutProblem(sets, np.array([2.0, 3.0]), 4, np.array([2, 2]), np.array([0, 1]))
    >>> swap_changes(problem, np.array([0, 0, 1, 1]))[0]
    array([ 0.,  0.,  0., -5.])
    """
    from noptoolkit.allocation.compiled_swaps import change_of_swap

    state, limits = _start(problem, places)
    count = problem.num_experts
    changes = np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            if places[a] != places[b]:
                changes[a, b] = change_of_swap(state, limits, a, b)
    return changes


def _start(problem: LayoutProblem, places: Ints) -> tuple[Any, Any]:
    """Return the state of the kernels and the limits as arrays."""
    from noptoolkit.allocation.compiled_swaps import build_state

    empty = problem.slots - np.bincount(places, minlength=problem.num_chiplets)
    slots = np.concatenate([places, np.repeat(np.arange(problem.num_chiplets), np.maximum(empty, 0))])
    members = problem.sets.astype(np.int32)
    starts, sets_of = sets_of_experts(members, len(slots))
    movable = problem.num_experts - problem.pinned if problem.pinned else len(slots)
    state = build_state(
        members,
        problem.counts,
        starts,
        sets_of,
        slots.astype(np.int64),
        problem.num_chiplets,
        movable,
    )
    blocks = max((len(limit.cap) for limit in problem.limits), default=1)
    weights = np.zeros((len(problem.limits), len(slots)))
    block = np.zeros((len(problem.limits), problem.num_chiplets), dtype=np.int64)
    room = np.zeros((len(problem.limits), blocks))
    price = np.zeros(len(problem.limits))
    for m, limit in enumerate(problem.limits):
        weights[m, : problem.num_experts] = limit.weight
        block[m] = limit.block
        room[m, : len(limit.cap)] = limit.cap - limit.held(places)
        price[m] = STRICTNESS * problem.tokens / max(float(limit.weight.sum()), 1e-300)
    return state, (weights, block, room, price)


def sets_of_experts(members: NDArray[np.int32], slots: int) -> tuple[Ints, NDArray[np.int32]]:
    """Return the sets that hold each expert as compressed rows: starts [slots + 1] and set indices."""
    flat = members.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=slots))]).astype(np.int64)
    return starts, (order // members.shape[1]).astype(np.int32)


def _placed(problem: LayoutProblem, slots: Ints) -> Ints:
    return np.array(slots[: problem.num_experts], dtype=np.int64)


def _rounding(problem: LayoutProblem) -> float:
    return ROUNDING * problem.tokens * float(problem.sets.shape[1])
