"""Redundant experts by EPLB's hierarchical policy: groups of experts stay within a group of chiplets.

After DeepSeek's EPLB (github.com/deepseek-ai/EPLB), for models whose routing is limited to groups of
experts: the groups are packed to nodes, here groups of chiplets; within each node again and again the expert
with the most load per copy gets one more; and the copies are packed to the node's chiplets. Packing takes
things by falling load and puts each where the load is least of the places that are not full.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.limits import Floats, Ints
from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.trace import RoutingTrace

__all__ = ["hierarchical_copies", "replicate_hierarchically"]


def hierarchical_copies(loads: ArrayLike, *, copies: int, groups: int, nodes: int, chiplets: int) -> Ints:
    """Return the expert in each slot of all chiplets, [layers, copies], chiplet after chiplet.

    Parameters
    ----------
    loads
        Load of each expert, [layers, experts].
    copies
        Slots in all, the first copy of each expert counted.
    groups, nodes, chiplets
        Groups of experts, groups of chiplets, and chiplets in all.

    Raises
    ------
    WorkloadError
        If groups, nodes, chiplets or copies do not divide as they must.

    Examples
    --------
    >>> hierarchical_copies([[9, 1, 4, 4]], copies=6, groups=2, nodes=2, chiplets=2)
    array([[0, 0, 1, 3, 2, 2]])
    """
    load = np.asarray(loads, dtype=float)
    if load.ndim != 2 or not load.size:
        raise WorkloadError(f"loads have shape {load.shape}; give them as [layers, experts]")
    experts = load.shape[1]
    for much, many, what in (
        (experts, groups, "groups of experts"),
        (groups, nodes, "nodes"),
        (chiplets, nodes, "nodes"),
        (copies, chiplets, "chiplets"),
    ):
        if many < 1 or much % many:
            raise WorkloadError(f"{many} {what} do not divide {much}; EPLB's hierarchical policy needs that")
    if copies < experts:
        raise WorkloadError(f"{copies} slots hold less than the {experts} experts")
    return np.stack([_one_layer(row, copies, groups, nodes, chiplets) for row in load])


def _one_layer(load: Floats, copies: int, groups: int, nodes: int, chiplets: int) -> Ints:
    size, here = len(load) // groups, copies // nodes
    slots: list[int] = []
    for packed in _pack(load.reshape(groups, size).sum(axis=1), nodes):
        members = np.concatenate([np.arange(group * size, (group + 1) * size) for group in packed])
        mine, count = load[members], np.ones(len(members))
        held = list(range(len(members)))
        for _ in range(here - len(members)):
            hottest = int(np.argmax(mine / count))
            held.append(hottest)
            count[hottest] += 1
        share = (mine / count)[held]
        for placed in _pack(share, chiplets // nodes):
            slots += [int(members[held[i]]) for i in placed]
    return np.array(slots, np.int64)


def _pack(load: Floats, places: int) -> list[list[int]]:
    """Return what each place holds, in the order of packing; all places hold as many."""
    room = len(load) // places
    if room == 1:
        return [[i] for i in range(places)]
    held: list[list[int]] = [[] for _ in range(places)]
    total = np.zeros(places)
    for i in np.argsort(-load, kind="stable").tolist():
        free = [p for p in range(places) if len(held[p]) < room]
        best = min(free, key=lambda p: total[p])
        held[best].append(i)
        total[best] += load[i]
    return held


def replicate_hierarchically(
    allocation: Allocation, trace: RoutingTrace, extra: int, *, groups: int | None = None
) -> Allocation:
    """Return a layout with ``extra`` redundant experts per layer by EPLB's hierarchical policy.

    Parameters
    ----------
    allocation
        Layout whose chiplets and groups of chiplets, the nodes, count; where it has its experts does not.
    trace
        Whose load counts, layer by layer.
    extra
        Redundant experts in each layer.
    groups
        Groups of experts of the model; as many as there are nodes where ``None``.

    Raises
    ------
    WorkloadError
        If groups, chiplets or experts do not divide as they must.
    InfeasibleError
        If the groups hold unequal numbers of chiplets.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> package, trace = nop.load_topology("mozart-nop-tree"), nop.load_workload("stdlib-moe").trace
    >>> plain = nop.allocate(trace, package, method="contiguous")
    >>> layout = replicate_hierarchically(plain, trace, 16)
    >>> int(layout.holds.sum(axis=2).max()), layout.imbalance(trace) < plain.imbalance(trace)
    (5, True)
    """
    if extra < 0:
        raise WorkloadError(f"{extra} redundant experts: give 0 or more")
    parts = allocation.groups
    if len({len(part) for part in parts}) != 1:
        raise InfeasibleError(
            "groups of unequal numbers of chiplets; EPLB's hierarchical policy needs equal ones"
        )
    loads = np.stack([trace.layer(i).load() for i in range(trace.num_layers)])
    chiplets, nodes = len(allocation.experts), len(parts)
    placed = hierarchical_copies(
        loads, copies=trace.num_experts + extra, groups=groups or nodes, nodes=nodes, chiplets=chiplets
    )
    order = [chiplet for part in parts for chiplet in part]
    each = placed.shape[1] // chiplets
    first = np.full(loads.shape, -1, np.int64)
    rest: list[list[tuple[int, int]]] = [[] for _ in placed]
    for layer, row in enumerate(placed.tolist()):
        for slot, expert in enumerate(row):
            chiplet = order[slot // each]
            if first[layer, expert] < 0:
                first[layer, expert] = chiplet
            else:
                rest[layer].append((expert, chiplet))
    replicas = np.array(rest, np.int64).reshape(len(placed), extra, 2)
    return Allocation(allocation.experts, first, parts, "hierarchical", replicas)
