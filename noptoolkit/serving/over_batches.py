"""`serve`: the curve of a server over batches, scheduled at some of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from noptoolkit._numbers import is_whole
from noptoolkit.allocation import Allocation
from noptoolkit.errors import WorkloadError
from noptoolkit.flow import congestion
from noptoolkit.package import Package
from noptoolkit.progress import Countdown, Progress
from noptoolkit.serving.batches import batches_of, first_batches, next_batch
from noptoolkit.serving.capacity import capacity
from noptoolkit.serving.curve import FAR, ServingCurve, ServingPoint
from noptoolkit.serving.estimate import StepEstimates
from noptoolkit.serving.server import Server, Speculation
from noptoolkit.step.hosts import hosts_of
from noptoolkit.touched import touched
from noptoolkit.traffic import from_matrix
from noptoolkit.workload import Workload

__all__ = ["io_time", "serve"]

MOST_TOKENS = 1_000_000_000
"""Of a context, a prompt or an output: more is taken for a typing error."""

SCHEDULED = 26
"""Batches of a curve that are scheduled in any case, the others lie between them."""

MORE = 14
"""Further batches that are scheduled, where the curve bends."""


def serve(
    package: Package | Server,
    workload: Workload | None = None,
    allocation: Allocation | None = None,
    *,
    context: int = 4096,
    batch: str | int | Iterable[int] = "1:256",
    prompt: int | None = None,
    speculation: Speculation | None = None,
    scheduled: int = SCHEDULED,
    progress: Progress | None = None,
    **options: Any,
) -> ServingCurve:
    """Return the latency-throughput curve of a model on a package.

    Parameters
    ----------
    package
        Package that serves, or a `Server` with all that follows up to ``context``.
    workload, allocation
        Model with its routing, and the layout of its experts, see `Server`.
    context
        Tokens of each sequence's context.
    batch
        Batches, see `batches_of`.
    prompt
        Tokens of the prompt for the time to first token; the context where ``None``.
    speculation
        Speculative decoding.
    scheduled
        Batches that are scheduled at least, all where there are no more.
    options
        Options of `noptoolkit.schedule`: ``hosts``, ``experts``, ``resident``, ``cache``, ``attention``,
        ``routing``, ``policy``, ...

    Raises
    ------
    WorkloadError
        If a batch or the context is no whole number above 0, or the context is beyond the model's.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> star = nop.topology.star(4, attention=True, memory=True, flops="74 TFLOP/s", sram="40 MB")
    >>> curve = serve(star, nop.load_workload("stdlib-moe"), context=200, batch="1:64:8")
    >>> [point.batch for point in curve.points][:4], curve.at(64).rate > curve.at(1).rate
    ([1, 2, 3, 6], True)
    """
    if isinstance(package, Server):
        server = package
    else:
        if workload is None:
            raise WorkloadError("serve() needs a workload; load_workload(name) makes one")
        server = Server(package, workload, allocation, speculation or Speculation(), options)
    asked = batches_of(batch)
    for name, value in (("context", context), ("prompt", prompt)):
        if value is not None and (not is_whole(value) or not 1 <= value <= MOST_TOKENS):
            raise WorkloadError(
                f"{name}={value!r}: give a whole number of tokens above 0, {MOST_TOKENS} at most"
            )
    room = capacity(server, context)
    estimates = StepEstimates(server)
    known: dict[int, tuple[float, float | None]] = {}

    most = min(scheduled + MORE, len(asked))
    count = Countdown(most, "steps")

    def schedule_one(n: int) -> None:
        if progress is not None:
            progress(f"serving: {count.text()}, batch {n}")
        given = server.batch(n, context)
        cost, rough = server.cost(given), estimates.of(given, 1)
        known[n] = (
            cost.time / rough.first,
            None if cost.energy is None else cost.energy / max(rough.moved, 1.0),
        )
        count.finish_one()

    for n in first_batches(asked, scheduled):
        schedule_one(n)
    while len(known) < most:
        bent = next_batch(asked, {n: ratio for n, (ratio, _) in known.items()})
        if bent is None:
            break
        schedule_one(bent)
    chosen = sorted(known)
    ratio, energy = [known[n][0] for n in chosen], [known[n][1] for n in chosen]
    length = context if prompt is None else prompt
    prefill = server.prefill(length)
    points = tuple(
        _point(server, estimates, context, n, chosen, ratio, energy, room.sequences) for n in asked
    )
    return ServingCurve(
        server,
        context,
        points,
        prefill,
        length,
        io_time(server, 4.0 * length),
        room,
        _crossover(server, estimates, context),
    )


def _point(
    server: Server,
    estimates: StepEstimates,
    context: int,
    n: int,
    chosen: Sequence[int],
    ratio: Sequence[float],
    energy: Sequence[float | None],
    most: int,
) -> ServingPoint:
    batch = server.batch(n, context)
    rough = estimates.of(batch)
    at = float(np.exp(np.interp(np.log(n), np.log(chosen), np.log(ratio))))
    step = at * rough.first
    tokens = n * server.speculation.tokens
    per_joule = None
    if energy[0] is not None:
        known = np.array([value or 0.0 for value in energy])
        joules = float(np.interp(np.log(n), np.log(chosen), known)) * rough.moved
        per_joule = tokens / joules if joules else None
    trace = server.workload.trace
    used = float(touched(trace, batch.tokens).experts.mean())
    return ServingPoint(
        n,
        step,
        at * rough.time,
        at * rough.spread,
        step / server.speculation.tokens,
        tokens / step,
        per_joule,
        used,
        n <= most,
        n in chosen,
    )


def _crossover(server: Server, estimates: StepEstimates, context: int) -> int | None:
    """Return the batch from which on arithmetic takes longer than loading, found by halving."""

    def computes(n: int) -> bool:
        rough = estimates.of(server.batch(n, context), 1)
        return rough.computing > rough.loading

    high = 1
    while not computes(high):
        high *= 4
        if high > FAR:
            return None
    low = high // 4
    while high - low > max(1, high // 256):
        middle = (low + high) // 2
        low, high = (low, middle) if middle and computes(middle) else (middle, high)
    return high


def io_time(server: Server, size: float) -> float:
    """Return how long some bytes take from the I/O chiplets to the hosts, in s; 0 without one."""
    package = server.package
    gates = package.with_role("io")
    hosts = [name for name in hosts_of(package, server.options.get("hosts")) if name not in gates]
    if not gates or not hosts:
        return 0.0
    ends = (*gates, *hosts)
    pairs = np.zeros((len(ends), len(ends)))
    pairs[: len(gates), len(gates) :] = size / len(gates) / len(hosts)
    flow = congestion(package, from_matrix(package, pairs, endpoints=ends), routing="shortest")
    return float(flow.time)
