"""What each part of a package is worth: the time lost if it fails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Patch

from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError
from noptoolkit.package import Package
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import Colour, aspect_of, draw_nodes, frame, points_per_unit
from noptoolkit.plot._ribbons import arrange, lane_width
from noptoolkit.plot._style import MARK, PALE, QUANTITY_COLOURS, canvas, heading, legend_below

__all__ = ["degradation"]


def degradation(
    package: Package,
    slowdown: Mapping[str, float],
    ax: Axes | None = None,
    *,
    vmax: float | None = None,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw how much longer a traffic takes when one node or one link is lost.

    Parameters
    ----------
    package
        The intact package.
    slowdown
        Time without a part over time with all parts, by the name that ``package.without`` takes: a node, or
        a channel (``"sw0->e3"``) for its link. Infinite where the package falls apart. Parts without a
        value stay grey.
    ax
        Where; a new figure of the active `style` where ``None``.
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
    UnknownNameError
        If a name is neither a node nor a channel.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, topology
    >>> ax = plot.degradation(topology.mesh(2), {"e0->e1": 1.5, "e3": 1.25})
    >>> ax.figure.axes[1].get_xlabel()
    'Time lost without the part (%)'
    >>> plt.close(ax.figure)
    """
    link_of = {channel.name: channel.link for channel in package.channels}
    for name in slowdown:
        if name not in package.index and name not in link_of:
            known = [*package.index, *link_of]
            raise UnknownNameError(
                f"package {package.name!r}: no node or channel {name!r}; {did_you_mean(name, known)}"
            )
    lost = {name: 100.0 * (factor - 1.0) for name, factor in slowdown.items()}
    finite = [value for value in lost.values() if np.isfinite(value)]
    top = max(finite, default=0.0) if vmax is None else 100.0 * (vmax - 1.0)
    scale = Normalize(0.0, top or 1.0)

    def colour_of(value: float) -> str:
        return to_hex(QUANTITY_COLOURS(scale(value))) if np.isfinite(value) else MARK

    layout, lines = arrange(package, gap=0.42)
    new = ax is None
    with canvas(ax, aspect_of(layout) + (0.1 if bar else 0.0)) as ax:
        frame(ax, layout, lines)
        heading(ax, package.name if title is None else title)
        if bar:
            colour_bar(ax, "Time lost without the part (%)", top, below=True)
        if len(finite) < len(lost):
            legend_below(ax, [Patch(facecolor=MARK, label="without it the package falls apart")], grow=new)
        width = lane_width(package, layout, border=0.6) * points_per_unit(ax) * 1.2
        colours = [PALE] * len(package.links)
        for name in sorted(lost, key=lambda name: lost[name]):
            if name in link_of:
                colours[link_of[name]] = colour_of(lost[name])
        pieces = [(piece, colour) for pieces, colour in zip(lines, colours, strict=True) for piece in pieces]
        strokes = LineCollection([p for p, _ in pieces], colors=[c for _, c in pieces], linewidths=width)
        strokes.set(zorder=2, gid="links")
        ax.add_collection(strokes, autolim=False)
        fills: dict[str, Colour] = {
            name: colour_of(value) for name, value in lost.items() if name in package.index
        }
        draw_nodes(ax, package, layout, coloured=False, fills=fills)
        return ax
