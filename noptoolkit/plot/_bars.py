"""What pictures of bars share: a row for each name, and a figure beside each bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.plot._style import axes_points, small_type

__all__ = ["name_bars", "write_beside"]


def name_bars(ax: Axes, names: Sequence[str], *, shown: bool = True) -> None:
    """Give each of the names a row, the first on top; ``shown`` says whether they are written."""
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_yticks(range(len(names)), list(names) if shown else [""] * len(names))
    ax.tick_params(axis="y", length=0)


def write_beside(ax: Axes, ends: Sequence[float], texts: Sequence[str], *, gap: float = 3.0) -> None:
    """Write a text ``gap`` points behind the end of the bar in each row, and make room for it."""
    size = small_type()
    left = ax.get_xlim()[0]
    across = axes_points(ax)[0]
    room = np.array([min((gap + 2.0 + 0.58 * size * len(text)) / across, 0.7) for text in texts])
    needed = (np.asarray(ends, dtype=float) - left) / (1.0 - room)
    ax.set_xlim(left, left + 1.02 * float(needed.max(initial=0.0)) or 1.0)
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        if text:
            ax.annotate(
                text,
                (end, row),
                (gap, 0),
                textcoords="offset points",
                va="center",
                fontsize=size,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
