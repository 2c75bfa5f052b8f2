"""The page of a comparison, and of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noptoolkit.flow import FlowResult
from noptoolkit.report.charts import matrix
from noptoolkit.report.gantt import MOST_BARS, gantt
from noptoolkit.report.maps import MapRun, map_section
from noptoolkit.report.page import Block, Chart, Page, Section
from noptoolkit.report.provenance import assumptions, certificates, reproduce, stamps
from noptoolkit.report.verdict import verdict
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.study import Comparison
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity

__all__ = ["comparison_page", "run_sections"]

FLOWS = ("dispatch", "combine", "uniform")


def comparison_page(result: Comparison, command: Sequence[str] | str = "") -> Page:
    """Return the page of a comparison: of the stages that its metrics needed."""
    runs = result.runs
    sections = [Section("verdict", "In short", [Block("sentences", verdict(result))])]
    table = replace(result.table(), sideways=False)
    shown = [replace(column, shown=True) if column.key == "remarks" else column for column in table.columns]
    several = [replace(part, columns=tuple(shown)) for part in table.parts()]
    sections.append(
        Section(
            "figures", "Figures", [Block("table", part) for part in several], "A click on a heading sorts."
        )
    )
    more, data = run_sections(runs)
    sections += more
    flows = [
        (run.given.name, run.package.name, getattr(run, name))
        for run in runs
        for name in FLOWS
        if name in run.computed
    ]
    plans = [(run.given.name, run.package.name, run.plan) for run in runs if "plan" in run.computed]
    if flows or plans:
        sections.append(certificates(flows, plans))
    sections.append(assumptions([run.package for run in runs], [run.given for run in runs]))
    sections.append(reproduce(command, runs))
    return Page(
        f"{_joined(result.packages)} on {_joined(result.workloads)}",
        runs[0].settings(),
        sections,
        data,
        stamps(run.given for run in runs),
    )


def run_sections(runs: Sequence[Run]) -> tuple[list[Section], dict[str, object]]:
    """Return map, traffic and schedule of runs: of the stages that are computed."""
    seen: list[MapRun] = []
    charts: list[Chart] = []
    planned = [run for run in runs if "plan" in run.computed]
    each = MOST_BARS // max(len(planned), 1)
    for i, run in enumerate(runs):
        views: dict[str, FlowResult | StepSchedule] = {
            name: getattr(run, name)
            for name in FLOWS
            if name in run.computed and getattr(run, name).traffic.endpoints
        }
        key = ""
        if "plan" in run.computed:
            key = f"gantt-{i}"
            views["step"] = run.plan
            many = len({one.given.name for one in runs}) > 1
            name = f"{run.package.name}, {run.given.name}" if many else run.package.name
            charts.append(gantt(run.plan, key, group=name, most=each))
        seen.append((run.given.name, run.package, views, key))
    sections = []
    data: dict[str, object] = {}
    if any(views for _, _, views, _ in seen):
        section, drawn = map_section([one for one in seen if one[2]])
        sections.append(section)
        data["map"] = drawn
    matrices = _matrices(runs)
    if matrices:
        sections.append(
            Section(
                "traffic",
                "Traffic",
                [Block("charts", matrices)],
                "What is delivered, not what channels carry: a copy counts for each that it is for.",
            )
        )
    if charts:
        blocks = [Block("charts", charts), Block("table", _breakdown(planned))]
        sections.append(
            Section(
                "schedule",
                "Schedule of a step",
                blocks,
                "A click on a bar sets the map to its time and place; ctrl and wheel zoom.",
            )
        )
    return sections, data


def _matrices(runs: Sequence[Run]) -> list[Chart]:
    """Return the traffic of the first package for each workload: traffics of like packages differ little."""
    found: list[Chart] = []
    done = set()
    for i, run in enumerate(runs):
        if run.given.name in done:
            continue
        done.add(run.given.name)
        for name in FLOWS:
            if name not in run.computed:
                continue
            traffic = getattr(run, name).traffic
            values = traffic.delivered()
            if not values.any():
                continue
            total = format_quantity(float(values.sum()), "B")
            said = f"{traffic.name or name} on {run.package.name}, {run.given.name}: {total} in all"
            chart = matrix(
                f"traffic-{i}-{name}", said, f"Traffic matrix of {said}", traffic.endpoints, values, unit="B"
            )
            many = len({one.given.name for one in runs}) > 1
            found.append(replace(chart, group=f"{name}, {run.given.name}" if many else name))
    return found


def _breakdown(runs: Sequence[Run]) -> Table:
    columns = [
        Column("package"),
        Column("workload"),
        Column("step", unit="s"),
        Column("compute", unit="s", meaning="while any chiplet computes"),
        Column("communication", "exposed communication", unit="s", meaning="while no chiplet computes"),
        Column("load", "exposed loading", unit="s", meaning="while only memory is busy"),
        Column("idle", unit="s"),
        Column("overlap", form=".1f %", meaning="share of the busy time that is hidden"),
        Column("busiest"),
        Column("busy", form=".1f %", meaning="share of the step that the busiest resource is busy"),
    ]
    rows = []
    for run in runs:
        plan, parts = run.plan, run.plan.breakdown
        first = int(plan.utilisation.argmax())
        rows.append(
            [
                run.package.name, run.given.name, plan.makespan, parts.compute, parts.communication,
                parts.load, parts.idle, plan.overlap, plan.resources[first], float(plan.utilisation[first]),
            ]
        )  # fmt: skip
    return Table(columns, rows, title="How the time of a step divides")


def _joined(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
