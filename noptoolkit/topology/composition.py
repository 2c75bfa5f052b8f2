"""Packages out of packages: unions, copies, further links, other bandwidths; each a new package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package
from noptoolkit.package.edits import chosen_memories
from noptoolkit.topology.size_checks import check_count, need
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["compose", "connect", "extent", "replicate", "scale_bandwidth"]

Ends = tuple[str, str]


def connect(package: Package, pairs: Iterable[Ends], bandwidth: Quantity, **fields: Any) -> Package:
    """Return a package with further links.

    Parameters
    ----------
    package
        Package to extend; it keeps its name and nodes.
    pairs
        The ends of each link.
    bandwidth
        Bandwidth of each link, in B/s per direction.
    fields
        Further fields of `noptoolkit.Link`: ``kind``, ``latency``, ...

    Raises
    ------
    TopologyError
        If an end is unknown.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> len(connect(ring(6), [("e0", "e3"), ("e1", "e4")], "64 GB/s").links)
    8
    """
    links = [Link(a, b, bandwidth, **fields) for a, b in pairs]
    return package.replace(links=[*package.links, *links])


def compose(
    name: str,
    members: Mapping[str, Package],
    links: Iterable[Link],
    *,
    places: Mapping[str, tuple[Quantity, Quantity]] | None = None,
    spacing: Quantity = "1 mm",
) -> Package:
    """Return the union of several packages, joined by links; ``e0`` of member ``left`` becomes ``left.e0``.

    Parameters
    ----------
    name
        Name of the whole.
    members
        Packages by the name that prefixes their nodes and groups.
    links
        Links between nodes of different members, by their prefixed names.
    places
        Centre of each member, in m; side by side where left out.
    spacing
        Gap between members that are put side by side, in m.

    Raises
    ------
    TopologyError
        If a link's end is unknown or members cannot reach each other.

    Examples
    --------
    >>> from noptoolkit import Link
    >>> from noptoolkit.topology import mesh, nop_tree
    >>> compose("pair", {"a": mesh(2), "b": nop_tree(2, 2)}, [Link("a.e1", "b.attn", "256 GB/s")])
    Package('pair': 9 chiplets (1 attention, 8 expert), 2 switches, 11 links, 22 channels, 3.07 TB/s)
    """
    check_count("compose", sum(len(member.chiplets) for member in members.values()))
    gap = parse_quantity(spacing, "m", "spacing")
    nodes: list[Node] = []
    inner: list[Link] = []
    right = 0.0
    for prefix, member in members.items():
        (left, bottom), (width, height) = extent(member)
        middle = (right + width / 2, 0.0)
        if places is not None and prefix in places:
            x, y = places[prefix]
            middle = parse_quantity(x, "m", "place"), parse_quantity(y, "m", "place")
        shift = middle[0] - left - width / 2, middle[1] - bottom - height / 2
        right += width + gap
        nodes += [_renamed(node, prefix, shift) for node in member.nodes]
        inner += [
            dataclasses.replace(link, a=f"{prefix}.{link.a}", b=f"{prefix}.{link.b}") for link in member.links
        ]
    sources = dict.fromkeys(member.source for member in members.values() if member.source)
    assumed = dict.fromkeys(text for member in members.values() for text in member.assumed)
    return Package(name, nodes, [*inner, *links], "; ".join(sources), assumed)


def replicate(
    package: Package,
    rows: int,
    columns: int,
    *,
    right: Iterable[Ends],
    down: Iterable[Ends] = (),
    bandwidth: Quantity,
    spacing: Quantity = "1 mm",
    **fields: Any,
) -> Package:
    """Return a grid of copies of a package: ``e0`` of the copy in row 1, column 2 becomes ``1_2.e0``.

    Parameters
    ----------
    package
        Package to copy.
    rows, columns
        Numbers of copies.
    right, down
        Links to the next copy: pairs of a node of one copy and a node of the copy to its right (below it).
    bandwidth
        Bandwidth of those links, in B/s per direction.
    spacing
        Gap between copies, in m.
    fields
        Further fields of those links.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> replicate(mesh(2), 1, 3, right=[("e1", "e0"), ("e3", "e2")], bandwidth="32 GB/s")
    Package('mesh-2x2 x 1 x 3': 12 chiplets (12 expert), 16 links, 32 channels, 3.33 TB/s)
    """
    need("replicate", "rows", rows, 1)
    need("replicate", "columns", columns, 1)
    gap = parse_quantity(spacing, "m", "spacing")
    _, (width, height) = extent(package)
    right, down = list(right), list(down)
    links: list[Link] = []
    for row in range(rows):
        for column in range(columns):
            here = f"{row}_{column}"
            if column + 1 < columns:
                links += [
                    Link(f"{here}.{a}", f"{row}_{column + 1}.{b}", bandwidth, **fields) for a, b in right
                ]
            if row + 1 < rows:
                links += [
                    Link(f"{here}.{a}", f"{row + 1}_{column}.{b}", bandwidth, **fields) for a, b in down
                ]
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    return compose(
        f"{package.name} x {rows} x {columns}",
        {f"{row}_{column}": package for row, column in cells},
        links,
        places={f"{row}_{column}": (column * (width + gap), -row * (height + gap)) for row, column in cells},
    )


def scale_bandwidth(
    package: Package,
    factor: float,
    *,
    kind: LinkKind | str | None = None,
    where: Callable[[Link], bool] | None = None,
    memories: str | Iterable[str] | None = None,
) -> Package:
    """Return a package with the bandwidth of some links, or of memory stacks and their links, multiplied.

    Parameters
    ----------
    package
        Package to change; it keeps its name and wiring.
    factor
        Factor, above 0.
    kind
        Kind of the links; ``None`` is ``d2d``, or none at all where ``memories`` are given.
    where
        Function of a link that chooses among those; all where ``None``.
    memories
        Names or wildcards of memory stacks that are multiplied together with the links that serve them.

    Examples
    --------
    >>> from noptoolkit.topology import nop_tree
    >>> tree = nop_tree(2, 2)
    >>> fast = scale_bandwidth(nop_tree(2, 2, memory=True), 4, memories="*")
    >>> fast.memories[0].bandwidth / 1e9, fast.links[0].bandwidth / 1e9
    (1024.0, 128.0)
    >>> fat = scale_bandwidth(tree, 2, where=lambda link: "attn" in (link.a, link.b))
    >>> fat.total_bandwidth / tree.total_bandwidth
    1.33...
    """
    if not 0 < factor < float("inf"):
        raise TopologyError(f"scale_bandwidth: factor {factor:g} must be above 0 and finite")
    kinds = [member.value for member in LinkKind]
    if kind is None:
        kind = LinkKind.D2D if memories is None else ""
    elif kind not in kinds:
        raise UnknownNameError(f"no link kind named {kind!r}; {did_you_mean(str(kind), kinds)}")
    stacks = {} if memories is None else chosen_memories(package, memories)
    links = []
    for link in package.links:
        if (link.kind == kind and (where is None or where(link))) or link.a in stacks or link.b in stacks:
            backward = link.reverse_bandwidth
            link = dataclasses.replace(
                link,
                bandwidth=link.bandwidth * factor,
                reverse_bandwidth=None if backward is None else backward * factor,
            )
        links.append(link)
    if not stacks:
        return package.replace(links=links)
    nodes = [
        dataclasses.replace(node, bandwidth=node.bandwidth * factor)
        if isinstance(node, Memory) and node.name in stacks
        else node
        for node in package.nodes
    ]
    return package.replace(nodes=nodes, links=links)


def extent(package: Package) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the lower left corner and the width and height of the outlines, in m; 0 where nothing is placed.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> [round(length, 6) for length in extent(mesh(2))[1]]
    [0.021, 0.021]
    """
    boxes = [(node.position, node.size or (0.0, 0.0)) for node in package.nodes if node.position is not None]
    if not boxes:
        return (0.0, 0.0), (0.0, 0.0)
    left = min(x - w / 2 for (x, _), (w, _) in boxes)
    right = max(x + w / 2 for (x, _), (w, _) in boxes)
    bottom = min(y - h / 2 for (_, y), (_, h) in boxes)
    top = max(y + h / 2 for (_, y), (_, h) in boxes)
    return (left, bottom), (right - left, top - bottom)


def _renamed(node: Node, prefix: str, shift: tuple[float, float]) -> Node:
    changes: dict[str, Any] = {"name": f"{prefix}.{node.name}"}
    if node.position is not None:
        changes["position"] = (node.position[0] + shift[0], node.position[1] + shift[1])
    if isinstance(node, Memory):
        changes["serves"] = tuple(f"{prefix}.{name}" for name in node.serves)
    elif isinstance(node, Chiplet) and node.group is not None:
        changes["group"] = f"{prefix}.{node.group}"
    return dataclasses.replace(node, **changes)
