"""What no routing can shorten: the tokens that must cross a cut, over its bandwidth.

Routes of a step are chosen for all its traffic together, after the layout. A layout that is judged by fixed
routes is then judged by waits that the routes chosen do not have: on a grid, moving busy experts off the
shortest paths gains much on paper and nothing in the step. Of any routing, split or not, this much is true: a
set of nodes that holds some of the tokens' sources sends whatever the chiplets outside it want through the
channels that leave it. Where tokens have one source and nothing copies, the largest of these times over *all*
sets is the least time over all routings (max flow, min cut). The sets tried are

* the sources, and everything within 1, 2, ... hops of them;
* everything but one expert chiplet;
* either side of a bridge: two parts of the package that one link joins.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

from noptoolkit._arrays import Bools, Floats
from noptoolkit.network import FlowNetwork

__all__ = ["cut_uses", "has_one_way"]


def has_one_way(network: FlowNetwork) -> bool:
    """Return whether the nodes that traffic may pass form a tree, so that there is nothing to choose."""
    return bool(nx.is_tree(_passable(network)))


def cut_uses(network: FlowNetwork, *, backward: bool) -> tuple[Floats, tuple[str, ...]]:
    """Return how long each cut is busy with one byte to, or backwards from, each chiplet, and its name.

    Parameters
    ----------
    backward
        Whether the chiplets send to the sources.

    Returns
    -------
    array
        In s, [cuts, chiplets]; each source has an equal share of the byte.
    names
        Of the cuts, [cuts].
    """
    package = network.package
    sources = package.with_role("attention") or package.experts
    experts = np.array([package.index[name] for name in package.experts])
    own = np.zeros(len(package.nodes))
    own[[package.index[name] for name in sources]] = 1 / len(sources)
    stacks = [package.index[memory.name] for memory in package.memories]
    passing = ~np.isin(network.tail, stacks) & (network.head < len(package.nodes))
    tail, head, width = network.tail[passing], network.head[passing], network.arc_capacity[passing]
    near, far = (head, tail) if backward else (tail, head)
    rows, names = [], []
    for name, inside in _sides(network, np.flatnonzero(own)):
        room = width[inside[near] & ~inside[far]].sum()
        rows.append(np.where(inside[experts], 0.0, own[inside].sum() / room if room else 0.0))
        names.append(name)
    for label, users in (("injection", network.on_injected), ("ejection", network.on_ejected)):
        sends = (label == "injection") != backward  # whether the sources use it, or the chiplets
        for resource, node in zip(*users.nonzero(), strict=True):
            others = experts != node
            used = own[node] * others if sends else np.where(others, 0.0, 1 - own[node])
            if node not in stacks:
                rows.append(used / network.capacity[resource])
                names.append(network.names[resource])
    return np.array(rows).reshape(-1, len(experts)), tuple(names)


def _sides(network: FlowNetwork, sources: np.ndarray) -> Iterator[tuple[str, Bools]]:
    """Yield sets of nodes by name, as whether each node is in it, [nodes]."""
    package, graph = network.package, _passable(network)
    hops = nx.multi_source_dijkstra_path_length(graph, set(sources.tolist()), weight=None)
    away = np.array([hops.get(i, len(hops)) for i in range(len(package.nodes))])
    for h in range(int(max(hops.values()))):
        yield f"{h} hops", away <= h
    for name in package.experts:
        side = np.ones(len(package.nodes), np.bool_)
        side[package.index[name]] = False
        yield f"into {name}", side
    for one, other in list(nx.bridges(graph)):
        graph.remove_edge(one, other)
        side = np.zeros(len(package.nodes), np.bool_)
        side[list(nx.node_connected_component(graph, one))] = True
        graph.add_edge(one, other)
        label = f"{package.nodes[one].name} - {package.nodes[other].name}"
        yield label, side
        yield f"{label}, back", ~side


def _passable(network: FlowNetwork) -> nx.Graph:
    """Return the nodes that traffic may pass, by index, and which of them are joined."""
    package = network.package
    stacks = {package.index[memory.name] for memory in package.memories}
    graph = nx.Graph()
    graph.add_nodes_from(i for i in range(len(package.nodes)) if i not in stacks)
    ends = zip(network.tail.tolist(), network.head.tolist(), strict=True)
    graph.add_edges_from(pair for pair in ends if stacks.isdisjoint(pair) and max(pair) < len(package.nodes))
    return graph
