"""What each part of a package is worth: the time lost if it fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Patch

from noptoolkit.drawing.ribbons import arrange, lane_width
from noptoolkit.drawing.stacks import dies_under
from noptoolkit.errors import RoutingError
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import Colour, aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._style import (
    MARK,
    MUTED,
    PALE,
    QUANTITY_COLOURS,
    canvas,
    heading,
    legend_below,
    origin_note,
    quantity,
)
from noptoolkit.study import Resilience

__all__ = ["degradation"]

THINNEST = 1.6  # points of a link that was tried: in a large package the others are thinner


def degradation(
    results: Resilience | Sequence[Resilience],
    ax: Axes | None = None,
    *,
    vmax: float | None = None,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw how much longer a traffic takes when one link or one node is lost.

    Parameters
    ----------
    results
        Results of `noptoolkit.study.resilience`, one failure at a time; several (of links, of chiplets)
        share the picture. Parts without a trial stay grey.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    vmax
        Slowdown at the dark end of the scale; the largest finite one where ``None``.
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
        If a trial loses several parts at once, or the results are of several packages.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, topology, traffic
    >>> from noptoolkit.study import resilience
    >>> package = topology.mesh(2)
    >>> ax = plot.degradation(resilience(package, traffic.all_to_all(package, "1 MB"), routing="ecmp"))
    >>> ax.figure.axes[1].get_xlabel()
    'Time lost without the part (%)'
    >>> plt.close(ax.figure)
    """
    several = [results] if isinstance(results, Resilience) else list(results)
    package = several[0].intact.package
    if any(len(names) > 1 for result in several for names in result.lost):
        raise RoutingError("the map shows the loss of one part at a time; run resilience(..., failures=1)")
    if any(result.intact.package != package for result in several):
        raise RoutingError("the map shows one package; give results of the same")
    slowdown = {
        names[0]: float(factor)
        for result in several
        for names, factor in zip(result.lost, result.slowdown, strict=True)
    }
    link_of = {channel.name: channel.link for channel in package.channels}
    lost = {name: 100.0 * (factor - 1.0) for name, factor in slowdown.items()}
    finite = [value for value in lost.values() if np.isfinite(value)]
    top = max([0.0, *finite]) if vmax is None else 100.0 * (vmax - 1.0)
    norm = Normalize(0.0, top or 1.0)

    def colour_of(value: float) -> str:
        return to_hex(QUANTITY_COLOURS(norm(value))) if np.isfinite(value) else MARK

    layout, lines = arrange(package, gap=0.42)
    new = ax is None
    with canvas(ax, aspect_of(layout) + (0.1 if bar else 0.0)) as ax:
        frame(ax, layout, lines)
        intact = several[0].intact
        note = f"{intact.traffic.name or 'traffic'}, {intact.routing}, intact {quantity(intact.time, 's')}"
        heading(ax, package.name if title is None else title, [origin_note(note, intact.traffic.origin)])
        if bar and finite:
            colour_bar(ax, "Time lost without the part (%)", top, below=True)
        handles: list[Artist] = []
        if len(finite) < len(lost):
            handles.append(
                Patch(facecolor=MARK, label=f"without it, {intact.routing} has no path for a demand")
            )
        tried = {link_of.get(name, name) for name in lost}
        if any(i not in tried for i in range(len(package.links))):
            handles.append(Patch(facecolor=PALE, label="link not tried"))
        if any(node.name not in tried for node in package.nodes):
            handles.append(Patch(facecolor="white", edgecolor=MUTED, label="node not tried"))
        legend_below(ax, handles, grow=new)
        scale = points_per_unit(ax)
        width = lane_width(package, layout, border=0.6) * scale * 1.2
        colours = [PALE] * len(package.links)
        for name in sorted(lost, key=lambda name: lost[name]):
            if name in link_of:
                colours[link_of[name]] = colour_of(lost[name])
        pieces = [(piece, colour) for pieces, colour in zip(lines, colours, strict=True) for piece in pieces]
        widths = [width if colour == PALE else max(width, THINNEST) for _, colour in pieces]
        strokes = LineCollection([p for p, _ in pieces], colors=[c for _, c in pieces], linewidths=widths)
        strokes.set(zorder=2, gid="links")
        ax.add_collection(strokes, autolim=False)
        fills: dict[str, Colour] = {
            name: colour_of(value) for name, value in lost.items() if name in package.index
        }
        dies = dies_under(package)  # their bonds are not seen; a die is worth what its bond is
        for link, colour in zip(package.links, colours, strict=True):
            for end in {link.a, link.b} & dies.keys():
                fills.setdefault(end, colour)
        draw_nodes(ax, package, layout, scale, coloured=False, fills=fills)
        draw_labels(ax, package, layout, scale, fills)
        return ax
