"""How busy each resource is over the course of a schedule."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.drawing.rows import rows_of
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._rows import name_rows, notes_of, title_of, window_of
from noptoolkit.plot._style import QUANTITY_COLOURS, canvas, figure_width, heading, multiple_of, with_unit
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule
from noptoolkit.units import Quantity

__all__ = ["utilisation"]


def utilisation(
    plan: Schedule,
    ax: Axes | None = None,
    *,
    rows: tuple[str, ...] | None = None,
    window: tuple[Quantity, Quantity] | None = None,
    bins: int = 160,
    vmax: float | None = None,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw the share of the time that each channel is busy, over the course of a schedule.

    Parameters
    ----------
    plan
        Plan to draw.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    rows
        Names of resources; all channels in use where ``None``, all resources where there is no package.
    window
        Start and end, in s or text with a unit; the whole schedule where ``None``.
    bins
        Number of equal parts of the time.
    vmax
        Dark end of the scale, in %; the next round figure above the largest share where ``None``.
    bar
        Whether to draw a colour bar.
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
    >>> run = tasks.add(1e-6, "pe", after=[load], kind="expert")
    >>> ax = plot.utilisation(schedule_graph(tasks.build()), bins=4, window=(0.0, 4e-6))
    >>> ax.images[0].get_array().filled(0.0).round(6).tolist()
    [[100.0, 100.0, 100.0, 0.0], [0.0, 0.0, 0.0, 100.0]]
    >>> plt.close(ax.figure)
    """
    package = plan.package if isinstance(plan, StepSchedule) else None
    shown = rows_of(plan, rows)
    if rows is None and package is not None:
        shown = tuple(name for name in shown if name not in package.index)
    begin, end = window_of(plan, window)
    factor, unit = multiple_of([begin, end], "s")
    edges = np.linspace(begin, end, bins + 1)
    index = {name: i for i, name in enumerate(plan.resources)}
    share = 100.0 * plan.busy_share(edges)[[index[name] for name in shown]]
    top = vmax if vmax is not None else _round_up(float(share.max(initial=0.0)))
    inches = float(np.clip(0.11 * len(shown) + 0.9, 1.4, min(6.0, 1.2 * figure_width())))
    with canvas(ax, inches / figure_width()) as ax:
        ax.set_facecolor("#F4F4F4")
        ax.imshow(
            np.ma.masked_less_equal(share, 1e-9),
            cmap=QUANTITY_COLOURS,
            vmin=0.0,
            vmax=top,
            aspect="auto",
            interpolation="nearest",
            extent=(factor * begin, factor * end, len(shown) - 0.5, -0.5),
        )
        ax.set_xlabel(with_unit("Time", unit))
        if bar:
            colour_bar(ax, "Time that it is busy (%)", top)
        name_rows(ax, shown)
        heading(ax, title_of(plan) if title is None else title, notes_of(plan))
        return ax


def _round_up(share: float) -> float:
    """Return the scale for a largest share, in %: 100 unless all shares are small."""
    return next(
        (top for top in (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0) if share <= top),
        100.0,
    )
