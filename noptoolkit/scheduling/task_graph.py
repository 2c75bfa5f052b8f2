"""Tasks, what they need and what they wait for.

A task takes a fixed time once all its predecessors have ended and one unit of each of its resources is free;
it is never interrupted. Three things go beyond that:

* a resource has a capacity: how many tasks it serves at once (1 unless told);
* a *buffer* has a size: a task may take bytes of it when it starts (``hold`` > 0) or give bytes back when it
  ends (``hold`` < 0), so that what one task takes another may give back;
* a *flow* has no fixed time: it shares the rates of the resources that it uses with the flows that run
  beside it, by max-min fairness (Bertsekas and Gallager, Data Networks, section 6.5.2).

`TaskGraphBuilder` collects, `TaskGraph` is what it builds: arrays, frozen.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import ScheduleError

__all__ = ["TaskGraph", "TaskGraphBuilder"]


@dataclass(frozen=True, eq=False, repr=False)
class TaskGraph:
    """Tasks in arrays; build one with `TaskGraphBuilder`.

    Parameters
    ----------
    resources, capacity
        Names, and how many tasks each serves at once, [resources].
    buffers, buffer_size
        Names, and their sizes in B, [buffers].
    duration
        In s, [tasks]; 0 for flows.
    need, needs
        Index into ``needs`` of each task, [tasks]; an entry of ``needs`` is the resources that a task holds
        (indices) and the buffer it takes from or gives to (-1 for none).
    hold
        Bytes taken from the buffer at the start (above 0) or given back at the end (below 0), [tasks].
    pred_ptr, pred
        Predecessors of task i are ``pred[pred_ptr[i]:pred_ptr[i + 1]]``.
    kind, kinds
        Index into ``kinds`` of each task, [tasks].
    labels
        One text per task, empty where none was given.
    flow_size, use_ptr, use_resource, use_time
        Of each flow its bytes (0 for tasks that are none), [tasks], and for each resource that it uses how
        long it would take there alone, in s.
    fronts
        Sets of tasks that mark the stages of the graph, in order; the lower bound uses them.
    """

    resources: tuple[str, ...]
    capacity: Ints
    buffers: tuple[str, ...]
    buffer_size: Floats
    duration: Floats
    need: Ints
    needs: tuple[tuple[tuple[int, ...], int], ...]
    hold: Floats
    pred_ptr: Ints
    pred: Ints
    kind: Ints
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    flow_size: Floats
    use_ptr: Ints
    use_resource: Ints
    use_time: Floats
    fronts: tuple[Ints, ...] = ()

    def __repr__(self) -> str:
        return (
            f"TaskGraph({len(self)} tasks, {len(self.pred)} precedences, {len(self.resources)} resources"
            + (f", {len(self.buffers)} buffers" if self.buffers else "")
            + ")"
        )

    def __len__(self) -> int:
        return len(self.duration)

    @cached_property
    def successors(self) -> tuple[Ints, Ints]:
        """Pointers and indices of each task's successors, as ``pred_ptr`` and ``pred``."""
        counts = np.bincount(self.pred, minlength=len(self))
        pointers = np.zeros(len(self) + 1, np.int64)
        np.cumsum(counts, out=pointers[1:])
        owner = np.repeat(np.arange(len(self)), np.diff(self.pred_ptr))
        return pointers, owner[np.argsort(self.pred, kind="stable")]

    @cached_property
    def reversed(self) -> TaskGraph:
        """The graph that runs backwards: precedences turned round, room given back where it was taken."""
        pred_ptr, pred = (_frozen(part, np.int64) for part in self.successors)
        return replace(self, pred_ptr=pred_ptr, pred=pred, hold=_frozen(-self.hold, np.float64), fronts=())

    @cached_property
    def resource_of(self) -> Ints:
        """First resource of each task, of a flow the one it needs longest, -1 for none, [tasks]."""
        first = np.array([held[0] if held else -1 for held, _ in self.needs], np.int64)
        result: Ints = first[self.need]
        owner = np.repeat(np.arange(len(self)), np.diff(self.use_ptr))
        by_time = np.argsort(self.use_time, kind="stable")
        result[owner[by_time]] = self.use_resource[by_time]  # the last one written is the longest
        return result

    @cached_property
    def load(self) -> Floats:
        """Time that each resource is needed in all, divided by its capacity, in s, [resources]."""
        total = np.zeros(len(self.resources))
        by_need = np.bincount(self.need, self.duration, minlength=len(self.needs))
        for (held, _), time in zip(self.needs, by_need, strict=True):
            total[list(held)] += time
        np.add.at(total, self.use_resource, self.use_time)
        return total / self.capacity

    def name(self, task: int) -> str:
        """Return a task's label, or its index where it has none."""
        return self.labels[task] or f"task {task}"


class TaskGraphBuilder:
    """Collects tasks one by one and builds a `TaskGraph`.

    Parameters
    ----------
    capacities
        Resources that serve more than one task at a time; others are made with capacity 1 when first named.
    buffers
        Sizes in B.

    Examples
    --------
    >>> tasks = TaskGraphBuilder()
    >>> load = tasks.add(3.0, "dram", label="load")
    >>> run = tasks.add(2.0, "pe", after=[load], label="run")
    >>> tasks.build()
    TaskGraph(2 tasks, 1 precedences, 2 resources)
    """

    def __init__(
        self, capacities: Mapping[str, int] | None = None, buffers: Mapping[str, float] | None = None
    ) -> None:
        self._resources: dict[str, int] = {}
        self._capacity: list[int] = []
        self._buffers = {name: i for i, name in enumerate(buffers or {})}
        self._buffer_size = [float(size) for size in (buffers or {}).values()]
        self._kinds: dict[str, int] = {}
        self._needs: dict[tuple[tuple[int, ...], int], int] = {}
        self._known: dict[Any, int] = {}
        self._duration, self._hold, self._flow_size = array("d"), array("d"), array("d")
        self._need, self._kind = array("q"), array("q")
        self._pred_ptr, self._pred = array("q", [0]), array("q")
        self._late_task, self._late_pred = array("q"), array("q")
        self._fronts: list[Ints] = []
        self._labels: list[str] = []
        self._use_ptr, self._use_resource, self._use_time = array("q", [0]), array("q"), array("d")
        for name, capacity in (capacities or {}).items():
            self.resource(name, capacity)

    def __len__(self) -> int:
        return len(self._duration)

    def resource(self, name: str, capacity: int = 1) -> int:
        """Return the index of a resource, made if it is new."""
        if name not in self._resources:
            if not isinstance(capacity, int) or capacity < 1:
                raise ScheduleError(
                    f"resource {name!r}: capacity {capacity!r} must be a whole number above 0"
                )
            self._resources[name] = len(self._capacity)
            self._capacity.append(capacity)
        return self._resources[name]

    def add(
        self,
        duration: float,
        resource: str | tuple[str, ...] | None = None,
        after: Iterable[int] = (),
        *,
        kind: str = "compute",
        label: str = "",
        buffer: str | None = None,
        hold: float = 0.0,
    ) -> int:
        """Add a task and return its index.

        Parameters
        ----------
        duration
            In s.
        resource
            Name of what it occupies, or several names that it occupies together, or ``None``.
        after
            Indices of tasks that must end before it starts; they may be added later.
        kind
            ``compute``, ``load``, ``store``, ``dispatch``, ...: what breakdowns and colours go by.
        label
            What charts and errors call it.
        buffer, hold
            Buffer, and bytes taken at the start (above 0) or given back at the end (below 0).

        Raises
        ------
        ScheduleError
            If the duration is negative or not finite, the buffer is unknown, or more is taken than it has.
        """
        if not 0.0 <= duration < float("inf"):
            raise ScheduleError(
                f"task {label or len(self)!r}: duration {duration!r} is not 0 or more seconds"
            )
        key = (resource, buffer)
        need = self._known.get(key)
        if need is None:
            need = self._known[key] = self._new_need(resource, buffer, label)
        if hold and (buffer is None or hold > self._buffer_size[self._buffers[buffer]]):
            self._explain_hold(buffer, hold, label)
        self._duration.append(duration)
        self._need.append(need)
        self._hold.append(hold)
        self._kind.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._labels.append(label)
        self._pred.extend(after)
        self._pred_ptr.append(len(self._pred))
        self._flow_size.append(0.0)
        self._use_ptr.append(len(self._use_time))
        return len(self._duration) - 1

    def add_flow(
        self,
        size: float,
        uses: Mapping[str, float],
        after: Iterable[int] = (),
        *,
        kind: str = "dispatch",
        label: str = "",
    ) -> int:
        """Add a flow and return its index.

        Parameters
        ----------
        size
            Its bytes: the rate that max-min fairness makes even between flows is in B/s of these.
        uses
            How long it would take on each resource alone, in s, by the resource's name.
        """
        task = self.add(0.0, None, after, kind=kind, label=label)
        if not 0.0 <= size < float("inf"):
            raise ScheduleError(f"flow {label or task!r}: size {size!r} is not 0 or more bytes")
        for name, time in uses.items():
            if time > 0.0:
                self._use_resource.append(self.resource(name))
                self._use_time.append(time)
        self._flow_size[-1] = size
        self._use_ptr[-1] = len(self._use_time)
        return task

    def wait(self, task: int, for_: int) -> None:
        """Let a task wait for another one too, which may have been added later."""
        self._late_task.append(task)
        self._late_pred.append(for_)

    def front(self, tasks: Iterable[int]) -> None:
        """Name tasks that together mark a stage of the graph, after the stages named before.

        The schedule does not depend on it; the lower bound looks at what must run between stages.
        """
        members = np.fromiter(tasks, np.int64)
        if len(members):
            self._fronts.append(members)

    def build(self) -> TaskGraph:
        """Return the graph of what was added.

        Raises
        ------
        ScheduleError
            If a task waits for one that does not exist.
        """
        pred_ptr, pred = self._precedences()
        graph = TaskGraph(
            resources=tuple(self._resources),
            capacity=_frozen(self._capacity, np.int64),
            buffers=tuple(self._buffers),
            buffer_size=_frozen(self._buffer_size, np.float64),
            duration=_frozen(self._duration, np.float64),
            need=_frozen(self._need, np.int64),
            needs=tuple(self._needs),
            hold=_frozen(self._hold, np.float64),
            pred_ptr=pred_ptr,
            pred=pred,
            kind=_frozen(self._kind, np.int64),
            kinds=tuple(self._kinds),
            labels=tuple(self._labels),
            flow_size=_frozen(self._flow_size, np.float64),
            use_ptr=_frozen(self._use_ptr, np.int64),
            use_resource=_frozen(self._use_resource, np.int64),
            use_time=_frozen(self._use_time, np.float64),
            fronts=tuple(self._fronts),
        )
        wrong = np.flatnonzero((graph.pred < 0) | (graph.pred >= len(graph)))
        if len(wrong):
            task = int(np.searchsorted(graph.pred_ptr, wrong[0], side="right")) - 1
            raise ScheduleError(
                f"{graph.name(task)} waits for task {graph.pred[wrong[0]]}, "
                f"but there are tasks 0 to {len(graph) - 1}"
            )
        return graph

    def _precedences(self) -> tuple[Ints, Ints]:
        """Return pointers and predecessors, those of `wait` behind the others of their task."""
        pred_ptr, pred = _frozen(self._pred_ptr, np.int64), _frozen(self._pred, np.int64)
        if not self._late_task:
            return pred_ptr, pred
        late = np.array(self._late_task, np.int64)
        owner = np.concatenate([np.repeat(np.arange(len(self)), np.diff(pred_ptr)), late])
        counts = np.bincount(owner, minlength=len(self))
        by_task = np.argsort(owner, kind="stable")
        pred = np.concatenate([pred, np.array(self._late_pred, np.int64)])[by_task]
        return _frozen(np.concatenate([[0], np.cumsum(counts)]), np.int64), _frozen(pred, np.int64)

    def _new_need(self, resource: str | tuple[str, ...] | None, buffer: str | None, label: str) -> int:
        names = (resource,) if isinstance(resource, str) else resource or ()
        if buffer is not None and buffer not in self._buffers:
            hint = did_you_mean(buffer, self._buffers)
            raise ScheduleError(f"task {label or len(self)!r}: no buffer named {buffer!r}; {hint}")
        held = tuple(dict.fromkeys(self.resource(name) for name in names))
        need = (held, -1 if buffer is None else self._buffers[buffer])
        return self._needs.setdefault(need, len(self._needs))

    def _explain_hold(self, buffer: str | None, hold: float, label: str) -> None:
        if buffer is None:
            raise ScheduleError(f"task {label or len(self)!r}: holds {hold:g} B of no buffer; name it")
        size = self._buffer_size[self._buffers[buffer]]
        raise ScheduleError(
            f"task {label or len(self)!r}: takes {hold:g} B of buffer {buffer!r}, which has {size:g} B; "
            "cut it into smaller tasks"
        )


def _frozen(values: Any, dtype: type[np.generic]) -> NDArray[Any]:
    result = np.array(values, dtype=dtype)
    result.flags.writeable = False
    return result
