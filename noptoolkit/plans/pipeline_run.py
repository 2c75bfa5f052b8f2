"""The schedule of a pipeline and its figures: bubble, exposed communication, activations in flight.

The *bubble* is what a device idles between its first and its last pass; the largest of the devices counts.
Where steps wait for each other (a barrier), the idle time before the first and after the last pass counts
too: `PipelineRun.bubble_with_barrier`. The two differ for ZB-H2, whose authors do without the barrier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import ScheduleError, raise_collected, raises_where_malformed
from noptoolkit.plans.pipeline_checks import pass_faults
from noptoolkit.plans.pipeline_formulas import Formula
from noptoolkit.plans.pipeline_orders import Order, Pass, PipelineShape
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.scheduling import Schedule
from noptoolkit.tables import Amount, Table

__all__ = ["PipelineRun"]

_HELD = {"forward": 1, "backward": -1, "input": 0, "weight": -1}
"""Passes in flight that each kind adds."""


@dataclass(frozen=True, eq=False, repr=False)
class PipelineRun:
    """A pipeline's schedule and its figures.

    Parameters
    ----------
    order, shape, stages
        What was run: a stage per device and chunk, in forward order.
    schedule
        Schedule of all tasks.
    spans
        Of each pass the device that runs it, its first and its last task, and its slot, [passes, 4].
    passes
        The passes, in the order of ``spans``.
    formula
        Published bubble and memory, or None where there is none (unequal stages, communication).
    """

    order: Order
    shape: PipelineShape
    stages: tuple[Stage, ...]
    schedule: Schedule
    passes: tuple[Pass, ...]
    spans: Ints
    formula: Formula | None = field(default=None)

    def __repr__(self) -> str:
        shape = self.shape
        return (
            f"PipelineRun({self.order.name}, {shape.devices} devices, {shape.micro_batches} micro-batches, "
            f"makespan {self.makespan:.6g} s, bubble {self.bubble:.6g} s)"
        )

    @property
    def makespan(self) -> float:
        """When the last pass ends, in s."""
        return self.schedule.makespan

    @cached_property
    def _slots(self) -> tuple[Ints, Floats, Floats]:
        """Device, start and end of each slot, [slots] each."""
        device, first, last, slot = self.spans.T
        count = int(slot.max()) + 1
        start, end, owner = np.full(count, np.inf), np.zeros(count), np.zeros(count, np.int64)
        np.minimum.at(start, slot, self.schedule.start[first])
        np.maximum.at(end, slot, self.schedule.end[last])
        owner[slot] = device
        return owner, start, end

    @cached_property
    def work(self) -> Floats:
        """Time that each device runs slots, exposed communication included, in s, [devices]."""
        owner, start, end = self._slots
        result: Floats = np.bincount(owner, end - start, minlength=self.shape.devices).astype(float)
        return result

    @cached_property
    def span(self) -> Floats:
        """First start and last end on each device, in s, [devices, 2]."""
        owner, start, end = self._slots
        result = np.column_stack([np.full(self.shape.devices, np.inf), np.zeros(self.shape.devices)])
        np.minimum.at(result[:, 0], owner, start)
        np.maximum.at(result[:, 1], owner, end)
        return result

    @cached_property
    def idle(self) -> Floats:
        """Time between first and last pass that each device runs nothing, in s, [devices]."""
        idle: Floats = self.span[:, 1] - self.span[:, 0] - self.work
        return idle

    @property
    def bubble(self) -> float:
        """Most that any device idles between its first and its last pass, in s."""
        return float(self.idle.max())

    @property
    def bubble_with_barrier(self) -> float:
        """Makespan less the time of the busiest device, in s: what counts where steps wait for each other."""
        return self.makespan - float(self.work.max())

    @property
    def period(self) -> float:
        """Time from step to step without a barrier between steps, in s: the longest span of a device."""
        return float((self.span[:, 1] - self.span[:, 0]).max())

    @cached_property
    def in_flight(self) -> Ints:
        """Most passes whose activations each device holds at once, [devices]: micro-batches times chunks."""
        change = np.array([_HELD[p.kind] for p in self.passes])
        device, first, last, _ = self.spans.T
        when = np.where(change > 0, self.schedule.start[first], self.schedule.end[last])
        order = np.lexsort((change, when, device))  # what ends makes room for what starts at the same time
        held = np.cumsum(change[order])  # every device begins and ends with none
        most = np.zeros(self.shape.devices, np.int64)
        np.maximum.at(most, device[order], held)
        return most

    @cached_property
    def activation_bytes(self) -> Floats:
        """Most bytes of activations held at once, working bytes included, in B, [devices]."""
        high = self.schedule.high_water
        return np.array([high[f"memory {r}"] for r in range(self.shape.devices)])

    @property
    def lower_bound(self) -> float:
        """Lower bound on the makespan of this order on these devices, in s."""
        return self.schedule.lower_bound

    @raises_where_malformed(ScheduleError)
    def verify(self, *, tol: float = 1e-9) -> None:
        """Raise ScheduleError unless the schedule is one of its graph, and the passes those of the pipeline.

        What is checked of passes shares nothing with the orders: each runs once, where what it keeps is,
        after what it waits for, as long as its stage says where it runs alone, one slot of a device after
        another. Assumed: the time of messages between devices and of two passes that share a slot, what each
        holds of memory, and the published formula.
        """
        self.schedule.verify(tol=tol)
        faults = list(islice(pass_faults(self, tol), 8))
        raise_collected(ScheduleError, f"pipeline {self.order.name} does not hold", faults)

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the run as a table, published values beside it."""
        formula = self.formula
        body = [
            ["makespan", Amount(self.makespan, "s"), ""],
            ["bubble", Amount(self.bubble, "s"), "most of any device, between its first and last pass"],
            ["bubble with barrier", Amount(self.bubble_with_barrier, "s"), "if steps wait for each other"],
            [
                "bubble share",
                Amount(self.bubble / self.makespan if self.makespan else 0.0, form=".2f %"),
                "bubble over makespan",
            ],
            ["most in flight", int(self.in_flight.max()), "micro-batches times chunks, any device"],
            [
                "most activations",
                Amount(float(self.activation_bytes.max()), "B"),
                f"on device {int(self.activation_bytes.argmax())}",
            ],
            ["exposed communication", Amount(self.exposed, "s"), "largest of the devices"],
        ]
        if formula is not None:
            how = "exact" if formula.exact else "an estimate for these times"
            body[2:2] = [["published bubble", Amount(formula.bubble, "s"), f"{formula.source}: {how}"]]
        return Table(["what", "value", "remark"], body, title=repr(self))

    @cached_property
    def exposed(self) -> float:
        """Time in slots that a device does not compute, the largest of the devices, in s."""
        compute = np.zeros(self.shape.devices)
        for r in range(self.shape.devices):
            index = self.schedule.resources.index(f"device {r}")
            compute[r] = self.schedule.graph.load[index]
        return float((self.work - compute).max())
