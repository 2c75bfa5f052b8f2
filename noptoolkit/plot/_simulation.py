"""Simulated routers: latency against load, single latencies, busy channels, saturation beside its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.container import Container

from noptoolkit._arrays import Floats
from noptoolkit._names import resolve
from noptoolkit.drawing.ribbons import ROOMY, arrange
from noptoolkit.errors import NopError
from noptoolkit.plot._channels import IDLE, draw_channels
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._style import (
    INK,
    MUTED,
    OKABE_ITO,
    QUANTITY_COLOURS,
    canvas,
    heading,
    legend_below,
    origin_note,
)
from noptoolkit.simulate import LatencyCurve, Saturation, Simulation

__all__ = ["busy_channels", "latencies", "latency", "saturations"]

Measure = Literal["utilisation", "occupancy", "peak_occupancy"]
LABELS = {
    "utilisation": "Utilisation, simulated (%)",
    "occupancy": "Mean flits in the buffers behind a channel",
    "peak_occupancy": "Most flits in the buffers behind a channel",
}


def latency(
    curve: LatencyCurve, ax: Axes | None = None, *, bound: float | None = None, title: str | None = None
) -> Axes:
    """Draw mean latency against accepted load, with the zero-load latency and a bound of the load.

    Parameters
    ----------
    curve
        Of `noptoolkit.simulate.latency_curve`; loads that are not stable are hollow.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    bound
        Load that no routing exceeds, in flits per cycle and source: a vertical line.
    title
        Heading; topology and routing where ``None``, none where empty.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, simulate, topology
    >>> quick = simulate.Sampling(period=200)
    >>> curve = simulate.latency_curve(topology.mesh(2), "uniform", [0.1, 0.5], sampling=quick)
    >>> ax = plot.latency(curve)
    >>> ax.get_ylabel()
    'Mean latency (cycles)'
    >>> plt.close(ax.figure)
    """
    runs = [run for run in curve.runs if run.packets]
    stable = [run for run in runs if run.stable]
    lost = [run for run in curve.runs if not run.stable]
    first, colour = curve.runs[0], OKABE_ITO["blue"]
    with canvas(ax, 0.62) as ax:
        above = ", those at the upper edge above it" if lost else ""
        grey = "zero load, and the bound of any routing (dashed)" if bound is not None else "zero load"
        note = origin_note(f"simulated; hollow: not stable{above}; grey: {grey}", "")
        heading(ax, f"{first.package.name}, {first.routing}" if title is None else title, [note])
        ax.plot([run.offered for run in stable], [run.latency for run in stable], "o-", color=colour, ms=4)
        top = 1.25 * max((run.latency for run in stable or runs), default=1.0)
        if runs:
            ax.axhline(float(np.mean([run.zero_load for run in runs])), color=MUTED, linewidth=0.8)
        ax.set_ylim(0, top)
        heights = [min(run.latency, top) if run.packets else top for run in lost]
        ax.plot([run.offered for run in lost], heights, "o", mfc="white", color=colour, ms=4, clip_on=False)
        if bound is not None:
            ax.axvline(bound, color=MUTED, linewidth=0.8, linestyle="--")
        ax.set_xlim(left=0)
        ax.set_xlabel("Offered load (flits per cycle and source)")
        ax.set_ylabel("Mean latency (cycles)")
    return ax


def latencies(run: Simulation, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw how many packets had which latency, with mean and 99th percentile.

    Parameters
    ----------
    run
        Of `noptoolkit.simulate.simulate`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Heading; topology and traffic where ``None``, none where empty.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, simulate, topology
    >>> run = simulate.simulate(topology.mesh(2), "uniform", rate=0.2, sampling=simulate.Sampling(period=200))
    >>> ax = plot.latencies(run)
    >>> ax.get_xlabel()
    'Latency (cycles)'
    >>> plt.close(ax.figure)
    """
    bins = run.histogram[:-1] if len(run.histogram) > 1 else run.histogram
    with canvas(ax, 0.62) as ax:
        note = origin_note("simulated; lines: mean, and 99th percentile (dashed)", "")
        heading(ax, f"{run.package.name}, {run.traffic}" if title is None else title, [note])
        ax.bar(np.arange(len(bins)), bins, width=1.0, color=OKABE_ITO["blue"])
        for value, style in ((run.latency, "-"), (float(run.percentile(99)), "--")):
            if np.isfinite(value):
                ax.axvline(value, color=MUTED, linewidth=0.8, linestyle=style)
        ax.set_xlabel("Latency (cycles)")
        ax.set_ylabel("Packets")
    return ax


def busy_channels(
    run: Simulation,
    ax: Axes | None = None,
    *,
    show: Measure = "utilisation",
    vmax: float | None = None,
    bar: bool = True,
    labels: bool = True,
    title: str | None = None,
    physical: bool | None = None,
) -> Axes:
    """Draw how busy each channel of a package was in a simulation, or how full the buffers behind it.

    Each direction of a link has a ribbon of its own, as in `load`: the wider the faster, and the darker the
    busier; channels that carried nothing are grey.

    Parameters
    ----------
    run
        Of `noptoolkit.simulate.simulate`.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    show
        ``utilisation`` (flits carried over flits that the channel can carry), ``occupancy`` or
        ``peak_occupancy`` (mean and largest number of flits in the buffers behind it).
    vmax
        Dark end of the scale, in % or flits; 100 %, or the largest value, where ``None``.
    bar, labels
        Whether to draw a colour bar, and to name nodes.
    title
        Heading; the package's name where ``None``, none where empty.
    physical
        Whether to use the nodes' positions; ``None``: unless the links would be tangled in them.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownNameError
        If there is no such measure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, simulate, topology
    >>> run = simulate.simulate(topology.mesh(2), "uniform", rate=0.2, sampling=simulate.Sampling(period=200))
    >>> ax = plot.busy_channels(run)
    >>> ax.figure.axes[1].get_xlabel()
    'Utilisation, simulated (%)'
    >>> plt.close(ax.figure)
    """
    package = run.package
    values: Floats = resolve(
        show,
        {
            "utilisation": 100.0 * run.utilisation,
            "occupancy": run.occupancy,
            "peak_occupancy": run.peak_occupancy.astype(float),
        },
        "measure of a simulation",
    )
    most = 100.0 if show == "utilisation" else float(values.max(initial=0.0))
    top = (most if vmax is None else vmax) or 1.0
    layout, lines = arrange(package, physical=physical, gap=ROOMY)
    with canvas(ax, aspect_of(layout) + 0.1) as ax:
        frame(ax, layout, lines)
        load = "until done" if run.offered == 0 else f"{run.offered:.3g} flits per cycle and source"
        note = origin_note(f"{run.traffic}, {run.routing}, {load}", "")
        heading(ax, package.name if title is None else title, [note], [f"busiest {run.busiest}"])
        if bar:
            colour_bar(ax, LABELS[show], top, below=True)
        colours = QUANTITY_COLOURS(Normalize(0.0, top)(values))
        colours[run.flits <= 0] = mpl.colors.to_rgba(IDLE)
        scale = points_per_unit(ax)
        draw_channels(ax, package, layout, lines, scale, colours, values)
        draw_nodes(ax, package, layout, scale, coloured=False, fills={})
        if labels:
            draw_labels(ax, package, layout, scale, {})
    return ax


def saturations(
    designs: Mapping[str, Sequence[Saturation]],
    bounds: Sequence[float],
    ax: Axes | None = None,
    *,
    title: str | None = None,
) -> Axes:
    """Draw the load at which router designs saturate on several packages, beside the bound of the flow model.

    Parameters
    ----------
    designs
        For each router design, by name, what `noptoolkit.simulate.saturation` found on each package, in one
        order.
    bounds
        Load that no routing exceeds on each of them, in flits per cycle and source.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    title
        Heading; traffic and routing where ``None``, none where empty.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NopError
        If there are not as many results in every design as bounds, or their packages differ.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import plot, simulate, topology
    >>> quick = simulate.Sampling(period=200)
    >>> found = [simulate.saturation(build(3), "uniform", sampling=quick)
    ...          for build in (topology.mesh, topology.ring)]
    >>> ax = plot.saturations({"8 VCs": found}, [1.33, 1.5])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['mesh-3x3', 'ring-3']
    >>> plt.close(ax.figure)
    """
    names = [[found.runs[0].package.name for found in row] for row in designs.values()]
    if not names or any(row != names[0] for row in names) or len(names[0]) != len(bounds) or not bounds:
        raise NopError(
            f"saturations of {[len(row) for row in names]} packages and {len(bounds)} bounds: give "
            "each router design one result for each package, in one order, and each package its bound"
        )
    height = 0.8 / len(designs)
    place = np.arange(len(bounds))
    handles: list[Artist | Container] = []
    colours = list(OKABE_ITO.values())
    first, new = next(iter(designs.values()))[0].runs[0], ax is None
    with canvas(ax, 0.2 + 0.09 * len(bounds)) as ax:
        note = origin_note("simulated: highest stable load; thin: up to the lowest that is not", "")
        heading(ax, f"{first.traffic}, {first.routing}" if title is None else title, [note])
        for k, (name, row) in enumerate(designs.items()):
            at = place + (k - (len(designs) - 1) / 2) * height
            stable = np.array([found.stable for found in row])
            above = np.array(
                [found.unstable if np.isfinite(found.unstable) else found.stable for found in row]
            )
            handles.append(ax.barh(at, stable, height * 0.9, color=colours[k % len(colours)], label=name))
            ax.hlines(at, stable, above, color=INK, linewidth=0.6)
        handles.append(ax.vlines(bounds, place - 0.45, place + 0.45, color=INK, linewidth=1.4, label="bound"))
        ax.set_yticks(place, names[0])
        ax.invert_yaxis()
        ax.set_xlim(left=0)
        ax.set_xlabel("Load (flits per cycle and source)")
        legend_below(ax, handles, grow=new, under=2.9)
    return ax
