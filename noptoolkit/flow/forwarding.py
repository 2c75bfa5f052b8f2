"""Routings that forward by destination: the shares of traffic on each arc, and the loads they make.

The model. For each destination d a *level* falls by one along every arc that may be used, so the arcs
form a graph without cycles. What a vertex sends towards d, its own and what passes through it, leaves on
these arcs in fixed shares that sum to one; a sweep from the highest level down gives every load exactly,
a sweep from the lowest up every latency.

A routing may need more *states* than vertices: up*/down* (Schroeder et al., Autonet, 1991) lets a packet
climb towards the root of a spanning tree, then descend, and never climb again, so each vertex has a
climbing and a descending state. Traffic starts in the states 0 .. vertices - 1.

``shortest`` takes the first of the arcs on minimum-hop paths (lowest channel index), ``ecmp`` splits equally
over all of them at every hop (RFC 2992), parallel channels counted singly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import RoutingError
from noptoolkit.flow.network import FlowNetwork

__all__ = ["Forwarding", "climb_then_descend", "hop_levels", "push", "split_equally", "take_first"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forwarding:
    """How traffic for each destination leaves each vertex.

    Parameters
    ----------
    destinations
        Vertices, [destinations].
    to, arc, share
        One entry for each arc that traffic for ``destinations[to]`` may take, and its share, [entries].
    level
        Level of the tail of each entry, [entries].
    tail, head
        States between which each entry leads, [entries].
    num_states
        Vertices, or a multiple of them.
    virtual_channel
        Of the channel that each entry occupies, [entries].
    """

    destinations: Ints
    to: Ints
    arc: Ints
    share: Floats
    level: Ints
    tail: Ints
    head: Ints
    num_states: int
    virtual_channel: Ints


def hop_levels(num_states: int, tail: Ints, head: Ints, destinations: Ints) -> Floats:
    """Return the hops to each destination, [destinations, states], infinite without a path."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    backward = csr_array((np.ones(len(tail)), (head, tail)), shape=(num_states, num_states))
    hops: Floats = dijkstra(backward, indices=destinations, unweighted=True)
    return hops


def split_equally(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return per-hop equal splitting over all minimum-hop paths."""
    arcs = np.arange(network.num_arcs)
    levels = hop_levels(network.num_vertices, network.tail, network.head, destinations)
    return _equal_shares(network, destinations, levels, arcs, network.tail, network.head)


def take_first(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return single-path routing along minimum-hop paths, the lowest channel index where several tie."""
    every = split_equally(network, destinations)
    _, first = np.unique(every.to * network.num_vertices + every.tail, return_index=True)
    return Forwarding(
        destinations=destinations,
        to=every.to[first],
        arc=every.arc[first],
        share=np.ones(len(first)),
        level=every.level[first],
        tail=every.tail[first],
        head=every.head[first],
        num_states=every.num_states,
        virtual_channel=every.virtual_channel[first],
    )


def climb_then_descend(network: FlowNetwork, destinations: Ints, *, root: str | None = None) -> Forwarding:
    """Return up*/down* routing: equal splitting over the shortest paths that never climb after a descent.

    Parameters
    ----------
    root
        Node at the top of the order; where ``None``, the one with the smallest largest distance.

    Raises
    ------
    RoutingError
        If a destination cannot be reached that way (a one-way link in the wrong place).
    """
    size = network.num_vertices
    both = (np.r_[network.tail, network.head], np.r_[network.head, network.tail])
    if root is None:
        nodes = np.arange(len(network.origin))
        far = hop_levels(size, *both, nodes)[:, nodes]
        forwards = np.isin(nodes, network.tail) & np.isin(nodes, network.head)
        far[~forwards] = np.inf
        top = int(np.argmin(np.where(np.isfinite(far), far, size).max(axis=1)))
    else:
        network.package[root]
        top = network.package.index[root]
    height = hop_levels(size, *both, np.array([top]))[0]
    order = height * size + np.arange(size)
    up = order[network.head] < order[network.tail]
    arcs = np.arange(network.num_arcs)
    arc = np.r_[arcs[up], arcs[~up], arcs[~up]]
    tail = np.r_[network.tail[up], network.tail[~up], network.tail[~up] + size]
    head = np.r_[network.head[up], network.head[~up] + size, network.head[~up] + size]
    climbing = hop_levels(2 * size, tail, head, destinations)
    descending = hop_levels(2 * size, tail, head, destinations + size)
    levels = np.minimum(climbing, descending)
    senders = np.isin(np.arange(size), network.tail)
    cut_off = np.isinf(levels[:, :size]) & senders
    if cut_off.any():
        to, vertex = (int(x) for x in np.argwhere(cut_off)[0])
        a, b = network.node_of_vertex(vertex), network.node_of_vertex(int(destinations[to]))
        top_name = network.node_of_vertex(top)
        raise RoutingError(
            f"package {network.package.name!r}: up*/down* from root {top_name!r} has no way "
            f"from {a!r} to {b!r}; name another root or use routing='ecmp'"
        )
    return _equal_shares(network, destinations, levels, arc, tail, head)


def _equal_shares(
    network: FlowNetwork, destinations: Ints, levels: Floats, arc: Ints, tail: Ints, head: Ints
) -> Forwarding:
    to, which = np.nonzero(np.isfinite(levels[:, tail]) & (levels[:, tail] == levels[:, head] + 1))
    states = levels.shape[1]
    weight = network.width[arc[which]].astype(float)
    where = to * states + tail[which]
    total = np.bincount(where, weight)
    return Forwarding(
        destinations=destinations,
        to=to,
        arc=arc[which],
        share=weight / total[where],
        level=levels[to, tail[which]].astype(np.int64),
        tail=tail[which],
        head=head[which],
        num_states=states,
        virtual_channel=np.zeros(len(to), np.int64),
    )


def push(network: FlowNetwork, forwarding: Forwarding, demand: Floats) -> Floats:
    """Return the flow towards each destination on each arc, in B, [destinations, arcs].

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    """
    order = np.argsort(-forwarding.level, kind="stable")
    to, arc, share = forwarding.to[order], forwarding.arc[order], forwarding.share[order]
    started = np.zeros((len(forwarding.destinations), forwarding.num_states))
    started[:, : network.num_vertices] = demand.T[forwarding.destinations]
    carried = started.ravel()
    tail = to * forwarding.num_states + forwarding.tail[order]
    head = to * forwarding.num_states + forwarding.head[order]
    flow = np.zeros((len(forwarding.destinations), network.num_arcs))
    ends = np.flatnonzero(np.diff(forwarding.level[order])) + 1
    for step in np.split(np.arange(len(order)), ends):
        amount = carried[tail[step]] * share[step]
        np.add.at(carried, head[step], amount)
        np.add.at(flow, (to[step], arc[step]), amount)
    return flow
