"""Where the time of schedules goes, against the bound that none can beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from noptoolkit.errors import ScheduleError
from noptoolkit.plot._bars import name_bars, write_beside
from noptoolkit.plot._rows import origin_of
from noptoolkit.plot._style import (
    INK,
    OKABE_ITO,
    canvas,
    figure_width,
    heading,
    legend_below,
    multiple_of,
    origin_note,
    quantity,
    with_unit,
)
from noptoolkit.scheduling import Schedule
from noptoolkit.scheduling.result import Breakdown
from noptoolkit.units import unit_of

__all__ = ["breakdown"]

PARTS = {
    "compute": ("compute", OKABE_ITO["blue"], ""),
    "communication": ("exposed communication", OKABE_ITO["purple"], "///"),
    "load": ("exposed loading", OKABE_ITO["orange"], "..."),
    "idle": ("idle", "#D9D9D9", ""),
}


def breakdown(plans: Mapping[str, Schedule], ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw the makespan of schedules as bars: computing, exposed communication and loading, idle.

    Exposed is what nothing hides (see `noptoolkit.scheduling.Schedule`). The black tick is the lower bound
    of each schedule: no schedule of the same tasks is shorter.

    Parameters
    ----------
    plans
        Schedules by the name to call them: policies, packages, ...
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Title of the picture.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ScheduleError
        If there is no schedule.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> load = tasks.add(3e-6, "dram", kind="load")
    >>> run = tasks.add(2e-6, "pe", after=[load], kind="expert")
    >>> ax = plot.breakdown({"serial": schedule_graph(tasks.build())})
    >>> ax.get_xlabel(), [f"{bar.get_width():g}" for bar in ax.patches]
    ('Time of a step (µs)', ['2', '0', '3', '0'])
    >>> plt.close(ax.figure)
    """
    if not plans:
        raise ScheduleError("no schedule to draw: give at least one, as {'streaming': schedule(...)}")
    longest = max(plan.makespan for plan in plans.values())
    factor, unit = multiple_of(longest, unit_of(Breakdown, "compute"))
    rows = np.arange(len(plans))
    origins = {origin for plan in plans.values() if (origin := origin_of(plan))}
    new = ax is None
    with canvas(ax, (0.24 * len(plans) + 0.6) / figure_width()) as ax:
        heading(ax, title, [origin_note("", origin) for origin in sorted(origins)])
        left = np.zeros(len(plans))
        handles: list[Artist] = []
        for part, (label, colour, hatch) in PARTS.items():
            width = factor * np.array([getattr(plan.breakdown, part) for plan in plans.values()])
            ax.barh(
                rows,
                width,
                left=left,
                height=0.62,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
            )
            left = left + width
            if width.any():
                handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label))
        bounds = factor * np.array([plan.lower_bound for plan in plans.values()])
        ax.vlines(bounds, rows - 0.42, rows + 0.42, color=INK, linewidth=1.4, gid="bound")
        handles.append(Line2D([], [], color=INK, linewidth=1.4, label="lower bound"))
        ends = [plan.makespan for plan in plans.values()]
        name_bars(ax, list(plans))
        write_beside(ax, [factor * end for end in ends], [quantity(end, "s") for end in ends])
        ax.set_xlabel(with_unit("Time of a step", unit))
        legend_below(ax, handles, grow=new, under=2.9)
        return ax
