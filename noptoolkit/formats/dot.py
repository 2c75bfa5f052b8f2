"""DOT, the language of Graphviz: in and out, without loss.

What is read: graphs and digraphs, node, edge and default attributes, edge chains, quoted names, comments;
subgraphs are flattened. An edge to a subgraph goes to each of its nodes. In a ``strict`` graph, and for edges
of one ``key``, later edges between the same nodes are merged into the first (Graphviz, The DOT Language).
Keywords are read in any case. HTML strings are refused; ports are reported.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

from noptoolkit._shown import visible
from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.attributes import (
    MOST_EDGES,
    Edge,
    Graph,
    Imported,
    graph_attributes,
    link_attributes,
    node_attributes,
    to_package,
)
from noptoolkit.limits import within
from noptoolkit.package import Package
from noptoolkit.package.edge_bandwidth import BandwidthChoice

__all__ = ["dump_dot", "parse_dot"]

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
      |(?P<text>"(?:[^"\\]|\\.)*")
      |(?P<mark>--|->|[{}\[\]=;,:+])
      |(?P<word>-?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][+-]?\d+)?|[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)""",
    re.VERBOSE | re.DOTALL,
)
MOST_DEPTH = 50
MOST_DEFAULTS = 100
MOST_CHANGES = 10_000
KEYWORDS = ("graph", "node", "edge")


def dump_dot(package: Package) -> str:
    """Return a package as an undirected DOT graph, one edge per link.

    Raises
    ------
    TopologyError
        If a name holds a zero byte.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> dump_dot(ring(3)).splitlines()[0]
    'graph "ring-3" {'
    """
    lines = [f"graph {_quoted(package.name)} {{"]
    for key, value in graph_attributes(package).items():
        if key != "name":
            lines.append(f"  {key}={_quoted(value)};")
    for node in package.nodes:
        shown = {} if visible(node.name) == node.name else {"label": visible(node.name)}  # what is drawn
        lines.append(f"  {_quoted(node.name)}{_list(node_attributes(node) | shown)};")
    for link in package.links:
        lines.append(f"  {_quoted(link.a)} -- {_quoted(link.b)}{_list(link_attributes(link))};")
    text = "\n".join([*lines, "}", ""])
    if "\0" in text:
        raise TopologyError(
            f"package {package.name!r}: a name holds a zero byte, which DOT cannot; rename it"
        )
    return text


def _list(attributes: Mapping[str, Any]) -> str:
    return " [" + ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items()) + "]"


def _quoted(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_dot(text: str, place: str, *, bandwidth: BandwidthChoice) -> Imported:
    """Return the package of a DOT text.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Bandwidth of the edges that do not say, or where it stands (`noptoolkit.package.edge_bandwidth`).
    """
    return to_package(_Parser(text, place).graph(), place, bandwidth=bandwidth)


def _tokens(text: str, place: str) -> list[tuple[str, str]]:
    """Return the tokens of a text, each with its kind: a mark, a word or quoted."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            bad = text[position]
            reason = "an HTML string, which is not read; quote it" if bad == "<" else "not understood"
            raise FormatError(f"{place}: line {line}: {bad!r} is {reason}")
        if match["text"] is not None:
            bare = match["text"][1:-1].replace("\\\n", "")  # a backslash continues the line
            tokens.append((re.sub(r"\\(.)", r"\1", bare, flags=re.DOTALL), "quoted"))
        elif match["skip"] is None:
            tokens.append((match.group(), "word" if match["mark"] is None else "mark"))
        position = match.end()
    return tokens


class _Scope:
    """Defaults that hold in a block, and the nodes that it names."""

    def __init__(self, node: dict[str, str], edge: dict[str, str]) -> None:
        self.defaults = {"node": node, "edge": edge}
        self.members: dict[str, None] = {}


class _Parser:
    """Reads one graph; the position in the list of tokens is its only state beside what it found."""

    def __init__(self, text: str, place: str) -> None:
        self.place = place
        self.tokens = _tokens(text, place)
        self.at = 0
        self.depth = 0
        self.changes = 0  # of defaults
        self.named = 0  # nodes of subgraphs that were named
        self.strict = False
        self.arrow = "--"
        self.nodes: dict[str, ChainMap[str, str]] = {}
        self.edges: list[Edge] = []
        self.merged: dict[tuple[str, str, str], ChainMap[str, str]] = {}
        self.subgraphs: dict[str, dict[str, None]] = {}
        self.attributes: dict[str, str] = {}
        self.ignored: dict[str, None] = {}

    def graph(self) -> Graph:
        """Read the whole."""
        if self.keyword() == "strict":
            self.at += 1
            self.strict = True
        kind = self.word("graph or digraph")
        if kind.lower() not in ("graph", "digraph"):
            raise FormatError(f"{self.place}: no DOT graph: it starts with {kind[:40]!r}")
        self.arrow = "--" if kind.lower() == "graph" else "->"
        if self.peek() != "{":
            self.attributes["name"] = self.word("a name")
        self.block(_Scope({}, {}))
        if self.at != len(self.tokens):
            raise FormatError(f"{self.place}: text after the graph; one graph per file")
        return Graph(self.nodes, self.edges, self.attributes, tuple(self.ignored))

    def block(self, scope: _Scope) -> None:
        """Read statements between braces."""
        self.mark("{")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise FormatError(f"{self.place}: subgraphs nested too deeply")
        while self.peek() != "}":
            if self.peek() == ";":
                self.at += 1
            else:
                self.statement(scope)
        self.at += 1
        self.depth -= 1

    def statement(self, scope: _Scope) -> None:
        """Read one node, edge, default, attribute or subgraph."""
        kind = self.keyword()
        if kind in KEYWORDS and self.tokens[self.at + 1 : self.at + 2] == [("[", "mark")]:
            self.at += 1
            given = self.attribute_list()
            if kind == "graph":
                self.set_attributes(given)
            else:
                self.change(scope, kind, given)
            return
        if self.tokens[self.at + 1 : self.at + 2] == [("=", "mark")]:
            key = self.word("an attribute")
            self.at += 1
            self.set_attributes({key: self.word("a value")})
            return
        alone = not self.opens_subgraph()
        chain = [self.end(scope)]
        while self.peek() in ("--", "->"):
            if self.peek() != self.arrow:
                raise FormatError(f"{self.place}: {self.peek()!r} in a graph whose edges are {self.arrow!r}")
            self.at += 1
            chain.append(self.end(scope))
        given = self.attribute_list()
        if len(chain) > 1:
            for ends, others in pairwise(chain):
                self.connect(ends, others, given, scope.defaults["edge"])
        elif alone:
            self.nodes[chain[0][0]].maps[0].update(given)

    def end(self, scope: _Scope) -> list[str]:
        """Read an end of an edge, a node or a subgraph; return the nodes that it means."""
        if self.opens_subgraph():
            named = self.keyword() == "subgraph"
            self.at += named
            name = self.word("a name") if self.peek() != "{" else ""
            inner = _Scope(scope.defaults["node"], scope.defaults["edge"])
            self.block(inner)
            members = self.subgraphs.setdefault(name, {}) if name else {}
            members |= inner.members
            scope.members |= members
            self.named += len(members)  # a subgraph may be named many times
            within("edges", self.named, self.place, "nodes of the subgraphs that edges name")
            return list(members)
        name = self.word("a statement or the end of an edge")
        while self.peek() == ":":
            self.at += 1
            self.word("a port")
            self.ignored["ports of edges"] = None
        self.nodes.setdefault(name, ChainMap({}, scope.defaults["node"]))
        scope.members[name] = None
        return [name]

    def connect(
        self, ends: list[str], others: list[str], given: dict[str, str], defaults: dict[str, str]
    ) -> None:
        """Add an edge from each of some nodes to each of others."""
        if len(self.edges) + len(ends) * len(others) > 2 * MOST_EDGES:
            raise FormatError(f"{self.place}: more than {2 * MOST_EDGES} edges; is it the right file?")
        for a, b in product(ends, others):
            attributes: ChainMap[str, str] = ChainMap(dict(given), defaults)
            key = "" if self.strict else attributes.get("key", "")
            if self.strict or key:
                pair = (a, b) if self.arrow == "->" else (min(a, b), max(a, b))
                first = self.merged.setdefault((*pair, key), attributes)
                if first is not attributes:
                    first.maps[0].update(given)
                    continue
            self.edges.append(Edge(a, b, attributes, self.arrow == "->"))

    def set_attributes(self, given: dict[str, str]) -> None:
        """Set attributes of the graph; those of a subgraph are no business of a package."""
        if self.depth == 1:
            self.attributes |= given
        else:
            self.ignored |= {f"attribute {key!r} of a subgraph": None for key in given}

    def change(self, scope: _Scope, kind: str, given: dict[str, str]) -> None:
        """Change the defaults of nodes or edges from here on; what came before shares the old ones."""
        scope.defaults[kind] = scope.defaults[kind] | given
        self.changes += 1
        if len(scope.defaults[kind]) > MOST_DEFAULTS or self.changes > MOST_CHANGES:
            raise FormatError(
                f"{self.place}: more than {MOST_DEFAULTS} defaults, or {MOST_CHANGES} changes of them"
            )

    def attribute_list(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self.peek() == "[":
            self.at += 1
            while self.peek() != "]":
                key = self.word("an attribute")
                self.mark("=")
                found[key] = self.word("a value")
                if self.peek() in (",", ";"):
                    self.at += 1
            self.at += 1
        return found

    def opens_subgraph(self) -> bool:
        """Tell whether a subgraph opens here: ``{``, ``subgraph {`` or ``subgraph name {``."""
        return self.peek() == "{" or self.keyword() == "subgraph"

    def keyword(self) -> str:
        """Return the next word in small letters, nothing where quoted text or a mark comes."""
        if self.at >= len(self.tokens) or self.tokens[self.at][1] != "word":
            return ""
        return self.tokens[self.at][0].lower()

    def peek(self) -> str:
        """Return the next mark or word; nothing where a quoted text comes, which is neither."""
        if self.at >= len(self.tokens):
            raise FormatError(f"{self.place}: it ends in the middle of the graph")
        text, kind = self.tokens[self.at]
        return "" if kind == "quoted" else text

    def word(self, what: str) -> str:
        """Read a word or a quoted text, to which others may be joined by ``+``."""
        if self.at >= len(self.tokens) or self.tokens[self.at][1] == "mark":
            found = repr(self.tokens[self.at][0]) if self.at < len(self.tokens) else "the end"
            raise FormatError(f"{self.place}: {what} is missing before {found}")
        text, kind = self.tokens[self.at]
        self.at += 1
        while kind == "quoted" and self.tokens[self.at : self.at + 1] == [("+", "mark")]:
            self.at += 1
            if self.at >= len(self.tokens) or self.tokens[self.at][1] != "quoted":
                raise FormatError(f"{self.place}: a quoted text is missing after '+'")
            text += self.tokens[self.at][0]
            self.at += 1
        return text

    def mark(self, mark: str) -> None:
        if self.at >= len(self.tokens) or self.tokens[self.at] != (mark, "mark"):
            raise FormatError(f"{self.place}: {mark!r} is missing")
        self.at += 1
