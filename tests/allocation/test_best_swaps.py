"""The best swap found by bounds is that of looking at every pair of experts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from seeds import seeds

from noptoolkit.allocation.caps import limits_of
from noptoolkit.allocation.compiled_best import best_swap, bound_swaps, update_bounds
from noptoolkit.allocation.compiled_swaps import change_of_swap, make_swap
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.allocation.swap_search import _rounding, _start


def random_problem(rng: np.random.Generator, capped: bool) -> LayoutProblem:
    experts, chiplets = int(rng.integers(6, 40)), int(rng.integers(2, 7))
    k = int(rng.integers(1, 6))
    drawn = [np.sort(rng.choice(experts, k, replace=False)) for _ in range(int(rng.integers(3, 200)))]
    sets, counts = np.unique(np.array(drawn), axis=0, return_counts=True)
    slots = np.full(chiplets, -(-experts // chiplets) + int(rng.integers(2)))
    problem = LayoutProblem(sets, counts.astype(float), experts, slots, np.arange(chiplets) % 2)
    return dataclasses.replace(problem, limits=limits_of(problem, 1.1, 1.05)) if capped else problem


@pytest.mark.parametrize("seed", seeds(10, 30))
def test_best_swap_is_the_best_of_all_pairs(seed: int) -> None:
    """Along a walk with barred experts and with swaps that are wished for although barred."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, capped=seed % 2 == 1)
    places = rng.permutation(np.repeat(np.arange(problem.num_chiplets), problem.slots))[: problem.num_experts]
    state, limits = _start(problem, places)
    here, movable, rounding = state[4], state[9], _rounding(problem)
    bounds, free_from = bound_swaps(here, movable, problem.num_chiplets)
    update_bounds(state, bounds, free_from, 0, -1, -1)
    barred_seen = 0
    for turn in range(40):
        aspired = float(rng.choice([-np.inf, -0.01, 0.02])) * problem.tokens
        changes = {
            (a, b): change_of_swap(state, limits, a, b)
            for a in range(movable)
            for b in range(a)
            if here[a] != here[b]
        }
        barred = {pair for pair in changes if max(free_from[list(pair)]) > turn}
        allowed = [(c, *pair) for pair, c in changes.items() if pair not in barred or c < aspired]
        expected = min(allowed, default=(np.inf, -1, -1))
        found = best_swap(state, limits, bounds, free_from, turn, aspired, rounding)
        assert found == expected
        barred_seen += len(barred)
        a, b = expected[1:] if expected[1] >= 0 else (-1, -1)
        p, q = (here[a], here[b]) if a >= 0 else (-1, -1)
        if a >= 0:
            make_swap(state, limits, a, b)
            free_from[[a, b]] = turn + 1 + rng.integers(1, 5, 2)
        update_bounds(state, bounds, free_from, turn + 1, p, q)
    assert barred_seen
