"""Graphs of low diameter for their degree: hypercube and Slim NoC.

A hypercube of dimension d links chiplets whose numbers differ in one bit: diameter d, bisection 2^(d-1)
links, unicast all-to-all of 1 B per pair in 2^d / 2 seconds over unit channels. Slim NoC (Besta et al.,
ASPLOS 2018) is the graph of McKay, Miller and Siran (Journal of Combinatorial Theory B 74, 1998) over a
finite field of q = 4 w + u elements, u in -1, 0, 1: 2 q^2 chiplets of degree (3 q - u) / 2 and diameter 2.
Its sets of generators follow Hafner, Discrete Applied Mathematics 2004.
"""

from __future__ import annotations

from typing import Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_positions, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, parts_of
from noptoolkit.topology.galois import field_tables, prime_power
from noptoolkit.topology.size_checks import check_links, nearest_sizes, need

__all__ = ["hypercube", "slim_noc"]


def hypercube(dimension: int = 4, **options: Unpack[PartsOptions]) -> Package:
    """Return a hypercube, drawn on a grid of 2^ceil(d/2) columns.

    Parameters
    ----------
    dimension
        There are 2^dimension chiplets.
    options
        See `noptoolkit.topology.Parts`.

    Examples
    --------
    >>> hypercube(4)
    Package('hypercube-4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    need("hypercube", "dimension", dimension, 1, 16)
    parts = parts_of(options)
    count = 2**dimension
    wires = [
        (f"e{i}", f"e{i | 1 << bit}") for i in range(count) for bit in range(dimension) if not i >> bit & 1
    ]
    columns = 2 ** ((dimension + 1) // 2)
    sketch = grid_sketch(grid_positions(count, parts, columns), wires, parts, groups=count // columns)
    return assemble(f"hypercube-{dimension}", sketch, parts, source="binary hypercube")


def slim_noc(q: int = 3, **options: Unpack[PartsOptions]) -> Package:
    """Return a Slim NoC, the McKay-Miller-Siran graph of diameter 2.

    Parameters
    ----------
    q
        A power of a prime, 3 or more: 3 gives 18 chiplets, 4 gives 32, 5 gives 50 (Hoffman-Singleton).
    options
        See `noptoolkit.topology.Parts`.

    Raises
    ------
    TopologyError
        If there is no such graph; it names the nearest q.

    Examples
    --------
    >>> slim_noc(5)
    Package('slim_noc-5': 50 chiplets (50 expert), 175 links, 350 channels, 44.8 TB/s)
    """
    need("slim_noc", "q", q, 3, 181)
    if prime_power(q) is None:
        near = nearest_sizes(q, lambda n: n >= 3 and prime_power(n) is not None)
        raise TopologyError(f"slim_noc: q {q} is not a power of a prime; nearest: {near}")
    check_links("slim_noc", 3 * q**3 // 2)
    parts = parts_of(options)
    difference, multiple, powers = field_tables(q)
    first, second = _generators(q, powers)
    wires = []
    for x in range(q):
        for y in range(q):
            for other in range(y + 1, q):
                if difference[y, other] in first:
                    wires.append((f"e{x * q + y}", f"e{x * q + other}"))
                if difference[y, other] in second:
                    wires.append((f"e{q * q + x * q + y}", f"e{q * q + x * q + other}"))
    for x in range(q):
        for slope in range(q):
            for y in range(q):
                offset = difference[y, multiple[slope, x]]
                wires.append((f"e{x * q + y}", f"e{q * q + slope * q + offset}"))
    sketch = grid_sketch(grid_positions(2 * q * q, parts, 2 * q), wires, parts, groups=q)
    source = "Besta et al., Slim NoC, ASPLOS 2018; McKay, Miller and Siran, 1998"
    return assemble(f"slim_noc-{q}", sketch, parts, source=source)


def _generators(q: int, powers: list[int]) -> tuple[set[int], set[int]]:
    """Return the differences that are linked within the first and within the second half."""
    if q % 4 == 3:
        w = (q + 1) // 4
        first = [*range(0, 2 * w - 1, 2), *range(2 * w - 1, 4 * w - 2, 2)]
        second = [*range(1, 2 * w, 2), *range(2 * w, 4 * w - 1, 2)]
    else:
        first, second = [*range(0, q - 1, 2)], [*range(1, q, 2)]
    return {powers[i % (q - 1)] for i in first}, {powers[i % (q - 1)] for i in second}
