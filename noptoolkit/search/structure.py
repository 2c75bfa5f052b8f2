"""A package of a class as a search sees it: links, who sits where, which nodes copy and add."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from noptoolkit._arrays import Floats
from noptoolkit.bounds import TopologyClass
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package, Switch
from noptoolkit.physical import violations
from noptoolkit.search.graphs import Edges, fits

__all__ = [
    "Structure",
    "bare",
    "broken_rules",
    "build",
    "distances",
    "keeps_rules",
    "needed_nodes",
    "placed",
    "same_outline",
    "trimmed",
]

PITCH = 0.01
"""Distance of chiplets where a class has no template, in m."""


@dataclass(frozen=True)
class Structure:
    """One package of a class.

    Parameters
    ----------
    edges
        Pairs of nodes, chiplets first, and the number of links between them.
    place
        For each chiplet the one whose place it has, [chiplets].
    copiers
        Nodes that copy and add, where the class says how many may.
    """

    edges: Edges
    place: tuple[int, ...]
    copiers: tuple[int, ...] = ()


def bare(within: TopologyClass, edges: Edges = ()) -> Structure:
    """Return a structure with every chiplet at its own place, the nodes with most ports copying."""
    copiers: tuple[int, ...] = ()
    if isinstance(within.copiers, int):
        used = np.zeros(len(within.nodes))
        for a, b, count in edges:
            used[[a, b]] += count
        copiers = tuple(sorted(np.argsort(-used, kind="stable")[: within.copiers].tolist()))
    return Structure(edges, tuple(range(len(within))), copiers)


def placed(within: TopologyClass, structure: Structure) -> TopologyClass:
    """Return the class with its chiplets where a structure has them."""
    order = [*structure.place, *range(len(within), len(within.nodes))]
    if within.positions is None or order == sorted(order):
        return within
    return within.replace(positions=within.positions[order])


def needed_nodes(within: TopologyClass) -> tuple[int, ...]:
    """Return the nodes that every package has: chiplets, and switches that a stack hangs on."""
    kept = set(range(len(within)))
    if within.template is not None:
        number = {name: i for i, name in enumerate(within.nodes)}
        for link in within.template.links:
            if link.kind == LinkKind.MEMORY:
                kept |= {number[end] for end in (link.a, link.b) if end in number}
    return tuple(sorted(kept))


def same_outline(within: TopologyClass, a: int, b: int) -> bool:
    """Return whether two chiplets may exchange their places: equal dies without a stack of their own."""
    if within.template is None:
        return True
    one, other = (within.template[within.names[i]] for i in (a, b))
    buses = [link for link in within.template.links if link.kind == LinkKind.MEMORY]
    stacked = {end for link in buses for end in (link.a, link.b)}
    return one.size == other.size and one.name not in stacked and other.name not in stacked


def keeps_rules(within: TopologyClass, structure: Structure) -> bool:
    """Return whether a structure is of its class: ports, reach, budgets, places, one connected package."""
    size = len(within)
    if sorted(structure.place) != list(range(size)):
        return False
    moved = [i for i, at in enumerate(structure.place) if i != at]
    if moved and not (within.movable and all(same_outline(within, i, structure.place[i]) for i in moved)):
        return False
    if isinstance(within.copiers, int):
        if len(set(structure.copiers)) != len(structure.copiers) or len(structure.copiers) > within.copiers:
            return False
    elif structure.copiers:
        return False
    return fits(placed(within, structure), structure.edges) and _hangs_together(within, structure.edges)


def _graph(within: TopologyClass, edges: Edges) -> csr_array:
    size = len(within.nodes)
    ends = np.array([(a, b) for a, b, _ in edges], dtype=np.int64).reshape(-1, 2)
    return csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))


def _hangs_together(within: TopologyClass, edges: Edges) -> bool:
    part = connected_components(_graph(within, edges), directed=False)[1]
    needed = list(needed_nodes(within))
    return bool((part[needed] == part[needed[0]]).all())


def trimmed(within: TopologyClass, structure: Structure) -> Structure:
    """Return a structure without switches that join nothing: links from one neighbour alone carry nothing."""
    needed, edges = set(needed_nodes(within)), structure.edges
    while True:
        near: dict[int, set[int]] = {}
        for a, b, _ in edges:
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
        idle = {v for v, others in near.items() if v not in needed and len(others) == 1}
        if not idle:
            return replace(structure, edges=edges)
        edges = tuple(edge for edge in edges if not idle & set(edge[:2]))


def distances(within: TopologyClass, edges: Edges) -> Floats:
    """Return the hops between nodes, [nodes, nodes]."""
    found: Floats = dijkstra(_graph(within, edges), directed=False, unweighted=True)
    return found


def build(within: TopologyClass, structure: Structure, name: str, *, widths: Floats | None = None) -> Package:
    """Return the package of a structure; switches without links are left out.

    Parameters
    ----------
    widths
        Bandwidth of each pair of ``edges`` in links of one port, where they are not whole.
    """
    names = within.nodes
    joined = {end for a, b, _ in structure.edges for end in (a, b)} | set(needed_nodes(within))
    nodes = [_node(within, structure, i) for i in range(len(names)) if i in joined]
    bus: list[Link] = []
    like = Link(names[0], names[-1], within.bandwidth)
    if within.template is not None:
        nodes += [node for node in within.template.nodes if isinstance(node, Memory)]
        bus = [link for link in within.template.links if link.kind == LinkKind.MEMORY]
        d2d = [link for link in within.template.links if link.kind != LinkKind.MEMORY]
        like = replace(d2d[0], bandwidth=within.bandwidth, reverse_bandwidth=None, length=None)
    links = []
    for k, (a, b, count) in enumerate(structure.edges):
        width = within.bandwidth * (1.0 if widths is None else float(widths[k]))
        links += [replace(like, a=names[a], b=names[b], bandwidth=width)] * (count if widths is None else 1)
    assumed = () if within.template is not None else (f"pitch of {1e3 * PITCH:g} mm",)
    return Package(name, nodes, links + bus, source="found by noptoolkit.search", assumed=assumed)


def _node(within: TopologyClass, structure: Structure, i: int) -> Node:
    name, template = within.nodes[i], within.template
    chiplet = i < len(within)
    at = structure.place[i] if chiplet else i
    if template is not None:
        node = template[name]
        assert isinstance(node, Chiplet | Switch)
        place = template[within.nodes[at]].position
    else:
        node = Chiplet(name, role="expert") if chiplet else Switch(name)
        spot = None if within.positions is None else within.positions[at]
        place = None if spot is None else (PITCH * float(spot[0]), PITCH * float(spot[1]))
    if within.copiers == "given":
        return replace(node, position=place)
    copies = within.copiers == "all" or i in structure.copiers
    return replace(node, position=place, replicates=copies, reduces=copies)


def broken_rules(within: TopologyClass, package: Package) -> list[str]:
    """Return the rules of the class's technology that a package breaks, in words."""
    if within.technology is None:
        return []
    return [str(one) for one in violations(package, within.technology)]
