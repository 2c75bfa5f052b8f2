"""Lines over sizes and trade-offs: scaling of a family, and C_T against imbalance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from noptoolkit.allocation import Allocation
from noptoolkit.allocation.evidence import LayoutReport
from noptoolkit.errors import UnknownNameError
from noptoolkit.metrics import METRICS
from noptoolkit.plot._bars import name_bars
from noptoolkit.plot._style import (
    MUTED,
    OKABE_ITO,
    PALE,
    canvas,
    figure_width,
    heading,
    legend_below,
    multiple_of,
    origin_note,
    plain_numbers,
    small_type,
    with_unit,
)
from noptoolkit.trace import RoutingTrace

__all__ = ["layouts", "pareto", "scaling"]

COLOURS = [OKABE_ITO[name] for name in ("blue", "vermilion", "green", "orange", "purple", "sky")]
MARKERS = "osD^vP"


def scaling(
    rows: Sequence[Mapping[str, float | str]],
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    by: str = "package",
    bound: str | None = None,
    unit: str | None = None,
    label: str | None = None,
    xlabel: str | None = None,
    title: str = "",
) -> Axes:
    """Draw how a metric grows with size, a line for each family, on logarithmic axes.

    Parameters
    ----------
    rows
        One mapping per run, as `noptoolkit.study.Comparison.rows` has them.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    x, y, by
        Keys: size, metric, and what distinguishes the lines.
    bound
        Key of a bound of ``y``, drawn dashed.
    unit, label
        Base unit and name of ``y``; those of the metric of that name where ``None``.
    xlabel
        Label of the x axis, with its unit; that of the metric of that name where ``None``.
    title
        Title of the picture.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownNameError
        If a row lacks a key.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot
    >>> rows = [{"chiplets": n * n, "family": "mesh", "uniform": n**3 / 4 * 1e-6} for n in (4, 8, 16)]
    >>> ax = plot.scaling(rows, x="chiplets", y="uniform", by="family")
    >>> ax.get_ylabel(), ax.get_yscale()
    ('uniform all-to-all (ms)', 'log')
    >>> plt.close(ax.figure)
    """
    for row in rows:
        for key in (x, y, by, *([bound] if bound else [])):
            if key not in row:
                raise UnknownNameError(f"a row has no {key!r}; it has {', '.join(row)}")
    metric = METRICS.get(y)
    base = unit if unit is not None else metric.unit if metric else ""
    factor, multiple = multiple_of([float(row[y]) for row in rows], base)
    along = METRICS.get(x)
    across, across_unit = multiple_of([float(row[x]) for row in rows], along.unit if along else "")
    with canvas(ax, 0.62) as ax:
        heading(ax, title)
        for i, family in enumerate(dict.fromkeys(str(row[by]) for row in rows)):
            mine = sorted((row for row in rows if str(row[by]) == family), key=lambda row: float(row[x]))
            sizes = [across * float(row[x]) for row in mine]
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            heights = [factor * float(row[y]) for row in mine]
            ax.plot(sizes, heights, color=colour, marker=marker, markersize=3.5, label=family)
            if bound:
                ax.plot(sizes, [factor * float(row[bound]) for row in mine], color=colour, linestyle="--")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        plain_numbers(ax)
        sizes = sorted({across * float(row[x]) for row in rows})
        ax.set_xticks(sizes)
        ax.grid(True, axis="y")
        ax.set_xlabel(xlabel or with_unit(along.title if along else x, across_unit))
        ax.set_ylabel(with_unit(label or (metric.title if metric else y), multiple))
        ax.legend(title=None if not bound else "dashed: lower bound", alignment="left")
        return ax


def pareto(
    layouts: Mapping[str, Allocation],
    trace: RoutingTrace,
    ax: Axes | None = None,
    *,
    held_out: RoutingTrace | None = None,
    title: str | None = None,
) -> Axes:
    """Draw copies per token against the hottest chiplet: what a lower C_T costs in balance.

    Parameters
    ----------
    layouts
        Allocations by the name to call them, such as their load caps.
    trace
        Trace that they were fitted on.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    held_out
        Tokens that the layouts have not seen: hollow marks, joined to the full ones.
    title
        ``Copies against balance`` where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import RoutingTrace, plot
    >>> trace = RoutingTrace([[0, 2], [0, 2], [1, 3], [1, 2]], num_experts=4)
    >>> layout = Allocation(("e0", "e1"), [[0, 1, 0, 1]])
    >>> ax = plot.pareto({"by hand": layout}, trace)
    >>> ax.get_ylabel()
    'C_T: copies sent per token'
    >>> plt.close(ax.figure)
    """
    seen = {name: (one.imbalance(trace), one.c_t(trace)) for name, one in layouts.items()}
    best = _front(list(seen.values()))
    with canvas(ax, 0.62) as ax:
        said = "grey: the best of these layouts for each imbalance"
        held = "; hollow: held-out tokens" if held_out is not None else ""
        notes = [origin_note(said + held, trace.origin)]
        heading(ax, "Copies against balance" if title is None else title, notes)
        ax.plot(*np.array(best).T, color=PALE, linewidth=2.5, drawstyle="steps-post", zorder=1, gid="front")
        for i, (name, (across, up)) in enumerate(seen.items()):
            colour = COLOURS[i % len(COLOURS)]
            if held_out is not None:
                there = layouts[name].imbalance(held_out), layouts[name].c_t(held_out)
                ax.plot([across, there[0]], [up, there[1]], color=colour, linewidth=0.7, zorder=2)
                ax.plot(*there, "o", markersize=5, markerfacecolor="white", markeredgecolor=colour, zorder=3)
            ax.plot(across, up, "o", markersize=5, color=colour, zorder=3)
        for i, point in enumerate(dict.fromkeys(seen.values())):  # equal ones share a mark
            names = ", ".join(name for name, other in seen.items() if other == point)
            away = (5, 3) if i % 2 == 0 else (5, -9)
            ax.annotate(names, point, away, textcoords="offset points", fontsize=small_type())
        ax.margins(0.14)
        ax.grid(True)
        ax.set_xlabel("imbalance: hottest chiplet over the mean")
        ax.set_ylabel("C_T: copies sent per token")
        return ax


def layouts(report: LayoutReport, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw C_T of several layouts: on the tokens they were fitted to (full) and on others (hollow).

    Parameters
    ----------
    report
        Result of `noptoolkit.allocation.compare_layouts`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    places = np.arange(len(report.rows))
    new = ax is None
    with canvas(ax, (0.22 * len(places) + 0.75) / figure_width()) as ax:
        note = origin_note(f"figures: held-out half of the {report.split}s", report.trace.origin)
        heading(ax, report.package.name if title is None else title, [note])
        for value, text, style in ((report.bound, "bound", "-"), (report.random, "random", "--")):
            ax.axvline(value, color=MUTED, linewidth=0.8, linestyle=style, zorder=1)
            ax.annotate(
                text,
                (value, 0.0),
                (2, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=small_type(),
                color=MUTED,
            )
        fitted = np.array([row.fitted for row in report.rows])
        held_out = np.array([row.held_out for row in report.rows])
        colour = COLOURS[0]
        ax.hlines(places, fitted, held_out, color=colour, linewidth=1.2, zorder=2)
        (full,) = ax.plot(fitted, places, "o", markersize=3, color=colour, gid="fitted", label="fitted")
        (hollow,) = ax.plot(
            held_out, places, "o", markersize=6, color=colour, gid="held out", label="held out"
        )
        hollow.set_markerfacecolor("none")  # the other is seen where they nearly agree
        low, high = min(report.bound, fitted.min()), max(report.random, held_out.max())
        ax.set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        name_bars(ax, [textwrap.fill(row.allocation.method, 18) for row in report.rows])
        ax.set_ylim(len(places) - 0.2, -0.6)  # the lines are named under the last row
        figures = [f"{row.held_out:.2f}, imbalance {row.imbalance:.2f}" for row in report.rows]
        for place, text in zip(places, figures, strict=True):  # beside the axes, where no line crosses them
            ax.annotate(
                text,
                (1.0, place),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=small_type(),
                annotation_clip=False,
            )
        ax.set_xlabel("C_T: copies sent per token")
        legend_below(ax, [full, hollow], grow=new, under=2.9)
        return ax


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both, from left to right."""
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front
