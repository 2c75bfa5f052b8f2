"""Hexagons of chiplets: HexaMesh, HexaTorus and its folded form.

Chiplets lie in a brick pattern, each beside up to six others, in a hexagon of radius r: N = 3 r (r + 1) + 1
of them. HexaMesh (Iff et al., DAC 2023, arXiv 2211.13989) has diameter 2 r and, as published, a bisection
of 4 r + 1 links; the folded HexaTorus (Iff et al., arXiv 2504.19878) closes every line to a ring whose
links span two places.
"""

from __future__ import annotations

from typing import Unpack

from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, parts_of
from noptoolkit.topology.lines import Pattern, folded_ring, hexagon_lines, path, ring, wire_lines
from noptoolkit.topology.size_checks import need

__all__ = ["folded_hexatorus", "hexamesh", "hexatorus"]


def hexamesh(radius: int = 2, **options: Unpack[PartsOptions]) -> Package:
    """Return a HexaMesh.

    Parameters
    ----------
    radius
        Rings of chiplets round the middle one.
    options
        See `noptoolkit.topology.Parts`; rows have different lengths, so that the groups are runs of equal
        size in reading order, or one group where the number of chiplets is prime.

    Examples
    --------
    >>> hexamesh(2)
    Package('hexamesh-2': 19 chiplets (19 expert), 42 links, 84 channels, 10.8 TB/s)
    """
    return _hexagon("hexamesh", radius, options, path, "Iff et al., HexaMesh, DAC 2023, arXiv 2211.13989")


def hexatorus(radius: int = 2, **options: Unpack[PartsOptions]) -> Package:
    """Return a HexaTorus: a HexaMesh whose lines are closed to rings (where longer than 2).

    Parameters are those of `hexamesh`.

    Examples
    --------
    >>> hexatorus(2)
    Package('hexatorus-2': 19 chiplets (19 expert), 57 links, 114 channels, 14.6 TB/s)
    """
    return _hexagon("hexatorus", radius, options, ring, "Iff et al., FoldedHexaTorus, arXiv 2504.19878")


def folded_hexatorus(radius: int = 2, **options: Unpack[PartsOptions]) -> Package:
    """Return a HexaTorus whose rings are folded, so that no link spans more than two places.

    Parameters are those of `hexamesh`.

    Examples
    --------
    >>> folded_hexatorus(2)
    Package('folded_hexatorus-2': 19 chiplets (19 expert), 57 links, 114 channels, 14.6 TB/s)
    """
    source = "Iff et al., FoldedHexaTorus, arXiv 2504.19878"
    return _hexagon("folded_hexatorus", radius, options, folded_ring, source)


def _hexagon(family: str, radius: int, options: PartsOptions, pattern: Pattern, source: str) -> Package:
    need(family, "radius", radius, 1, 147)
    parts = parts_of(options)
    cells, lines = hexagon_lines(radius)
    wide, tall = parts.pitches
    positions = {f"e{i}": ((q + r / 2) * wide, -r * tall) for i, (q, r) in enumerate(cells)}
    sketch = grid_sketch(positions, wire_lines(lines, pattern), parts)
    return assemble(f"{family}-{radius}", sketch, parts, source=source)
