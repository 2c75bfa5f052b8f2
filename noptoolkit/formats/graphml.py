"""GraphML, as networkx, yEd and Gephi read it: in and out, without loss.

Document type declarations are refused before the XML parser sees the text: they are what entity expansion
needs, and GraphML has no use for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import (
    Graph,
    Imported,
    check_xml,
    graph_attributes,
    link_attributes,
    node_attributes,
    to_package,
)
from noptoolkit.package import Package

if TYPE_CHECKING:
    from xml.etree import ElementTree

__all__ = ["dump_graphml", "parse_graphml"]

SPACE = "http://graphml.graphdrawing.org/xmlns"


def dump_graphml(package: Package) -> str:
    """Return a package as GraphML: undirected, one edge per link.

    Raises
    ------
    TopologyError
        If a name has a control character, which XML cannot hold.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> dump_graphml(ring(3)).count("<edge")
    3
    """
    from xml.etree import ElementTree

    root = ElementTree.Element("graphml", {"xmlns": SPACE})
    keys: dict[tuple[str, str], str] = {}
    graph = ElementTree.Element("graph", {"edgedefault": "undirected"})
    _data(graph, "graph", graph_attributes(package), keys, root)
    for node in package.nodes:
        element = ElementTree.SubElement(graph, "node", {"id": node.name})
        _data(element, "node", node_attributes(node), keys, root)
    for i, link in enumerate(package.links):
        element = ElementTree.SubElement(graph, "edge", {"id": f"l{i}", "source": link.a, "target": link.b})
        _data(element, "edge", link_attributes(link), keys, root)
    root.append(graph)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode").replace("\r", "&#13;")
    check_xml(text, "GraphML")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _data(
    element: ElementTree.Element,
    domain: str,
    attributes: Mapping[str, Any],
    keys: dict[tuple[str, str], str],
    root: ElementTree.Element,
) -> None:
    from xml.etree import ElementTree

    for name, value in attributes.items():
        if (domain, name) not in keys:
            keys[domain, name] = f"d{len(keys)}"
            kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "double"
            key = {"id": keys[domain, name], "for": domain, "attr.name": name, "attr.type": kind}
            ElementTree.SubElement(root, "key", key)
        entry = ElementTree.SubElement(element, "data", {"key": keys[domain, name]})
        entry.text = str(value).lower() if isinstance(value, bool) else str(value)


def parse_graphml(text: str, place: str, *, bandwidth: float) -> Imported:
    """Return the package of a GraphML text.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Of the edges that do not say, in B/s.
    """
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FormatError(f"{place}: it declares a document type or entities; take them out")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise FormatError(f"{place}: no XML: {error}") from None
    graphs = _named(root, "graph")
    if _local(root) != "graphml" or len(graphs) != 1:
        raise FormatError(f"{place}: no GraphML with one <graph>")
    (graph,) = graphs
    keys = {key.get("id", ""): key.get("attr.name", key.get("id", "")) for key in _named(root, "key")}
    nodes: dict[str, dict[str, str]] = {}
    for element in _named(graph, "node"):
        name = element.get("id")
        if name is None or name in nodes:
            raise FormatError(f"{place}: a node without id, or two with {name!r}")
        if _named(element, "graph"):
            raise FormatError(f"{place}: node {name!r}: nested graphs are not read; flatten them")
        nodes[name] = _attributes(element, keys)
    edges = []
    for element in _named(graph, "edge"):
        source, target = element.get("source"), element.get("target")
        if source is None or target is None:
            raise FormatError(f"{place}: an edge without source or target")
        edges.append((source, target, _attributes(element, keys)))
    directed = graph.get("edgedefault") == "directed"
    return to_package(Graph(nodes, edges, directed, _attributes(graph, keys)), place, bandwidth=bandwidth)


def _local(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _named(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _local(child) == name]


def _attributes(element: ElementTree.Element, keys: Mapping[str, str]) -> dict[str, str]:
    entries: Iterable[ElementTree.Element] = _named(element, "data")
    return {keys.get(entry.get("key", ""), entry.get("key", "")): entry.text or "" for entry in entries}
