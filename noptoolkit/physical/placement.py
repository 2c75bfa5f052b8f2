"""Placement of dies without given positions: on a grid, in hexagons, radially, or annealed for short wires.

On grids all dies get cells of one size, so that nothing can overlap. `_anneal` starts from the grid and
swaps the dies of two cells, or moves one to a free cell; a worse total wire length (Manhattan between
centres, links weighted by bandwidth) is accepted with probability exp(-worse / temperature), the
temperature falling geometrically (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983). The best placement
seen is returned; the same seed returns the same. Radially, the dies lie on circles by their hops from the
root, in sectors as wide as the branches below them, and no two centres are nearer than the diagonal of a
cell.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import generator_from
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["Placement", "place"]

Placement = Literal["grid", "hexagonal", "radial", "annealed"]
MOST_ANNEALED = 4096
MOST_NAMED = 8


def place(
    package: Package,
    method: Placement = "grid",
    *,
    spacing: Quantity = "1 mm",
    default_size: Quantity = "10 mm",
    moves: int = 40_000,
    rng: int | np.random.Generator | None = 0,
) -> Package:
    """Return a package with every die placed, without overlaps.

    Which nodes got the size ``default_size`` stands in the package's ``assumed``.

    Parameters
    ----------
    package
        Package whose positions are replaced.
    method
        ``grid``: row by row in the order of the nodes; ``hexagonal``: every other row half a cell to the
        right; ``radial``: on circles round the attention chiplet, or the node with the most links;
        ``annealed``: on the grid, for short wires.
    spacing
        Distance between outlines, in m.
    default_size
        Side of nodes without a size, in m.
    moves, rng
        Number of moves, and seed or generator, of the annealing.

    Raises
    ------
    TopologyError
        If there is no such method, or the package is too large to anneal.

    Examples
    --------
    >>> from noptoolkit.physical import wire_length
    >>> from noptoolkit.topology import random_regular
    >>> package = random_regular(16, 3)
    >>> wire_length(place(package, "annealed")) < wire_length(place(package))
    True
    """
    gap = parse_quantity(spacing, "m", "spacing")
    side = parse_quantity(default_size, "m", "default_size")
    if gap < 0 or side <= 0:
        raise TopologyError("place: spacing must not be negative and default_size above 0")
    sizes = [node.size or (side, side) for node in package.nodes]
    wide = max(width for width, _ in sizes) + gap
    tall = max(height for _, height in sizes) + gap
    if method == "radial":
        return _moved(package, sizes, _radial(package, math.hypot(wide, tall)))
    columns = max(1, math.ceil(math.sqrt(len(sizes) * tall / wide)))
    cell = np.arange(len(sizes))
    if method == "annealed":
        if len(sizes) > MOST_ANNEALED:
            raise TopologyError(
                f"place: {len(sizes)} nodes are more than the {MOST_ANNEALED} that are annealed"
            )
        cell = _anneal(package, columns, wide, tall, moves, generator_from(rng))
    elif method not in ("grid", "hexagonal"):
        raise TopologyError(f"place: no method {method!r}; known: grid, hexagonal, radial, annealed")
    row, column = np.divmod(cell, columns)
    shift = np.where(row % 2 == 1, wide / 2, 0.0) if method == "hexagonal" else 0.0
    return _moved(package, sizes, np.stack([column * wide + shift, -row * tall], axis=1))


def _moved(package: Package, sizes: list[tuple[float, float]], at: Floats) -> Package:
    nodes = [
        dataclasses.replace(node, position=(x, y), size=size)
        for node, size, (x, y) in zip(package.nodes, sizes, at.tolist(), strict=True)
    ]
    bare = [node.name for node in package.nodes if node.size is None]
    if not bare:
        return package.replace(nodes=nodes)
    named = ", ".join(bare[:MOST_NAMED]) + (", ..." if len(bare) > MOST_NAMED else "")
    side = format_quantity(sizes[package.index[bare[0]]][0], "m")
    assumed = f"{side} x {side} is the size of {len(bare)} nodes that had none: {named}"
    return package.replace(nodes=nodes, assumed=(*package.assumed, assumed))


def _radial(package: Package, apart: float) -> Floats:
    """Return positions on circles round a root, [nodes, 2], no two nearer than ``apart``."""
    count = len(package.nodes)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for link in package.links:
        a, b = package.index[link.a], package.index[link.b]
        neighbours[a].append(b)
        neighbours[b].append(a)
    roots = package.with_role("attention")
    root = package.index[roots[0]] if roots else max(range(count), key=lambda node: len(neighbours[node]))
    circles = [[root]]
    children: list[list[int]] = [[] for _ in range(count)]
    seen = {root}
    while circles[-1]:
        circles.append([])
        for node in circles[-2]:
            children[node] = [other for other in dict.fromkeys(neighbours[node]) if other not in seen]
            seen.update(children[node])
            circles[-1] += children[node]
    leaves = [0] * count
    for node in (node for circle in reversed(circles) for node in circle):
        leaves[node] = max(1, sum(leaves[child] for child in children[node]))
    start, width = [0.0] * count, [2 * math.pi] * count
    for node in (node for circle in circles for node in circle):
        at = start[node]
        for child in children[node]:
            start[child], width[child] = at, width[node] * leaves[child] / leaves[node]
            at += width[child]
    position = np.zeros((count, 2))
    radius = 0.0
    for circle in circles[1:-1]:
        angle = np.array([start[node] + width[node] / 2 for node in circle])
        gap = np.diff(
            angle, append=angle[0] + 2 * math.pi
        ).min()  # children follow one another round the circle
        radius = max(radius + apart, apart / (2 * math.sin(min(gap, math.pi) / 2)))
        position[circle] = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return position


def _anneal(
    package: Package, columns: int, wide: float, tall: float, moves: int, rng: np.random.Generator
) -> Ints:
    """Return the cell of each node."""
    count = len(package.nodes)
    cells = columns * math.ceil(count / columns)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    unit = max(link.bandwidth for link in package.links) if package.links else 1.0
    for link in package.links:
        a, b, weight = package.index[link.a], package.index[link.b], max(link.bandwidth, 0.0) / unit
        neighbours[a].append((b, weight))
        neighbours[b].append((a, weight))
    x = [i % columns * wide for i in range(cells)]
    y = [i // columns * tall for i in range(cells)]
    cell_of = list(range(count))
    node_at = [*range(count), *[-1] * (cells - count)]

    def cost(node: int) -> float:
        here = cell_of[node]
        return sum(
            weight * (abs(x[here] - x[cell_of[other]]) + abs(y[here] - y[cell_of[other]]))
            for other, weight in neighbours[node]
        )

    total = best = 0.0  # what wires are longer than at the start
    best_cells = list(cell_of)
    temperature = wide + tall
    cooling = (1e-3) ** (1 / max(moves, 1))
    draws = rng.integers(0, count, moves), rng.integers(0, cells, moves), rng.random(moves)
    for node, target, chance in zip(*(draw.tolist() for draw in draws), strict=True):
        temperature *= cooling
        here, other = cell_of[node], node_at[target]
        if target == here:
            continue
        before = cost(node) + (cost(other) if other >= 0 else 0.0)
        cell_of[node], node_at[target], node_at[here] = target, node, other
        if other >= 0:
            cell_of[other] = here
        worse = cost(node) + (cost(other) if other >= 0 else 0.0) - before
        if worse <= 0 or chance < math.exp(-worse / temperature):
            total += worse
            if total < best - 1e-12:
                best, best_cells = total, list(cell_of)
        else:
            cell_of[node], node_at[here], node_at[target] = here, node, other
            if other >= 0:
                cell_of[other] = target
    return np.array(best_cells)
