"""What other bandwidths do: time over the bandwidth of a link, upgrades with their ranges, ladders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from noptoolkit.errors import RoutingError
from noptoolkit.flow import BandwidthCurve, Ladder, Upgrade
from noptoolkit.flow.bandwidth_curves import named
from noptoolkit.plot._bars import name_bars, write_beside
from noptoolkit.plot._style import (
    INK,
    MARK,
    OKABE_ITO,
    PALE,
    canvas,
    figure_width,
    heading,
    legend_below,
    multiple_of,
    origin_note,
    quantity,
    small_type,
    with_unit,
)

__all__ = ["bandwidth_curve", "ladder", "upgrades"]

COLOURS = [OKABE_ITO[name] for name in ("vermilion", "blue", "green", "orange", "purple", "sky")]
DENSE = 60
"""Points that are drawn of each piece."""


def bandwidth_curve(curve: BandwidthCurve, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw the time of a traffic over the bandwidth of some links: a colour for each range of one limit.

    Parameters
    ----------
    curve
        Result of `noptoolkit.FlowResult.over_bandwidth`, or the ``curve`` of an upgrade.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Links and package where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    across, bandwidth_unit = multiple_of(curve.bandwidth, "B/s")
    up, time_unit = multiple_of(curve.time, "s")
    new = ax is None
    flow = curve.flow
    with canvas(ax, 0.5) as ax:
        handles: list[Artist] = []
        for i, piece in enumerate(curve.pieces):
            x = np.linspace(piece.low, min(piece.high, float(curve.bandwidth[-1])), DENSE)
            y = 1.0 / (piece.at_zero + piece.slope * x)
            colour = COLOURS[i % len(COLOURS)]
            label = f"limited by {named(piece.limited_by, 1)}"
            (line,) = ax.plot(across * x, up * y, color=colour, linewidth=1.6, label=label, zorder=2)
            handles.append(line)
            if i:
                ax.axvline(across * piece.low, color=PALE, linewidth=0.8, zorder=1)
        if curve.gap > 1e-4:
            (achieved,) = ax.plot(
                across * curve.bandwidth, up * curve.time, "o", color=INK, markersize=2.5, label="achieved"
            )
            handles.append(achieved)
        now = up * curve.bound_at(curve.today)
        ax.plot(across * curve.today, now, "o", color=INK, markersize=4.5, zorder=4, gid="today")
        ax.annotate(
            f"today, {quantity(curve.today, 'B/s')}",
            (across * curve.today, now),
            (5, 5),
            textcoords="offset points",
            fontsize=small_type(),
        )
        ax.set_ylim(0.0, 1.08 * ax.get_ylim()[1])
        ax.grid(True, axis="y")
        kind = "exact" if curve.gap <= 1e-6 else f"lower bound, times within {100 * curve.gap:.2g} %"
        note = f"{flow.traffic.name or 'traffic'}, {flow.routing}, {kind}"
        heading(
            ax,
            f"{named(curve.links)} of {flow.package.name}" if title is None else title,
            [origin_note(note, flow.traffic.origin)],
        )
        ax.set_xlabel(with_unit(f"bandwidth of {curve.links[0]}, per direction", bandwidth_unit))
        ax.set_ylabel(with_unit("time", time_unit))
        legend_below(ax, handles, grow=new, under=3.2)
        return ax


def upgrades(
    results: Upgrade | Sequence[Upgrade], ax: Axes | None = None, *, title: str | None = None
) -> Axes:
    """Draw upgrades as bars: the time solved again, what the price forecasts, and the range where it holds.

    Parameters
    ----------
    results
        Results of `noptoolkit.FlowResult.upgrade` from one package.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    RoutingError
        If the results start from different times.
    """
    several = [results] if isinstance(results, Upgrade) else list(results)
    first = several[0].before
    if any(one.before.time != first.time or one.before.package != first.package for one in several):
        raise RoutingError("the picture shows upgrades of one result; give those that start from the same")
    factor, unit = multiple_of([first.time, *(one.after.time for one in several)], "s")
    after = factor * np.array([one.after.time for one in several])
    held = factor * np.array([one.held_forecast for one in several])
    said = factor * np.array([one.forecast for one in several])
    rows = np.arange(len(several))
    new = ax is None
    with canvas(ax, (0.22 * len(several) + 0.75) / figure_width()) as ax:
        ax.barh(rows, after, height=0.62, color=PALE, edgecolor=INK, linewidth=0.4, gid="solved again")
        today = factor * first.time
        ax.axvline(today, color=INK, linewidth=0.9, zorder=3)
        ax.hlines(rows, held, today, color=MARK, linewidth=2.2, zorder=4, gid="range")
        shown = np.maximum(said, 0.0)
        ax.plot(shown, rows, "D", color=COLOURS[0], markersize=3.5, zorder=5, gid="forecast", clip_on=False)
        names = [f"{named(one.links, 1)} to {quantity(float(one.new[0]), 'B/s')}" for one in several]
        name_bars(ax, names)
        ax.set_xlim(0.0, 1.02 * max(today, after.max(), shown.max()))
        texts = [f"{quantity(one.after.time, 's')}, then {named(one.next_limit, 1)}" for one in several]
        write_beside(ax, np.maximum(after, today).tolist(), texts)
        note = f"{first.traffic.name or 'traffic'}, {first.routing}, today {quantity(first.time, 's')}"
        heading(ax, first.package.name if title is None else title, [origin_note(note, first.traffic.origin)])
        ax.set_xlabel(with_unit("time", unit))
        handles: list[Artist] = [
            Patch(facecolor=PALE, edgecolor=INK, label="solved again"),
            Line2D([], [], color=MARK, linewidth=2.2, label="range in which the price holds"),
            Line2D([], [], color=COLOURS[0], marker="D", markersize=3.5, linestyle="", label="price says"),
            Line2D([], [], color=INK, linewidth=0.9, label="today"),
        ]
        legend_below(ax, handles, grow=new, under=2.9)
        return ax


def ladder(result: Ladder, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw the time over the extra bandwidth spent, with the links that begin to limit at each corner.

    Parameters
    ----------
    result
        Result of `noptoolkit.FlowResult.ladder`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The package's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    RoutingError
        If the ladder has no rung.
    """
    if not result.rungs:
        raise RoutingError(f"{result!r} has nothing to draw")
    rungs = result.rungs
    across, spent_unit = multiple_of([rung.end for rung in rungs], result.unit)
    up, time_unit = multiple_of([rungs[0].time], "s")
    flow = result.flow
    new = ax is None
    with canvas(ax, 0.5) as ax:
        handles: list[Artist] = []
        for i, rung in enumerate(rungs):
            share = np.linspace(0.0, 1.0, DENSE)
            x = rung.start + share * rung.cost
            y = 1.0 / ((1 - share) / rung.time + share / rung.time_after)
            colour = COLOURS[i % len(COLOURS)]
            names = rung.limited_by[: rung.joined] or rung.limited_by
            label = f"{i + 1}: {named(names, 1)}"
            ax.plot(across * x, up * y, color=colour, linewidth=1.6, zorder=2)
            (mark,) = ax.plot(
                across * rung.start, up * rung.time, "o", color=colour, markersize=4.5, zorder=3, label=label
            )
            handles.append(mark)
        ax.set_ylim(0.0, None)
        ax.margins(x=0.02)
        ax.grid(True, axis="y")
        kind = "exact" if result.gap <= 1e-6 else f"within {100 * result.gap:.2g} % of the bound"
        note = f"{flow.traffic.name or 'traffic'}, {flow.routing}; best use of every budget, {kind}; "
        note += "below: what begins to limit at each corner"
        heading(
            ax,
            f"Ladder of bottlenecks, {flow.package.name}" if title is None else title,
            [origin_note(note, flow.traffic.origin)],
        )
        ax.set_xlabel(with_unit("extra bandwidth" if result.unit == "B/s" else "spent", spent_unit))
        ax.set_ylabel(with_unit("time", time_unit))
        legend_below(ax, handles, grow=new, under=3.2)
        return ax
