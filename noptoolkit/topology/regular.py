"""Graphs without geometry, drawn on a grid: complete and random regular.

A complete graph carries unicast all-to-all of 1 B per ordered pair in 1 second over unit channels. A random
regular graph (Jellyfish: Singla et al., NSDI 2012) has nearly the least mean distance that its degree allows.
"""

from __future__ import annotations

from itertools import combinations
from typing import Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_positions, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, parts_of
from noptoolkit.topology.size_checks import check_count, check_links, need

__all__ = ["fully_connected", "random_regular"]

MOST_COMPLETE = 1024
MOST_SEED = 2**32 - 1


def fully_connected(count: int = 16, **options: Unpack[PartsOptions]) -> Package:
    """Return a package with a link between every two chiplets.

    Parameters
    ----------
    count
        Chiplets, at most 1024: a package holds every link as an object, about 0.2 kB each, and 4,096 chiplets
        would have 8.4 million. `flattened_butterfly` has a diameter of 2 at that size, with 258,048 links;
        all-to-all traffic on a complete graph has a closed form at any size (above).
    options
        See `noptoolkit.topology.Parts`.

    Raises
    ------
    TopologyError
        If there are more chiplets.

    Examples
    --------
    >>> fully_connected(4)
    Package('fully_connected-4': 4 chiplets (4 expert), 6 links, 12 channels, 1.54 TB/s)
    """
    need("fully_connected", "count", count, 2)
    if count > MOST_COMPLETE:
        raise TopologyError(
            f"fully_connected: {count} chiplets would have {count * (count - 1) // 2:,} links, too many; "
            f"nearest: {MOST_COMPLETE}, or a flattened_butterfly, of diameter 2"
        )
    parts = parts_of(options)
    positions = grid_positions(count, parts)
    wires = list(combinations(positions, 2))
    sketch = grid_sketch(positions, wires, parts)
    return assemble(f"fully_connected-{count}", sketch, parts, source="complete graph")


def random_regular(
    count: int = 16, degree: int = 4, *, seed: int = 0, **options: Unpack[PartsOptions]
) -> Package:
    """Return a connected random regular graph of chiplets.

    Parameters
    ----------
    count, degree
        Chiplets, and links of each; their product is even.
    seed
        The same seed draws the same graph.
    options
        See `noptoolkit.topology.Parts`.

    Raises
    ------
    TopologyError
        If no such graph exists; it names the nearest that does.

    Examples
    --------
    >>> random_regular(16, 3)
    Package('random_regular-16-3': 16 chiplets (16 expert), 24 links, 48 channels, 6.14 TB/s)
    """
    import networkx as nx

    need("random_regular", "count", count, 3)
    check_count("random_regular", count)
    need("random_regular", "degree", degree, 2, count - 1)
    need("random_regular", "seed", seed, 0, MOST_SEED)
    if count * degree % 2:
        raise TopologyError(
            f"random_regular: {count} chiplets of degree {degree} have half a link over; "
            f"nearest: {count - 1} or {count + 1} chiplets, or degree {degree - 1} or {degree + 1}"
        )
    check_links("random_regular", count * degree // 2)
    parts = parts_of(options)
    missing = count - 1 - degree  # of a dense graph, the links that are not there are drawn
    for attempt in range(100):
        graph = nx.random_regular_graph(min(degree, missing), count, seed=seed + 7919 * attempt)
        if missing < degree:
            graph = nx.complement(graph)
        if nx.is_connected(graph):
            break
    else:
        raise TopologyError(
            f"random_regular: no connected graph found for seed {seed}; choose a larger degree"
        )
    wires = [(f"e{a}", f"e{b}") for a, b in sorted(tuple(sorted(edge)) for edge in graph.edges)]
    positions = grid_positions(count, parts)
    sketch = grid_sketch(positions, wires, parts)
    source = "Jellyfish: Singla et al., NSDI 2012"
    return assemble(f"random_regular-{count}-{degree}", sketch, parts, source=source)
