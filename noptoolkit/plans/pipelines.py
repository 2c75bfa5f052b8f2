"""Pipelines as task graphs: bubble, overlap and memory in flight come out of the schedule.

Each device runs its slots in the order that a published schedule gives (`noptoolkit.plans.pipeline_orders`),
one after the other, as soon as what they wait for has ended:

* forward (i, s) waits for forward (i, s - 1); backward (i, s) for backward or input part (i, s + 1) and for
  forward (i, s); the weight part for the input part of its own stage;
* between two devices the activations and their gradients take ``transfer`` seconds on the link of that
  direction, beside everything else;
* a pass computes on its device, then communicates on its device's network (expert and tensor parallel
  collectives), in ``layers`` equal parts. Alone, nothing hides this communication. Two passes in one slot
  take turns: while the one communicates the other computes;
* recomputation comes first in a backward.

The activations of a micro-batch are held from the start of its forward to the end of its backward (of the
weight part, if that is apart), as bytes of a buffer of the engine.

The *bubble* is what a device idles between its first and its last pass; the largest of the devices counts.
Where steps wait for each other (a barrier), the idle time before the first and after the last pass counts
too: `PipelineRun.bubble_with_barrier`. The two differ for ZB-H2, whose authors do without the barrier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import resolve
from noptoolkit.errors import ScheduleError
from noptoolkit.plans.pipeline_formulas import Formula, published_formula
from noptoolkit.plans.pipeline_orders import ORDERS, Order, Pass, PipelineShape, Slot
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph
from noptoolkit.tables import Amount, Table
from noptoolkit.units import Measured, convert_fields, measured

__all__ = ["MOST_PASSES", "PipelineRun", "Stage", "pipeline"]

MOST_PASSES = 2_000_000
"""Passes of a pipeline beyond which it is refused: some seconds and a gigabyte."""


@dataclass(frozen=True)
class Stage:
    """What one micro-batch costs on one stage; times in s or text with a unit, sizes in B.

    Parameters
    ----------
    forward, backward
        Computation of a forward and of a whole backward pass.
    weight
        Part of ``backward`` that computes gradients of weights, which schedules with a split backward may
        put off.
    recompute
        Computation repeated before a backward.
    forward_network, backward_network
        Communication within a forward and a backward pass (with the recomputed part).
    activation
        Bytes kept from a forward to its backward.
    working
        Bytes that a backward takes besides while it runs, such as recomputed activations.
    layers
        Parts into which a pass is cut where two share a slot.

    Examples
    --------
    >>> Stage("1 ms", "2 ms", "1 ms").input
    0.001
    """

    forward: Measured = measured("s")
    backward: Measured = measured("s")
    weight: Measured = measured("s", default=0.0)
    recompute: Measured = measured("s", default=0.0)
    forward_network: Measured = measured("s", default=0.0)
    backward_network: Measured = measured("s", default=0.0)
    activation: Measured = measured("B", default=1.0)
    working: Measured = measured("B", default=0.0)
    layers: int = 1

    def __post_init__(self) -> None:
        convert_fields(self, lambda: "stage")
        for name in (
            "forward",
            "backward",
            "weight",
            "recompute",
            "forward_network",
            "backward_network",
            "activation",
            "working",
        ):
            value = getattr(self, name)
            if not 0.0 <= value < float("inf"):
                raise ScheduleError(f"stage: {name} {value!r} is not a number of 0 or more")
        if self.weight > self.backward:
            raise ScheduleError(
                f"stage: weight {self.weight:g} s is a part of backward {self.backward:g} s and "
                "cannot be longer"
            )
        if not isinstance(self.layers, int) or self.layers < 1:
            raise ScheduleError(f"stage: layers {self.layers!r} is not a whole number above 0")

    @property
    def input(self) -> float:
        """Part of the backward that the device before waits for, in s."""
        return self.backward - self.weight

    @property
    def work(self) -> float:
        """Computation of a micro-batch, in s."""
        return self.forward + self.backward + self.recompute


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

    def verify(self, *, tol: float = 1e-9) -> None:
        """Raise ScheduleError unless the schedule is one of its graph and holds every pass once.

        The check of passes shares nothing with the orders: it counts them.
        """
        self.schedule.verify(tol=tol)
        seen: dict[tuple[int, int], set[str]] = {}
        for p in self.passes:
            kinds = seen.setdefault((p.micro_batch, p.stage), set())
            if p.kind in kinds:
                raise ScheduleError(f"pipeline {self.order.name}: {p} runs twice")
            kinds.add(p.kind)
        for i in range(self.shape.micro_batches):
            for s in range(self.shape.stages):
                kinds = seen.get((i, s), set())
                if kinds not in ({"forward", "backward"}, {"forward", "input", "weight"}):
                    raise ScheduleError(
                        f"pipeline {self.order.name}: micro-batch {i} on stage {s} has passes {sorted(kinds)}"
                    )

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


def pipeline(
    order: str | Order,
    stages: Stage | Sequence[Stage],
    micro_batches: int,
    *,
    devices: int | None = None,
    chunks: int = 1,
    transfer: float = 0.0,
    together: float | None = None,
) -> PipelineRun:
    """Return the run of a pipeline.

    Parameters
    ----------
    order
        A name in `ORDERS`, or a custom order.
    stages
        One for all, or one per stage in forward order (devices times chunks of them).
    micro_batches
        Micro-batches of a step; of both directions together for DualPipe.
    devices
        Devices of the pipeline; follows from ``stages`` where those are given one by one.
    chunks
        Stages of each device.
    transfer
        Time of a message between neighbouring devices, in s.
    together
        Time of a slot that two passes share, in s, instead of what their parts give.

    Raises
    ------
    UnknownNameError
        If there is no such order.
    ScheduleError
        If the order does not exist for this number of devices, chunks and micro-batches.

    Examples
    --------
    >>> run = pipeline("1f1b", Stage(1.0, 2.0), 8, devices=4)
    >>> run.makespan, run.bubble, run.in_flight.tolist()
    (33.0, 9.0, [4, 3, 2, 1])
    >>> pipeline("zb-h1", Stage(1.0, 2.0, weight=1.0), 8, devices=4).bubble
    3.0
    """
    chosen = resolve(order, ORDERS, "pipeline schedule")
    shape, each = _shaped(chosen, stages, micro_batches, devices, chunks)
    for name, value in (("transfer", transfer), ("together", together)):
        if value is not None and not 0.0 <= value < float("inf"):
            raise ScheduleError(f"pipeline {chosen.name}: {name} {value!r} is not 0 or more seconds")
    slots = chosen.slots(shape)
    maker = _Maker(shape, each, transfer, together)
    passes, spans = maker.run(slots)
    plain = len(set(each)) == 1 and transfer == 0.0
    formula = published_formula(chosen.name, shape, each[0], together) if plain else None
    graph = maker.tasks.build()
    return PipelineRun(chosen, shape, each, schedule_graph(graph), passes, spans, formula)


def _shaped(
    order: Order, stages: Stage | Sequence[Stage], micro_batches: int, devices: int | None, chunks: int
) -> tuple[PipelineShape, tuple[Stage, ...]]:
    place = f"pipeline {order.name}"
    if isinstance(stages, Stage):
        if devices is None:
            raise ScheduleError(f"{place}: one stage for all: say how many devices, devices=4")
        order.check(PipelineShape(devices, micro_batches, chunks))
        each: tuple[Stage, ...] = (stages,) * (devices * chunks)
    else:
        each = tuple(stages)
        if devices is None:
            devices = len(each) // chunks if isinstance(chunks, int) and chunks > 0 else 0
        order.check(PipelineShape(devices, micro_batches, chunks))
    if len(each) != devices * chunks:
        raise ScheduleError(
            f"{place}: {len(each)} stages for {devices} devices with {chunks} chunks each; "
            f"give {devices * chunks}"
        )
    shape = PipelineShape(devices, micro_batches, chunks)
    if shape.stages * micro_batches > MOST_PASSES // 2:
        raise ScheduleError(
            f"{place}: {shape.stages} stages with {micro_batches} micro-batches are more than "
            f"{MOST_PASSES // 2:,} passes; take fewer micro-batches, the bubble stays the same"
        )
    return shape, each


_HELD = {"forward": 1, "backward": -1, "input": 0, "weight": -1}
"""Passes in flight that each kind adds."""


class _Maker:
    """Builds the tasks of a pipeline's slots."""

    def __init__(
        self, shape: PipelineShape, stages: tuple[Stage, ...], transfer: float, together: float | None
    ) -> None:
        self.shape, self.stages, self.transfer, self.together = shape, stages, transfer, together
        self.tasks = TaskGraphBuilder(buffers={f"memory {r}": float("inf") for r in range(shape.devices)})
        self.device_of: dict[Pass, int] = {}
        self.first: dict[Pass, int] = {}
        self.last: dict[Pass, int] = {}
        self.slot_of: dict[Pass, int] = {}
        self.count = 0
        for r in range(shape.devices):
            self.tasks.resource(f"device {r}")

    def run(self, slots: list[list[Slot]]) -> tuple[tuple[Pass, ...], Ints]:
        for r, own in enumerate(slots):
            before: list[int] = []
            for slot in own:
                before = [self.slot(slot, r, before)]
        for p in self.device_of:
            for needed in self.needed(p):
                self.join(p, needed)
        passes = tuple(self.device_of)
        columns = (self.device_of, self.first, self.last, self.slot_of)
        return passes, np.array([[column[p] for column in columns] for p in passes], np.int64)

    def slot(self, slot: Slot, device: int, before: list[int]) -> int:
        """Add the tasks of a slot and return the one that ends it."""
        for p in slot:
            self.device_of[p], self.slot_of[p] = device, self.count
        self.count += 1
        end = self.shared(slot, device, before) if len(slot) > 1 else self.alone(slot[0], device, before)
        for p in slot:
            self.last[p] = end
        return end

    def alone(self, p: Pass, device: int, before: list[int]) -> int:
        """Add a pass as computation, then communication, and return its last task."""
        stage, label, memory = self.stages[p.stage], _label(p), f"memory {device}"
        compute, exchange = _costs(stage, p.kind)
        takes, gives = _holds(stage, p.kind)
        task = -1
        if takes and gives:  # the backward: a task either takes or gives back
            task = self.tasks.add(0.0, None, before, label=label, buffer=memory, hold=takes)
            self.first[p], before, takes = task, [task], 0.0
        hold = takes if exchange or takes else -gives
        task = self.tasks.add(
            compute, f"device {device}", before, kind=_kind(p), label=label, buffer=memory, hold=hold
        )
        self.first.setdefault(p, task)
        if not exchange:
            return task
        return self.tasks.add(
            exchange, f"network {device}", [task], kind="exchange", label=label, buffer=memory, hold=-gives
        )

    def shared(self, slot: Slot, device: int, before: list[int]) -> int:
        """Add a slot of several passes: they start and end together, and take turns in between."""
        holds = [_holds(self.stages[p.stage], p.kind) for p in slot]
        memory, label = f"memory {device}", " with ".join(map(_label, slot))
        takes, gives = (sum(sizes) for sizes in zip(*holds, strict=True))
        start = self.tasks.add(0.0, None, before, label=label, buffer=memory, hold=takes)
        self.first.update(dict.fromkeys(slot, start))
        if self.together is not None:
            ends = [self.tasks.add(self.together, f"device {device}", [start], label=label)]
        else:
            ends = [self.chain(p, device, start) for p in slot]
        return self.tasks.add(0.0, None, ends, label=label, buffer=memory, hold=-gives)

    def chain(self, p: Pass, device: int, task: int) -> int:
        """Add a pass as computation and communication in turn, layer by layer, and return its last task."""
        stage = self.stages[p.stage]
        compute, exchange = _costs(stage, p.kind)
        parts = stage.layers if exchange else 1
        for _ in range(parts):
            task = self.tasks.add(compute / parts, f"device {device}", [task], kind=_kind(p), label=_label(p))
            if exchange:
                task = self.tasks.add(
                    exchange / parts, f"network {device}", [task], kind="exchange", label=_label(p)
                )
        return task

    def needed(self, p: Pass) -> list[Pass]:
        """Return the passes that a pass waits for."""
        i, s = p.micro_batch, p.stage
        if p.kind == "forward":
            return [Pass("forward", i, s - 1)] if s > 0 else []
        if p.kind == "weight":
            return [Pass("input", i, s)]
        own = [Pass("forward", i, s)]
        if s + 1 < self.shape.stages:
            later = Pass("input", i, s + 1)
            own.append(later if later in self.device_of else Pass("backward", i, s + 1))
        return own

    def join(self, p: Pass, needed: Pass) -> None:
        """Let a pass wait for another, with a message between where they are on two devices."""
        task, source, here = self.last[needed], self.device_of[needed], self.device_of[p]
        if source != here and self.transfer > 0.0:
            task = self.tasks.add(
                self.transfer, f"link {source}->{here}", [task], kind="exchange", label=_label(needed)
            )
        self.tasks.wait(self.first[p], for_=task)


def _costs(stage: Stage, kind: str) -> tuple[float, float]:
    """Return computation and communication of a pass, in s."""
    if kind == "forward":
        return stage.forward, stage.forward_network
    if kind == "weight":
        return stage.weight, 0.0
    compute = stage.recompute + (stage.backward if kind == "backward" else stage.input)
    return compute, stage.backward_network


def _holds(stage: Stage, kind: str) -> tuple[float, float]:
    """Return the bytes that a pass takes at its start and gives back at its end."""
    if kind == "forward":
        return stage.activation, 0.0
    if kind == "input":
        return stage.working, 0.0
    gives = stage.activation + stage.working
    return (stage.working, gives) if kind == "backward" else (0.0, gives)


def _kind(p: Pass) -> str:
    return "forward" if p.kind == "forward" else "backward"


def _label(p: Pass) -> str:
    return f"{p.kind} {p.micro_batch} stage {p.stage}"
