"""Tasks, what they need and what they wait for.

A task takes a fixed time once all its predecessors have ended and one unit of each of its resources is free;
it is never interrupted. Three things go beyond that:

* a resource has a capacity: how many tasks it serves at once (1 unless told);
* a *buffer* has a size: a task may take bytes of it when it starts (``hold`` > 0) or give bytes back when it
  ends (``hold`` < 0), so that what one task takes another may give back;
* a *flow* has no fixed time: it shares the rates of the resources that it uses with the flows that run
  beside it, by max-min fairness (Bertsekas and Gallager, Data Networks, section 6.5.2).

`TaskGraph` holds them in frozen arrays; `noptoolkit.scheduling.graph_builder.TaskGraphBuilder` builds one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints

__all__ = ["TaskGraph", "frozen"]


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
        Time of each task in s, [tasks]; of a flow the least time that it can take, which only the lower
        bound uses.
    need, needs
        Index into ``needs`` of each task, [tasks]; an entry of ``needs`` is the resources that a task holds
        (indices) and the buffer it takes from or gives to (-1 for none).
    hold
        Bytes taken from the buffer at the start (above 0) or given back at the end (below 0), [tasks].
    pred_ptr, pred
        Predecessors of task i are ``pred[pred_ptr[i]:pred_ptr[i + 1]]``.
    kind, kinds
        Index into ``kinds`` of each task, [tasks].
    label, texts
        Index into ``texts`` of each task, [tasks]; an empty text where none was given.
    flow_size, use_ptr, use_resource, use_time
        Of each flow its bytes (0 for tasks that are none), [tasks], and for each resource that it uses how
        long it would take there alone, in s.
    fronts
        Sets of tasks that mark the stages of the graph, in order; the lower bound uses them.
    chains
        Indices into ``fronts``, ascending: sequences of stages that the lower bound tries besides all of
        them.
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
    label: Ints
    texts: tuple[str, ...]
    flow_size: Floats
    use_ptr: Ints
    use_resource: Ints
    use_time: Floats
    fronts: tuple[Ints, ...] = ()
    chains: tuple[tuple[int, ...], ...] = ()

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
        from scipy.sparse import csr_array

        shape = (len(self), len(self))
        entries = np.zeros(len(self.pred), np.int8)
        turned = csr_array(
            (entries, self.pred, self.pred_ptr), shape=shape
        ).tocsc()  # keeps the order of tasks
        return turned.indptr.astype(np.int64), turned.indices.astype(np.int64)

    @cached_property
    def reversed(self) -> TaskGraph:
        """The graph that runs backwards: precedences turned round, room given back where it was taken."""
        pred_ptr, pred = (frozen(part, np.int64) for part in self.successors)
        return replace(
            self, pred_ptr=pred_ptr, pred=pred, hold=frozen(-self.hold, np.float64), fronts=(), chains=()
        )

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

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """One text per task, [tasks]."""
        texts: NDArray[np.object_] = np.array(self.texts or ("",), dtype=object)
        return texts[self.label]

    def name(self, task: int) -> str:
        """Return a task's label, or its index where it has none."""
        return self.texts[self.label[task]] or f"task {task}"


def frozen(values: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """Return values as an array that cannot be written to."""
    result = np.array(values, dtype=dtype)
    result.flags.writeable = False
    return result
