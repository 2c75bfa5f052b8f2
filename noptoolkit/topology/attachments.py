"""Further dies on a package: memory stacks, SRAM under the logic, I/O chiplets, an attention chiplet.

Each is put where there is room: beside the node it is linked to, or straight on until nothing is in the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package
from noptoolkit.topology.builder_options import Point
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["attach_attention", "attach_io", "attach_memory", "stack_sram"]

Size = tuple[Quantity, Quantity]


def attach_memory(
    package: Package,
    to: str,
    *,
    bandwidth: Quantity = "256 GB/s",
    capacity: Quantity | None = "8 GiB",
    kind: str = "HBM2",
    serves: Iterable[str] = (),
    name: str | None = None,
    size: Size = ("7.8 mm", "12 mm"),
    spacing: Quantity = "1 mm",
    **fields: Any,
) -> Package:
    """Return a package with a memory stack more, on a half-duplex bus of its own bandwidth.

    Parameters
    ----------
    package
        Package to extend; it keeps its name.
    to
        The node it is linked to.
    bandwidth, capacity, kind, serves
        Fields of the stack, see `noptoolkit.Memory`; an HBM2 stack of Mozart (arXiv 2603.07006) by default.
    name
        ``mem0``, ``mem1``, ... where left out.
    size, spacing
        Outline and gap to other dies, in m.
    fields
        Further fields of the stack.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> attach_memory(mesh(2), "e1", serves=["e0", "e1"]).memories[0].name
    'mem0'
    """
    width, height = _lengths(size)
    stack = Memory(
        name or _fresh(package, "mem"),
        bandwidth=bandwidth,
        capacity=capacity,
        kind=kind,
        serves=tuple(serves),
        position=_beside(package, [to], (width, height), parse_quantity(spacing, "m", "spacing")),
        size=(width, height),
        **fields,
    )
    bus = Link(stack.name, to, stack.bandwidth, kind=LinkKind.MEMORY, half_duplex=True)
    return package.replace(nodes=[*package.nodes, stack], links=[*package.links, bus])


def attach_io(
    package: Package,
    to: str | Sequence[str],
    *,
    bandwidth: Quantity,
    name: str | None = None,
    size: Size = ("5 mm", "5 mm"),
    spacing: Quantity = "1 mm",
    **fields: Any,
) -> Package:
    """Return a package with an I/O chiplet more.

    Parameters
    ----------
    package
        Package to extend; it keeps its name.
    to
        The node, or nodes, it is linked to.
    bandwidth
        Bandwidth of each link, in B/s per direction.
    name
        ``io0``, ``io1``, ... where left out.
    size, spacing
        Outline and gap to other dies, in m.
    fields
        Further fields of `noptoolkit.Chiplet`.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> attach_io(mesh(2), ["e0", "e2"], bandwidth="64 GB/s").with_role("io")
    ('io0',)
    """
    ports = [to] if isinstance(to, str) else list(to)
    chosen = name or _fresh(package, "io")
    return _attach(package, chosen, ports, "io", bandwidth, size, spacing, fields)


def attach_attention(
    package: Package,
    to: Sequence[str],
    *,
    bandwidth: Quantity,
    name: str = "attn",
    size: Size = ("10 mm", "10 mm"),
    spacing: Quantity = "1 mm",
    **fields: Any,
) -> Package:
    """Return a package with an attention chiplet more; parameters are those of `attach_io`.

    Examples
    --------
    >>> from noptoolkit.topology import torus
    >>> attach_attention(torus(3), ["e0", "e3", "e6"], bandwidth="128 GB/s").with_role("attention")
    ('attn',)
    """
    return _attach(package, name, list(to), "attention", bandwidth, size, spacing, fields)


def stack_sram(
    package: Package,
    *,
    capacity: Quantity,
    bandwidth: Quantity,
    under: Iterable[str] | None = None,
    energy_per_bit: Quantity | None = None,
) -> Package:
    """Return a package whose chiplets stand on SRAM dies, joined by hybrid bonds (as in arXiv 2603.07006).

    Parameters
    ----------
    package
        Package to extend; it keeps its name.
    capacity, bandwidth
        Capacity and bandwidth of each SRAM die, in B and B/s.
    under
        Names of the chiplets; all where ``None``. The die under ``e0`` is named ``sram under e0`` and lies
        at the same place.
    energy_per_bit
        Energy of the bonds, in J/bit.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> stack_sram(mesh(2), capacity="80 MB", bandwidth="4 TB/s").memories[0].serves
    ('e0',)
    """
    nodes: list[Node] = list(package.nodes)
    links = list(package.links)
    for chiplet in package.terminals if under is None else under:
        base = package[chiplet]
        name = f"sram under {chiplet}"
        nodes.append(
            Memory(
                name,
                bandwidth=bandwidth,
                capacity=capacity,
                kind="SRAM",
                serves=(chiplet,),
                position=base.position,
                size=base.size,
            )
        )
        bond = Link(name, chiplet, bandwidth, kind=LinkKind.HYBRID_BOND, energy_per_bit=energy_per_bit)
        links.append(bond)
    return package.replace(nodes=nodes, links=links)


def _attach(
    package: Package,
    name: str,
    ports: Sequence[str],
    role: Any,
    bandwidth: Quantity,
    size: Size,
    spacing: Quantity,
    fields: dict[str, Any],
) -> Package:
    if not ports:
        raise TopologyError(f"package {package.name!r}: {name!r} must be linked to at least one node")
    outline = _lengths(size)
    position = _beside(package, ports, outline, parse_quantity(spacing, "m", "spacing"))
    chiplet = Chiplet(name, role=role, position=position, size=outline, **fields)
    links = [Link(name, port, bandwidth) for port in ports]
    return package.replace(nodes=[*package.nodes, chiplet], links=[*package.links, *links])


def _beside(package: Package, ports: Sequence[str], size: Point, spacing: float) -> Point | None:
    """Return the free place next to the middle of the ports, or ``None`` where they are not placed."""
    near = [package[port] for port in ports]
    if any(node.position is None for node in near):
        return None
    centres = [node.position for node in near if node.position is not None]
    x, y = (sum(parts) / len(centres) for parts in zip(*centres, strict=True))
    boxes = [(node.position, node.size or (0.0, 0.0)) for node in package.nodes if node.position is not None]
    found = []
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        place = (x, y)
        while (blocker := _blocker(place, size, boxes, spacing)) is not None:
            (bx, by), (width, height) = blocker
            reach = (width + size[0]) / 2 + spacing, (height + size[1]) / 2 + spacing
            place = (bx + dx * reach[0] if dx else place[0], by + dy * reach[1] if dy else place[1])
        found.append(place)
    return min(found, key=lambda place: abs(place[0] - x) + abs(place[1] - y))


def _blocker(
    place: Point, size: Point, boxes: Sequence[tuple[Point, Point]], spacing: float
) -> tuple[Point, Point] | None:
    slack = spacing * (1 - 1e-9) - 1e-12
    for (x, y), (width, height) in boxes:
        wide, high = (width + size[0]) / 2 + slack, (height + size[1]) / 2 + slack
        if abs(place[0] - x) < wide and abs(place[1] - y) < high:
            return (x, y), (width, height)
    return None


def _fresh(package: Package, stem: str) -> str:
    number = 0
    while f"{stem}{number}" in package.index:
        number += 1
    return f"{stem}{number}"


def _lengths(size: Size) -> Point:
    width, height = (parse_quantity(part, "m", "size") for part in size)
    return width, height
