"""What runs, schedules, serving and parallel plans bring to a page."""

from __future__ import annotations

import numpy as np

from noptoolkit.plans import Planning, PlanStep
from noptoolkit.report.charts import bars, curves
from noptoolkit.report.comparison import breakdown_table, run_parts
from noptoolkit.report.gantt import gantt
from noptoolkit.report.maps import View
from noptoolkit.report.parts import Parts, left_over
from noptoolkit.report.verdict import schedule_sentences
from noptoolkit.scheduling import Schedule
from noptoolkit.serving import ServingCurve, ServingPoint, Stream
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Column
from noptoolkit.units import format_quantity
from noptoolkit.whatif import StepLimits, StepUpgrade

__all__ = [
    "add_limits", "add_plan", "add_plans", "add_run", "add_schedule", "add_serving", "add_step_upgrade",
    "add_stream",
]  # fmt: skip

MOST_BATCHES = 6
"""Steps of serving that the map shows, beside the prefill."""


def add_run(one: Run, parts: Parts) -> None:
    """Add the stages of a run that are computed."""
    shown, matrices, schedules = run_parts([one])
    parts.subtitle = parts.subtitle or one.settings()
    parts.matrices += matrices
    parts.schedules += schedules
    for run in shown:
        parts.show_on_map(run.package, run.views, workload=run.workload, charts=run.charts)
        for view in run.views.values():
            if not isinstance(view, Schedule):
                parts.certify(view, workload=one.given.name)  # type: ignore[arg-type]
    if "plan" in one.computed:
        parts.plans.append((one.given.name, one.package.name, one.plan))
        parts.sentences += schedule_sentences(one.plan, today=parts.changed)
        parts.tables += [breakdown_table([one]), one.plan.table()]
    parts.packages.append(one.package)
    parts.workloads.append(one.given)
    parts.runs.append(one)


def add_schedule(one: Schedule, parts: Parts) -> None:
    """Add a schedule: its Gantt chart, and that of a step on the map."""
    key = parts.key("gantt")
    parts.tables.append(one.table())
    parts.sentences += schedule_sentences(one)
    if not isinstance(one, StepSchedule):
        parts.schedules.append(gantt(one, key, group=("schedule",)))
        return
    parts.subtitle = parts.subtitle or f"{one.policy.graph.__name__} step of {one.workload.name}"
    parts.schedules.append(gantt(one, key, group=(one.package.name,)))
    parts.show_on_map(one.package, {"step": one}, workload=one.workload.name, charts={"step": key})
    parts.plans.append((one.workload.name, one.package.name, one))
    parts.packages.append(one.package)
    parts.workloads.append(one.workload)


def add_step_upgrade(one: StepUpgrade, parts: Parts) -> None:
    """Add a step with a part made faster, beside the step as it is."""
    what = one.change
    how = one.part if one.factor is None else f"{one.part} {one.factor:g} times as fast"
    same = abs(one.saved) < 5e-4
    takes = "still takes" if same else f"takes {_time(one.after.makespan)} instead of"
    parts.changed = True
    parts.sentences.append(
        f"With {how}, the step of {one.before.workload.name} {takes} "
        f"{_time(one.before.makespan)}, scheduled again; then no "
        f"routing and no order of the same work takes less than {_time(one.after.lower_bound)}."
    )
    parts.tables.append(one.table())
    name = one.after.workload.name
    parts.show_on_map(one.before.package, {"step": one.before}, workload=name)
    changed = f"{one.after.package.name}, {what}"
    parts.show_on_map(one.after.package, {"step": one.after}, workload=name, label=changed)
    parts.plans.append((name, changed, one.after))
    parts.packages += [one.before.package, one.after.package]


def add_limits(one: StepLimits, parts: Parts) -> None:
    """Add what limits a step, and what limits it next."""
    parts.changed = True
    parts.tables.append(one.table())
    name = one.run.given.name
    parts.show_on_map(one.run.package, {"step": one.run.plan}, workload=name)
    parts.packages.append(one.run.package)
    first = one.rounds[0] if one.rounds else None
    if first is not None and first.gains:
        best = min(first.gains, key=lambda gain: gain.step)
        parts.sentences.append(
            f"Of all parts, {best.part} helps most: with that {one.factor:g} times as fast, the step of "
            f"{name} takes {_time(best.step)} instead of {_time(first.step)}, scheduled again."
        )


def add_serving(one: ServingCurve, parts: Parts) -> None:
    """Add a serving curve: its best batch, and the steps that were scheduled on the map."""
    server, knee = one.server, one.knee
    parts.subtitle = parts.subtitle or (
        f"serving with contexts of {one.context} tokens, {len(one.points)} batches up to "
        f"{one.points[-1].batch} sequences"
    )
    parts.sentences += _serving_sentences(one)
    lines = [
        (name, [point.token_time for point in some], [point.rate for point in some])
        for name, fits in (("caches fit", True), ("caches do not fit", False))
        if (some := [point for point in one.points if point.fits == fits])
    ]
    of = f"{server.workload.name} on {server.package.name}"
    parts.charts.append(
        curves(
            parts.key("serving"), f"{of}: output tokens per second against time per token, a point per batch",
            f"Throughput of {of} against time per token", lines,
            x=Column("time per token", unit="s"), y=Column("tokens per second"), table=one.table(),
            level=[("knee", knee.rate)],
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    scheduled = [point for point in one.points if point.scheduled]
    places = np.unique(np.linspace(0, len(scheduled) - 1, MOST_BATCHES).round().astype(int))
    views: dict[str, View] = {}
    charts: dict[str, str] = {}
    for point in (scheduled[i] for i in places):
        views[f"batch {point.batch}"] = server.plan(server.batch(point.batch, one.context))
    views[f"prefill of {one.prompt}"] = server.plan(server.batch(1, one.prompt, mode="prefill"))
    for name, plan in views.items():
        if isinstance(plan, StepSchedule):
            charts[name] = parts.key("gantt")
            parts.schedules.append(gantt(plan, charts[name], group=(name,), most=MOST_OF_ONE))
    parts.show_on_map(server.package, views, workload=server.workload.name, charts=charts)
    parts.packages.append(server.package)
    parts.workloads.append(server.workload)


def add_stream(one: Stream, parts: Parts) -> None:
    """Add a stream of requests: whether the server keeps up, and what a request sees."""
    asked, run = one.requests, one.simulated
    said = (
        f"With {asked.rate:g} requests per second, prompts of {asked.prompts.mean:g} and outputs of "
        f"{asked.outputs.mean:g} tokens on average, batched continuously (at most {one.most} at once), the "
        f"server {'keeps up' if one.stable else 'does not keep up'}: "
    )
    if one.stable:
        found = one.estimate
        said += (
            f"{found.rate:.4g} output tokens per second, the first token of a request after "
            f"{_time(found.first_token)}, of which {_time(found.wait)} waiting, the next ones every "
            f"{_time(found.token_time)}, estimated; simulated with {run.finished:,} requests, "
            f"{_time(run.first_token)} and {_time(run.token_time)}."
        )
    else:
        said += (
            f"it makes at most about {one.estimate.rate:.4g} output tokens per second, estimated, and "
            "requests wait the longer the longer they come."
        )
    parts.sentences.append(said)
    parts.tables += one.tables()


MOST_OF_ONE = 20_000
"""Bars of the Gantt chart of one step of serving."""


def _serving_sentences(one: ServingCurve) -> list[str]:
    fitting = [point for point in one.points if point.fits]
    best = max(fitting or one.points, key=lambda point: point.rate)
    room = one.room.sequences
    which = "the most of the batches computed whose caches fit" if fitting else "computed as if caches fitted"
    lines = [
        f"{_rate(best)} output tokens per second with {_sequences(best)} at once, {which}; a sequence "
        f"then has a token every {_time(best.token_time)}{_how(best)}.",
        f"Keys and values of {room:,} sequences fit beside the weights."
        if room
        else "Not the keys and values of one sequence fit beside the weights.",
    ]
    if not one.room.weights_fit:
        lines.append("The weights alone do not fit in every stack: all times are as if they did.")
    knee = one.knee
    lines.append(
        f"Throughput over time per token is greatest at {_sequences(knee)}"
        + ("" if knee.fits else ", whose caches do not fit")
        + f": {_rate(knee)} tokens per second, {_time(knee.token_time)} per token."
    )
    lines.append(
        f"The first token of a prompt of {one.prompt} tokens comes after {_time(one.first_token)} where "
        "nothing else runs."
    )
    return lines


def _rate(point: ServingPoint) -> str:
    return f"{point.rate:,.0f}" if point.rate >= 1000 else f"{point.rate:.4g}"


def _sequences(point: ServingPoint) -> str:
    return f"{point.batch} sequence{'s' if point.batch > 1 else ''}"


def _how(point: ServingPoint) -> str:
    return ", scheduled" if point.scheduled else ", between two batches that were scheduled"


def add_plans(one: Planning, parts: Parts) -> None:
    """Add a search of parallel plans: the best ones, the ranks of the best on the map."""
    best = one.best[0]
    parts.subtitle = parts.subtitle or f"parallel plans of {one.workload.name}"
    parts.sentences.append(
        f"The best plan is {best.plan}: {_time(best.time)} a step and "
        f"{format_quantity(best.memory, 'B')} on the fullest rank; {one.certificate}: no plan of the "
        f"space takes less than {_time(one.lower_bound)}."
    )
    names = [f"{i + 1}: {found.plan}" for i, found in enumerate(one.best)]
    kinds = list(
        dict.fromkeys(name for found in one.best for name, value in found.parts.items() if value > 0)
    )
    stack = {kind: [found.parts.get(kind, 0.0) for found in one.best] for kind in kinds}
    if stack:
        parts.charts.append(
            bars(
                parts.key("plans"), "what the step of each plan is made of, on its busiest rank",
                "Bar chart of the parts of a step",
                names, stack, y=Column("time", unit="s"), table=one.table(),
            )
        )  # fmt: skip
    parts.tables.append(one.table())
    parts.show_on_map(one.package, {str(one.step.plan): one.step})
    parts.packages.append(one.package)
    parts.workloads.append(one.workload)


def add_plan(one: PlanStep, parts: Parts) -> None:
    """Add the step of one plan: its parts, and its ranks on the map."""
    parts.subtitle = parts.subtitle or f"one step of the plan {one.plan}"
    fits = "" if one.memory is None or one.memory.fits else ", if it fitted: its memory does not"
    parts.sentences.append(
        f"The step of {one.plan} takes {_time(one.time)}{fits}. "
        + left_over(one.time, one.bound, "schedule of this plan on this placement")
        + " Whether another plan is faster, this bound does not say; noptoolkit plan searches them."
    )
    told = {name: value for name, value in one.breakdown.items() if value > 0}
    parts.charts.append(
        bars(
            parts.key("plan"), f"parts of the step of {one.plan}, on its busiest rank",
            "Bar chart of the parts of a step", list(told), {"time": list(told.values())},
            y=Column("time", unit="s"), table=one.table(),
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    parts.show_on_map(one.package, {str(one.plan): one})
    parts.packages.append(one.package)
    parts.workloads.append(one.workload)


def _time(value: float) -> str:
    return format_quantity(value, "s", 4)
