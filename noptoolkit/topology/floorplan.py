"""Nested floor plans: blocks of dies, packed into larger blocks with switches between them.

A plan is a rectangle that holds dies at places relative to its centre. `pack` puts plans of any sizes into
a near square of equal cells, with a strip of further dies (a switch, memory stacks) across its middle, so
that nothing overlaps at any depth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noptoolkit.topology.builder_options import Point

__all__ = ["Plan", "die", "pack"]


@dataclass(frozen=True)
class Plan:
    """A rectangle with dies.

    Parameters
    ----------
    width, height
        Size in m.
    places
        Centre of each die by name, relative to the centre of the rectangle, in m.
    """

    width: float
    height: float
    places: Mapping[str, Point]


def die(name: str, size: Point) -> Plan:
    """Return the plan of a single die."""
    return Plan(size[0], size[1], {name: (0.0, 0.0)})


def pack(blocks: Sequence[Plan], strip: Sequence[Plan], spacing: float) -> Plan:
    """Return a plan of blocks in a near square, with a strip of dies across its middle.

    Parameters
    ----------
    blocks
        Go into equal cells, row by row.
    strip
        Go side by side between the upper and the lower rows, in as many lines as they need.
    spacing
        Gap between all outlines, in m.

    Examples
    --------
    >>> plan = pack([die("a", (1, 1)), die("b", (1, 1))], [die("s", (1, 1))], spacing=0.5)
    >>> plan.width, plan.height, plan.places["s"]
    (2.5, 2.5, (0.0, -0.75))
    """
    wide = max(block.width for block in blocks) + spacing
    tall = max(block.height for block in blocks) + spacing
    lines, strip_height = _lines(strip, spacing, wide * math.ceil(math.sqrt(len(blocks))))
    columns = min(range(1, len(blocks) + 1), key=lambda n: _side(n, len(blocks), wide, tall, strip_height))
    rows = math.ceil(len(blocks) / columns)
    above = (rows + 1) // 2
    height = rows * tall + strip_height
    width = max([columns * wide, *(_length(line, spacing) for line in lines)])
    places: dict[str, Point] = {}
    for i, block in enumerate(blocks):
        row, column = divmod(i, columns)
        x = (column - (columns - 1) / 2) * wide
        y = height / 2 - (row + 0.5) * tall - (strip_height if row >= above else 0.0)
        places |= {name: (x + dx, y + dy) for name, (dx, dy) in block.places.items()}
    y = height / 2 - above * tall
    for line in lines:
        thickness = max(item.height for item in line) + spacing
        x = -_length(line, spacing) / 2
        for item in line:
            middle = x + (item.width + spacing) / 2
            for name, (dx, dy) in item.places.items():
                places[name] = (middle + dx, y - thickness / 2 + dy)
            x += item.width + spacing
        y -= thickness
    return Plan(width - spacing, height - spacing, places)


def _side(columns: int, count: int, wide: float, tall: float, strip: float) -> float:
    return max(columns * wide, math.ceil(count / columns) * tall + strip)


def _length(line: Sequence[Plan], spacing: float) -> float:
    return sum(item.width + spacing for item in line)


def _lines(strip: Sequence[Plan], spacing: float, width: float) -> tuple[list[list[Plan]], float]:
    """Break a strip into lines no wider than ``width`` where that can be; also return their total height."""
    lines: list[list[Plan]] = []
    for item in strip:
        if lines and _length([*lines[-1], item], spacing) <= width:
            lines[-1].append(item)
        else:
            lines.append([item])
    return lines, sum(max(item.height for item in line) + spacing for line in lines)
