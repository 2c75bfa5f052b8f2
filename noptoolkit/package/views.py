"""A package as a networkx, igraph or scipy-sparse graph, and a package from a networkx graph."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit.errors import FormatError, NopWarning, TopologyError
from noptoolkit.package.attributed_graph import Edge, Graph, to_package
from noptoolkit.package.edge_bandwidth import BandwidthChoice, edge_bandwidth
from noptoolkit.package.edge_directions import hidden_links, shared_attributes
from noptoolkit.package.elements import Memory
from noptoolkit.package.graph import Package

if TYPE_CHECKING:
    import igraph
    import networkx as nx
    from scipy.sparse import csr_array

__all__ = ["from_networkx", "to_igraph", "to_networkx", "to_sparse"]


def to_networkx(package: Package) -> nx.DiGraph[str]:
    """Return a frozen DiGraph: one edge per pair of nodes and direction.

    Node attributes are the fields of the node plus ``kind``. An edge has ``bandwidth`` (B/s, parallel
    channels summed), ``channels`` (tuple of channel indices), and of the first of its links ``latency``
    (s), ``kind``, ``half_duplex`` and, where given, ``energy_per_bit`` and ``length``. The edge of parallel
    links has their fields in ``links``. `from_networkx` makes the same package of it.
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(name=package.name)
    for key, value in (("source", package.source), ("assumed", package.assumed)):
        if value:
            graph.graph[key] = value
    for node in package.nodes:
        fields = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        fields.pop("name")
        if isinstance(node, Memory):
            fields["technology"] = fields.pop("kind")
        graph.add_node(node.name, kind=type(node).__name__.lower(), **fields)
    behind: dict[tuple[str, str], list[int]] = {}
    for i, channel in enumerate(package.channels):
        behind.setdefault((channel.tail, channel.head), []).append(i)
    for (tail, head), channels in behind.items():
        links = [package.links[package.channels[i].link] for i in channels]
        hidden = hidden_links(links)
        graph.add_edge(
            tail,
            head,
            bandwidth=sum(package.channels[i].bandwidth for i in channels),
            **shared_attributes(links[0]),
            channels=tuple(channels),
            **({"links": hidden} if hidden else {}),
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
    graph: nx.Graph[Any],
    *,
    bandwidth: BandwidthChoice | None = None,
    name: str | None = None,
    node_names: str | Callable[[Any, Mapping[str, Any]], str] | None = None,
) -> Package:
    """Return a package made of any networkx graph or multigraph, directed or not.

    Parameters
    ----------
    graph
        Node attributes may be any field of the node's class, and ``kind`` (chiplet, switch or memory;
        chiplet where missing). A graph without any kind gets expert chiplets. Edge attributes may be
        any field of `Link`. A ``role`` must be one of a package's.
        An undirected edge is a full-duplex link. A directed edge is a one-way channel;
        two opposite ones that agree in all but bandwidth make one link. Defaults that networkx's readers
        leave in the graph's own attributes (``node_default``, ``edge_default`` of GraphML; ``node``, ``edge``
        of DOT) hold where a node or an edge has no value.
    bandwidth
        Bandwidth of the edges that do not say, in B/s; or the edge attribute that holds it, with its unit,
        such as ``("capacity", "Gbit/s")``; or a function of (tail, head, attributes).
    name
        Name of the package; the graph's own name where ``None``.
    node_names
        Attribute that names the nodes, or a function of (node, attributes); ``str(node)`` where ``None``.

    Raises
    ------
    TopologyError
        If an attribute has no meaning as the field that it names, or an edge has no bandwidth, with all
        faults.

    Warns
    -----
    NopWarning
        Once, with the attributes of nodes and edges that a package has no place for.

    Examples
    --------
    >>> import networkx as nx
    >>> from_networkx(nx.petersen_graph(), bandwidth="64 GB/s")
    Package('Petersen Graph': 10 chiplets (10 expert), 15 links, 30 channels, 1.92 TB/s)
    >>> cables = nx.Graph([("a", "b", {"capacity": 400})])
    >>> from_networkx(cables, bandwidth=("capacity", "Gbit/s")).links[0].bandwidth
    50000000000.0
    """
    title = name or str(graph.graph.get("name") or "from networkx")
    place = f"graph {title!r}"
    names = {node: _name(node, data, node_names, place) for node, data in graph.nodes(data=True)}
    node_default, node_key = _defaults(graph, "node")
    edge_default, edge_key = _defaults(graph, "edge")
    nodes = {
        names[node]: {key: value for key, value in (node_default | data).items() if key != node_names}
        for node, data in graph.nodes(data=True)
    }
    if len(nodes) < len(names):
        double, count = Counter(names.values()).most_common(1)[0]
        raise TopologyError(f"{place}: {count} nodes are named {double!r}; give each its own name")
    edges = [
        Edge(names[a], names[b], edge_default | data, graph.is_directed())
        for a, b, data in graph.edges(data=True)
    ]
    attributes = {key: value for key, value in graph.graph.items() if key not in (node_key, edge_key)}
    known = dict.fromkeys(key for edge in edges for key in edge.attributes)
    try:
        rule = edge_bandwidth(bandwidth, known)
    except FormatError as error:
        raise TopologyError(f"{place}: {error}") from None
    imported = to_package(
        Graph(nodes, edges, attributes),
        place,
        bandwidth=rule,
        name=title,
        error=TopologyError,
        own_roles=True,
    )
    ignored = [text for text in imported.ignored if not text.endswith(" of the graph")]
    if ignored:
        warnings.warn(
            f"{place}: a package has no place for {', '.join(ignored)}; left out", NopWarning, stacklevel=3
        )
    return imported.package


def _name(
    node: Any,
    data: Mapping[str, Any],
    names: str | Callable[[Any, Mapping[str, Any]], str] | None,
    place: str,
) -> str:
    if names is None:
        return str(node)
    if callable(names):
        return str(names(node, data))
    if data.get(names) is None:
        raise TopologyError(f"{place}: node {node!r} has no attribute {names!r} to be named by")
    return str(data[names])


def _defaults(graph: nx.Graph[Any], what: str) -> tuple[dict[str, Any], str]:
    """Return the default attributes that a reader of networkx left in the graph, and under which key."""
    for key in (f"{what}_default", what):
        if isinstance(graph.graph.get(key), Mapping):
            return dict(graph.graph[key]), key
    return {}, ""
