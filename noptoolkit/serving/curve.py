"""The latency-throughput curve of a server: time per output token against tokens per second, by batch."""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit._pictures import Reported
from noptoolkit.errors import WorkloadError
from noptoolkit.serving.capacity import Capacity
from noptoolkit.serving.server import Server, StepCost
from noptoolkit.serving.times import grid
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.units import format_quantity

__all__ = ["FAR", "ServingCurve", "ServingPoint"]

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
            kept = {chosen[i].batch for i in _places(len(chosen), rows)} | {knee.batch}
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
            + ", ".join(
                f"{key}={value}"
                for key, value in server.options.items()
                if key != "micro_batches" and value is not None
            )
            + ".",
        ]
        if server.options.get("attention") == "tensor" and len(server.hosts) == 1:
            lines.append(f"Attention runs on {server.hosts[0]} alone: attention='tensor' splits nothing.")
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


def _places(count: int, rows: int) -> list[int]:
    """Return some places of a list, close at the start."""
    return [n - 1 for n in grid(1, count, rows)]
