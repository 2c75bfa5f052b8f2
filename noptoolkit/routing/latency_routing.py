"""Routings by latency: least latency, and what BookSim2 makes of its network files.

The model. Both forward by destination along one path per pair, least in the sum of the latencies on the way.

``least-latency`` counts what `noptoolkit.routing.zero_load` counts, the link and the router behind it, and
takes the fewest hops, then the lowest channel, among paths of equal latency. Latencies are compared in units
of 1 fs (coarser where a package's latencies together would not fit into 53 bits).

``booksim-min`` is the routing ``min`` of BookSim2's ``anynet`` (AnyNet::route in anynet.cpp, 2015). Each
router grows a tree of its own by Dijkstra's algorithm over the latencies of channels in whole cycles, at
least one, without those of routers; of routers at equal distance, the one of lowest number comes first; a
router keeps the first predecessor that gave its distance. A packet follows the tree of the router it is at.
Routers have the order of the package's nodes, as in exported files. Cycles are those of 1 GHz; for another
clock, route with ``RoutingMethod("min at 2 GHz", forward=partial(booksim_min, clock="2 GHz"))``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["arc_latency", "booksim_min", "cycles_of", "take_quickest"]

RESOLUTION = 1e-15
AT_A_TIME = 1 << 22  # distances that are held at a time
CLOCK = 1e9


def arc_latency(network: FlowNetwork) -> Floats:
    """Return the latency of each arc, in s, [arcs]: that of the quickest of its channels."""
    package = network.package
    of_link = np.array([link.latency for link in package.links])
    latency = np.repeat(of_link, 2)[package.link_bandwidths.ravel() > 0]
    found = np.full(network.num_arcs, np.inf)
    np.minimum.at(found, network.arc_of_channel, latency)
    return found


def cycles_of(latency: Floats, clock: Quantity = CLOCK) -> Ints:
    """Return latencies in whole cycles of a clock, rounded up, at least one.

    Examples
    --------
    >>> cycles_of(np.array([0.0, 1e-9, 2.2e-9, 3e-9])).tolist()
    [1, 1, 3, 3]
    """
    frequency = parse_quantity(clock, "Hz", "clock")
    exact = latency * frequency
    near = np.rint(exact)  # 3e-9 x 1e9 is a little more than 3
    cycles = np.where(np.abs(exact - near) <= 1e-6 * np.maximum(near, 1.0), near, np.ceil(exact))
    return np.maximum(cycles, 1.0).astype(np.int64)


def take_quickest(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return single-path routing of least latency; the fewest hops, then the lowest channel break ties."""
    router = np.array([node.latency for node in (*network.package.nodes, *network.package.memories)])
    hop = arc_latency(network) + router[network.head]
    size = network.num_vertices
    unit = max(RESOLUTION, float(hop.max(initial=0.0)) * size * size / 2**52)
    cost = np.rint(hop / unit) * size + 1.0
    backwards = _graph(network, cost, backwards=True)
    chosen = np.full((len(destinations), size), -1, np.int64)
    for part in _parts(len(destinations), size):
        ahead = _distances(backwards, destinations[part])
        on_path = cost + ahead[:, network.head] == ahead[:, network.tail]
        to, arc = np.nonzero(on_path & np.isfinite(ahead[:, network.tail]))
        rows = chosen[part]
        rows[to[::-1], network.tail[arc[::-1]]] = arc[::-1]  # of several, the first is written last
    return _follow(network, destinations, chosen)


def booksim_min(network: FlowNetwork, destinations: Ints, *, clock: Quantity = CLOCK) -> Forwarding:
    """Return the paths of BookSim2's ``min`` over the exported network."""
    return _follow(network, destinations, _booksim_table(network, clock)[:, destinations].T)


@lru_cache(maxsize=4)
def _booksim_table(network: FlowNetwork, clock: Quantity) -> NDArray[np.int64]:
    """Return the arc by which each vertex sends towards each other, -1 without, [vertices, vertices]."""
    size = network.num_vertices
    cycles = cycles_of(arc_latency(network), clock).astype(float)
    forwards = _graph(network, cycles, backwards=False)
    table = np.full((size, size), -1, np.int64)
    vertices = np.arange(size)
    for part in _parts(size, size):
        distances = _distances(forwards, vertices[part])
        for source, distance in zip(vertices[part].tolist(), distances, strict=True):
            table[source] = _first_arcs(network, source, distance, cycles)
    return table


def _first_arcs(network: FlowNetwork, source: int, distance: Floats, cycles: Floats) -> Ints:
    """Return the first arc on the path to each vertex in the tree that BookSim grows from a router."""
    reached = np.isfinite(distance)
    tight = np.flatnonzero(
        reached[network.tail] & (distance[network.tail] + cycles == distance[network.head])
    )
    # the first predecessor that is taken from the queue: the nearest, of several the lowest
    order = tight[np.lexsort((network.tail[tight], distance[network.tail[tight]]))][::-1]
    arc_into = np.full(network.num_vertices, -1, np.int64)
    arc_into[network.head[order]] = order
    arc_into[source] = -1
    inner = arc_into >= 0
    before = np.where(inner, network.tail[arc_into], -1)
    vertices = np.arange(network.num_vertices)
    jump = np.where(inner & (before != source), before, vertices)  # towards the neighbour of the source
    while True:
        further = jump[jump]
        if np.array_equal(further, jump):
            break
        jump = further
    return np.where(inner, arc_into[jump], -1)


def _graph(network: FlowNetwork, weight: Floats, *, backwards: bool) -> csr_array[Any]:
    """Return the arcs as a sparse graph; of arcs between the same two, the least weight."""
    ends = (network.head, network.tail) if backwards else (network.tail, network.head)
    size = network.num_vertices
    key = ends[0] * size + ends[1]
    order = np.lexsort((weight, key))
    first = order[np.diff(key[order], prepend=-1) > 0]
    return csr_array((weight[first], (ends[0][first], ends[1][first])), shape=(size, size))


def _distances(graph: csr_array[Any], sources: Ints) -> Floats:
    from scipy.sparse.csgraph import dijkstra

    return np.asarray(dijkstra(graph, indices=sources), dtype=float).reshape(len(sources), -1)


def _parts(count: int, size: int) -> list[slice]:
    step = max(1, AT_A_TIME // max(size, 1))
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]


def _follow(network: FlowNetwork, destinations: Ints, chosen: Ints) -> Forwarding:
    """Return the forwarding along one arc per destination and vertex, [destinations, vertices]."""
    size = network.num_vertices
    leads = np.where(chosen >= 0, network.head[chosen], -1)
    leads[np.arange(len(destinations)), destinations] = -1
    level = np.zeros((len(destinations), size), np.int64)
    rows = np.arange(len(destinations))[:, None]
    at = np.broadcast_to(np.arange(size), leads.shape).copy()
    moving = leads >= 0
    while moving.any():
        level += moving
        at = np.where(moving, leads[rows, at], at)
        moving = moving & (leads[rows, at] >= 0)
    to, tail = np.nonzero(leads >= 0)
    arc = chosen[to, tail]
    return Forwarding(
        destinations=destinations,
        to=to,
        arc=arc,
        share=np.ones(len(to)),
        level=level[to, tail],
        tail=tail,
        head=network.head[arc],
        num_states=size,
        virtual_channel=np.zeros(len(to), np.int64),
    )
