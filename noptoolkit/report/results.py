"""Which page each result has: a line in `PAGES` for each type, and one page for several results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit.collectives import CollectiveResult
from noptoolkit.collectives.comparing import AlgorithmComparison
from noptoolkit.errors import NopError
from noptoolkit.flow import BandwidthCurve, FlowResult, Ladder, Upgrade
from noptoolkit.package import Package
from noptoolkit.plans import Planning
from noptoolkit.report.charts import bars, curves, matrix
from noptoolkit.report.comparison import comparison_page, run_sections
from noptoolkit.report.gantt import gantt
from noptoolkit.report.maps import MapRun, View, map_section
from noptoolkit.report.page import Block, Chart, Page, Section, write_page
from noptoolkit.report.provenance import assumptions, certificates, reproduce, stamps
from noptoolkit.report.verdict import schedule_sentences
from noptoolkit.scheduling import Schedule
from noptoolkit.serving import ServingCurve
from noptoolkit.simulate import LatencyCurve, Simulation
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.study import Comparison
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["PAGES", "Parts", "page_of", "write_report"]


@dataclass
class Parts:
    """What several results bring to one page.

    Parameters
    ----------
    sentences, tables, charts, schedules
        Of the verdict, the figures, their curves, the Gantt charts.
    map_runs
        Flows and steps on packages.
    flows, plans
        What has a certificate: workload, package and result.
    packages, workloads, runs
        What the results came from.
    """

    sentences: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    matrices: list[Chart] = field(default_factory=list)
    schedules: list[Chart] = field(default_factory=list)
    map_runs: list[MapRun] = field(default_factory=list)
    flows: list[tuple[str, str, FlowResult]] = field(default_factory=list)
    plans: list[tuple[str, str, StepSchedule]] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def key(self, what: str) -> str:
        """Return an id that no chart of the page has."""
        return f"{what}-{len(self.charts) + len(self.matrices) + len(self.schedules)}"


def page_of(
    results: Any, *, command: Sequence[str] | str = "", title: str = "", notes: Sequence[str] = ()
) -> Page:
    """Return the page of a result, or of several that belong together.

    Parameters
    ----------
    results
        Any result of `PAGES`, a `Comparison`, or a sequence of them and of tables.
    command
        Command that made it, for the reader who makes it again.
    title
        Heading; what the results are where empty.
    notes
        What must be seen first, such as warnings of the run.

    Raises
    ------
    NopError
        If a value has no page, or the extra ``report`` is not installed.
    """
    if isinstance(results, Comparison):
        page = comparison_page(results, command)
        return Page(title or page.title, page.subtitle, page.sections, page.data, (*page.notes, *notes))
    several = [results] if not isinstance(results, list | tuple) else list(results)
    parts = Parts()
    for one in several:
        _add(one, parts)
    sections = _sections(parts)
    data: dict[str, Any] = {}
    if parts.map_runs:
        section, data["map"] = map_section(_joined_views(parts.map_runs))
        sections.insert(2 if len(sections) > 2 else len(sections), section)
    if parts.flows or parts.plans:
        sections.append(certificates(parts.flows, parts.plans))
    if parts.packages or parts.workloads:
        sections.append(assumptions(parts.packages, parts.workloads))
    sections.append(reproduce(command, parts.runs, list(dict.fromkeys(parts.packages))))
    names = ", ".join(dict.fromkeys(one.name for one in parts.packages))
    loads = ", ".join(dict.fromkeys(one.name for one in parts.workloads))
    shown = title or " on ".join(part for part in (loads, names) if part) or "Results"
    first = next((one for one in several if not isinstance(one, Table)), several[0])
    subtitle = parts.runs[0].settings() if parts.runs else repr(first)
    return Page(shown, subtitle, sections, data, (*stamps(parts.workloads), *notes))


def write_report(
    results: Any,
    path: str | Path,
    *,
    command: Sequence[str] | str = "",
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write `page_of` results to a file that needs nothing else.

    Raises
    ------
    NopError
        If a value has no page, the extra ``report`` is not installed, or the place cannot be written to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from noptoolkit import congestion, topology, traffic
    >>> flow = congestion(topology.mesh(2), traffic.all_to_all(topology.mesh(2), "1 MB"))
    >>> page = pathlib.Path(tempfile.mkdtemp()) / "flow.html"
    >>> write_report(flow, page)
    >>> page.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    write_page(page_of(results, command=command, title=title, notes=notes), path)


def _add(one: Any, parts: Parts) -> None:
    for kind, add in PAGES.items():
        if isinstance(one, kind):
            add(one, parts)
            return
    if hasattr(one, "table"):  # a result without a picture
        parts.tables.append(one.table())
        if isinstance(getattr(one, "package", None), Package):
            parts.packages.append(one.package)
        return
    raise NopError(f"a {type(one).__name__} has no page; give a result that has a table")


def _sections(parts: Parts) -> list[Section]:
    sections = []
    told: list[Table] = []
    for table in parts.tables:  # a result and its table may both be given
        if not any(table.title == one.title and table.rows == one.rows for one in told):
            told.append(table)
    if parts.sentences:
        sections.append(Section("verdict", "In short", [Block("sentences", parts.sentences)]))
    blocks = [Block("chart", chart) for chart in parts.charts]
    blocks += [Block("table", table) for table in told]
    sections.append(Section("figures", "Figures", blocks))
    if parts.matrices:
        sections.append(Section("traffic", "Traffic", [Block("charts", parts.matrices)]))
    if parts.schedules:
        about = "A click on a bar sets the map to its time and place; ctrl and wheel zoom."
        sections.append(Section("schedule", "Schedule", [Block("charts", parts.schedules)], about))
    return sections


def _joined_views(runs: Sequence[MapRun]) -> list[MapRun]:
    """Return views of one package and workload as one."""
    found: dict[tuple[str, Package], tuple[dict[str, View], str]] = {}
    for workload, package, views, chart in runs:
        known, key = found.get((workload, package), ({}, ""))
        named = {
            name if name not in known else f"{name} {len(known) + 1}": view for name, view in views.items()
        }
        found[workload, package] = (known | named, key or chart)
    return [(workload, package, views, chart) for (workload, package), (views, chart) in found.items()]


def _table(one: Table, parts: Parts) -> None:
    parts.tables.append(one)


def _run(one: Run, parts: Parts) -> None:
    sections, _ = run_sections([one])
    for section in sections:
        for block in section.blocks:
            if block.kind == "charts":
                kept = parts.schedules if section.key == "schedule" else parts.matrices
                kept.extend(block.value)
            elif block.kind == "table":
                parts.tables.append(block.value)
    views: dict[str, Any] = {
        name: getattr(one, name) for name in ("dispatch", "combine", "uniform") if name in one.computed
    }
    for flow in views.values():
        parts.flows.append((one.given.name, one.package.name, flow))
    chart = ""
    if "plan" in one.computed:
        views["step"], chart = one.plan, "gantt-0"
        parts.plans.append((one.given.name, one.package.name, one.plan))
        parts.sentences += schedule_sentences(one.plan)
        parts.tables.append(one.plan.table())
    if views:
        parts.map_runs.append((one.given.name, one.package, views, chart))
    parts.packages.append(one.package)
    parts.workloads.append(one.given)
    parts.runs.append(one)


def _schedule(one: Schedule, parts: Parts) -> None:
    key = parts.key("gantt")
    parts.tables.append(one.table())
    parts.sentences += schedule_sentences(one)
    if isinstance(one, StepSchedule):
        parts.schedules.append(gantt(one, key, group=one.package.name))
        parts.map_runs.append((one.workload.name, one.package, {"step": one}, key))
        parts.plans.append((one.workload.name, one.package.name, one))
        parts.packages.append(one.package)
        parts.workloads.append(one.workload)
    else:
        parts.schedules.append(gantt(one, key, group="schedule"))


def _flow(one: FlowResult, parts: Parts) -> None:
    name = one.traffic.name or "traffic"
    parts.sentences.append(
        f"{name} takes {format_quantity(one.time, 's', 4)} on {one.package.name} by {one.routing} routing; "
        f"{one.bottleneck or 'nothing'} limits it. {_left(one.time, one.time_bound)}"
    )
    parts.tables.append(one.table(None))
    values = one.traffic.delivered()
    if values.any():
        said = f"{name}: {format_quantity(float(values.sum()), 'B')} in all"
        key = parts.key("traffic")
        chart = matrix(key, said, f"Traffic matrix of {said}", one.traffic.endpoints, values, unit="B")
        parts.matrices.append(chart)
    parts.map_runs.append(("", one.package, {name: one}, ""))
    parts.flows.append(("", one.package.name, one))
    parts.packages.append(one.package)


def _left(time: float, bound: float) -> str:
    gap = time / bound - 1 if bound > 0 else 0.0
    if gap <= 1e-6:
        return "No routing is faster: the time equals its lower bound."
    return f"No routing is faster than {format_quantity(bound, 's', 4)}: at most {gap:.2%} are left."


def _collective(one: AlgorithmComparison | CollectiveResult, parts: Parts) -> None:
    best = one.optimum if isinstance(one, AlgorithmComparison) else one
    parts.sentences.append(
        f"{best.title} takes {format_quantity(best.time, 's', 4)} on {best.package.name}; "
        f"{best.bottleneck or 'nothing'} limits it. {_bound_of(best)}"
    )
    if isinstance(one, AlgorithmComparison):
        known = {name: r for name, r in one.others.items() if isinstance(r, CollectiveResult)}
        if known:
            fastest = min(known, key=lambda name: known[name].time)
            ratio = known[fastest].time / best.time if best.time else 1.0
            parts.sentences.append(
                f"The best algorithm of today here, {fastest}, takes {ratio:.3g} times as long."
            )
            names = ["optimal", *known]
            times = [best.time, *(r.time for r in known.values())]
            parts.charts.append(
                bars(
                    parts.key("algorithms"), "time of each algorithm, bandwidth alone",
                    "Bar chart of the time of each algorithm", names, {"time": times},
                    y=Column("time", unit="s"), table=one.table(),
                )
            )  # fmt: skip
    parts.map_runs.append((best.title, best.package, {best.title: best}, ""))
    parts.tables.append(one.table() if isinstance(one, AlgorithmComparison) else best.table(None))
    if isinstance(one, AlgorithmComparison):
        parts.tables.append(best.table(None))
    parts.packages.append(best.package)


def _bound_of(best: CollectiveResult) -> str:
    gap = best.time / best.time_bound - 1 if best.time_bound > 0 else 0.0
    if gap <= 1e-6:
        return "No schedule is faster: the time equals its lower bound."
    return (
        f"No schedule is faster than {format_quantity(best.time_bound, 's', 4)}: at most {gap:.2%} are left."
    )


def _latency(one: LatencyCurve, parts: Parts) -> None:
    steady = [run for run in one.runs if run.packets]
    rates = [run.offered for run in steady]
    lines = [("mean", rates, [run.latency for run in steady]),
             ("99th percentile", rates, [float(run.percentile(99)) for run in steady]),
             ("zero-load", rates, [run.zero_load for run in steady])]  # fmt: skip
    stable = [run for run in one.runs if run.stable]
    if stable:
        last = max(stable, key=lambda run: run.offered)
        parts.sentences.append(
            f"{one!r}: stable up to {last.offered:.4g} flits per cycle and source, where the mean latency is "
            f"{last.latency:.1f} cycles; simulated, not a bound."
        )
    parts.charts.append(
        curves(
            parts.key("latency"), "latency against load; beyond the last stable load it grows with the run",
            "Latency against offered load", lines,
            x=Column("offered", "offered load, flits per cycle and source"),
            y=Column("latency", "latency in cycles"), table=one.table(),
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    parts.packages.append(one.runs[0].package)


def _simulation(one: Simulation, parts: Parts) -> None:
    parts.tables.append(one.table())
    parts.packages.append(one.package)


def _serving(one: ServingCurve, parts: Parts) -> None:
    held = [point for point in one.points if point.fits] or list(one.points)
    best = max(held, key=lambda point: point.rate)
    knee = one.knee
    parts.sentences += [
        f"{best.rate:.4g} output tokens per second with {best.batch} sequences at once, the most "
        + ("that fits" if best.fits else "computed, though its caches do not fit")
        + f"; a token of a sequence then takes {format_quantity(best.token_time, 's')}.",
        f"Throughput over latency is best at {knee.batch} sequences: {knee.rate:.4g} tokens per second, "
        f"{format_quantity(knee.token_time, 's')} per token.",
        f"The first token of a prompt of {one.prompt} tokens comes after "
        f"{format_quantity(one.first_token, 's')} where nothing else runs.",
    ]
    fits = [point for point in one.points if point.fits]
    over = [point for point in one.points if not point.fits]
    lines = [
        (name, [point.token_time for point in some], [point.rate for point in some])
        for name, some in (("fits", fits), ("caches do not fit", over))
        if some
    ]
    parts.charts.append(
        curves(
            parts.key("serving"), "tokens per second against time per token, a point per batch",
            "Throughput against time per token", lines, x=Column("time per token", unit="s"),
            y=Column("tokens per second"), table=one.table(),
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    parts.packages.append(one.server.package)
    parts.workloads.append(one.server.workload)


def _bandwidth_curve(one: BandwidthCurve, parts: Parts) -> None:
    lines = [("time", one.bandwidth, one.time)]
    if one.gap > 1e-6:
        lines.append(("lower bound", one.bandwidth, one.time_bound))
    parts.charts.append(
        curves(
            parts.key("bandwidth"), f"time over the bandwidth of {', '.join(one.links[:3])}",
            "Time against bandwidth", lines, x=Column("bandwidth", unit="B/s"), y=Column("time", unit="s"),
            dashed=[("today", one.today)], table=one.table(),
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    parts.packages.append(one.flow.package)


def _upgrade(one: Upgrade, parts: Parts) -> None:
    from noptoolkit.flow.upgrades import upgrade_table

    parts.tables.append(upgrade_table([one]))
    _bandwidth_curve(one.curve, parts)
    parts.map_runs.append(("", one.before.package, {one.before.traffic.name or "today": one.before}, ""))


def _ladder(one: Ladder, parts: Parts) -> None:
    if one.rungs:
        spent = [0.0, *(rung.end for rung in one.rungs)]
        times = [one.rungs[0].time, *(rung.time_after for rung in one.rungs)]
        finite = [i for i, value in enumerate(spent) if np.isfinite(value)]
        parts.charts.append(
            curves(
                parts.key("ladder"), f"{one!r}: a point where the next resource limits",
                "Time against extra bandwidth",
                [("time", [spent[i] for i in finite], [times[i] for i in finite])],
                x=Column("spent", "extra bandwidth", unit=one.unit), y=Column("time", unit="s"),
                table=one.table(),
            )
        )  # fmt: skip
    parts.tables.append(one.table())
    parts.map_runs.append(("", one.flow.package, {one.flow.traffic.name or "today": one.flow}, ""))
    parts.flows.append(("", one.flow.package.name, one.flow))
    parts.packages.append(one.flow.package)


def _plan_search(one: Planning, parts: Parts) -> None:
    best = one.best[0]
    parts.sentences.append(
        f"The best plan is {best.plan}: {format_quantity(best.time, 's', 4)} a step and "
        f"{format_quantity(best.memory, 'B')} on the fullest rank; {one.certificate}."
    )
    names = [f"{i + 1}: {found.plan}" for i, found in enumerate(one.best)]
    kinds = list(
        dict.fromkeys(name for found in one.best for name, value in found.parts.items() if value > 0)
    )
    stack = {kind: [found.parts.get(kind, 0.0) for found in one.best] for kind in kinds[:7]}
    if stack:
        parts.charts.append(
            bars(
                parts.key("plans"), "what the step of each plan is made of",
                "Bar chart of the parts of a step",
                names, stack, y=Column("time", unit="s"), table=one.table(),
            )
        )  # fmt: skip
    parts.tables.append(one.table())
    parts.packages.append(one.package)
    parts.workloads.append(one.workload)


PAGES: dict[Any, Callable[[Any, Parts], None]] = {
    Table: _table,
    Run: _run,
    Schedule: _schedule,
    FlowResult: _flow,
    AlgorithmComparison: _collective,
    CollectiveResult: _collective,
    LatencyCurve: _latency,
    Simulation: _simulation,
    ServingCurve: _serving,
    BandwidthCurve: _bandwidth_curve,
    Upgrade: _upgrade,
    Ladder: _ladder,
    Planning: _plan_search,
}
"""What each type of result brings to a page; types not listed bring their table."""
