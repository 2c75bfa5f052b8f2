"""How busy each resource is over the course of a schedule."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from noptoolkit.package import Package
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._schedule import bars_of, name_rows, notes_of, rows_of, title_of, window_of
from noptoolkit.plot._style import QUANTITY_COLOURS, canvas, figure_width, heading, scaled, with_unit
from noptoolkit.scheduling import Schedule
from noptoolkit.units import Quantity

__all__ = ["utilisation"]


def utilisation(
    plan: Schedule,
    ax: Axes | None = None,
    *,
    rows: tuple[str, ...] | None = None,
    window: tuple[Quantity, Quantity] | None = None,
    bins: int = 160,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw the share of the time that each channel is busy, over the course of a schedule.

    Parameters
    ----------
    plan
        What to draw.
    ax
        Where; a new figure of the active `style` where ``None``.
    rows
        Names of resources; all channels in use where ``None``, all resources where there is no package.
    window
        From when to when, in s or text with a unit; the whole schedule where ``None``.
    bins
        Into how many equal parts the time is cut.
    bar
        Whether to draw a colour bar.
    title
        Workload and package where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> load = tasks.add(3e-6, "dram", kind="load")
    >>> run = tasks.add(1e-6, "pe", after=[load], kind="expert")
    >>> ax = plot.utilisation(schedule_graph(tasks.build()), bins=4, window=(0.0, 4e-6))
    >>> ax.images[0].get_array().filled(0.0).round(6).tolist()
    [[100.0, 100.0, 100.0, 0.0], [0.0, 0.0, 0.0, 100.0]]
    >>> plt.close(ax.figure)
    """
    shown = _channels(plan) if rows is None else rows
    begin, end = window_of(plan, window)
    values, unit = scaled([begin, end], "s")
    edges = np.linspace(begin, end, bins + 1)
    share = 100.0 * busy_share(plan, shown, edges)
    inches = float(np.clip(0.11 * len(shown) + 0.9, 1.4, 6.0))
    with canvas(ax, inches / figure_width()) as ax:
        heading(ax, title_of(plan) if title is None else title, notes_of(plan, bound=False))
        ax.set_facecolor("#F4F4F4")
        ax.imshow(
            np.ma.masked_less_equal(share, 1e-9),
            cmap=QUANTITY_COLOURS,
            vmin=0.0,
            vmax=100.0,
            aspect="auto",
            interpolation="nearest",
            extent=(float(values[0]), float(values[1]), len(shown) - 0.5, -0.5),
        )
        ax.set_xlabel(with_unit("Time", unit))
        if bar:
            colour_bar(ax, "Time that it is busy (%)", 100.0)
        name_rows(ax, shown)
        return ax


def busy_share(plan: Schedule, rows: tuple[str, ...], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each bin of time that each resource is busy, [rows, bins]."""
    task, row, _ = bars_of(plan, rows)
    share = np.zeros((len(rows), len(edges) - 1))
    capacity = dict(zip(plan.graph.resources, plan.graph.capacity, strict=True))
    for i, name in enumerate(rows):
        mine = task[row == i]
        start, end = np.sort(plan.start[mine]), np.sort(plan.end[mine])
        busy = _time_until(edges, start) - _time_until(edges, end)
        share[i] = np.diff(busy) / np.diff(edges) / capacity[name]
    return share


def _time_until(edges: NDArray[np.float64], since: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over ``since`` of the time that has passed at each edge, [edges]."""
    passed = np.concatenate([[0.0], np.cumsum(since)])
    count = np.searchsorted(since, edges)
    return np.asarray(count * edges - passed[count])


def _channels(plan: Schedule) -> tuple[str, ...]:
    package: Package | None = plan.package
    used = rows_of(plan)
    return used if package is None else tuple(name for name in used if name not in package.index)
