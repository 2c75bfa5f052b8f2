"""What the package map shows of a run: load of each channel by traffic, and the step over time."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives import CollectiveResult
from noptoolkit.flow import FlowResult
from noptoolkit.flow.carried import carried
from noptoolkit.package import Package
from noptoolkit.step import StepSchedule

__all__ = ["BINS", "collective_view", "flow_view", "package_view", "step_view"]

BINS = 120
"""Equal parts of a step that the slider steps through."""

MOST_PARTS = 400_000  # parts of loads by node and channel that a view keeps
MOST_NODES = 300  # nodes beyond which loads are not taken apart


def flow_view(flow: FlowResult, title: str) -> dict[str, Any]:
    """Return what a flow puts on the channels of its package.

    Loads in B and prices in s per B/s, [channels]; parts of senders and receivers as `flow.carried` has them,
    of each node the channels and bytes that are not 0.
    """
    known = carried(flow) if len(flow.package.nodes) <= MOST_NODES else None
    view: dict[str, Any] = {
        "title": title,
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


def package_view(_: Package) -> dict[str, Any]:
    """Return the view of a package without traffic: the map then shows bandwidths."""
    return {"title": "package", "kind": "package", "time": 0.0, "bound": 0.0, "status": "", "routing": ""}


def collective_view(best: CollectiveResult) -> dict[str, Any]:
    """Return what a collective puts on the channels of its package, as `flow_view` has it."""
    network = best.network
    prices = best.prices[network.own[network.arc_of_channel]] * best.time_bound
    bandwidth = np.array([channel.bandwidth for channel in best.package.channels])
    busy = best.load / bandwidth
    names = [channel.name for channel in best.package.channels]
    ties = busy >= busy.max(initial=0.0) * (1 - 1e-6) if best.time > 0 else np.zeros(len(busy), bool)
    return {
        "title": best.title,
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
        "title": "whole step",
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
