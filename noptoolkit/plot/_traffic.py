"""Bytes between endpoints: as a matrix, or as bars where few send or collect everything."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from noptoolkit._arrays import Floats, Ints
from noptoolkit.plot._matrix import colour_bar, draw_matrix, thin_ticks
from noptoolkit.plot._style import OKABE_ITO, canvas, heading, multiple_of, origin_note, with_unit
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["traffic"]

FEW = 4  # endpoints up to which there is a matrix in any case
MANY = 64  # bars up to which they are parted


def traffic(
    traffic: Traffic, ax: Axes | None = None, *, vmax: float | None = None, title: str | None = None
) -> Axes:
    """Draw a traffic as a matrix of the bytes that each endpoint (row) has for each other (column).

    Where one or two endpoints send (or collect) everything, as in a dispatch, there is a bar for each of the
    others instead.

    A multicast counts once for each of its destinations, a reduction once for each of its sources: what is
    delivered, not what the channels carry. Pairs without traffic stay grey.

    Parameters
    ----------
    traffic
        Traffic to draw.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
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
    bytes_of = traffic.delivered()
    factor, unit = multiple_of(bytes_of, "B")
    top = (float(bytes_of.max()) if vmax is None else vmax) * factor
    sources, sinks = np.flatnonzero(bytes_of.any(axis=1)), np.flatnonzero(bytes_of.any(axis=0))
    if len(bytes_of) > FEW and min(len(sources), len(sinks)) in (1, 2):
        few, many, to = (sources, sinks, True) if len(sources) <= len(sinks) else (sinks, sources, False)
        rows = bytes_of[np.ix_(few, many)] if to else bytes_of[np.ix_(many, few)].T
        return _bars(traffic, few, many, rows, ax, to=to, vmax=vmax, title=title)
    with canvas(ax, 0.86) as ax:
        draw_matrix(ax, factor * bytes_of, vmax=top or 1.0)
        ax.set_xlabel("to")
        ax.set_ylabel("from")
        colour_bar(ax, with_unit("Bytes per pair", unit), top)
        total = f"{format_quantity(bytes_of.sum(), 'B')} in all"
        heading(ax, traffic.name if title is None else title, [origin_note(total, traffic.origin)])
        thin_ticks(ax, traffic.endpoints)
        return ax


def _bars(
    traffic: Traffic,
    few: Ints,
    many: Ints,
    rows: Floats,
    ax: Axes | None,
    *,
    to: bool,
    vmax: float | None,
    title: str | None,
) -> Axes:
    """Draw what one or two endpoints send to (or collect from) many: a bar for each of those."""
    factor, unit = multiple_of(rows.sum(axis=0), "B")
    names = [traffic.endpoints[i] for i in few]
    with canvas(ax, 0.55) as ax:
        bottom = np.zeros(len(many))
        for name, row, colour in zip(names, rows, (OKABE_ITO["blue"], OKABE_ITO["sky"]), strict=False):
            edge = "white" if len(many) <= MANY else "none"
            width = 0.8 if len(many) <= MANY else 1.0
            ax.bar(
                range(len(many)),
                factor * row,
                bottom=bottom,
                width=width,
                color=colour,
                edgecolor=edge,
                linewidth=0.3,
                label=name,
            )
            bottom = bottom + factor * row
        ax.set_xlim(-0.6, len(many) - 0.4)
        if vmax is not None:
            ax.set_ylim(0.0, factor * vmax)
        thin_ticks(ax, [traffic.endpoints[i] for i in many], y=False)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        joined = " and ".join(names)
        ax.set_ylabel(with_unit(f"Bytes from {joined}" if to else f"Bytes to {joined}", unit))
        ax.set_xlabel("to" if to else "from")
        if len(few) > 1:
            ax.legend(loc="upper right", ncols=2)
        total = f"{format_quantity(rows.sum(), 'B')} in all"
        heading(ax, traffic.name if title is None else title, [origin_note(total, traffic.origin)])
        return ax
