"""Trees: the NoP-Tree of Mozart (arXiv 2603.07006) and the star.

A NoP-Tree has a root in the middle of the package (the attention chiplet, which dispatches tokens), one
switch per group, and the group's expert chiplets as leaves. Its switches copy tokens on the way down and
add partial results on the way up. Unicast all-to-all of 1 B per pair of leaves takes max((n-1)/c_leaf, m
(n-m)/c_uplink) seconds, with n leaves in groups of m.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

from noptoolkit.package import Package
from noptoolkit.topology.assembly import Sketch, Wire, assemble, split_groups
from noptoolkit.topology.builder_options import Parts, PartsOptions, Point, parts_of
from noptoolkit.topology.size_checks import check_count, need
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["nop_tree", "star"]

SIDES: tuple[tuple[Point, Point], ...] = (
    ((0.0, 1.0), (1.0, 0.0)),
    ((1.0, 0.0), (0.0, -1.0)),
    ((0.0, -1.0), (-1.0, 0.0)),
    ((-1.0, 0.0), (0.0, 1.0)),
)
"""The sides of a square, clockwise from the top: outward direction, and direction along the side."""


def nop_tree(
    groups: int = 4,
    experts_per_group: int = 4,
    *,
    uplink_bandwidth: Quantity | None = None,
    in_network: bool = True,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return Mozart's tree: a root, one switch per group, expert chiplets as leaves.

    Its leaves lie on the sides of a square, as the paper draws it; `tree` packs the same graph tightly.

    Parameters
    ----------
    groups, experts_per_group
        Switches, and leaves of each.
    uplink_bandwidth
        Bandwidth of the links between root and switches, in B/s; ``link_bandwidth`` where ``None``.
    in_network
        Whether the switches replicate and reduce.
    options
        See `noptoolkit.topology.Parts`. There is an attention chiplet unless ``attention=False``, which
        makes the root a switch. Each group's memory stack is linked to its switch.

    Raises
    ------
    TopologyError
        If a size is below 1.

    Examples
    --------
    >>> nop_tree(4, 4)
    Package('nop_tree-4x4': 17 chiplets (1 attention, 16 expert), 4 switches, 20 links, 40 channels,
    5.12 TB/s)
    """
    need("nop_tree", "groups", groups, 1)
    need("nop_tree", "experts_per_group", experts_per_group, 1)
    check_count("nop_tree", groups * experts_per_group)
    parts = parts_of(options, attention=True)
    uplink = None if uplink_bandwidth is None else parse_quantity(uplink_bandwidth, "B/s", "uplink_bandwidth")
    names = [f"e{i}" for i in range(groups * experts_per_group)]
    split = split_groups(names, groups)
    switch_names = [f"sw{i}" for i in range(groups)]
    per_side = math.ceil(groups / 4)
    square = _Square(
        per_side * experts_per_group, parts, experts_per_group, _reach(_round_the_core(parts), parts)
    )
    # further off than needed, but within a stack's length, and moving nothing else
    away = min(max((max(parts.stack) - parts.spacing) / 2, 0.0), square.room - square.inner)
    attention_stacks = _round_the_core(parts, away)
    positions: dict[str, Point] = {}
    switches: dict[str, Point] = {}
    stacks: list[Point] = []
    wires: list[Wire] = []
    for i, (switch, group) in enumerate(zip(switch_names, split, strict=True)):
        first = i % per_side * experts_per_group
        side = i // per_side
        places = [square.place(side, first + j) for j in range(experts_per_group)]
        positions |= dict(zip(group, places, strict=True))
        along = first + (experts_per_group - 1) / 2
        switches[switch] = square.place(side, along, inward=square.switch_depth(alone=per_side == 1))
        stacks.append(square.place(side, along, inward=-square.stack_height))
        wires += [Wire(switch, leaf) for leaf in group]
    root_wires = [(switch, uplink) for switch in switch_names]
    if not parts.attention:
        switches = {"root": (0.0, 0.0), **switches}
        wires = [Wire("root", switch, width) for switch, width in root_wires] + wires
    sketch = Sketch(
        positions=positions,
        wires=wires,
        groups=split,
        attention=(0.0, 0.0),
        attention_ports=root_wires,
        stacks=stacks,
        stack_ports=switch_names,
        attention_stacks=attention_stacks,
        switches=switches,
    )
    name = f"nop_tree-{groups}x{experts_per_group}"
    return assemble(name, sketch, parts, in_network=in_network, source="Mozart, arXiv 2603.07006")


def star(leaves: int = 16, *, in_network: bool = False, **options: Unpack[PartsOptions]) -> Package:
    """Return chiplets round one switch.

    Parameters
    ----------
    leaves
        Chiplets.
    in_network
        Whether the switch replicates and reduces.
    options
        See `noptoolkit.topology.Parts`; the attention chiplet has one link to the hub for each group.

    Examples
    --------
    >>> star(5)
    Package('star-5': 5 chiplets (5 expert), 1 switch, 5 links, 10 channels, 1.28 TB/s)
    """
    need("star", "leaves", leaves, 1)
    parts = parts_of(options)
    split = split_groups([f"e{i}" for i in range(leaves)], parts.memory_groups)
    side = math.ceil(leaves / 4)
    attention = (-(parts.attention_die[0] + parts.switch_die[0]) / 2 - parts.spacing, 0.0)
    attention_stacks = _left_of_the_core(parts, attention)
    square = _Square(side, parts, max(4 * side // len(split), 1), _reach(attention_stacks, parts))
    positions = {f"e{i}": square.place(i // square.side, i % square.side) for i in range(leaves)}
    stacks = []
    for i in range(len(split)):
        along = i * 4 * square.side / len(split)
        stacks.append(
            square.place(int(along // square.side), along % square.side, inward=-square.stack_height)
        )
    sketch = Sketch(
        positions=positions,
        wires=[Wire("hub", leaf) for leaf in positions],
        groups=split,
        attention=attention,
        attention_ports=[("hub", None)] * len(split),
        stacks=stacks,
        stack_ports=["hub"] * len(split),
        attention_stacks=attention_stacks,
        switches={"hub": (0.0, 0.0)},
    )
    return assemble(f"star-{leaves}", sketch, parts, in_network=in_network, source="star round one switch")


class _Square:
    """Places on the four sides of a square round the centre of the package, and within and outside it."""

    def __init__(self, side: int, parts: Parts, places_per_stack: int, inner: float) -> None:
        """Make room for so many places a side, and for what reaches so far from the centre."""
        self.side = side
        self.pitch = max(*parts.pitches, (max(parts.stack) + parts.spacing) / places_per_stack)
        self.gap = parts.spacing
        self.die = max(parts.die)
        self.switch = max(parts.switch_die)
        self.core, self.narrowest = max(parts.attention_die), min(parts.attention_die)
        self.stack = max(parts.stack)
        self.inner = inner
        self.room = max(side * self.pitch / 2, self.core * 1.5 + self.switch / 2 + self.gap, inner)
        self.radius = self.room + self.switch + 2 * self.gap + self.die / 2
        self.stack_height = (self.die + self.stack) / 2 + self.gap

    def place(self, side: int, along: float, *, inward: float = 0.0) -> Point:
        """Return the centre of a place on a side, moved inward by some metres."""
        out, tangent = SIDES[side]
        radius = self.radius - inward
        shift = (along - (self.side - 1) / 2) * self.pitch
        return out[0] * radius + tangent[0] * shift, out[1] * radius + tangent[1] * shift

    def switch_depth(self, *, alone: bool) -> float:
        """Return how far inside a switch sits: half-way to the core where it is alone on its side."""
        near = (self.die + self.switch) / 2 + self.gap
        if not alone:
            return near
        core = self.inner if self.switch > self.narrowest else self.core / 2
        return max(near, (self.radius - self.die / 2 - core) / 2 + self.die / 2)


def _round_the_core(parts: Parts, away: float = 0.0) -> list[Point]:
    """Return the centres of the attention chiplet's stacks off its corners, ``away`` further than needed."""
    turns = ((-1, 1), (1, -1), (1, 1), (-1, -1))
    found = []
    for i in range(parts.attention_memories if parts.attention and parts.memory else 0):
        x, y = (
            (core + stack) / 2 + parts.spacing + away + i // 4 * (stack + parts.spacing)
            for core, stack in zip(parts.attention_die, parts.stack, strict=True)
        )
        found.append((turns[i % 4][0] * x, turns[i % 4][1] * y))
    return found


def _reach(stacks: Sequence[Point], parts: Parts) -> float:
    """Return how far stacks reach from the centre along an axis."""
    return max((abs(at[way]) + parts.stack[way] / 2 for at in stacks for way in (0, 1)), default=0.0)


def _left_of_the_core(parts: Parts, core: Point) -> list[Point]:
    """Return the centres of the attention chiplet's stacks in columns left of it, no taller than it is."""
    count = parts.attention_memories if parts.attention and parts.memory else 0
    wide, tall = (side + parts.spacing for side in parts.stack)
    rows = max(int((parts.attention_die[1] + parts.spacing) / tall), 1)
    found = []
    for i in range(count):
        column, row = divmod(i, rows)
        here = min(rows, count - column * rows)
        x = core[0] - (parts.attention_die[0] + parts.stack[0]) / 2 - parts.spacing - column * wide
        found.append((x, core[1] + ((here - 1) / 2 - row) * tall))
    return found
