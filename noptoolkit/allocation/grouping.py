"""Which clusters share a group: C_G at unchanged C_T.

Once the experts are clustered, C_T does not depend on which cluster sits on which chiplet, but C_G does. That
is the same problem one level up: clusters are vertices, tokens' chiplet sets are hyperedges, groups are
blocks. A set of fewer than k chiplets is filled up with one more vertex, which stays in a block of its own.
"""

from __future__ import annotations

import numpy as np

from noptoolkit.allocation.limits import Floats, Ints, Limit, is_kept, sums
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.allocation.swap_search import search_tabu

__all__ = ["chiplet_kinds", "cluster_sets", "place_in_groups"]

PATIENCE = 100  # swaps: there are only as many clusters as chiplets


def place_in_groups(problem: LayoutProblem, places: Ints, rng: np.random.Generator) -> Ints:
    """Return the layout with its clusters moved between chiplets so that tokens reach few groups, [experts].

    Clusters only move between chiplets with equal slots and caps. A layout that keeps the limits still does.
    """
    sizes = np.bincount(problem.group_of_chiplet)
    if len(sizes) == 1 or sizes.max() == 1:
        return places
    kind = chiplet_kinds(problem)
    start = np.append(problem.group_of_chiplet, len(sizes))
    group = search_tabu(_cluster_problem(problem, places, kind), start, patience=PATIENCE, rng=rng)[:-1]
    chiplet = np.empty(problem.num_chiplets, dtype=np.int64)
    for k in np.unique(kind):
        for g in range(len(sizes)):
            there = np.flatnonzero((kind == k) & (problem.group_of_chiplet == g))
            chiplet[np.flatnonzero((kind == k) & (group == g))] = there
    moved = chiplet[places]
    return places if is_kept(problem.limits, places) and not is_kept(problem.limits, moved) else moved


def _cluster_problem(problem: LayoutProblem, places: Ints, kind: Ints) -> LayoutProblem:
    """Return the problem of placing clusters, and the filler as the last, in groups."""
    count, groups = problem.num_chiplets, problem.num_groups
    sets, counts = cluster_sets(problem, places)
    slots = np.append(np.bincount(problem.group_of_chiplet), 1)
    limits = []
    for k in np.unique(kind)[1:]:  # a group has as many clusters of a kind as chiplets
        alike = (kind == k).astype(np.float64)
        cap = np.append(sums(alike, problem.group_of_chiplet, groups), 0.0)
        limits.append(Limit("kind", np.append(alike, 0.0), np.arange(groups + 1), cap))
    for limit in problem.limits:
        if len(limit.cap) == groups:
            weight = np.append(sums(limit.weight, places, count), 0.0)
            limits.append(Limit(limit.name, weight, np.arange(groups + 1), np.append(limit.cap, 0.0)))
    return LayoutProblem(sets, counts, count + 1, slots, np.arange(groups + 1), tuple(limits), pinned=1)


def cluster_sets(problem: LayoutProblem, places: Ints) -> tuple[Ints, Floats]:
    """Return the distinct sets of chiplets that tokens reach, [sets, k], and the tokens of each, [sets].

    A set of fewer than k chiplets is filled up with ``num_chiplets``.
    """
    rows = np.sort(places[problem.sets], axis=1)
    repeated = np.zeros(rows.shape, dtype=np.bool_)
    repeated[:, 1:] = rows[:, 1:] == rows[:, :-1]
    rows[repeated] = problem.num_chiplets
    rows.sort(axis=1)
    order = np.lexsort(rows.T[::-1])
    rows = rows[order]
    first = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    starts = np.flatnonzero(first)
    return rows[starts], np.add.reduceat(problem.counts[order], starts)


def chiplet_kinds(problem: LayoutProblem) -> Ints:
    """Return a number for each chiplet, equal where slots and the chiplets' own caps are."""
    own = [limit.cap for limit in problem.limits if len(limit.cap) == problem.num_chiplets]
    return np.unique(np.column_stack([problem.slots, *own]), axis=0, return_inverse=True)[1].ravel()
