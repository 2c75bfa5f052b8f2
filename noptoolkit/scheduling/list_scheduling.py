"""Event-driven list scheduling of any task graph.

At time 0 and whenever a task ends, the ready tasks start that fit, most urgent first (Graham, Bell System
Technical Journal 1966; the parallel generation scheme of Kolisch, EJOR 1996). The urgency is by default the
longest path from a task's start to the end of the graph (Hu, Operations Research 1961). The result is not
optimal in general, and less work or more resources may lengthen it (Graham's anomalies): the lower bounds say
how far from the best possible it can be.

A schedule is improved in rounds of two passes (forward-backward improvement: Li and Willis, EJOR 1992; Tormos
and Lova, Annals of Operations Research 2001): the reversed graph is scheduled, most urgent what ended last,
then the graph itself, most urgent what the pass before began with. The best forward pass is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bools, Floats, Ints, read_only
from noptoolkit._names import resolve
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling.bounds import LowerBound, lone_times, lower_bound
from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["PRIORITIES", "Priority", "Timeline", "bounds_of", "list_schedule", "priority_of"]

Priority = Callable[[TaskGraph], NDArray[np.floating]]

REACHED = 1 + 1e-4
"""Makespan over lower bound below which a schedule is not improved any more."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each task runs.

    Parameters
    ----------
    start, end
        In s, [tasks].
    bounds
        What no schedule of the graph can beat.
    """

    start: Floats
    end: Floats
    bounds: LowerBound

    @property
    def makespan(self) -> float:
        """When the last task ends, in s."""
        return float(self.end.max(initial=0.0))


def list_schedule(graph: TaskGraph, *, priority: str | Priority = "tail", rounds: int = 0) -> Timeline:
    """Return when each task of a graph runs.

    Parameters
    ----------
    priority
        A name in `PRIORITIES` or a callable that returns the urgency of each task of a graph, [tasks]; of the
        tasks that could start, the one of largest urgency does, the first of equal ones.
    rounds
        Of improvement, at most; they end when one gains nothing, or a lower bound is reached (of the fronts
        apart).

    Raises
    ------
    ScheduleError
        If the graph has a cycle (which is named), or its tasks block each other's buffers in every order
        (or, which the message says, in all orders that were tried).

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder
    >>> tasks = TaskGraphBuilder(capacities={"pe": 2})
    >>> for _ in range(4):
    ...     _ = tasks.add(1.0, "pe")
    >>> list_schedule(tasks.build()).end
    array([1., 1., 2., 2.])
    """
    order, head, tail = _walked(graph)
    if priority == "tail":
        urgency = lone_times(graph) + tail
    else:
        urgency = np.asarray(priority_of(priority)(graph), dtype=float)
        if urgency.shape != (len(graph),) or not np.isfinite(urgency).all():
            raise ScheduleError(f"the priority must give {len(graph)} finite numbers, one per task")
    start, end, done = _run(graph, urgency)
    if done < len(graph):
        start, end = _in_an_order(graph, urgency, end)
    bounds = lower_bound(graph, order, head, tail)
    # the bound of the fronts takes ten times as long as the rounds that it might save
    start, end = _improved(graph, start, end, bounds.quick, rounds)
    start.flags.writeable = end.flags.writeable = False
    return Timeline(start, end, bounds)


def _in_an_order(graph: TaskGraph, urgency: NDArray[np.floating], stuck: Floats) -> tuple[Floats, Floats]:
    """Return starts and ends in an order in which everything fits, where the most urgent tasks are stuck.

    Raises
    ------
    ScheduleError
        If there is none, as is proved, or none was found.
    """
    from noptoolkit.scheduling.buffer_orders import following_order, order_that_fits

    order, proved = order_that_fits(graph, np.asarray(urgency, dtype=float))
    if order is None:
        raise ScheduleError(_name_stuck(graph, stuck, proved))
    again = following_order(graph, order)
    if again is not None:
        start, end, done = _run(again, urgency)
        if done == len(graph):
            return start, end
    start, end = np.zeros(len(graph)), np.zeros(len(graph))
    lone, now = lone_times(graph), 0.0
    for task in order:  # one at a time
        start[task], now = now, now + float(lone[task])
        end[task] = now
    return start, end


def priority_of(priority: str | Priority) -> Priority:
    """Return the function that gives the urgency of tasks.

    Raises
    ------
    UnknownNameError
        If there is no priority of that name.
    ScheduleError
        If the value is neither a name nor callable.
    """
    chosen = resolve(priority, PRIORITIES, "priority")
    if not callable(chosen):
        raise ScheduleError(
            f"priority {priority!r}: give a name ({', '.join(PRIORITIES)}) or a function of a task graph"
        )
    return chosen


def bounds_of(graph: TaskGraph) -> LowerBound:
    """Return the lower bounds of a graph, which need no schedule.

    Raises
    ------
    ScheduleError
        If the graph has a cycle.
    """
    return lower_bound(graph, *_walked(graph))


def _walked(graph: TaskGraph) -> tuple[Ints, Floats, Floats]:
    """Return a topological order, and the longest path before and after each task."""
    from noptoolkit.scheduling.compiled_paths import heads_and_tails, topological_order

    succ_ptr, succ = graph.successors
    order = topological_order(read_only(graph.pred_ptr), succ_ptr, succ)
    if len(order) < len(graph):
        raise ScheduleError(_name_cycle(graph, order))
    return (order, *heads_and_tails(order, lone_times(graph), succ_ptr, succ))


def _improved(
    graph: TaskGraph, start: Floats, end: Floats, bound: float, rounds: int
) -> tuple[Floats, Floats]:
    """Return starts and ends after some rounds of forward-backward improvement."""
    for _ in range(rounds):
        if end.max(initial=0.0) <= bound * REACHED:
            break
        _, backward, done = _run(graph.reversed, end)
        if done < len(graph):
            break  # buffers that fill forwards need not fill backwards
        new_start, new_end, done = _run(graph, backward)
        if done < len(graph) or new_end.max() >= end.max():
            break
        start, end = new_start, new_end
    return start, end


def _run(graph: TaskGraph, urgency: NDArray[np.floating]) -> tuple[Floats, Floats, int]:
    """Return starts and ends of all tasks, and how many could be run."""
    from noptoolkit.scheduling.compiled_events import run_events
    from noptoolkit.scheduling.compiled_ranks import falling_order

    succ_ptr, succ = graph.successors
    rank, by_rank = falling_order(read_only(np.asarray(urgency, np.float64)))
    given: tuple[Any, ...] = (
        graph.duration,
        graph.need.astype(np.int32),
        *_need_arrays(graph),
        graph.capacity,
        graph.buffer_size,
        graph.hold,
        rank,
        by_rank,
        graph.pred_ptr.astype(np.int32),
        succ_ptr.astype(np.int32),
        succ.astype(np.int32),
        graph.flow_size,
        graph.use_ptr,
        graph.use_resource,
        graph.use_time,
    )
    start, end, done = run_events(*[read_only(array) for array in given])
    return start, end, int(done)


def longest_tail(graph: TaskGraph) -> Floats:
    """Return the longest path from each task's start to the end of the graph, in s."""
    from noptoolkit.scheduling.compiled_paths import heads_and_tails, topological_order

    succ_ptr, succ = graph.successors
    order = topological_order(read_only(graph.pred_ptr), succ_ptr, succ)
    time = lone_times(graph)
    tail: Floats = heads_and_tails(order, time, succ_ptr, succ)[1] + time
    return tail


def first_added(graph: TaskGraph) -> Floats:
    """Return urgencies that follow the order in which tasks were added."""
    return -np.arange(len(graph), dtype=float)


PRIORITIES: Mapping[str, Priority] = {"tail": longest_tail, "added": first_added}


def _need_arrays(graph: TaskGraph) -> tuple[Ints, Ints, Ints, Ints, Ints, Bools]:
    """Return the needs as pointer arrays, and which needs each resource and buffer concerns."""
    pointers: list[int] = [0]
    held_all: list[int] = []
    buffer_of: list[int] = []
    concerned: list[list[int]] = [[] for _ in range(len(graph.resources) + len(graph.buffers))]
    for i, (held, buffer) in enumerate(graph.needs):
        held_all.extend(held)
        pointers.append(len(held_all))
        buffer_of.append(buffer)
        for resource in held:
            concerned[resource].append(i)
        if buffer >= 0:
            concerned[len(graph.resources) + buffer].append(i)
    alone = np.ones(len(graph.needs), np.bool_)
    for needs in concerned:
        if len(needs) > 1:
            alone[needs] = False
    wake_ptr = np.cumsum([0, *map(len, concerned)])
    wake = [need for needs in concerned for need in needs]
    as_ints = [np.array(part, np.int64) for part in (pointers, held_all, buffer_of, wake_ptr, wake)]
    return (*as_ints, alone)  # type: ignore[return-value]


def _name_cycle(graph: TaskGraph, order: Ints) -> str:
    """Return a message that names the tasks of one cycle, following predecessors that are on cycles."""
    left = np.ones(len(graph), np.bool_)
    left[order] = False
    task = int(np.flatnonzero(left)[0])
    seen: dict[int, int] = {}
    path: list[int] = []
    while task not in seen:
        seen[task] = len(path)
        path.append(task)
        before = graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]]
        task = int(before[left[before]][0])
    ring = path[seen[task] :][::-1]
    first = ring.index(min(ring))
    cycle = [graph.name(i) for i in (*ring[first:], *ring[:first])]
    shown = cycle if len(cycle) <= 8 else [*cycle[:4], f"... {len(cycle) - 6} more ...", *cycle[-2:]]
    return f"the task graph has a cycle: {' -> '.join([*shown, cycle[0]])}; drop one of these precedences"


def _name_stuck(graph: TaskGraph, end: Floats, proved: bool) -> str:
    """Return a message that names a task that a buffer has no room for."""
    task = int(np.flatnonzero(np.isnan(end) & (graph.hold > 0))[0])
    buffer = graph.buffers[graph.needs[graph.need[task]][1]]
    if proved:
        return (
            f"{graph.name(task)} never finds {graph.hold[task]:g} B free in buffer {buffer!r}: in every "
            "order, what fills it waits for what cannot enter; make the buffer larger or the tasks smaller"
        )
    return (
        f"{graph.name(task)} does not find {graph.hold[task]:g} B free in buffer {buffer!r} in any of many "
        "orders that were tried, which does not prove that there is none; give precedences that say the "
        "order, or make the buffer larger"
    )
