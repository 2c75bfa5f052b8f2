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

What comes out is a `noptoolkit.plans.pipeline_run.PipelineRun`.
"""

from __future__ import annotations

from collections.abc import Sequence

from noptoolkit._names import resolve
from noptoolkit.errors import ScheduleError
from noptoolkit.plans.pipeline_formulas import published_formula
from noptoolkit.plans.pipeline_orders import ORDERS, Order, PipelineShape
from noptoolkit.plans.pipeline_run import PipelineRun
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipeline_tasks import PipelineTasks
from noptoolkit.scheduling import schedule_graph

__all__ = ["MOST_PASSES", "pipeline"]

MOST_PASSES = 2_000_000
"""Passes of a pipeline beyond which it is refused: some seconds and a gigabyte."""


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
    maker = PipelineTasks(shape, each, transfer, together)
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
