"""GraphML, as networkx, yEd and Gephi read it: in and out, without loss.

Document type declarations are refused before the XML parser sees the text: they are what entity expansion
needs, and GraphML has no use for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import (
    Edge,
    Graph,
    Imported,
    check_xml,
    graph_attributes,
    link_attributes,
    node_attributes,
    to_package,
)
from noptoolkit.package import Package
from noptoolkit.package.edge_bandwidth import BandwidthChoice

if TYPE_CHECKING:
    from xml.etree import ElementTree

__all__ = ["dump_graphml", "parse_graphml"]

MOST_DEFAULTS = 100
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


def parse_graphml(text: str, place: str, *, bandwidth: BandwidthChoice) -> Imported:
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
    keys = _keys(root, place)
    ignored: dict[str, None] = {}
    nodes: dict[str, dict[str, str]] = {}
    for element in _named(graph, "node"):
        name = element.get("id")
        if name is None or name in nodes:
            raise FormatError(f"{place}: a node without id, or two with {name!r}")
        if _named(element, "graph"):
            raise FormatError(f"{place}: node {name!r}: nested graphs are not read; flatten them")
        if _named(element, "port"):
            ignored["ports of nodes"] = None
        nodes[name] = keys.attributes(element, "node")
    if _named(graph, "hyperedge"):
        raise FormatError(f"{place}: hyperedges are not read; write a node with an edge to each member")
    directed = graph.get("edgedefault") == "directed"
    edges = []
    for element in _named(graph, "edge"):
        source, target = element.get("source"), element.get("target")
        if source is None or target is None:
            raise FormatError(f"{place}: an edge without source or target")
        if element.get("sourceport") is not None or element.get("targetport") is not None:
            ignored["ports of edges"] = None
        own = element.get("directed")
        one_way = directed if own is None else own.strip().lower() in ("true", "1")
        edges.append(Edge(source, target, keys.attributes(element, "edge"), one_way))
    found = Graph(nodes, edges, keys.attributes(graph, "graph"), tuple(ignored))
    return to_package(found, place, bandwidth=bandwidth)


class _Keys(NamedTuple):
    """What the keys of a file declare: the name of each attribute, and the defaults by kind of element."""

    names: dict[str, str]
    defaults: dict[str, dict[str, str]]

    def attributes(self, element: ElementTree.Element, domain: str) -> dict[str, str]:
        """Return the attributes of an element: its own data, and the defaults where it has none."""
        found = dict(self.defaults[domain])
        for entry in _named(element, "data"):
            key = entry.get("key", "")
            found[self.names.get(key, key)] = entry.text or ""
        return found


def _keys(root: ElementTree.Element, place: str) -> _Keys:
    names: dict[str, str] = {}
    defaults: dict[str, dict[str, str]] = {"graph": {}, "node": {}, "edge": {}}
    for key in _named(root, "key"):
        name = key.get("attr.name", key.get("id", ""))
        names[key.get("id", "")] = name
        domain = key.get("for", "all")
        for default in _named(key, "default"):
            for of in defaults if domain == "all" else [domain]:
                if of in defaults:
                    defaults[of][name] = default.text or ""
    if max(map(len, defaults.values())) > MOST_DEFAULTS:
        raise FormatError(f"{place}: more than {MOST_DEFAULTS} keys with defaults; is it the right file?")
    return _Keys(names, defaults)


def _local(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _named(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _local(child) == name]
