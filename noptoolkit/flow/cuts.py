"""The cut that a bound is about: which nodes are parted, and by which channels.

Prices that prove a bound put their weight on the channels of a bottleneck. Shortest distances under them,
from any node, order the vertices; parting the near ones from the far ones at each step (a sweep) tries
every cut that the prices distinguish. A cut that parts the nodes S from the rest takes at least::

    bytes from S to the rest / sum of the capacities of the channels that leave S
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.certificate import shortest_distances
from noptoolkit.flow.network import FlowNetwork

__all__ = ["Cut", "sweep_cut"]

Floats = NDArray[np.float64]

SWEEPS = 24  # vertices to sweep from, spread over all


@dataclass(frozen=True)
class Cut:
    """A set of nodes, and the channels that all traffic out of it must share.

    Parameters
    ----------
    inside
        Names of the nodes.
    channels
        Names of the channels that leave them.
    demand
        What must leave, in B.
    capacity
        Of the channels, in B/s.
    time
        demand / capacity: no routing is faster, in s.
    """

    inside: tuple[str, ...]
    channels: tuple[str, ...]
    demand: float = field(metadata={"unit": "B"})
    capacity: float = field(metadata={"unit": "B/s"})
    time: float = field(metadata={"unit": "s"})


def sweep_cut(network: FlowNetwork, demand: Floats, prices: Floats) -> Cut | None:
    """Return the slowest cut that a sweep finds, or ``None`` without demand.

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    prices
        On the resources, [resources].
    """
    if not demand.any():
        return None
    length = network.on_arcs.T @ (prices + 1e-9 / (network.capacity * len(prices)))
    size = network.num_vertices
    starts = np.unique(np.linspace(0, size - 1, min(size, SWEEPS)).astype(int))
    best, mask = 0.0, np.zeros(size, bool)
    for tail, head, away in (
        (network.tail, network.head, demand),
        (network.head, network.tail, demand.T),
    ):
        distance, _ = shortest_distances(size, tail, head, length, starts)
        for row in distance:
            order = np.argsort(row, kind="stable")
            value, cut = _sweep(network, away, tail, head, order)
            if value > best:
                best = value
                mask = np.isin(np.arange(size), order[:cut])
                if tail is network.head:
                    mask = ~mask
    leaving = np.flatnonzero(mask[network.tail] & ~mask[network.head])
    shared = np.unique(network.own[leaving])
    capacity = float(network.capacity[shared].sum())
    crossing = float(demand[np.ix_(mask, ~mask)].sum())
    channels = np.flatnonzero(np.isin(network.arc_of_channel, leaving))
    nodes = dict.fromkeys(network.node_of_vertex(int(v)) for v in np.flatnonzero(mask))
    names = tuple(network.package.channels[int(i)].name for i in channels)
    return Cut(tuple(nodes), names, crossing, capacity, crossing / capacity if capacity else 0.0)


def _sweep(
    network: FlowNetwork,
    demand: Floats,
    tail: NDArray[np.int64],
    head: NDArray[np.int64],
    order: NDArray[np.int64],
) -> tuple[float, int]:
    """Return the slowest cut between the first vertices of an order and the rest, and where it is."""
    size = network.num_vertices
    rank = np.empty(size, np.int64)
    rank[order] = np.arange(size)
    sorted_demand = demand[np.ix_(order, order)]
    row_sum = np.cumsum(sorted_demand.sum(axis=1))
    inner = np.cumsum(np.cumsum(sorted_demand, axis=0), axis=1).diagonal()
    crossing = (row_sum - inner)[:-1]
    begin, end = rank[tail], rank[head]
    outward = begin < end
    capacity = network.arc_capacity
    room = np.bincount(begin[outward], capacity[outward], size) - np.bincount(
        end[outward], capacity[outward], size
    )
    room = np.cumsum(room)[:-1]
    open_ = room > 1e-12 * capacity.max()
    ratio = np.divide(crossing, room, out=np.zeros(size - 1), where=open_)
    best = int(np.argmax(ratio))
    return float(ratio[best]), best + 1
