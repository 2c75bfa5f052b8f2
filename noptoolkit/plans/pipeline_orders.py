"""In which order each device of a pipeline runs its passes, one function per published schedule.

A pass is the forward, the backward, or one half of the backward (its *input* part, which the device before
waits for, or its *weight* part, for which no pass waits) of one micro-batch on one stage. A schedule gives
every device a list of slots; a slot holds one pass, or two that run together and hide each other's
communication. When each slot starts follows from the precedences alone: see `noptoolkit.plans.pipelines`.

Sources: GPipe (Huang et al., NeurIPS 2019); 1F1B (Narayanan et al., PipeDream, SOSP 2019); interleaved 1F1B
(Narayanan et al., Megatron-LM, SC 2021, arXiv 2104.04473); ZB-H1 and ZB-H2 (Qi et al., Zero bubble pipeline
parallelism, ICLR 2024, arXiv 2401.10241); DualPipe (DeepSeek-V3, arXiv 2412.19437, and its repository, whose
eight steps per rank are followed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from noptoolkit.errors import ScheduleError

__all__ = ["ORDERS", "Order", "Pass", "PipelineShape", "Slot"]

PassKind = Literal["forward", "backward", "input", "weight"]


class Pass(NamedTuple):
    """One pass of one micro-batch through one stage.

    Parameters
    ----------
    kind
        ``forward``, the whole ``backward``, or its ``input`` or ``weight`` part.
    micro_batch, stage
        Counted from 0; stages in forward order, chunks included.
    """

    kind: PassKind
    micro_batch: int
    stage: int


Slot = tuple[Pass, ...]
"""What a device runs at a time: one pass, or a forward and a backward together."""

Slots = list[list[Slot]]


@dataclass(frozen=True)
class PipelineShape:
    """Sizes of a pipeline.

    Parameters
    ----------
    devices
        Devices in a row, p.
    micro_batches
        Micro-batches of a step, m.
    chunks
        Stages of each device, v; stage s is on device s mod p.
    """

    devices: int
    micro_batches: int
    chunks: int = 1

    @property
    def stages(self) -> int:
        """Number of stages."""
        return self.devices * self.chunks


@dataclass(frozen=True)
class Order:
    """One published schedule.

    Parameters
    ----------
    name, meaning
        Its name and one line on it.
    slots
        Function of a shape that returns the slots of each device, [devices].
    chunked
        Whether a device may hold several chunks.
    split
        Whether the backward is split, so that the weight part may wait.
    pairs
        Whether a forward and a backward share a slot.
    two_way
        Whether micro-batches enter at both ends, so that each device holds two stages.
    """

    name: str
    meaning: str
    slots: Callable[[PipelineShape], Slots]
    chunked: bool = False
    split: bool = False
    pairs: bool = False
    two_way: bool = False

    def check(self, shape: PipelineShape) -> None:
        """Raise ScheduleError if the schedule does not exist for a shape, naming the nearest that does.

        Examples
        --------
        >>> ORDERS["dualpipe"].check(PipelineShape(4, 7))
        Traceback (most recent call last):
        noptoolkit.errors.ScheduleError: pipeline dualpipe: 7 micro-batches on 4 devices: ...; take 8
        """
        p, m, v = shape.devices, shape.micro_batches, shape.chunks
        place = f"pipeline {self.name}"
        for name, value in (("devices", p), ("micro-batches", m), ("chunks", v)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ScheduleError(f"{place}: {name} {value!r} is not a whole number above 0")
        if v > 1 and not self.chunked:
            raise ScheduleError(f"{place}: it has one chunk per device, not {v}; take interleaved")
        if self.chunked and v > 1 and m % p:
            near = max(round(m / p), 1) * p
            raise ScheduleError(
                f"{place}: {m} micro-batches on {p} devices with {v} chunks each: "
                f"the devices must divide the micro-batches; take {near}"
            )
        if self.two_way and p % 2:
            raise ScheduleError(
                f"{place}: {p} devices: micro-batches enter at both ends; "
                f"it needs an even number; take {p + 1}"
            )
        if self.two_way and (m % 2 or m < 2 * p):
            near = max(m + m % 2, 2 * p)
            raise ScheduleError(
                f"{place}: {m} micro-batches on {p} devices: "
                f"it needs an even number, at least twice the devices; take {near}"
            )


def gpipe(shape: PipelineShape) -> Slots:
    """Return all forwards, then all backwards."""
    return [
        [
            *((Pass("forward", i, r),) for i in range(shape.micro_batches)),
            *((Pass("backward", i, r),) for i in range(shape.micro_batches)),
        ]
        for r in range(shape.devices)
    ]


def one_forward_one_backward(shape: PipelineShape) -> Slots:
    """Return p - r - 1 forwards, then a forward and a backward in turn."""
    result = []
    for r in range(shape.devices):
        warm = min(shape.devices - r - 1, shape.micro_batches)
        forward: list[Slot] = [(Pass("forward", i, r),) for i in range(shape.micro_batches)]
        backward: list[Slot] = [(Pass("backward", i, r),) for i in range(shape.micro_batches)]
        result.append(_in_turn(forward, backward, warm))
    return result


def one_forward_one_backward_together(shape: PipelineShape) -> Slots:
    """Return 2 (p - r) - 1 forwards, then a backward and a later forward in one slot.

    The two must be independent, and their neighbours' too: the device after works on the same backward one
    slot earlier, so that each device runs twice as far ahead as in 1F1B.
    """
    result = []
    for r in range(shape.devices):
        ahead = min(2 * (shape.devices - r) - 1, shape.micro_batches)
        slots: list[Slot] = [(Pass("forward", i, r),) for i in range(ahead)]
        for i in range(shape.micro_batches):
            backward = Pass("backward", i, r)
            late = i + ahead
            slots.append((Pass("forward", late, r), backward) if late < shape.micro_batches else (backward,))
        result.append(slots)
    return result


def interleaved(shape: PipelineShape) -> Slots:
    """Return Megatron's order: p micro-batches on a chunk, then the same on the next chunk."""
    p, m, v = shape.devices, shape.micro_batches, shape.chunks
    if v == 1:
        return one_forward_one_backward(shape)
    result = []
    for r in range(p):
        visits = [(i, c) for start in range(0, m, p) for c in range(v) for i in range(start, start + p)]
        forward: list[Slot] = [(Pass("forward", i, c * p + r),) for i, c in visits]
        backward: list[Slot] = [(Pass("backward", i, (v - 1 - c) * p + r),) for i, c in visits]
        warm = min(2 * (p - r - 1) + (v - 1) * p, m * v)
        result.append(_in_turn(forward, backward, warm))
    return result


def zero_bubble_h1(shape: PipelineShape) -> Slots:
    """Return 1F1B with the weight part of device r held back by r micro-batches: memory stays at p."""
    return [_zero_bubble(shape, r, shape.devices - r, r) for r in range(shape.devices)]


def zero_bubble_h2(shape: PipelineShape) -> Slots:
    """Return 2 (p - r) - 1 forwards first, and the weight part held back by 2 r: memory is 2 p - 1."""
    return [_zero_bubble(shape, r, 2 * (shape.devices - r) - 1, 2 * r) for r in range(shape.devices)]


def _zero_bubble(shape: PipelineShape, device: int, ahead: int, held_back: int) -> list[Slot]:
    m = shape.micro_batches
    ahead = min(ahead, m)
    slots: list[Slot] = [(Pass("forward", i, device),) for i in range(ahead)]
    for i in range(m):
        slots.append((Pass("input", i, device),))
        if i >= held_back:
            slots.append((Pass("weight", i - held_back, device),))
        if i + ahead < m:
            slots.append((Pass("forward", i + ahead, device),))
    slots += [(Pass("weight", i, device),) for i in range(max(m - held_back, 0), m)]
    return slots


def dualpipe(shape: PipelineShape) -> Slots:
    """Return DualPipe: half of the micro-batches enter at each end, forwards and backwards share slots."""
    return [list(_dualpipe_slots(shape, r)) for r in range(shape.devices)]


def _dualpipe_slots(shape: PipelineShape, rank: int) -> Iterator[Slot]:
    """Yield the slots of a rank: the eight steps of the DualPipe repository."""
    p, half = shape.devices, shape.micro_batches // 2
    near, pairs = min(rank, p - 1 - rank), p // 2
    far_side = int(rank >= pairs)
    done = {"forward": [0, 0], "backward": [0, 0]}
    waiting: list[Pass] = []

    def next_pass(kind: Literal["forward", "backward"], phase: int, *, split: bool = False) -> Pass:
        way = phase ^ far_side
        i = done[kind][phase]
        done[kind][phase] += 1
        stage = rank if way == 0 else p - 1 - rank
        micro_batch = i + way * half
        if split:
            waiting.append(Pass("weight", micro_batch, stage))
            return Pass("input", micro_batch, stage)
        return Pass(kind, micro_batch, stage)

    def both(forward: int, backward: int) -> Slot:
        return next_pass("forward", forward), next_pass("backward", backward)

    for _ in range(2 * (pairs - near - 1)):
        yield (next_pass("forward", 0),)
    for _ in range(near + 1):
        yield (next_pass("forward", 0),)
        yield (next_pass("forward", 1),)
    for _ in range(pairs - near - 1):
        yield (next_pass("backward", 1, split=True),)
        yield (waiting.pop(0),)
        yield (next_pass("forward", 1),)
    for i in range(half - p + near + 1):
        if i == 0 and near == pairs - 1:  # the middle ranks: nothing to pair with yet
            yield (next_pass("forward", 0),)
            yield (next_pass("backward", 1),)
        else:
            yield both(0, 1)
        yield both(1, 0)
    for _ in range(pairs - near - 1):
        yield (next_pass("backward", 1),)
        yield both(1, 0)
    split = False
    for i in range(near + 1):
        middle = i == (near + 1) // 2
        split = split or (middle and near % 2 == 1)
        yield (next_pass("backward", 1, split=split),)
        split = split or (middle and near % 2 == 0)
        yield (next_pass("backward", 0, split=split),)
    for _ in range(pairs - near - 1):
        yield (waiting.pop(0),)
        yield (next_pass("backward", 0, split=True),)
    for _ in range(near + 1):
        yield (waiting.pop(0),)


def _in_turn(forward: list[Slot], backward: list[Slot], warm: int) -> list[Slot]:
    """Return ``warm`` forwards, then a forward and a backward in turn, then the backwards left."""
    slots = forward[:warm]
    for late, early in zip(forward[warm:], backward, strict=False):
        slots += [late, early]
    return slots + backward[len(forward) - warm :]


ORDERS: Mapping[str, Order] = {
    order.name: order
    for order in (
        Order("gpipe", "all forwards, then all backwards", gpipe),
        Order("1f1b", "a forward and a backward in turn", one_forward_one_backward),
        Order(
            "1f1b-together",
            "a backward and a later forward in one slot",
            one_forward_one_backward_together,
            pairs=True,
        ),
        Order("interleaved", "1F1B over several chunks per device", interleaved, chunked=True),
        Order("zb-h1", "1F1B with the weight part held back, memory of 1F1B", zero_bubble_h1, split=True),
        Order("zb-h2", "as ZB-H1 with twice the memory", zero_bubble_h2, split=True),
        Order(
            "dualpipe",
            "both directions at once, forwards and backwards in one slot",
            dualpipe,
            split=True,
            pairs=True,
            two_way=True,
        ),
    )
}
"""Pipeline schedules by name."""
