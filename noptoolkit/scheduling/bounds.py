"""What no schedule of a task graph can beat.

* critical path: the longest chain of precedences;
* load: the time that a resource is needed, divided by its capacity;
* head + load + tail: of any set of tasks on a resource, the earliest that one can start, plus their load,
  plus the shortest time that must follow (Carlier, EJOR 1982). The sets tried are, for each resource, all
  tasks that cannot start before a given time, and all tasks that a given time must follow;
* fronts: between two stages of the graph, whatever comes after the one and before the other must fit. A
  front is a set of tasks, such as the last loads of one block's weights on all chiplets. With X_f and Y_f the
  earliest ends of its first and of its last member, d_f its shortest duration, and W_r(.) the load of
  resource r by the tasks that are so placed, for all earlier fronts e and all r

      X_f >= d_f + max(X_e + W_r(after some of e, before all of f),
                       Y_e + W_r(after all of e, before all of f) where there are such tasks)
      Y_f >= max(X_f, X_e + W_r(after some of e, before or in f),
                      Y_e + W_r(after all of e, before or in f)).

  Between neighbours, the load after all of e counts with its least head and tail, as above: the longest path
  from the members of e, the least of them, and that to the members of f, the least for X and the largest for
  Y. Where every member of f comes after all of e, X_f >= Y_e + the least such path, load or none.
  The fronts are those that the graph names, and the tasks of its critical path, one by one. A front that has
  no predecessor in every member of the front before it is left out, so that more fronts are not always
  better: the sequences that the graph names (``TaskGraph.chains``) are tried too, and the best counts.

Buffers and the sharing of rates only make schedules longer, so the bounds hold with them too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats, Ints, read_only

if TYPE_CHECKING:
    from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["LowerBound", "lone_times", "lower_bound", "uses_of_resources"]


FRONTS = 400
"""Largest number of fronts of a chain, evenly spread if there are more: the time grows with their number."""

MEMBERS = 64
"""Members of a front that are looked at."""


@dataclass(frozen=True, repr=False)
class LowerBound:
    """The lower bounds of a task graph, in s.

    Parameters
    ----------
    critical_path, load, head_load_tail
        As in the module's text.
    resource
        The resource with the largest load or head + load + tail, empty if there is none.
    prove
        Called for the bound of the fronts and these fronts when first asked for: on graphs of a million tasks
        it takes longer than the schedule.
    """

    critical_path: float
    load: float
    head_load_tail: float
    resource: str = ""
    prove: Callable[[], tuple[float, tuple[Ints, ...]]] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return (
            f"LowerBound(critical_path={self.critical_path}, load={self.load}, "
            f"head_load_tail={self.head_load_tail}, fronts={self.fronts}, resource={self.resource!r})"
        )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_proof": self._proof, "prove": None}

    @cached_property
    def _proof(self) -> tuple[float, tuple[Ints, ...]]:
        return (0.0, ()) if self.prove is None else self.prove()

    @property
    def fronts(self) -> float:
        """Bound of the fronts, as in the module's text, in s."""
        return self._proof[0]

    @property
    def stages(self) -> tuple[Ints, ...]:
        """The fronts that give the bound of the fronts, in order: its certificate."""
        return self._proof[1]

    @property
    def value(self) -> float:
        """The largest of them."""
        return max(self.quick, self.fronts)

    @property
    def quick(self) -> float:
        """The largest of those that take no proof of fronts, in s."""
        return max(self.critical_path, self.load, self.head_load_tail)

    def up_to(self, makespan: float) -> float:
        """Return the largest bound for a schedule: fronts prove no more where the others reach its end."""
        return self.quick if self.quick >= makespan * (1 - 1e-12) else self.value

    @property
    def method(self) -> str:
        """Which one is the largest."""
        if self.critical_path >= self.value * (1 - 1e-12):
            return "critical path"
        if max(self.load, self.head_load_tail) >= self.value * (1 - 1e-12):
            return f"load of {self.resource}"
        return "load between fronts"


def lower_bound(graph: TaskGraph, order: Ints, head: Floats, tail: Floats) -> LowerBound:
    """Return the lower bounds of a graph, given a topological order, heads and tails (see `list_schedule`).

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> for _ in range(4):
    ...     _ = tasks.add(3.0, "pe", after=[tasks.add(2.0, "dram")])
    >>> schedule_graph(tasks.build()).bounds
    LowerBound(critical_path=5.0, load=12.0, head_load_tail=14.0, fronts=12.0, resource='pe')
    """
    if len(graph) == 0:
        return LowerBound(0.0, 0.0, 0.0)
    time = lone_times(graph)
    critical = float((head + time + tail).max())
    load = graph.load
    owner, resource, work = uses_of_resources(graph)
    best, where = 0.0, -1
    by_resource = np.argsort(resource, kind="stable")
    ends = np.cumsum(np.bincount(resource, minlength=len(graph.resources)))
    for r, members in enumerate(np.split(by_resource, ends[:-1])):
        if len(members) == 0:
            continue
        tasks = owner[members]
        if load[r] + head[tasks].max() + tail[tasks].max() <= max(best, critical):
            continue
        for first, last in ((head[tasks], tail[tasks]), (tail[tasks], head[tasks])):
            rank = np.argsort(-first, kind="stable")
            value = first[rank] + np.cumsum(work[members][rank]) + np.minimum.accumulate(last[rank])
            if value.max() > best:
                best, where = float(value.max()), r
    heaviest = float(load.max(initial=0.0))
    if heaviest > best:
        where = int(load.argmax())
    prove = partial(_front_bound, graph, order, time, head, tail, (owner, resource, work))
    return LowerBound(critical, heaviest, best, graph.resources[where] if where >= 0 else "", prove)


def lone_times(graph: TaskGraph) -> Floats:
    """Return how long each task takes with every resource to itself, in s, [tasks]."""
    time = graph.duration.copy()
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    np.maximum.at(time, owner, graph.use_time)
    return time


def uses_of_resources(graph: TaskGraph) -> tuple[Ints, Ints, Floats]:
    """Return every use of a resource as task, resource and time over the resource's capacity, by task."""
    held = np.array([r for resources, _ in graph.needs for r in resources], np.int64)
    count = np.array([len(resources) for resources, _ in graph.needs], np.int64)
    first = np.cumsum(count) - count
    uses = count[graph.need]
    owner = np.repeat(np.arange(len(graph)), uses)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(uses) - uses, uses)
    resource = held[first[graph.need][owner] + offset] if len(owner) else np.empty(0, np.int64)
    flow_owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    owner = np.concatenate([owner, flow_owner])
    resource = np.concatenate([resource, graph.use_resource])
    work = np.concatenate([graph.duration[owner[: len(owner) - len(flow_owner)]], graph.use_time])
    by_task = np.argsort(owner, kind="stable")
    return owner[by_task], resource[by_task], (work / graph.capacity[resource])[by_task]


_Proof = tuple[float, tuple[Ints, ...]]


def _front_bound(
    graph: TaskGraph, order: Ints, time: Floats, head: Floats, tail: Floats, uses: tuple[Ints, Ints, Floats]
) -> _Proof:
    """Return the best bound that fronts give, and these fronts."""
    from noptoolkit.scheduling.compiled_bounds import front_bound
    from noptoolkit.scheduling.compiled_fronts import reach_of_chain, reach_of_fronts, ways_between_fronts
    from noptoolkit.scheduling.compiled_paths import critical_chain

    owner, resource, work = uses
    before = (read_only(order), read_only(graph.pred_ptr), read_only(graph.pred))
    walks = (*before, read_only(graph.successors[0]), read_only(graph.successors[1]))
    work_ptr = np.searchsorted(owner, np.arange(len(graph) + 1))

    def bound(kept: Ints, after_some: Ints, after_all: Ints, before_some: Ints, before_all: Ints) -> _Proof:
        chosen = [sets[k] for k in kept]
        shortest = np.array([time[members].min() for members in chosen])
        reach = (after_some, after_all, before_some, before_all)
        ends = np.cumsum([0, *map(len, chosen)])
        members = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
        since, until_last, until_first = ways_between_fronts(
            read_only(ends), read_only(members), *walks, time, after_all, before_some, head, tail
        )
        to_first = _stays(uses, after_all, before_all, since, until_first, len(kept))
        to_last = _stays(uses, after_all, before_some, since, until_last, len(kept))
        for f, members in enumerate(chosen):
            if f > 0 and (after_all[members] == f - 1).all():  # every member follows the whole front before
                to_first[f] = max(to_first[f], (since[members] + time[members]).min())
        ways = (to_first, to_last)
        value = front_bound(shortest, *reach, work_ptr, resource, work, len(graph.resources), *ways)
        return float(value), tuple(chosen)

    chain = _thinned(critical_chain(order, time, head, tail, *graph.successors))
    sets = [chain[k : k + 1] for k in range(len(chain))]
    best = bound(*reach_of_chain(read_only(chain), *walks))
    every = tuple(range(len(graph.fronts)))
    for indices in dict.fromkeys((every, *graph.chains)):
        if indices:
            sets = [graph.fronts[k][:MEMBERS] for k in _thinned(np.array(indices))]
            front_ptr = np.cumsum([0, *map(len, sets)])
            reach = reach_of_fronts(read_only(front_ptr), read_only(np.concatenate(sets)), *walks)
            best = max(best, bound(*reach), key=lambda proof: proof[0])
    return best


def _stays(
    uses: tuple[Ints, Ints, Floats], after: Ints, before: Ints, since: Floats, until: Floats, fronts: int
) -> Floats:
    """Return by how much each front must follow the one before, for the tasks between, [fronts + 1]."""
    from noptoolkit.scheduling.compiled_bounds import longest_stays
    from noptoolkit.scheduling.compiled_ranks import falling_order, grouped

    owner, resource, work = uses
    between = np.flatnonzero(after[owner] == before[owner] - 1)
    task, place, load = owner[between], resource[between], work[between]
    longest = np.full(fronts + 1, -np.inf)
    resources = int(place.max(initial=0)) + 1
    group = before[task] * resources + place
    for first, last in ((since[task], until[task]), (until[task], since[task])):
        rank = grouped(falling_order(read_only(first))[1], read_only(group), (fronts + 1) * resources)
        args = (before[task][rank], place[rank], first[rank], load[rank], last[rank])
        longest = np.maximum(longest, longest_stays(*args, fronts + 1))
    return longest


def _thinned(items: Ints) -> Ints:
    """Return at most `FRONTS` of some items, evenly spread, in order."""
    if len(items) <= FRONTS:
        return items
    chosen: Ints = items[np.linspace(0, len(items) - 1, FRONTS).astype(np.int64)]
    return chosen
