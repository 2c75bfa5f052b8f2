"""Grids: mesh and torus.

Unicast all-to-all of 1 B per ordered pair over unit channels takes k^3/4 seconds on a k x k mesh and k^3/8
on a k x k torus, k even (Dally and Towles, Principles and Practices of Interconnection Networks, 2004,
sections 3 and 5).
"""

from __future__ import annotations

from typing import Unpack

from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_positions, grid_sketch
from noptoolkit.topology.parts import PartsOptions, parts_of
from noptoolkit.topology.sizes import check_count, need

__all__ = ["mesh", "torus"]


def mesh(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a 2D mesh.

    Parameters
    ----------
    rows, columns
        Of the grid; square where ``columns`` is not given.
    options
        See `noptoolkit.topology.Parts`. Rows are the groups: the attention chiplet stands left of the grid
        with one link per row, each row's memory stack at its right end.

    Examples
    --------
    >>> mesh(4)
    Package('mesh-4x4': 16 chiplets (16 expert), 24 links, 48 channels, 6.14 TB/s)
    """
    return _grid("mesh", rows, columns, options, wrap=False)


def torus(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a 2D torus: a mesh whose rows and columns are closed to rings (where longer than 2).

    Parameters
    ----------
    rows, columns
        Of the grid; square where ``columns`` is not given.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a `mesh`.

    Examples
    --------
    >>> torus(4)
    Package('torus-4x4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    return _grid("torus", rows, columns, options, wrap=True)


def _grid(family: str, rows: int, columns: int | None, options: PartsOptions, *, wrap: bool) -> Package:
    columns = rows if columns is None else columns
    need(family, "rows", rows, 1)
    need(family, "columns", columns, 1)
    check_count(family, rows * columns)
    parts = parts_of(options)
    wires = []
    for r in range(rows):
        for c in range(columns):
            here = r * columns + c
            if c + 1 < columns:
                wires.append((here, here + 1))
            elif wrap and columns > 2:
                wires.append((here, r * columns))
            if r + 1 < rows:
                wires.append((here, here + columns))
            elif wrap and rows > 2:
                wires.append((here, c))
    positions = grid_positions(rows * columns, parts, columns)
    named = [(f"e{a}", f"e{b}") for a, b in wires]
    sketch = grid_sketch(positions, named, parts, groups=rows)
    return assemble(f"{family}-{rows}x{columns}", sketch, parts)
