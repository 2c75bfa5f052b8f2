"""A package as a picture: outlines by kind and role, links the wider the faster."""

from __future__ import annotations

from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D

from noptoolkit._arrays import Floats, Ints
from noptoolkit.drawing.layout import Layout
from noptoolkit.drawing.ribbons import (
    arrange,
    channel_ribbons,
    channel_widths,
    covering_width,
    drawn_links,
    far_apart,
    lane_width,
    link_widths,
    relative_width,
)
from noptoolkit.package import Link, LinkKind, Package
from noptoolkit.plot._nodes import (
    Glyph,
    GlyphHandler,
    aspect_of,
    draw_labels,
    draw_nodes,
    frame,
    node_legend,
    points_per_unit,
)
from noptoolkit.plot._style import INK, MUTED, OKABE_ITO, canvas, heading, legend_below
from noptoolkit.units import format_quantity, unit_of

__all__ = ["topology"]

LINK_COLOURS = {
    LinkKind.D2D: MUTED,
    LinkKind.HYBRID_BOND: INK,
    LinkKind.MEMORY: OKABE_ITO["orange"],
    LinkKind.SUBSTRATE: MUTED,
}
LINK_STROKES: dict[LinkKind, Literal["--"]] = {LinkKind.SUBSTRATE: "--"}
LINK_NAMES = {
    "link": (LinkKind.D2D, LinkKind.MEMORY),
    "hybrid bond": (LinkKind.HYBRID_BOND,),
    "substrate link": (LinkKind.SUBSTRATE,),
}
MOST_WIDTHS = 7  # bandwidths of one kind of link that the legend lists
HAIRLINE, FINEST = 0.35, 0.7  # points: of a link, and of one in the legend
EVEN = 1.2  # a symmetric link is drawn as one line, this much wider than a lane
MIXED = 1.8  # and this much where bandwidths are far apart, so that slow ones can be told apart


def topology(
    package: Package,
    ax: Axes | None = None,
    *,
    legend: bool = True,
    labels: bool = True,
    title: str | None = None,
    physical: bool | None = None,
) -> Axes:
    """Draw a package.

    Nodes stand at their physical positions where all have one and the links can be told apart there, else in
    a tree, in layers or on a circle; where positions are given up, a line says so. Chiplets that are bonded
    on each other are fanned out as a cascade, and of a memory die under a chiplet a rim is seen. The width of
    a link is proportional to its bandwidth, or to the square root where bandwidths are far apart; one whose
    directions differ is drawn as two lanes.

    Parameters
    ----------
    package
        Package to draw.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    legend, labels
        Whether to explain kinds and widths, and to name nodes.
    title
        The package's name where ``None``; empty for none.
    physical
        Whether to use the nodes' positions; ``None``: unless the links would be tangled in them.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> import matplotlib.pyplot as plt
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> ax = topology(pair)
    >>> ax.get_title(loc="left")
    'pair'
    >>> plt.close(ax.figure)
    """
    layout, lines = arrange(package, physical=physical)
    new = ax is None
    with canvas(ax, aspect_of(layout)) as ax:
        frame(ax, layout, lines)
        heading(ax, package.name if title is None else title, [layout.remark] if layout.remark else [])
        if legend:  # first: what it takes decides how large the rest is drawn
            handles = [*node_legend(package, layout), *_width_legend(package, layout, ax)]
            if any(len(pieces) > 1 for pieces in lines):
                handles.append(Line2D([], [], linewidth=0, label="stub: wraps round"))
            legend_below(ax, handles, grow=new, drawn_by={Glyph: GlyphHandler()})
        scale = points_per_unit(ax)
        _draw_links(ax, package, layout, lines, scale)
        draw_nodes(ax, package, layout, scale)
        if labels:
            draw_labels(ax, package, layout, scale)
        return ax


def _draw_links(ax: Axes, package: Package, layout: Layout, lines: list[list[Floats]], scale: float) -> None:
    widest = lane_width(package, layout)
    finest = min(HAIRLINE, covering_width(layout, lines) * scale)
    points = np.maximum(link_widths(package, layout, _wider(package, layout) * widest) * scale, finest)
    seen = drawn_links(package, layout)
    even = np.array([link.backward_bandwidth == link.bandwidth for link in package.links], dtype=bool)
    bent = np.array([any(len(piece) > 2 for piece in pieces) for pieces in lines], dtype=bool)
    for over in (False, True):
        if (
            over and bent.any() and layout.kind != "circle"
        ):  # a pale casing makes of each crossing an overpass
            _add_lines(ax, lines, points + 2.0, np.flatnonzero(bent), "white", 2.2)
        for kind in LinkKind:
            of_kind = np.array([link.kind is kind for link in package.links], dtype=bool)
            chosen = np.flatnonzero(of_kind & seen & even & (bent == over))
            if len(chosen):
                drawn = _add_lines(ax, lines, points, chosen, LINK_COLOURS[kind], 2.3 if over else 2.0)
                drawn.set_linestyle(LINK_STROKES.get(kind, "-"))
                drawn.set_gid(f"{kind} links")
    if not even.all():
        fastest = max(channel.bandwidth for channel in package.channels if seen[channel.link])
        widths = channel_widths(package, widest, fastest)
        ribbons, owner = channel_ribbons(package, layout, lines, widths, widest)
        shown = [i for i, channel in enumerate(owner) if not even[package.channels[channel].link]]
        kinds = [package.links[package.channels[owner[i]].link].kind for i in shown]
        lanes = PolyCollection([ribbons[i] for i in shown], facecolors=[LINK_COLOURS[k] for k in kinds])
        lanes.set(linewidth=0, zorder=2, gid="channels")
        ax.add_collection(lanes, autolim=False)


def _wider(package: Package, layout: Layout) -> float:
    """Return how much wider than a lane the line of the fastest symmetric link is."""
    drawn = package.link_bandwidths.max(axis=1, initial=0.0)[drawn_links(package, layout)]
    return MIXED if far_apart(drawn) else EVEN


def _add_lines(
    ax: Axes,
    lines: list[list[Floats]],
    points: Floats,
    chosen: Ints,
    colour: str,
    zorder: float,
) -> LineCollection:
    pieces = [(piece, points[i]) for i in chosen for piece in lines[i]]
    drawn = LineCollection(
        [piece for piece, _ in pieces],
        linewidths=[width for _, width in pieces],
        colors=colour,
        capstyle="butt",
        zorder=zorder,
    )
    ax.add_collection(drawn, autolim=False)
    return drawn


def _width_legend(package: Package, layout: Layout, ax: Axes) -> list[Artist]:
    """Return handles that tell widths in bandwidth: all that there are, or the least, median and largest.

    Bonds and links of the substrate, told apart by their colour or stroke, have one of their own.
    """
    seen = drawn_links(package, layout)
    drawn = [link for link, shown in zip(package.links, seen, strict=True) if shown]
    rate_of = {id(link): max(link.bandwidth, link.backward_bandwidth) for link in drawn}
    every = np.array([*rate_of.values()] or [1.0])
    thickest = min(
        _wider(package, layout) * lane_width(package, layout) * points_per_unit(ax),
        0.8 * float(mpl.rcParams["font.size"]),
    )
    handles: list[Artist] = []
    for name, kinds in LINK_NAMES.items():
        chosen = [link for link in drawn if link.kind in kinds]
        rates = np.array([rate_of[id(link)] for link in chosen] or [np.nan])
        shown = set(rates.tolist()) if chosen else set()
        if len(shown) > MOST_WIDTHS:
            shown = {float(rates.max()), float(np.median(rates)), float(rates.min())}
        for rate in sorted(shown, reverse=True):
            link = chosen[int(np.argmin(np.abs(rates - rate)))]
            width = thickest * float(relative_width(np.array(rate), every))
            handle = Line2D([], [], linewidth=max(width, FINEST))
            handle.set(color=LINK_COLOURS[link.kind], linestyle=LINK_STROKES.get(link.kind, "-"))
            handle.set_label(f"{name}, {format_quantity(rate, unit_of(Link, 'bandwidth'))}")
            handles.append(handle)
    return handles
