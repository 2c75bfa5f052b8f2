"""Simulated routers: latency against load, and the latencies of single packets."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.plot._style import MUTED, OKABE_ITO, canvas, heading, origin_note
from noptoolkit.simulate import LatencyCurve, Simulation

__all__ = ["latencies", "latency"]


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
    lost = [run for run in runs if not run.stable]
    first, colour = curve.runs[0], OKABE_ITO["blue"]
    with canvas(ax, 0.62) as ax:
        note = origin_note("simulated; hollow: not stable; grey: zero load, and the bound", "")
        heading(ax, f"{first.package.name}, {first.routing}" if title is None else title, [note])
        ax.plot([run.offered for run in stable], [run.latency for run in stable], "o-", color=colour, ms=4)
        ax.plot(
            [run.offered for run in lost], [run.latency for run in lost], "o", mfc="none", color=colour, ms=4
        )
        if runs:
            ax.axhline(float(np.mean([run.zero_load for run in runs])), color=MUTED, linewidth=0.8)
            ax.set_ylim(0, 1.25 * max((run.latency for run in stable), default=runs[0].latency))
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
