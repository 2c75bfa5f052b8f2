"""All-to-all of one group: the maximum concurrent flow of `noptoolkit.flow`, parted into paths."""

from __future__ import annotations

import math

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.values.answers import Answer, ProvedBound
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.collectives.values.theorems import CONCURRENT
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.network import FlowNetwork
from noptoolkit.traffic import from_matrix

__all__ = ["exchange_all"]

MOST_PATHS = 300_000


def exchange_all(network: FlowNetwork, request: Request, tol: float) -> Answer:
    """Return the optimum of an all-to-all among the members of a group."""
    package = network.package
    terminals = package.terminals
    place = {name: i for i, name in enumerate(terminals)}
    demand = np.zeros((len(terminals), len(terminals)))
    where = [place[name] for name in request.members]
    demand[np.ix_(where, where)] = request.pair_bytes()
    flow = congestion(package, from_matrix(package, demand, name="all-to-all"), tol=tol)
    bound = ProvedBound(flow.time_bound, flow.bound_method, flow.prices)
    schedule, use = _paths(network, request, flow), flow.use
    if schedule is None and len(request.members) ** 2 <= MOST_PATHS:
        schedule = _shortest(network, request)
    notes: tuple[str, ...] = ()
    if schedule is not None:
        use = schedule.use()
        if float((use / network.capacity).max()) > flow.time * (1 + 1e-6):
            schedule, use = None, flow.use
    if schedule is None:
        notes = ("the flow is kept by commodity, not as paths: no schedule",)
    return Answer(use, flow.method, (bound,), schedule, CONCURRENT, notes)


def _paths(network: FlowNetwork, request: Request, flow: FlowResult) -> CollectiveSchedule | None:
    """Return the flow of every pair as paths; ``None`` where it is too much or not kept."""
    members = request.members
    if len(members) ** 2 > MOST_PATHS or (len(members) > 150 and network.num_arcs > 2_000):
        return None
    kept = flow.routed.commodity_flow()
    if kept is None:
        return None
    index = network.package.index
    nodes = np.array([index[name] for name in members], np.int64)
    pairs = request.pair_bytes()
    into = _entered(network)
    rows = TreeRows()
    column = {int(v): c for c, v in enumerate(kept.ends)}
    unserved: dict[int, Floats] = {}  # members that hang on one vertex share its flow
    for i, node in enumerate(nodes.tolist()):
        own = int(network.origin[node]) if kept.by_source else int(network.destination[node])
        core = int(kept.anchor[own])
        end = own if own in column else core
        if end not in unserved:
            unserved[end] = np.zeros(network.num_arcs)
            if end in column:
                unserved[end][kept.arcs] = kept.flow[column[end]]
        amounts = pairs[i] if kept.by_source else pairs[:, i]
        for j, amount in enumerate(amounts.tolist()):
            if amount <= 0:
                continue
            other = int(nodes[j])
            far = int(network.destination[other]) if kept.by_source else int(network.origin[other])
            if not _serve(network, rows, into, kept, unserved[end], own, far, amount):
                return None
    return schedule_of_trees(network, rows)


def _shortest(network: FlowNetwork, request: Request) -> CollectiveSchedule:
    """Return shortest paths: on a tree the only ones."""
    from noptoolkit.collectives.prices.compiled_pricing import path_arcs
    from noptoolkit.collectives.prices.pricing import groups_of

    groups = groups_of(network, [request])
    start, heads, arcs = groups.rows
    ones, tail = np.ones(network.num_arcs), network.tail.astype(np.int64)
    _, row, path = path_arcs(start, heads, arcs, tail, ones, groups.origin, groups.destination)
    pairs, rows, count = request.pair_bytes(), TreeRows(), len(request.members)
    for i, j in zip(*np.nonzero(pairs), strict=True):
        arcs_of_pair = path[row[i * count + j] : row[i * count + j + 1]].tolist()
        to = int(groups.destination[j])
        rows.add(0, int(groups.origin[i]), float(pairs[i, j]), [arcs_of_pair], part=to)
    return schedule_of_trees(network, rows)


def _entered(network: FlowNetwork) -> dict[str, list[list[int]]]:
    entering: list[list[int]] = [[] for _ in range(network.num_vertices)]
    leaving: list[list[int]] = [[] for _ in range(network.num_vertices)]
    for arc, (u, v) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        entering[v].append(arc)
        leaving[u].append(arc)
    return {"in": entering, "out": leaving}


def _serve(
    network: FlowNetwork,
    rows: TreeRows,
    into: dict[str, list[list[int]]],
    kept: object,
    left: Floats,
    own: int,
    far: int,
    amount: float,
) -> bool:
    """Take the paths of one pair out of the flow that is left."""
    from noptoolkit.routing.solution import CommodityFlow

    assert isinstance(kept, CommodityFlow)
    forward = kept.by_source
    start, end = int(kept.anchor[own]), int(kept.anchor[far])
    source, sink = (own, far) if forward else (far, own)
    if start == end:  # both hang in one tree, whose only path need not pass the anchor
        rows.add(0, source, amount, [_walk(network, into, source, sink, leaves=True)], part=sink)
        return True
    choices = into["in" if forward else "out"]
    back: Ints = network.tail if forward else network.head
    first = _walk(network, into, own, start, leaves=kept.by_source)
    last = _walk(network, into, far, end, leaves=not kept.by_source)
    owed, floor = amount, 1e-12 * amount
    while owed > floor:
        path: list[int] = []
        seen: dict[int, int] = {end: 0}
        v = end
        while v != start:
            arc = max(choices[v], key=left.__getitem__, default=-1)
            if arc < 0 or left[arc] <= 0:
                return owed <= 1e-6 * amount and bool(path)
            path.append(arc)
            v = int(back[arc])
            if v in seen and v != start:
                cycle = path[seen[v] :]
                left[cycle] -= min(left[cycle])
                path, v = [], end
                seen = {end: 0}
                continue
            seen[v] = len(path)
        part = min([owed, *(left[path].tolist())]) if path else owed
        if part < floor and not math.isclose(part, owed):
            left[path] = np.where(left[path] <= part, 0.0, left[path])
            continue
        left[path] -= part
        owed -= part
        whole = [*first, *(path[::-1] if forward else path), *last]
        if not forward:
            whole = [*last, *path, *first]
        rows.add(0, source, part, [whole], part=sink)
    return True


def _walk(
    network: FlowNetwork, into: dict[str, list[list[int]]], vertex: int, goal: int, *, leaves: bool
) -> list[int]:
    """Return the arcs of the only path from a vertex in a stripped tree to another, or (not leaving) back."""
    before: dict[int, int] = {vertex: -1}
    queue = [vertex]
    for v in queue:
        if v == goal:
            break
        for arc in into["out" if leaves else "in"][v]:
            w = int(network.head[arc] if leaves else network.tail[arc])
            if w not in before:
                before[w] = arc
                queue.append(w)
    path = []
    v = goal
    while v != vertex:
        arc = before[v]
        path.append(arc)
        v = int(network.tail[arc] if leaves else network.head[arc])
    return path[::-1] if leaves else path
