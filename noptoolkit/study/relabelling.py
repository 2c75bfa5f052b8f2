"""Relabellings of a package that change nothing about a traffic: losses that differ by one cost the same.

The model. Nodes, channels and links become the vertices of one graph, coloured by what a solver knows of
them (kind, capacities, bytes sent and received); a colour-keeping automorphism that also keeps the demand
matrix carries every routing of one damaged package to one of the other, at the same time. Generators come
from BLISS, through igraph.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._seeds import callers_random_state
from noptoolkit.package import Chiplet, Memory, Node, Package
from noptoolkit.traffic import Traffic

__all__ = ["alike", "relabellings"]


def relabellings(package: Package, traffic: Traffic) -> list[dict[str, str]]:
    """Return generators of the relabellings, each from names of nodes and channels to names.

    A channel stands for its link: of each link, the first channel has an image, the first of another. Traffic
    with messages to sets is taken to have no symmetry.

    Examples
    --------
    >>> from noptoolkit import Link
    >>> from noptoolkit.traffic import from_matrix
    >>> path = Package("path", [Chiplet(n) for n in "abc"], [Link("a", "b", 1.0), Link("c", "b", 1.0)])
    >>> relabellings(path, from_matrix(path, [[1] * 3] * 3))
    [{'a': 'c', 'b': 'b', 'c': 'a', 'a->b': 'c->b', 'c->b': 'a->b'}]
    """
    import igraph

    if traffic.multicast is not None or traffic.reduction is not None:
        return []
    nodes, channels, links = len(package.nodes), len(package.channels), len(package.links)
    at = np.array([package.index[name] for name in traffic.endpoints], np.int64)
    demand = np.zeros((nodes, nodes))
    np.add.at(demand, np.ix_(at, at), traffic.demand)
    np.fill_diagonal(demand, 0.0)
    sums = np.round(np.stack([demand.sum(axis=0), demand.sum(axis=1)]) / max(demand.sum(), 1e-300), 12)
    keys: list[tuple[object, ...]] = [
        (*_key(node), *sums[:, i].tolist()) for i, node in enumerate(package.nodes)
    ]
    keys += [(channel.bandwidth,) for channel in package.channels]
    keys += [(link.half_duplex, "link") for link in package.links]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    edges = []
    for i, channel in enumerate(package.channels, nodes):
        edges += [(package.index[channel.tail], i), (i, package.index[channel.head])]
        edges.append((i, nodes + channels + channel.link))
    graph = igraph.Graph(n=nodes + channels + links, edges=edges, directed=True)
    with callers_random_state():
        found = graph.automorphism_group(color=[number[key] for key in keys])

    node_names = [node.name for node in package.nodes]
    link_names = {channel.link: channel.name for channel in reversed(package.channels)}
    maps = []
    for generator in found:
        image = np.array(generator[:nodes])
        if np.allclose(demand[np.ix_(image, image)], demand, rtol=1e-12, atol=0):
            over = [link - nodes - channels for link in generator[nodes + channels :]]
            names = {name: node_names[image[i]] for i, name in enumerate(node_names)}
            maps.append(names | {name: link_names[over[i]] for i, name in sorted(link_names.items())})
    return maps


def alike(sets: list[tuple[str, ...]], maps: list[dict[str, str]]) -> Ints:
    """Return, for each of some sets of names, the first of those that relabellings carry it to, [sets]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {frozenset(names): i for i, names in enumerate(sets)}
    pairs = [
        (i, place.get(frozenset(names[name] for name in lost), i))
        for i, lost in enumerate(sets)
        for names in maps
    ]
    here, there = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (here, there)), shape=(len(sets), len(sets)))
    _, label = connected_components(graph, directed=False)
    _, first, group = np.unique(label, return_index=True, return_inverse=True)
    chosen: Ints = first[group]
    return chosen


def _key(node: Node) -> tuple[object, ...]:
    if isinstance(node, Memory):
        return ("memory", node.bandwidth)
    key = (type(node).__name__, node.crossbar_bandwidth)
    return (*key, node.injection_bandwidth, node.ejection_bandwidth) if isinstance(node, Chiplet) else key
