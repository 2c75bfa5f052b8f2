"""An independent check of the lower bounds of a task graph.

Everything is computed again from the graph's tasks, precedences and uses, by walks and sums in plain Python
and NumPy; of the bounds only the stages are taken over, as the certificate. Stages prove something only if
they form a chain: each member of one has a predecessor in the stage before, and a successor in the stage
after.

What is assumed, and not derived again: the graph is the one that was meant; and the theorem in
`noptoolkit.scheduling.bounds`, that such stages and sums bound every order of the tasks. The stages need not
be the best: others might prove more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling.bounds import LowerBound
from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["proved_bound", "verify_bounds"]


def verify_bounds(graph: TaskGraph, bounds: LowerBound, *, tol: float = 1e-9) -> None:
    """Raise ScheduleError if the lower bound of a graph, or a part of it, cannot be computed again.

    Parameters
    ----------
    bounds : LowerBound
        Bounds of the graph, with the stages that prove them.
    tol : float
        Relative difference that counts as rounding.
    """
    parts = {name: getattr(bounds, name) for name in ("critical_path", "load", "head_load_tail", "fronts")}
    if odd := [name for name, value in parts.items() if not np.isfinite(value)]:
        raise ScheduleError(f"the lower bound's {odd[0]} is {parts[odd[0]]} s, no time")
    proved = _Proved.of(graph, bounds.stages)
    for what, claimed, found in (
        ("lower bound", bounds.value, proved.value),
        ("critical path", bounds.critical_path, proved.path),
        ("load", bounds.load, max(proved.load.values(), default=0.0)),
        ("head + load + tail", bounds.head_load_tail, max(proved.stay.values(), default=0.0)),
        ("bound between stages", bounds.fronts, proved.between),
    ):
        if claimed > found * (1 + tol):
            raise ScheduleError(f"the {what} {claimed:.9g} s is not proved: the graph gives {found:.9g} s")
    if bounds.method == f"load of {bounds.resource}":
        claimed, found = max(bounds.load, bounds.head_load_tail), proved.stay.get(bounds.resource, 0.0)
        if claimed > found * (1 + tol):
            raise ScheduleError(f"{bounds.resource!r} is not busy for {claimed:.9g} s, but for {found:.9g} s")


def proved_bound(graph: TaskGraph, stages: Sequence[Ints]) -> float:
    """Return the lower bound that paths, loads and some stages prove, in s.

    Raises
    ------
    ScheduleError
        If the graph has a cycle, or the stages are not a chain.
    """
    return _Proved.of(graph, stages).value


@dataclass(frozen=True)
class _Proved:
    """What a graph proves, in s: by its paths, by loads (with least heads and tails), between stages."""

    path: float = 0.0
    load: dict[str, float] = field(default_factory=dict)
    stay: dict[str, float] = field(default_factory=dict)
    between: float = 0.0

    @property
    def value(self) -> float:
        return max(self.path, self.between, *self.stay.values(), 0.0)

    @staticmethod
    def of(graph: TaskGraph, stages: Sequence[Ints]) -> _Proved:
        if len(graph) == 0:
            return _Proved()
        walk, every = _Walk.of(graph), np.arange(len(graph))
        names = {graph.resources[r]: r for r in walk.by_resource}
        return _Proved(
            path=float((walk.head + walk.time + walk.tail).max()),
            load={name: sum(walk.by_resource[r].values()) for name, r in names.items()},
            stay={name: _stay(walk, every, r, walk.head, walk.tail) for name, r in names.items()},
            between=_between_stages(walk, [stage.tolist() for stage in stages]) if stages else 0.0,
        )


@dataclass(frozen=True, eq=False)
class _Walk:
    """A graph as lists: tasks in topological order, neighbours, times, uses of resources."""

    order: list[int]
    before: list[list[int]]
    after: list[list[int]]
    time: Floats
    head: Floats
    tail: Floats
    uses: list[dict[int, float]]
    by_resource: dict[int, dict[int, float]]

    @staticmethod
    def of(graph: TaskGraph) -> _Walk:
        count = len(graph)
        before = [
            graph.pred[begin:end].tolist()
            for begin, end in zip(graph.pred_ptr[:-1].tolist(), graph.pred_ptr[1:].tolist(), strict=True)
        ]
        after: list[list[int]] = [[] for _ in range(count)]
        for task, earlier in enumerate(before):
            for other in earlier:
                after[other].append(task)
        uses: list[dict[int, float]] = [{} for _ in range(count)]
        time = graph.duration.tolist()
        capacity = graph.capacity.tolist()
        for task, need in enumerate(graph.need.tolist()):
            for resource in graph.needs[need][0]:
                uses[task][resource] = graph.duration[task] / capacity[resource]
            for entry in range(graph.use_ptr[task], graph.use_ptr[task + 1]):
                resource, took = int(graph.use_resource[entry]), float(graph.use_time[entry])
                uses[task][resource] = uses[task].get(resource, 0.0) + took / capacity[resource]
                time[task] = max(time[task], took)
        left = [len(earlier) for earlier in before]
        order = [task for task in range(count) if not left[task]]
        head, tail = [0.0] * count, [0.0] * count
        for task in order:
            for later in after[task]:
                head[later] = max(head[later], head[task] + time[task])
                left[later] -= 1
                if not left[later]:
                    order.append(later)
        if len(order) < count:
            raise ScheduleError("the task graph has a cycle")
        for task in reversed(order):
            tail[task] = max((time[later] + tail[later] for later in after[task]), default=0.0)
        by_resource: dict[int, dict[int, float]] = {}
        for task, used in enumerate(uses):
            for resource, took in used.items():
                by_resource.setdefault(resource, {})[task] = took
        return _Walk(order, before, after, np.array(time), np.array(head), np.array(tail), uses, by_resource)


def _stay(walk: _Walk, tasks: Ints, resource: int, head: Floats, tail: Floats) -> float:
    """Return the largest of least head + load + least tail of sets of tasks on a resource."""
    used = walk.by_resource.get(resource, {})
    chosen = np.array([task for task in tasks.tolist() if task in used], np.int64)
    if not len(chosen):
        return -np.inf
    work = np.array([used[task] for task in chosen.tolist()])
    best = -np.inf
    for first, last in ((head, tail), (tail, head)):
        by_first = np.argsort(-first[chosen], kind="stable")
        ends = np.minimum.accumulate(last[chosen][by_first])
        best = max(best, float((first[chosen][by_first] + np.cumsum(work[by_first]) + ends).max()))
    return best


def _reach(
    walk: _Walk, stages: list[list[int]], onward: bool
) -> tuple[list[int], list[int], list[dict[int, float]]]:
    """Return the nearest stage behind each task by some (all) of its members, -1 for none, and path lengths.

    ``onward`` looks at what comes after the stages, from the last on; else at what comes before, from the
    first on, where stages are numbered from the end. The lengths are those of the longest paths between each
    task and the members: onward of the nearest stage that is wholly behind it, else of the nearest of which
    some are.
    """
    neighbours = walk.after if onward else walk.before
    order = walk.order if onward else walk.order[::-1]
    place = {task: k for k, task in enumerate(order)}
    some, all_ = [-1] * len(order), [-1] * len(order)
    of_some: list[dict[int, float]] = [{} for _ in order]
    of_all: list[dict[int, float]] = [{} for _ in order]
    for f in range(len(stages) - 1, -1, -1):
        met: dict[int, dict[int, float]] = {}
        for member in set(stages[f]):
            frontier, seen = [member], {member}
            for task in frontier:
                for other in neighbours[task]:
                    if other not in seen and all_[other] < 0:
                        seen.add(other)
                        frontier.append(other)
            way = {member: 0.0}
            for task in sorted(seen, key=place.__getitem__):
                here = way[task] if task == member else way[task] + walk.time[task]
                for other in neighbours[task]:
                    if other in seen:
                        way[other] = max(way.get(other, 0.0), here)
            for task in seen - {member}:
                met.setdefault(task, {})[member] = way[task]
        for task, ways in met.items():
            if some[task] < 0:
                some[task] = f
                of_some[task] = ways
            if len(ways) == len(set(stages[f])):
                all_[task] = f
                of_all[task] = ways
    return some, all_, of_some if not onward else of_all


def _between_stages(walk: _Walk, stages: list[list[int]]) -> float:
    """Return the earliest end of the graph, given what must run between stages; see `lower_bound`."""
    count, last = len(walk.order), len(stages)
    after_some, after_all, since_ways = _reach(walk, stages, True)
    some, all_, until_ways = _reach(walk, stages[::-1], False)
    before_some = [last - 1 - f if f >= 0 else last for f in some]
    before_all = [last - 1 - f if f >= 0 else last for f in all_]
    for f, stage in enumerate(stages):
        for task in stage:
            if (f > 0 and after_some[task] < f - 1) or (f + 1 < last and before_some[task] > f + 1):
                raise ScheduleError(f"stage {f} of the lower bound's proof is not in a chain")
    inside = {task: f for f, stage in enumerate(stages) for task in stage}
    since, until_first, until_last = walk.head.copy(), walk.tail.copy(), walk.tail.copy()
    for task in range(count):
        if after_all[task] >= 0:
            since[task] = min(since_ways[task].values())
        f = min(before_some[task], inside.get(task, last))
        if f < last:
            onward = until_ways[task].items()
            ways = [way + walk.time[member] for member, way in onward if inside[member] == f]
            until_first[task] = 0.0 if inside.get(task) == f else min(ways)
            until_last[task] = max(ways, default=0.0)
        before_some[task] = f
    resources = sorted(walk.by_resource)
    column = {resource: k for k, resource in enumerate(resources)}
    sums = np.zeros((4, last + 1, len(resources)))
    by_all: list[list[int]] = [[] for _ in range(last + 1)]
    by_some: list[list[int]] = [[] for _ in range(last + 1)]
    for task in range(count):
        by_all[before_all[task]].append(task)
        by_some[before_some[task]].append(task)
    first_end, last_end = np.zeros(last + 1), np.zeros(last + 1)
    for f in range(last + 1):
        for kind, members, reached in (
            (0, by_all[f], after_some),
            (1, by_all[f], after_all),
            (2, by_some[f], after_some),
            (3, by_some[f], after_all),
        ):
            for task in members:
                for resource, work in walk.uses[task].items():
                    sums[kind, reached[task] + 1, column[resource]] += work
        rows = min(f + 1, last) + 1
        load = np.cumsum(sums[:, :rows][:, ::-1], axis=1)[:, ::-1].max(axis=2, initial=0.0)
        first, second = first_end[:rows], last_end[:rows]
        start = max((first + load[0]).max(), np.where(load[1] > 0, second + load[1], 0.0).max())
        done = max((first + load[2]).max(), (second + load[3]).max())
        between = np.array([task for task in by_all[f] if after_all[task] == f - 1], np.int64)
        to_first = max((_stay(walk, between, r, since, until_first) for r in resources), default=-np.inf)
        between = np.array([task for task in by_some[f] if after_all[task] == f - 1], np.int64)
        to_last = max((_stay(walk, between, r, since, until_last) for r in resources), default=-np.inf)
        done = max(done, last_end[f] + to_last)
        if f == last:
            return float(max(start, done))
        if f > 0 and all(after_all[task] == f - 1 for task in stages[f]):
            to_first = max(to_first, min(since[task] + walk.time[task] for task in stages[f]))
        least = min(float(walk.time[task]) for task in stages[f])
        first_end[f + 1] = max(start + least, last_end[f] + to_first)
        last_end[f + 1] = max(first_end[f + 1], done)
    return 0.0
