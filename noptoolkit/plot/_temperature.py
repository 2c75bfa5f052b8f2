"""How warm a package gets, and where."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from noptoolkit.drawing.layout import place
from noptoolkit.package import Package
from noptoolkit.physical import Temperature
from noptoolkit.plot._nodes import aspect_of
from noptoolkit.plot._style import MUTED, QUANTITY_COLOURS, canvas, figure_of, heading

__all__ = ["temperature"]

FREEZING = 273.15  # K


def temperature(
    package: Package,
    found: Temperature,
    ax: Axes | None = None,
    *,
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the temperature of a package, and the outlines of its nodes in their true size.

    Parameters
    ----------
    package, found
        Package, and its result of `noptoolkit.physical.temperature`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    vmin, vmax
        Ends of the scale, in K; the coolest and the hottest cell where ``None``.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, topology
    >>> from noptoolkit.physical import temperature
    >>> package = topology.mesh(2)
    >>> ax = plot.temperature(package, temperature(package, {"e0": "50 W"}))
    >>> ax.figure.axes[1].get_xlabel(), ax.get_xlabel()
    ('Temperature (°C)', 'x (mm)')
    >>> plt.close(ax.figure)
    """
    cells = found.cells - FREEZING
    rows, columns = cells.shape
    left, bottom = found.origin
    right, top = left + columns * found.cell[0], bottom + rows * found.cell[1]
    with canvas(ax, aspect_of(place(package)) + 0.15) as ax:
        hottest = max(found.of_node, key=lambda name: found.of_node[name])
        mean = found.of_node[hottest] - FREEZING
        note = f"at most {found.hottest - FREEZING:.1f} °C; hottest node {hottest}, mean {mean:.1f} °C"
        heading(ax, package.name if title is None else title, [note])
        image = ax.imshow(
            cells,
            cmap=QUANTITY_COLOURS,
            vmin=None if vmin is None else vmin - FREEZING,
            vmax=None if vmax is None else vmax - FREEZING,
            origin="lower",
            extent=(1e3 * left, 1e3 * right, 1e3 * bottom, 1e3 * top),
            interpolation="bilinear",
        )
        low, high = np.array([left, bottom]), np.array([right, top])
        for node in package.nodes:
            if node.position is not None and node.size is not None:
                (x, y), (width, height) = node.position, node.size
                low = np.minimum(low, [x - width / 2, y - height / 2])
                high = np.maximum(high, [x + width / 2, y + height / 2])
                corner = (1e3 * (x - width / 2), 1e3 * (y - height / 2))
                ax.add_patch(
                    Rectangle(corner, 1e3 * width, 1e3 * height, fill=False, edgecolor=MUTED, linewidth=0.5)
                )
        margin = 0.01 * (high - low)
        ax.set_xlim(*(1e3 * (low - margin)[0], 1e3 * (high + margin)[0]))
        ax.set_ylim(*(1e3 * (low - margin)[1], 1e3 * (high + margin)[1]))
        bar = figure_of(ax).colorbar(
            image, ax=ax, label="Temperature (°C)", location="bottom", pad=0.02, shrink=0.7, aspect=45
        )
        bar.outline.set_visible(False)
        ax.set(xlabel="x (mm)", ylabel="y (mm)")
        return ax
