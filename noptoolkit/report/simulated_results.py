"""What simulations of routers bring to a page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noptoolkit.report.charts import curves
from noptoolkit.report.network_results import add_traffic
from noptoolkit.report.parts import Parts
from noptoolkit.simulate import Check, LatencyCurve, Saturation, Simulation
from noptoolkit.tables import Column
from noptoolkit.units import format_quantity

__all__ = ["add_check", "add_latency", "add_saturation", "add_simulation"]

MOST_LOADS = 12
"""Loads of a curve that the map shows."""


def add_simulation(one: Simulation, parts: Parts) -> None:
    """Add a simulation: its latency in a sentence, how busy its channels were on the map."""
    what = _what(one)
    parts.subtitle = parts.subtitle or f"{what} at {_load(one)}, {_router(one)}"
    parts.sentences.append(_latency_of(one))
    parts.tables.append(replace(one.table(), title=f"{what} at {_load(one)}"))
    parts.show_on_map(one.package, {f"simulated at {_load(one)}": one})
    parts.packages.append(one.package)


def add_latency(one: LatencyCurve, parts: Parts) -> None:
    """Add latency against load: the curve, and the channels at each load on the map."""
    first = one.runs[0]
    _loads(one, parts)
    stable = [run for run in one.runs if run.stable and run.packets]
    if stable:
        last = max(stable, key=lambda run: run.offered)
        parts.sentences.append(
            f"{_on(first)} is stable up to {last.offered:.4g} flits per cycle and source, the highest load "
            f"tried that is; the mean latency there is {last.latency:.1f} cycles, {last.zero_load:.1f} of "
            "them without waiting."
        )
    else:
        parts.sentences.append(f"{_on(first)} is stable at none of the loads tried.")
    parts.sentences.append(SIMULATED)


def add_saturation(one: Saturation, parts: Parts) -> None:
    """Add the search for the load at which a network saturates."""
    runs = tuple(sorted(one.runs, key=lambda run: run.offered))
    _loads(LatencyCurve(np.array([run.offered for run in runs]), runs), parts)
    above = f", and not at {one.unstable:.4g}: {one.why}" if np.isfinite(one.unstable) else ""
    parts.sentences += [
        f"{_on(runs[0])} is stable at {one.stable:.4g} flits per cycle and source{above}.",
        SIMULATED,
    ]


def add_check(one: Check, parts: Parts) -> None:
    """Add a flow beside the simulation of the same bytes on the same routes."""
    name = one.flow.traffic.name or "traffic"
    time, chosen, bound = (format_quantity(value, "s", 4) for value in (one.simulated, one.chosen, one.bound))
    over = one.simulated / one.bound - 1 if one.bound > 0 else 0.0
    parts.subtitle = parts.subtitle or f"flows by {one.flow.routing} routing beside simulated routers"
    parts.sentences.append(
        f"On {one.flow.package.name}, simulated routers take {time} for {name}: {_more(one.optimism)} than "
        f"the {chosen} that its routes take without buffers and arbiters, and {_more(over)} than the {bound} "
        "that no routing beats."
    )
    parts.tables.append(replace(one.table(), title=f"{name}: routes chosen, simulated, and the bound"))
    parts.show_on_map(one.flow.package, {name: one.flow, f"{name}, simulated": one.run})
    add_traffic(one.flow, parts)
    parts.certify(one.flow)
    parts.packages.append(one.flow.package)


SIMULATED = "Latencies are simulated, with these routers and seeds; they are no bounds."


def _loads(one: LatencyCurve, parts: Parts) -> None:
    first = one.runs[0]
    parts.subtitle = parts.subtitle or f"{_what(first)}, {len(one.runs)} loads, {_router(first)}"
    steady = [run for run in one.runs if run.packets]
    rates = [run.offered for run in steady]
    lines = [("mean", rates, [run.latency for run in steady]),
             ("99th percentile", rates, [float(run.percentile(99)) for run in steady]),
             ("without waiting", rates, [run.zero_load for run in steady])]  # fmt: skip
    stable = [run.offered for run in one.runs if run.stable]
    parts.charts.append(
        curves(
            parts.key("latency"),
            f"{_what(first)}: latency of packets, simulated; beyond the last stable load, dashed, it grows "
            "with the length of the run",
            f"Latency of {_what(first)} against offered load", lines,
            x=Column("offered", "offered load, flits per cycle and source"),
            y=Column("latency", "latency in cycles"), table=one.table(),
            dashed=[("last stable load", max(stable))] if stable else (), logarithmic_y=True,
        )
    )  # fmt: skip
    parts.tables.append(replace(one.table(), title=f"{_what(first)}: a row for each load"))
    places = np.unique(np.linspace(0, len(one.runs) - 1, MOST_LOADS).round().astype(int))
    shown = [one.runs[i] for i in places]
    parts.show_on_map(first.package, {f"load {run.offered:.4g}": run for run in shown})
    parts.packages.append(first.package)


def _latency_of(one: Simulation) -> str:
    if not one.offered:
        return (
            f"{_on(one)} is delivered after {one.cycles:,} cycles, {format_quantity(one.time, 's', 4)}; "
            "simulated, not a bound."
        )
    if not one.packets:
        return f"{_on(one)} had no packets to measure at {_load(one)}: nothing is known of its latency."
    low, high = one.interval()
    sure = f", 95 % confident between {low:.2f} and {high:.2f}" if np.isfinite(low) else ""
    state = "is stable" if one.stable else f"is not stable ({one.why})"
    return (
        f"{_on(one)} {state} at {_load(one)}: a packet takes {one.latency:.2f} cycles on average{sure}; "
        f"the busiest channel, {one.busiest}, carries {one.utilisation.max(initial=0.0):.1%} of what it "
        "could. Simulated, not a bound."
    )


def _what(run: Simulation) -> str:
    return f"{run.traffic} traffic on {run.package.name} by {run.routing} routing"


def _more(share: float) -> str:
    return f"{abs(share):.2%} {'more' if share >= 0 else 'less'}"


def _on(run: Simulation) -> str:
    return f"On {run.package.name}, {run.traffic} traffic by {run.routing} routing"


def _load(run: Simulation) -> str:
    return f"{run.offered:.4g} flits per cycle and source" if run.offered else "all at once"


def _router(run: Simulation) -> str:
    return f"{run.router.vcs} virtual channels of {run.router.depth} flits"
