"""Collects the tasks of a graph one by one, or as copies of earlier ones, and builds a `TaskGraph`."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, repeat
from typing import Any

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling.task_graph import TaskGraph, frozen

__all__ = ["TaskGraphBuilder"]


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
        self._duration, self._hold = array("d"), array("d")
        self._need, self._kind = array("q"), array("q")
        self._pred_ptr, self._pred = array("q", [0]), array("q")
        self._late_task, self._late_pred = array("q"), array("q")
        self._fronts: list[Ints] = []
        self._chains: list[tuple[int, ...]] = []
        self._label, self._texts = array("q"), dict[str, int]()
        self._flow, self._flow_size, self._flow_ptr = array("q"), array("d"), array("q", [0])
        self._use_resource, self._use_time = array("q"), array("d")
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
        self._label.append(self._texts.setdefault(label, len(self._texts)))
        self._pred.extend(after)
        self._pred_ptr.append(len(self._pred))
        return len(self._duration) - 1

    def add_each(
        self,
        durations: Sequence[float],
        resources: Sequence[str],
        after: Sequence[Sequence[int]],
        *,
        kind: str = "compute",
        label: str = "",
    ) -> range:
        """Add tasks of one kind and one label that each occupy one resource, and return their indices.

        What many calls of `add` would do, faster.

        Parameters
        ----------
        durations, resources, after
            In s, names, and indices of tasks that must end before, one entry for each task.
        """
        first, count = len(self), len(durations)
        if wrong := [time for time in durations if not 0.0 <= time < float("inf")]:
            raise ScheduleError(f"task {label or first!r}: duration {wrong[0]!r} is not 0 or more seconds")
        known = self._known
        for name in resources:
            if (name, None) not in known:
                known[name, None] = self._new_need(name, None, label)
        self._duration.extend(durations)
        self._need.extend([known[name, None] for name in resources])
        self._hold.extend(repeat(0.0, count))
        self._kind.extend(repeat(self._kinds.setdefault(kind, len(self._kinds)), count))
        self._label.extend(repeat(self._texts.setdefault(label, len(self._texts)), count))
        begin = len(self._pred)
        self._pred.extend(chain.from_iterable(after))
        self._pred_ptr.extend([begin + end for end in accumulate(map(len, after))])
        return range(first, first + count)

    def add_flow(
        self,
        size: float,
        uses: Mapping[str, float],
        after: Iterable[int] = (),
        *,
        kind: str = "dispatch",
        label: str = "",
        least: float = 0.0,
    ) -> int:
        """Add a flow and return its index.

        Parameters
        ----------
        size
            Its bytes: the rate that max-min fairness makes even between flows is in B/s of these.
        uses
            How long it would take on each resource alone, in s, by the resource's name.
        least
            Time that it takes at least, in s; only the lower bound uses it.
        """
        task = self.add(least, None, after, kind=kind, label=label)
        if not 0.0 <= size < float("inf"):
            raise ScheduleError(f"flow {label or task!r}: size {size!r} is not 0 or more bytes")
        for name, time in uses.items():
            if time > 0.0:
                self._use_resource.append(self.resource(name))
                self._use_time.append(time)
        self._flow.append(task)
        self._flow_size.append(size)
        self._flow_ptr.append(len(self._use_time))
        return task

    def wait(self, task: int, for_: int) -> None:
        """Let a task wait for another one too, which may have been added later."""
        self._late_task.append(task)
        self._late_pred.append(for_)

    def wait_each(self, tasks: Ints, for_: Ints) -> None:
        """Let each of some tasks wait for another one too, as `wait` does; both [tasks]."""
        _extend(self._late_task, tasks)
        _extend(self._late_pred, for_)

    def front(self, tasks: Iterable[int]) -> int:
        """Name tasks that together mark a stage of the graph, and return its index.

        Stages are named in order. The schedule does not depend on them; the lower bound looks at what must
        run between them. Without tasks there is no stage, and -1 is returned.
        """
        members = np.fromiter(tasks, np.int64)
        if not len(members):
            return -1
        self._fronts.append(members)
        return len(self._fronts) - 1

    def chain(self, fronts: Iterable[int]) -> None:
        """Name some stages, by index, that the lower bound tries without the others."""
        kept = tuple(sorted({k for k in fronts if k >= 0}))
        if kept and kept not in self._chains:
            self._chains.append(kept)

    def repeat(self, first: int, last: int, replaced: Mapping[int, int], renamed: tuple[str, str]) -> int:
        """Add copies of the tasks ``first`` to ``last - 1``; return how much later each copy comes.

        Predecessors among them become their copies, others those that ``replaced`` gives. Stages named while
        they were added are the caller's to copy.

        Parameters
        ----------
        replaced
            Index of the predecessor that stands for each earlier one outside of the range.
        renamed
            A word of their labels, and the word that stands for it in the copies.
        """
        shift = len(self) - first
        for floats in (self._duration, self._hold):
            floats.extend(floats[first:last])
        for ints in (self._need, self._kind):
            ints.extend(ints[first:last])
        begin, end = self._pred_ptr[first], self._pred_ptr[last]
        pred = np.array(self._pred[begin:end], np.int64)
        outside = pred < first
        known = np.array(sorted(replaced), np.int64)
        stand_in = np.array([replaced[k] for k in sorted(replaced)], np.int64)
        pred[~outside] += shift
        place = np.searchsorted(known, pred[outside])
        if outside.any() and (
            not len(known) or (known[np.minimum(place, len(known) - 1)] != pred[outside]).any()
        ):
            raise ScheduleError("a task to repeat waits for one that nothing stands for")
        pred[outside] = stand_in[place]
        _extend(self._pred_ptr, np.array(self._pred_ptr[first + 1 : last + 1]) - begin + len(self._pred))
        _extend(self._pred, pred)
        lo, hi = bisect_left(self._flow, first), bisect_left(self._flow, last)
        begin, end = self._flow_ptr[lo], self._flow_ptr[hi]
        _extend(self._flow, np.array(self._flow[lo:hi], np.int64) + shift)
        _extend(self._flow_ptr, np.array(self._flow_ptr[lo + 1 : hi + 1]) - begin + len(self._use_time))
        self._flow_size.extend(self._flow_size[lo:hi])
        self._use_resource.extend(self._use_resource[begin:end])
        self._use_time.extend(self._use_time[begin:end])
        label = np.array(self._label[first:last], np.int64)
        used = np.zeros(len(self._texts), np.bool_)
        used[label] = True
        texts, fresh = list(self._texts), np.zeros(len(used), np.int64)
        for k in np.flatnonzero(used).tolist():
            text = " ".join(renamed[1] if word == renamed[0] else word for word in texts[k].split(" "))
            fresh[k] = self._texts.setdefault(text, len(self._texts))
        _extend(self._label, fresh[label])
        return shift

    def build(self) -> TaskGraph:
        """Return the graph of what was added.

        Raises
        ------
        ScheduleError
            If a task waits for one that does not exist.
        """
        pred_ptr, pred = self._precedences()
        flow, flow_size = np.array(self._flow, np.int64), np.zeros(len(self))
        flow_size[flow] = self._flow_size
        uses = np.zeros(len(self) + 1, np.int64)
        uses[flow + 1] = np.diff(self._flow_ptr)
        graph = TaskGraph(
            resources=tuple(self._resources),
            capacity=frozen(self._capacity, np.int64),
            buffers=tuple(self._buffers),
            buffer_size=frozen(self._buffer_size, np.float64),
            duration=frozen(self._duration, np.float64),
            need=frozen(self._need, np.int64),
            needs=tuple(self._needs),
            hold=frozen(self._hold, np.float64),
            pred_ptr=pred_ptr,
            pred=pred,
            kind=frozen(self._kind, np.int64),
            kinds=tuple(self._kinds),
            label=frozen(self._label, np.int64),
            texts=tuple(self._texts),
            flow_size=frozen(flow_size, np.float64),
            use_ptr=frozen(np.cumsum(uses), np.int64),
            use_resource=frozen(self._use_resource, np.int64),
            use_time=frozen(self._use_time, np.float64),
            fronts=tuple(self._fronts),
            chains=tuple(self._chains),
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
        pred_ptr, pred = frozen(self._pred_ptr, np.int64), frozen(self._pred, np.int64)
        if not self._late_task:
            return pred_ptr, pred
        by_task = np.argsort(np.array(self._late_task, np.int64), kind="stable")
        late = np.array(self._late_task, np.int64)[by_task]
        merged = np.insert(pred, pred_ptr[1:][late], np.array(self._late_pred, np.int64)[by_task])
        more = np.cumsum(np.bincount(late, minlength=len(self)))
        return frozen(pred_ptr + np.r_[0, more], np.int64), frozen(merged, np.int64)

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


def _extend(numbers: array[int], more: Ints) -> None:
    numbers.frombytes(more.astype(np.int64).tobytes())
