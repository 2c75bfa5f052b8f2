"""Search for the layout of least dispatch, expert and combine time on a package.

The time of `noptoolkit.allocation.package_time` is a sum of three maxima, flat almost everywhere, so the
search anneals a smooth stand-in, the 16-norm of the times of all resources, and layouts are judged by the
maxima. It moves

1. whole clusters between equal chiplets, which places a layout without changing C_T;
2. single experts, which changes which experts share a chiplet: load against copies, against lengths.

A swap's effect is counted exactly from the sets that hold one of the two experts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.allocation.grouping import chiplet_kinds, cluster_sets
from noptoolkit.allocation.limits import Floats, Ints, sums
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.allocation.swap_search import sets_of_experts
from noptoolkit.allocation.time_model import PackageTime

__all__ = ["layout_time", "search_time"]

HOT, COLD = 1e-2, 1e-4  # first and last temperature, as shares of the best time so far


def layout_time(problem: LayoutProblem, places: Ints, model: PackageTime) -> float:
    """Return the time of one layer for the tokens of a problem, in s."""
    from noptoolkit.allocation.compiled_times import tokens_met

    # a matrix product would wait, and burn time, on busy cores' threads
    members, parts_of = problem.sets.astype(np.int32), np.ascontiguousarray(model.parts.T)
    met = tokens_met(members, problem.counts, places.astype(np.int64), parts_of)
    load = sums(problem.load, places, problem.num_chiplets)
    experts = max(float((load * model.choice_time).max()), model.streaming * float(problem.counts.sum()))
    return float((model.out @ met).max() + (model.back @ met).max()) + experts


def search_time(
    problem: LayoutProblem,
    places: Ints,
    model: PackageTime,
    *,
    proposals: int,
    rng: np.random.Generator,
) -> Ints:
    """Return the best layout of annealing from a given one, [experts].

    Parameters
    ----------
    problem
        Problem, whose limits are kept where the given layout keeps them.
    places
        Initial layout.
    model
        The time that counts.
    proposals
        Swaps of experts that are tried; half as many swaps of clusters come first.
    rng
        Generator of the proposals.
    """
    kind = chiplet_kinds(problem)
    alike = [np.flatnonzero(kind == k) for k in np.unique(kind) if (kind == k).sum() > 1]
    if alike:
        pairs = np.concatenate(
            [rng.choice(same, (proposals // 2 * len(same) // len(kind), 2)) for same in alike]
        )
        clusters = np.arange(problem.num_chiplets + 1)
        sets, counts = cluster_sets(problem, places)
        load = np.append(sums(problem.load, places, problem.num_chiplets), 0.0)
        moved = _annealed(
            sets, counts, load, clusters, model, _group_limits(problem, places), rng.permutation(pairs), rng
        )
        places = moved[places]
    empty = problem.slots - np.bincount(places, minlength=problem.num_chiplets)
    slots = np.concatenate([places, np.repeat(np.arange(problem.num_chiplets), np.maximum(empty, 0))])
    load = np.pad(problem.load, (0, len(slots) - len(places)))
    pairs = rng.integers(len(slots), size=(proposals, 2))
    found = _annealed(problem.sets, problem.counts, load, slots, model, _limits(problem, slots), pairs, rng)
    return found[: problem.num_experts]


def _annealed(
    sets: Any,
    counts: Floats,
    load: Floats,
    places: Ints,
    model: PackageTime,
    limits: Any,
    pairs: Ints,
    rng: np.random.Generator,
) -> Ints:
    from noptoolkit.allocation.compiled_times import anneal_time, start_time

    members = sets.astype(np.int32)
    starts, sets_of = sets_of_experts(members, len(places))
    found = places.astype(np.int64)
    parts = np.ascontiguousarray(model.parts)
    out, back = _used(model.out), _used(model.back)
    streaming = model.streaming * float(counts.sum())
    state = start_time(members, counts, found, load, parts, out, back, model.choice_time, streaming)
    parts_count = parts.sum(axis=0)
    parts_of = np.zeros((parts.shape[1], max(int(parts_count.max()), 1)), dtype=np.int64)
    for chiplet, column in enumerate(parts.T):
        parts_of[chiplet, : parts_count[chiplet]] = np.flatnonzero(column)
    anneal_time(
        (members, counts, starts, sets_of, load),
        found,
        state,
        _columns(out),
        _columns(back),
        model.choice_time,
        (parts_of, parts_count, parts, bool((parts_count == 1).all() and (parts.sum(axis=1) == 1).all())),
        limits,
        np.ascontiguousarray(pairs),
        rng.random(len(pairs)),
        HOT,
        COLD,
    )
    return found


def _used(times: Floats) -> Floats:
    """Return the rows of the resources that any token needs, one where it needs none."""
    used = np.flatnonzero(times.any(axis=1))
    return np.ascontiguousarray(times[used if len(used) else [0]])


def _columns(times: Floats) -> tuple[Ints, Ints, Floats]:
    """Return where each part's entries begin, [parts + 1], and the resource and time of each."""
    part, resource = np.nonzero(times.T)
    begins = np.searchsorted(part, np.arange(times.shape[1] + 1))
    return begins, np.ascontiguousarray(resource), times[resource, part]


def _limits(problem: LayoutProblem, slots: Ints) -> Any:
    """Return weights [limits, slots], blocks [limits, chiplets] and room [limits, blocks]."""
    count = len(problem.limits)
    weights = np.zeros((count, len(slots)))
    blocks = np.zeros((count, problem.num_chiplets), dtype=np.int64)
    room = np.zeros((count, problem.num_chiplets))
    for m, limit in enumerate(problem.limits):
        weights[m, : problem.num_experts] = limit.weight
        blocks[m] = limit.block
        room[m, : len(limit.cap)] = limit.cap - limit.held(slots[: problem.num_experts])
    return weights, blocks, room


def _group_limits(problem: LayoutProblem, places: Ints) -> Any:
    """Return the same for clusters: only caps of groups can break when equal chiplets swap clusters."""
    _, blocks, room = _limits(problem, places)
    groups = [m for m, limit in enumerate(problem.limits) if len(limit.cap) == problem.num_groups]
    held = np.zeros((len(groups), problem.num_chiplets + 1))
    for row, m in enumerate(groups):
        held[row, :-1] = sums(problem.limits[m].weight, places, problem.num_chiplets)
    return held, blocks[groups], room[groups]
