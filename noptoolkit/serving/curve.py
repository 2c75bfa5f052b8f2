"""The latency-throughput curve of a server: time per output token against tokens per second, by batch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._pictures import Reported
from noptoolkit.allocation import Allocation
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.serving.capacity import Capacity, capacity
from noptoolkit.serving.estimate import StepEstimates
from noptoolkit.serving.server import Server, Speculation, StepCost
from noptoolkit.serving.times import grid
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["ServingCurve", "ServingPoint", "batches_of", "io_time", "serve"]

SCHEDULED = 26
"""Batches of a curve that are scheduled in any case, the others lie between them."""

MORE = 14
"""Further batches that are scheduled, where neighbours differ most from the roofline's course."""

ALIKE = 0.004
"""Difference of neighbours' ratios, as a logarithm, from which on another is scheduled between them."""

MOST_BATCH = 1_000_000

FAR = 65_536
"""Batch up to which the crossover from loading to arithmetic is looked for."""


@dataclass(frozen=True)
class ServingPoint:
    """One batch.

    Parameters
    ----------
    batch
        Sequences that decode at once.
    step
        Time of the step of the trace's own batch, in s: scheduled, or between schedules.
    mean, spread
        Mean and standard deviation of it over which tokens of the trace decode, estimated, in s.
    token_time
        Time per output token of a sequence, in s: a step over the tokens that it yields.
    rate
        Output tokens per second, all sequences.
    tokens_per_joule
        Output tokens per joule of dynamic energy; ``None`` where the package gives no energies.
    experts
        Mean experts that a layer touches.
    fits
        Whether the caches fit in the stacks.
    scheduled
        Whether a step of this batch was scheduled; else it lies between two that were.
    """

    batch: int
    step: float
    mean: float
    spread: float
    token_time: float
    rate: float
    tokens_per_joule: float | None
    experts: float
    fits: bool
    scheduled: bool


@dataclass(frozen=True, eq=False, repr=False)
class ServingCurve(Reported):
    """A server's points at one context.

    Parameters
    ----------
    server
        The server, with its schedules: ``server.plan(server.batch(batch, context))``.
    context
        Tokens of each sequence's context.
    points
        In order of the batch.
    prefill
        What the prefill of one prompt takes alone.
    prompt
        Tokens of that prompt.
    prompt_io
        Time in which the prompt's tokens pass the I/O chiplet, in s; 0 without one.
    room
        What fits.
    crossover
        Batch from which arithmetic takes longer than loading, by the roofline; ``None`` up to `FAR`.
    """

    server: Server
    context: int
    points: tuple[ServingPoint, ...]
    prefill: StepCost
    prompt: int
    prompt_io: float
    room: Capacity
    crossover: int | None

    def __repr__(self) -> str:
        what = f"{self.server.workload.model.name!r} on {self.server.package.name!r}"
        return f"ServingCurve({what}, context {self.context}, {len(self.points)} batches)"

    @property
    def knee(self) -> ServingPoint:
        """The point of greatest throughput over latency (power; Kleinrock, ICC 1979), fitting or not."""
        return max(self.points, key=lambda point: point.rate / point.token_time)

    @property
    def first_token(self) -> float:
        """Time to the first token of a prompt that finds the server idle, in s."""
        return self.prompt_io + self.prefill.time

    def at(self, batch: int) -> ServingPoint:
        """Return the point of a batch.

        Raises
        ------
        WorkloadError
            If the curve has no such batch.
        """
        for point in self.points:
            if point.batch == batch:
                return point
        raise WorkloadError(
            f"the curve has no batch {batch}; it has {self.points[0].batch} to {self.points[-1].batch}"
        )

    def table(self, rows: int | None = None) -> Table:
        """Return a row per batch, or some of them, the knee among them."""
        columns = [
            Column("batch", meaning="sequences that decode at once"),
            Column("step", unit="s", meaning="time of a step with the trace's own batch of this size"),
            Column("mean", "on average", unit="s", meaning="over batches of this size, estimated"),
            Column("spread", "+-", unit="s", meaning="its standard deviation over which tokens decode"),
            Column("token_time", "time per token", unit="s", meaning="per output token of a sequence"),
            Column("rate", "tokens/s", form=".4g", meaning="output tokens per second, all sequences"),
            Column("tokens_per_joule", "tokens/J", form=".3g", meaning="per joule of dynamic energy"),
            Column("experts", "experts touched", form=".1f", meaning="mean over layers"),
            Column("cache", unit="B", meaning="keys and values of all sequences"),
            Column("fits", meaning="whether they fit beside the weights"),
            Column("scheduled", shown=False, meaning="whether a step of this batch was scheduled"),
        ]
        knee = self.knee
        chosen = self.points
        if rows is not None and len(chosen) > rows:
            kept = {chosen[i].batch for i in grid_places(len(chosen), rows)} | {knee.batch}
            chosen = tuple(point for point in chosen if point.batch in kept)
        made = [
            (
                point.batch,
                point.step,
                point.mean,
                point.spread,
                point.token_time,
                point.rate,
                Missing("not given") if point.tokens_per_joule is None else point.tokens_per_joule,
                point.experts,
                point.batch * self.room.each,
                ("yes" if point.fits else "no") + (", knee" if point is knee else ""),
                point.scheduled,
            )
            for point in chosen
        ]
        model, package = self.server.workload.model.name, self.server.package.name
        title = f"{model} served by {package}, context {self.context}"
        return Table(columns, made, title=title, notes=self.notes())

    def notes(self) -> list[str]:
        """Return what must be said with the table, a line each."""
        server, knee = self.server, self.knee
        scheduled = sum(point.scheduled for point in self.points)
        most = f"{self.room.sequences} sequences fit" if self.room.sequences else "not one sequence fits"
        of = (
            ""
            if self.crossover is None
            else f" Arithmetic takes longer than loading from batch {self.crossover} on."
        )
        prefill, each = format_quantity(self.first_token, "s"), format_quantity(self.room.each, "B")
        lines = [
            f"Time to first token, a prompt of {self.prompt} tokens alone: {prefill}.",
            f"Keys and values: {each} per sequence; {most}"
            + (
                "."
                if self.room.weights_fit
                else "; the weights alone do not fit in every stack: times are as if."
            ),
            f"Knee, the greatest throughput over latency: batch {knee.batch}, {knee.rate:.4g} tokens/s"
            + ("" if knee.fits else ", whose caches do not fit")
            + f".{of}",
            f"Steps: {scheduled} of {len(self.points)} batches scheduled, the others between them; "
            + ", ".join(f"{key}={value}" for key, value in server.options.items() if key != "micro_batches")
            + ".",
        ]
        if server.options.get("experts") == "used":
            lines.append("Experts load ahead as if their tokens were known in time; experts='routed' waits.")
        spec = server.speculation
        if spec.proposed:
            lines.append(
                f"Speculation: {spec.proposed} proposed, {spec.acceptance:.0%} accepted: {spec.tokens:.3g} "
                "tokens per sequence and step; proposing costs nothing here."
            )
        trace = server.workload.trace
        longest = self.points[-1].batch * (spec.proposed + 1)
        if longest > trace.num_tokens:
            lines.append(
                f"The trace has {trace.num_tokens} tokens: batches of more use them again, in equal parts."
            )
        if trace.origin != "recorded":
            lines.append(f"Tokens to experts: {ORIGINS[trace.origin]}.")
        return lines


def grid_places(count: int, rows: int) -> list[int]:
    """Return some places of a list, close at the start."""
    return [n - 1 for n in grid(1, count, rows)]


def batches_of(given: str | int | Iterable[int]) -> list[int]:
    """Return the batches that are asked for.

    Parameters
    ----------
    given
        ``"1:256"``: up to 200 from 1 to 256; ``"1:256:24"``: up to 24; ``"1,8,64"``; a number; or numbers.

    Raises
    ------
    WorkloadError
        If it names no batch.

    Examples
    --------
    >>> batches_of("1,8,64"), batches_of("2:5"), len(batches_of("1:1000")), batches_of(32)
    ([1, 8, 64], [2, 3, 4, 5], 200, [32])
    """
    way = 'give "1:256", "1:256:24", "1,8,64" or numbers, each a whole number above 0'
    if isinstance(given, str):
        ranged = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*(?::\s*(\d+)\s*)?", given)
        if ranged:
            least, most, count = int(ranged[1]), int(ranged[2]), int(ranged[3] or 200)
            if not (1 <= least <= most <= MOST_BATCH and count >= 2):
                raise WorkloadError(
                    f"batch={given!r}: from 1 up to {MOST_BATCH}, in order, two batches or more"
                )
            found = grid(least, most, count)
            return (
                found
                if len(found) <= count
                else [found[i] for i in np.linspace(0, len(found) - 1, count).astype(int)]
            )
        try:
            given = [int(part) for part in given.split(",")]
        except ValueError:
            raise WorkloadError(f"batch={given!r}: {way}") from None
    listed = [given] if isinstance(given, int) else list(given)
    if not listed or any(not isinstance(n, int | np.integer) or isinstance(n, bool) for n in listed):
        raise WorkloadError(f"batch={given!r}: {way}")
    if min(listed) < 1 or max(listed) > MOST_BATCH:
        raise WorkloadError(f"batch={given!r}: a batch is a whole number from 1 to {MOST_BATCH}")
    return sorted({int(n) for n in listed})


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
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise WorkloadError(f"{name}={value!r}: give a whole number of tokens above 0")
    room = capacity(server, context)
    estimates = StepEstimates(server)
    known: dict[int, tuple[float, float | None]] = {}

    def schedule_one(n: int) -> None:
        if progress is not None:
            progress(f"serving: step {len(known) + 1} scheduled, batch {n}")
        given = server.batch(n, context)
        cost, rough = server.cost(given), estimates.of(given, 1)
        known[n] = (
            cost.time / rough.first,
            None if cost.energy is None else cost.energy / max(rough.moved, 1.0),
        )

    for n in _scheduled(asked, scheduled):
        schedule_one(n)
    while len(known) < min(scheduled + MORE, len(asked)):
        worst = _between(asked, {n: ratio for n, (ratio, _) in known.items()})
        if worst is None:
            break
        schedule_one(worst)
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


def _scheduled(asked: Sequence[int], count: int) -> list[int]:
    if len(asked) <= count:
        return list(asked)
    small = [n for n in asked if n <= 12][:12]
    rest = [n for n in asked if n not in small]
    wanted = np.geomspace(rest[0], rest[-1], max(count - len(small), 2))
    near = {min(rest, key=lambda n: abs(np.log(n / x))) for x in wanted}
    for n in rest:  # the same number, where several lie near one
        if len(near) + len(small) >= count:
            break
        near.add(n)
    return sorted({*small, *near})


def _between(asked: Sequence[int], ratio: Mapping[int, float]) -> int | None:
    """Return a batch between the two scheduled ones whose ratios differ most, if by more than is allowed."""
    chosen = sorted(ratio)
    gaps = []
    for low, high in itertools.pairwise(chosen):
        inside = [n for n in asked if low < n < high]
        if inside:
            differs = abs(np.log(ratio[high] / ratio[low]))
            gaps.append((differs, min(inside, key=lambda n: abs(np.log(n * n / low / high)))))
    differs, found = max(gaps, default=(0.0, 0))
    return found if differs > ALIKE else None


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
    from noptoolkit.touched import touched

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
    from noptoolkit.flow import congestion
    from noptoolkit.step.hosts import hosts_of
    from noptoolkit.traffic import from_matrix

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
