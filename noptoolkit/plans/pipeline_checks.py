"""Passes of a pipeline held against its stages, by nothing that made the order or the tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noptoolkit.plans.pipeline_run import PipelineRun

__all__ = ["pass_faults"]

Times = dict[str, tuple[float, float]]
"""Start and end of each kind of pass of a micro-batch on a stage, in s."""


def pass_faults(run: PipelineRun, tol: float) -> Iterator[str]:
    """Yield what is wrong with the passes of a run, a line each."""
    slack = tol * max(run.makespan, 0.0)
    done: dict[tuple[int, int], Times] = defaultdict(dict)
    device: dict[tuple[int, int], int] = {}
    slots: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    alone: dict[int, int] = defaultdict(int)
    for p, (at, first, last, slot) in zip(run.passes, run.spans.tolist(), strict=True):
        here = p.micro_batch, p.stage
        if p.kind in done[here]:
            yield f"{p} runs twice"
        if device.setdefault(here, at) != at:
            yield f"{p} runs on device {at}, what is kept for it is on {device[here]}"
        start, end = float(run.schedule.start[first]), float(run.schedule.end[last])
        done[here][p.kind] = start, end
        slots[at][slot] = start, end
        alone[slot] += 1
    yield from _orders(run, done, slack)
    for p, (_, _, _, slot) in zip(run.passes, run.spans.tolist(), strict=True):
        start, end = done[p.micro_batch, p.stage][p.kind]
        least = _least(run, p.stage, p.kind) if alone[slot] == 1 else 0.0
        if end - start < least - slack:
            yield f"{p} takes {end - start:.9g} s, its stage {least:.9g} s"
    for at, own in slots.items():
        for (_, end), (start, _) in pairwise(sorted(own.values())):
            if start < end - slack:
                yield f"device {at} begins a slot at {start:.9g} s, the one before ends at {end:.9g} s"


def _orders(run: PipelineRun, done: dict[tuple[int, int], Times], slack: float) -> Iterator[str]:
    """Yield passes that are missing, or that start before what they wait for has ended."""
    last = run.shape.stages - 1
    for i in range(run.shape.micro_batches):
        for s in range(run.shape.stages):
            times = done.get((i, s), {})
            if set(times) not in ({"forward", "backward"}, {"forward", "input", "weight"}):
                yield f"micro-batch {i} on stage {s} has passes {sorted(times)}"
                continue
            back = "backward" if "backward" in times else "input"
            waits = [("forward", back, times)] + ([("input", "weight", times)] if back == "input" else [])
            if s > 0:
                waits.append(("forward", "forward", done.get((i, s - 1), {})))
            if s < last:
                after = done.get((i, s + 1), {})
                waits.append(("backward" if "backward" in after else "input", back, after))
            for first, then, where in waits:
                if first in where and times[then][0] < where[first][1] - slack:
                    yield f"{then} {i} on stage {s} starts before the {first} pass that it needs ends"
    if len(done) != run.shape.micro_batches * run.shape.stages:
        yield f"{len(done)} micro-batches on stages, not {run.shape.micro_batches * run.shape.stages}"


def _least(run: PipelineRun, stage: int, kind: str) -> float:
    """Return the time of a pass by itself, in s."""
    costs = run.stages[stage]
    if kind == "forward":
        return costs.forward + costs.forward_network
    if kind == "weight":
        return costs.weight
    return costs.recompute + costs.backward_network + (costs.backward if kind == "backward" else costs.input)
