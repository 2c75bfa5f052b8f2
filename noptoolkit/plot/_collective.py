"""A collective on its package: how busy every channel is, its cut, or one of its trees."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from noptoolkit.collectives import CollectiveResult
from noptoolkit.drawing.ribbons import ROOMY, arrange
from noptoolkit.errors import RoutingError
from noptoolkit.plot._channels import IDLE, draw_channels
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import Colour, aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._style import (
    OKABE_ITO,
    QUANTITY_COLOURS,
    canvas,
    heading,
    multiple_of,
    quantity,
    with_unit,
)

__all__ = ["collective"]

CUT_FILL = "#CFE3F1"


def collective(
    result: CollectiveResult,
    ax: Axes | None = None,
    *,
    tree: int | None = None,
    cut: bool = True,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw how busy every channel is under a collective, or one tree of its schedule.

    Parameters
    ----------
    result
        What to draw.
    ax
        Where; a new figure of the active `style` where ``None``.
    tree
        Index of a tree of the schedule: its channels are drawn, darker the farther from the root.
    cut
        Whether to tint the smallest part of the cut that proves the bound.
    bar
        Whether to draw a colour bar.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    RoutingError
        If there is no such tree.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, topology
    >>> from noptoolkit.collectives import collective
    >>> ax = plot.collective(collective(topology.mesh(2), "all-reduce", "1 MB"))
    >>> ax.figure.axes[1].get_xlabel()
    'Time that a channel is busy (µs)'
    >>> plt.close(ax.figure)
    """
    package = result.package
    depth = np.zeros(len(package.channels)) if tree is None else _depths(result, tree)
    values = result.utilisation * result.time if tree is None else depth
    top = float(values.max(initial=0.0)) or 1.0
    layout, lines = arrange(package, gap=ROOMY)
    with canvas(ax, aspect_of(layout) + 0.1) as ax:
        frame(ax, layout, lines)
        heading(ax, package.name if title is None else title, *_notes(result, tree))
        if bar and tree is None:
            factor, multiple = multiple_of(top, "s")
            colour_bar(ax, with_unit("Time that a channel is busy", multiple), factor * top, below=True)
        elif bar:
            colour_bar(ax, "Channels from the root", top, below=True)
        colours = QUANTITY_COLOURS(Normalize(0.0, top)(values))
        colours[values <= 1e-9 * top] = mpl.colors.to_rgba(IDLE)
        scale = points_per_unit(ax)
        widest = max(channel.bandwidth for channel in package.channels)
        draw_channels(ax, package, layout, lines, scale, colours, values, widest)
        fills: dict[str, Colour] = {}
        if tree is not None:
            assert result.schedule is not None
            fills[result.schedule[tree].root] = OKABE_ITO["vermilion"]
        elif cut and result.cut is not None and len(result.cut.parts) == 2:
            fills = dict.fromkeys((name.removesuffix(" core") for name in result.cut.smaller), CUT_FILL)
        draw_nodes(ax, package, layout, scale, coloured=False, fills=fills)
        draw_labels(ax, package, layout, scale, fills)
        return ax


def _notes(result: CollectiveResult, tree: int | None) -> tuple[list[str], list[str]]:
    time, bound = quantity(result.time, "s"), quantity(result.time_bound, "s")
    what = [f"{result.title}, {result.algorithm}", f"{time}, lower bound {bound}"]
    if tree is None or result.schedule is None:
        marks = [f"bottleneck {result.bottleneck}"] if result.bottleneck else []
    else:
        kind = "collects" if result.schedule.collects[tree] else "spreads"
        amount = quantity(float(result.schedule.amount[tree]), "B")
        marks = [f"tree {tree} of {len(result.schedule)} {kind} {amount}"]
    return what, marks


def _depths(result: CollectiveResult, tree: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how many channels from the root each channel of a tree lies; 0 for the others."""
    schedule = result.schedule
    if schedule is None or not 0 <= tree < len(schedule):
        raise RoutingError(
            f"there is no tree {tree!r}: the schedule has {0 if schedule is None else len(schedule)}"
        )
    network = result.network
    chosen = schedule[tree]
    hops = [hop[::-1] for hop in reversed(chosen.hops)] if chosen.collects else list(chosen.hops)
    reached = {chosen.root: 0}
    deep: dict[tuple[str, str], float] = {}
    for hop in hops:
        at = reached.get(hop[0], 0)
        for u, v in pairwise(hop):
            at += 1
            deep[(v, u) if chosen.collects else (u, v)] = float(at)
        reached[hop[-1]] = at
    of_arc = np.zeros(network.num_arcs)
    for arc, (u, v) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        of_arc[arc] = deep.get((network.node_of_vertex(u), network.node_of_vertex(v)), 0.0)
    return np.asarray(of_arc[network.arc_of_channel])
