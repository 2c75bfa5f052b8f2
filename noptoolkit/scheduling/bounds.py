"""What no schedule of a task graph can beat.

* critical path: the longest chain of precedences;
* load: the time that a resource is needed, divided by its capacity;
* head + load + tail: of any set of tasks on a resource, the earliest that one can start, plus their load,
  plus the shortest time that must follow (Carlier, EJOR 1982). The sets tried are, for each resource, all
  tasks that cannot start before a given time, and all tasks that a given time must follow.

Buffers and the sharing of rates only make schedules longer, so the bounds hold with them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["LowerBound", "lower_bound"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LowerBound:
    """The lower bounds of a task graph, in s.

    Parameters
    ----------
    critical_path, load, head_load_tail
        As in the module's text.
    resource
        The resource with the largest load or head + load + tail bound, empty if there is none.
    """

    critical_path: float
    load: float
    head_load_tail: float
    resource: str = ""

    @property
    def value(self) -> float:
        """The largest of them."""
        return max(self.critical_path, self.load, self.head_load_tail)

    @property
    def method(self) -> str:
        """Which one is the largest."""
        if self.critical_path >= max(self.load, self.head_load_tail):
            return "critical path"
        return f"load of {self.resource}"


def lower_bound(graph: TaskGraph, head: Floats, tail: Floats) -> LowerBound:
    """Return the lower bounds of a graph, given its heads and tails (see `list_schedule`).

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> for _ in range(4):
    ...     _ = tasks.add(3.0, "pe", after=[tasks.add(2.0, "dram")])
    >>> schedule_graph(tasks.build()).bounds
    LowerBound(critical_path=5.0, load=12.0, head_load_tail=14.0, resource='pe')
    """
    time = lone_times(graph)
    critical = float((head + time + tail).max(initial=0.0))
    load = graph.load
    best, where = 0.0, -1
    for resource, (tasks, work) in enumerate(_work_by_resource(graph)):
        if len(tasks) == 0 or critical >= load[resource] + head[tasks].max() + tail[tasks].max():
            continue
        work = work / graph.capacity[resource]
        for first, last in ((head[tasks], tail[tasks]), (tail[tasks], head[tasks])):
            order = np.argsort(-first, kind="stable")
            value = first[order] + np.cumsum(work[order]) + np.minimum.accumulate(last[order])
            if value.max() > best:
                best, where = float(value.max()), resource
    heaviest = float(load.max(initial=0.0))
    if heaviest > best:
        where = int(load.argmax())
    return LowerBound(critical, heaviest, best, graph.resources[where] if where >= 0 else "")


def lone_times(graph: TaskGraph) -> Floats:
    """Return how long each task takes with every resource to itself, in s, [tasks]."""
    time = graph.duration.copy()
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    np.maximum.at(time, owner, graph.use_time)
    return time


def _work_by_resource(graph: TaskGraph) -> list[tuple[Ints, Floats]]:
    """Return the tasks that occupy each resource and for how long, flows included."""
    by_need = np.argsort(graph.need, kind="stable")
    ends = np.cumsum(np.bincount(graph.need, minlength=len(graph.needs)))
    of_need = np.split(by_need, ends[:-1])
    tasks: list[list[Ints]] = [[] for _ in graph.resources]
    for (held, _), members in zip(graph.needs, of_need, strict=True):
        for resource in held:
            tasks[resource].append(members)
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    result = []
    for resource, parts in enumerate(tasks):
        members = np.concatenate(parts) if parts else np.empty(0, np.int64)
        work = graph.duration[members]
        if len(owner):
            used = graph.use_resource == resource
            members = np.concatenate([members, owner[used]])
            work = np.concatenate([work, graph.use_time[used]])
        result.append((members, work))
    return result
