"""What the package map shows of a run: load of each channel by traffic, and the step over time."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives import CollectiveResult
from noptoolkit.flow import FlowResult
from noptoolkit.flow.carried import carried
from noptoolkit.plans import PlanStep
from noptoolkit.plans.groups import coordinates
from noptoolkit.plans.placing import rank_chiplets
from noptoolkit.simulate import Simulation
from noptoolkit.step import StepSchedule
from noptoolkit.units import format_quantity

__all__ = [
    "BINS", "collective_view", "flow_view", "package_view", "plan_view", "simulation_view", "step_view",
]  # fmt: skip

BINS = 120
"""Equal parts of a step that the slider steps through."""

SHOWN = ("pp", "dp", "cp", "tp", "edp", "ep", "etp")
"""Dimensions of a plan, from the outermost."""

MOST_PARTS = 400_000  # parts of loads by node and channel that a view keeps
MOST_NODES = 300  # nodes beyond which loads are not taken apart


def flow_view(flow: FlowResult) -> dict[str, Any]:
    """Return what a flow puts on the channels of its package.

    Loads in B and prices in s per B/s, [channels]; parts of senders and receivers as `flow.carried` has them,
    of each node the channels and bytes that are not 0.
    """
    known = carried(flow) if len(flow.package.nodes) <= MOST_NODES else None
    view: dict[str, Any] = {
        "kind": "flow",
        "load": [_short(value) for value in flow.load.tolist()],
        "price": [_short(value) for value in (flow.dual * flow.time_bound).tolist()],
        "time": flow.time,
        "bound": flow.time_bound,
        "status": flow.status,
        "routing": flow.routing,
        "bottleneck": str(flow.bottleneck),
        "ties": _ties(flow),
    }
    if known is None:
        view["whose"] = "not kept for this routing"
        return view
    parts = int((known.by_sender > 0).sum() + (known.by_receiver > 0).sum())
    if parts > MOST_PARTS:
        view["whose"] = f"{parts:,} parts are too many for a page; ask noptoolkit.flow.carried"
        return view
    view["sent"] = _sparse(known.by_sender, flow.load)
    view["received"] = _sparse(known.by_receiver, flow.load)
    return view


def package_view() -> dict[str, Any]:
    """Return the view of a package without traffic: the map then shows bandwidths."""
    return {"kind": "package", "time": 0.0, "bound": 0.0}


def simulation_view(run: Simulation) -> dict[str, Any]:
    """Return how busy the channels were in a simulation, and what waited in the buffers behind them.

    Utilisations and mean flits, [channels]; carried flits in B.
    """
    names = run.package.channel_names
    most = run.utilisation.max(initial=0.0) * (1 - 1e-6)
    how = f"{run.cycles:,} cycles until all is there" if not run.offered else (
        f"mean latency {run.latency:.4g} cycles, {run.accepted:.4g} of {run.offered:.4g} flits accepted"
        + ("" if run.stable else f", not stable: {run.why}")
    )  # fmt: skip
    return {
        "kind": "simulation",
        "used": [_short(value) for value in run.utilisation.tolist()],
        "load": [_short(value) for value in (run.flits * run.flit_bytes).tolist()],
        "mean": [_short(value) for value in run.occupancy.tolist()],
        "peak": run.peak_occupancy.tolist(),
        "time": run.time,
        "bound": 0.0,
        "bottleneck": run.busiest,
        "ties": [name for name, used in zip(names, run.utilisation, strict=True) if used >= most > 0],
        "said": f"simulated: {how}, busiest {run.busiest}",
    }


def plan_view(plan: PlanStep) -> dict[str, Any]:
    """Return which rank each chiplet is, in which groups, and how long it is busy.

    The model of a plan gives each collective a time, and channels no load.
    """
    package = plan.package
    hosts = rank_chiplets(package)
    place = coordinates(plan.plan)
    dimensions = [name for name in SHOWN if place[name].max(initial=0) > 0]
    share = plan.busy / plan.time if plan.time > 0 else plan.busy
    mean = [0.0] * len(package.nodes)
    facts: list[list[list[str]]] = [[] for _ in package.nodes]
    for rank, host in enumerate(plan.placement.tolist()):
        node, stage = package.index[hosts[host]], int(place["pp"][rank])
        mean[node] = _short(float(share[stage]))
        where = ", ".join(f"{name.upper()} {int(place[name][rank])}" for name in dimensions)
        facts[node] += [["rank", str(rank)], ["place in its groups", where or "alone"]]
        facts[node] += [["busy", f"{share[stage]:.1%} of the step"]]
        if plan.memory is not None:
            facts[node] += [["holds", format_quantity(plan.memory.stages[stage].total, "B")]]
    return {
        "kind": "plan",
        "mean": mean,
        "facts": facts,
        "said": f"{format_quantity(plan.time, 's')}, bound of this plan's passes "
        f"{format_quantity(plan.bound, 's')}",
        "time": plan.time,
        "bound": plan.bound,
    }


def collective_view(best: CollectiveResult) -> dict[str, Any]:
    """Return what a collective puts on the channels of its package, as `flow_view` has it."""
    network = best.network
    prices = best.prices[network.own[network.arc_of_channel]] * best.time_bound
    bandwidth = np.array([channel.bandwidth for channel in best.package.channels])
    busy = best.load / bandwidth
    names = [channel.name for channel in best.package.channels]
    ties = busy >= busy.max(initial=0.0) * (1 - 1e-6) if best.time > 0 else np.zeros(len(busy), bool)
    return {
        "kind": "flow",
        "load": [_short(value) for value in best.load.tolist()],
        "price": [_short(value) for value in prices.tolist()],
        "time": best.time,
        "bound": best.time_bound,
        "status": best.status,
        "routing": best.algorithm,
        "bottleneck": str(best.bottleneck),
        "ties": [name for name, one in zip(names, ties, strict=True) if one],
        "whose": "parts of a buffer that all share, added and copied on the way",
    }


def step_view(plan: StepSchedule) -> dict[str, Any]:
    """Return how busy channels and nodes are over a step, and on average.

    ``busy`` are the shares of `BINS` equal parts of the makespan in 1/250, [resources, bins] as bytes in
    base64: the channels, then the nodes.
    """
    names = [*(c.name for c in plan.package.channels), *(node.name for node in plan.package.nodes)]
    place = {name: i for i, name in enumerate(plan.resources)}
    edges = np.linspace(0.0, plan.makespan or 1.0, BINS + 1)
    share = plan.busy_share(edges)
    mean = np.zeros(len(names))
    over = np.zeros((len(names), BINS))
    for i, name in enumerate(names):
        if name in place:
            mean[i], over[i] = plan.utilisation[place[name]], share[place[name]]
    packed = np.clip(np.rint(250 * over), 0, 250).astype(np.uint8)
    return {
        "kind": "step",
        "mean": [_short(value) for value in mean.tolist()],
        "busy": base64.b64encode(packed.tobytes()).decode(),
        "bins": BINS,
        "time": plan.makespan,
        "bound": plan.lower_bound,
        "routing": plan.routing,
        "status": "schedule",
    }


def _ties(flow: FlowResult) -> list[str]:
    """Return the channels that are as busy as the bottleneck."""
    if flow.time <= 0:
        return []
    busy = flow.utilisation >= flow.utilisation.max(initial=0.0) * (1 - 1e-6)
    return [c.name for c, one in zip(flow.package.channels, busy, strict=True) if one]


def _sparse(parts: Floats, load: Floats) -> list[list[Any]]:
    """Return the channels of each node and their bytes; less than 1e-6 of a channel's load is left out."""
    found = []
    for row in parts:
        there = np.flatnonzero(row > 1e-6 * np.maximum(load, 1e-300))
        found.append([there.tolist(), [_short(value) for value in row[there].tolist()]])
    return found


def _short(value: float) -> float:
    """Return a number with the digits that a page needs."""
    return float(f"{value:.7g}")
