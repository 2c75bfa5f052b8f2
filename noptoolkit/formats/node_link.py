"""Node-link JSON, as networkx writes and reads it (``node_link_data``): in and out, without loss."""

from __future__ import annotations

import json
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import (
    Edge,
    Graph,
    Imported,
    graph_attributes,
    link_attributes,
    node_attributes,
    parse_json,
    to_package,
)
from noptoolkit.package import Package
from noptoolkit.package.edge_bandwidth import BandwidthChoice

__all__ = ["dump_node_link", "parse_node_link"]


def dump_node_link(package: Package) -> str:
    """Return a package as node-link JSON: an undirected multigraph, one edge per link.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> sorted(json.loads(dump_node_link(ring(3))))
    ['directed', 'edges', 'graph', 'multigraph', 'nodes']
    """
    parallel: dict[frozenset[str], int] = {}
    edges: list[dict[str, Any]] = []
    for link in package.links:
        ends = frozenset((link.a, link.b))
        key = parallel.get(ends, 0)
        parallel[ends] = key + 1
        edges.append({"source": link.a, "target": link.b, "key": key, **link_attributes(link)})
    data = {
        "directed": False,
        "multigraph": True,
        "graph": graph_attributes(package),
        "nodes": [{"id": node.name, **node_attributes(node)} for node in package.nodes],
        "edges": edges,
    }
    return json.dumps(data, indent=1) + "\n"


def parse_node_link(text: str, place: str, *, bandwidth: BandwidthChoice) -> Imported:
    """Return the package of a node-link JSON text; edges may be under ``edges`` or, as before, ``links``.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Of the edges that do not say, in B/s.
    """
    data = parse_json(text, place)
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise FormatError(f"{place}: no node-link JSON: it has no list 'nodes'")
    edges = data.get("edges", data.get("links"))
    if not isinstance(edges, list):
        raise FormatError(f"{place}: no node-link JSON: it has no list 'edges' (or 'links')")
    nodes: dict[str, dict[str, Any]] = {}
    for entry in data["nodes"]:
        if not isinstance(entry, dict) or "id" not in entry:
            raise FormatError(f"{place}: node {str(entry)[:60]}: every node needs an 'id'")
        name = str(entry["id"])
        if name in nodes:
            raise FormatError(f"{place}: two nodes have the id {name!r}")
        nodes[name] = {key: value for key, value in entry.items() if key != "id"}
    found: list[Edge] = []
    directed = bool(data.get("directed", False))
    for entry in edges:
        if not isinstance(entry, dict) or not {"source", "target"} <= set(entry):
            raise FormatError(f"{place}: edge {str(entry)[:60]}: every edge needs 'source' and 'target'")
        rest = {key: value for key, value in entry.items() if key not in ("source", "target", "key")}
        found.append(Edge(str(entry["source"]), str(entry["target"]), rest, directed))
    attributes = data.get("graph") if isinstance(data.get("graph"), dict) else {}
    graph = Graph(nodes, found, attributes or {})
    return to_package(graph, place, bandwidth=bandwidth)
