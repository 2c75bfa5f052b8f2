"""Continuous batching, step by step: requests arrive, prompts are prefilled in chunks, sequences decode.

Before each step, sequences that are done leave; waiting requests are taken in order while fewer than
``most`` are in the server, and up to ``chunk`` tokens of their prompts ride in the step, in order. A step of
n sequences and c prompt tokens takes as long as `StepTimes` says, at the mean context of the sequences. All
sequences gain the same tokens per step. This is a simulation of one stream of random numbers: its means have
an error.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._seeds import generator_from
from noptoolkit.errors import WorkloadError
from noptoolkit.serving.requests import Requests
from noptoolkit.serving.times import StepTimes
from noptoolkit.tables import Amount, Table

__all__ = ["RequestRun", "simulate_requests"]

MOST_STEPS = 5_000_000
"""Steps of one stream: beyond them a run takes minutes."""

MOST_REQUESTS = 1_000_000


@dataclass(frozen=True, eq=False)
class RequestRun:
    """What became of a stream of requests.

    Parameters
    ----------
    arrival, first, done
        Time of arrival, of the first output token and of the last, in s, [requests]; NaN for what has not
        happened by the end.
    output
        Output tokens, [requests].
    end
        Time of the end, in s.
    area
        Integral over time of the number of requests in the system, in s, added up step by step.
    busy
        Time in steps, in s.
    sequence_time
        Integral over time of the number of sequences that decode, in s.
    steps
        Number of steps.
    """

    arrival: Floats
    first: Floats
    done: Floats
    output: Floats
    end: float
    area: float
    busy: float
    sequence_time: float
    steps: int

    @property
    def finished(self) -> int:
        """Requests that are done."""
        return int(np.isfinite(self.done).sum())

    @property
    def in_system(self) -> int:
        """Requests that have arrived and are not done at the end."""
        return int((self.arrival <= self.end).sum()) - self.finished

    @property
    def first_token(self) -> float:
        """Mean time to the first token, in s."""
        return float(np.nanmean(self.first - self.arrival))

    @property
    def token_time(self) -> float:
        """Mean time per output token after the first, over all of them, in s; NaN without any."""
        after = np.isfinite(self.done) & (self.output > 1)
        tokens = float((self.output[after] - 1).sum())
        return float((self.done[after] - self.first[after]).sum() / tokens) if tokens else float("nan")

    @property
    def rate(self) -> float:
        """Output tokens per second of what is done."""
        return float(self.output[np.isfinite(self.done)].sum() / self.end)

    @property
    def mean_in_system(self) -> float:
        """Mean number of requests in the system."""
        return self.area / self.end

    def quantile(self, share: float) -> float:
        """Return the time to the first token that a share of the requests does not exceed, in s."""
        return float(np.nanquantile(self.first - self.arrival, share))

    def table(self) -> Table:
        """Return the means as a table."""
        rows = [
            ("requests done", Amount(self.finished), f"{self.in_system} in the system at the end"),
            ("time to first token", Amount(self.first_token, "s"), "mean"),
            ("of 95 %, at most", Amount(self.quantile(0.95), "s"), ""),
            ("time per output token", Amount(self.token_time, "s"), "mean, after the first"),
            ("output tokens per second", Amount(self.rate), ""),
            ("requests in the system", Amount(self.mean_in_system, form=".3g"), "mean"),
            ("busy", Amount(self.busy / self.end, form=".1f %"), "share of the time"),
        ]
        return Table(["what", "value", "note"], rows, title="Continuous batching, simulated")


def simulate_requests(
    times: StepTimes,
    requests: Requests,
    *,
    most: int,
    chunk: int,
    count: int = 2000,
    tokens_per_step: float = 1.0,
    until: float | None = None,
    rng: int | np.random.Generator | None = 0,
) -> RequestRun:
    """Return a simulation of continuous batching with chunked prefill.

    Parameters
    ----------
    times
        Times of steps, with prompts of up to ``chunk``.
    requests
        The stream.
    most
        Requests in the server at most.
    chunk
        Prompt tokens of a step at most.
    count
        Requests that arrive.
    tokens_per_step
        Tokens that a step yields per sequence, see `Speculation`.
    until
        Time at which to stop, in s; when all are done where ``None``.

    Raises
    ------
    WorkloadError
        If a limit is not above 0, or the times know no prompts of a chunk.
    """
    for name, value in (("most", most), ("chunk", chunk), ("count", count)):
        if not isinstance(value, int) or value < 1:
            raise WorkloadError(f"{name}={value!r}: give a whole number above 0")
    if count > MOST_REQUESTS:
        raise WorkloadError(f"count={count} is more than {MOST_REQUESTS} requests")
    if times.prompts[-1] < chunk:
        raise WorkloadError(f"the times know prompts of {times.prompts[-1]} tokens, the chunk has {chunk}")
    if times.batches[-1] < most:
        raise WorkloadError(f"the times know {times.batches[-1]} sequences, the server takes {most}")
    whole = max(requests.prompts.mean / chunk, requests.outputs.mean / tokens_per_step / most)
    if count * whole > MOST_STEPS and until is None:
        raise WorkloadError(_too_long(chunk, count))
    generator = generator_from(rng)
    arrival = np.cumsum(generator.exponential(1.0 / requests.rate, count))
    prompt = requests.prompts.draw(count, generator)
    output = requests.outputs.draw(count, generator)
    first, done = np.full(count, np.nan), np.full(count, np.nan)
    waiting: deque[int] = deque()  # arrived, prefill not begun
    filling: deque[tuple[int, float]] = deque()  # request, prompt tokens left
    running: list[tuple[float, int]] = []  # progress at which it is done, request
    clock = area = busy = sequence_time = progress = context = 0.0
    coming = steps = 0
    end = np.inf if until is None else until
    while clock < end:
        while coming < count and arrival[coming] <= clock:
            waiting.append(coming)
            coming += 1
        while waiting and len(running) + len(filling) < most:
            request = waiting.popleft()
            filling.append((request, float(prompt[request])))
        if not running and not filling:
            if coming == count:
                break
            clock = min(float(arrival[coming]), end)
            continue
        if steps == MOST_STEPS:
            raise WorkloadError(_too_long(chunk, count))
        budget, ended = float(chunk), []
        while filling and budget > 0:
            request, left = filling.popleft()
            taken = min(left, budget)
            budget -= taken
            if taken < left:
                filling.appendleft((request, left - taken))
            else:
                ended.append(request)
        n = len(running)
        takes = times(n, context / n if n else times.contexts[0], chunk - budget)
        inside = n + len(filling) + len(waiting) + len(ended)
        later = min(clock + takes, end)
        area += inside * (later - clock)
        i = coming
        while i < count and arrival[i] < later:
            area += later - float(arrival[i])
            i += 1
        sequence_time += n * (later - clock)
        busy += later - clock
        if clock + takes > end:
            clock = end
            break
        clock, steps = later, steps + 1
        progress += tokens_per_step
        context += n * tokens_per_step
        while running and running[0][0] <= progress + 1e-9:
            _, request = heapq.heappop(running)
            done[request] = clock
            context -= prompt[request] + output[request]
        context = max(context, 0.0)
        for request in ended:
            first[request] = clock
            if output[request] <= 1:
                done[request] = clock
            else:
                heapq.heappush(running, (progress + float(output[request]) - 1.0, request))
                context += prompt[request] + 1.0
    return RequestRun(arrival, first, done, output, float(clock), area, busy, sequence_time, steps)


def _too_long(chunk: int, count: int) -> str:
    return (
        f"{count:,} requests take more than {MOST_STEPS:,} steps: give a chunk of more than {chunk} tokens, "
        "shorter prompts or outputs, or fewer requests"
    )
