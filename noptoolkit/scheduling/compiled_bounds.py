"""Lower bounds from the load between stages of a task graph, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["front_bound", "longest_stays"]


@njit(cache=True)
def front_bound(
    shortest: Floats,
    after_some: Ints,
    after_all: Ints,
    before_some: Ints,
    before_all: Ints,
    work_ptr: Ints,
    work_resource: Ints,
    work: Floats,
    resources: int,
    to_first: Floats,
    to_last: Floats,
) -> Any:
    """Return the earliest end of a graph, given that what must run between two fronts fits there.

    ``shortest`` is the least duration of a member of each front. Row 0 of the tables is time 0, row f + 1 is
    front f; ``first`` is when its first member can have ended, ``last`` when its last.
    ``work[work_ptr[i]:work_ptr[i + 1]]`` is how long task i needs each of its resources, over their capacity.
    ``to_first`` and ``to_last`` are what the ends of a front's first and last member are known to come after
    the last end of the front before, see `longest_stays`; their last entry is about the end of the graph.
    """
    n = len(after_some)
    m = len(shortest)
    first = np.zeros(m + 1)
    last = np.zeros(m + 1)
    # work of tasks before all (some) of the current front, by the last row that they come after some (all) of
    some_to_all = np.zeros((m + 1, resources))
    all_to_all = np.zeros((m + 1, resources))
    some_to_some = np.zeros((m + 1, resources))
    all_to_some = np.zeros((m + 1, resources))
    by_all = np.argsort(before_all, kind="mergesort")
    by_some = np.argsort(before_some, kind="mergesort")
    next_all = 0
    next_some = 0
    sums = np.zeros((4, resources))
    for f in range(m + 1):
        while next_all < n and before_all[by_all[next_all]] == f:
            i = by_all[next_all]
            next_all += 1
            for e in range(work_ptr[i], work_ptr[i + 1]):
                some_to_all[after_some[i] + 1, work_resource[e]] += work[e]
                all_to_all[after_all[i] + 1, work_resource[e]] += work[e]
        while next_some < n and before_some[by_some[next_some]] == f:
            i = by_some[next_some]
            next_some += 1
            for e in range(work_ptr[i], work_ptr[i + 1]):
                some_to_some[after_some[i] + 1, work_resource[e]] += work[e]
                all_to_some[after_all[i] + 1, work_resource[e]] += work[e]
        start = 0.0
        done = 0.0
        sums[:] = 0.0
        for j in range(min(f + 1, m), -1, -1):  # what comes after row j: its own and that of later rows
            for r in range(resources):
                sums[0, r] += some_to_all[j, r]
                sums[1, r] += all_to_all[j, r]
                sums[2, r] += some_to_some[j, r]
                sums[3, r] += all_to_some[j, r]
                start = max(start, first[j] + sums[0, r])
                if sums[1, r] > 0:  # without a task between, a front's first need not follow another's last
                    start = max(start, last[j] + sums[1, r])
                done = max(done, first[j] + sums[2, r], last[j] + sums[3, r])
        done = max(done, last[f] + to_last[f])
        if f == m:
            return max(start, done)
        first[f + 1] = max(start + shortest[f], last[f] + to_first[f])
        last[f + 1] = max(first[f + 1], done)
    return 0.0


@njit(cache=True)
def longest_stays(stage: Ints, resource: Ints, head: Floats, work: Floats, tail: Floats, stages: int) -> Any:
    """Return for each stage the largest of least head + load + least tail of a set of uses of a resource.

    Minus infinity where there are none. The uses are sorted by stage, then by resource, then by falling head
    (or by falling tail, with the two exchanged).
    """
    longest = np.full(stages, -np.inf)
    load = 0.0
    least = 0.0
    for k in range(len(stage)):
        if k == 0 or stage[k] != stage[k - 1] or resource[k] != resource[k - 1]:
            load = 0.0
            least = np.inf
        load += work[k]
        least = min(least, tail[k])
        longest[stage[k]] = max(longest[stage[k]], head[k] + load + least)
    return longest
