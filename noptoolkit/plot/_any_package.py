"""How far packages are from any package; widths of links against what they carry."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter

from noptoolkit.flow import BestWidths
from noptoolkit.plot._style import (
    INK,
    MUTED,
    OKABE_ITO,
    PALE,
    canvas,
    heading,
    legend_below,
    multiple_of,
    quantity,
    small_type,
    with_unit,
)
from noptoolkit.study.best_package import BestPackage
from noptoolkit.study.distances import Distances

__all__ = ["best_packages", "bound_distances", "widths"]

COLOURS = [OKABE_ITO[name] for name in ("blue", "vermilion", "green", "orange", "purple", "sky")]
MARKS = "osD^vP*X"
SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


def bound_distances(distances: Distances, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw how far families are from any package with their ports: a line for each family over its sizes.

    Parameters
    ----------
    distances
        Result of `noptoolkit.study.distances_to_bound`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        What it shows where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    new = ax is None
    with canvas(ax, 0.55) as ax:
        handles = []
        for k, family in enumerate(dict.fromkeys(row.family for row in distances.rows)):
            rows = sorted(
                (row for row in distances.rows if row.family == family), key=lambda row: row.chiplets
            )
            (line,) = ax.plot(
                [row.chiplets for row in rows],
                [row.ratio for row in rows],
                color=COLOURS[k % len(COLOURS)],
                marker=MARKS[k % len(MARKS)],
                linestyle="-" if k < len(COLOURS) else "--",
                markersize=4.5,
                linewidth=1.2,
                label=family.replace("_", " "),
            )
            handles.append(line)
        ax.axhline(1.0, color=INK, linewidth=1.2, zorder=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        low, high = ax.get_xlim()
        ax.xaxis.set_major_locator(FixedLocator([size for size in SIZES if low <= size <= high]))
        most = max(row.ratio for row in distances.rows)
        ticks = [1, 1.2, 1.5, 2, 3, 4, 6, 8, 10, 20, 50, 100]
        ax.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= 1.1 * most]))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
            axis.set_minor_locator(FixedLocator([]))
        ax.set_ylim(0.96, 1.12 * most)
        ax.grid(True, axis="y", color=PALE, linewidth=0.6)
        ax.set_xlabel("chiplets (number)", color=INK)
        ax.set_ylabel("time / bound (ratio)", color=INK)
        said = "Distance to any package of the same ports" if title is None else title
        heading(ax, said, ["uniform all-to-all, best routing; at 1 no package of these ports is faster"])
        legend_below(ax, handles, grow=new, under=3.3)
        return ax


def best_packages(answer: BestPackage, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw how far the packages of an answer are from any package, in both conventions of die edge.

    Parameters
    ----------
    answer
        One result of `noptoolkit.study.best_package`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The workload where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    new = ax is None
    with canvas(ax, 0.09 + 0.062 * len(answer.contenders)) as ax:
        places = np.arange(len(answer.contenders))
        handles = []
        for k, (like, text) in enumerate((("chiplet edge", "switches free"), ("all edge", "all dies pay"))):
            times = [one.times[like] for one in answer.contenders]
            ratios = [time / answer.bound(like) if isinstance(time, float) else 0.0 for time in times]
            bars = ax.barh(
                places + 0.2 * (2 * k - 1),
                ratios,
                height=0.36,
                color=COLOURS[k],
                edgecolor=INK,
                linewidth=0.4,
                label=f"equal {like}, {text}",
            )
            handles.append(bars)
            for place, ratio, time in zip(places.tolist(), ratios, times, strict=True):
                said = quantity(time, "s") if isinstance(time, float) else time.reason
                ax.annotate(
                    f"{ratio:.2f} x, {said}",
                    (ratio, place + 0.2 * (2 * k - 1)),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=small_type(),
                    color=INK,
                )
        ax.axvline(1.0, color=INK, linewidth=1.4)
        ax.set_ylim(len(places) - 0.4, -0.6)
        ax.set_yticks(places, [one.name for one in answer.contenders])
        ax.tick_params(axis="y", length=0)
        ax.set_xlim(0.0, 1.35 * ax.get_xlim()[1])
        ax.set_xlabel("dispatch + combine / bound over all topologies (ratio)", color=INK)
        said = f"Best package for {answer.workload.name}" if title is None else title
        heading(ax, said, ["one layout; at 1 no package of these chiplets is faster, whatever its links"])
        legend_below(ax, handles, grow=new, under=3.3)
        return ax


def widths(found: BestWidths, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw the width of each link against its load, before and after its bandwidth is as it should be.

    Links on the line through the origin are full at the same time.

    Parameters
    ----------
    found
        Result of `noptoolkit.whatif.rewiden` or `noptoolkit.flow.best_widths`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The package where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    new = ax is None
    with canvas(ax, 0.6) as ax:
        flows = (found.before[0], found.after[0])
        chosen = set(np.flatnonzero(np.asarray(found.choices.lanes.sum(axis=1)).ravel() > 0).tolist())
        points = []
        for flow in flows:
            package = flow.package
            wide, busy = [], []
            for i, channel in enumerate(package.channels):
                if 2 * channel.link + (channel.tail != package.links[channel.link].a) in chosen:
                    wide.append(channel.bandwidth)
                    busy.append(float(flow.load[i]))
            points.append((np.array(busy), np.array(wide)))
        across, load_unit = multiple_of(np.concatenate([busy for busy, _ in points]), "B")
        up, width_unit = multiple_of(np.concatenate([wide for _, wide in points]), "B/s")
        handles = []
        for (load, width), flow, colour, mark, when in zip(
            points, flows, (MUTED, COLOURS[1]), "so", ("as given", "best widths"), strict=True
        ):
            size = 26 if mark == "s" else 15
            handles.append(
                ax.scatter(
                    across * load,
                    up * width,
                    size,
                    facecolor="none" if mark == "s" else colour,
                    edgecolor=colour,
                    marker=mark,
                    linewidth=0.9,
                    label=f"{when}, {quantity(flow.time, 's')}",
                    zorder=3,
                )
            )
            far = across * float(load.max(initial=0.0))
            ax.plot([0, far], [0, up * far / across / flow.time], color=colour, linewidth=0.8, zorder=1)
        ax.set_xlim(0.0, None)
        ax.set_ylim(0.0, None)
        ax.grid(True, color=PALE, linewidth=0.6)
        ax.set_xlabel(with_unit("load of a channel", load_unit), color=INK)
        ax.set_ylabel(with_unit("bandwidth", width_unit), color=INK)
        said = f"Widths of {found.package.name}" if title is None else title
        name = found.before[0].traffic.name or "traffic"
        heading(ax, said, [f"{name}; a line is a time: channels on it are full, those above have room"])
        legend_below(ax, handles, grow=new, under=3.3)
        return ax
