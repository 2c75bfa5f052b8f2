"""Charts of the page, by Bokeh: without toolbars, coloured like the pictures on paper.

Colours of text and lines are set in the browser, by light or dark. Nothing needs code that Bokeh would
compile in the browser (CustomJS, templates): the page forbids it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.drawing.colours import OKABE_ITO, hex_ramp
from noptoolkit.report.escaping import visible
from noptoolkit.report.page import Chart
from noptoolkit.studies.front import on_front
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity, parse_quantity

__all__ = ["bars", "curves", "figure", "front_of", "item_of", "matrix", "points", "scaled"]

MOST_CELLS = 64  # rows of a matrix up to which each cell is a thing of its own
WIDE_NAMES = 90  # letters of all names under a row of bars beyond which these lie, with names beside them
OTHERS = "all others"  # what is left where there are more parts of a bar than colours
MANY_NAMES = 60  # bars beyond which none is named
MOST_PAIRS = 400  # pairs that the table behind a matrix lists
PALETTE = list(OKABE_ITO.values())


def scaled(values: Any, unit: str) -> tuple[float, str]:
    """Return the factor to the SI multiple that suits the largest value, and the multiple.

    Examples
    --------
    >>> scaled([0.002], "s")
    (1000.0, 'ms')
    """
    flat = np.abs(np.asarray(values, dtype=float))
    peak = float(flat[np.isfinite(flat)].max(initial=0.0))
    if not unit or peak == 0.0:
        return 1.0, unit
    multiple = format_quantity(peak, unit).split()[-1]
    return 1.0 / parse_quantity(f"1 {multiple}", unit), multiple


def figure(*, height: int, x: str, y: str, **options: Any) -> Any:
    """Return an empty figure as wide as the page."""
    from bokeh.plotting import figure as new

    made = new(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        x_axis_label=x,
        y_axis_label=y,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=10,
        hold_render=True,  # until the page has set its colours: large charts are painted once
        **options,
    )
    for axis in (*made.xaxis, *made.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.minor_tick_line_color = None
        if hasattr(axis.formatter, "use_scientific"):
            axis.formatter.use_scientific = False
    return made


def item_of(made: Any, key: str) -> Any:
    """Return a figure as what the page embeds at a place."""
    from bokeh import __version__
    from bokeh.document import Document

    made.name = key
    document = Document()  # as bokeh.embed.json_item has it, without its checks of every model
    document.add_root(made)
    return {
        "target_id": key,
        "root_id": made.ref["id"],
        "doc": document.to_json(deferred=False),
        "version": __version__,
    }


def curves(
    key: str,
    title: str,
    words: str,
    lines: Sequence[tuple[str, Any, Any]],
    *,
    x: Column,
    y: Column,
    dashed: Sequence[tuple[str, float]] = (),
    level: Sequence[tuple[str, float]] = (),
    smooth: Sequence[str] = (),
    marks: Sequence[str] = (),
    logarithmic_y: bool = False,
    table: Table | None = None,
) -> Chart:
    """Return lines with their points; upright dashes at ``dashed``, level ones at ``level``.

    Lines of the names in ``smooth`` show no points, those in ``marks`` nothing else.
    """
    from bokeh.models import HoverTool, Label, PanTool, Span, WheelZoomTool

    by, x_unit = scaled([v for _, xs, _ in lines for v in xs], x.unit)
    to, y_unit = scaled([v for _, _, ys in lines for v in ys], y.unit)
    kind = "log" if logarithmic_y else "linear"
    made = figure(height=340, x=_with(x.heading, x_unit), y=_with(y.heading, y_unit), y_axis_type=kind)
    drawn = []
    for i, (name, xs, ys) in enumerate(lines):
        colour = PALETTE[i % len(PALETTE)]
        seen = np.isfinite(np.asarray(xs, float)) & np.isfinite(np.asarray(ys, float))
        data = {
            "x": by * np.asarray(xs, float)[seen],
            "y": to * np.asarray(ys, float)[seen],
            "name": [visible(name)] * int(seen.sum()),
        }
        label = {"legend_label": visible(name)} if len(lines) > 1 else {}
        if name not in marks:
            made.line("x", "y", source=data, line_color=colour, line_width=2, **label)
        seen_as = {"alpha": 0.0} if name in smooth else label
        drawn.append(made.scatter("x", "y", source=data, color=colour, size=7, **seen_as))
    everywhere = [by * float(v) for _, xs, _ in lines for v in xs if np.isfinite(v)]
    middle = (min(everywhere) + max(everywhere)) / 2 if everywhere else 0.0
    for name, at in dashed:
        made.add_layout(Span(location=by * at, dimension="height", line_dash="dashed", name="ink"))
        made.add_layout(
            Label(
                x=by * at,
                y=268,
                y_units="screen",
                text=name,
                text_font_size="11px",
                name="ink",
                text_align="right" if by * at > middle else "left",
                x_offset=-4 if by * at > middle else 4,
            )
        )
    for name, at in level:
        made.add_layout(Span(location=to * at, dimension="width", line_dash="dashed", name="ink"))
        made.add_layout(
            Label(y=to * at, x=8, x_units="screen", text=name, text_font_size="11px", y_offset=2, name="ink")
        )
    tips = [("", "@name"), (x.heading, f"@x{{0.[000]}} {x_unit}"), (y.heading, f"@y{{0.[000]}} {y_unit}")]
    wheel = WheelZoomTool(modifiers="ctrl")
    made.add_tools(
        HoverTool(renderers=drawn, tooltips=tips if len(lines) > 1 else tips[1:]), PanTool(), wheel
    )
    made.toolbar.active_scroll = wheel
    if len(lines) > 1:
        made.legend.click_policy = "hide"
        made.legend.background_fill_alpha = 0.6
        made.legend.location = "top_right" if _falls(lines[0][2]) else "top_left"
    if not logarithmic_y:
        made.y_range.start = 0
    return Chart(key, title, words, item_of(made, key), table, 340, controls=True)


def _falls(values: Any) -> bool:
    known = [float(value) for value in values if np.isfinite(value)]
    return bool(known) and known[0] > known[-1]


def points(
    key: str,
    title: str,
    words: str,
    names: Sequence[str],
    columns: Sequence[tuple[Column, Sequence[float]]],
    better: Sequence[str],
    *,
    x: int,
    y: int,
) -> Chart:
    """Return points in the plane of any two of some columns, a point for each row of a table.

    Points that no other beats in both are of another colour; ``better`` is the direction of each column, and
    ``x`` and ``y`` are the places of the two that are shown first. The page offers the others.
    """
    from bokeh.models import HoverTool, PanTool, TapTool, WheelZoomTool

    data: dict[str, Any] = {"name": [visible(name) for name in names], "row": np.arange(len(names))}
    axes = []
    for i, (column, values) in enumerate(columns):
        by, unit = scaled(values, column.unit)
        data[f"v{i}"] = by * np.asarray(values, float)
        axes.append({"label": visible(_with(column.heading, unit)), "better": better[i]})
    data["x"], data["y"] = data[f"v{x}"], data[f"v{y}"]
    front = front_of(data["x"], data["y"], better[x], better[y])
    data["colour"] = [OKABE_ITO["vermilion"] if one else OKABE_ITO["blue"] for one in front]
    made = figure(height=380, x=axes[x]["label"], y=axes[y]["label"])
    drawn = made.scatter(
        "x", "y", source=data, fill_color="colour", line_color=None, size=9, nonselection_fill_alpha=0.35,
        selection_line_color="black", name="points",
    )  # fmt: skip
    tips = [("", "@name"), ("across", "@x{0.[0000]}"), ("up", "@y{0.[0000]}")]
    wheel = WheelZoomTool(modifiers="ctrl")
    made.add_tools(HoverTool(renderers=[drawn], tooltips=tips), TapTool(), PanTool(), wheel)
    made.toolbar.active_scroll = wheel
    made.tags = [{"axes": axes, "x": x, "y": y}]
    return Chart(key, title, words, item_of(made, key), None, 380, controls=True)


def front_of(x: Floats, y: Floats, better_x: str, better_y: str) -> list[bool]:
    """Return which points no other is better than in one number and as good in the other.

    A column without a better direction counts as if lower were.

    Examples
    --------
    >>> front_of([1, 2, 3, 3], [3, 1, 1, 0.5], "lower", "lower")
    [True, True, False, True]
    """
    signs = [-1.0 if better == "higher" else 1.0 for better in (better_x, better_y)]
    costs = np.column_stack([np.asarray(x, float), np.asarray(y, float)]) * signs
    known = np.isfinite(costs).all(axis=1)
    found = np.zeros(len(costs), bool)
    found[known] = on_front(costs[known])
    return found.tolist()


def bars(
    key: str, title: str, words: str, names: Sequence[str], parts: dict[str, Any], *, y: Column, table: Table
) -> Chart:
    """Return stacked bars, one for each name; where there are more parts than colours, the least are one."""
    from bokeh.models import HoverTool

    if len(parts) > len(PALETTE):
        large = sorted(parts, key=lambda part: -float(np.sum(parts[part])))[: len(PALETTE) - 1]
        rest = np.sum(
            [np.asarray(values, float) for part, values in parts.items() if part not in large], axis=0
        )
        parts = {part: values for part, values in parts.items() if part in large} | {OTHERS: rest}
    total = np.sum([np.asarray(part, float) for part in parts.values()], axis=0)
    to, unit = scaled(total, y.unit)
    shown = [visible(name) for name in names]
    data: dict[str, Any] = {"name": shown}
    keys = [f"part{i}" for i in range(len(parts))]
    data |= {key: to * np.asarray(values, float) for key, values in zip(keys, parts.values(), strict=True)}
    given: dict[str, Any] = {"source": data, "color": PALETTE[: len(keys)]}
    if len(parts) > 1:
        given["legend_label"] = [visible(part) for part in parts]
    heading = _with(y.heading, unit)
    if sum(len(name) + 3 for name in shown) <= WIDE_NAMES or len(names) > MANY_NAMES:
        height = 260
        made = figure(height=height, x="", y=heading, x_range=shown)
        made.vbar_stack(keys, x="name", width=0.8, **given)
        made.y_range.start, made.xgrid.grid_line_color = 0, None
        if len(names) > MANY_NAMES:
            made.xaxis.major_label_text_font_size = "0px"
    else:  # long names read well beside bars that lie
        height = 100 + 24 * len(names)
        made = figure(height=height, x=heading, y="", y_range=shown[::-1])
        made.hbar_stack(keys, y="name", height=0.8, **given)
        made.x_range.start, made.ygrid.grid_line_color = 0, None
    if len(parts) > 1:  # beside the bars, not on them
        made.add_layout(made.legend[0], "right")
    tips = [
        ("", "@name"),
        *((visible(part), f"@{key}{{0.[000]}} {unit}") for key, part in zip(keys, parts, strict=True)),
    ]
    made.add_tools(HoverTool(tooltips=tips))
    return Chart(key, title, words, item_of(made, key), table, height)


def matrix(key: str, title: str, words: str, names: Sequence[str], values: Floats, *, unit: str) -> Chart:
    """Return a matrix of bytes from each (row) to each other; bars where one or two send or collect all."""
    rows, columns = np.flatnonzero(values.any(axis=1)).tolist(), np.flatnonzero(values.any(axis=0)).tolist()
    table = _pairs(names, values, unit)
    if len(names) > 3 and 0 < min(len(rows), len(columns)) <= 2:
        few, many, to = (rows, columns, True) if len(rows) <= len(columns) else (columns, rows, False)
        part = values[np.ix_(few, many)] if to else values[np.ix_(many, few)].T
        of = [f"{'from' if to else 'to'} {names[i]}" for i in few]
        held = dict(zip(of, part, strict=True))
        return bars(
            key, title, words, [names[i] for i in many], held, y=Column("bytes", unit=unit), table=table
        )
    from bokeh.models import ColorBar, HoverTool, LinearColorMapper

    by, multiple = scaled(values, unit)
    shown = [visible(name) for name in names]
    colours = LinearColorMapper(
        palette=hex_ramp(64), low=0.0, high=float(by * values.max(initial=0.0)) or 1.0
    )
    size = 470
    if len(names) <= MOST_CELLS:
        made = figure(height=size, x="to", y="from", x_range=shown, y_range=shown[::-1])
        a, b = np.nonzero(values)
        data = {
            "a": [shown[i] for i in a], "b": [shown[i] for i in b], "v": by * values[a, b],
        }  # fmt: skip
        made.rect(
            "b", "a", 1, 1, source=data, line_color=None, fill_color={"field": "v", "transform": colours}
        )
        tips = [("from", "@a"), ("to", "@b"), ("", f"@v{{0.[0000]}} {multiple}")]
        made.xaxis.major_label_orientation = 1.57
        if len(names) > 32:
            for axis in (*made.xaxis, *made.yaxis):
                axis.major_label_text_font_size = "7px"
    else:
        made = figure(height=size, x="to (index)", y="from (index)")
        cells = np.where(values > 0, by * values, np.nan).astype(np.float32)
        made.image([cells], x=-0.5, y=-0.5, dw=len(names), dh=len(names), color_mapper=colours)
        made.y_range.flipped = True
        colours.nan_color = "rgba(0,0,0,0)"
        tips = [("from #", "$y{0}"), ("to #", "$x{0}"), ("", f"@image{{0.[0000]}} {multiple}")]
    made.grid.grid_line_color = None
    made.add_tools(HoverTool(tooltips=tips))
    made.add_layout(
        ColorBar(color_mapper=colours, title=multiple, width=14, background_fill_color=None), "right"
    )
    return Chart(key, title, words, item_of(made, key), table, size)


def _pairs(names: Sequence[str], values: Floats, unit: str) -> Table:
    a, b = np.nonzero(values)
    order = np.argsort(-values[a, b], kind="stable")
    kept = order[:MOST_PAIRS]
    rows = [[names[a[i]], names[b[i]], float(values[a[i], b[i]])] for i in kept]
    notes = [f"the largest {len(kept):,} of {len(order):,} pairs"] if len(kept) < len(order) else []
    return Table(["from", "to", Column("bytes", unit=unit)], rows, notes=notes)


def _with(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label
