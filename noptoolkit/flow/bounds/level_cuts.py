"""Cuts along a few natural orders of a package: bounds for next to nothing, at any size.

The model. An order puts each vertex on a level; the levels i to j, parted from all others, are a cut for
every i and j. Traffic summed by level is a small matrix, whose partial sums give what crosses each cut, and
capacity likewise::

    time >= bytes that leave the levels / sum of the capacities of the channels that leave them

The orders are from left to right, from bottom to top, and by which end of the busiest channel is nearer. On
a mesh or torus the cut that decides uniform traffic is among them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Package
from noptoolkit.routing.lattice import ranks
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.solution import Bound

__all__ = ["level_cut_bound"]


MOST_LEVELS = 64


def level_cut_bound(problem: RoutingProblem, busiest: int) -> Bound:
    """Return the bound of the slowest of these cuts for a problem's demand (its messages left out).

    Parameters
    ----------
    busiest
        The arc that is thought to be the bottleneck.
    """
    from scipy.sparse import csr_array

    network, demand = problem.network, problem.demand
    capacity = network.arc_capacity
    shared = np.bincount(network.own, minlength=network.num_resources)[network.own] > 1
    best, inside = 0.0, np.zeros(network.num_vertices, bool)
    ways: tuple[int, ...] = (0,)
    for level in _orders(network, busiest):
        count = int(level.max()) + 1
        gather = csr_array((np.ones(len(level)), (level, np.arange(len(level)))), shape=(count, len(level)))
        leave, enter = _crossing(np.asarray(gather @ np.asarray(gather @ demand).T).T)
        pair = level[network.tail] * count + level[network.head]
        room_out, room_in = _crossing(_squared(pair, capacity, count))
        both = room_out + room_in - _crossing(_squared(pair, capacity * shared, count))[0]
        for directions, crossing, open_ in (
            ((0,), leave, room_out),
            ((1,), enter, room_in),
            ((0, 1), leave + enter, both),
        ):
            ratio = np.divide(
                crossing, open_, out=np.zeros_like(crossing), where=open_ > 1e-9 * capacity.max()
            )
            first, last = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
            if ratio[first, last] > best:
                best, ways = float(ratio[first, last]), directions
                inside = (level >= first) & (level <= last)
    return _bound_of(problem, inside, ways)


def _orders(network: FlowNetwork, busiest: int) -> Iterator[Ints]:
    """Yield the level of each vertex, [vertices]."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    size = network.num_vertices
    backward = csr_array((np.ones(network.num_arcs), (network.head, network.tail)), shape=(size, size))
    ends = [network.tail[busiest], network.head[busiest]]
    to_tail, to_head = np.minimum(dijkstra(backward, indices=ends, unweighted=True), size)
    yield 1 + np.sign(to_tail - to_head).astype(np.int64)
    for axis in (0, 1):
        level = _levels_along(network, axis)
        if level is not None and level.max() > 0:
            yield level * MOST_LEVELS // max(MOST_LEVELS, int(level.max()) + 1)


def _levels_along(network: FlowNetwork, axis: int) -> Ints | None:
    """Return the rank of each vertex along an axis; what has no position is beside what it is linked to."""
    positions = _positions(network.package)
    at = np.full(network.num_vertices, np.nan)
    at[network.destination] = at[network.origin] = positions[:, axis]
    for tail, head in ((network.tail, network.head), (network.head, network.tail)):
        lost = np.isnan(at[tail])
        at[tail[lost]] = at[head[lost]]
    return None if np.isnan(at).any() else ranks(at)


def _positions(package: Package) -> Floats:
    nowhere = (np.nan, np.nan)
    return np.array([nowhere if node.position is None else node.position for node in package.nodes])


def _squared(pair: Ints, amount: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(pair, amount, count * count), dtype=float).reshape(count, count)


def _crossing(amount: Floats) -> tuple[Floats, Floats]:
    """Return what leaves and what enters levels i to j, [i, j], of amounts between levels; 0 for j < i."""
    count = len(amount)
    block = np.zeros((count + 1, count + 1))
    block[1:, 1:] = amount.cumsum(axis=0).cumsum(axis=1)
    first, last = np.arange(count)[:, None], np.arange(1, count + 1)[None, :]
    inner = block[last, last] - block[first, last] - block[last, first] + block[first, first]
    out = block[last, count] - block[first, count] - inner
    into = block[count, last] - block[count, first] - inner
    there = first < last
    return np.where(there, out, 0.0), np.where(there, into, 0.0)


def _bound_of(problem: RoutingProblem, inside: Bools, ways: tuple[int, ...]) -> Bound:
    """Return the bound of a cut, summed anew (the search subtracts large numbers)."""
    network, demand = problem.network, problem.demand
    prices = np.zeros(network.num_resources)
    crossing = 0.0
    for way in ways:
        begin, end = (inside, ~inside) if way == 0 else (~inside, inside)
        prices[network.own[begin[network.tail] & end[network.head]]] = 1.0
        crossing += float(demand[np.ix_(begin, end)].sum())
    scale = float(network.capacity @ prices)
    return Bound(
        crossing / scale if scale > 0 else 0.0, "cut of the package in two", prices / max(scale, 1e-300)
    )
