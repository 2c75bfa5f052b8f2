"""A server's throughput against its time per token, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from noptoolkit.plot._style import (
    MUTED,
    OKABE_ITO,
    canvas,
    heading,
    multiple_of,
    origin_note,
    plain_numbers,
    small_type,
    with_unit,
)
from noptoolkit.serving import ServingCurve

__all__ = ["serving"]

COLOURS = [OKABE_ITO[name] for name in ("blue", "vermilion", "green", "orange", "purple", "sky")]


def serving(
    curves: Mapping[str, ServingCurve],
    ax: Axes | None = None,
    *,
    title: str | None = None,
) -> Axes:
    """Draw tokens per second over time per output token: solid where the caches fit, dotted where not.

    Both are means over batches of a size.

    Parameters
    ----------
    curves
        Curves by name. Their knees are circles; scheduled batches have a dot; first and last batch are named.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Model and context of the first curve where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    longest = max(point.token_time for curve in curves.values() for point in curve.points)
    factor, unit = multiple_of(longest, "s")
    with canvas(ax, 0.62) as ax:
        if title is None and curves:
            first = next(iter(curves.values()))
            title = f"{first.server.workload.model.name}, context {first.context}"
        said = "numbers: sequences at once; dots: scheduled; ring: knee; dotted: caches do not fit"
        origins = [curve.server.workload.origin for curve in curves.values()]
        origin = next((one for one in origins if one != "recorded"), "recorded")
        heading(ax, title or "", [origin_note(said, origin)])
        ax.set_xscale("log")
        ax.set_yscale("log")
        for (name, curve), colour in zip(curves.items(), COLOURS * 4, strict=False):
            points = curve.points
            slower = [point.mean / point.step for point in points]  # the mean batch over the trace's own
            x = [factor * point.token_time * by for point, by in zip(points, slower, strict=True)]
            y = [point.rate / by for point, by in zip(points, slower, strict=True)]
            fits = sum(point.fits for point in points)  # batches rise: those that fit come first
            ax.plot(x, y, ":", color=colour, linewidth=1.0)
            ax.plot(x[:fits], y[:fits], "-", color=colour, linewidth=1.6, label=name)
            known = [i for i, point in enumerate(points) if point.scheduled]
            ax.plot([x[i] for i in known], [y[i] for i in known], ".", color=colour, markersize=4)
            knee = points.index(curve.knee)
            ax.plot(x[knee], y[knee], "o", color=colour, markersize=7, markerfacecolor="none")
            for i in sorted({0, len(points) - 1}):
                ax.annotate(
                    f"{points[i].batch}",
                    (x[i], y[i]),
                    textcoords="offset points",
                    xytext=(4, -8),
                    fontsize=small_type(),
                    color=MUTED,
                )
        ax.set_xlabel(with_unit("Time per output token", unit))
        ax.set_ylabel("Output tokens (1/s)")
        plain_numbers(ax)
        ax.margins(0.08, 0.12)
        ax.legend(loc="upper left", frameon=False, fontsize=small_type())
        return ax
