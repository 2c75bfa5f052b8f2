"""The lattice in a package: which of its nodes form rows and columns, by their positions and links.

The model. A *grid* is a full lattice of nodes whose links stay within a row or a column. Rows are all of
one kind, and so are columns: paths (a mesh: links join lattice neighbours), rings (a torus: also the two
ends) or cliques (a flattened butterfly: links join every two). A torus that is folded, so that its links
are all short, is unfolded: its rows and columns are put in the order in which the links lead round.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.package import Memory, Package, Switch

__all__ = ["Grid", "Line", "find_grid"]

Cell = tuple[int, ...]  # row, column

WAY_OUT = "use routing='ecmp' or 'optimal', or give every node of the grid its position"


Line = Literal["path", "ring", "clique"]


@dataclass(frozen=True, eq=False)
class Grid:
    """The lattice in a package.

    Parameters
    ----------
    nodes
        Node index at each row and column, [rows, columns].
    rows, columns
        What each row and each column is; those of at most three nodes are paths or rings, not cliques.
    """

    nodes: Ints
    rows: Line
    columns: Line


@lru_cache(maxsize=32)
def find_grid(package: Package) -> Grid:
    """Return the lattice of a package from the positions of its nodes.

    Nodes that are alone in their row or column, while others are not, are taken to hang on the lattice; so
    are all chiplets if the switches alone form one.

    Raises
    ------
    RoutingError
        If there is no full lattice, a neighbour link is missing, or a link joins other than neighbours.
    """
    placed = [
        i
        for i, node in enumerate(package.nodes)
        if not isinstance(node, Memory) and node.position is not None
    ]
    switches = [i for i in placed if isinstance(package.nodes[i], Switch)]
    try:
        return _lattice_of(package, placed)
    except RoutingError:
        if len(switches) in (0, len(placed)):
            raise
        try:
            return _lattice_of(package, switches)
        except RoutingError:
            pass
        raise


def _lattice_of(package: Package, placed: list[int]) -> Grid:
    """Return the lattice that most of some nodes form."""
    place = f"package {package.name!r}: dor needs a grid"
    if len(placed) < 2:
        raise RoutingError(f"{place}, but its nodes have no positions; {WAY_OUT}")
    xy = np.array([package.nodes[i].position for i in placed])
    keep = np.arange(len(placed))
    row = column = np.zeros(0, np.int64)
    while len(keep):
        column, row = (ranks(xy[keep, axis]) for axis in (0, 1))
        size = np.stack([np.bincount(row)[row], np.bincount(column)[column]])
        alone = (size < size.max(axis=1, keepdims=True)).any(axis=0)
        if not alone.any():
            break
        smallest = size.sum(axis=0)
        keep = keep[smallest > smallest.min()]
    rows, columns = int(row.max(initial=0)) + 1, int(column.max(initial=0)) + 1
    if len(keep) != rows * columns or len(keep) < max(2, len(placed) / 2):
        raise RoutingError(f"{place}, but the positions of its nodes form no full lattice; {WAY_OUT}")
    nodes = np.full((rows, columns), -1)
    nodes[row, column] = np.array(placed)[keep]
    if (nodes < 0).any():
        raise RoutingError(f"{place}, but two nodes share a position; {WAY_OUT}")
    nodes = nodes[np.ix_(_around(package, nodes[:, 0]), _around(package, nodes[0]))]
    return Grid(nodes, *_check_links(package, nodes, place))


def _around(package: Package, line: Ints) -> list[int]:
    """Return the places of a line in the order in which its links lead round, if they form a ring.

    A folded torus is one whose rings do not run from left to right.
    """
    place = {package.nodes[node].name: i for i, node in enumerate(line.tolist())}
    beside: list[set[int]] = [set() for _ in place]
    for channel in package.channels:
        if channel.tail in place and channel.head in place:
            beside[place[channel.tail]].add(place[channel.head])
    order = list(range(len(place)))
    if any(len(others) != 2 for others in beside):
        return order
    walk = [0, min(beside[0])]
    while len(walk) <= len(place) and walk[-1] != 0:
        walk += beside[walk[-1]] - {walk[-2]}
    return walk[:-1] if len(walk) == len(place) + 1 else order


def _check_links(package: Package, nodes: Ints, place: str) -> tuple[Line, Line]:
    """Return what rows and columns are, having checked that all of them are alike and whole."""
    cell = {int(node): at for at, node in np.ndenumerate(nodes)}
    index = package.index
    joined: list[dict[tuple[Cell, Cell], str]] = [
        {},
        {},
    ]  # pairs along columns, along rows: a channel of each
    for channel in package.channels:
        tail, head = cell.get(index[channel.tail]), cell.get(index[channel.head])
        if tail is None or head is None:
            continue
        if tail[0] != head[0] and tail[1] != head[1]:
            raise RoutingError(f"{place}, but {channel.name!r} does not join neighbours; {WAY_OUT}")
        joined[1 if tail[0] == head[0] else 0][tail, head] = channel.name
    return _kind_of(package, nodes, 1, joined[1], place), _kind_of(package, nodes, 0, joined[0], place)


def _kind_of(
    package: Package, nodes: Ints, axis: int, joined: dict[tuple[Cell, Cell], str], place: str
) -> Line:
    """Return what all lines along an axis are."""
    length = nodes.shape[axis]
    if length > 3 and len(joined) == nodes.size * (length - 1):
        return "clique"
    for (tail, head), name in joined.items():
        if (head[axis] - tail[axis]) % length not in (1, length - 1):
            raise RoutingError(f"{place}, but {name!r} does not join neighbours; {WAY_OUT}")
    missing: list[tuple[Cell, Cell]] = []
    around: list[tuple[Cell, Cell]] = []
    for at in np.ndindex(*nodes.shape):
        step = list(at)
        step[axis] = (at[axis] + 1) % length
        there = (at, tuple(step))
        for pair in (there, there[::-1]):
            if pair[0] != pair[1] and pair not in joined:
                (around if at[axis] + 1 == length else missing).append(pair)
    if missing:
        a, b = (package.nodes[nodes[at]].name for at in missing[0])
        raise RoutingError(f"{place}, but there is no channel {a + '->' + b!r}; {WAY_OUT}")
    if length > 2 and around and len(around) != 2 * (nodes.size // length):
        a, b = (package.nodes[nodes[at]].name for at in around[0])
        raise RoutingError(f"{place}, but of the links around {a + '->' + b!r} is missing; {WAY_OUT}")
    return "ring" if length > 2 and not around else "path"


def ranks(values: Floats) -> Ints:
    """Return the rank of each value, equal within a thousandth of the range."""
    order = np.argsort(values, kind="stable")
    span = max(float(np.ptp(values)), 1e-300)
    rank = np.zeros(len(values), np.int64)
    rank[order] = np.r_[0, np.cumsum(np.diff(values[order]) > 1e-3 * span)]
    return rank
