"""What turns numbers into proof: flows that carry the whole demand, prices that bound every routing.

Weak duality. Let ``use`` be what any routing makes the resources carry, C their capacities and y >= 0 any
prices. Carrying one byte from s to t costs at least the shortest distance under arc lengths ``on_arcs.T @
y``, so::

    time >= (y . use) / (y . C) >= (sum of bytes x distance + y . ports) / (y . C)

with ``ports`` the use of injection, ejection and memory ports, which no routing changes. Where lengths tie or
vanish nothing is lost: every distance is a true minimum. And any flow with inflow >= outflow + demand at each
vertex but the source carries the demand, so its largest use / C is a time that can be had.

Both are evaluated here in float64, by scipy's Dijkstra; a solver's rounding costs tightness, never truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.routing.problem import RoutingProblem, membership
from noptoolkit.routing.solution import Bound

MANY = 20_000  # messages from which compiled loops pay for loading numba

__all__ = [
    "farthest_member_cost",
    "from_the_root",
    "net_inflow",
    "node_cut_bounds",
    "price_bound",
    "program_bound",
    "repair",
    "shortest_distances",
    "without_zeros",
]


def shortest_distances(
    num_vertices: int, tail: Ints, head: Ints, length: Floats, ends: Ints
) -> tuple[Floats, Ints]:
    """Return distances from some vertices and the arc by which each vertex is reached.

    Parameters
    ----------
    length
        Length of each arc, at least 0, [arcs].
    ends
        Vertices.

    Returns
    -------
    distance : [ends, vertices], infinite without a path
    arc : [ends, vertices], -1 at the end itself and without a path
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    key = tail * num_vertices + head
    order = np.lexsort((length, key))
    order = order[np.diff(key[order], prepend=-1) > 0]  # the shortest of parallel arcs
    pointer = np.searchsorted(tail[order], np.arange(num_vertices + 1))
    shape = (num_vertices, num_vertices)
    graph: Any = csr_array((length[order], head[order], pointer), shape=shape)
    distance, before = dijkstra(graph, directed=True, indices=ends, return_predecessors=True)
    reached = before >= 0
    _, vertex = np.nonzero(reached)
    arc = np.full(distance.shape, -1)
    wanted = before[reached].astype(np.int64) * num_vertices + vertex
    arc[reached] = order[np.searchsorted(key[order], wanted)]
    return distance, arc


def price_bound(problem: RoutingProblem, prices: Floats, method: str) -> Bound:
    """Return the time that no routing can undercut, as some prices prove.

    Parameters
    ----------
    prices
        Price of each resource, at least 0, not all 0, [resources].
    """
    network = problem.network
    prices = np.maximum(prices, 0.0)
    scale = float(network.capacity @ prices)
    if not scale > 0:
        return Bound(0.0, method, prices)
    length = network.on_arcs.T @ prices

    def distances(ends: Ints, towards: bool) -> Floats:
        tail, head = (network.head, network.tail) if towards else (network.tail, network.head)
        return shortest_distances(network.num_vertices, tail, head, length, ends)[0]

    cost = float(problem.ports @ prices)
    sources, destinations = problem.sources, problem.destinations
    towards = len(destinations) < len(sources)
    distance = distances(destinations if towards else sources, towards)
    wanted = problem.demand[:, destinations].T if towards else problem.demand[sources]
    cost += float(np.sum(wanted * np.where(wanted > 0, distance, 0.0)))
    if problem.messages:
        cost += farthest_member_cost(problem, distances)
        sent, received = _ends_of_messages(problem)
        cost += float(prices @ (network.on_injected @ sent + network.on_ejected @ received))
    return Bound(cost / scale, method, prices / scale)


def _ends_of_messages(problem: RoutingProblem) -> tuple[Floats, Floats]:
    """Return what nodes send and receive of messages at least: once at the root, once at each member."""
    nodes = len(problem.network.origin)
    sent, received = np.zeros(nodes), np.zeros(nodes)
    for part in problem.messages:
        at_root, at_members = (received, sent) if part.reverse else (sent, received)
        reached = np.zeros(len(part.bytes), bool)
        for bit, node in enumerate(part.endpoints):
            chosen = membership(part.members, bit) & (part.root != node)
            at_members[node] += float(part.bytes[chosen].sum())
            reached |= chosen
        at_root += np.bincount(part.root[reached], part.bytes[reached], nodes)
    return sent, received


def node_cut_bounds(problem: RoutingProblem) -> list[Bound]:
    """Return the bounds of the tightest port and of the tightest cuts round one vertex."""
    network = problem.network
    sent, received = _ends_of_messages(problem)
    ports = problem.ports + network.on_injected @ sent + network.on_ejected @ received
    candidates = []
    if network.num_resources > int(network.own.max(initial=-1)) + 1:
        tightest = np.zeros(network.num_resources)
        tightest[int(np.argmax(ports / network.capacity))] = 1.0
        candidates.append((float(ports @ tightest), tightest))
    leaving, entering = problem.demand.sum(axis=1), problem.demand.sum(axis=0)
    np.add.at(leaving, network.origin, sent)
    np.add.at(entering, network.destination, received)
    capacity = network.arc_capacity
    size = network.num_vertices
    out_room = np.bincount(network.tail, capacity, size)
    in_room = np.bincount(network.head, capacity, size)
    shared = np.bincount(network.own, minlength=network.num_resources)[network.own] > 1
    both_room = out_room + in_room - np.bincount(network.tail, capacity * shared, size)
    for value, room, sides in (
        (leaving, out_room, (network.tail,)),
        (entering, in_room, (network.head,)),
        (leaving + entering, both_room, (network.tail, network.head)),
    ):
        vertex = int(np.argmax(np.divide(value, room, out=np.zeros(size), where=room > 0)))
        prices = np.zeros(network.num_resources)
        for side in sides:
            prices[network.own[side == vertex]] = 1.0
        candidates.append((float(value[vertex]), prices))
    bounds = []
    for crossing, prices in candidates:
        scale = float(network.capacity @ prices)
        if scale > 0:
            bounds.append(Bound(crossing / scale, "cut round one node", prices / scale))
    return bounds


def program_bound(program: FlowProgram, prices: Floats) -> float:
    """Return the time that no flow of a program can undercut, as prices prove, in the program's units."""
    prices = np.maximum(prices, 0.0)
    scale = float(program.capacity @ prices)
    if not scale > 0:
        return 0.0
    length = program.on_arcs.T @ prices
    distance, _ = shortest_distances(program.num_vertices, program.tail, program.head, length, program.ends)
    cost = np.sum(program.demand * np.where(program.demand > 0, distance, 0.0)) + program.base @ prices
    return float(cost) / scale


def without_zeros(prices: Floats, capacity: Floats, *, share: float = 1e-6) -> Floats:
    """Return prices above 0, scaled so that prices @ capacity = 1: hops of zero length would cost no time.

    Parameters
    ----------
    prices
        What is below 0 counts as 0, [resources].
    capacity
        In any unit, [resources].
    share
        Of the worth of all resources, how much is spread over them evenly.
    """
    prices = np.maximum(prices, 0.0)
    prices = prices + share * max(float(np.sum(prices * capacity)), 1e-3) / (len(prices) * capacity)
    return np.asarray(prices / np.sum(prices * capacity))


def repair(program: FlowProgram, length: Floats, flow: Floats) -> Floats:
    """Return a flow that carries the whole demand, made of one that nearly does.

    Negative entries count as zero; what a vertex still lacks is fetched, farthest vertex first, along its
    shortest path; surplus stays where it is (it only adds load) and serves what passes through.

    Parameters
    ----------
    length
        Length of each arc, above 0, [arcs].
    flow
        [commodities, arcs].
    """
    distance, arc = shortest_distances(program.num_vertices, program.tail, program.head, length, program.ends)
    fed = np.isfinite(distance[:, program.tail])  # what no path reaches forwards nothing
    flow = np.where(fed, np.maximum(flow, 0.0), 0.0)
    need = program.demand - net_inflow(program.num_vertices, program.tail, program.head, flow)
    rows = np.arange(len(flow))
    order = from_the_root(program.tail, arc)
    for position in range(program.num_vertices - 1, 0, -1):
        vertex = order[:, position]
        by = arc[rows, vertex]
        lacking = np.flatnonzero((need[rows, vertex] > 0) & (by >= 0))
        by, vertex = by[lacking], vertex[lacking]
        lack = need[lacking, vertex]
        flow[lacking, by] += lack
        need[lacking, program.tail[by]] += lack
        need[lacking, vertex] = 0.0
    return flow


def from_the_root(tail: Ints, arc: Ints) -> Ints:
    """Return the vertices of each tree in an order in which none comes before the one that leads to it.

    Not by distance: an arc that is shorter than another by more than a float holds adds nothing to it.

    Parameters
    ----------
    tail
        Vertex that each arc leaves, [arcs].
    arc
        Arc by which each tree reaches each vertex, below 0 where there is none, [trees, vertices].

    Returns
    -------
    array of int
        [trees, vertices].
    """
    before = np.where(arc >= 0, tail[arc], np.arange(arc.shape[1]))
    depth = (arc >= 0).astype(np.min_scalar_type(arc.shape[1]))  # short numbers are sorted faster
    while (further := np.take_along_axis(depth, before, axis=1)).any():  # twice as far each time
        depth += further
        before = np.take_along_axis(before, before, axis=1)
    order: Ints = np.argsort(depth, axis=1, kind="stable")
    return order


def net_inflow(num_vertices: int, tail: Ints, head: Ints, flow: Floats) -> Floats:
    """Return what enters each vertex less what leaves it, [commodities, vertices]."""
    from scipy.sparse import csr_array

    arcs = np.arange(len(tail))
    shape = (len(tail), num_vertices)
    ones = np.ones(len(tail))
    gain: Any = csr_array((ones, (arcs, head)), shape=shape) - csr_array((ones, (arcs, tail)), shape=shape)
    return np.asarray(flow @ gain, dtype=float)


def farthest_member_cost(problem: RoutingProblem, distance_from: Callable[[Ints, bool], Floats]) -> float:
    """Return the sum over messages of bytes times the distance of the farthest member.

    Parameters
    ----------
    distance_from
        Gives distances [roots, vertices] from some vertices, or (second argument true) to them.
    """
    network = problem.network
    total = 0.0
    for part in problem.messages:
        roots, row = np.unique(part.root, return_inverse=True)
        ends = (network.destination if part.reverse else network.origin)[roots]
        others = (network.origin if part.reverse else network.destination)[part.endpoints]
        distance = distance_from(ends, part.reverse)[:, others]
        distance[roots[:, None] == part.endpoints[None, :]] = 0.0
        if len(row) >= MANY:
            from noptoolkit.flow.bounds.compiled_farthest import sum_of_farthest

            total += sum_of_farthest(row, part.members, part.bytes, np.ascontiguousarray(distance))
            continue
        farthest = np.zeros(len(row))
        for bit in range(len(part.endpoints)):
            reach = np.where(membership(part.members, bit), distance[row, bit], 0.0)
            np.maximum(farthest, reach, out=farthest)
        total += float(part.bytes @ farthest)
    return total
