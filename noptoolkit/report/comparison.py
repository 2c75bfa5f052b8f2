"""The page of a comparison, and of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noptoolkit.report.charts import matrix
from noptoolkit.report.gantt import MOST_BARS, gantt
from noptoolkit.report.maps import MapRun, View, map_section
from noptoolkit.report.page import Block, Chart, Page, Section
from noptoolkit.report.provenance import assumptions, certificates, reproduce, stamps
from noptoolkit.report.verdict import verdict
from noptoolkit.stages import Run
from noptoolkit.study import Comparison
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity

__all__ = ["CLICKED", "DELIVERED", "breakdown_table", "comparison_page", "run_parts"]

FLOWS = ("dispatch", "combine", "uniform")
DELIVERED = "What is delivered, not what channels carry: a copy counts for each that it is for."
CLICKED = "A click on a bar sets the map to its time and place; ctrl and wheel zoom."


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


def run_parts(runs: Sequence[Run]) -> tuple[list[MapRun], list[Chart], list[Chart]]:
    """Return maps, traffic matrices and Gantt charts of runs: of the stages that are computed."""
    seen: list[MapRun] = []
    schedules: list[Chart] = []
    each = MOST_BARS // max(sum("plan" in run.computed for run in runs), 1)
    many = len({run.given.name for run in runs}) > 1
    for i, run in enumerate(runs):
        views: dict[str, View] = {
            name: getattr(run, name)
            for name in FLOWS
            if name in run.computed and getattr(run, name).traffic.endpoints
        }
        charts = {}
        if "plan" in run.computed:
            charts["step"] = f"gantt-{i}"
            views["step"] = run.plan
            group = (run.given.name, run.package.name) if many else (run.package.name,)
            schedules.append(gantt(run.plan, charts["step"], group=group, most=each))
        if views:
            seen.append(MapRun(run.given.name, run.package, views, charts))
    return seen, _matrices(runs), schedules


def run_sections(runs: Sequence[Run]) -> tuple[list[Section], dict[str, object]]:
    """Return map, traffic and schedule of runs, and what the map's script draws from."""
    seen, matrices, schedules = run_parts(runs)
    sections = []
    data: dict[str, object] = {}
    if seen:
        section, data["map"] = map_section(seen)
        sections.append(section)
    if matrices:
        sections.append(Section("traffic", "Traffic", [Block("charts", matrices)], DELIVERED))
    if schedules:
        planned = [run for run in runs if "plan" in run.computed]
        blocks = [Block("charts", schedules), Block("table", breakdown_table(planned))]
        sections.append(Section("schedule", "Schedule of a step", blocks, CLICKED))
    return sections, data


def _matrices(runs: Sequence[Run]) -> list[Chart]:
    """Return the traffic of each workload on each package; equal traffics of several packages once."""
    alike: dict[tuple[str, str, tuple[str, ...], bytes], list[Run]] = {}
    for run in runs:
        for name in FLOWS:
            if name in run.computed:
                traffic = getattr(run, name).traffic
                content = traffic.delivered().tobytes()
                alike.setdefault((run.given.name, name, traffic.endpoints, content), []).append(run)
    many = len({run.given.name for run in runs}) > 1
    several = len({run.package for run in runs}) > 1
    found: list[Chart] = []
    for (workload, name, endpoints, _), of in alike.items():
        traffic = getattr(of[0], name).traffic
        values = traffic.delivered()
        if not values.any():
            continue
        total = format_quantity(float(values.sum()), "B")
        packages = _joined([run.package.name for run in of])
        said = f"{traffic.name or name} on {packages}, {workload}: {total} in all"
        key = f"traffic-{len(found)}"
        chart = matrix(key, said, f"Traffic matrix of {said}", endpoints, values, unit="B")
        shown = ", ".join(run.package.name for run in of)
        group = (*([workload] if many else []), name, *([shown] if several else []))
        found.append(replace(chart, group=group))
    return found


def breakdown_table(runs: Sequence[Run]) -> Table:
    """Return how the time of each step divides, a row per run."""
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
