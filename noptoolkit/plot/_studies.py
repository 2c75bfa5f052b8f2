"""Studies: a Pareto front, parallel coordinates, and every pair of columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from noptoolkit._arrays import Bools, Floats
from noptoolkit.errors import NopError
from noptoolkit.plot._style import (
    INK,
    MARK,
    MUTED,
    PALE,
    QUANTITY_COLOURS,
    canvas,
    canvas_grid,
    figure_of,
    figure_width,
    heading,
    multiple_of,
    small_type,
    with_unit,
)
from noptoolkit.studies import Front, Study

__all__ = ["front", "parallel_coordinates", "scatter_matrix"]

MOST_AXES = 8
MOST_PANELS = 5
MOST_NAMED = 6
MOST_LEVELS = 12
BARS = 16
ABSENT = -0.14
"""Height on parallel axes of points that do not have a parameter."""

DECADES = 30.0
"""Largest over smallest value from which on an axis is logarithmic."""


@dataclass(frozen=True)
class _Scale:
    """A column made for drawing: numbers, or levels of text."""

    name: str
    label: str
    values: Floats
    levels: tuple[str, ...]
    log: bool

    @property
    def shares(self) -> Floats:
        """Values as shares of the way from the least to the largest; NaN where a point has none."""
        held = np.log(self.values) if self.log else self.values
        low, high = np.nanmin(held), np.nanmax(held)
        found: Floats = (
            (held - low) / (high - low) if high > low else np.where(np.isfinite(held), 0.5, np.nan)
        )
        return found

    def bins(self) -> Floats:
        """Return the ends of the bars that count the values."""
        low, high = float(np.nanmin(self.values)), float(np.nanmax(self.values))
        if self.levels or low == high:
            return np.arange(low - 0.25, high + 0.5, 0.5)
        return np.geomspace(low, high, BARS + 1) if self.log else np.linspace(low, high, BARS + 1)

    def limits(self) -> tuple[float, float]:
        """Return the ends of an axis that shows all values."""
        low, high = float(np.nanmin(self.values)), float(np.nanmax(self.values))
        if self.log:
            by = (high / low) ** 0.06
            return low / by, high * by
        by = 0.4 if self.levels else 0.06 * (high - low) or 0.5
        return low - by, high + by

    def ends(self) -> tuple[str, str]:
        """Return the least and the largest value as text."""
        return f"{np.nanmin(self.values):.4g}", f"{np.nanmax(self.values):.4g}"


def front(result: Front, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw the Pareto front of a study over its first two goals, the dominated points behind it.

    Parameters
    ----------
    result
        Result of `noptoolkit.studies.pareto_front`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        The study's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NopError
        If the front has one goal only.
    """
    if len(result.goals) < 2:
        raise NopError("the picture of a front needs two goals or more")
    study, goals = result.study, result.goals[:2]
    across, up = (_scale(study, goal.name, np.ones(len(study.rows), bool)) for goal in goals)
    best = result.on_front
    with canvas(ax, 0.62) as ax:
        said = ", ".join(map(str, result.goals))
        notes = [f"{int(best.sum())} of {len(study.rows)} points on the front of {said}"]
        if len(result.goals) > 2:
            notes.append("the front is that of all goals: in two of them some of its points are behind")
        heading(ax, study.name if title is None else title, notes)
        x, y = across.values, up.values
        ax.plot(
            x[~best],
            y[~best],
            "o",
            color=MUTED,
            alpha=0.5,
            markersize=2.5,
            gid="dominated",
            label="dominated",
        )
        order = np.flatnonzero(best)[np.lexsort((goals[1].sign * y[best], goals[0].sign * x[best]))]
        if len(result.goals) == 2:
            ax.plot(
                x[order], y[order], color=PALE, linewidth=2.5, drawstyle="steps-post", zorder=1, gid="line"
            )
        ax.plot(
            x[order], y[order], "o", color=MARK, markersize=4.5, zorder=3, gid="front", label="on the front"
        )
        _name_points(ax, study, order, x, y, {goal.name for goal in result.goals})
        for axis, scale in ((ax.xaxis, across), (ax.yaxis, up)):
            _prepare(axis, scale)
        ax.set_xlabel(across.label)
        ax.set_ylabel(up.label)
        ax.grid(True)
        ax.margins(0.08)
        if not best.all():
            ax.legend(loc="best", fontsize=small_type())
        return ax


def parallel_coordinates(
    study: Study,
    ax: Axes | None = None,
    *,
    names: Sequence[str] | None = None,
    colour: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw every point of a study as a line over one axis for each parameter and metric.

    Each axis runs from the least value, below, to the largest, above; that of the colour has it beside.

    Parameters
    ----------
    study
        Study, see `noptoolkit.studies.read_study`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    names
        Parameters and metrics, up to 8 of those that vary where ``None``.
    colour
        Which of them colours the lines; the last one where ``None``.
    title
        The study's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NopError
        If fewer than two parameters and metrics vary.
    """
    scales, kept, left_out = _scales(study, names, MOST_AXES)
    chosen = next((s for s in scales if s.name == colour), None) if colour else scales[-1]
    if chosen is None:
        raise NopError(f"colour={colour!r} is none of the axes: {', '.join(s.name for s in scales)}")
    places = np.arange(len(scales))
    heights = np.nan_to_num(np.stack([scale.shares for scale in scales], axis=1), nan=ABSENT)
    order = np.argsort(-heights[:, scales.index(chosen)], kind="stable")  # the least values on top
    lines = [np.column_stack([places, heights[i]]) for i in order]
    with canvas(ax, 0.5) as ax:
        notes = [f"{kept} points, a line each; darker: larger {chosen.name.removeprefix('params.')}"]
        notes += [f"{left_out} without all values left out"] if left_out else []
        heading(ax, study.name if title is None else title, notes)
        width = float(np.clip(60.0 / np.sqrt(kept) / 10.0, 0.4, 1.4))
        drawn = LineCollection(lines, cmap=QUANTITY_COLOURS, linewidths=width, alpha=0.85, zorder=2)
        drawn.set_array(heights[order, scales.index(chosen)])
        drawn.set_clim(0.0, 1.0)
        ax.add_collection(drawn)
        at = scales.index(chosen)
        strip = np.linspace(0.0, 1.0, 129)
        ax.pcolormesh(
            [at + 0.04, at + 0.09],
            strip,
            (strip[:-1, None] + strip[1:, None]) / 2,
            cmap=QUANTITY_COLOURS,
            zorder=1,
        )
        for place, scale in zip(places, scales, strict=True):
            ax.vlines(place, 0.0, 1.0, color=INK, linewidth=0.6, zorder=3)
            _write_ends(ax, float(place), scale)
        ax.set_xlim(-0.15, len(scales) - 0.6)
        ax.set_ylim(ABSENT - 0.04 if (heights < 0).any() else -0.08, 1.08)
        ax.set_xticks(places, [_lines(scale.label, 14) for scale in scales])
        ax.yaxis.set_visible(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
        return ax


def scatter_matrix(
    study: Study,
    axes: Sequence[Axes] | None = None,
    *,
    names: Sequence[str] | None = None,
    colour: str | None = None,
    title: str | None = None,
) -> list[Axes]:
    """Draw every pair of a study's parameters and metrics, and how often each value occurs.

    Parameters
    ----------
    study
        Study, see `noptoolkit.studies.read_study`.
    axes
        One for each pair of columns, row by row; a new figure of the active `style` where ``None``.
    names
        Parameters and metrics, up to 5 of those that vary where ``None``.
    colour
        Parameter or metric that colours the points; none where ``None``.
    title
        The study's name where ``None``; empty for none.

    Returns
    -------
    list of matplotlib.axes.Axes
        Row by row; those above the diagonal are empty.

    Raises
    ------
    NopError
        If fewer than two parameters and metrics vary, or ``axes`` has another number.
    """
    scales, kept, left_out = _scales(study, names, MOST_PANELS)
    count = len(scales)
    tint: Floats | None = None
    if colour is not None:
        tint = _scale(study, colour, _usable(study, [s.name for s in scales])).shares
    with canvas_grid(axes, count, [0.9 / count] * count, 0.06) as grid:
        if len(grid) != count * count:
            raise NopError(f"{count} columns make {count * count} pairs, not {len(grid)} axes")
        for i, row in enumerate(scales):
            for j, column in enumerate(scales):
                ax = grid[i * count + j]
                if j > i:
                    ax.axis("off")
                elif i == j:
                    ax.hist(
                        column.values, bins=column.bins().tolist(), color=PALE, edgecolor=MUTED, linewidth=0.4
                    )
                    ax.yaxis.set_visible(False)
                else:
                    given = {"color": MARK} if tint is None else {"c": tint, "cmap": QUANTITY_COLOURS}
                    ax.scatter(column.values, row.values, s=5, linewidths=0, alpha=0.8, **given)
                    _prepare(ax.yaxis, row)
                _prepare(ax.xaxis, column)
                ax.set_xlim(column.limits())
                ax.tick_params(
                    labelsize=small_type() - 1, labelleft=j == 0 and i > 0, labelbottom=i == count - 1
                )
                if i == count - 1:
                    ax.set_xlabel(_lines(column.label, 90 // count), fontsize=small_type())
                    ax.tick_params(axis="x", labelrotation=90 if column.levels else 0)
                if j == 0 and i > 0:
                    ax.set_ylabel(_lines(row.label, 90 // count), fontsize=small_type())
        told = f"{kept} points" + (f", {left_out} without all values left out" if left_out else "")
        told += f"; darker: larger {colour.removeprefix('params.')}" if colour else ""
        named = study.name if title is None else title
        figure_of(grid[0]).suptitle(
            f"{named}: {told}" if named else told, x=0.01, ha="left", fontsize="medium"
        )
        return grid[: count * count]


def _scales(study: Study, names: Sequence[str] | None, most: int) -> tuple[list[_Scale], int, int]:
    """Return the columns to draw, and how many points have all of them, and how many not."""
    if names is None:
        metrics = [name for name in study.metrics if _varies(study, name)]
        room = max(most - len(metrics), 1)
        names = [*study.varying[:room], *metrics][:most]
    kept = _usable(study, names)
    if len(names) < 2 or kept.sum() < 1:
        raise NopError(
            f"study {study.name!r}: a picture needs two parameters or metrics that vary, and points"
        )
    return [_scale(study, name, kept) for name in names], int(kept.sum()), int((~kept).sum())


def _varies(study: Study, name: str) -> bool:
    held = study.numbers(name)
    held = held[np.isfinite(held)]
    return held.size > 1 and bool(held.min() < held.max())


def _usable(study: Study, names: Sequence[str]) -> Bools:
    kept = np.array([not row.error for row in study.rows], bool)
    for name in names:
        if name in study.metrics:  # a parameter of some points only is drawn as such
            kept &= np.isfinite(study.numbers(name))
    return kept


def _scale(study: Study, name: str, kept: Bools) -> _Scale:
    about = study.known.get(name)
    held = study.numbers(name)[kept]
    values = [value for value, ok in zip(study.values(name), kept, strict=True) if ok]
    title = about.title if about is not None else name
    if not np.isfinite(held).any():
        levels = tuple(dict.fromkeys(str(value) for value in values))
        levels = tuple(level for level in levels if level != "None")
        places = np.array([levels.index(str(v)) if v is not None else np.nan for v in values], float)
        return _Scale(name, title, places, levels, False)
    factor, unit = multiple_of(held, about.unit if about else "")
    low, high = float(np.nanmin(held)), float(np.nanmax(held))
    log = low > 0 and high / low > DECADES
    label = with_unit(title, unit)
    return _Scale(name, label, factor * held, (), log)


def _prepare(axis: object, scale: _Scale) -> None:
    """Give an axis the ticks of a column."""
    ax = axis.axes  # type: ignore[attr-defined]
    across = axis is ax.xaxis
    if scale.levels:
        shown = scale.levels[:MOST_LEVELS]
        (ax.set_xticks if across else ax.set_yticks)(
            range(len(shown)), [textwrap.shorten(s, 14) for s in shown]
        )
    elif scale.log:
        (ax.set_xscale if across else ax.set_yscale)("log")
        near = np.nanmax(scale.values) < 200.0 * np.nanmin(scale.values)
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if near else (1.0,)))  # type: ignore[attr-defined]
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # type: ignore[attr-defined]
        axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]
    else:
        axis.set_major_locator(MaxNLocator(4))  # type: ignore[attr-defined]


def _write_ends(ax: Axes, place: float, scale: _Scale) -> None:
    """Write the ends of an axis of parallel coordinates, or the levels of text."""
    size: dict[str, Any] = {"fontsize": small_type(), "color": INK}
    if scale.levels:
        shares = scale.shares
        for i, level in enumerate(scale.levels[:MOST_LEVELS]):
            height = float(shares[scale.values == i][0])
            ax.annotate(
                level, (place, height), (3, 0), textcoords="offset points", va="center", zorder=4, **size
            )
        return
    low, high = scale.ends()
    if np.isnan(scale.values).any():
        ax.annotate("none", (place, ABSENT), (3, 0), textcoords="offset points", va="center", **size)
    ax.annotate(low, (place, 0.0), (0, -3), textcoords="offset points", ha="center", va="top", **size)
    high += " (log)" if scale.log else ""
    ax.annotate(high, (place, 1.0), (0, 3), textcoords="offset points", ha="center", va="bottom", **size)


def _name_points(
    ax: Axes, study: Study, order: Sequence[int] | np.ndarray, x: Floats, y: Floats, goals: set[str]
) -> None:
    """Write the parameters of some points of a front beside them."""
    names = [name for name in study.varying if name not in goals]
    places = list(order) if len(order) <= MOST_NAMED else [order[0], order[len(order) // 2], order[-1]]
    for i in places:
        held = [study.rows[i].point.get(name) for name in names]
        said = textwrap.shorten(", ".join(str(value) for value in held if value is not None), 44)
        if said and (figure_width() > 5.0 or len(said) < 16):
            ax.annotate(
                said, (x[i], y[i]), (5, 5), textcoords="offset points", fontsize=small_type(), color=MARK
            )


def _lines(label: str, width: int) -> str:
    """Return a name in lines, broken between its words."""
    return textwrap.fill(label.replace("_", " "), width)
