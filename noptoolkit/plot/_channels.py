"""The channels of a package as coloured ribbons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from noptoolkit._arrays import Floats, Ints
from noptoolkit.drawing.layout import Layout
from noptoolkit.drawing.ribbons import channel_ribbons, channel_widths, covering_width, lane_width
from noptoolkit.package import Package

__all__ = ["IDLE", "draw_channels"]

BORDER = 0.5  # share of a box's border for the lanes one way
IDLE = "#E6E6E6"


def draw_channels(
    ax: Axes,
    package: Package,
    layout: Layout,
    lines: list[list[Floats]],
    scale: float,
    colours: Floats,
    rank: Floats,
    reference: float | None = None,
) -> tuple[list[Floats], Ints]:
    """Draw a ribbon for each channel and return the ribbons and the channel of each.

    Parameters
    ----------
    ax, package, layout, lines
        Where they lie, see ``_ribbons.arrange``.
    scale
        Points per unit of the layout.
    colours
        RGBA of each channel, [channels, 4].
    rank
        Those of higher rank are drawn over those of lower, [channels].
    reference
        Bandwidth in B/s of the widest ribbon; the fastest channel's where ``None``.
    """
    widest = lane_width(package, layout, border=BORDER)
    finest = min(0.6 / scale, covering_width(layout, lines) / 2)  # a line has two lanes
    widths = np.maximum(channel_widths(package, widest, reference), finest)
    ribbons, owner = channel_ribbons(package, layout, lines, widths, widest)
    bent = np.array([len(lines[package.channels[i].link][0]) > 2 for i in owner], dtype=bool)
    if bent.any() and layout.kind != "circle":  # a pale casing makes of each crossing an overpass
        casing = PolyCollection([ribbons[i] for i in np.flatnonzero(bent)], zorder=2.1)
        casing.set(facecolor="white", edgecolor="white", linewidth=1.6)
        ax.add_collection(casing, autolim=False)
    rim = min(0.8, 0.2 * widest * scale) if layout.kind == "circle" else 0.0  # chords cross
    for over in (False, True):
        order = sorted(np.flatnonzero(bent == over), key=lambda i: rank[owner[i]])
        if order:
            lanes = PolyCollection([ribbons[i] for i in order], facecolors=colours[owner[order]])
            lanes.set(linewidth=rim, edgecolor="white", zorder=2.2 if over else 2.0, gid="channels")
            ax.add_collection(lanes, autolim=False)
    return ribbons, owner
