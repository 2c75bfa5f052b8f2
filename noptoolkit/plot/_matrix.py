"""Square matrices as pictures: one colour scale, names that thin out, a colour bar with its unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage

from noptoolkit._arrays import Floats
from noptoolkit.plot._style import PALE, QUANTITY_COLOURS, axes_points, figure_of, small_type

__all__ = ["colour_bar", "draw_matrix", "thin_ticks"]


def draw_matrix(ax: Axes, values: Floats, *, vmax: float | None = None) -> AxesImage:
    """Draw a matrix, row 0 on top; what is zero stays grey."""
    shown = np.ma.masked_equal(values, 0.0)
    ax.set_facecolor("#F4F4F4")
    image = ax.imshow(
        shown, cmap=QUANTITY_COLOURS, vmin=0.0, vmax=vmax, interpolation="nearest", aspect="equal"
    )
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(PALE)
    ax.tick_params(length=0)
    return image


def thin_ticks(ax: Axes, names: Sequence[str], *, x: bool = True, y: bool = True) -> None:
    """Name rows and columns, every second, fifth, tenth, ... of them where they are many."""
    size = small_type()
    room = min(axes_points(ax))
    longest = max(map(len, names), default=0)
    upright = longest > 2
    ticks = np.arange(len(names))
    for wanted, axis, lying in ((x, ax.xaxis, not upright), (y, ax.yaxis, False)):
        if not wanted:
            axis.set_ticks([])
            continue
        least = len(names) * size * (0.66 * longest + 0.5 if lying else 1.15) / room
        step = next(s for s in (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 256, 10**9) if s >= least)
        axis.set_ticks(ticks[::step], [names[i] for i in ticks[::step]])
    if x and upright:
        ax.tick_params(axis="x", rotation=90)


def colour_bar(axes: Axes | Sequence[Axes], label: str, vmax: float, *, below: bool = False) -> None:
    """Put one colour bar, 0 to ``vmax``, to the right of one or several axes, or below them."""
    several = [axes] if isinstance(axes, Axes) else list(axes)
    figure = figure_of(several[0])
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, vmax or 1.0), QUANTITY_COLOURS),
        ax=several,
        label=label,
        location="bottom" if below else "right",
        aspect=45 if below else 28,
        shrink=0.7 if below else 1.0,
        pad=0.02,
        fraction=0.05,
    )
    bar.outline.set_visible(False)
