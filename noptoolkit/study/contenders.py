"""Packages of one set of chiplets that a model's tokens may be compared on: trees, a hub, chains, meshes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import NopError
from noptoolkit.formats import load_topology
from noptoolkit.package import Chiplet, Link, LinkKind, Package, Switch
from noptoolkit.physical.geometry import is_of
from noptoolkit.physical.placement import place
from noptoolkit.pipeline import run
from noptoolkit.stages import Run
from noptoolkit.study.rewidened import best_widths_of
from noptoolkit.study.rows_of_dies import package_in_rows
from noptoolkit.traffic import Traffic

__all__ = [
    "CHAINS",
    "CONTENDERS",
    "ROWS",
    "Candidate",
    "chain_package",
    "chain_time",
    "hub_package",
    "with_one_trunk_width",
]


@dataclass(frozen=True)
class Candidate:
    """A package to compare.

    Parameters
    ----------
    package
        The package.
    known
        What a routing of dispatch that is known for it takes, in s; infinite where none is.
    """

    package: Package
    known: float = np.inf


CHAINS = "fully connected, widths of chains"
ROWS = "dies in rows, within reach"


def with_one_trunk_width(tree: Package, out: Traffic) -> Package:
    """Return the tree with one width of all trunks and one of all leaves, in the proportion of the fullest.

    Over every such pair of widths with the same chiplet ends it is the best: the trunk and the leaf that
    carry most are full at the same time.
    """
    loads = _tree_loads(tree, out)
    sets = out.multicast
    assert sets is not None
    root = out.endpoints[int(sets.root[0])]
    trunks = [i for i in loads if root in (tree.links[i].a, tree.links[i].b)]
    leaves = [i for i in loads if i not in trunks]
    wide, narrow = max(loads[i] for i in trunks), max(loads[i] for i in leaves)
    return _with_widths(tree, {i: wide if i in trunks else narrow for i in loads}, "one trunk width")


def _tree_loads(tree: Package, out: Traffic) -> dict[int, float]:
    """Return what crosses each die-to-die link of a tree, bytes of the copies that it needs."""
    import networkx as nx

    d2d = np.flatnonzero(is_of(tree, LinkKind.D2D)).tolist()
    graph = nx.Graph([(tree.links[i].a, tree.links[i].b, {"link": i}) for i in d2d])
    sets = out.multicast
    assert sets is not None
    inside = sets.contains(len(out.endpoints))
    found = {}
    for i in d2d:
        a, b = tree.links[i].a, tree.links[i].b
        graph.remove_edge(a, b)
        side = np.array([name in nx.node_connected_component(graph, a) for name in out.endpoints])
        graph.add_edge(a, b, link=i)
        across = (inside & (side[None] != side[sets.root][:, None])).any(axis=1)
        found[i] = float(sets.bytes[across].sum())
    return found


def _with_widths(package: Package, widths: dict[int, float], what: str) -> Package:
    links = [
        dataclasses.replace(link, bandwidth=1e3 * widths[i]) if i in widths else link
        for i, link in enumerate(package.links)
    ]
    return package.replace(name=f"{package.name}, {what}", links=links)


def hub_package(tree: Package, out: Traffic) -> Package:
    """Return the chiplets of a package round one switch that copies, links as wide as their chiplets need.

    With chiplet ends alone counted, no package is faster, whatever the traffic (`noptoolkit.bounds.edges`).
    """
    needs = needs_of(out)
    need = dict(zip(needs.names, needs.busier_way.tolist(), strict=True))
    hub = Switch("hub", replicates=True, reduces=True)
    kept = [node for node in tree.nodes if not isinstance(node, Switch)]
    links = [Link(name, "hub", 1e3 * amount) for name, amount in need.items() if amount > 0]
    switches = {node.name for node in tree.switches}
    for link in tree.links:
        if link.kind == LinkKind.MEMORY:
            a, b = ("hub" if end in switches else end for end in (link.a, link.b))
            links.append(replace(link, a=a, b=b, length=None))
    bare = [dataclasses.replace(node, position=None) for node in kept]
    return place(Package("hub", [hub, *bare], links))


def chain_package(grid: Package, out: Traffic) -> Package:
    """Return the chiplets of a package fully connected, with the widths of chains in random order.

    A token goes from its root to one of its members, from there to the next, and so on: on average each pair
    of members and each root link carries bytes / |set|. All dies counted, no package is faster for one root.

    Raises
    ------
    NopError
        If the messages have several roots.
    """
    sets = out.multicast
    assert sets is not None
    if len(np.unique(sets.root)) > 1:
        raise NopError(f"traffic {out.name!r} has several roots; chains are the best for one")
    entry, pair = _chain_loads(out)
    root = out.endpoints[int(sets.root[0])]
    links = [
        Link(root, name, 1e3 * w) for name, w in zip(out.endpoints, entry.tolist(), strict=True) if w > 0
    ]
    for i, one in enumerate(out.endpoints):
        for j in range(i):
            if pair[i, j] > 0:
                links.append(Link(out.endpoints[j], one, 1e3 * float(pair[i, j])))
    links += [link for link in grid.links if link.kind == LinkKind.MEMORY]
    return Package(CHAINS, _copying(grid).nodes, links)


def _chain_loads(out: Traffic) -> tuple[Floats, Floats]:
    """Return what chains in random order put on each root link and on each pair, either way, in B."""
    sets = out.multicast
    assert sets is not None
    inside = sets.contains(len(out.endpoints)).astype(float)
    inside[np.arange(len(sets)), sets.root] = 0.0
    size = inside.sum(axis=1)
    some = size > 0
    weight = sets.bytes[some] / size[some]
    pair: Floats = (inside[some] * weight[:, None]).T @ inside[some]
    entry: Floats = weight @ inside[some]
    return entry, pair


def chain_time(package: Package, out: Traffic) -> float:
    """Return how long chains in random order take on a fully connected package, in s."""
    entry, pair = _chain_loads(out)
    place_of = {name: i for i, name in enumerate(out.endpoints)}
    sets = out.multicast
    assert sets is not None
    root = int(sets.root[0])
    slowest = 0.0
    for link in package.links:
        if link.a in place_of and link.b in place_of:
            a, b = place_of[link.a], place_of[link.b]
            load = entry[a + b - root] if root in (a, b) else pair[a, b]
            slowest = max(slowest, float(load) / min(link.bandwidth, link.backward_bandwidth))
    return slowest


def _copying(package: Package) -> Package:
    nodes = [
        dataclasses.replace(node, replicates=True, reduces=True)
        if isinstance(node, Chiplet | Switch)
        else node
        for node in package.nodes
    ]
    return package.replace(name=f"{package.name}, copying", nodes=nodes)


def _mesh_of_best_widths(base: Run) -> Package:
    again = run("mesh-4x4-in-network", base.given, allocator=base.allocation)
    return best_widths_of(again).package


def _chains(base: Run) -> Candidate:
    package = chain_package(load_topology("mesh-4x4-in-network"), base.dispatch_traffic)
    return Candidate(package, chain_time(package, base.dispatch_traffic))


CONTENDERS: dict[str, Callable[[Run], Candidate]] = {
    "tree as drawn": lambda base: Candidate(base.package),
    "tree, best trunk width": lambda base: Candidate(
        with_one_trunk_width(base.package, base.dispatch_traffic)
    ),
    "tree, best widths": lambda base: Candidate(best_widths_of(base).package),
    "one hub that copies": lambda base: Candidate(hub_package(base.package, base.dispatch_traffic)),
    "mesh whose routers copy": lambda base: Candidate(load_topology("mesh-4x4-in-network")),
    "mesh, best widths": lambda base: Candidate(_mesh_of_best_widths(base)),
    "torus whose routers copy": lambda base: Candidate(_copying(load_topology("torus-4x4"))),
    "fully connected, chains": _chains,
    ROWS: lambda base: Candidate(*package_in_rows(base.package, base.dispatch_traffic)),
}
"""Packages of the same chiplets: name to function of the run on the tree as drawn."""
