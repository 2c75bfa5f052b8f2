"""Lower bounds of C_T: no layout sends fewer copies.

With B(e) the experts on e's chiplet, a token sends the sum over its experts e of 1 / |t with B(e)| copies. So
for each expert alone, let its chiplet hold whichever s - 1 other experts save most. The saving

    f(B) = sum over sets t of e of w_t (1 - 1 / (1 + |t with B|))

is monotone and submodular, so for any A its maximum over s - 1 experts is at most f(A) plus the s - 1 largest
marginal savings at A (Nemhauser, Wolsey and Fisher, Math. Programming 14, 1978). The bound takes the least of
these over A grown greedily, and at least a chiplet per s experts of a token. With two experts per chiplet a
maximum-weight matching gives the most co-activation that chiplets can hold, and so the least C_T itself.
Limits are ignored, which keeps the bounds valid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit._arrays import Bools
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.allocation.merging import heaviest_pairs
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace

__all__ = ["c_t_bound", "connectivity_bound"]

ROUNDING = 1e-12  # taken off, so that no sum of fractions ends above the truth


def c_t_bound(
    trace: RoutingTrace,
    package: Package,
    *,
    per_layer: bool = True,
    capacity: int | Sequence[int] | None = None,
) -> float:
    """Return a number that C_T of no layout is below, for the tokens of this trace.

    Parameters are those of `noptoolkit.allocation.allocate`.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> pair = Package("pair", [Chiplet(n, role="expert") for n in "ab"], [Link("a", "b", "1 GB/s")])
    >>> c_t_bound(RoutingTrace([[0, 2], [0, 2], [1, 3], [1, 2]], num_experts=4), pair)
    1.25
    """
    problems = layout_problems(trace, package, per_layer=per_layer, capacity=capacity)
    tokens = sum(problem.tokens for problem in problems)
    return float(sum(connectivity_bound(problem) for problem in problems) / tokens)


def connectivity_bound(problem: LayoutProblem) -> float:
    """Return a number of copies that no layout sends fewer than, for all tokens."""
    largest, k = int(problem.slots.max()), problem.sets.shape[1]
    if largest <= 2:
        return problem.tokens * float(k) - (heaviest_pairs(problem) if largest == 2 else 0.0)
    total = sum((_least_share(problem, expert, largest) for expert in range(problem.num_experts)), 0.0)
    roomiest = np.cumsum(np.sort(problem.slots)[::-1])
    chiplets = int(np.searchsorted(roomiest, k)) + 1
    return max(total * (1 - ROUNDING), float(chiplets * problem.tokens))


def _least_share(problem: LayoutProblem, expert: int, size: int) -> float:
    """Return the least share of copies of an expert that has a chiplet with ``size - 1`` others."""
    rows = (problem.sets == expert).any(axis=1)
    sets, weight = problem.sets[rows], problem.counts[rows]
    together = np.ones(len(sets))  # experts of the set on this chiplet
    taken = np.zeros(problem.num_experts, dtype=np.bool_)
    taken[expert] = True
    saved, most = 0.0, float("inf")
    for _ in range(size):
        saving = np.repeat(weight * (1 / together - 1 / (together + 1)), sets.shape[1])
        marginal = np.bincount(sets.ravel(), weights=saving, minlength=problem.num_experts)
        marginal[taken] = 0.0
        most = min(most, saved + float(np.sort(marginal)[::-1][: size - 1].sum()))
        best = int(np.argmax(marginal))
        saved += float(marginal[best])
        taken[best] = True
        holds: Bools = (sets == best).any(axis=1)
        together += holds
    least: float = float(weight.sum()) / min(size, sets.shape[1])
    return max(float(weight.sum()) - most, least)
