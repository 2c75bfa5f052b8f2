"""Operations under the roof of a chiplet: limited by arithmetic, or by the bytes that they move."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.errors import ScheduleError
from noptoolkit.nodes import Work
from noptoolkit.nodes import roofline as place_under_roof
from noptoolkit.package import Chiplet
from noptoolkit.plot._style import (
    INK,
    MUTED,
    OKABE_ITO,
    canvas,
    heading,
    multiple_of,
    plain_numbers,
    quantity,
    small_type,
    with_unit,
)
from noptoolkit.units import Quantity, parse_quantity, unit_of

__all__ = ["roofline"]

COLOURS = [OKABE_ITO[name] for name in ("blue", "vermilion", "green", "orange", "purple", "sky")]
MARKERS = "osD^vP"


def roofline(
    chiplet: Chiplet,
    works: Mapping[str, Work],
    ax: Axes | None = None,
    *,
    bandwidth: Mapping[str, Quantity] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the rate that operations can reach on a chiplet over their arithmetic intensity.

    Parameters
    ----------
    chiplet
        Chiplet whose ``flops`` are the flat part of the roof.
    works
        Operations by name.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    bandwidth
        Slopes of the roof by name, in B/s: ``{"HBM2": "256 GB/s"}``; the chiplet's SRAM where ``None``. The
        operations lie under the first.
    title
        The chiplet's name where ``None``; empty for none.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ScheduleError
        If the chiplet has no rate or there is no bandwidth.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot
    >>> from noptoolkit.nodes import Work
    >>> chiplet = Chiplet("e0", flops="64 TFLOP/s")
    >>> ax = plot.roofline(chiplet, {"expert": Work(flops=1e12, read=1e9)}, bandwidth={"HBM2": "256 GB/s"})
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Arithmetic intensity (FLOP/B)', 'Attainable rate (TFLOP/s)')
    >>> plt.close(ax.figure)
    """
    slopes = {name: parse_quantity(value, "B/s", name) for name, value in (bandwidth or {}).items()}
    if not slopes and chiplet.sram_bandwidth:
        slopes = {"SRAM": chiplet.sram_bandwidth}
    if not chiplet.flops or not slopes:
        raise ScheduleError(
            f"chiplet {chiplet.name!r}: a roof needs flops and a bandwidth; give the chiplet "
            "flops='74 TFLOP/s' and pass bandwidth={'HBM2': '256 GB/s'}"
        )
    first = next(iter(slopes.values()))
    points = {name: place_under_roof(chiplet, work, bandwidth=first) for name, work in works.items()}
    finite = [point.intensity for point in points.values() if 0 < point.intensity < np.inf]
    ridges = [chiplet.flops / slope for slope in slopes.values()]
    low, high = min([*finite, *ridges]) / 6, max([*finite, *ridges]) * 6
    factor, unit = multiple_of(chiplet.flops, unit_of(Chiplet, "flops"))
    with canvas(ax, 0.62) as ax:
        heading(ax, chiplet.name if title is None else title)
        ax.set_xscale("log")
        ax.set_yscale("log")
        for (name, slope), style in zip(slopes.items(), ("-", "--", ":", "-.") * 3, strict=False):
            ridge = chiplet.flops / slope
            ax.plot(
                [low, ridge, high],
                [factor * slope * low, factor * chiplet.flops, factor * chiplet.flops],
                color=INK,
                linewidth=1.0,
                linestyle=style,
                label=f"{name}, {quantity(slope, 'B/s')}",
            )
        for i, (name, point) in enumerate(points.items()):
            at = min(point.intensity, high / 1.6)  # nothing moved: at the right edge
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            label = f"{name}: {point.limit}-bound"
            ax.plot(
                [at], [factor * point.attainable], marker, color=colour, markersize=5, label=label, zorder=3
            )
            ax.vlines(at, 0, factor * point.attainable, color=colour, linewidth=0.6, linestyle=":")
        ax.set_xlim(low, high)
        ax.set_ylim(factor * min(slopes.values()) * low, 3 * factor * chiplet.flops)
        ax.text(
            high,
            1.15 * factor * chiplet.flops,
            quantity(chiplet.flops, "FLOP/s"),
            ha="right",
            fontsize=small_type(),
            color=MUTED,
        )
        ax.set_xlabel("Arithmetic intensity (FLOP/B)")
        ax.set_ylabel(with_unit("Attainable rate", unit))
        plain_numbers(ax)
        ax.legend(loc="lower right", frameon=True, framealpha=1.0, edgecolor="none")
        return ax
