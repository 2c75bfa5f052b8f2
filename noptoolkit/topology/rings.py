"""Rings: n chiplets on two columns, every link between neighbours, with express links where wanted.

Unicast all-to-all of 1 B per ordered pair over unit channels takes n^2/8 seconds, n even, (n^2-1)/8, n odd.
"""

from __future__ import annotations

from typing import Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_sketch
from noptoolkit.topology.builder_options import Parts, PartsOptions, parts_of
from noptoolkit.topology.lines import ring as closed
from noptoolkit.topology.size_checks import check_count, nearest_sizes, need

__all__ = ["express_ring", "ring"]


def ring(count: int = 16, **options: Unpack[PartsOptions]) -> Package:
    """Return a bidirectional ring, folded so that every link joins neighbours on two columns.

    Parameters
    ----------
    count
        Chiplets.
    options
        See `noptoolkit.topology.Parts`.

    Examples
    --------
    >>> ring(16)
    Package('ring-16': 16 chiplets (16 expert), 16 links, 32 channels, 4.1 TB/s)
    """
    need("ring", "count", count, 2)
    check_count("ring", count)
    parts = parts_of(options)
    source = "Dally and Towles, Principles and Practices of Interconnection Networks, 2004"
    return _drawn(f"ring-{count}", count, closed(count), parts, source)


def express_ring(count: int = 16, stride: int = 4, **options: Unpack[PartsOptions]) -> Package:
    """Return a ring with express links between every ``stride``-th chiplet.

    Parameters
    ----------
    count
        Chiplets.
    stride
        Chiplets that an express link passes; it divides ``count``.
    options
        See `noptoolkit.topology.Parts`.

    Examples
    --------
    >>> express_ring(16, 4)
    Package('express_ring-16-4': 16 chiplets (16 expert), 20 links, 40 channels, 5.12 TB/s)
    """
    need("express_ring", "count", count, 4)
    check_count("express_ring", count)
    need("express_ring", "stride", stride, 2, count // 2)
    if count % stride:
        near = nearest_sizes(stride, lambda n: 2 <= n <= count // 2 and count % n == 0, count=2)
        raise TopologyError(f"express_ring: stride {stride} does not divide {count}; nearest: {near}")
    express = [(i * stride, j * stride) for i, j in closed(count // stride)]
    name = f"express_ring-{count}-{stride}"
    source = "Dally, Express Cubes, IEEE Transactions on Computers 40, 1991"
    return _drawn(name, count, closed(count) + express, parts_of(options), source)


def _drawn(name: str, count: int, pairs: list[tuple[int, int]], parts: Parts, source: str) -> Package:
    half = (count + 1) // 2
    wide, tall = parts.pitches
    positions = {
        f"e{i}": (0.0, -i * tall) if i < half else (wide, -(count - 1 - i) * tall) for i in range(count)
    }
    wires = [(f"e{i}", f"e{j}") for i, j in pairs]
    return assemble(name, grid_sketch(positions, wires, parts), parts, source=source)
