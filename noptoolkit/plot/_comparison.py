"""Several packages side by side: one panel for each metric, one bar for each package."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError
from noptoolkit.metrics import COMPARED, Metric
from noptoolkit.plot._bars import name_bars, write_beside
from noptoolkit.plot._style import (
    INK,
    MUTED,
    OKABE_ITO,
    canvas_grid,
    figure_of,
    figure_width,
    multiple_of,
    small_type,
    with_unit,
)
from noptoolkit.study import Comparison

__all__ = ["comparison"]

COLOURS = [OKABE_ITO[name] for name in ("blue", "orange", "green", "purple", "sky", "vermilion", "yellow")]


def comparison(
    result: Comparison,
    workload: str | None = None,
    axes: Sequence[Axes] | None = None,
    *,
    metrics: Sequence[str] | None = None,
    columns: int | None = None,
) -> list[Axes]:
    """Draw the packages of a comparison under one workload: a panel of bars for each metric.

    A black tick on a bar is its certificate: the bound that no routing, or no schedule, can beat.

    Parameters
    ----------
    result
        Comparison to draw.
    workload
        Name of the workload; the first of the comparison where ``None``.
    axes
        One for each metric; a new figure of the active `style` where ``None``.
    metrics
        Names of metrics of the comparison; those of times, C_T, links and bandwidth where ``None``.
    columns
        Panels beside each other on a new figure; 3 on a page, 2 in a column where ``None``.

    Returns
    -------
    list of matplotlib.axes.Axes
        One for each metric.

    Raises
    ------
    UnknownNameError
        If the comparison has no such workload, or there is no such metric.
    """
    chosen = result.workloads[0] if workload is None else workload
    if chosen not in result.workloads:
        raise UnknownNameError(
            f"{result!r}: no workload {chosen!r}; {did_you_mean(chosen, result.workloads)}"
        )
    if metrics is None:
        metrics = [name for name in COMPARED if name in result.metrics] or list(result.metrics)[:1]
    for name in metrics:
        if name not in result.metrics:
            raise UnknownNameError(f"no metric named {name!r}; {did_you_mean(name, result.metrics)}")
    rows = [row for row in result.rows if row["workload"] == chosen]
    width = figure_width()
    columns = min(columns or (3 if width > 5.0 else 2), len(metrics))
    height = (0.19 * len(rows) + 0.55) / width
    panels = -(-len(metrics) // columns)
    with canvas_grid(axes, columns, [height] * panels, 0.45 / width) as grid:
        for i, (name, ax) in enumerate(zip(metrics, grid, strict=False)):
            _panel(ax, rows, name, result.metrics[name], named=i % columns == 0 or axes is not None)
        for spare in grid[len(metrics) :]:
            spare.axis("off")
        figure = figure_of(grid[0])
        title = textwrap.fill(result.title(chosen), int(14.5 * figure.get_figwidth()), break_on_hyphens=False)
        figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
        if any(result.metrics[name].bound for name in metrics):
            note = "black tick: no routing, or no schedule, is faster"
            if any(row.get("normalised_factor") for row in rows):
                note += "; x: factor of the links' bandwidth"
            figure.supxlabel(note, x=0.01, ha="left", fontsize=small_type(), color=MUTED)
        return grid[: len(metrics)]


def _name(row: Mapping[str, float | str | None]) -> str:
    """Return the name of a row's package, with the factor of its links where they were scaled."""
    factor = row.get("normalised_factor")
    return str(row["package"]) + (f" x {float(factor):.3g}" if factor is not None else "")


def _panel(
    ax: Axes, rows: Sequence[Mapping[str, float | str | None]], name: str, metric: Metric, *, named: bool
) -> None:
    raw = np.array([float(row[name] or 0.0) for row in rows])  # no bar for what is not known
    factor, unit = multiple_of(raw, metric.unit)
    values = factor * raw
    places = np.arange(len(rows))
    colours = [COLOURS[i % len(COLOURS)] for i in places]
    ax.barh(places, values, height=0.62, color=colours, edgecolor=INK, linewidth=0.4, gid=name)
    if metric.bound and metric.bound in rows[0]:
        bounds = np.array([float(row[metric.bound] or 0.0) for row in rows]) * factor
        ax.vlines(bounds, places - 0.4, places + 0.4, color=INK, linewidth=1.4, gid="bound")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    name_bars(ax, [_name(row) for row in rows], shown=named)
    write_beside(ax, values.tolist(), [_label(metric, row[name]) for row in rows])
    ax.set_xlabel(with_unit(metric.title, unit), color=INK)
    better = {"lower": f"← {metric.word}", "higher": f"{metric.word} →"}.get(metric.better, "")
    ax.set_title(better, loc="right", fontsize=small_type(), fontweight="normal", color=MUTED, pad=2)


def _label(metric: Metric, value: float | str | None) -> str:
    return "not known" if value is None else metric.text(value).replace("us", "µs")
