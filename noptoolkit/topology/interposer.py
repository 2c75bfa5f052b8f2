"""Topologies proposed for silicon interposers: at most four links per chiplet, some of them long or diagonal.

The wiring is that of RapidChiplet (Iff et al., arXiv 2311.06081), which generalises each paper's drawing to
other sizes; the 4 x 5 chiplets that the papers draw are theirs (`noptoolkit.topology.published_maps`). Double
Butterfly and ButterDonut: Kannan, Enright Jerger and Loh, MICRO-48, 2015; Kite: Bharadwaj et al., DAC 2020;
ClusCross: Coskun et al., IEEE TCAD 39(12), 2020, 5183-5196; SID-Mesh: Sharifpour, Sharifpour and Reshadi,
SLIP 2021. The last two are as RapidChiplet's generators wire them; their papers' figures were not at hand.
"""

from __future__ import annotations

from typing import Literal, Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_positions, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, parts_of
from noptoolkit.topology.lines import Pattern, folded_ring, grid_diagonals, grid_lines, path, wire_lines
from noptoolkit.topology.published_maps import COLUMNS, ROWS, drawn_wires
from noptoolkit.topology.size_checks import check_count, nearest_sizes, need

__all__ = ["butter_donut", "cluscross", "double_butterfly", "kite", "sid_mesh"]

Cell = tuple[int, int]

KITE_OFFSETS: dict[str, tuple[tuple[Cell, ...], ...]] = {
    "small": (((1, -1), (1, 1)), ((0, 1), (1, 0))),
    "medium": (((2, 0), (0, 2)), ((1, -1), (1, 1)), ((0, 1), (1, 0))),
    "large": (((1, -2), (2, -1), (2, 1), (1, 2)), ((2, 0), (0, 2)), ((1, -1), (1, 1)), ((0, 1), (1, 0))),
}
"""Offsets (rows, columns) of a Kite's links, the longest first."""

KITE_DEGREE = 4
KANNAN = "Kannan, Enright Jerger and Loh, MICRO-48, 2015"


def kite(
    rows: int = 4,
    columns: int | None = None,
    *,
    reach: Literal["small", "medium", "large"] = "small",
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a Kite: long links first, shorter ones where a chiplet has fewer than four.

    Medium and large Kites of 4 x 5 are the paper's drawings, which this rule does not give (a small one is
    both). On large grids links of two places leave the four classes of even and odd rows and columns joined
    at the border only, so that a medium Kite has a bisection of 4 links at any size: among 8 x 8 chiplets a
    uniform all-to-all puts 32 x 32 / 4 = 256 messages on a link, twice a mesh's 128. This is the published
    generator's rule, link by link; the paper draws no Kite of that size.

    Parameters
    ----------
    rows, columns
        Size of the grid, at least 2; square where ``columns`` is not given.
    reach
        Longest links: diagonal neighbours, two places, or a knight's move.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a mesh.

    Examples
    --------
    >>> kite(4, reach="medium")
    Package('kite_medium-4x4': 16 chiplets (16 expert), 31 links, 62 channels, 7.94 TB/s)
    """
    if reach not in KITE_OFFSETS:
        raise TopologyError(f"kite: no reach {reach!r}; known: {', '.join(KITE_OFFSETS)}")
    rows, columns = _sizes("kite", rows, columns, 2)
    if (rows, columns) == (ROWS, COLUMNS) and reach != "small":
        source = "Bharadwaj et al., Kite, DAC 2020"
        return _package(f"kite_{reach}", rows, columns, drawn_wires(f"kite_{reach}"), options, source)
    degree = [0] * (rows * columns)
    wires = []
    for offsets in KITE_OFFSETS[reach]:
        for down, right in offsets:
            for cell in range(rows * columns):
                row, column = cell // columns + down, cell % columns + right
                other = row * columns + column
                if not (row < rows and 0 <= column < columns):
                    continue
                if degree[cell] < KITE_DEGREE and degree[other] < KITE_DEGREE:
                    degree[cell] += 1
                    degree[other] += 1
                    wires.append((f"e{cell}", f"e{other}"))
    source = "Bharadwaj et al., Kite, DAC 2020, as in arXiv 2311.06081"
    return _package(f"kite_{reach}", rows, columns, wires, options, source)


def double_butterfly(size: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a Double Butterfly: rows, and between two columns the exchange of one butterfly stage.

    Parameters
    ----------
    size
        Rows and columns, a power of 2.
    columns
        5, with 4 rows, for the drawing of the paper; as many as rows otherwise.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a mesh.

    Examples
    --------
    >>> double_butterfly(4)
    Package('double_butterfly-4x4': 16 chiplets (16 expert), 24 links, 48 channels, 6.14 TB/s)
    """
    return _butterfly("double_butterfly", size, columns, path, options)


def butter_donut(size: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a ButterDonut: a Double Butterfly whose rows are folded rings.

    Parameters are those of `double_butterfly`.

    Examples
    --------
    >>> butter_donut(4)
    Package('butter_donut-4x4': 16 chiplets (16 expert), 28 links, 56 channels, 7.17 TB/s)
    """
    return _butterfly("butter_donut", size, columns, folded_ring, options)


def cluscross(
    rows: int = 4,
    columns: int | None = None,
    *,
    version: Literal[1, 2] = 1,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a ClusCross: a mesh in clusters that are joined crosswise by long links.

    Parameters
    ----------
    rows, columns
        Size of the grid, even, at least 4; square where ``columns`` is not given.
    version
        1 joins four clusters at their outer corners, 2 an upper and a lower half.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a mesh.

    Examples
    --------
    >>> cluscross(4, version=2)
    Package('cluscross_v2-4x4': 16 chiplets (16 expert), 32 links, 64 channels, 8.19 TB/s)
    """
    rows, columns = _sizes("cluscross", rows, columns, 4)
    for what, size in (("rows", rows), ("columns", columns)):
        if size % 2:
            raise TopologyError(f"cluscross: {what} {size} must be even; nearest: {size - 1}, {size + 1}")
    if version not in (1, 2):
        raise TopologyError(f"cluscross: no version {version!r}; known: 1, 2")
    links = _cluscross_1(rows, columns) if version == 1 else _cluscross_2(rows, columns)
    wires = [(f"e{a * columns + b}", f"e{c * columns + d}") for (a, b), (c, d) in links]
    source = "ClusCross: Coskun et al., IEEE TCAD 39, 2020, as in Iff et al., RapidChiplet, arXiv 2311.06081"
    return _package(f"cluscross_v{version}", rows, columns, wires, options, source)


def sid_mesh(rows: int = 4, columns: int | None = None, **options: Unpack[PartsOptions]) -> Package:
    """Return a SID-Mesh: all diagonal links, and a frame of straight ones round the border.

    Its paper's abstract says 19.7 % fewer hops on average than on a concentrated mesh, under its traffic, and
    fewer than on a Double Butterfly; between the chiplets of these graphs of 4 x 5 it is 20.7 % and 8 %.

    Parameters
    ----------
    rows, columns
        Size of the grid, at least 2; square where ``columns`` is not given.
    options
        See `noptoolkit.topology.Parts`; groups and ports as in a mesh.

    Examples
    --------
    >>> sid_mesh(4)
    Package('sid_mesh-4x4': 16 chiplets (16 expert), 30 links, 60 channels, 7.68 TB/s)
    """
    rows, columns = _sizes("sid_mesh", rows, columns, 2)
    along_rows, along_columns = grid_lines((rows, columns))
    border = [along_rows[0], along_rows[-1], along_columns[0], along_columns[-1]]
    wires = wire_lines(grid_diagonals(rows, columns), path) + wire_lines(border, path)
    source = "SID-Mesh: Sharifpour, Sharifpour and Reshadi, SLIP 2021, as in RapidChiplet, arXiv 2311.06081"
    return _package("sid_mesh", rows, columns, wires, options, source)


def _butterfly(family: str, size: int, columns: int | None, rows: Pattern, options: PartsOptions) -> Package:
    if (size, columns) == (ROWS, COLUMNS):
        return _package(family, ROWS, COLUMNS, drawn_wires(family), options, KANNAN)
    _need_power(family, size, columns)
    wires = wire_lines(grid_lines((size, size))[0], rows) + _exchanges(size)
    return _package(family, size, size, wires, options, f"{KANNAN}, as in arXiv 2311.06081")


def _exchanges(size: int) -> list[tuple[str, str]]:
    """Link column c to column c + 1 across the rows that differ in one bit: the lowest set bit of c + 1."""
    return [
        (f"e{row * size + column}", f"e{(row ^ ((column + 1) & -(column + 1))) * size + column + 1}")
        for column in range(size - 1)
        for row in range(size)
    ]


def _cluscross_1(rows: int, columns: int) -> list[tuple[Cell, Cell]]:
    up, left = rows // 2 - 1, columns // 2 - 1  # last row and column of the first clusters
    links = [
        ((up, 0), (up + 1, columns - 1)),
        ((up + 1, 0), (up, columns - 1)),
        ((0, left), (rows - 1, left + 1)),
        ((0, left + 1), (rows - 1, left)),
    ]
    for row in range(rows):
        for column in range(columns):
            on_side, on_end = column in (0, columns - 1), row in (0, rows - 1)
            if column < columns - 1 and not (on_end and column == left):
                links.append(((row, column), (row, column + 1)))
            if row < rows - 1 and not (on_side and row == up):
                links.append(((row, column), (row + 1, column)))
            if on_side and row <= up:
                links.append(((row, column), (row + rows // 2, column)))
            if on_end and column <= left:
                links.append(((row, column), (row, column + columns // 2)))
    return links


def _cluscross_2(rows: int, columns: int) -> list[tuple[Cell, Cell]]:
    up, half = rows // 2 - 1, columns // 2
    links = [((row, 0), (row, columns - 1)) for row in (0, rows - 1)]
    for column in range(half):
        links += [((up, column), (up + 1, column + half)), ((up + 1, column), (up, column + half))]
    for column in range(1, columns - 2, 2):
        links += [((0, column), (rows - 1, column + 1)), ((0, column + 1), (rows - 1, column))]
    for row in range(rows):
        for column in range(columns):
            if column < columns - 1:
                links.append(((row, column), (row, column + 1)))
            if row < rows - 1 and row != up:
                links.append(((row, column), (row + 1, column)))
            if column in (0, columns - 1) and row <= up:
                links.append(((row, column), (row + rows // 2, column)))
    return links


def _sizes(family: str, rows: int, columns: int | None, least: int) -> tuple[int, int]:
    columns = rows if columns is None else columns
    need(family, "rows", rows, least)
    need(family, "columns", columns, least)
    check_count(family, rows * columns)
    return rows, columns


def _need_power(family: str, size: int, columns: int | None) -> None:
    need(family, "size", size, 2, 256)
    if columns not in (None, size):
        raise TopologyError(
            f"{family}: {size} x {columns} is neither square nor the paper's {ROWS} x {COLUMNS}; "
            "leave columns out, or choose those"
        )
    if size & (size - 1):
        near = nearest_sizes(size, lambda n: n > 1 and n & (n - 1) == 0, count=2)
        raise TopologyError(f"{family}: size {size} is not a power of 2; nearest: {near}")


def _package(
    family: str, rows: int, columns: int, wires: list[tuple[str, str]], options: PartsOptions, source: str
) -> Package:
    parts = parts_of(options)
    positions = grid_positions(rows * columns, parts, columns)
    sketch = grid_sketch(positions, wires, parts, groups=rows)
    return assemble(f"{family}-{rows}x{columns}", sketch, parts, source=source)
