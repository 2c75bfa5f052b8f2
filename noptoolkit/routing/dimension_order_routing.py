"""Dimension-order routing (dor) on meshes, tori and flattened butterflies, with what hangs on their edges.

The model. On a grid (`noptoolkit.routing.lattice`) a packet first corrects its column (X), then its row
(Y); on a ring of even length both ways round are taken half each. Nodes off the lattice (an attention chiplet
along one side, memory stacks on the edges, the chiplets of a concentrated mesh) are entered and left by the
nearest of the lattice nodes that they are linked to, equally split where several tie, and nothing passes
through them.

Reference: Dally and Towles, Principles and Practices of Interconnection Networks, 2004, chapter 8.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.lattice import Grid, Line, find_grid

__all__ = ["dimension_order", "entries", "share_of_parallel"]


def dimension_order(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return X-then-Y routing on the grid of a package.

    Raises
    ------
    RoutingError
        If the package is not a grid (see `noptoolkit.routing.lattice.find_grid`).
    """
    grid = find_grid(network.package)
    place = _places(network, grid)
    gates = _gates(network, place, destinations)
    reach = np.full((len(destinations), network.num_vertices), np.inf)
    on_grid = np.flatnonzero(place[destinations] >= 0)
    targets = place[destinations[on_grid]]
    reach[np.ix_(on_grid, grid.nodes.ravel())] = _hops_to(grid, targets).T
    to, arc, share = _steps_to(network, grid, place, targets)
    parts = [(on_grid[to], arc, share)]
    parts += _steps_out(network, grid, place, gates, reach, np.flatnonzero(place[destinations] < 0))
    arcs, portion = _enter(network, place, gates, reach)
    to, arc = np.nonzero(portion)
    parts.append((to, arcs[arc], portion[to, arc]))
    to, arc, share = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Forwarding(
        destinations=destinations,
        to=to,
        arc=arc,
        share=share,
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
    for axis, (length, line) in enumerate(((columns, grid.rows), (len(grid.nodes), grid.columns))):
        if line != "ring":
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


@lru_cache(maxsize=32)
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


def _axes(grid: Grid) -> tuple[tuple[Ints, Line, int], tuple[Ints, Line, int]]:
    """Return, for X and Y, the place of each cell in its line, [cells], what that line is, and its length."""
    rows, columns = grid.nodes.shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    return (column, grid.rows, columns), (row, grid.columns, rows)


def _hops_to(grid: Grid, targets: Ints) -> Floats:
    """Return the hops to some cells, [cells, targets]."""
    hops = np.zeros((grid.nodes.size, len(targets)))
    for place, line, length in _axes(grid):
        apart = abs(place[targets] - place[:, None])
        if line == "ring":
            apart = np.minimum(apart, length - apart)
        hops += np.minimum(apart, 1) if line == "clique" else apart
    return hops


def _share_along(line: Line, length: int, here: Ints, there: Ints, target: Ints) -> Floats:
    """Return the share of what is bound for a place of a line that goes from one place to another."""
    if line == "clique":
        share = 1.0 * ((there == target) & (here != target))
    elif line == "path":
        share = 1.0 * ((target - here) * (there - here) > 0)
    else:
        far = np.where((there - here) % length == 1, target - here, here - target) % length  # that way round
        share = np.where(2 * far == length, 0.5, 2 * far < length) * (far > 0)
    return np.asarray(share, dtype=float)


def _steps_to(network: FlowNetwork, grid: Grid, place: Ints, targets: Ints) -> tuple[Ints, Ints, Floats]:
    """Return the steps towards some cells: which of them, the arc, its share, [steps] each."""
    tail, head = place[network.tail], place[network.head]
    inside = (tail >= 0) & (head >= 0)
    (column, in_row, columns), (row, in_column, rows) = _axes(grid)

    arcs = np.flatnonzero(inside & (row[tail] == row[head]))
    ends = column[tail[arcs], None], column[head[arcs], None]
    k, goal = np.nonzero(along := _share_along(in_row, columns, *ends, np.arange(columns)))
    step, to = _join(goal, column[targets], columns)  # what is bound for one column shares its way there
    x_steps = to, arcs[k[step]], along[k, goal][step]

    arcs = np.flatnonzero(inside & (column[tail] == column[head]))
    ends = row[tail[arcs], None], row[head[arcs], None]
    k, goal = np.nonzero(along := _share_along(in_column, rows, *ends, np.arange(rows)))
    step, to = _join(goal * columns + column[tail[arcs[k]]], targets, rows * columns)
    y_steps = to, arcs[k[step]], along[k, goal][step]

    to, arc, share = (np.concatenate(both) for both in zip(x_steps, y_steps, strict=True))
    return to, arc, share * share_of_parallel(network)[arc]


def _join(keys: Ints, others: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the pairs of indices at which two lists of keys below a size are equal."""
    order = np.argsort(others, kind="stable")
    count = np.bincount(others, minlength=size)
    many = count[keys]
    first = (np.cumsum(count) - count)[keys]
    place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many - first, many)
    return np.repeat(np.arange(len(keys)), many), order[place]


def _steps_out(
    network: FlowNetwork, grid: Grid, place: Ints, gates: Floats, reach: Floats, outside: Ints
) -> list[tuple[Ints, Ints, Floats]]:
    """Return the steps on the grid, and from it, towards destinations off it; fill the hops of its cells.

    Parameters
    ----------
    gates
        Hops of each vertex to each destination through nodes off the grid alone, [destinations, vertices].
    outside
        Rows of ``gates`` and ``reach``.
    """
    core = grid.nodes.ravel()
    doors = np.flatnonzero(np.isfinite(gates[np.ix_(outside, core)]).any(axis=0))
    hops = _hops_to(grid, doors)
    door, arcs, parts = _steps_to(network, grid, place, doors)
    order = np.argsort(door, kind="stable")
    arcs_of_door, parts_of_door = (
        np.split(x[order], np.cumsum(np.bincount(door, minlength=len(doors)))[:-1]) for x in (arcs, parts)
    )
    leaving = np.flatnonzero((place[network.tail] >= 0) & (place[network.head] < 0))
    steps = []
    for d in outside.tolist():
        open_ = np.flatnonzero(np.isfinite(gates[d, core[doors]]))
        if len(open_) == 0:
            continue
        total = hops[:, open_] + gates[d, core[doors[open_]]]
        reach[d, core] = total.min(axis=1)
        best = total == total.min(axis=1, keepdims=True)
        weight = best / best.sum(axis=1, keepdims=True)  # of each door in what a cell sends
        share = np.zeros(network.num_arcs)
        for k, number in enumerate(open_.tolist()):
            arc = arcs_of_door[number]
            share[arc] += weight[place[network.tail[arc]], k] * parts_of_door[number]
        out = leaving[gates[d, network.tail[leaving]] == gates[d, network.head[leaving]] + 1]
        exits = np.bincount(network.tail[out], minlength=network.num_vertices)
        own = np.zeros(network.num_vertices)
        own[core[doors[open_]]] = weight[doors[open_], np.arange(len(open_))]
        share[out] = own[network.tail[out]] / exits[network.tail[out]]
        used = np.flatnonzero(share)
        steps.append((np.full(len(used), d), used, share[used]))
    return steps


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

    They take the nearest path, on the grid or off it.
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
