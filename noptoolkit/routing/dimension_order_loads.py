"""Loads of dimension-order routing by sums over rows and columns.

The model. All traffic from column c to column c' within row r shares one path along that row, for every
destination row; all traffic from row r to row r' within its destination column shares one path along it::

    X[r, c, c'] = sum over r' of demand[(r, c), (r', c')]        Y[c', r, r'] = sum over c of the same

In a clique that is the load of the arc from c to c'. In a path or ring, an arc onwards from place i carries
what starts at a, i - a places before it, and goes on for more than that. Everything is a sum of demands,
never a difference, so what is unused carries exactly nothing. Traffic from nodes off the grid joins where
it enters; traffic to them is computed in general, destination by destination
(`noptoolkit.routing.dimension_order_routing.dimension_order`).
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.dimension_order_routing import dimension_order, entries, share_of_parallel
from noptoolkit.routing.forwarding import push
from noptoolkit.routing.lattice import Grid, find_grid

__all__ = ["dimension_order_load"]


def dimension_order_load(network: FlowNetwork, demand: Floats) -> Floats:
    """Return the load of each arc under X-then-Y routing, in B, [arcs].

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].

    Raises
    ------
    RoutingError
        If the package is not a grid (see `noptoolkit.routing.lattice.find_grid`).
    """
    grid = find_grid(network.package)
    core = grid.nodes.ravel()
    between = demand[np.ix_(core, core)]
    load = np.zeros(network.num_arcs)
    off = np.ones(network.num_vertices, bool)
    off[core] = False
    away = np.flatnonzero(off & demand.any(axis=0))
    if len(away):
        load += push(network, dimension_order(network, away), demand).sum(axis=0)
    if demand[np.ix_(off, core)].any():
        load += _enter(network, grid, demand, between)
    return load + _load_inside(network, grid, between)


def _enter(network: FlowNetwork, grid: Grid, demand: Floats, between: Floats) -> Floats:
    """Return the load of the arcs off the grid towards it; what they bring is added where it enters."""
    core = grid.nodes.ravel()
    cell = np.full(network.num_vertices, -1)
    cell[core] = np.arange(len(core))
    arcs, share = entries(network, grid, core)
    tail, head = network.tail[arcs], network.head[arcs]
    inwards = cell[head] >= 0
    load = np.zeros(network.num_arcs)
    waiting = np.where(cell[:, None] < 0, demand[:, core], 0.0)  # [vertices, destinations]
    while waiting.any():
        moved = waiting[tail] * share.T
        load[arcs] += moved.sum(axis=1)
        np.add.at(between, cell[head[inwards]], moved[inwards])
        waiting = np.zeros_like(waiting)
        np.add.at(waiting, head[~inwards], moved[~inwards])
    return load


def _load_inside(network: FlowNetwork, grid: Grid, between: Floats) -> Floats:
    """Return what traffic between cells [cells, cells] puts on each arc."""
    rows, columns = grid.nodes.shape
    pairs = between.reshape(rows, columns, rows, columns)
    row, column = np.full((2, network.num_vertices), -1)
    row[grid.nodes.ravel()], column[grid.nodes.ravel()] = np.divmod(np.arange(rows * columns), columns)
    arcs = np.flatnonzero((row[network.tail] >= 0) & (row[network.head] >= 0))
    tail, head = network.tail[arcs], network.head[arcs]
    load = np.zeros(network.num_arcs)
    for kind, amount, line, place in (
        (grid.rows, pairs.sum(axis=2), row, column),
        (grid.columns, pairs.sum(axis=1).transpose(2, 0, 1), column, row),
    ):
        mine = line[tail] == line[head]
        along, here, there = line[tail[mine]], place[tail[mine]], place[head[mine]]
        if kind == "clique":
            load[arcs[mine]] = amount[along, here, there]
            continue
        length = amount.shape[1]
        back = (there - here) % length != 1 if length > 2 else there < here
        load[arcs[mine]] = _along_lines(amount, kind == "ring")[back.astype(int), along, here]
    return load * share_of_parallel(network)


def _along_lines(amount: Floats, wrap: bool) -> Floats:
    """Return the loads of lines on the arcs that leave each place, [2, lines, places]: onwards, backwards.

    Parameters
    ----------
    amount
        Bytes from each place to each other, [lines, places, places].
    wrap
        Whether the lines are rings: then the shorter direction is taken, half each where both are as short.
    """
    return np.stack([_onwards(amount, wrap), _onwards(amount[:, ::-1, ::-1], wrap)[:, ::-1]])


def _onwards(amount: Floats, wrap: bool) -> Floats:
    length = amount.shape[1]
    place = np.arange(length)
    start, far = place[:, None], place[None, :]
    if wrap:
        share = np.where(2 * far == length, 0.5, 2 * far < length) * (far > 0)
    else:
        share = 1.0 * ((far > 0) & (start + far < length))
    by_distance = amount[:, start, (start + far) % length] * share
    beyond = np.zeros_like(by_distance)  # what starts at a place and goes farther than each distance
    beyond[:, :, :-1] = by_distance[:, :, :0:-1].cumsum(axis=2)[:, :, ::-1]
    onwards: Floats = beyond[:, start, (far - start) % length].sum(axis=1)
    return onwards
