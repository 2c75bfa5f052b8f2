"""The boxes that stand for nodes, and the names in them.

Kind by shape, role by colour: chiplets are rounded boxes in the colour of their role, switches dark
octagons, memory stacks boxes cut into layers, a die under a chiplet is a rim behind it. A name is written
where it fits at a readable size; of a crowd either all names fit or none is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerBase
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, Polygon, Rectangle
from matplotlib.transforms import Transform

from noptoolkit._arrays import Floats
from noptoolkit.drawing.colours import INK, MUTED, NODE_COLOURS
from noptoolkit.drawing.layout import Layout, kinds_of
from noptoolkit.drawing.stacks import rim
from noptoolkit.package import Package
from noptoolkit.plot._style import axes_points, figure_width

__all__ = [
    "Colour",
    "Glyph",
    "GlyphHandler",
    "aspect_of",
    "draw_labels",
    "draw_nodes",
    "frame",
    "ink_on",
    "node_legend",
    "points_per_unit",
]

Colour = str | tuple[float, float, float] | tuple[float, float, float, float]

FULLNESS = {"switch": 1.0, "die underneath": 0.6}  # share of the colour in the fill; little elsewhere
SMALLEST_TYPE = 4.5  # points
MOST_GROUPS = 32  # groups that are named where their chiplets cannot be
FEW_BESIDE = 4  # attention chiplets up to which names stand beside boxes that are too small
FEW = 12  # of a kind: its names are worth showing one by one
GLYPH = 0.66  # mean width of a letter, in type sizes


def frame(ax: Axes, layout: Layout, lines: list[list[Floats]]) -> None:
    """Set the limits of axes that show a package: equal scales, no ticks, room for boxes and links."""
    points = np.vstack([piece for pieces in lines for piece in pieces] or [layout.centre])
    low = np.minimum(layout.low, points.min(axis=0)) - 0.2 * layout.pitch
    high = np.maximum(layout.high, points.max(axis=0)) + 0.2 * layout.pitch
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.axis("off")


def aspect_of(layout: Layout, inches: float | None = None) -> float:
    """Return the height of a figure of the layout, in widths, with room for a title.

    Small packages do not fill a page. ``inches`` is the width of a panel, the figure's where ``None``.
    """
    width, height = layout.high - layout.low + 0.6 * layout.pitch
    highest = 0.8 if (inches or figure_width()) > 5.0 and len(layout.centre) < 100 else 1.2
    return float(np.clip(height / width, 0.2, highest)) + 0.06


def points_per_unit(ax: Axes) -> float:
    """Return how many points a unit of the layout takes on paper, as the figure's layout leaves the axes.

    To be asked once, when all that stands round the axes is there: it takes the time of a drawing.
    """
    axes_points(ax)  # matplotlib's layout settles at the second time
    width, height = axes_points(ax)
    return float(min(width / np.ptp(ax.get_xlim()), height / np.ptp(ax.get_ylim())))


def tint(colour: str, share: float) -> tuple[float, float, float]:
    """Return a colour mixed with white."""
    red, green, blue = (1.0 - share * (1.0 - part) for part in to_rgb(colour))
    return red, green, blue


def draw_nodes(
    ax: Axes,
    package: Package,
    layout: Layout,
    scale: float,
    *,
    coloured: bool = True,
    fills: Mapping[str, Colour] | None = None,
) -> None:
    """Draw all boxes; grey ones where colour is to mean something else, and then in ``fills`` by name.

    ``scale`` is that of the axes in the end, see `points_per_unit`.
    """
    edge = float(np.clip(0.05 * 2 * layout.half.min() * scale, 0.35, 1.4))
    members: dict[str, list[int]] = {}
    for i, kind in enumerate(kinds_of(package, layout)):
        members.setdefault(kind, []).append(i)
    for kind, indices in members.items():
        patches = [_outline(kind, layout.centre[i], layout.half[i]) for i in indices]
        colour, fill = _colours_of(kind, coloured=coloured)
        wider = 1.6 if kind == "attention chiplet" else 1.0
        inside = [(fills or {}).get(package.nodes[i].name, fill) for i in indices]
        height = 2.5 if kind == "die underneath" else 3
        boxes = PatchCollection(
            patches, facecolor=inside, edgecolor=colour, linewidth=edge * wider, zorder=height, label=kind
        )
        boxes.set_gid(kind)
        ax.add_collection(boxes, autolim=False)
        if kind == "memory stack":
            seams = _seams(layout.centre[indices], layout.half[indices])
            ax.add_collection(
                LineCollection(seams, colors=colour, linewidths=0.6 * edge, zorder=3.1), autolim=False
            )


def _colours_of(kind: str, *, coloured: bool) -> tuple[str, tuple[float, float, float]]:
    """Return the colours of the edge and the inside of the boxes of a kind."""
    colour = NODE_COLOURS[kind] if coloured else "#5A5A5A"
    return colour, tint(colour, FULLNESS.get(kind, 0.16 if coloured else 0.06))


def _outline(kind: str, centre: Floats, half: Floats) -> Patch:
    corner, width, height = centre - half, 2 * half[0], 2 * half[1]
    if kind == "memory stack":
        return Rectangle((corner[0], corner[1]), width, height)
    if kind == "switch":
        cut = 0.58 * half.min()
        (x, y), (w, h) = centre, half
        right = [(x + w, y - h + cut), (x + w, y + h - cut), (x + w - cut, y + h), (x - w + cut, y + h)]
        return Polygon([*right, *[(2 * x - px, 2 * y - py) for px, py in right]])
    rounding = 0.3 * half.min()
    style = f"round,pad=0,rounding_size={rounding}"
    return FancyBboxPatch((corner[0], corner[1]), width, height, boxstyle=style)


def _seams(centre: Floats, half: Floats) -> list[Floats]:
    """Return two lines that make a box a stack: near the lower and the upper edge of each box."""
    lines: list[Floats] = []
    for level in (-0.72, 0.72):
        left = centre + half * np.array([-1.0, level])
        right = centre + half * np.array([1.0, level])
        lines.extend(np.stack([left, right], axis=1))
    return lines


def ink_on(fill: Colour) -> str:
    """Return the colour of writing that is read on a fill: white on a dark one."""
    red, green, blue = to_rgb(fill)
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else INK


def draw_labels(
    ax: Axes,
    package: Package,
    layout: Layout,
    scale: float,
    fills: Mapping[str, Colour] | None = None,
    *,
    but: Collection[int] = (),
) -> None:
    """Write the names that fit, those of one kind in one size, to be read on ``fills``; ``but`` of some."""
    box = 2 * layout.half * scale
    lengths = np.array([len(node.name) for node in package.nodes])
    fit = np.minimum(0.9 * box[:, 0] / (GLYPH * lengths), 0.6 * box[:, 1])
    kinds = kinds_of(package, layout)
    fit[layout.under] = 0.0  # what stands on it would cover its name
    fit[list(but)] = 0.0
    crowded = {kind for kind in set(kinds) if kinds.count(kind) > FEW}
    named = [i for i, kind in enumerate(kinds) if fit[i] >= SMALLEST_TYPE]
    lost = {kinds[i] for i in set(range(len(kinds))) - set(named) - set(but)} & crowded
    named = [i for i in named if kinds[i] not in lost]  # a crowd keeps all of its names or none
    if not {package.index[name] for name in package.experts} <= {*named, *but}:
        _name_groups(ax, package, layout, scale)
    attention = [package.index[name] for name in package.with_role("attention")]
    if len(attention) <= FEW_BESIDE:
        for i in attention:
            if i not in named and i not in but and not layout.under[i]:
                _name_beside(ax, package, layout, scale, i)
    if not named:
        return
    largest = 1.2 * float(mpl.rcParams["font.size"])
    size_of = dict.fromkeys(kinds, largest)
    for i in named:
        size_of[kinds[i]] = min(size_of[kinds[i]], float(fit[i]))
    for i in named:
        ax.text(
            float(layout.centre[i, 0]),
            float(layout.centre[i, 1]),
            package.nodes[i].name,
            ha="center",
            va="center_baseline",
            fontsize=size_of[kinds[i]],
            color=ink_on((fills or {}).get(package.nodes[i].name, _colours_of(kinds[i], coloured=True)[1])),
            zorder=4,
            clip_on=True,
        )


def _name_groups(ax: Axes, package: Package, layout: Layout, scale: float) -> None:
    """Write the first and the last name of each group beside its outermost chiplet."""
    groups = [[package.index[package.experts[i]] for i in members] for members in package.expert_groups]
    if not 1 < len(groups) <= MOST_GROUPS or len(groups) == len(package.experts):
        return
    middle = (layout.low + layout.high) / 2
    for members in groups:
        away = layout.centre[members] - middle
        i = members[int(np.argmax(np.round(np.abs(away).max(axis=1), 9)))]
        out = layout.centre[i] - middle
        axis = int(np.argmax(np.abs(out)))
        side = float(np.sign(out[axis]))
        at = layout.centre[i].copy()
        beside = (
            np.abs(layout.centre[:, 1 - axis] - at[1 - axis]) < layout.half[:, 1 - axis] + 0.3 * layout.pitch
        )
        outer = (
            side * layout.centre[beside, axis] + layout.half[beside, axis]
        )  # past a stack that stands there
        at[axis] = side * (float(outer.max()) + 2.0 / scale)
        across = {-1.0: "right", 0.0: "center", 1.0: "left"}[side if axis == 0 else 0.0]
        up = {-1.0: "top", 0.0: "center", 1.0: "bottom"}[side if axis == 1 else 0.0]
        first, last = package.nodes[members[0]].name, package.nodes[members[-1]].name
        letters = len(first) if first == last else len(first) + len(last) + 1
        if layout.kind in ("tree", "layers"):  # balloons and rings reach to the border of the picture
            _make_room(ax, float(at[axis]), axis, side, letters, scale)
        ax.text(
            float(at[0]),
            float(at[1]),
            first if first == last else f"{first}–{last}",
            ha=cast(Any, across),
            va=cast(Any, up),
            fontsize=SMALLEST_TYPE,
            color=MUTED,
            zorder=5,
            gid="group",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )


def _name_beside(ax: Axes, package: Package, layout: Layout, scale: float, i: int) -> None:
    """Write a name beside its box, off its links if there is such a place, farthest from all other boxes."""
    box, others = layout.half[i], np.delete(layout.centre, i, axis=0)
    reach = np.array([GLYPH * len(package.nodes[i].name) * SMALLEST_TYPE, SMALLEST_TYPE]) / scale / 2
    ways = [np.array(way) for way in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))]
    spots = [layout.centre[i] + way * (box + reach + 1.5 / scale) for way in ways]
    room = [np.abs(others - spot).max(axis=1).min(initial=np.inf) for spot in spots]
    along = np.linspace(0.0, 1.0, 200)[:, None]
    ends = {b if a == i else a for a, b in _link_ends(package) if i in (a, b)}
    points = [layout.centre[i] + along * (layout.centre[j] - layout.centre[i]) for j in ends]
    free = [not any((np.abs(one - spot) < reach).all(axis=1).any() for one in points) for spot in spots]
    spot = spots[max(range(len(spots)), key=lambda k: (free[k], round(room[k], 6)))]
    ax.text(
        float(spot[0]),
        float(spot[1]),
        package.nodes[i].name,
        ha="center",
        va="center_baseline",
        fontsize=SMALLEST_TYPE,
        color=MUTED,
        zorder=5,
        gid="beside",
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )


def _link_ends(package: Package) -> list[tuple[int, int]]:
    return [(package.index[link.a], package.index[link.b]) for link in package.links]


def _make_room(ax: Axes, at: float, axis: int, side: float, letters: int, scale: float) -> None:
    """Widen the limits of the axes so that a name that begins there, and leads outwards, is not cut."""
    size = (GLYPH * letters if axis == 0 else 1.2) * SMALLEST_TYPE + 3.0
    low, high = ax.get_xlim() if axis == 0 else ax.get_ylim()
    end = at + side * size / scale
    limits = (min(low, end), max(high, end))
    (ax.set_xlim if axis == 0 else ax.set_ylim)(*limits)


def node_legend(package: Package, layout: Layout) -> list[Artist]:
    """Return one legend handle for each kind of node in the package."""
    handles: list[Artist] = []
    for kind in dict.fromkeys(kinds_of(package, layout)):
        edge, fill = _colours_of(kind, coloured=True)
        handles.append(Glyph(facecolor=fill, edgecolor=edge, linewidth=1.0, label=kind))
    return handles


class Glyph(Patch):
    """A legend handle that is drawn as the kind of node that its label names."""


class GlyphHandler(HandlerBase):
    """Draws a `Glyph` in a legend."""

    def create_artists(
        self,
        legend: Legend,
        orig_handle: Artist,
        xdescent: float,
        ydescent: float,
        width: float,
        height: float,
        fontsize: float,
        trans: Transform,
    ) -> list[Artist]:
        kind = str(orig_handle.get_label())
        centre = np.array([width / 2 - xdescent, height / 2 - ydescent])
        half = np.array([0.5, 0.5] if kind == "switch" else [0.7, 0.5]) * height
        if kind == "memory stack":
            half *= 1.15
        box = _outline(kind, centre + (rim(half) if kind == "die underneath" else 0.0), half)
        box.update_from(orig_handle)
        parts: list[Artist] = [box]
        if kind == "memory stack":
            ends = [piece.T for piece in _seams(centre[None], half[None])]
            parts += [Line2D(x, y, color=box.get_edgecolor(), linewidth=0.6) for x, y in ends]
        if kind == "die underneath":
            upper = _outline("", centre, half)
            upper.set(facecolor="white", edgecolor=MUTED, linewidth=1.0)
            parts.append(upper)
        for part in parts:
            part.set_transform(trans)
        return parts
