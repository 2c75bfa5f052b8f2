"""Routings that forward by destination: the shares of traffic on each arc, and the loads they make.

The model. For each destination d a *level* falls by one along every arc that may be used, so the arcs
form a graph without cycles. What a vertex sends towards d, its own and what passes through it, leaves on
these arcs in fixed shares that sum to one; a sweep from the highest level down gives every load exactly.

``shortest`` takes the first of the arcs on minimum-hop paths (lowest channel index), ``ecmp`` splits
equally over all of them at every hop (RFC 2992), parallel channels counted singly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.network import FlowNetwork

__all__ = ["Forwarding", "hop_levels", "push", "split_equally", "take_first"]

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
    """

    destinations: Ints
    to: Ints
    arc: Ints
    share: Floats
    level: Ints


def hop_levels(network: FlowNetwork, destinations: Ints) -> Floats:
    """Return the hops to each destination, [destinations, vertices], infinite without a path."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    size = network.num_vertices
    backward = csr_array((np.ones(network.num_arcs), (network.head, network.tail)), shape=(size, size))
    hops: Floats = dijkstra(backward, indices=destinations, unweighted=True)
    return hops


def split_equally(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return per-hop equal splitting over all minimum-hop paths."""
    to, arc, level = _entries(network, destinations)
    weight = network.width[arc].astype(float)
    where = to * network.num_vertices + network.tail[arc]
    total = np.bincount(where, weight)
    return Forwarding(destinations, to, arc, weight / total[where], level)


def take_first(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return single-path routing along minimum-hop paths, the lowest channel index where several tie."""
    to, arc, level = _entries(network, destinations)
    _, first = np.unique(to * network.num_vertices + network.tail[arc], return_index=True)
    return Forwarding(destinations, to[first], arc[first], np.ones(len(first)), level[first])


def _entries(network: FlowNetwork, destinations: Ints) -> tuple[Ints, Ints, Ints]:
    hops = hop_levels(network, destinations)
    to, arc = np.nonzero(hops[:, network.tail] == hops[:, network.head] + 1)
    return to, arc, hops[to, network.tail[arc]].astype(np.int64)


def push(network: FlowNetwork, forwarding: Forwarding, demand: Floats) -> Floats:
    """Return the flow towards each destination on each arc, in B, [destinations, arcs].

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    """
    order = np.argsort(-forwarding.level, kind="stable")
    to, arc, share = forwarding.to[order], forwarding.arc[order], forwarding.share[order]
    level = forwarding.level[order]
    size = network.num_vertices
    carried = demand.T[forwarding.destinations].ravel().copy()
    tail, head = to * size + network.tail[arc], to * size + network.head[arc]
    flow = np.zeros((len(forwarding.destinations), network.num_arcs))
    ends = np.flatnonzero(np.diff(level)) + 1
    for step in np.split(np.arange(len(level)), ends):
        amount = carried[tail[step]] * share[step]
        np.add.at(carried, head[step], amount)
        flow[to[step], arc[step]] = amount
    return flow
