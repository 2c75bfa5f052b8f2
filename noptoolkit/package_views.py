"""A package as a networkx, igraph or scipy-sparse graph, and a package from a networkx graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit._names import did_you_mean
from noptoolkit.errors import TopologyError, raise_collected
from noptoolkit.package import Chiplet, Link, Memory, Node, Package, Switch
from noptoolkit.units import Quantity

if TYPE_CHECKING:
    import igraph
    import networkx as nx
    from scipy.sparse import csr_array

__all__ = ["from_networkx", "to_igraph", "to_networkx", "to_sparse"]

KINDS: dict[str, type[Chiplet] | type[Switch] | type[Memory]] = {
    "chiplet": Chiplet,
    "switch": Switch,
    "memory": Memory,
}


def to_networkx(package: Package) -> nx.DiGraph[str]:
    """Return a frozen DiGraph: one edge per pair of nodes and direction.

    Node attributes are the fields of the node plus ``kind``. An edge has ``bandwidth`` (B/s, parallel
    channels summed), ``latency`` (s, of the first) and ``channels`` (tuple of channel indices).
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(name=package.name)
    for node in package.nodes:
        fields = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        fields.pop("name")
        if isinstance(node, Memory):
            fields["technology"] = fields.pop("kind")
        graph.add_node(node.name, kind=type(node).__name__.lower(), **fields)
    for i, channel in enumerate(package.channels):
        if graph.has_edge(channel.tail, channel.head):
            edge = graph.edges[channel.tail, channel.head]
            edge["bandwidth"] += channel.bandwidth
            edge["channels"] += (i,)
        else:
            latency = package.links[channel.link].latency
            graph.add_edge(
                channel.tail,
                channel.head,
                bandwidth=channel.bandwidth,
                latency=latency,
                channels=(i,),
            )
    nx.freeze(graph)
    return graph


def to_igraph(package: Package) -> igraph.Graph:
    """Return a directed igraph graph; vertex ids are node indices, edge ids channel indices."""
    import igraph

    index = package.index
    edges = [(index[channel.tail], index[channel.head]) for channel in package.channels]
    graph = igraph.Graph(n=len(package.nodes), edges=edges, directed=True)
    graph.vs["name"] = [node.name for node in package.nodes]
    graph.vs["kind"] = [type(node).__name__.lower() for node in package.nodes]
    graph.es["bandwidth"] = [channel.bandwidth for channel in package.channels]
    return graph


def to_sparse(package: Package) -> csr_array[Any]:
    """Return the bandwidth matrix [nodes, nodes] in B/s; parallel channels are summed."""
    from scipy.sparse import coo_array

    tail, head = package.link_ends.T
    forward, backward = package.link_bandwidths.T
    ends = np.concatenate([tail, head]), np.concatenate([head, tail])
    bandwidth = np.concatenate([forward, backward])
    size = len(package.nodes)
    sparse = coo_array((bandwidth, ends), shape=(size, size)).tocsr()
    sparse.eliminate_zeros()  # one-way links
    return sparse


def from_networkx(
    graph: nx.Graph[Any], *, bandwidth: Quantity | None = None, name: str | None = None
) -> Package:
    """Return a package made of any networkx graph or multigraph, directed or not.

    Parameters
    ----------
    graph
        Node attributes may be any field of the node's class, and ``kind`` (chiplet, switch or memory;
        chiplet where missing). A graph without any kind gets expert chiplets. Edge attributes may be
        any field of `Link`. An undirected edge is a full-duplex link, a directed edge a one-way channel
        (two opposite ones of a DiGraph make one link).
    bandwidth
        Of the edges that do not say, in B/s.
    name
        Of the package; the graph's own name where missing.

    Raises
    ------
    TopologyError
        If an attribute is unknown or an edge has no bandwidth, with all faults.

    Examples
    --------
    >>> import networkx as nx
    >>> from_networkx(nx.petersen_graph(), bandwidth="64 GB/s")
    Package('Petersen Graph': 10 chiplets (10 expert), 15 links, 30 channels, 1.92 TB/s)
    """
    faults: list[str] = []
    plain = not any("kind" in data for _, data in graph.nodes(data=True))
    nodes = [_node(str(n), data, plain, faults) for n, data in graph.nodes(data=True)]
    links: list[Link] = []
    waiting: dict[tuple[str, str], list[int]] = {}  # one-way links that lack their way back
    for a, b, data in graph.edges(data=True):
        link = _link(str(a), str(b), data, bandwidth, faults)
        if link is None:
            continue
        if not graph.is_directed():
            links.append(link)
        elif waiting.get((link.b, link.a)):
            i = waiting[link.b, link.a].pop(0)
            links[i] = dataclasses.replace(links[i], reverse_bandwidth=link.bandwidth)
        else:
            waiting.setdefault((link.a, link.b), []).append(len(links))
            links.append(dataclasses.replace(link, reverse_bandwidth=0.0))
    title = name or str(graph.graph.get("name") or "from networkx")
    raise_collected(TopologyError, f"graph {title!r}", faults)
    return Package(title, [node for node in nodes if node is not None], links)


def _node(name: str, data: Mapping[str, Any], plain: bool, faults: list[str]) -> Node | None:
    kind = str(data.get("kind", "chiplet"))
    if kind not in KINDS:
        faults.append(f"node {name!r}: no node kind named {kind!r}; {did_you_mean(kind, KINDS)}")
        return None
    cls = KINDS[kind]
    fields = {key: value for key, value in data.items() if key not in ("kind", "name")}
    if cls is Memory and "technology" in fields:
        fields["kind"] = fields.pop("technology")
    if plain:
        fields.setdefault("role", "expert")
    known = [field.name for field in dataclasses.fields(cls)]
    for key in list(fields):
        if key not in known:
            faults.append(f"node {name!r}: a {kind} has no {key!r}; {did_you_mean(key, known)}")
            del fields[key]
    if cls is Memory and "bandwidth" not in fields:
        faults.append(f"node {name!r}: a memory needs a bandwidth")
        return None
    return cls(name, **fields)


def _link(
    a: str, b: str, data: Mapping[str, Any], bandwidth: Quantity | None, faults: list[str]
) -> Link | None:
    known = [field.name for field in dataclasses.fields(Link)]
    fields = {key: value for key, value in data.items() if key not in ("channels", "a", "b")}
    for key in list(fields):
        if key not in known:
            faults.append(f"edge {a!r}-{b!r}: a link has no {key!r}; {did_you_mean(key, known)}")
            del fields[key]
    if "bandwidth" not in fields:
        if bandwidth is None:
            faults.append(f"edge {a!r}-{b!r}: no bandwidth; pass bandwidth='128 GB/s' for all")
            return None
        fields["bandwidth"] = bandwidth
    return Link(a, b, **fields)
