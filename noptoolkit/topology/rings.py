"""Rings: n chiplets round the edge of the package.

Unicast all-to-all of 1 B per ordered pair over unit channels takes n^2/8 seconds, n even, (n^2-1)/8, n odd.
"""

from __future__ import annotations

from typing import Unpack

from noptoolkit.package import Package
from noptoolkit.topology.assembly import assemble, grid_sketch
from noptoolkit.topology.parts import PartsOptions, parts_of
from noptoolkit.topology.sizes import check_count, need

__all__ = ["ring"]


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
    half = (count + 1) // 2
    positions = {
        f"e{i}": (0.0, -i * parts.pitch) if i < half else (parts.pitch, -(count - 1 - i) * parts.pitch)
        for i in range(count)
    }
    wires = [(f"e{i}", f"e{i + 1}") for i in range(count - 1)]
    if count > 2:
        wires.append((f"e{count - 1}", "e0"))
    return assemble(f"ring-{count}", grid_sketch(positions, wires, parts), parts)
