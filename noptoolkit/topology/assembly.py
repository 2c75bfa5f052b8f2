"""From a drawn graph to a package: the step that every builder shares.

A `Sketch` is what a family is: chiplets in the order of their names, switches, wires, groups, and where on
the floor plan they and their companions (attention chiplet, memory stacks) are. `assemble` makes the nodes
and links of it with the `Parts` asked for. A group is a run of chiplets that shares one memory stack; the
attention chiplet has one link to each group's port.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from noptoolkit.errors import TopologyError
from noptoolkit.package import Link, LinkKind, Node, Package
from noptoolkit.topology.builder_options import Parts, Point
from noptoolkit.topology.perimeter import Outlines, attention_beside, nearest_of, stacks_beside

__all__ = ["Sketch", "Wire", "assemble", "grid_positions", "grid_sketch", "split_groups"]


class Wire(NamedTuple):
    """A link to be: its ends, its bandwidth in B/s (``None``: the usual one) and what it is made of."""

    a: str
    b: str
    bandwidth: float | None = None
    kind: LinkKind = LinkKind.D2D


@dataclass(frozen=True)
class Sketch:
    """The graph and the floor plan of a package, before its parts are chosen.

    Parameters
    ----------
    positions
        Centre of each chiplet by name, in m, in the order that fixes the experts' indices.
    wires
        Links between chiplets and switches.
    groups
        Names of the chiplets of each group.
    attention, attention_ports
        Centre of the attention chiplet, and the node that it is linked to for each of its links.
    stacks, stack_ports
        Centre of each group's memory stack, and the node that it is linked to.
    attention_stacks
        Centres of the attention chiplet's memory stacks.
    switches
        Centre of each switch by name.
    """

    positions: Mapping[str, Point]
    wires: Sequence[Wire | tuple[str, str]]
    groups: Sequence[Sequence[str]]
    attention: Point
    attention_ports: Sequence[tuple[str, float | None]]
    stacks: Sequence[Point]
    stack_ports: Sequence[str]
    attention_stacks: Sequence[Point]
    switches: Mapping[str, Point] = field(default_factory=dict)


def assemble(
    name: str, sketch: Sketch, parts: Parts, *, in_network: bool = False, source: str = ""
) -> Package:
    """Return the package of a sketch: attention chiplet, chiplets, switches, memory stacks.

    Parameters
    ----------
    name
        Name of the package.
    sketch, parts
        Graph and floor plan, and the parts that it is made of.
    in_network
        Whether the switches replicate and reduce.
    source
        Source of the topology.
    """
    group_of = {member: f"g{i}" for i, group in enumerate(sketch.groups) for member in group}
    nodes: list[Node] = []
    links: list[Link] = []
    if parts.attention:
        nodes.append(parts.attention_chiplet(sketch.attention))
        links += [parts.link("attn", port, width) for port, width in sketch.attention_ports]
    nodes += [parts.chiplet(key, at, group_of.get(key)) for key, at in sketch.positions.items()]
    nodes += [parts.switch(key, at, in_network=in_network) for key, at in sketch.switches.items()]
    links += [parts.link(*wire) for wire in sketch.wires]
    if parts.memory:
        for i, (at, port) in enumerate(zip(sketch.stacks, sketch.stack_ports, strict=True)):
            nodes.append(parts.memory_stack(f"hbm{i}", at, tuple(sketch.groups[i])))
            links.append(parts.memory_link(f"hbm{i}", port))
        if parts.attention:
            for i, at in enumerate(sketch.attention_stacks, start=len(sketch.stacks)):
                nodes.append(parts.memory_stack(f"hbm{i}", at, ("attn",)))
                links.append(parts.memory_link(f"hbm{i}", "attn"))
    return Package(name, nodes, links, source=source)


def split_groups(names: Sequence[str], groups: int | None) -> list[list[str]]:
    """Return consecutive groups of equal size; about the square root of the count by default.

    Raises
    ------
    TopologyError
        If the groups do not divide the chiplets; it names the nearest that do.

    Examples
    --------
    >>> split_groups(["a", "b", "c", "d", "e", "f"], 3)
    [['a', 'b'], ['c', 'd'], ['e', 'f']]
    """
    count = len(names)
    divisors = [d for d in range(1, count + 1) if count % d == 0]
    if groups is None:
        groups = max(d for d in divisors if d * d <= count)
    if groups not in divisors:
        near = sorted(divisors, key=lambda d: abs(d - groups))[:3]
        shown = ", ".join(map(str, sorted(near)))
        raise TopologyError(f"{groups} groups do not divide {count} chiplets; nearest that do: {shown}")
    size = count // groups
    return [list(names[i : i + size]) for i in range(0, count, size)]


def grid_positions(count: int, parts: Parts, columns: int | None = None) -> dict[str, Point]:
    """Return ``e0``, ``e1``, ... row by row on a grid, near square where ``columns`` is not given."""
    columns = columns or math.ceil(math.sqrt(count))
    wide, tall = parts.pitches
    return {f"e{i}": (i % columns * wide, -(i // columns) * tall) for i in range(count)}


def grid_sketch(
    positions: Mapping[str, Point],
    wires: Sequence[Wire | tuple[str, str]],
    parts: Parts,
    *,
    groups: int | None = None,
    switches: Mapping[str, Point] | None = None,
    stacks: Sequence[Point] = (),
) -> Sketch:
    """Return the sketch of chiplets on a plane, with companions where `noptoolkit.topology.perimeter` says.

    Parameters
    ----------
    positions, wires, parts
        Fields of a `Sketch`.
    groups
        How many, where ``parts`` do not say.
    switches
        Centre of each switch by name.
    stacks
        Centres of the groups' memory stacks, where the plan has room for them within.

    Notes
    -----
    The port of a group is its first chiplet for attention, and for memory the one nearest to its stack.
    """
    split = split_groups(list(positions), parts.memory_groups or groups)
    switches = switches or {}
    boxes = [(at, parts.die) for at in positions.values()]
    boxes += [(at, parts.switch_die) for at in switches.values()]
    outlines = Outlines.of(boxes).and_more(stacks, parts.stack)
    if len(stacks) == len(split):
        ports = [nearest_of(group, positions, at) for group, at in zip(split, stacks, strict=True)]
    elif parts.memory:
        stacks, ports = stacks_beside(positions, split, outlines, parts)
        outlines = outlines.and_more(stacks, parts.stack)
    else:
        stacks, ports = [], []
    attention, attention_stacks = attention_beside(outlines, parts)
    return Sketch(
        positions=positions,
        wires=wires,
        groups=split,
        attention=attention,
        attention_ports=[(group[0], None) for group in split],
        stacks=stacks,
        stack_ports=ports,
        attention_stacks=attention_stacks,
        switches=switches,
    )
