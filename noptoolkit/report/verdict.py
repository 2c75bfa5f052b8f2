"""The verdict in sentences that the numbers carry."""

from __future__ import annotations

from collections.abc import Sequence

from noptoolkit.scheduling import Schedule
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.study import Comparison
from noptoolkit.units import format_quantity

__all__ = ["schedule_sentences", "verdict"]

LEVEL = 0.01
"""Relative difference within which two times are called level."""


def verdict(result: Comparison) -> list[str]:
    """Return what a comparison says, a sentence each: of computed stages alone."""
    lines = []
    for workload in result.workloads:
        runs = result.of(workload)
        many = len(result.workloads) > 1
        lead = f"On {workload}, " if many else ""
        if all("plan" in run.computed for run in runs):
            lines += _times(lead, "the step", runs, [run.plan.makespan for run in runs],
                            [run.plan.lower_bound for run in runs])  # fmt: skip
            lines += [_limits(run.plan) for run in runs[:1] if len(runs) == 1]
        if all({"dispatch", "combine"} <= set(run.computed) for run in runs):
            times = [run.dispatch.time + run.combine.time for run in runs]
            bounds = [run.dispatch.time_bound + run.combine.time_bound for run in runs]
            routings = {flow.routing for run in runs for flow in (run.dispatch, run.combine)}
            by = f" by {routings.pop()} routing" if len(routings) == 1 else ""
            lines += _times(lead, f"dispatch and combine of one MoE layer{by}", runs, times, bounds)
            lines.append(lead + _bottlenecks(runs))
    lines += _cost(result)
    return [line[0].upper() + line[1:] for line in lines]


def _times(lead: str, what: str, runs: Sequence[Run], times: list[float], bounds: list[float]) -> list[str]:
    """Return who is fastest and by how much, and what is proved."""
    names = [run.package.name for run in runs]
    order = sorted(range(len(runs)), key=lambda i: times[i])
    best = order[0]
    verb = "takes" if what == "the step" else "take"
    if times[best] <= 0:
        return [f"{lead}{what} {verb} no time on the network of {names[best]}."]
    said = f"{lead}{what} {verb} {_time(times[best])} on {names[best]}"
    level = [i for i in order[1:] if times[i] <= (1 + LEVEL) * times[best]]
    slower = [i for i in order[1:] if i not in level]
    if level:
        said += ", level with " + _joined([f"{names[i]} ({_time(times[i])})" for i in level])
    if slower:
        ratios = [
            f"{times[i] / times[best]:.3g} times as long on {names[i]} ({_time(times[i])}"
            + ("; its lower bound leaves open whether it must be)" if bounds[i] < times[best] else ")")
            for i in slower
        ]
        said += f"; {_joined(ratios)}"
    gaps = [t / b - 1 if b > 0 else float("inf") for t, b in zip(times, bounds, strict=True)]
    worst = max(range(len(runs)), key=lambda i: gaps[i])
    work = "no routing and no order of the same work" if what == "the step" else "no routing"
    if gaps[worst] <= 1e-6:
        each = "any of them: each" if len(runs) > 1 else "it: the time"
        return [f"{said}.", f"{lead}{work} shortens {each} equals its lower bound."]
    if gaps[worst] == float("inf"):
        return [f"{said}."]
    of, less = (f" on {names[worst]}", ", and no more on the others") if len(runs) > 1 else ("", "")
    left = (
        f"{lead}{work}{of} takes less than {_time(bounds[worst])}: the time there is at most "
        f"{gaps[worst]:.2%} above the least possible{less}."
    )
    return [f"{said}.", left]


def schedule_sentences(plan: Schedule, *, today: bool = False) -> list[str]:
    """Return what a schedule says, a sentence each; ``today`` where it stands beside changes."""
    gap = plan.gap
    of = f" of {plan.workload.name} on {plan.package.name}" if isinstance(plan, StepSchedule) else ""
    what = f"The step{of}" if of else "The schedule"
    if today:
        what = f"As the package is today, {what[0].lower()}{what[1:]}"
    over = "no routing and no order of the same work" if of else "no order of its tasks"
    if gap <= 1e-6:
        proof = f": {over} is faster"
    else:
        proof = (
            f", at most {gap:.2%} above the least possible: {over} takes less than {_time(plan.lower_bound)}"
        )
    said = _limits(plan)
    said = f"Of that{said.removeprefix('of the')}" if today else said[0].upper() + said[1:]
    return [f"{what} takes {_time(plan.makespan)}{proof}.", said]


def _limits(plan: Schedule) -> str:
    parts = plan.breakdown
    shares = {
        "a chiplet computes": parts.compute,
        "only the network works": parts.communication,
        "only memory works": parts.load,
        "nothing works": parts.idle,
    }
    whole = plan.makespan or 1.0
    told = _joined(
        [f"{word} for {share / whole:.1%}" for word, share in shares.items() if share / whole >= 5e-4]
    )
    first = int(plan.utilisation.argmax())
    return f"of the step, {told}; busiest is {plan.resources[first]} with {plan.utilisation[first]:.1%}."


def _bottlenecks(runs: Sequence[Run]) -> str:
    found = []
    for run in runs:
        flow = max((run.dispatch, run.combine), key=lambda one: one.time)
        if flow.bottleneck:
            which = "dispatch" if flow is run.dispatch else "combine"
            most = flow.utilisation.max(initial=0.0) * (1 - 1e-6)
            level = int((flow.utilisation >= most).sum()) - 1
            more = f", level with {level} more" if level > 0 else ""
            found.append(f"{flow.bottleneck} on {run.package.name} (in the {which}{more})")
    return f"what limits these exchanges is {_joined(found)}." if found else "nothing limits these exchanges."


def _cost(result: Comparison) -> list[str]:
    """Return what each network has, where more than one is compared."""
    runs = result.of(result.workloads[0])
    if len(runs) < 2:
        return []
    known = [name for name in ("links", "total_bandwidth") if name in result.metrics]
    if len(known) < 2:
        return []
    told = [
        f"{run.package.name} has {len(run.package.links)} links with "
        f"{format_quantity(run.package.total_bandwidth, 'B/s')} together"
        for run in runs
    ]
    lines = ["Memory's links and both directions counted, " + _joined(told) + "."]
    scaled = [run for run in runs if run.normalised is not None]
    if scaled:
        by = scaled[0].normalised
        assert by is not None
        factors = _joined(
            [f"{run.package.name} x {run.normalised[1]:.4g}" for run in scaled if run.normalised]
        )
        lines.append(f"Die-to-die links were scaled to equal {by[0]}: {factors}.")
    return lines


def _time(value: float) -> str:
    return format_quantity(value, "s", 4)


def _joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
