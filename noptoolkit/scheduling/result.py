"""A schedule and its figures.

Every instant of a schedule belongs to one of four: *compute* if any chiplet computes, else *communication* if
any channel carries, else *load* if only memory is busy, else *idle*. Communication and load in this sense are
*exposed*: nothing hides them. The *overlap* is the share of the busy time of the three kinds (each a union of
intervals) during which another kind is busy too: 0 for a serial schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._pictures import Reported
from noptoolkit.errors import ScheduleError, raises_where_malformed
from noptoolkit.scheduling.bounds import LowerBound
from noptoolkit.scheduling.critical_path import busy_share, critical_tasks
from noptoolkit.scheduling.list_scheduling import Priority, list_schedule
from noptoolkit.scheduling.task_graph import TaskGraph
from noptoolkit.scheduling.verify import occupancy_over_time, verify_schedule
from noptoolkit.scheduling.verify_bounds import verify_bounds
from noptoolkit.tables import Amount, Table
from noptoolkit.units import Measured, format_quantity, measured

__all__ = ["Breakdown", "Schedule", "TaskTable", "schedule_graph"]


CLASS_OF_KIND = {
    "load": "load",
    "store": "load",
    "dispatch": "communication",
    "combine": "communication",
    "exchange": "communication",
}
"""Kinds of task that are no computation."""


@dataclass(frozen=True)
class Breakdown:
    """How the time of a schedule divides; the four add up to its makespan.

    Parameters
    ----------
    compute
        While any chiplet computes.
    communication, load
        Exposed: while no chiplet computes.
    idle
        While nothing runs at all.
    """

    compute: Measured = measured("s")
    communication: Measured = measured("s")
    load: Measured = measured("s")
    idle: Measured = measured("s", default=0.0)


@dataclass(frozen=True, eq=False)
class TaskTable:
    """The tasks of a schedule as arrays of equal length.

    Parameters
    ----------
    start, end
        In s.
    resource
        Index into ``Schedule.resources`` of the (first) resource occupied, -1 for none.
    kind, label
        Text.
    """

    start: Floats
    end: Floats
    resource: Ints
    kind: NDArray[np.str_]
    label: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Reported):
    """When every task of a graph runs, and how good that is.

    Parameters
    ----------
    graph
        The tasks and what they need.
    start, end
        In s, [tasks].
    bounds
        Lower bounds on the makespan of every schedule of the graph.
    """

    graph: TaskGraph
    start: Floats
    end: Floats
    bounds: LowerBound

    def __repr__(self) -> str:
        within = f"within {100 * self.gap:.2g} % of the bound"
        return f"Schedule({format_quantity(self.makespan, 's')}, {len(self.graph)} tasks, {within})"

    @cached_property
    def makespan(self) -> float:
        """When the last task ends, in s."""
        return float(self.end.max(initial=0.0))

    @property
    def lower_bound(self) -> float:
        """Lower bound on the makespan of every schedule of these tasks, in s."""
        return self.bounds.value

    @property
    def gap(self) -> float:
        """Distance from the lower bound to the makespan, as a share of the bound."""
        return max(self.makespan / self.lower_bound - 1.0, 0.0) if self.lower_bound > 0 else 0.0

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of chiplets, memory stacks, channels and whatever else is occupied."""
        return self.graph.resources

    @cached_property
    def tasks(self) -> TaskTable:
        """Start, end, resource, kind and label of each task."""
        kinds = np.array(self.graph.kinds or ("",), dtype=np.str_)[self.graph.kind]
        labels = np.array(self.graph.labels, dtype=object)
        return TaskTable(self.start, self.end, self.graph.resource_of, kinds, labels)

    @cached_property
    def utilisation(self) -> Floats:
        """Share of the makespan that each resource is occupied, [resources]."""
        return self.graph.load / self.makespan if self.makespan > 0 else np.zeros(len(self.resources))

    @cached_property
    def breakdown(self) -> Breakdown:
        """Compute, exposed communication, exposed load and idle time."""
        busy = self._busy_edges
        times = np.unique(np.concatenate([*(edges.ravel() for edges in busy.values()), [0.0, self.makespan]]))
        middle = (times[1:] + times[:-1]) / 2
        left = np.diff(times)
        result = {}
        for name in ("compute", "communication", "load"):
            covered = _covered(busy[name], middle)
            result[name] = float(left[covered].sum())
            left = np.where(covered, 0.0, left)
        return Breakdown(**result, idle=float(left.sum()))

    @cached_property
    def overlap(self) -> float:
        """Share of the busy time of compute, communication and memory that another of them covers."""
        apart = sum(float((edges[:, 1] - edges[:, 0]).sum()) for edges in self._busy_edges.values())
        return max(0.0, 1.0 - (self.makespan - self.breakdown.idle) / apart) if apart > 0 else 0.0  # rounding

    @cached_property
    def critical_path(self) -> Ints:
        """A chain of tasks that decides the makespan, first to last; see `critical_tasks`."""
        return critical_tasks(self.graph, self.start, self.end)

    @cached_property
    def high_water(self) -> dict[str, float]:
        """Most bytes ever in each buffer (SRAM, by its chiplet's name)."""
        return {
            name: float(occupancy_over_time(self.graph, self.start, self.end, name)[1].max(initial=0.0))
            for name in self.graph.buffers
        }

    def busy_share(self, edges: ArrayLike) -> Floats:
        """Return the share of each time bin that each resource is occupied, [resources, bins].

        Parameters
        ----------
        edges
            Bounds of the bins in s, ascending, [bins + 1]. A flow counts as even over its run.
        """
        return busy_share(self.graph, self.start, self.end, np.asarray(edges, dtype=float))

    @cached_property
    def _busy_edges(self) -> dict[str, Floats]:
        """Start and end of each stretch during which a class of task runs, [stretches, 2]."""
        classes = [CLASS_OF_KIND.get(kind, "compute") for kind in self.graph.kinds]
        running = self.end > self.start
        result = {}
        for name in ("compute", "communication", "load"):
            members = [i for i, cls in enumerate(classes) if cls == name]
            chosen = running & np.isin(self.graph.kind, members)
            result[name] = _union(self.start[chosen], self.end[chosen])
        return result

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self, busiest: int = 8) -> Table:
        """Return the schedule as a table: times, energy, SRAM, busiest resources."""
        parts = self.breakdown
        body: list[list[object]] = [
            ["makespan", Amount(self.makespan, "s"), ""],
            ["lower bound", Amount(self.lower_bound, "s"), self.bounds.method],
            ["gap", Amount(self.gap, form=".2f %"), "upper bound on the distance to the optimum"],
        ]
        for name, time in (
            ("compute", parts.compute),
            ("exposed communication", parts.communication),
            ("exposed loading", parts.load),
            ("idle", parts.idle),
        ):
            share = time / self.makespan if self.makespan else 0.0
            body.append([name, Amount(time, "s"), f"{100 * share:.1f} % of the makespan"])
        body.append(["overlap", Amount(self.overlap, form=".1f %"), "share of the busy time that is hidden"])
        if self.high_water:
            name = max(self.high_water, key=lambda n: self.high_water[n] / self._buffer_size[n])
            most, size = self.high_water[name], self._buffer_size[name]
            body.append(["SRAM, fullest", Amount(most, "B"), f"of {format_quantity(size, 'B')} in {name}"])
        for r in np.argsort(-self.utilisation, kind="stable")[:busiest]:
            share = float(self.utilisation[r])
            body.append([f"busy: {self.resources[r]}", Amount(share, form=".1f %"), ""])
        return Table(["what", "value", "remark"], body, title=repr(self), notes=self.notes())

    def cells(self, busiest: int = 8) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table(busiest).cells()

    def notes(self) -> list[str]:
        """Return what must be said with the table, a line each."""
        return [f"{len(self.graph)} tasks; the makespan is at most {self.gap:.2%} above the lower bound."]

    @cached_property
    def _buffer_size(self) -> dict[str, float]:
        return dict(zip(self.graph.buffers, map(float, self.graph.buffer_size), strict=True))

    def to_chrome_trace(self, path: str | Path) -> None:
        """Write the schedule as a trace that Perfetto and chrome://tracing open."""
        from noptoolkit.formats.trace_events import write_chrome_trace

        write_chrome_trace(self, path)

    @raises_where_malformed(ScheduleError)
    def verify(self, *, tol: float = 1e-9) -> object:
        """Raise ScheduleError unless this is a schedule of its graph, and the bounds hold.

        See `verify_schedule` and `noptoolkit.scheduling.verify_bounds.verify_bounds`: they share nothing with
        what made schedule and bounds.
        """
        verify_schedule(self.graph, self.start, self.end, tol=tol)
        verify_bounds(self.graph, self.bounds, tol=tol)
        return None


def schedule_graph(graph: TaskGraph, *, priority: str | Priority = "tail", rounds: int = 0) -> Schedule:
    """Return the list schedule of any task graph.

    Parameters
    ----------
    priority, rounds
        See `list_schedule`.

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder
    >>> tasks = TaskGraphBuilder()
    >>> before = []
    >>> for i in range(4):  # a load may run while the one before is computed on
    ...     before.append(tasks.add(2.0, "pe", after=[tasks.add(3.0, "dram", kind="load")]))
    >>> plan = schedule_graph(tasks.build())
    >>> plan.makespan, plan.gap, plan.breakdown
    (14.0, 0.0, Breakdown(compute=8.0, communication=0.0, load=6.0, idle=0.0))
    """
    timeline = list_schedule(graph, priority=priority, rounds=rounds)
    return Schedule(graph, timeline.start, timeline.end, timeline.bounds)


def _union(start: Floats, end: Floats) -> Floats:
    """Return the union of intervals as disjoint ones in order, [stretches, 2]."""
    if len(start) == 0:
        return np.empty((0, 2))
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    first = np.concatenate([[True], start[1:] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.column_stack([start[first], reach[last]])


def _covered(stretches: Floats, points: Floats) -> Bools:
    """Return which points lie within one of some disjoint stretches."""
    if len(stretches) == 0:
        return np.zeros(len(points), np.bool_)
    i = np.searchsorted(stretches[:, 0], points, side="right") - 1
    inside: Bools = (i >= 0) & (points < stretches[np.maximum(i, 0), 1])
    return inside
