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

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.multicast import farthest_member_cost
from noptoolkit.flow.network import FlowNetwork
from noptoolkit.flow.problem import RoutingProblem, membership

__all__ = ["node_cut_prices", "price_bound", "repair", "shortest_distances"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def shortest_distances(
    network: FlowNetwork, length: Floats, ends: Ints, *, towards: bool = False
) -> tuple[Floats, Ints]:
    """Return distances from some vertices and the arc by which each vertex is reached.

    Parameters
    ----------
    length
        Of each arc, at least 0, [arcs].
    ends
        Vertices.
    towards
        Whether distances lead to ``ends`` instead; the arc is then the one by which each vertex leaves.

    Returns
    -------
    distance : [ends, vertices], infinite without a path
    arc : [ends, vertices], -1 at the end itself and without a path
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    tail, head = (network.head, network.tail) if towards else (network.tail, network.head)
    size = network.num_vertices
    key = tail * size + head
    order = np.lexsort((length, key))
    order = order[np.diff(key[order], prepend=-1) > 0]  # the shortest of parallel arcs
    shape = (size, size)
    pointer = np.searchsorted(tail[order], np.arange(size + 1))
    graph: Any = csr_array((length[order], head[order], pointer), shape=shape)
    distance, before = dijkstra(graph, directed=True, indices=ends, return_predecessors=True)
    reached = before >= 0
    row, vertex = np.nonzero(reached)
    arc = np.full(distance.shape, -1)
    arc[row, vertex] = order[np.searchsorted(key[order], before[reached].astype(np.int64) * size + vertex)]
    return distance, arc


def price_bound(problem: RoutingProblem, prices: Floats) -> float:
    """Return the time in s that no routing can undercut, as some prices prove.

    Parameters
    ----------
    prices
        On each resource, at least 0, not all 0, [resources].
    """
    network = problem.network
    prices = np.maximum(prices, 0.0)
    scale = float(network.capacity @ prices)
    if not scale > 0:
        return 0.0
    length = network.on_arcs.T @ prices
    cost = float(problem.ports @ prices)
    sources, destinations = problem.sources, problem.destinations
    if len(destinations) < len(sources):
        distance, _ = shortest_distances(network, length, destinations, towards=True)
        wanted = problem.demand[:, destinations].T
    else:
        distance, _ = shortest_distances(network, length, sources)
        wanted = problem.demand[sources]
    cost += float(np.sum(wanted * np.where(wanted > 0, distance, 0.0)))
    if problem.messages:
        cost += farthest_member_cost(
            problem, lambda ends, towards: shortest_distances(network, length, ends, towards=towards)[0]
        )
        cost += float(prices @ _port_use_of_messages(problem))
    return cost / scale


def _port_use_of_messages(problem: RoutingProblem) -> Floats:
    """Return what messages use of the ports at least: once at the root, once at each member."""
    network = problem.network
    nodes = len(network.origin)
    sent, received = np.zeros(nodes), np.zeros(nodes)
    for part in problem.messages:
        at_root, at_members = (received, sent) if part.reverse else (sent, received)
        reached = np.zeros(len(part.bytes), bool)
        for bit, node in enumerate(part.endpoints):
            chosen = membership(part.members, bit) & (part.root != node)
            at_members[node] += float(part.bytes[chosen].sum())
            reached |= chosen
        at_root += np.bincount(part.root[reached], part.bytes[reached], nodes)
    use: Floats = network.on_injected @ sent + network.on_ejected @ received
    return use


def node_cut_prices(problem: RoutingProblem) -> list[Floats]:
    """Return the prices of the tightest port and of the tightest cuts round one vertex."""
    network = problem.network
    unit = np.zeros(network.num_resources)
    candidates = []
    if network.num_resources > int(network.own.max(initial=-1)) + 1:
        tightest = unit.copy()
        tightest[int(np.argmax(problem.ports / network.capacity))] = 1.0
        candidates.append(tightest)
    demand = problem.demand
    leaving, entering = demand.sum(axis=1), demand.sum(axis=0)
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
        prices = unit.copy()
        for side in sides:
            prices[network.own[side == vertex]] = 1.0
        candidates.append(prices)
    return candidates


def repair(
    network: FlowNetwork,
    length: Floats,
    sources: Ints,
    demand: Floats,
    flow: Floats,
    *,
    towards: bool = False,
) -> Floats:
    """Return a flow that carries the whole demand, made of one that nearly does.

    Negative entries count as zero; what a vertex still lacks is fetched, farthest vertex first, along its
    shortest path; surplus stays where it is (it only adds load) and serves what passes through.

    Parameters
    ----------
    length
        Of each arc, [arcs].
    sources
        Vertices, [commodities].
    demand
        Bytes that each source owes each vertex, [commodities, vertices].
    flow
        [commodities, arcs].
    towards
        Whether commodities flow to the ``sources`` instead.
    """
    from scipy.sparse import csr_array

    tail, head = (network.head, network.tail) if towards else (network.tail, network.head)
    distance, arc = shortest_distances(network, length, sources, towards=towards)
    flow = np.maximum(flow, 0.0)
    arcs, rows = np.arange(network.num_arcs), np.arange(len(sources))
    shape = (network.num_arcs, network.num_vertices)
    gain = csr_array((np.ones(len(arcs)), (arcs, head)), shape=shape)
    gain = gain - csr_array((np.ones(len(arcs)), (arcs, tail)), shape=shape)
    need = demand - (gain.T @ flow.T).T
    order = np.argsort(distance, axis=1, kind="stable")
    for position in range(network.num_vertices - 1, 0, -1):
        vertex = order[:, position]
        by = arc[rows, vertex]
        lacking = np.flatnonzero((need[rows, vertex] > 0) & (by >= 0))
        by, vertex = by[lacking], vertex[lacking]
        lack = need[lacking, vertex]
        flow[lacking, by] += lack
        need[lacking, tail[by]] += lack
        need[lacking, vertex] = 0.0
    return flow
