"""A step with its three lower bounds drawn over it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from noptoolkit.plot._schedule import schedule
from noptoolkit.plot._style import INK, OKABE_ITO, legend_below, multiple_of, quantity
from noptoolkit.step import StepSchedule

__all__ = ["step_bounds"]


def step_bounds(
    plan: StepSchedule, ax: Axes | None = None, *, busiest: int = 8, title: str | None = None
) -> Axes:
    """Draw the busiest resources of a step as a Gantt chart, with the makespan and three lower bounds.

    From the weakest to the strongest: the load of the busiest resource; the bound for any routing and any
    order; the bound for the routes of the step and any order.

    Parameters
    ----------
    plan : StepSchedule
        Schedule to draw.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure of the active `style` where ``None``.
    busiest : int
        Number of resources to show.
    title : str, optional
        Workload and package where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    order = np.argsort(-plan.utilisation, kind="stable")[:busiest]
    rows = tuple(plan.resources[r] for r in order)
    new = ax is None
    ax = schedule(plan, ax, rows=rows, title=title)
    factor, _ = multiple_of([0.0, 1.004 * plan.makespan or 1.0], "s")
    lines: list[tuple[str, float, Literal[":", "--", "-.", "-"], str]] = [
        ("load of the busiest resource", plan.bounds.load, ":", OKABE_ITO["vermilion"]),
        ("lower bound, any routing and order", plan.lower_bound, "--", INK),
        ("lower bound of these routes", plan.bound_of_routes, "-.", OKABE_ITO["blue"]),
        ("makespan", plan.makespan, "-", INK),
    ]
    handles: list[Artist] = []
    kinds = ax.get_legend()
    for name, at, style, colour in lines:
        label = f"{name}: {quantity(at, 's')}"
        ax.axvline(at * factor, color=colour, linewidth=1.0, linestyle=style, zorder=5, clip_on=False)
        handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=1.0, label=label))
    kinds_of_task: list[Artist] = []
    if kinds is not None:  # made again under the same axes, the lines below it
        for patch, text in zip(kinds.legend_handles, kinds.get_texts(), strict=True):
            if isinstance(patch, Patch):
                kinds_of_task.append(Patch(facecolor=patch.get_facecolor(), label=text.get_text()))
    rows_of_first = legend_below(ax, kinds_of_task, grow=new, under=2.9)
    first = ax.get_legend()
    legend_below(ax, handles, grow=new, under=2.9 + 1.5 * rows_of_first)
    if first is not None:
        ax.add_artist(first)
    return ax
