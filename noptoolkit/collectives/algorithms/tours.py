"""Tours of the members of a group for ring algorithms.

A ring runs at full speed if every hop of its tour is a link of its own: a Hamiltonian cycle. Grids with an
even side have one in closed form; elsewhere a greedy tour by hops is improved by 2-opt moves (Croes 1958).
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.lattice import find_grid

__all__ = ["given_tour", "grid_of", "tours"]

MOST_IMPROVED = 300  # members up to which a tour is improved


def given_tour(nodes: Ints) -> Ints:
    """Return the members in the order in which they are listed."""
    return np.arange(len(nodes))


def grid_of(network: FlowNetwork, nodes: Ints) -> Ints | None:
    """Return the members as rows and columns of the package's grid; ``None`` where they fill none."""
    place = {int(node): i for i, node in enumerate(nodes)}
    try:
        cells = find_grid(network.package).nodes
    except RoutingError:
        return None
    mine = np.isin(cells, nodes)
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    inner = cells[np.ix_(rows, columns)]
    if inner.size != len(nodes) or min(inner.shape) < 2 or not np.isin(inner, nodes).all():
        return None
    return np.array([[place[int(node)] for node in row] for row in inner], np.int64)


def tours(network: FlowNetwork, nodes: Ints) -> list[Ints]:
    """Return tours worth trying: as given, round the grid, and a short one."""
    found = [given_tour(nodes)]
    grid = grid_of(network, nodes)
    if grid is not None:
        found.append(_round_grid(grid))
    elif len(nodes) <= MOST_IMPROVED:
        found.append(_short_tour(_distances(network, nodes)))
    return found


def _round_grid(grid: Ints) -> Ints:
    """Return a Hamiltonian cycle of a grid with an even side; a snake where both sides are odd."""
    rows, columns = grid.shape
    if rows % 2 and not columns % 2:
        return _round_grid(grid.T)
    if rows % 2:
        return np.concatenate([row if r % 2 == 0 else row[::-1] for r, row in enumerate(grid)])
    inner = [row[1:] if r % 2 == 0 else row[1:][::-1] for r, row in enumerate(grid)]
    return np.concatenate([grid[:1, 0], *inner, grid[:0:-1, 0]])


def _distances(network: FlowNetwork, nodes: Ints) -> Ints:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    size = network.num_vertices
    graph = csr_array((np.ones(network.num_arcs), (network.tail, network.head)), shape=(size, size))
    hops = shortest_path(graph, unweighted=True, indices=network.origin[nodes])
    return np.asarray(hops[:, network.destination[nodes]])


def _short_tour(hops: Ints) -> Ints:
    n = len(hops)
    tour, left = [0], set(range(1, n))
    while left:
        last = hops[tour[-1]]
        nearest = min(left, key=lambda v: (last[v], v))
        tour.append(nearest)
        left.remove(nearest)
    order = np.array(tour)
    for _ in range(20):
        better = False
        for i in range(n - 2):
            a, b = order[i], order[i + 1]
            ends = order[i + 2 :]
            after = np.r_[order[i + 3 :], order[0]]
            gain = hops[a, b] + hops[ends, after] - hops[a, ends] - hops[b, after]
            j = int(np.argmax(gain))
            if gain[j] > 0:
                order[i + 1 : i + 3 + j] = order[i + 1 : i + 3 + j][::-1].copy()
                better = True
        if not better:
            break
    return order
