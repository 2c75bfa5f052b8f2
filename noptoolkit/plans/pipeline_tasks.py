"""Tasks of a pipeline's slots: what each pass waits for, computes, communicates and holds."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.plans.pipeline_orders import Pass, PipelineShape, Slot
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.scheduling import TaskGraphBuilder

__all__ = ["PipelineTasks"]


class PipelineTasks:
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
        """Add all slots of each device; return the passes, and the ``spans`` of a `PipelineRun`."""
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
