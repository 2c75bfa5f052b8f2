"""Published figures beside the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.errors import NopError
from noptoolkit.plot._bars import name_bars, write_beside
from noptoolkit.plot._style import INK, OKABE_ITO, canvas, figure_width, heading, legend_below

__all__ = ["Reproduced", "published"]


class Reproduced(Protocol):
    """One figure: what it is, what was published, what the calibrated model says."""

    @property
    def figure(self) -> str:
        """What it is; times end in ``(s)``."""
        ...

    @property
    def published(self) -> float | None:
        """What was published, ``None`` where only a direction is known."""
        ...

    @property
    def calibrated(self) -> float:
        """What the model says."""
        ...


def published(
    rows: Sequence[Reproduced],
    ax: Axes | None = None,
    *,
    seconds: bool = False,
    title: str = "",
    note: str = "",
) -> Axes:
    """Draw published figures and the model's as pairs of bars, with the residual of each.

    Parameters
    ----------
    rows
        Rows as in ``reproduce_mozart().rows``.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    seconds
        Whether to draw the times (rows that end in ``(s)``) rather than the ratios.
    title, note
        Text over the picture, the note in small type.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NopError
        If no row is of the kind asked for.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from types import SimpleNamespace
    >>> from noptoolkit import plot
    >>> ax = plot.published([SimpleNamespace(figure="Qwen3 C", published=1.92, calibrated=1.90)])
    >>> [text.get_text() for text in ax.texts]
    ['-1.0 %']
    >>> plt.close(ax.figure)
    """
    chosen = [row for row in rows if row.figure.endswith("(s)") == seconds]
    if not chosen:
        raise NopError(f"no {'times' if seconds else 'ratios'} among {len(rows)} figures to draw")
    places = np.arange(len(chosen))
    theirs = np.array([np.nan if row.published is None else row.published for row in chosen])
    ours = np.array([row.calibrated for row in chosen])
    new = ax is None
    with canvas(ax, (0.26 * len(chosen) + 0.6) / figure_width()) as ax:
        heading(ax, title, [note])
        bars = [
            ax.barh(places - 0.19, theirs, height=0.36, color=OKABE_ITO["blue"], label="published"),
            ax.barh(
                places + 0.19, ours, height=0.36, color=OKABE_ITO["orange"], hatch="///", label="modelled"
            ),
        ]
        for container in bars:
            for bar in container:
                bar.set(edgecolor="white", linewidth=0.3)
        name_bars(ax, [row.figure.removesuffix("(s)").strip() for row in chosen])
        off = ours / theirs - 1.0
        residuals = [f"{100 * part:+.1f} %" if np.isfinite(part) else "not published" for part in off]
        write_beside(ax, np.fmax(theirs, ours).tolist(), residuals)
        if not seconds:
            ax.axvline(1.0, color=INK, linewidth=0.6, linestyle=":")
        ax.set_xlabel("Time of a step (s)" if seconds else "Speed-up over the serial step")
        legend_below(ax, bars, grow=new, under=2.9)
        return ax
