"""Dimension-order routing (dor) on meshes and tori, with what hangs on their edges.

The model. On a grid (`noptoolkit.flow.lattice`) a packet first corrects its column (X), then its row (Y);
on a ring of even length both ways round are taken half each. Nodes off the lattice (an attention chiplet
along one side, memory stacks on the edges, the chiplets of a concentrated mesh) are entered and left by the
nearest of the lattice nodes that they are linked to, equally split where several tie, and nothing passes
through them.

Reference: Dally and Towles, Principles and Practices of Interconnection Networks, 2004, chapter 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.forwarding import Forwarding
from noptoolkit.flow.lattice import Grid, find_grid
from noptoolkit.flow.network import FlowNetwork

__all__ = ["dimension_order", "entries", "share_of_parallel"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def dimension_order(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return X-then-Y routing on the grid of a package.

    Raises
    ------
    RoutingError
        If the package is no grid (see `noptoolkit.flow.lattice.find_grid`).
    """
    grid = find_grid(network.package)
    core = grid.nodes.ravel()
    place = _places(network, grid)
    gates = _gates(network, place, destinations)
    through = gates[:, core]
    targets = np.flatnonzero(np.isfinite(through).any(axis=0))
    steps = _core_steps(network, grid, place, targets)
    distance = _hops_to(grid, targets)
    row = np.searchsorted(targets, np.arange(len(core)))
    reach = np.full((len(destinations), network.num_vertices), np.inf)
    share = np.zeros((len(destinations), network.num_arcs))
    inside = (place[network.tail] >= 0) & (place[network.head] >= 0)
    for d, destination in enumerate(destinations):
        if place[destination] >= 0:
            reach[d, core] = distance[:, row[place[destination]]]
            share[d] = steps[row[place[destination]]]
            continue
        doors = np.flatnonzero(np.isfinite(through[d]))
        if len(doors) == 0:
            continue
        total = distance[:, row[doors]] + through[d, doors]
        reach[d, core] = total.min(axis=1)
        best = total == reach[d, core][:, None]
        weight = best / best.sum(axis=1, keepdims=True)
        share[d, inside] = (weight[place[network.tail[inside]]] * steps[np.ix_(row[doors], inside)].T).sum(
            axis=1
        )
        own = np.zeros(len(core))
        own[doors] = weight[doors, np.arange(len(doors))]
        leaving = (place[network.tail] >= 0) & (place[network.head] < 0)
        leaving &= gates[d, network.tail] == gates[d, network.head] + 1
        exits = np.bincount(network.tail[leaving], minlength=network.num_vertices)
        tails = network.tail[leaving]
        share[d, leaving] = own[place[tails]] / exits[tails]
    arcs, portion = _enter(network, place, gates, reach)
    share[:, arcs] = portion
    to, arc = np.nonzero(share)
    return Forwarding(
        destinations=destinations,
        to=to,
        arc=arc,
        share=share[to, arc],
        level=reach[to, network.tail[arc]].astype(np.int64),
        tail=network.tail[arc],
        head=network.head[arc],
        num_states=network.num_vertices,
        virtual_channel=_datelines(network, grid, place, destinations, to, arc),
    )


def _datelines(
    network: FlowNetwork, grid: Grid, place: Ints, destinations: Ints, to: Ints, arc: Ints
) -> Ints:
    """Return 1 where a packet in a ring has no more wrap link to cross, else 0 (two virtual channels).

    On the last ring towards a node off the grid both may occur; such packets stay on channel 0.
    """
    columns = grid.nodes.shape[1]
    tail, head, target = place[network.tail[arc]], place[network.head[arc]], place[destinations][to]
    channel = np.zeros(len(to), np.int64)
    on_grid = (tail >= 0) & (head >= 0) & (target >= 0)
    for axis, (length, wrap) in enumerate(zip(grid.nodes.shape[::-1], grid.wraps, strict=True)):
        if not wrap:
            continue
        here, there, last = ((x % columns if axis == 0 else x // columns) for x in (tail, head, target))
        along = on_grid & (here != there)
        onward = (there - here) % length == 1
        channel[along & onward & (here < last)] = 1
        channel[along & ~onward & (here > last)] = 1
    return channel


def entries(network: FlowNetwork, grid: Grid, destinations: Ints) -> tuple[Ints, Floats]:
    """Return the arcs that leave nodes off the grid, and their shares of what is bound for each destination.

    Parameters
    ----------
    destinations
        Vertices on the grid, [destinations].

    Returns
    -------
    arcs : [entries]
    share : [destinations, entries]
    """
    place = _places(network, grid)
    gates = _gates(network, place, destinations)
    reach = np.full((len(destinations), network.num_vertices), np.inf)
    reach[:, grid.nodes.ravel()] = _hops_to(grid, place[destinations]).T
    return _enter(network, place, gates, reach)


def share_of_parallel(network: FlowNetwork) -> Floats:
    """Return the share of each arc in what goes from its tail to its head, [arcs]; 1 where it is alone."""
    _, pair = np.unique(network.tail * network.num_vertices + network.head, return_inverse=True)
    share: Floats = network.width / np.bincount(pair, network.width)[pair]
    return share


def _places(network: FlowNetwork, grid: Grid) -> Ints:
    """Return the cell of each vertex, row by row, -1 off the grid, [vertices]."""
    place = np.full(network.num_vertices, -1)
    place[grid.nodes.ravel()] = np.arange(grid.nodes.size)
    return place


def _ways(grid: Grid, targets: Ints) -> list[tuple[Floats, Floats, Floats]]:
    """Return, for X and Y, the shares onwards and backwards and the hops to some cells, [cells, targets]."""
    rows, columns = grid.nodes.shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    ways = []
    for here, length, wrap in ((column, columns, grid.wraps[0]), (row, rows, grid.wraps[1])):
        offset = here[None, targets] - here[:, None]  # [from, to]
        if wrap:
            forward = offset % length
            apart = np.minimum(forward, length - forward)
            plus = np.where(2 * forward == length, 0.5, 1.0 * (2 * forward < length)) * (forward > 0)
        else:
            apart = abs(offset)
            plus = 1.0 * (offset > 0)
        ways.append((plus, (offset != 0) - plus, apart.astype(float)))
    return ways


def _hops_to(grid: Grid, targets: Ints) -> Floats:
    """Return the hops to some cells, [cells, targets]."""
    (_, _, across), (_, _, along) = _ways(grid, targets)
    return across + along


def _core_steps(network: FlowNetwork, grid: Grid, place: Ints, targets: Ints) -> Floats:
    """Return each arc's share towards some cells, [targets, arcs]."""
    rows, columns = grid.nodes.shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    tail, head = place[network.tail], place[network.head]
    inside = (tail >= 0) & (head >= 0)
    ways = _ways(grid, targets)
    steps = np.zeros((len(targets), network.num_arcs))
    for axis, (here, length) in enumerate(((column, columns), (row, rows))):
        other = (row, column)[axis]
        arcs = np.flatnonzero(inside & (other[tail] == other[head]))
        onward = (here[head[arcs]] - here[tail[arcs]]) % length == 1
        if length == 2:
            onward = here[head[arcs]] > here[tail[arcs]]
        plus, minus, _ = ways[axis]
        share = np.where(onward[:, None], plus[tail[arcs]], minus[tail[arcs]])
        if axis == 1:
            share = share * (ways[0][2][tail[arcs]] == 0)
        steps[:, arcs] = share.T
    return steps * share_of_parallel(network)


def _gates(network: FlowNetwork, place: Ints, destinations: Ints) -> Floats:
    """Return the hops to each destination through nodes off the grid alone, infinite without."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    size = network.num_vertices
    outside = place[network.head] < 0
    backward = csr_array(
        (np.ones(int(outside.sum())), (network.head[outside], network.tail[outside])), shape=(size, size)
    )
    return np.array(dijkstra(backward, indices=destinations, unweighted=True), dtype=float)


def _enter(network: FlowNetwork, place: Ints, gates: Floats, reach: Floats) -> tuple[Ints, Floats]:
    """Extend levels to the vertices off the grid; return the arcs that leave them, and their shares.

    They take the nearest way, on the grid or off it.
    """
    off = np.flatnonzero(place < 0)
    reach[:, off] = gates[:, off]
    arcs = np.flatnonzero(place[network.tail] < 0)
    tails, heads = network.tail[arcs], network.head[arcs]
    for _ in range(len(off)):
        before = reach[:, off].copy()
        for tail, head in zip(tails, heads, strict=True):
            np.minimum(reach[:, tail], reach[:, head] + 1, out=reach[:, tail])
        if np.array_equal(before, reach[:, off]):
            break
    useful = np.isfinite(reach[:, tails]) & (reach[:, tails] == reach[:, heads] + 1)
    width = useful * network.width[arcs]
    total = np.zeros_like(reach)
    for k, tail in enumerate(tails):
        total[:, tail] += width[:, k]
    return arcs, np.divide(width, total[:, tails], out=np.zeros(width.shape), where=width > 0)
