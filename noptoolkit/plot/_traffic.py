"""Who sends how much to whom, as a matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from noptoolkit._arrays import Floats
from noptoolkit.plot._matrix import colour_bar, draw_matrix, thin_ticks
from noptoolkit.plot._style import canvas, heading, multiple_of, origin_note, with_unit
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["traffic"]


def traffic(
    traffic: Traffic, ax: Axes | None = None, *, vmax: float | None = None, title: str | None = None
) -> Axes:
    """Draw a traffic as a matrix of the bytes that each end point (row) has for each other (column).

    A multicast counts once for each of its destinations, a reduction once for each of its sources: what is
    delivered, not what the channels carry. Pairs without traffic stay grey.

    Parameters
    ----------
    traffic
        What to draw.
    ax
        Where; a new figure of the active `style` where ``None``.
    vmax
        Bytes at the dark end of the scale; the largest entry where ``None``.
    title
        The traffic's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import Chiplet, Link, Package
    >>> from noptoolkit.traffic import from_matrix
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> from noptoolkit import plot
    >>> ax = plot.traffic(from_matrix(pair, [[0, 2e6], [1e6, 0]]))
    >>> ax.figure.axes[1].get_ylabel()
    'Bytes per pair (MB)'
    >>> plt.close(ax.figure)
    """
    bytes_of = delivered(traffic)
    factor, unit = multiple_of(bytes_of, "B")
    top = (float(bytes_of.max()) if vmax is None else vmax) * factor
    with canvas(ax, 0.86) as ax:
        draw_matrix(ax, factor * bytes_of, vmax=top or 1.0)
        ax.set_xlabel("to")
        ax.set_ylabel("from")
        colour_bar(ax, with_unit("Bytes per pair", unit), top)
        total = f"{format_quantity(bytes_of.sum(), 'B')} in all"
        heading(ax, traffic.name if title is None else title, [origin_note(total, traffic.origin)])
        thin_ticks(ax, traffic.endpoints)
        return ax


def delivered(traffic: Traffic) -> Floats:
    """Return the bytes that each end point has for each other, multicasts and reductions included."""
    total = np.array(traffic.demand, dtype=float)
    for sets, reverse in ((traffic.multicast, False), (traffic.reduction, True)):
        if sets is None or not len(sets):
            continue
        reached = sets.contains(len(traffic.endpoints))
        for root in np.unique(sets.root):
            mine = sets.root == root
            part = sets.bytes[mine] @ reached[mine]
            if reverse:
                total[:, root] += part
            else:
                total[root] += part
    return total
