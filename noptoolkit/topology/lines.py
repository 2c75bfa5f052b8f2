"""Lines of chiplets, and the ways to wire one: what all lattice families are made of.

A lattice is a set of lines: the rows and columns of a grid, its diagonals, the three axes of a hexagon. A
family wires every line the same way: as a path (mesh), a ring (torus), a folded ring whose links span at
most two places, completely (flattened butterfly), or with express links of some strides (sparse Hamming
graph).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise

__all__ = [
    "complete",
    "folded_ring",
    "grid_diagonals",
    "grid_lines",
    "hexagon_lines",
    "path",
    "ring",
    "strided",
    "wire_lines",
]

Pattern = Callable[[int], list[tuple[int, int]]]
"""From the length of a line to the pairs of places on it that are linked."""


def path(length: int) -> list[tuple[int, int]]:
    """Link neighbours.

    Examples
    --------
    >>> path(4)
    [(0, 1), (1, 2), (2, 3)]
    """
    return list(pairwise(range(length)))


def ring(length: int) -> list[tuple[int, int]]:
    """Link neighbours and, on lines of more than two places, the ends.

    Examples
    --------
    >>> ring(4)
    [(0, 1), (1, 2), (2, 3), (3, 0)]
    """
    return path(length) + ([(length - 1, 0)] if length > 2 else [])


def folded_ring(length: int) -> list[tuple[int, int]]:
    """Link a ring that goes out over the even places and back over the odd ones.

    Examples
    --------
    >>> folded_ring(5)
    [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)]
    """
    if length <= 2:
        return path(length)
    return [(0, 1), *((i, i + 2) for i in range(length - 2)), (length - 2, length - 1)]


def complete(length: int) -> list[tuple[int, int]]:
    """Link every two places."""
    return list(combinations(range(length), 2))


def strided(strides: Iterable[int]) -> Pattern:
    """Return the pattern that links neighbours and places that are one of ``strides`` apart.

    Examples
    --------
    >>> strided([3])(5)
    [(0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (1, 4)]
    """
    steps = [1, *strides]
    return lambda length: [(i, i + step) for step in steps for i in range(length - step)]


def grid_lines(shape: Sequence[int]) -> list[list[list[int]]]:
    """Return, for each axis, last first, the lines of a grid of row-major indices.

    Examples
    --------
    >>> grid_lines((2, 3))
    [[[0, 1, 2], [3, 4, 5]], [[0, 3], [1, 4], [2, 5]]]
    """
    total = 1
    for size in shape:
        total *= size
    axes = []
    stride = 1
    for size in reversed(shape):
        starts = [i for i in range(total) if i // stride % size == 0]
        axes.append([[start + k * stride for k in range(size)] for start in starts])
        stride *= size
    return axes


def grid_diagonals(rows: int, columns: int) -> list[list[int]]:
    """Return the diagonals of both directions of a grid, those of one chiplet left out."""
    found = []
    for step in (1, -1):
        for start in range(-(rows - 1), columns + rows - 1):
            ends = sorted((-step * start, step * (columns - 1 - start)))  # rows where it enters and leaves
            inside = range(max(ends[0], 0), min(ends[1], rows - 1) + 1)
            line = [r * columns + start + step * r for r in inside]
            if len(line) > 1:
                found.append(line)
    return found


def hexagon_lines(radius: int) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Return the cells of a hexagon in axial coordinates, row by row, and its lines along three axes.

    Examples
    --------
    >>> cells, lines = hexagon_lines(1)
    >>> len(cells), len(lines)
    (7, 9)
    """
    reach = range(-radius, radius + 1)
    cells = [(q, r) for r in reach for q in reach if abs(q + r) <= radius]
    axes: list[dict[int, list[int]]] = [{}, {}, {}]
    for i, (q, r) in enumerate(cells):
        for axis, key in zip(axes, (r, q, q + r), strict=True):
            axis.setdefault(key, []).append(i)
    return cells, [line for axis in axes for line in axis.values()]


def wire_lines(lines: Iterable[Sequence[int]], pattern: Pattern) -> list[tuple[str, str]]:
    """Return the wires of lines of chiplets: ``e0``, ``e1``, ...

    Examples
    --------
    >>> wire_lines([[0, 1, 2]], path)
    [('e0', 'e1'), ('e1', 'e2')]
    """
    wires = []
    for line in lines:
        ends = [f"e{i}" for i in line]
        wires += [(ends[i], ends[j]) for i, j in pattern(len(line))]
    return wires
