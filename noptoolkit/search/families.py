"""Families whose chiplets a class has, as starts of a search."""

from __future__ import annotations

from noptoolkit.bounds import TopologyClass
from noptoolkit.errors import NopError
from noptoolkit.search.graphs import Edges, fits
from noptoolkit.topology import FAMILIES

__all__ = ["family_graphs"]

SQUARE = (
    "mesh",
    "torus",
    "folded_torus",
    "flattened_butterfly",
    "kite",
    "sid_mesh",
    "sparse_hamming_graph",
)
"""Of square grids; the others have no places of their own that a class could compare with."""

ANY = ("ring", "hypercube", "slim_noc", "fully_connected")


def family_graphs(within: TopologyClass) -> list[Edges]:
    """Return the graphs of the families that have the class's chiplets by name and keep its rules."""
    size = len(within)
    side = round(size**0.5)
    number = {name: i for i, name in enumerate(within.names)}
    found: list[Edges] = []
    for family in (*(SQUARE if side * side == size else ()), *ANY):
        try:
            package = FAMILIES[family].build(**FAMILIES[family].of_size(size))
        except (NopError, KeyError):
            continue
        if set(package.terminals) != set(number):
            continue
        count: dict[tuple[int, int], int] = {}
        for link in package.links:
            pair = (min(number[link.a], number[link.b]), max(number[link.a], number[link.b]))
            count[pair] = count.get(pair, 0) + 1
        edges = tuple(sorted((a, b, n) for (a, b), n in count.items()))
        if fits(within, edges):
            found.append(edges)
    return found
