"""The cut that a bound is about: which nodes are parted, and by which channels.

A cut that parts the nodes S from the rest takes at least::

    bytes from S to the rest / sum of the capacities of the channels that leave S

and, where links are half duplex, what crosses both ways over the capacity both ways. Finding the slowest
is hard in general; here orders of the vertices are swept (the first ones against the rest, at each step):

- by shortest distance from and to some vertices under the prices of the bound, whose weight lies on the
  channels of bottlenecks,
- by which end of a priced channel is nearer, in hops: on meshes, tori, trees and hypercubes this parts the
  package along the channel (Djokovic, 1973),
- by position, where the nodes have one,

and the best few are improved by moving one vertex after the other across, the best move first, each vertex
once, up to the best state on the way (Fiduccia and Mattheyses, 1982).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.flow.bounds.certificate import shortest_distances
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.network import FlowNetwork

__all__ = ["Cut", "program_cut", "slowest_cut"]

Mask = Bools

CUT = "cut of the package in two"
SWEEPS = 16  # vertices to measure distances from, spread over all
CHANNELS = 12  # of the highest price, to part the package along
IMPROVED = 4  # sweeps whose best cut is improved
PATIENCE = 40  # moves that may bring nothing


@dataclass(frozen=True)
class Cut:
    """A set of nodes, and the channels that all traffic out of it must share.

    Parameters
    ----------
    inside
        Names of the nodes.
    channels
        Names of the channels that leave them; those that enter too, where links are half duplex.
    demand
        What must cross, in B.
    capacity
        Capacity of the channels, in B/s.
    time
        demand / capacity: no routing is faster, in s.
    """

    inside: tuple[str, ...]
    channels: tuple[str, ...]
    demand: float = field(metadata={"unit": "B"})
    capacity: float = field(metadata={"unit": "B/s"})
    time: float = field(metadata={"unit": "s"})


def slowest_cut(network: FlowNetwork, demand: Floats, prices: Floats) -> Cut | None:
    """Return the slowest cut that sweeps and moves find, or ``None`` without demand.

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    prices
        Prices of the resources, [resources].
    """
    if not demand.any():
        return None
    graph = _Graph(network.num_vertices, network.tail, network.head, network.own, network.arc_capacity)
    length = network.on_arcs.T @ (prices + 1e-9 / (network.capacity * len(prices)))
    orders = [*_orders(graph, length), *_orders_by_position(network)]
    found = [
        _named(network, graph, demand, mask, both_ways) for mask, both_ways in _cuts(graph, demand, orders)
    ]
    return max(found, key=lambda cut: cut.time)


def program_cut(program: FlowProgram, prices: Floats) -> tuple[float, Floats]:
    """Return what the slowest cut found proves about a program (not a folded one), and its prices.

    Parameters
    ----------
    prices
        Prices of the resources that guide the search, [resources].
    """
    vertices, ends = program.num_vertices, program.ends
    demand = np.zeros((vertices, vertices))
    demand[ends] = program.demand
    columns = program.on_arcs.tocsc()
    own = np.minimum.reduceat(columns.indices, columns.indptr[:-1])  # channels come before crossbars
    graph = _Graph(vertices, program.tail, program.head, own, program.capacity[own])
    length = program.on_arcs.T @ (prices + 1e-9 / (program.capacity * len(prices)))
    best, best_prices = 0.0, np.zeros(len(prices))
    for mask, both_ways in _cuts(graph, demand, list(_orders(graph, length))):
        arcs, crossing = graph.crossed(demand, mask, both_ways)
        shared = np.unique(own[arcs])
        capacity = float(program.capacity[shared].sum())
        if capacity > 0 and (crossing + program.base[shared].sum()) / capacity > best:
            best = float(crossing + program.base[shared].sum()) / capacity
            best_prices = np.zeros(len(prices))
            best_prices[shared] = 1 / capacity
    return best, best_prices


@dataclass(frozen=True, eq=False)
class _Graph:
    """Arcs between vertices: the resource that is each one's channel, and its capacity, [arcs]."""

    num_vertices: int
    tail: Ints
    head: Ints
    own: Ints
    capacity: Floats

    @property
    def shared(self) -> Mask:
        """Which arcs share their channel with the other direction, [arcs]."""
        return np.asarray(np.bincount(self.own)[self.own] > 1)

    def crossed(self, demand: Floats, mask: Mask, both_ways: bool) -> tuple[Ints, float]:
        """Return the arcs that a cut crosses, and the demand that does."""
        crosses = mask[self.tail] & ~mask[self.head]
        crossing = float(demand[np.ix_(mask, ~mask)].sum())
        if both_ways:
            crosses |= ~mask[self.tail] & mask[self.head]
            crossing += float(demand[np.ix_(~mask, mask)].sum())
        return np.flatnonzero(crosses), crossing


def _cuts(graph: _Graph, demand: Floats, orders: list[Ints]) -> Iterator[tuple[Mask, bool]]:
    """Yield slow cuts, and whether both ways count."""
    for both_ways in (False, True)[: 1 + bool(graph.shared.any())]:
        sides = _Sides.of(graph, demand, both_ways)
        swept = sorted((sides.sweep(order) for order in orders), key=lambda cut: -cut[0])
        tried: list[Mask] = []
        for _, mask in swept:
            if not any(np.array_equal(mask, other) for other in tried):
                tried.append(mask)
                yield sides.improved(mask), both_ways
            if len(tried) == IMPROVED:
                break


@dataclass(frozen=True, eq=False)
class _Sides:
    """What crosses from one side to the other: bytes [vertices, vertices] and capacity, as sparse rows."""

    demand: Floats
    capacity: Any
    capacity_back: Any

    @classmethod
    def of(cls, graph: _Graph, demand: Floats, both_ways: bool) -> _Sides:
        from scipy.sparse import csr_array

        shape = (graph.num_vertices, graph.num_vertices)
        room = csr_array((graph.capacity, (graph.tail, graph.head)), shape=shape)
        if both_ways:
            twice = csr_array((graph.capacity * graph.shared, (graph.tail, graph.head)), shape=shape)
            demand, room = demand + demand.T, csr_array(room + room.T - twice)
        return cls(demand, room, csr_array(room.T))

    def sweep(self, order: Ints) -> tuple[float, Mask]:
        """Return the slowest cut between the first vertices of an order and the rest, either way."""
        size = len(order)
        rank = np.empty(size, np.int64)
        rank[order] = np.arange(size)
        later = np.maximum(rank[:, None], rank[None, :]).ravel()
        inner: Floats = np.cumsum(np.bincount(later, self.demand.ravel(), size))
        arcs = self.capacity.tocoo()
        begin, end = rank[arcs.row], rank[arcs.col]
        best, mask = -1.0, np.zeros(size, bool)
        for forward, total in ((True, self.demand.sum(axis=1)), (False, self.demand.sum(axis=0))):
            crossing = (np.cumsum(total[order]) - inner)[:-1]
            low, high = (begin, end) if forward else (end, begin)
            over = low < high
            opened = np.bincount(low[over], arcs.data[over], size)
            room = np.cumsum(opened - np.bincount(high[over], arcs.data[over], size))[:-1]
            ratio = _ratio(crossing, room, float(arcs.data.max()))
            cut = int(np.argmax(ratio))
            if ratio[cut] > best:
                best, mask = float(ratio[cut]), (rank <= cut) == forward
        return best, mask

    def improved(self, mask: Mask) -> Mask:
        """Return a cut that moves of single vertices do not make slower, or not easily."""
        while True:
            better = self._moved(mask)
            if better is None:
                return mask
            mask = better

    def _moved(self, mask: Mask) -> Mask | None:
        """Return the slowest cut on the way of moving each vertex once, ``None`` where it is the first."""
        mask = mask.copy()
        size, unit = len(mask), float(self.capacity.data.max())
        inside = mask.astype(float)
        to_rest, from_inside = self.demand @ (1 - inside), inside @ self.demand
        room_to_rest, room_from_inside = self.capacity @ (1 - inside), self.capacity_back @ inside
        crossing, room = float(to_rest @ inside), float(room_to_rest @ inside)
        free = np.ones(size, bool)
        best, since = crossing / max(room, 1e-12 * unit), 0
        found: Mask | None = None
        for _ in range(size - 1):
            sign = np.where(mask, -1.0, 1.0)  # what moves in leaves with what it sends to the rest
            left = crossing + sign * (to_rest - from_inside)
            open_ = room + sign * (room_to_rest - room_from_inside)
            ratio = np.where(free, _ratio(left, open_, unit), -1.0)
            vertex = int(np.argmax(ratio))
            if ratio[vertex] < 0:
                break
            crossing, room = float(left[vertex]), float(open_[vertex])
            step = sign[vertex]
            mask[vertex] = not mask[vertex]
            free[vertex] = False
            to_rest -= step * self.demand[:, vertex]
            from_inside += step * self.demand[vertex]
            for rows, change, by in (
                (self.capacity_back, room_to_rest, -step),
                (self.capacity, room_from_inside, step),
            ):
                part = slice(rows.indptr[vertex], rows.indptr[vertex + 1])
                np.add.at(change, rows.indices[part], by * rows.data[part])
            since += 1
            if ratio[vertex] > best * (1 + 1e-9):
                best, found, since = float(ratio[vertex]), mask.copy(), 0
            elif since > PATIENCE:
                break
        return found


def _ratio(crossing: Floats, room: Floats, unit: float) -> Floats:
    """Return crossing over room, 0 where nothing is open."""
    return np.divide(crossing, room, out=np.zeros(len(room)), where=room > 1e-9 * unit)


def _orders(graph: _Graph, length: Floats) -> Iterator[Ints]:
    """Yield orders of the vertices by distances, [vertices]."""
    size, tail, head = graph.num_vertices, graph.tail, graph.head
    starts = np.unique(np.linspace(0, size - 1, min(size, SWEEPS)).astype(int))
    for here, there in ((tail, head), (head, tail)):
        distance, _ = shortest_distances(size, here, there, length, starts)
        yield from np.argsort(distance, axis=1, kind="stable")
    dear = np.argsort(-length * graph.capacity, kind="stable")[:CHANNELS]
    hops, _ = shortest_distances(size, head, tail, np.ones(len(tail)), np.r_[tail[dear], head[dear]])
    hops = np.minimum(hops, size)
    yield from np.argsort(hops[: len(dear)] - hops[len(dear) :], axis=1, kind="stable")


def _orders_by_position(network: FlowNetwork) -> Iterator[Ints]:
    position = np.full((network.num_vertices, 2), np.nan)
    for i, node in enumerate(network.package.nodes):
        if node.position is not None:
            position[[network.origin[i], network.destination[i]]] = node.position
    if not np.isnan(position).all():  # what has none comes last
        yield np.lexsort((position[:, 1], position[:, 0]))
        yield np.lexsort((position[:, 0], position[:, 1]))


def _named(network: FlowNetwork, graph: _Graph, demand: Floats, mask: Mask, both_ways: bool) -> Cut:
    arcs, crossing = graph.crossed(demand, mask, both_ways)
    capacity = float(network.capacity[np.unique(network.own[arcs])].sum())
    channels = np.flatnonzero(np.isin(network.arc_of_channel, arcs))
    nodes = dict.fromkeys(network.node_of_vertex(int(v)) for v in np.flatnonzero(mask))
    names = tuple(network.package.channels[int(i)].name for i in channels)
    return Cut(tuple(nodes), names, crossing, capacity, crossing / capacity if capacity else 0.0)
