"""What each stage of a parallel plan holds, against the room that its chiplets have."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from noptoolkit.plans import PlanMemory
from noptoolkit.plot._bars import name_bars, write_beside
from noptoolkit.plot._style import (
    INK,
    OKABE_ITO,
    canvas,
    figure_width,
    heading,
    legend_below,
    multiple_of,
    quantity,
    with_unit,
)

__all__ = ["plan_memory"]

PARTS = {
    "weights of attention and dense": ("weights, dense", OKABE_ITO["blue"], ""),
    "weights of experts": ("weights, experts", OKABE_ITO["sky"], ""),
    "gradients of attention and dense": ("gradients, dense", OKABE_ITO["blue"], "///"),
    "gradients of experts": ("gradients, experts", OKABE_ITO["sky"], "///"),
    "optimiser of attention and dense": ("optimiser, dense", OKABE_ITO["blue"], "..."),
    "optimiser of experts": ("optimiser, experts", OKABE_ITO["sky"], "..."),
    "activations": ("activations", OKABE_ITO["orange"], ""),
    "recomputed layer": ("recomputed layer", OKABE_ITO["orange"], "///"),
    "logits": ("logits", OKABE_ITO["yellow"], ""),
    "cache of keys and values": ("keys and values", OKABE_ITO["green"], ""),
}


def plan_memory(memory: PlanMemory, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw what a rank of each pipeline stage holds as bars, and the room of its chiplet as a black tick.

    Parameters
    ----------
    memory
        What `noptoolkit.plans.plan_memory` returns.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Model where ``None``, over a line with the plan; empty for neither.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import ParallelPlan, load_workload, plans, plot
    >>> workload = load_workload("mixtral-8x22b")
    >>> plan = ParallelPlan(tp=2, ep=8, pp=8, dp=8)
    >>> ax = plot.plan_memory(plans.plan_memory(plan, workload.model, workload.batch))
    >>> ax.get_xlabel()
    'Memory of a rank (GB)'
    >>> plt.close(ax.figure)
    """
    stages = memory.stages
    rooms = [stage.room.most if stage.room is not None else np.nan for stage in stages]
    finite = [room for room in rooms if np.isfinite(room)]
    factor, unit = multiple_of(max([memory.total, *finite]), "B")
    rows = np.arange(len(stages))
    new = ax is None
    with canvas(ax, (0.22 * len(stages) + 0.8) / figure_width()) as ax:
        model = f"memory of {memory.model.name}" if title is None else title
        heading(ax, model, [str(memory.plan)] if title is None else [])
        left = np.zeros(len(stages))
        handles: list[Artist] = []
        for part, (label, colour, hatch) in PARTS.items():
            width = factor * np.array([stage.terms.get(part, 0.0) for stage in stages])
            if not width.any():
                continue
            bars = ax.barh(
                rows, width, left=left, height=0.66, color=colour, edgecolor="white", linewidth=0.3
            )
            for bar in bars:
                bar.set_hatch(hatch)
            left = left + width
            handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label))
        if finite:
            ax.vlines(
                factor * np.array(rooms), rows - 0.42, rows + 0.42, color=INK, linewidth=1.4, gid="room"
            )
            handles.append(Line2D([], [], color=INK, linewidth=1.4, label="room"))
        name_bars(ax, [f"stage {stage.rank}" for stage in stages])
        ax.set_xlabel(with_unit("Memory of a rank", unit))
        totals = [quantity(stage.total, "B") for stage in stages]
        near = 0.25 * max(left.max(), *(factor * room for room in finite), 0.0)
        ends = [
            factor * room if 0 < factor * room - end < near else end
            for end, room in zip(left, rooms, strict=True)
        ]
        write_beside(ax, ends, totals)
        ax.set_xlim(0, max(ax.get_xlim()[1], 1.03 * factor * max(finite, default=0.0)))
        legend_below(ax, handles, grow=new, under=3.4)
        return ax
