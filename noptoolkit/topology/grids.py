"""Grids of chiplets whose rows and columns are all wired the same way.

Unicast all-to-all of 1 B per ordered pair over unit channels takes k^3/4 seconds on a k x k mesh and k^3/8
on a k x k torus, k even. Sources: mesh, torus and folded torus: Dally and Towles, Principles and Practices of
Interconnection Networks, 2004; flattened butterfly: Kim, Balfour and Dally, MICRO-40, 2007; sparse Hamming
graph: Iff et al., DAC 2023 (arXiv 2211.13980); OctaMesh and OctaTorus, with the eight neighbours of a king
at chess: as RapidChiplet (arXiv 2311.06081) has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import LinkKind, Package
from noptoolkit.topology.assembly import Wire, assemble, grid_positions, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, parts_of
from noptoolkit.topology.lines import (
    Pattern,
    complete,
    folded_ring,
    grid_diagonals,
    grid_lines,
    path,
    ring,
    strided,
    wire_lines,
)
from noptoolkit.topology.size_checks import check_count, check_links, need
from noptoolkit.units import Quantity, parse_quantity

__all__ = [
    "flattened_butterfly",
    "folded_octatorus",
    "folded_torus",
    "mesh",
    "mesh_3d",
    "octamesh",
    "octatorus",
    "sparse_hamming_graph",
    "torus",
    "torus_3d",
    "wafer_mesh",
]

DALLY = "Dally and Towles, Principles and Practices of Interconnection Networks, 2004"
RAPID = "Iff et al., RapidChiplet, arXiv 2311.06081"


def mesh(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a 2D mesh.

    Parameters
    ----------
    rows, columns
        Size of the grid; square where ``columns`` is not given.
    options
        See `noptoolkit.topology.Parts`. Rows are the groups: the attention chiplet stands left of the grid
        with one link per row, each row's memory stack at its right end.

    Examples
    --------
    >>> mesh(4)
    Package('mesh-4x4': 16 chiplets (16 expert), 24 links, 48 channels, 6.14 TB/s)
    """
    return _grid("mesh", rows, columns, options, path, source=DALLY)


def torus(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a 2D torus: a mesh whose rows and columns are closed to rings (where longer than 2).

    Parameters are those of `mesh`.

    Examples
    --------
    >>> torus(4)
    Package('torus-4x4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    return _grid("torus", rows, columns, options, ring, source=DALLY)


def folded_torus(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a torus whose rings are folded, so that no link spans more than two places.

    Parameters are those of `mesh`.

    Examples
    --------
    >>> folded_torus(4)
    Package('folded_torus-4x4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    return _grid("folded_torus", rows, columns, options, folded_ring, source=DALLY)


def flattened_butterfly(
    rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]
) -> Package:
    """Return a flattened butterfly: every two chiplets of a row or column are linked; diameter 2.

    Parameters are those of `mesh`.

    Examples
    --------
    >>> flattened_butterfly(4)
    Package('flattened_butterfly-4x4': 16 chiplets (16 expert), 48 links, 96 channels, 12.3 TB/s)
    """
    source = "Kim, Balfour and Dally, Flattened Butterfly, MICRO-40, 2007"
    return _grid("flattened_butterfly", rows, columns, options, complete, most=128, source=source)


def octamesh(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a mesh with all diagonal links.

    Parameters are those of `mesh`.

    Examples
    --------
    >>> octamesh(4)
    Package('octamesh-4x4': 16 chiplets (16 expert), 42 links, 84 channels, 10.8 TB/s)
    """
    return _grid("octamesh", rows, columns, options, path, diagonals=True, source=RAPID)


def octatorus(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return an OctaMesh whose rows, columns and diagonals are closed to rings (where longer than 2).

    Parameters are those of `mesh`.

    Examples
    --------
    >>> octatorus(4)
    Package('octatorus-4x4': 16 chiplets (16 expert), 56 links, 112 channels, 14.3 TB/s)
    """
    return _grid("octatorus", rows, columns, options, ring, diagonals=True, source=RAPID)


def folded_octatorus(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return an OctaTorus whose rings are folded, so that no link spans more than two places.

    Parameters are those of `mesh`.

    Examples
    --------
    >>> folded_octatorus(4)
    Package('folded_octatorus-4x4': 16 chiplets (16 expert), 56 links, 112 channels, 14.3 TB/s)
    """
    return _grid("folded_octatorus", rows, columns, options, folded_ring, diagonals=True, source=RAPID)


def sparse_hamming_graph(
    rows: int = 4,
    columns: int | None = None,
    *,
    row_strides: Sequence[int] = (3,),
    column_strides: Sequence[int] = (3,),
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a mesh with express links of chosen strides; no stride gives a mesh, all a flattened butterfly.

    Parameters
    ----------
    rows, columns
        Size of the grid; square where ``columns`` is not given.
    row_strides, column_strides
        Distances, 2 or more, over which the chiplets of a row (column) are linked besides neighbours.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a `mesh`.

    Examples
    --------
    >>> sparse_hamming_graph(4)
    Package('sparse_hamming_graph-4x4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    family = "sparse_hamming_graph"
    columns = rows if columns is None else columns
    for what, strides, size in (("row", row_strides, columns), ("column", column_strides, rows)):
        for stride in strides:
            need(family, f"{what} stride", stride, 2, max(size - 1, 2))
        if len(set(strides)) != len(strides):
            raise TopologyError(f"{family}: {what}_strides {list(strides)} repeat a stride; name each once")
    along = sum(max(columns - stride, 0) for stride in (1, *row_strides))
    across = sum(max(rows - stride, 0) for stride in (1, *column_strides))
    check_links(family, rows * along + columns * across)
    source = "Iff et al., Sparse Hamming Graph, DAC 2023, arXiv 2211.13980"
    patterns = strided(row_strides), strided(column_strides)
    return _grid(family, rows, columns, options, *patterns, most=1024, source=source)


def mesh_3d(rows: int = 4, columns: int = 2, layers: int = 2, **options: Unpack[PartsOptions]) -> Package:
    """Return a 3D mesh: layers of chiplets on top of each other, joined by hybrid bonds.

    Parameters
    ----------
    rows, columns, layers
        Size of the grid; the floor plan shows the layers side by side.
    options
        See `noptoolkit.topology.Parts`; the rows of all layers are the groups.

    Examples
    --------
    >>> mesh_3d(2, 2, 2)
    Package('mesh_3d-2x2x2': 8 chiplets (8 expert), 12 links, 24 channels, 3.07 TB/s)
    """
    return _stack("mesh_3d", (rows, columns, layers), options, path)


def torus_3d(rows: int = 4, columns: int = 4, layers: int = 4, **options: Unpack[PartsOptions]) -> Package:
    """Return a 3D torus: a 3D mesh whose lines are closed to rings (where longer than 2).

    Parameters are those of `mesh_3d`.

    Examples
    --------
    >>> torus_3d(4, 4, 4)
    Package('torus_3d-4x4x4': 64 chiplets (64 expert), 192 links, 384 channels, 49.2 TB/s)
    """
    return _stack("torus_3d", (rows, columns, layers), options, ring)


def wafer_mesh(
    reticle_rows: int = 2,
    reticle_columns: int = 2,
    rows: int = 2,
    columns: int = 2,
    *,
    stitch_bandwidth: Quantity | None = None,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a mesh over a wafer: its dies lie in reticles, and links across their borders are stitched.

    Parameters
    ----------
    reticle_rows, reticle_columns
        Reticles on the wafer.
    rows, columns
        Dies in each reticle.
    stitch_bandwidth
        Bandwidth of the links between reticles, in B/s; ``link_bandwidth`` where ``None``.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a `mesh`.

    Examples
    --------
    >>> wafer_mesh(2, 2, 2, 2, stitch_bandwidth="32 GB/s")
    Package('wafer_mesh-2x2-2x2': 16 chiplets (16 expert), 24 links, 48 channels, 4.61 TB/s)
    """
    family = "wafer_mesh"
    sizes = {"reticle_rows": reticle_rows, "reticle_columns": reticle_columns}
    for what, size in (sizes | {"rows": rows, "columns": columns}).items():
        need(family, what, size, 1)
    stitch = None if stitch_bandwidth is None else parse_quantity(stitch_bandwidth, "B/s", "stitch_bandwidth")
    all_rows, all_columns = reticle_rows * rows, reticle_columns * columns
    check_count(family, all_rows * all_columns)
    parts = parts_of(options)
    wires = []
    for axis, size in zip(grid_lines((all_rows, all_columns)), (columns, rows), strict=True):
        for line in axis:
            for i, j in path(len(line)):
                wires.append(Wire(f"e{line[i]}", f"e{line[j]}", stitch if j % size == 0 else None))
    positions = grid_positions(all_rows * all_columns, parts, all_columns)
    name = f"{family}-{reticle_rows}x{reticle_columns}-{rows}x{columns}"
    sketch = grid_sketch(positions, wires, parts, groups=all_rows)
    return assemble(name, sketch, parts, source="mesh over stitched reticles")


def _grid(
    family: str,
    rows: int,
    columns: int | None,
    options: PartsOptions,
    row_pattern: Pattern,
    column_pattern: Pattern | None = None,
    *,
    diagonals: bool = False,
    most: int = 65536,
    source: str,
) -> Package:
    columns = rows if columns is None else columns
    need(family, "rows", rows, 1, most)
    need(family, "columns", columns, 1, most)
    check_count(family, rows * columns)
    parts = parts_of(options)
    along_rows, along_columns = grid_lines((rows, columns))
    wires = wire_lines(along_rows, row_pattern) + wire_lines(along_columns, column_pattern or row_pattern)
    if diagonals:
        wires += wire_lines(grid_diagonals(rows, columns), row_pattern)
    positions = grid_positions(rows * columns, parts, columns)
    sketch = grid_sketch(positions, wires, parts, groups=rows)
    return assemble(f"{family}-{rows}x{columns}", sketch, parts, source=source)


def _stack(family: str, shape: tuple[int, int, int], options: PartsOptions, pattern: Pattern) -> Package:
    rows, columns, layers = shape
    for what, size in zip(("rows", "columns", "layers"), shape, strict=True):
        need(family, what, size, 1)
    check_count(family, rows * columns * layers)
    parts = parts_of(options)
    vertical, *flat = grid_lines((rows, columns, layers))
    wires = [Wire(*pair) for axis in flat for pair in wire_lines(axis, pattern)]
    wires += [Wire(*pair, None, LinkKind.HYBRID_BOND) for pair in wire_lines(vertical, pattern)]
    positions = {}
    wide, tall = parts.pitches
    for i in range(rows * columns * layers):
        row, column, layer = i // (columns * layers), i // layers % columns, i % layers
        positions[f"e{i}"] = ((layer * (columns + 1) + column) * wide, -row * tall)
    name = f"{family}-{rows}x{columns}x{layers}"
    return assemble(name, grid_sketch(positions, wires, parts, groups=rows), parts, source=DALLY)
