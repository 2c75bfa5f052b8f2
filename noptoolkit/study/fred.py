"""FRED's closed forms beside ours, and what its mesh baseline could reach (arXiv 2406.19580).

FRED compares a wafer with switches against a 5 x 4 mesh of NPUs. Two numbers of the baseline rest on one
algorithm, not on the mesh: its wafer-wide all-reduce (limited by the two links of a corner) and its streaming
of weights from the rim (a hottest link with (2 N - 1) P). Both are set beside the optimum of the same mesh
with its certificate. The authors' end-to-end ratios come from a simulator and are quoted, not reproduced.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from typing import Any

from noptoolkit.collectives import collective
from noptoolkit.package import Package
from noptoolkit.structure.bisection_bandwidth import bisection
from noptoolkit.study.published import PublishedRow, PublishedTable
from noptoolkit.topology import mesh, star
from noptoolkit.units import parse_quantity

__all__ = ["reproduce_fred"]

SIZE = 1e9


def reproduce_fred() -> PublishedTable:
    """Return FRED's closed forms beside the optimum on the same graphs.

    Examples
    --------
    >>> found = reproduce_fred()
    >>> found["in-network over endpoint, 4 NPUs"].ours
    0.6666666666666666
    """
    text = resources.files("noptoolkit.study").joinpath("data/fred.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    rows = (*_switch_rows(data), *_mesh_rows(data), *_square_rows(), *_end_to_end(data))
    table = {row.figure: row for row in rows}
    reduce_gain = table["all-reduce of 1 GB on the mesh"].ratio or 0.0
    stream = table["streaming from the rim, of full rate"].ratio or 0.0
    return PublishedTable(
        data["title"],
        rows,
        (
            data["source"],
            *(f"assumed: {line}" for line in data["assumed"]),
            f"The baseline's all-reduce takes {1 / reduce_gain:.2f} times the optimum of the same mesh, and "
            f"its streaming reaches {100 / stream:.0f} % of what the mesh can do: part of FRED's gain over "
            "the mesh is a gain over a schedule.",
        ),
    )


def _switch_rows(data: dict[str, Any]) -> Iterator[PublishedRow]:
    for count, share in ((2, 1.0), (4, 1 / 1.5), (5, 1 - 0.375)):
        package = star(count, link_bandwidth="1 GB/s", attention=False)
        apart = collective(package, "all-reduce", SIZE, in_network=False)
        inside = collective(package, "all-reduce", SIZE, in_network=True)
        yield PublishedRow(
            f"in-network over endpoint, {count} NPUs",
            share,
            inside.time / apart.time,
            remark="all-reduce: N / (2 (N - 1))",
        )
    parts = sum(parse_quantity(part, "B/s", "fred.toml") for part in data["switch"]["parts"])
    yield PublishedRow(
        "FRED-A: bandwidth of an NPU",
        parse_quantity(data["switch"]["printed"], "B/s", "fred.toml"),
        parts,
        "B/s",
        remark="375 + 4 x 375: the paper prints another sum",
    )


def baseline(data: dict[str, Any]) -> Package:
    """Return the mesh that FRED compares with."""
    fields = data["mesh"]
    return mesh(fields["rows"], fields["columns"], link_bandwidth=fields["link"])


def rim_shares(package: Package, rows: int, columns: int, rate: float) -> dict[str, float]:
    """Return what the controllers at each NPU of the rim bring in per second, in B; nothing inside."""
    sides: Counter[int] = Counter()
    for column in range(columns):
        sides[column] += 1
        sides[(rows - 1) * columns + column] += 1
    for row in range(rows):
        sides[row * columns] += 1
        sides[row * columns + columns - 1] += 1
    return {name: sides[i] * rate for i, name in enumerate(package.experts)}


def _mesh_rows(data: dict[str, Any]) -> Iterator[PublishedRow]:
    fields = data["mesh"]
    package = baseline(data)
    link, rate = (parse_quantity(fields[key], "B/s", "fred.toml") for key in ("link", "controller"))
    npus, longer = fields["rows"] * fields["columns"], max(fields["rows"], fields["columns"])
    published = 2 * (npus - 1) / npus * SIZE / parse_quantity(fields["corner_rate"], "B/s", "fred.toml")
    best = collective(package, "all-reduce", SIZE)
    yield PublishedRow(
        "all-reduce of 1 GB on the mesh",
        published,
        best.time,
        "s",
        "derived",
        f"2 (N - 1) / N over a corner's 1500 GB/s; ours {best.status}",
    )
    shares = rim_shares(package, fields["rows"], fields["columns"], rate)
    stream = collective(package, "all-gather", shares=shares)
    yield PublishedRow(
        "streaming from the rim, of full rate",
        link / ((2 * longer - 1) * rate),
        1 / stream.time,
        standing="derived",
        remark=f"750 / (9 x 128); ours {stream.status}",
    )
    width = parse_quantity(fields["bisection"], "B/s", "fred.toml")
    yield PublishedRow("bisection bandwidth of the mesh", width, bisection(package).bandwidth, "B/s")


def _square_rows() -> Iterator[PublishedRow]:
    for side in (3, 4):
        package = mesh(side, side, link_bandwidth="1 GB/s")
        stream = collective(package, "all-gather", shares=rim_shares(package, side, side, 1e9))
        yield PublishedRow(
            f"streaming from the rim, {side} x {side} mesh, of a link",
            1 / (2 * side - 1),
            1 / stream.time,
            remark="1 / (2 N - 1), and it is the optimum",
        )


def _end_to_end(data: dict[str, Any]) -> Iterator[PublishedRow]:
    for model in data["end_to_end"]:
        for variant in ("C", "D"):
            yield PublishedRow(
                f"{model['model']}: FRED-{variant} over mesh",
                model[variant],
                None,
                remark="the authors' simulation",
            )
