"""A schedule over time: what runs where, and how busy each resource is."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from noptoolkit.drawing.bars import bars_of, merged
from noptoolkit.drawing.colours import SPARE_COLOURS, TASK_COLOURS
from noptoolkit.drawing.rows import digest_of, group, rows_of
from noptoolkit.plot._rows import name_rows, notes_of, title_of, window_of
from noptoolkit.plot._style import (
    INK,
    MUTED,
    PALE,
    axes_points,
    canvas,
    figure_width,
    heading,
    legend_below,
    multiple_of,
    with_unit,
)
from noptoolkit.scheduling import Schedule
from noptoolkit.units import Quantity

__all__ = ["schedule"]

APART = 600  # bars up to which a pale line parts neighbours
VECTOR = 2000  # bars beyond which vector files hold them as an image; names and axes stay vector
THINNEST, THIN = 0.4, 2.0  # points: shorter tasks would not be seen, nor those with a pale rim
MERGED = 4000  # tasks beyond which neighbours closer than a pixel become one bar


def schedule(
    plan: Schedule,
    ax: Axes | None = None,
    *,
    window: tuple[Quantity, Quantity] | None = None,
    rows: tuple[str, ...] | None = None,
    critical: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw a schedule as a Gantt chart: one row for each resource, one bar for each task.

    Chiplets come first, then memory stacks, then channels. Of packages of very many, each group has a row of
    its mean occupancy and the rows of its busiest members, unless ``rows`` are given. The lower bound is
    dashed: no schedule of the same tasks ends before it. A bar is at least 0.4 points wide.

    Parameters
    ----------
    plan
        Plan to draw.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    window
        Start and end, in s or text with a unit; the whole schedule where ``None``.
    rows
        Names of the resources to show; all that are used where ``None``, or groups of them.
    critical
        Whether to outline ``plan.critical_path``, a chain of tasks that decides the makespan.
    title
        Workload and package where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownNameError
        If the schedule has no resource of a name in ``rows``.
    ScheduleError
        If the window is empty.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> load = tasks.add(3e-6, "dram", kind="load")
    >>> run = tasks.add(2e-6, "pe", after=[load], kind="expert")
    >>> ax = plot.schedule(schedule_graph(tasks.build()))
    >>> ax.get_xlabel(), [label.get_text() for label in ax.get_yticklabels()]
    ('Time (µs)', ['dram', 'pe'])
    >>> plt.close(ax.figure)
    """
    shown = rows_of(plan, rows)
    means: dict[int, tuple[str, list[str]]] = {}
    if rows is None:
        shown, means = digest_of(plan, shown)
    begin, end = window_of(plan, window)
    factor, unit = multiple_of([begin, end], "s")
    inches = float(np.clip(0.12 * len(shown) + 0.9, 1.4, 6.0))
    new = ax is None
    with canvas(ax, inches / figure_width()) as ax:
        dashed = begin <= plan.lower_bound <= end
        heading(ax, title_of(plan) if title is None else title, notes_of(plan, dashed))
        ax.set_xlim(begin * factor, end * factor)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlabel(with_unit("Time", unit))
        kinds = _draw_bars(ax, plan, shown, begin, end, factor)
        for row, (_, members) in means.items():
            _draw_mean(ax, plan, row, members, begin, end, factor)
        if critical:
            _outline(ax, plan, shown, factor)
        for at, style in ((plan.lower_bound, "--"), (plan.makespan, "-")):
            if begin <= at <= end:
                ax.axvline(at * factor, color=INK, linewidth=0.7, linestyle=style, zorder=4, clip_on=False)
        blocks = [group(plan, means[i][1][0] if i in means else name) for i, name in enumerate(shown)]
        for line in np.flatnonzero(np.diff(blocks)):
            ax.axhline(line + 0.5, color=PALE, linewidth=0.8, zorder=0)
        name_rows(ax, shown)
        handles: list[Artist] = [Patch(facecolor=colour, label=kind) for kind, colour in kinds.items()]
        if means:
            handles.append(Patch(facecolor=MUTED, label="busy share of a group"))
        if critical:
            handles.append(Patch(facecolor="none", edgecolor=INK, linewidth=0.9, label="critical path"))
        legend_below(ax, handles, grow=new, under=2.9)
        return ax


def _draw_mean(
    ax: Axes, plan: Schedule, row: int, members: list[str], begin: float, end: float, factor: float
) -> None:
    """Fill a row as high as the share of a group of resources that is busy."""
    edges = np.linspace(begin, end, 400)
    index = {name: i for i, name in enumerate(plan.resources)}
    share = plan.busy_share(edges)[[index[name] for name in members]].mean(axis=0)
    base = row + 0.4
    ax.fill_between(
        factor * edges,
        base,
        base - 0.8 * np.append(share, share[-1]),
        step="post",
        color=MUTED,
        linewidth=0.0,
        zorder=2,
        gid="mean",
    )


def _draw_bars(
    ax: Axes, plan: Schedule, rows: tuple[str, ...], begin: float, end: float, factor: float
) -> dict[str, str]:
    """Draw the bars and return the colour of each kind that there is."""
    task, row, kind = bars_of(plan, rows)
    start, stop = plan.start[task], plan.end[task]
    seen = (stop > start) & (stop > begin) & (start < end)
    row, kind, start, stop = row[seen], kind[seen], start[seen], stop[seen]
    if len(row) > MERGED:
        tolerance = (end - begin) / (4.0 * axes_points(ax)[0])
        row, kind, start, stop = merged(row, kind, start, stop, tolerance)
    point = (end - begin) / axes_points(ax)[0]
    stop = np.maximum(stop, start + THINNEST * point)
    rims = np.where((stop - start > THIN * point) & (len(row) < APART), 0.4, 0.0)
    colours: dict[str, str] = {}
    spare = iter(SPARE_COLOURS * 3)
    for index, name in enumerate(plan.graph.kinds):
        chosen = kind == index
        if not chosen.any():
            continue
        colours[name] = TASK_COLOURS.get(name) or next(spare)
        left, right, middle = start[chosen] * factor, stop[chosen] * factor, row[chosen]
        low, high = middle - 0.4, middle + 0.4
        corners = np.stack([left, low, right, low, right, high, left, high], axis=1).reshape(-1, 4, 2)
        bars = PolyCollection(list(corners), facecolors=colours[name], edgecolors="white", zorder=2)
        bars.set_linewidth(rims[chosen])
        bars.set_rasterized(len(row) > VECTOR)
        bars.set_gid(name)
        ax.add_collection(bars, autolim=False)
    return colours


def _outline(ax: Axes, plan: Schedule, rows: tuple[str, ...], factor: float) -> None:
    task, row, _ = bars_of(plan, rows)
    chosen = np.isin(task, plan.critical_path)
    task, row = task[chosen], row[chosen]
    start, stop = plan.start[task], plan.end[task]
    if len(row) > APART:  # outlines side by side would be one black bar
        pixel = plan.makespan / (4.0 * axes_points(ax)[0])
        row, _, start, stop = merged(row, np.zeros_like(row), start, stop, pixel)
    left, right, low, high = start * factor, stop * factor, row - 0.4, row + 0.4
    corners = np.stack([left, low, right, low, right, high, left, high], axis=1).reshape(-1, 4, 2)
    rims = PolyCollection(list(corners), facecolors="none", edgecolors=INK, linewidths=0.9, zorder=3)
    rims.set_gid("critical")
    ax.add_collection(rims, autolim=False)
