"""Which page each result has: a line in `PAGES` for each type, and one page for several results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noptoolkit.collectives import CollectiveResult
from noptoolkit.collectives.comparing import AlgorithmComparison
from noptoolkit.errors import NopError
from noptoolkit.flow import BandwidthCurve, BestWidths, FlowResult, Ladder, Upgrade
from noptoolkit.package import Package
from noptoolkit.plans import Planning, PlanStep
from noptoolkit.report import model_results, network_results, simulated_results
from noptoolkit.report.comparison import CLICKED, DELIVERED, comparison_page
from noptoolkit.report.maps import map_section
from noptoolkit.report.page import Block, Page, Section, write_page
from noptoolkit.report.parts import Parts
from noptoolkit.report.provenance import assumptions, certificates, reproduce, stamps
from noptoolkit.scheduling import Schedule
from noptoolkit.serving import ServingCurve, Stream
from noptoolkit.simulate import Check, LatencyCurve, Saturation, Simulation
from noptoolkit.stages import Run
from noptoolkit.study import Comparison
from noptoolkit.tables import Table
from noptoolkit.whatif import StepLimits, StepUpgrade
from noptoolkit.workload import Workload

__all__ = ["PAGES", "page_of", "write_report"]


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
        section, data["map"] = map_section(parts.joined_views())
        sections.insert(2 if len(sections) > 2 else len(sections), section)
    if parts.flows or parts.plans:
        sections.append(certificates(parts.flows, parts.plans))
    if parts.packages or parts.workloads:
        sections.append(assumptions(parts.packages, parts.workloads))
    sections.append(reproduce(command, parts.runs, list(dict.fromkeys(parts.packages))))
    names = ", ".join(dict.fromkeys(one.name for one in parts.packages))
    loads = ", ".join(dict.fromkeys(one.name for one in parts.workloads))
    about = next(
        (f"{word}: " for word, kinds in ABOUT.items() if any(isinstance(one, kinds) for one in several)), ""
    )
    shown = title or about + (" on ".join(part for part in (loads, names) if part) or "Results")
    return Page(shown, parts.subtitle, sections, data, (*stamps(parts.workloads), *notes))


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
    if parts.sentences:
        sections.append(Section("verdict", "In short", [Block("sentences", parts.sentences)]))
    blocks = [Block("chart", chart) for chart in parts.charts]
    blocks += [Block("table", table) for table in _once(parts.tables)]
    sections.append(Section("figures", "Figures", blocks))
    if parts.matrices:
        sections.append(Section("traffic", "Traffic", [Block("charts", parts.matrices)], DELIVERED))
    if parts.schedules:
        sections.append(Section("schedule", "Schedule", [Block("charts", parts.schedules)], CLICKED))
    return sections


def _once(tables: Sequence[Table]) -> list[Table]:
    """Return tables of equal rows once, with the notes of all: a result and its table may both be given."""
    found: list[Table] = []
    for table in tables:
        for i, one in enumerate(found):
            if one.columns == table.columns and one.rows == table.rows:
                notes = tuple(dict.fromkeys((*one.notes, *table.notes)))
                found[i] = replace(one, notes=notes)
                break
        else:
            found.append(table)
    return found


def _table(one: Table, parts: Parts) -> None:
    parts.tables.append(one)


def _workload(one: Workload, parts: Parts) -> None:
    """Say what results without a workload of their own are of."""
    parts.workloads.append(one)


PAGES: dict[Any, Callable[[Any, Parts], None]] = {
    Table: _table,
    Workload: _workload,
    Run: model_results.add_run,
    Schedule: model_results.add_schedule,
    StepLimits: model_results.add_limits,
    StepUpgrade: model_results.add_step_upgrade,
    ServingCurve: model_results.add_serving,
    Stream: model_results.add_stream,
    Planning: model_results.add_plans,
    PlanStep: model_results.add_plan,
    FlowResult: network_results.add_flow,
    AlgorithmComparison: network_results.add_collective,
    CollectiveResult: network_results.add_collective,
    BandwidthCurve: network_results.add_bandwidth,
    Upgrade: network_results.add_upgrade,
    Ladder: network_results.add_ladder,
    BestWidths: network_results.add_widths,
    LatencyCurve: simulated_results.add_latency,
    Simulation: simulated_results.add_simulation,
    Saturation: simulated_results.add_saturation,
    Check: simulated_results.add_check,
}
"""What each type of result brings to a page; types not listed bring their table."""

ABOUT: dict[str, tuple[type, ...]] = {
    "What if": (StepLimits, StepUpgrade),
    "Serving": (ServingCurve, Stream),
    "Parallel plans": (Planning, PlanStep),
    "Simulation": (Check, LatencyCurve, Saturation, Simulation),
}
"""What the title of a page begins with, and the results that it is of."""
