"""DOT, the language of Graphviz: in and out, without loss.

What is read: graphs and digraphs, node, edge and default attributes, edge chains, quoted names, comments;
subgraphs are flattened. HTML strings and edges to subgraphs are refused.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.attributes import (
    Graph,
    Imported,
    graph_attributes,
    link_attributes,
    node_attributes,
    to_package,
)
from noptoolkit.package import Package

__all__ = ["dump_dot", "parse_dot"]

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
      |(?P<text>"(?:[^"\\]|\\.)*")
      |(?P<mark>--|->|[{}\[\]=;,:])
      |(?P<word>-?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][+-]?\d+)?|[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)""",
    re.VERBOSE | re.DOTALL,
)
MOST_DEPTH = 50
MOST_DEFAULTS = 100
MOST_CHANGES = 10_000


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
    lines += [f"  {_quoted(node.name)}{_list(node_attributes(node))};" for node in package.nodes]
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


def parse_dot(text: str, place: str, *, bandwidth: float) -> Imported:
    """Return the package of a DOT text.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Of the edges that do not say, in B/s.
    """
    return to_package(_Parser(text, place).graph(), place, bandwidth=bandwidth)


class _Parser:
    """Reads one graph; the position in the list of tokens is its only state beside what it found."""

    def __init__(self, text: str, place: str) -> None:
        self.place = place
        self.tokens: list[tuple[str, str]] = []  # text, and whether it is a mark, a word or quoted
        self.at = 0
        position = 0
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                line = text.count("\n", 0, position) + 1
                raise FormatError(f"{place}: line {line}: {text[position]!r} is not understood")
            if match["text"] is not None:
                self.tokens.append((re.sub(r"\\(.)", r"\1", match["text"][1:-1], flags=re.DOTALL), "quoted"))
            elif match["skip"] is None:
                self.tokens.append((match.group(), "word" if match["mark"] is None else "mark"))
            position = match.end()
        self.nodes: dict[str, ChainMap[str, str]] = {}
        self.changes = 0  # of defaults
        self.edges: list[tuple[str, str, Mapping[str, Any]]] = []
        self.attributes: dict[str, str] = {}

    def graph(self) -> Graph:
        """Read the whole."""
        if self.peek() == "strict":
            self.at += 1
        kind = self.word("graph or digraph")
        if kind not in ("graph", "digraph"):
            raise FormatError(f"{self.place}: no DOT graph: it starts with {kind[:40]!r}")
        if self.peek() != "{":
            self.attributes["name"] = self.word("a name")
        self.block("--" if kind == "graph" else "->")
        if self.at != len(self.tokens):
            raise FormatError(f"{self.place}: text after the graph; one graph per file")
        return Graph(self.nodes, self.edges, kind == "digraph", self.attributes)

    def block(self, arrow: str) -> None:
        """Read statements between braces, subgraphs in turn, each with the defaults that hold there."""
        self.mark("{")
        scopes: list[dict[str, dict[str, str]]] = [{"node": {}, "edge": {}}]
        while scopes:
            if self.peek() == "}":
                self.at += 1
                scopes.pop()
            elif self.peek() == ";":
                self.at += 1
            elif self.peek() in ("subgraph", "{") and self.is_opening():
                while self.peek() != "{":
                    self.at += 1
                self.mark("{")
                if len(scopes) >= MOST_DEPTH:
                    raise FormatError(f"{self.place}: subgraphs nested too deeply")
                scopes.append(dict(scopes[-1]))
            else:
                self.statement(arrow, scopes[-1])

    def is_opening(self) -> bool:
        """Tell whether a subgraph opens here: ``{``, ``subgraph {`` or ``subgraph name {``."""
        return ("{", "mark") in self.tokens[self.at : self.at + 3]

    def statement(self, arrow: str, scope: dict[str, dict[str, str]]) -> None:
        """Read one node, edge, default or attribute."""
        plain = self.peek() != ""
        first = self.word("a statement")
        if plain and first in ("graph", "node", "edge") and self.peek() == "[":
            given = self.attribute_list()
            if first == "graph":
                self.attributes |= given
            else:
                self.change(scope, first, given)
            return
        if self.peek() == "=":
            self.at += 1
            self.attributes[first] = self.word("a value")
            return
        chain = [first]
        self.port()
        while self.peek() in ("--", "->"):
            if self.peek() != arrow:
                raise FormatError(f"{self.place}: {self.peek()!r} in a graph whose edges are {arrow!r}")
            self.at += 1
            chain.append(self.word("the other end of an edge"))
            self.port()
        given = self.attribute_list()
        for name in chain:
            self.nodes.setdefault(name, ChainMap({}, scope["node"]))
        if len(chain) == 1:
            self.nodes[first].maps[0].update(given)
        for a, b in pairwise(chain):
            self.edges.append((a, b, ChainMap(given, scope["edge"])))

    def change(self, scope: dict[str, dict[str, str]], kind: str, given: dict[str, str]) -> None:
        """Change the defaults of nodes or edges from here on; what came before shares the old ones."""
        scope[kind] = scope[kind] | given
        self.changes += 1
        if len(scope[kind]) > MOST_DEFAULTS or self.changes > MOST_CHANGES:
            raise FormatError(
                f"{self.place}: more than {MOST_DEFAULTS} defaults, or {MOST_CHANGES} changes of them"
            )

    def port(self) -> None:
        while self.peek() == ":":
            self.at += 1
            self.word("a port")

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

    def peek(self) -> str:
        """Return the next mark or word; nothing where a quoted text comes, which is neither."""
        if self.at >= len(self.tokens):
            raise FormatError(f"{self.place}: it ends in the middle of the graph")
        text, kind = self.tokens[self.at]
        return "" if kind == "quoted" else text

    def word(self, what: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][1] == "mark":
            found = repr(self.tokens[self.at][0]) if self.at < len(self.tokens) else "the end"
            raise FormatError(f"{self.place}: {what} is missing before {found}")
        self.at += 1
        return self.tokens[self.at - 1][0]

    def mark(self, mark: str) -> None:
        if self.at >= len(self.tokens) or self.tokens[self.at] != (mark, "mark"):
            raise FormatError(f"{self.place}: {mark!r} is missing")
        self.at += 1
