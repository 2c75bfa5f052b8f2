"""Nodes and links as flat attributes: what GraphML, DOT and node-link JSON have in common.

A node's attributes are the fields of its class and ``kind`` (chiplet, switch, memory); ``position`` and
``size`` become ``x``, ``y``, ``width``, ``height`` in m, a memory's own kind ``technology``, and ``serves``
a JSON list. Quantities are numbers in SI units; text with a unit is read as well. Attributes that mean
nothing to a package are reported, not refused, since other tools' files are full of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, TopologyError, raise_collected
from noptoolkit.package import Link, Node, Package
from noptoolkit.package_views import KINDS
from noptoolkit.units import format_quantity, parse_quantity

__all__ = [
    "Graph",
    "Imported",
    "check_xml",
    "graph_attributes",
    "link_attributes",
    "memories_lost",
    "node_attributes",
    "parse_json",
    "to_package",
]

MOST_EDGES = 500_000
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
PAIRS = {"position": ("x", "y"), "size": ("width", "height")}
Scalar = str | float | bool


@dataclass(frozen=True)
class Imported:
    """A package from another tool's file, with what was not in the file and what a package cannot hold.

    Parameters
    ----------
    package
        What was read.
    assumed
        What the file did not say and was assumed.
    ignored
        What the file says and a package has no place for.
    """

    package: Package
    assumed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Nodes and edges with attributes, as a file has them.

    Parameters
    ----------
    nodes
        Attributes by node name, in the file's order.
    edges
        Ends and attributes.
    directed
        Whether an edge is one channel rather than a full-duplex link.
    attributes
        Of the whole.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    edges: Sequence[tuple[str, str, Mapping[str, Any]]]
    directed: bool = False
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def graph_attributes(package: Package) -> dict[str, str]:
    """Return name, source and assumptions of a package."""
    found = {"name": package.name}
    if package.source:
        found["source"] = package.source
    if package.assumed:
        found["assumed"] = json.dumps(list(package.assumed))
    return found


def node_attributes(node: Node) -> dict[str, Scalar]:
    """Return the attributes of a node that differ from its class's defaults."""
    found: dict[str, Scalar] = {"kind": type(node).__name__.lower()}
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if field.name == "name" or value is None or value == field.default:
            continue
        if field.name in PAIRS:
            found |= dict(zip(PAIRS[field.name], value, strict=True))
        elif field.name == "serves":
            found["serves"] = json.dumps(list(value))
        elif field.name == "kind":
            found["technology"] = value
        else:
            found[field.name] = value
    return found


def link_attributes(link: Link) -> dict[str, Scalar]:
    """Return the attributes of a link that differ from the class's defaults."""
    found: dict[str, Scalar] = {}
    for field in dataclasses.fields(link):
        value = getattr(link, field.name)
        if field.name not in ("a", "b") and value is not None and value != field.default:
            found[field.name] = str(value) if field.name == "kind" else value
    return found


def check_xml(text: str, language: str) -> None:
    """Raise if a text has characters that XML 1.0 cannot hold, escaped or not.

    Raises
    ------
    TopologyError
        It names the text about them.
    """
    found = NO_XML.search(text)
    if found is not None:
        bad = text[max(found.start() - 20, 0) : found.end() + 20]
        raise TopologyError(f"{bad!r}: {language} cannot hold control characters; rename it")


def memories_lost(package: Package) -> list[str]:
    """Return what a format without memory cannot say of a package, if it has any."""
    count = len(package.memories)
    if not count:
        return []
    return ["1 memory stack and its links" if count == 1 else f"{count} memory stacks and their links"]


def to_package(graph: Graph, place: str, *, bandwidth: float) -> Imported:
    """Return the package of a graph.

    Parameters
    ----------
    graph
        As read.
    place
        The file, for errors.
    bandwidth
        Of the edges that do not say, in B/s.

    Raises
    ------
    FormatError
        With every fault of the graph.
    """
    faults: list[str] = []
    ignored: dict[str, None] = {}
    if len(graph.edges) > MOST_EDGES or len(graph.nodes) > MOST_EDGES:
        raise FormatError(f"{place}: more than {MOST_EDGES} nodes or edges; is it the right file?")
    typed = any("kind" in attributes for attributes in graph.nodes.values())
    nodes = [_node(name, given, typed, ignored, faults) for name, given in graph.nodes.items()]
    links: list[Link] = []
    waiting: dict[tuple[str, str], list[int]] = {}
    without = 0
    for a, b, given in graph.edges:
        values = _fields(Link, given, f"link {a!r}-{b!r}", ignored, faults)
        if "bandwidth" not in values:
            values["bandwidth"] = bandwidth
            without += 1
        try:
            link = Link(a, b, **values)
        except NopError as error:
            faults.append(str(error))
            continue
        if graph.directed and waiting.get((b, a)):
            i = waiting[b, a].pop(0)
            back = link.bandwidth
            links[i] = dataclasses.replace(
                links[i], reverse_bandwidth=None if back == links[i].bandwidth else back
            )
            continue
        if graph.directed:
            waiting.setdefault((a, b), []).append(len(links))
            link = dataclasses.replace(link, reverse_bandwidth=0.0)
        links.append(link)
    raise_collected(FormatError, place, faults)
    assumed = [] if typed else ["every node is an expert chiplet: the file does not say"]
    if without:
        assumed.append(f"{format_quantity(bandwidth, 'B/s')} for {without} links: the file does not say")
    given = graph.attributes
    try:
        package = Package(
            str(given.get("name") or place.rsplit(".", 1)[0]),
            [node for node in nodes if node is not None],
            links,
            source=str(given.get("source", "")),
            assumed=_strings(given.get("assumed", "[]")),
        )
    except NopError as error:
        raise FormatError(f"{place}: {error}") from error
    return Imported(package, tuple(assumed), tuple(ignored))


def parse_json(text: str, place: str) -> Any:
    """Return the value of a JSON text; NaN and infinity are refused.

    Raises
    ------
    FormatError
        If it is no JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a finite number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise FormatError(f"{place}: nested too deeply; is it the right file?") from None
    except ValueError as error:
        raise FormatError(f"{place}: no JSON: {error}") from None


def _node(
    name: str, given: Mapping[str, Any], typed: bool, ignored: dict[str, None], faults: list[str]
) -> Node | None:
    kind = str(given.get("kind", "chiplet"))
    if kind not in KINDS:
        faults.append(f"node {name!r}: no node kind named {kind!r}; {did_you_mean(kind, KINDS)}")
        return None
    rest = {key: value for key, value in given.items() if key != "kind"}
    if kind == "memory" and "technology" in rest:
        rest["kind"] = rest.pop("technology")
    for field, (first, second) in PAIRS.items():
        if first in rest and second in rest:
            rest[field] = (rest.pop(first), rest.pop(second))
    if not typed:
        rest.setdefault("role", "expert")
    values = _fields(KINDS[kind], rest, f"{kind} {name!r}", ignored, faults)
    if kind == "memory" and "bandwidth" not in values:
        faults.append(f"memory {name!r}: a memory needs a bandwidth")
        return None
    try:
        return KINDS[kind](name, **values)
    except NopError as error:
        faults.append(str(error))
        return None


def _fields(
    cls: type[Any], given: Mapping[str, Any], place: str, ignored: dict[str, None], faults: list[str]
) -> dict[str, Any]:
    known = {field.name: field for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        field = known.get(key)
        if field is None or key in ("name", "a", "b"):
            ignored[f"attribute {key!r} of a {cls.__name__.lower()}"] = None
            continue
        try:
            values[key] = _value(value, key, field)
        except (FormatError, TypeError, ValueError) as error:
            faults.append(f"{place}: {key} = {str(value)[:60]!r} does not fit ({error})")
    return values


def _value(value: Any, key: str, field: dataclasses.Field[Any]) -> Any:
    if unit := field.metadata.get("unit"):
        return _quantity(value, unit, key)
    if key in PAIRS:
        return tuple(_quantity(part, "m", key) for part in value)
    if key == "serves":
        return _strings(value)
    if isinstance(field.default, bool):
        if str(value).lower() not in ("true", "false", "1", "0"):
            raise ValueError("write true or false")
        return str(value).lower() in ("true", "1")
    return str(value)


def _quantity(value: Any, unit: str, what: str) -> float:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    return parse_quantity(value, unit, what)


def _strings(value: Any) -> tuple[str, ...]:
    parts = parse_json(value, "a list of names") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise FormatError("write a list of names")
    return tuple(str(part) for part in parts)
