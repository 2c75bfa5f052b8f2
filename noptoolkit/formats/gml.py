"""GML (Himsolt 1997), the language of the Internet Topology Zoo's main files: in and out, without loss.

A file is a list of keys with values: whole numbers, reals, quoted texts, and lists in brackets. ``graph``
holds ``node`` and ``edge``; a node's ``id`` is a number and its ``label`` a name, which names the chiplet if
every node has one of its own, as networkx has it. Quotes, ampersands and all but printable ASCII are written
as ``&#number;``. Lists within nodes and edges (``graphics`` of yEd, for instance) are reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.entities import html5
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import (
    Edge,
    Graph,
    Imported,
    graph_attributes,
    link_attributes,
    node_attributes,
    to_package,
)
from noptoolkit.package import Package
from noptoolkit.package.edge_bandwidth import BandwidthChoice

__all__ = ["dump_gml", "parse_gml"]

TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*(?:\n|\Z))
      |(?P<text>"[^"]*")
      |(?P<mark>[\[\]])
      |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      |(?P<key>[A-Za-z_][\w.-]*)""",
    re.VERBOSE | re.ASCII,
)
ESCAPED = re.compile(r'[^ -~]|[&"]')
ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{0,30});", re.ASCII)
MOST_DEPTH = 50
Pairs = list[tuple[str, Any]]


def dump_gml(package: Package) -> str:
    """Return a package as GML: an undirected multigraph, one edge per link.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> dump_gml(ring(3)).splitlines()[:3]
    ['graph [', '  multigraph 1', '  name "ring-3"']
    """
    number = {node.name: i for i, node in enumerate(package.nodes)}
    lines = ["graph [", "  multigraph 1"]
    lines += [f"  {key} {_quoted(value)}" for key, value in graph_attributes(package).items()]
    for node in package.nodes:
        lines += ["  node [", f"    id {number[node.name]}", f"    label {_quoted(node.name)}"]
        lines += [f"    {key} {_value(value)}" for key, value in node_attributes(node).items()]
        lines.append("  ]")
    for link in package.links:
        lines += ["  edge [", f"    source {number[link.a]}", f"    target {number[link.b]}"]
        lines += [f"    {key} {_value(value)}" for key, value in link_attributes(link).items()]
        lines.append("  ]")
    return "\n".join([*lines, "]", ""])


def _quoted(text: str) -> str:
    return '"' + ESCAPED.sub(lambda match: f"&#{ord(match[0])};", text) + '"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        text = repr(value)  # GML's reals have a point
        return text if "." in text else text.replace("e", ".0e")
    return _quoted(str(value))


def parse_gml(text: str, place: str, *, bandwidth: BandwidthChoice) -> Imported:
    """Return the package of a GML text.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Bandwidth of the edges that do not say, or where it stands (`noptoolkit.package.edge_bandwidth`).
    """
    graphs = [value for key, value in _parse(text, place) if key == "graph" and isinstance(value, list)]
    if len(graphs) != 1:
        raise FormatError(f"{place}: no GML with one 'graph [ ... ]'")
    (graph,) = graphs
    given = [dict(value) for key, value in graph if key == "node" and isinstance(value, list)]
    names = _names(given, place)
    ignored: dict[str, None] = {}
    nodes: dict[str, dict[str, Any]] = {}
    labelled = [entry.get("label") for entry in given] == list(names.values())
    for (_, name), entry in zip(names.items(), given, strict=True):
        gone = ("id", "label") if labelled else ("id",)
        nodes[name] = _flat(entry, gone, "node", ignored)
    directed = dict(graph).get("directed") == 1
    edges = []
    for key, value in graph:
        if key != "edge" or not isinstance(value, list):
            continue
        entry = dict(value)
        given_ends = [entry.get(end) for end in ("source", "target")]
        ends = [names.get(end) if isinstance(end, int | str) else None for end in given_ends]
        if ends[0] is None or ends[1] is None:
            shown = f"{str(entry.get('source'))[:20]} - {str(entry.get('target'))[:20]}"
            raise FormatError(f"{place}: edge {shown}: no such nodes")
        attributes = _flat(entry, ("source", "target", "key"), "edge", ignored)
        edges.append(Edge(ends[0], ends[1], attributes, directed))
    whole = _flat(dict(graph), ("node", "edge", "directed", "multigraph"), "graph", ignored)
    return to_package(Graph(nodes, edges, whole, tuple(ignored)), place, bandwidth=bandwidth)


def _names(nodes: list[dict[str, Any]], place: str) -> dict[Any, str]:
    """Return the name of each node by its id: its label, if each has one of its own, else the id."""
    ids = [node.get("id") for node in nodes]
    if any(not isinstance(i, int | str) for i in ids) or len(set(ids)) < len(ids):
        raise FormatError(f"{place}: every node needs an 'id' of its own")
    labels = [node.get("label") for node in nodes]
    plain = all(isinstance(label, str) and label for label in labels)
    if plain and len(set(labels)) == len(labels):
        return dict(zip(ids, map(str, labels), strict=True))
    return {i: str(i) for i in ids}


def _flat(
    entry: Mapping[str, Any], without: tuple[str, ...], what: str, ignored: dict[str, None]
) -> dict[str, Any]:
    found = {}
    for key, value in entry.items():
        if key in without:
            continue
        if isinstance(value, list):
            ignored[f"list {key!r} of a {what}"] = None
        else:
            found[key] = value
    return found


def _parse(text: str, place: str) -> Pairs:
    """Return the keys and values of a text, lists as lists of such pairs."""
    stack: list[Pairs] = [[]]
    key: str | None = None
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise _fault(text, position, place, f"{text[position]!r} is not understood")
        kind = match.lastgroup
        if kind != "skip" and (kind == "key" or match.group() == "]") == (key is not None):
            missing = "a value" if key is not None else "a key"
            raise _fault(text, position, place, f"{missing} is missing before {match.group()[:20]!r}")
        if kind == "key":
            key = match.group()
        elif match.group() == "[":
            if len(stack) > MOST_DEPTH:
                raise _fault(text, position, place, "lists nested too deeply")
            inner: Pairs = []
            stack[-1].append((str(key), inner))
            stack.append(inner)
            key = None
        elif match.group() == "]":
            stack.pop()
            if not stack:
                raise _fault(text, position, place, "']' without '['")
        elif kind != "skip":
            stack[-1].append((str(key), _read(match.group(), place)))
            key = None
        position = match.end()
    if len(stack) > 1 or key is not None:
        raise FormatError(f"{place}: it ends in the middle of a list")
    return stack[0]


def _read(token: str, place: str) -> int | float | str:
    if token.startswith('"'):
        return ENTITY.sub(_character, token[1:-1])
    if len(token) > 400:
        raise FormatError(f"{place}: {token[:20]}... has too many digits")
    return int(token) if token.lstrip("+-").isdecimal() else float(token)


def _character(match: re.Match[str]) -> str:
    """Return what an entity stands for; unlike in HTML, control characters are what they are."""
    name = match[1]
    if not name.startswith("#"):
        return html5.get(f"{name};", match[0])
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return chr(code) if code < 0x110000 else match[0]


def _fault(text: str, position: int, place: str, reason: str) -> FormatError:
    return FormatError(f"{place}: line {text.count(chr(10), 0, position) + 1}: {reason}")
