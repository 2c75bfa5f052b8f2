"""Where experts sit: the co-activation matrix in the order of a layout, and the layout on its package."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Rectangle

from noptoolkit._arrays import Floats
from noptoolkit.allocation import Allocation
from noptoolkit.drawing.layout import Layout
from noptoolkit.drawing.ribbons import arrange
from noptoolkit.package import Package
from noptoolkit.plot._matrix import colour_bar, draw_matrix, thin_ticks
from noptoolkit.plot._nodes import (
    GLYPH,
    SMALLEST_TYPE,
    aspect_of,
    draw_labels,
    draw_nodes,
    frame,
    ink_on,
    points_per_unit,
)
from noptoolkit.plot._style import MARK, PALE, QUANTITY_COLOURS, canvas, heading, origin_note
from noptoolkit.trace import RoutingTrace

__all__ = ["coactivation", "layout"]


def coactivation(
    trace: RoutingTrace,
    allocation: Allocation | None = None,
    ax: Axes | None = None,
    *,
    layer: int = 0,
    vmax: float | None = None,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw how many tokens use both of two experts, in native order or in that of a layout.

    With a layout, experts of one chiplet are neighbours, framed: what lies within the frames costs no copy.

    Parameters
    ----------
    trace
        Whose co-activation.
    allocation
        The layout to order by; experts stay in native order where ``None``.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    layer
        Index of a layer of the trace.
    vmax
        Share of the tokens at the dark end of the scale; the largest where ``None``.
    bar
        Whether to draw a colour bar.
    title
        ``native order`` or the layout's method where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import RoutingTrace, plot
    >>> trace = RoutingTrace([[0, 2], [0, 2], [1, 3], [1, 2]], num_experts=4)
    >>> ax = plot.coactivation(trace, Allocation(("e0", "e1"), [[0, 1, 0, 1]], method="by hand"))
    >>> ax.get_title(loc="left"), len(ax.patches)
    ('by hand', 2)
    >>> plt.close(ax.figure)
    """
    one = trace.layer(layer)
    share = 100.0 * one.coactivation() / one.num_tokens
    top = float(share.max()) if vmax is None else 100.0 * vmax
    order = np.arange(trace.num_experts)
    note = f"layer {layer}"
    name = "native order"
    if allocation is not None:
        here = allocation.layer(layer)
        order = np.argsort(here.chiplet_of_expert[0], kind="stable")
        name = allocation.method
        note += f", C_T {here.c_t(one):.2f}, imbalance {here.imbalance(one):.2f}"
    with canvas(ax, 0.86) as ax:
        draw_matrix(ax, share[np.ix_(order, order)], vmax=top or 1.0)
        if bar:
            colour_bar(ax, "Tokens that use both (%)", top)
        heading(ax, name if title is None else title, [origin_note(note, trace.origin)])
        if allocation is None:
            thin_ticks(ax, [str(i) for i in order])
            ax.set(xlabel="expert", ylabel="expert")
            return ax
        chiplets = allocation.layer(layer).chiplet_of_expert[0][order]
        edges = np.flatnonzero(np.diff(chiplets, prepend=-1, append=len(allocation.experts)))
        thin = min(0.9, 30.0 / len(edges))  # many frames must not hide what they frame
        for low, high in itertools.pairwise(edges.tolist()):
            box = Rectangle((low - 0.5, low - 0.5), high - low, high - low, fill=False, edgecolor=MARK)
            box.set(linewidth=thin, zorder=3)
            ax.add_patch(box)
        _name_blocks(ax, [allocation.experts[i] for i in chiplets[edges[:-1]]], edges)
        ax.set(xlabel="experts of chiplet", ylabel="experts of chiplet")
        return ax


def _name_blocks(ax: Axes, names: list[str], edges: np.ndarray) -> None:
    """Name each block in its middle, where names fit."""
    thin_ticks(ax, names)
    shown = {int(tick) for tick in ax.get_yticks()}
    middles = [(edges[i] + edges[i + 1] - 1) / 2 for i in range(len(names)) if i in shown]
    texts = [name for i, name in enumerate(names) if i in shown]
    ax.set_xticks(middles, texts)
    ax.set_yticks(middles, texts)


def layout(
    package: Package,
    allocation: Allocation,
    trace: RoutingTrace | None = None,
    ax: Axes | None = None,
    *,
    layer: int = 0,
    vmax: float | None = None,
    bar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw which experts sit on which chiplet (copies in brackets), and how hot each chiplet gets.

    Parameters
    ----------
    package, allocation
        Package and allocation to draw.
    trace
        Whose activations colour the chiplets; none are coloured where ``None``.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    layer
        Index of a layer of the layout and the trace.
    vmax
        Load over the mean chiplet's at the dark end of the scale; 2 or the largest where ``None``.
    bar
        Whether to draw a colour bar.
    title
        Package and method where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    WorkloadError
        If the allocation is of another package.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import RoutingTrace, plot, topology
    >>> package = topology.mesh(1, 2)
    >>> trace = RoutingTrace([[0, 2], [0, 2], [1, 3], [1, 2]], num_experts=4)
    >>> ax = plot.layout(package, Allocation(package.experts, [[0, 1, 0, 1]]), trace)
    >>> ax.figure.axes[1].get_xlabel()
    'Activations of a chiplet, over the mean'
    >>> plt.close(ax.figure)
    """
    allocation.check_fits(package)
    here = allocation.layer(layer)
    fills, notes, top = {}, [], 0.0
    if trace is not None:
        one = trace.layer(layer)
        load = here.load(one).ravel().astype(float)
        heat = load / load.mean()
        top = max(2.0, float(heat.max())) if vmax is None else vmax
        colours = QUANTITY_COLOURS(Normalize(0.0, top)(heat))
        fills = {name: to_hex(colour) for name, colour in zip(allocation.experts, colours, strict=True)}
        figures = f"C_T {here.c_t(one):.2f}, imbalance {here.imbalance(one):.2f}"
        notes = [origin_note(figures, trace.origin)]
    place, lines = arrange(package, gap=0.16)
    with canvas(ax, aspect_of(place) + (0.1 if trace is not None and bar else 0.0)) as ax:
        frame(ax, place, lines)
        heading(ax, f"{package.name}, {allocation.method}" if title is None else title, notes)
        if trace is not None and bar:
            colour_bar(ax, "Activations of a chiplet, over the mean", top, below=True)
        pieces = [piece for pieces in lines for piece in pieces]
        ax.add_collection(LineCollection(pieces, colors=PALE, linewidths=1.5, zorder=1), autolim=False)
        scale = points_per_unit(ax)
        draw_nodes(ax, package, place, scale, coloured=False, fills=fills)
        _write_experts(ax, package, here, place, scale, fills)
        return ax


def _write_experts(
    ax: Axes, package: Package, allocation: Allocation, place: Layout, scale: float, fills: dict[str, str]
) -> None:
    """Write into each box its name and the ids of its experts, where they fit."""
    members: dict[str, list[int]] = {name: [] for name in allocation.experts}
    for expert, chiplet in enumerate(allocation.chiplet_of_expert[0]):
        members[allocation.experts[chiplet]].append(expert)
    for expert, chiplet in allocation.replicas[0]:
        members[allocation.experts[chiplet]].append(-1 - int(expert))
    largest = float(mpl.rcParams["font.size"])
    boxes = 2 * place.half * scale
    holders = {package.index[name]: ids for name, ids in members.items() if ids}
    rows = {
        i: [package.nodes[i].name, *_wrapped([_id_of(e) for e in ids], boxes[i, 0] / boxes[i, 1])]
        for i, ids in holders.items()
    }
    size = min((_size_in(boxes[i], lines) for i, lines in rows.items()), default=0.0)
    if size < SMALLEST_TYPE:  # all ids fit, or none is written
        draw_labels(ax, package, place, scale, fills)
        return
    draw_labels(ax, package, place, scale, fills, but=holders)
    for i, lines in rows.items():
        ax.text(
            float(place.centre[i, 0]),
            float(place.centre[i, 1]),
            "\n".join(lines),
            ha="center",
            va="center",
            fontsize=min(size, largest),
            color=ink_on(fills.get(package.nodes[i].name, "white")),
            linespacing=1.15,
            zorder=4,
        )


def _id_of(expert: int) -> str:
    """Return what an expert is called, one that is a copy in brackets."""
    return str(expert) if expert >= 0 else f"({-1 - expert})"


def _size_in(box: Floats, rows: list[str]) -> float:
    """Return the largest type in points in which rows of text fit a box of that many points."""
    return float(min(0.9 * box[0] / (GLYPH * max(map(len, rows))), 0.75 * box[1] / (1.2 * len(rows))))


def _wrapped(ids: list[str], aspect: float) -> list[str]:
    """Return ids in the rows that allow the largest type in a box of that width over height."""
    box = np.array([aspect, 1.0])
    ways = [
        [" ".join(ids[i : i + per_row]) for i in range(0, len(ids), per_row)]
        for per_row in range(1, len(ids) + 1)
    ]
    return max(ways, key=lambda rows: _size_in(box, ["", *rows]), default=[])
