"""Search from many starts and keep the best: the allocators that minimise C_T itself.

`search_portfolio` starts from every quick layout, descends from each, anneals the best few, gives the best
two of all to tabu search, and moves the winner's clusters between groups. Where chiplets hold two experts, a
matching is the optimum and no search is needed, and where they hold one, all layouts send as many copies.
Experts are first put in an order that does not depend on their ids, so that relabelling them changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np

from noptoolkit.allocation.caps import limits_of
from noptoolkit.allocation.communities import place_by_communities, place_spectrally
from noptoolkit.allocation.grouping import place_in_groups
from noptoolkit.allocation.layout import count_distinct
from noptoolkit.allocation.limits import Ints, excess_of, is_kept
from noptoolkit.allocation.merging import place_agglomerated, place_matched
from noptoolkit.allocation.mozart import cluster_experts
from noptoolkit.allocation.plain import place_by_load, place_randomly
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.allocation.swap_search import anneal, descend, search_tabu
from noptoolkit.allocation.time_model import PackageTime
from noptoolkit.allocation.time_search import layout_time, search_time

__all__ = [
    "connectivity_of",
    "place_automatically",
    "place_by_annealing",
    "place_by_descent",
    "place_by_tabu",
    "search_portfolio",
]

Start = Callable[[LayoutProblem, np.random.Generator], Ints]


def _place_clusters(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    return cluster_experts(problem.coactivation, problem.load, problem.slots)


STARTS: dict[str, Start] = {
    "agglomerative": place_agglomerated,
    "leiden": place_by_communities,
    "spectral": place_spectrally,
    "mozart": _place_clusters,
    "longest-first": place_by_load,
    "random": place_randomly,
    "random 2": place_randomly,
}
FINALISTS = 3  # of the starts, after descent, that are annealed
POLISHED = 2  # of all layouts so far that tabu search goes on from
TABU_PATIENCE = 2  # swaps per expert
MATCHED = 128  # most experts that are matched: the blossom algorithm takes seconds beyond
ANNEALING = 500  # proposals per expert
TIME_PROPOSALS = 40  # per expert, from each start
ALONE = "one expert each (exact)"
WORTH = 0.02  # share of the time for which the layout of fewest copies is given up
LOAD_SLACKS = (1.1, 1.3)  # caps of the further starts for least time, as multiples of the mean load


def search_portfolio(
    problem: LayoutProblem,
    rng: np.random.Generator,
    layer_time: PackageTime | None = None,
    parts: tuple[LayoutProblem, ...] = (),
) -> tuple[Ints, str]:
    """Return the best layout found, [experts], and the name of its start and search.

    The best has least C_T, then least C_G; with ``layer_time``, the least time, unless that gains less than
    `WORTH` over the layout found without: what a search gains on tokens that it has seen is partly theirs
    alone. ``parts`` has the same problem for parts of the tokens, such as some documents each: it searches on
    the first, and must gain on each of the others. It then draws from a copy of the generator, so that the
    next layer has the same layout of fewest copies.
    """
    order = _canonical_order(problem)
    renamed = _renamed(problem, order)
    pairs = bool(np.isin(problem.slots, (0, 2)).all())
    if _alone(problem):
        best, name = np.repeat(np.arange(problem.num_chiplets), problem.slots)[: problem.num_experts], ALONE
    elif pairs and problem.num_experts <= MATCHED and not problem.limits:
        best, name = place_matched(renamed, rng), "matching (exact)"
    else:
        best, name = _searched(renamed, rng)
    best = place_in_groups(renamed, best, rng)
    if layer_time is not None:
        seen, *judges = (_renamed(part, order) for part in parts or (problem, problem))
        draws = deepcopy(rng) if parts else rng
        best, name = _shortened(seen, judges, best, name, layer_time, draws)
    places = np.empty_like(best)
    places[order] = best
    return places, name


def _alone(problem: LayoutProblem) -> bool:
    """Return whether no chiplet holds two experts: all layouts have one C_T and one set of loads."""
    return int(problem.slots.max(initial=0)) <= 1 and not problem.limits


def _searched(problem: LayoutProblem, rng: np.random.Generator) -> tuple[Ints, str]:
    """Return the layout of fewest copies that the searches find from all starts, and the name of the way."""
    found = [(descend(problem, start(problem, rng)), name, "descent") for name, start in STARTS.items()]
    found.sort(key=lambda entry: _cost(problem, entry[0]))
    finalists: list[tuple[Ints, str, str]] = []
    for entry in found:
        if all(_cost(problem, entry[0]) != _cost(problem, other[0]) for other in finalists):
            finalists.append(entry)
    patience, proposals = TABU_PATIENCE * problem.num_experts, ANNEALING * problem.num_experts
    for places, name, _ in finalists[:FINALISTS]:
        found.append((anneal(problem, places, proposals=proposals, rng=rng), name, "annealing"))
    for places, name, search in sorted(found, key=lambda entry: _cost(problem, entry[0]))[:POLISHED]:
        found.append((search_tabu(problem, places, patience=patience, rng=rng), name, f"{search} + tabu"))
    best, name, search = min(found, key=lambda entry: _cost(problem, entry[0]))
    return best, f"{name} + {search}"


def _shortened(
    problem: LayoutProblem,
    judges: Sequence[LayoutProblem],
    fewest: Ints,
    name: str,
    layer_time: PackageTime,
    rng: np.random.Generator,
) -> tuple[Ints, str]:
    """Return the layout of least time that annealing finds from the fewest copies or from balanced load.

    The search has the tokens of ``problem``; what counts is the least gain on those of each of ``judges``.
    There is no search where `WORTH` cannot be gained, since all copies pass one place.
    """

    def time(judge: LayoutProblem, places: Ints) -> float:
        return layout_time(judge, places, layer_time) - layer_time.streaming * judge.tokens

    before = [time(judge, fewest) for judge in judges]
    copies = [connectivity_of(judge, fewest) for judge in judges]
    least = layer_time.time_per_copy * (1 + WORTH)
    if any(now <= least * count for now, count in zip(before, copies, strict=True)):
        return fewest, name

    def cost(entry: tuple[Ints, str]) -> tuple[bool, float]:
        ratio = max(time(judge, entry[0]) / now for judge, now in zip(judges, before, strict=True))
        return not is_kept(problem.limits, entry[0]), ratio

    starts = [(fewest, name)]
    for slack in () if _alone(problem) else LOAD_SLACKS:
        capped = dataclasses.replace(problem, limits=problem.limits + limits_of(problem, slack, None))
        patience = TABU_PATIENCE * problem.num_experts
        places = search_tabu(capped, fewest, patience=patience, rng=rng)
        starts.append((place_in_groups(capped, places, rng), f"{name} at load {slack:g}"))
    found = starts.copy()
    for places, start in starts:
        proposals = TIME_PROPOSALS * problem.num_experts
        found.append(
            (search_time(problem, places, layer_time, proposals=proposals, rng=rng), f"{start} + time")
        )

    best = min(found, key=cost)
    kept, ratio = cost(best)
    if kept == cost(starts[0])[0] and ratio * (1 + WORTH) >= 1:
        return fewest, name
    return best


def place_automatically(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return the best layout of the portfolio."""
    return search_portfolio(problem, rng)[0]


def place_by_descent(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return steepest descent from Algorithm 1's clusters, then the clusters in groups."""
    return place_in_groups(problem, descend(problem, _place_clusters(problem, rng)), rng)


def place_by_tabu(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return tabu search from Algorithm 1's clusters, then the clusters in groups."""
    patience = TABU_PATIENCE * problem.num_experts
    found = search_tabu(problem, _place_clusters(problem, rng), patience=patience, rng=rng)
    return place_in_groups(problem, found, rng)


def place_by_annealing(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return simulated annealing from a random layout, then the clusters in groups."""
    proposals = ANNEALING * problem.num_experts
    found = anneal(problem, place_randomly(problem, rng), proposals=proposals, rng=rng)
    return place_in_groups(problem, found, rng)


def connectivity_of(problem: LayoutProblem, places: Ints) -> float:
    """Return the copies that all tokens send: C_T times tokens."""
    return float(count_distinct(places[problem.sets]) @ problem.counts)


def _cost(problem: LayoutProblem, places: Ints) -> tuple[bool, float, float]:
    over = sum(excess_of(limit, places) for limit in problem.limits)
    return not is_kept(problem.limits, places), over, connectivity_of(problem, places)


def _canonical_order(problem: LayoutProblem) -> Ints:
    """Return the experts ordered by load and, where that ties, by their co-activations."""
    together = np.sort(problem.coactivation, axis=1)
    return np.lexsort((*together.T, -problem.load))


def _renamed(problem: LayoutProblem, order: Ints) -> LayoutProblem:
    """Return the problem with expert ``order[i]`` called i."""
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    limits = tuple(dataclasses.replace(limit, weight=limit.weight[order]) for limit in problem.limits)
    sets = np.sort(new[problem.sets], axis=1)
    rows = np.lexsort(sets.T[::-1])
    return dataclasses.replace(problem, sets=sets[rows], counts=problem.counts[rows], limits=limits)
