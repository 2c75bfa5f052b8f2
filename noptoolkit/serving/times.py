"""Times of steps at every batch: schedules at some, and a roofline's course between them.

At scheduled batches the ratio of schedule to estimate (`noptoolkit.serving.estimate`) is known; between them
its logarithm is interpolated linearly in the logarithm of the batch. The time at a batch is that ratio times
the mean estimate over several batches of the size, so that the chance of which tokens a schedule took is
averaged out.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import WorkloadError
from noptoolkit.progress import Countdown, Progress
from noptoolkit.serving.estimate import StepEstimates
from noptoolkit.serving.server import Server

__all__ = ["StepTimes", "grid", "step_times"]


def grid(least: int, most: int, count: int) -> list[int]:
    """Return some whole numbers from least to most: the small ones all, then in geometric steps.

    Examples
    --------
    >>> grid(1, 256, 12)
    [1, 2, 3, 5, 8, 12, 21, 34, 56, 93, 155, 256]
    >>> grid(3, 5, 12)
    [3, 4, 5]
    """
    if most - least < count:
        return list(range(least, most + 1))
    found = {least, most}
    for wanted in range(count, 50 * count):
        found = {round(float(x)) for x in np.geomspace(least, most, wanted)} | {least, most}
        if len(found) >= count:
            break
    return sorted(found)


@dataclass(frozen=True, eq=False)
class StepTimes:
    """Times of steps by batch, context and prompt tokens beside, from a grid.

    Parameters
    ----------
    batches, contexts, prompts : tuple of int
        The grid: sequences that decode (0 for prefill alone), tokens of context, prompt tokens.
    time : array of float
        In s, [batches, contexts, prompts].
    """

    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    prompts: tuple[int, ...]
    time: Floats

    def __call__(self, sequences: float, context: float, prompt: float = 0.0) -> float:
        """Return the time of a step, interpolated linearly on the grid and never beyond it, in s."""
        total = 0.0
        a, b, c = (
            _place(axis, value)
            for axis, value in (
                (self.batches, sequences),
                (self.contexts, context),
                (self.prompts, prompt),
            )
        )
        for i, x in a:
            for j, y in b:
                for k, z in c:
                    total += x * y * z * float(self.time[i, j, k])
        return total


def _place(axis: Sequence[int], value: float) -> list[tuple[int, float]]:
    """Return the neighbours of a value on an axis and their weights."""
    if value <= axis[0] or len(axis) == 1:
        return [(0, 1.0)]
    if value >= axis[-1]:
        return [(len(axis) - 1, 1.0)]
    i = bisect_right(axis, value) - 1
    share = (value - axis[i]) / (axis[i + 1] - axis[i])
    return [(i, 1.0 - share), (i + 1, share)] if share else [(i, 1.0)]


def step_times(
    server: Server,
    *,
    most: int,
    contexts: Sequence[int],
    chunk: int = 0,
    scheduled: int = 6,
    progress: Progress | None = None,
) -> StepTimes:
    """Return times of steps of up to some sequences, with or without a chunk of a prompt.

    Parameters
    ----------
    most
        Sequences that decode at most.
    contexts
        Contexts of the grid, in tokens, rising; steps are scheduled at the middle one.
    chunk
        Prompt tokens that a step prefills at most; 0 for steps of decode only.
    scheduled
        Batches that are scheduled, with and without a chunk.

    Raises
    ------
    WorkloadError
        If there is no batch or no context.
    """
    if most < 1 or not contexts or min(contexts) < 1:
        raise WorkloadError("times of steps need at least one sequence and one context, above 0")
    estimates = StepEstimates(server)
    middle = contexts[len(contexts) // 2]
    chosen, dense = grid(1, most, scheduled), grid(1, most, 4 * scheduled)
    prompts = [0] if not chunk else sorted({0, max(chunk // 4, 1), max(chunk // 2, 1), chunk})
    count = Countdown(len(chosen) * (2 if chunk else 1) + bool(chunk), "steps")

    def ratio(sequences: int, prompt: int) -> float:
        if progress is not None:
            progress(f"serving: {count.text()}")
        mode = "decode" if sequences else "prefill"
        batch = (
            server.batch(sequences, middle, prompt=prompt)
            if sequences
            else server.batch(1, prompt, mode=mode)
        )
        found = server.plan(batch).makespan / estimates.of(batch, 1).first
        count.finish_one()
        return found

    ratios = {prompt: [ratio(n, prompt) for n in chosen] for prompt in ((0, chunk) if chunk else (0,))}
    alone = ratio(0, chunk) if chunk else 1.0
    batches = [0, *dense] if chunk else dense
    time = np.zeros((len(batches), len(contexts), len(prompts)))
    for (i, n), (k, prompt) in itertools.product(enumerate(batches), enumerate(prompts)):
        if n == 0:
            first = server.batch(1, max(prompt, 1), mode="prefill")  # a step has one token at least
            time[i, :, k] = alone * estimates.of(first).time
            continue
        at = math.exp(np.interp(math.log(n), np.log(chosen), np.log(ratios[chunk if prompt else 0])))
        for j, context in enumerate(contexts):
            time[i, j, k] = at * estimates.of(server.batch(n, context, prompt=prompt)).time
    return StepTimes(tuple(batches), tuple(contexts), tuple(prompts), time)
