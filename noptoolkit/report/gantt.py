"""The Gantt chart of the page: all bars of a small schedule, merged neighbours of a large one."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.drawing.bars import bars_of, merged
from noptoolkit.drawing.colours import SPARE_COLOURS, TASK_COLOURS
from noptoolkit.drawing.rows import group as group_of
from noptoolkit.drawing.rows import rows_of
from noptoolkit.report.charts import figure, item_of, scaled
from noptoolkit.report.escaping import visible
from noptoolkit.report.page import Chart
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Table
from noptoolkit.units import format_quantity

__all__ = ["gantt"]

MOST_BARS = 240_000
"""Bars of all charts of a page before neighbours are merged."""

ROW = 13  # CSS pixels
MOST_ROWS = (32, 16, 48)
"""Rows of chiplets, memory stacks and all else that are drawn; those that one does not need, another has."""

MOST_ONE = 24_000
"""Bars of one chart: more open too slowly."""

FEW = 8000  # bars up to which each has a rim, so that short ones are seen


def gantt(
    plan: Schedule, key: str, *, group: tuple[str, ...] = ("schedule",), most: int = MOST_BARS
) -> Chart:
    """Return a schedule as a Gantt chart that zooms along time.

    Neighbours of one kind on one row are merged, the nearest first, until at most ``most`` bars are left;
    the caption says so. Of many resources the busiest of each kind are drawn, and the caption says that.
    """
    from bokeh.models import BoxAnnotation, HoverTool, PanTool, Range1d, Span, TapTool, WheelZoomTool

    everything = rows_of(plan)
    rows = _busiest(plan, everything)
    task, row, kind = bars_of(plan, rows)
    start, stop = plan.start[task], plan.end[task]
    seen = stop > start
    row, kind, start, stop = row[seen], kind[seen], start[seen], stop[seen]
    drawn = len(row)
    row, kind, start, stop, tolerance = _fewer(row, kind, start, stop, plan.makespan, min(most, MOST_ONE))
    by, unit = scaled([plan.makespan], "s")
    height = max(160, min(ROW * len(rows), 900)) + 70
    made = figure(height=height, x=f"time ({unit})", y="", y_range=Range1d(len(rows) - 0.4, -0.6))
    made.x_range = Range1d(0.0, 1.01 * by * plan.makespan, bounds=(0.0, 1.01 * by * plan.makespan))
    spare = iter(SPARE_COLOURS * 5)
    bars = []
    names = [visible(name) for name in rows]
    for index, name in enumerate(plan.graph.kinds):
        chosen = kind == index
        if not chosen.any():
            continue
        colour = TASK_COLOURS.get(name) or next(spare)
        data = {
            "y": row[chosen].astype(np.int16),
            "l": (by * start[chosen]).astype(np.float32),
            "r": (by * stop[chosen]).astype(np.float32),
        }
        one = made.hbar(
            y="y", left="l", right="r", height=0.8, source=data, fill_color=colour,
            line_color=colour if len(row) < FEW else None, line_width=0.5,
            tags=["bar"], legend_label=visible(name), nonselection_fill_alpha=1.0,
            name=visible(name) or "task",
        )  # fmt: skip
        bars.append(one)
    if len(plan.critical_path):
        _outline(made, plan, rows, by)
    made.yaxis.ticker = list(range(len(rows)))
    made.yaxis.major_label_overrides = dict(enumerate(names))
    made.yaxis.major_label_text_font_size = "10px"
    made.yaxis.major_tick_line_color = None
    made.ygrid.grid_line_color = None
    made.add_layout(Span(location=by * plan.lower_bound, dimension="height", line_dash="dashed", name="ink"))
    made.add_layout(Span(location=0, dimension="height", line_width=2, name="cursor", visible=False))
    made.add_layout(
        BoxAnnotation(top=0, bottom=0, fill_alpha=0.25, name="row", visible=False, line_color=None)
    )
    tips = [("", "$name"), ("start", f"@l{{0.0000}} {unit}"), ("end", f"@r{{0.0000}} {unit}")]
    wheel = WheelZoomTool(dimensions="width", modifiers="ctrl")
    made.add_tools(
        HoverTool(renderers=bars, tooltips=tips), TapTool(renderers=bars), PanTool(dimensions="width"), wheel
    )
    made.toolbar.active_scroll = wheel
    made.add_layout(made.legend[0], "above")
    made.legend.orientation = "horizontal"
    made.legend.ncols = "auto"
    made.legend.click_policy = "hide"
    made.legend.label_text_font_size = "11px"
    made.legend.margin = 0
    made.tags = [{"rows": names, "by": by}]
    said = [f"{', '.join(group)}: {drawn:,} bars of {len(plan.graph):,} tasks"]
    if tolerance:
        said.append(
            f"drawn as {len(row):,}: neighbours of one kind on one row that are less than "
            f"{format_quantity(tolerance, 's')} apart are one bar"
        )
    if len(rows) < len(everything):
        said.append(f"the {len(rows)} busiest of {len(everything)} resources; all are in the table")
    said.append("the lower bound is dashed, the critical path outlined")
    title = plan.package.name if isinstance(plan, StepSchedule) else "schedule"
    table = plan.table_by_resource(len(everything)) if isinstance(plan, StepSchedule) else _shares(plan)
    words = f"Gantt chart of {title}: {format_quantity(plan.makespan, 's')}, {len(rows)} rows"
    return Chart(key, "; ".join(said), words, item_of(made, key), table, height, group, controls=True)


def _busiest(plan: Schedule, rows: tuple[str, ...]) -> tuple[str, ...]:
    """Return the busiest rows of each group, in their order."""
    if len(rows) <= sum(MOST_ROWS):
        return rows
    busy = dict(zip(plan.resources, plan.utilisation.tolist(), strict=True))
    groups: list[list[str]] = [[], [], []]
    for name in sorted(rows, key=lambda name: -busy[name]):
        groups[group_of(plan, name)].append(name)
    kept = {name for members, most in zip(groups, MOST_ROWS, strict=True) for name in members[:most]}
    for name in sorted(rows, key=lambda name: -busy[name]):
        if len(kept) < sum(MOST_ROWS):
            kept.add(name)
    return tuple(name for name in rows if name in kept)


def _fewer(
    row: Ints, kind: Ints, start: Floats, stop: Floats, whole: float, most: int
) -> tuple[Ints, Ints, Floats, Floats, float]:
    """Return at most so many bars, or as few as merging makes, and how near merged neighbours are."""
    found, tolerance = (row, kind, start, stop), 0.0
    while len(found[0]) > most and tolerance < whole / 200:
        tolerance = 2.0 * tolerance or whole / 100_000
        found = merged(row, kind, start, stop, tolerance)
    return (*found, tolerance)


def _outline(made: object, plan: Schedule, rows: tuple[str, ...], by: float) -> None:
    """Outline the critical path."""
    task, row, _ = bars_of(plan, rows)
    chosen = np.isin(task, plan.critical_path)
    task, row = task[chosen], row[chosen]
    row, _, start, stop = merged(
        row, np.zeros(len(row), np.int64), plan.start[task], plan.end[task], plan.makespan / 20_000
    )
    data = {
        "y": row.astype(np.int16),
        "l": (by * start).astype(np.float32),
        "r": (by * stop).astype(np.float32),
    }
    made.hbar(  # type: ignore[attr-defined]
        y="y", left="l", right="r", height=0.9, source=data, fill_color=None, line_color="#222222",
        line_width=1.4, legend_label="critical path", name="critical",
    )  # fmt: skip


def _shares(plan: Schedule) -> Table:
    from noptoolkit.tables import Column

    order = np.argsort(-plan.utilisation, kind="stable")
    rows = [[plan.resources[i], float(plan.utilisation[i])] for i in order]
    return Table(["resource", Column("busy", form=".1f %")], rows)
