"""What a traffic puts on the channels of a package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.patches import Circle

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import resolve
from noptoolkit.drawing.layout import Layout
from noptoolkit.drawing.ribbons import ROOMY, arrange
from noptoolkit.flow import FlowResult
from noptoolkit.flow.bounds.cuts import Cut
from noptoolkit.package import Package
from noptoolkit.plot._channels import IDLE, draw_channels
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import Colour, aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._style import (
    MARK,
    QUANTITY_COLOURS,
    canvas,
    canvas_grid,
    figure_width,
    heading,
    multiple_of,
    origin_note,
    quantity,
    with_unit,
)
from noptoolkit.units import unit_of

__all__ = ["load", "loads"]

Measure = Literal["time", "load", "utilisation"]
CUT_FILL = "#CFE3F1"
HEAD = 0.5  # inches for what stands over a panel, beside the title
LABELS = {"time": "Time that a channel is busy", "load": "Load of a channel", "utilisation": "Utilisation"}


def load(
    flow: FlowResult,
    ax: Axes | None = None,
    *,
    show: Measure = "time",
    vmax: float | None = None,
    reference: float | None = None,
    cut: bool = False,
    bar: bool = True,
    labels: bool = True,
    title: str | None = None,
    physical: bool | None = None,
) -> Axes:
    """Draw the load on every channel of a package.

    Each direction of a link has a ribbon of its own, on the right in the direction of travel, the wider the
    faster and as dark as it is loaded. The bottleneck is ringed and named; idle channels are grey.

    Parameters
    ----------
    flow
        Flow to draw.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    show
        ``time`` (how long the channel is busy: load over bandwidth), ``load`` (bytes) or ``utilisation``.
    vmax
        The dark end of the scale, in s, B or 1; the largest value where ``None``. Give panels one ``vmax``,
        or let `loads` do it.
    reference
        Bandwidth in B/s of the widest ribbon; the fastest channel in use where ``None``.
    cut
        Whether to mark the cut that the bound is about: its nodes are tinted, its channels crossed.
    bar, labels
        Whether to draw a colour bar, and to name nodes.
    title
        The package's name where ``None``; empty for none.
    physical
        Whether to use the nodes' positions; ``None``: unless the links would be tangled in them.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, topology, traffic
    >>> from noptoolkit.flow import congestion
    >>> package = topology.mesh(2)
    >>> flow = congestion(package, traffic.all_to_all(package, "1 MB"), routing="dor")
    >>> ax = plot.load(flow)
    >>> ax.figure.axes[1].get_xlabel()
    'Time that a channel is busy (µs)'
    >>> plt.close(ax.figure)
    """
    package = flow.package
    values, unit = measure(flow, show)
    peak = float(values.max(initial=0.0))
    top = peak if vmax is None else vmax
    layout, lines = arrange(package, physical=physical, gap=ROOMY)
    with canvas(ax, aspect_of(layout) + 0.1) as ax:
        frame(ax, layout, lines)
        parted = flow.cut if cut else None
        shown = package.name if title is None else title
        heading(ax, shown, *_notes(flow, parted, shown))
        if bar:
            factor, multiple = multiple_of(top, unit)
            colour_bar(ax, with_unit(LABELS[show], multiple), factor * top, below=True)
        colours = QUANTITY_COLOURS(Normalize(0.0, top or 1.0)(values))
        colours[values <= 1e-9 * (top or 1.0)] = mpl.colors.to_rgba(IDLE)
        scale = points_per_unit(ax)
        ribbons, owner = draw_channels(
            ax, package, layout, lines, scale, colours, values, reference or used_bandwidth(flow)
        )
        fills: dict[str, Colour] = dict.fromkeys(parted.inside if parted else (), CUT_FILL)
        draw_nodes(ax, package, layout, scale, coloured=False, fills=fills)
        if parted:
            _cross(ax, parted, package, layout, ribbons, owner)
        if labels:
            draw_labels(ax, package, layout, scale, fills)
        _mark_bottleneck(ax, flow, layout, scale, ribbons, owner)
        return ax


def loads(
    flows: Sequence[FlowResult],
    axes: Sequence[Axes] | None = None,
    *,
    show: Measure = "time",
    vmax: float | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    labels: bool = True,
) -> list[Axes]:
    """Draw several flows side by side on one scale with one colour bar.

    Parameters
    ----------
    flows
        Flows to draw; the darkest channel of all panels sets the scale.
    axes
        One for each flow; a new figure of the active `style` where ``None``.
    show, vmax, labels
        See `load`.
    titles
        Titles of the panels; package or routing, whichever tells them apart, where ``None``.
    columns
        Panels beside each other on a new figure; 3 on a page, 2 in a column where ``None``.

    Returns
    -------
    list of matplotlib.axes.Axes
        One for each flow.
    """
    found = [measure(flow, show) for flow in flows]
    top = max((float(values.max(initial=0.0)) for values, _ in found), default=0.0) if vmax is None else vmax
    reference = max(used_bandwidth(flow) for flow in flows)
    columns = min(columns or (3 if figure_width() > 5.0 else 2), len(flows))
    panel = figure_width() / columns
    head = HEAD / figure_width()
    heights = [aspect_of(arrange(flow.package, gap=ROOMY)[0], panel) / columns + head for flow in flows]
    rows = [max(heights[i : i + columns]) for i in range(0, len(flows), columns)]
    with canvas_grid(axes, columns, rows, 0.08) as grid:
        drawn = [
            load(flow, ax, show=show, vmax=top, reference=reference, bar=False, labels=labels, title=name)
            for flow, ax, name in zip(flows, grid, titles or _titles(flows), strict=False)
        ]
        factor, multiple = multiple_of(top, found[0][1])
        colour_bar(grid, with_unit(LABELS[show], multiple), factor * top, below=True)
        for ax in drawn:
            ax.set_anchor("N")
        for spare in grid[len(drawn) :]:
            spare.axis("off")
        return drawn


def _titles(flows: Sequence[FlowResult]) -> list[str]:
    """Return what tells flows apart: the package, else the routing, else the traffic."""
    for names in (
        [flow.package.name for flow in flows],
        [flow.routing for flow in flows],
        [flow.traffic.name for flow in flows],
    ):
        if len(set(names)) > 1:
            return names
    return [flow.package.name for flow in flows]


def measure(flow: FlowResult, show: Measure) -> tuple[Floats, str]:
    """Return one number for each channel, and its unit."""
    of = {
        "time": (flow.utilisation * flow.time, unit_of(FlowResult, "time")),
        "load": (flow.load, unit_of(FlowResult, "load")),
        "utilisation": (flow.utilisation, ""),
    }
    return resolve(show, of, "measure of load")


def used_bandwidth(flow: FlowResult) -> float:
    """Return the bandwidth of the fastest channel that carries anything, in B/s: the widest ribbon."""
    bandwidth = np.array([channel.bandwidth for channel in flow.package.channels])
    used = flow.load > 0
    return float(bandwidth[used].max() if used.any() else bandwidth.max())


def _notes(flow: FlowResult, cut: Cut | None, title: str) -> tuple[list[str], list[str]]:
    """Return what was routed and the title does not say, how long it takes; what sets that, and the cut."""
    unit = unit_of(FlowResult, "time")
    time, bound = quantity(flow.time, unit), quantity(flow.time_bound, unit)
    parts = [part for part in (flow.traffic.name or "traffic", flow.routing) if part != title]
    what = origin_note(", ".join(parts), flow.traffic.origin)
    marks = [f"○ bottleneck {flow.bottleneck}{_level_with(flow)}"] if flow.bottleneck else []
    if cut is not None:
        share = f"{quantity(cut.demand, 'B')} over {quantity(cut.capacity, 'B/s')}"
        count = f"{len(cut.channels)} channel{'' if len(cut.channels) == 1 else 's'}"
        marks.append(f"| cut of {count}: {share}, {quantity(cut.time, 's')}")
    return [what, f"{time}, lower bound {bound}"], marks


def _level_with(flow: FlowResult) -> str:
    """Return how many other channels are as busy as the bottleneck, in words."""
    ties = int((flow.utilisation >= flow.utilisation.max(initial=0.0) * (1 - 1e-6)).sum())
    others = ties - 1 if flow.bottleneck.kind == "channel" else 0
    return f", level with {others} more" if others > 0 else ""


def _cross(
    ax: Axes,
    cut: Cut,
    package: Package,
    layout: Layout,
    ribbons: list[Floats],
    owner: Ints,
) -> None:
    """Draw a stroke across each channel of a cut."""
    chosen = [r for r, i in zip(ribbons, owner, strict=True) if package.channels[i].name in cut.channels]
    strokes = []
    for ribbon in chosen:
        half = len(ribbon) // 2
        middle = ribbon[[0, half - 1, half + 1, -1]].mean(axis=0)
        across = (ribbon[0] - ribbon[-1]) / 2
        across *= 1.0 + 0.04 * layout.pitch / max(float(np.hypot(*across)), 1e-12)
        strokes.append(np.stack([middle - across, middle + across]))
    for width, colour in ((3.6, "white"), (1.8, MARK)):
        drawn = LineCollection(strokes, colors=colour, linewidths=width, zorder=5)
        drawn.set_gid("cut" if colour == MARK else "")
        ax.add_collection(drawn, autolim=False)


def _mark_bottleneck(
    ax: Axes,
    flow: FlowResult,
    layout: Layout,
    scale: float,
    ribbons: list[Floats],
    owner: Ints,
) -> None:
    """Ring what sets the time: a ribbon, or the box of a node whose port or crossbar it is."""
    package = flow.package
    place = flow.bottleneck.place
    on_channel = flow.bottleneck.kind == "channel"
    named = [i for i, channel in enumerate(package.channels) if on_channel and channel.name == place]
    chosen = [ribbon for ribbon, i in zip(ribbons, owner, strict=True) if i in named]
    if chosen:
        ribbon = chosen[0]
        near = len(ribbon) // 7 if layout.kind == "circle" else 0  # chords cross in the middle
        middle = ribbon[[near, -1 - near]] if near else ribbon
        centre, radius = middle.mean(axis=0), max(0.24 * layout.pitch, 4.0 / scale)
    else:
        node = None if on_channel else package.index.get(place)
        if node is None:
            return
        centre, radius = layout.centre[node], 1.12 * float(np.hypot(*layout.half[node]))
    ring = Circle((float(centre[0]), float(centre[1])), radius, fill=False, edgecolor=MARK, linewidth=1.2)
    ring.set(zorder=6, gid="bottleneck ring", clip_on=False)
    ax.add_patch(ring)
