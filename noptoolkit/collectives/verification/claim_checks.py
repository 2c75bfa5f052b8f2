"""What a `CollectiveResult` says in words and single numbers, held against the rest of it."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit.collectives.values.theorems import (
    CONCURRENT,
    EDMONDS,
    GIVEN,
    NOTHING,
    OPEN,
    PARTITIONS,
    STREAM,
    TREES,
    TUTTE,
)
from noptoolkit.package import Chiplet, Memory, Package

if TYPE_CHECKING:
    from noptoolkit.collectives.result import CollectiveResult

__all__ = ["capacities_of", "claim_faults", "moves_bytes", "number_faults"]

SERVED = {
    EDMONDS: ("broadcast", "reduce", "all-gather", "reduce-scatter"),
    STREAM: ("scatter", "gather", "send"),
    CONCURRENT: ("all-to-all",),
    TUTTE: ("all-reduce",),
    PARTITIONS: ("all-reduce",),
}
"""Kinds of which each statement about one collective may be made."""


def moves_bytes(result: CollectiveResult) -> bool:
    """Return whether any byte has to move."""
    return any(bool(r.pair_bytes().any()) if r.motion == "exchange" else r.size > 0 for r in result.requests)


def capacities_of(package: Package) -> dict[str, float]:
    """Return the capacity of every channel (parallel ones under the first one's name), crossbar and port."""
    found: dict[str, float] = {}
    lead: dict[object, tuple[str, str]] = {}  # name, and the tail that counts where both ways share
    channels = iter(package.channels)
    for link in package.links:
        for tail, head, width in (
            (link.a, link.b, link.bandwidth),
            (link.b, link.a, link.backward_bandwidth),
        ):
            if width > 0:
                name = next(channels).name
                key = frozenset((tail, head)) if link.half_duplex else (tail, head)
                name, counts = lead.setdefault(key, (name, tail))
                if counts == tail:
                    found[name] = found.get(name, 0.0) + width
    for node in package.nodes:
        if isinstance(node, Memory):
            found[f"{node.name} port"] = node.bandwidth
            continue
        if node.crossbar_bandwidth is not None:
            found[f"{node.name} crossbar"] = node.crossbar_bandwidth
        if isinstance(node, Chiplet):
            for port, limit in (
                ("injection", node.injection_bandwidth),
                ("ejection", node.ejection_bandwidth),
            ):
                if limit is not None:
                    found[f"{node.name} {port}"] = limit
    return found


def number_faults(result: CollectiveResult) -> list[str]:
    """Return which numbers are not finite, negative, of another length, or not of this package."""
    faults = []
    for name in ("time", "time_bound", "time_bound_trees", "seconds", "tol"):
        value = getattr(result, name)
        if not (math.isfinite(value) and value >= 0):
            faults.append(f"{name} {value!r} is not a finite number from 0")
    network = result.network
    lengths = {
        "load": len(result.package.channels),
        "use": len(network.names),
        "prices": len(network.names),
        "prices_trees": len(network.names),
    }
    for name, length in lengths.items():
        values = getattr(result, name)
        if values is None and name == "prices_trees":
            continue
        if np.shape(values) != (length,):
            faults.append(f"{name} has shape {np.shape(values)}, not ({length},)")
        elif not (np.isfinite(values) & (np.asarray(values) >= 0)).all():
            faults.append(f"{name} has entries that are negative or not finite")
    if network.package != result.package:
        faults.append("the arrays are of another package")
    faults += _schedule_faults(result)
    wanted = capacities_of(result.package)
    given = dict(zip(network.names, network.capacity.tolist(), strict=True))
    for name in wanted.keys() | given.keys():
        if not math.isclose(wanted.get(name, math.nan), given.get(name, math.nan), rel_tol=1e-9):
            faults.append(f"{name!r} has {given.get(name)!r} B/s in the arrays, not {wanted.get(name)!r} B/s")
            break
    return faults


def _schedule_faults(result: CollectiveResult) -> list[str]:
    schedule = result.schedule
    if schedule is None:
        return []
    vertices = schedule.network.num_vertices
    for name, values, low, high in (
        ("request", schedule.request, 0, len(result.requests)),
        ("root", schedule.root, 0, vertices),
        ("part", schedule.part, -1, vertices),
        ("after", schedule.after, -1, len(schedule)),
        ("arcs", schedule.arcs, 0, schedule.network.num_arcs),
    ):
        if len(values) and not (values.min() >= low and values.max() < high):
            return [f"the schedule's {name} are not from {low} to {high - 1}"]
    if not np.isfinite(schedule.amount).all():
        return ["a tree carries an amount that is not finite"]
    return []


def claim_faults(result: CollectiveResult, tolerance: float) -> list[str]:
    """Return what is wrong with status, theorem, bottleneck and the order of time and bounds."""
    faults = []
    time, bound, trees = result.time, result.time_bound, result.time_bound_trees
    slack = 1 + tolerance
    moves = moves_bytes(result)
    if moves and not (time > 0 and bound > 0):
        faults.append(f"bytes have to move, but time and bound are {time!r} s and {bound!r} s")
    if not moves and (time > 0 or bound > 0 or result.load.any()):
        faults.append(f"no byte has to move, but time and bound are {time!r} s and {bound!r} s")
    if not bound <= trees * slack or not (trees <= time * slack or result.algorithm != "optimal"):
        faults.append(f"bounds {bound!r} s and (in trees) {trees!r} s, time {time!r} s are out of order")
    if not bound <= time * slack:
        faults.append(f"time {time!r} s is below the bound {bound!r} s")
    faults += _status_faults(result)
    faults += _theorem_faults(result)
    faults += _use_faults(result, tolerance)
    return faults


def _status_faults(result: CollectiveResult) -> list[str]:
    gap = result.time / result.time_bound - 1 if result.time_bound > 0 else 0.0
    if gap <= 1e-6:
        allowed = ["exact"]
    elif result.algorithm != "optimal":
        allowed = ["fixed algorithm"]
    elif gap <= result.tol * (1 + 1e-9):
        allowed = ["certified"]
    elif result.time <= result.time_bound_trees * (1 + result.tol):
        allowed = ["certified in trees"]
    else:
        allowed = ["bounded", "time limit"]
    if result.status in allowed:
        return []
    return [f"status {result.status!r} does not follow from a gap of {gap:.3g}: {' or '.join(allowed)}"]


def _theorem_faults(result: CollectiveResult) -> list[str]:
    said, kinds = result.theorem, {request.kind for request in result.requests}
    if result.algorithm != "optimal" or not moves_bytes(result):
        from noptoolkit.collectives.algorithms.classic import ALGORITHMS

        words = {"given": GIVEN} | {name: known.summary for name, known in ALGORITHMS.items()}
        right = words.get(result.algorithm) == said if moves_bytes(result) else said in (NOTHING, GIVEN)
        return [] if right else [f"theorem {said!r} does not belong to {result.algorithm!r}"]
    if said in SERVED:
        fits = len(result.requests) == 1 and kinds <= set(SERVED[said])
        if said == PARTITIONS:
            fits = fits and result.cut is not None
        if said == TUTTE:
            fits = fits and not result.computing
        return [] if fits else [f"theorem {said!r} says nothing of {result.title}"]
    closed = result.time_bound >= result.time_bound_trees * (1 - result.tol) * (1 - 1e-9)
    if said == TREES and (closed or "all-reduce" not in kinds):
        return []
    if said == OPEN and "all-reduce" in kinds and not closed:
        return []
    return [f"theorem {said!r} does not follow from the bounds of {result.title}"]


def _use_faults(result: CollectiveResult, tolerance: float) -> list[str]:
    """Return whether loads, use, time and bottleneck contradict each other."""
    names, capacity = result.network.names, capacities_of(result.package)
    busy = {
        name: float(use) / capacity[name]
        for name, use in zip(names, result.use, strict=True)
        if name in capacity
    }
    worst = max(busy.values(), default=0.0)
    faults = []
    if result.steps is None and not math.isclose(worst, result.time, rel_tol=tolerance):
        faults.append(f"the busiest resource takes {worst!r} s, not {result.time!r} s")
    if result.steps is not None and not worst <= result.time * (1 + tolerance):
        faults.append(f"the busiest resource takes {worst!r} s, more than all steps")
    if result.time > 0 and not busy.get(result.bottleneck, -1.0) >= worst * (1 - 1e-6):
        faults.append(f"bottleneck {result.bottleneck!r} is not what is busiest")
    if result.time == 0 and result.bottleneck:
        faults.append(f"bottleneck {result.bottleneck!r} of nothing")
    loads: dict[str, float] = defaultdict(float)
    shared = {frozenset((link.a, link.b)) for link in result.package.links if link.half_duplex}
    lead: dict[tuple[str, str], str] = {}
    for channel, load in zip(result.package.channels, result.load.tolist(), strict=True):
        if frozenset((channel.tail, channel.head)) not in shared:
            loads[lead.setdefault((channel.tail, channel.head), channel.name)] += load
    top = max([*loads.values(), 0.0])
    use = dict(zip(names, result.use.tolist(), strict=True))
    for name, load in loads.items():
        if not abs(load - use.get(name, math.nan)) <= tolerance * max(top, 1e-300):
            faults.append(f"{name!r} carries {load!r} B by channels and {use.get(name)!r} B by use")
            break
    return faults
