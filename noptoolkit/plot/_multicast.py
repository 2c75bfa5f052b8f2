"""The way of one token: which channels carry its copies, and how many each."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from noptoolkit._arrays import Floats
from noptoolkit.drawing.ribbons import ROOMY, arrange
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.flow import FlowResult
from noptoolkit.plot._channels import IDLE, draw_channels
from noptoolkit.plot._load import used_bandwidth
from noptoolkit.plot._nodes import Colour, aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._style import OKABE_ITO, canvas, heading, legend_below, small_type
from noptoolkit.traffic import Traffic

__all__ = ["multicast"]

FEW, MANY = OKABE_ITO["sky"], OKABE_ITO["blue"]


def multicast(
    flow: FlowResult, ax: Axes | None = None, *, legend: bool = True, title: str | None = None
) -> Axes:
    """Draw the way of one token to the chiplets of its experts, or back.

    Parameters
    ----------
    flow
        Congestion of one multicast, one reduction, or copies of one message from or to one endpoint.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    legend
        Whether to explain the colours.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    WorkloadError
        If the traffic is more than one message.
    RoutingError
        If the routing splits it over several ways.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from noptoolkit import plot, topology, traffic
    >>> from noptoolkit.flow import congestion
    >>> package = topology.nop_tree(2, 2)
    >>> demand = np.zeros((5, 5))
    >>> demand[0, 1:] = 1000.0
    >>> ax = plot.multicast(congestion(package, traffic.from_matrix(package, demand)))
    >>> sorted(text.get_text() for text in ax.texts if "×" in text.get_text())
    ['2×', '2×']
    >>> plt.close(ax.figure)
    """
    package = flow.package
    root, members, size = message_of(flow.traffic)
    copies = np.rint(flow.load / size).astype(int)
    if not np.allclose(copies, flow.load / size, atol=1e-3):
        raise RoutingError(
            f"routing {flow.routing!r} splits the token over several ways; take 'shortest', and make one "
            "link of parallel ones"
        )
    layout, lines = arrange(package, gap=ROOMY)
    new = ax is None
    with canvas(ax, aspect_of(layout)) as ax:
        frame(ax, layout, lines)
        used = np.count_nonzero(copies)
        note = f"{len(members)} chiplets: {copies.sum()} copies on {used} channels"
        heading(ax, package.name if title is None else title, [note])
        handles = [
            Patch(facecolor=OKABE_ITO["vermilion"], label="where the token is"),
            Patch(facecolor=MANY, label="chiplet of one of its experts"),
            Patch(facecolor=FEW, label="channel on the path"),
        ]
        if legend:
            legend_below(ax, handles, grow=new)
        colours = np.tile(mpl.colors.to_rgba(IDLE), (len(copies), 1))
        colours[copies > 0] = mpl.colors.to_rgba(FEW)
        scale = points_per_unit(ax)
        ribbons, owner = draw_channels(
            ax, package, layout, lines, scale, colours, copies.astype(float), used_bandwidth(flow)
        )
        fills: dict[str, Colour] = dict.fromkeys(members, MANY)
        fills[root] = OKABE_ITO["vermilion"]
        draw_nodes(ax, package, layout, scale, coloured=False, fills=fills)
        draw_labels(ax, package, layout, scale, fills)
        for ribbon, i in zip(ribbons, owner, strict=True):
            if copies[i] > 1:
                _write_beside(ax, ribbon, f"{copies[i]}×", scale)
        return ax


def _write_beside(ax: Axes, ribbon: Floats, text: str, scale: float) -> None:
    """Write a text on the right of a channel, where its other direction is not."""
    half, size = len(ribbon) // 2, small_type()
    tail, head, wide = (ribbon[0] + ribbon[-1]) / 2, ribbon[half], ribbon[0] - ribbon[-1]
    right = np.array([head[1] - tail[1], tail[0] - head[0]]) / max(float(np.hypot(*(head - tail))), 1e-12)
    room = np.abs(right) @ (0.36 * size * len(text), 0.62 * size) / scale + float(np.hypot(*wide)) / 2
    x, y = tail + 0.36 * (head - tail) + room * right  # nearer the tail: at their heads boxes crowd
    count = ax.text(x, y, text, ha="center", va="center", fontsize=size, fontweight="bold", zorder=5)
    count.set_path_effects([withStroke(linewidth=2.0, foreground="white")])


def message_of(traffic: Traffic) -> tuple[str, list[str], float]:
    """Return the one end, the other ends and the bytes of a traffic that is one message.

    Raises
    ------
    WorkloadError
        If it is more than that.
    """
    names = traffic.endpoints
    found: list[tuple[int, list[int], float]] = []
    for sets in (traffic.multicast, traffic.reduction):
        for i in range(len(sets) if sets is not None else 0):
            assert sets is not None
            reached = np.flatnonzero(sets.contains(len(names))[i])
            found.append((int(sets.root[i]), reached.tolist(), float(sets.bytes[i])))
    sizes = np.unique(traffic.demand[traffic.demand > 0])
    if len(sizes) and np.allclose(sizes / sizes[0], np.rint(sizes / sizes[0])):
        for matrix in (traffic.demand, traffic.demand.T):
            rows = np.flatnonzero(matrix.any(axis=1))
            if len(rows) == 1:
                found.append((int(rows[0]), np.flatnonzero(matrix[rows[0]]).tolist(), float(sizes[0])))
                break
    if len(found) != 1 or (len(sizes) and found[0][2] != sizes[0]):
        raise WorkloadError(
            f"traffic {traffic.name!r} is more than one message; dispatch a trace of one token to draw it"
        )
    root, members, size = found[0]
    return names[root], [names[i] for i in members], size
