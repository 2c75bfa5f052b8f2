"""A package as a graph with flat attributes, and back: what networkx and graph formats have in common.

A node's attributes are the fields of its class and ``kind`` (chiplet, switch, memory); ``position`` and
``size`` become ``x``, ``y``, ``width``, ``height`` in m, a memory's own kind ``technology``, and ``serves``
a JSON list. Quantities are numbers in SI units; text with a unit is read as well. Attributes that mean
nothing to a package are reported, not refused, since other tools' files are full of them.

An undirected edge is a full-duplex link. A directed edge is one direction of a link; two opposite ones that
agree in everything but bandwidth make one link, and two that differ (in latency, say) stay two one-way
links, since a link has one latency (`noptoolkit.package.edge_directions`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, raise_collected
from noptoolkit.limits import within
from noptoolkit.package.edge_bandwidth import EdgeBandwidth
from noptoolkit.package.edge_directions import Direction, expand_edge, join_directions
from noptoolkit.package.elements import ROLES, Chiplet, Link, LinkKind, Memory, Node, Switch
from noptoolkit.package.graph import Package
from noptoolkit.units import format_quantity, parse_quantity

__all__ = [
    "KINDS",
    "MOST_EDGES",
    "Edge",
    "Graph",
    "Imported",
    "graph_attributes",
    "link_attributes",
    "node_attributes",
    "to_package",
]

KINDS: dict[str, type[Chiplet] | type[Switch] | type[Memory]] = {
    "chiplet": Chiplet,
    "switch": Switch,
    "memory": Memory,
}
MOST_EDGES = 500_000
PAIRS = {"position": ("x", "y"), "size": ("width", "height")}
Scalar = str | float | bool


@dataclass(frozen=True)
class Imported:
    """A package from another tool's file, with what was not in the file and what a package cannot hold.

    Parameters
    ----------
    package
        Package that was read.
    assumed
        Values that the file does not give and that were assumed.
    ignored
        Parts of the file that a package has no place for.
    without_bandwidth
        Number of links whose bandwidth the file does not give.
    """

    package: Package
    assumed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    without_bandwidth: int = 0


class Edge(NamedTuple):
    """An edge as a file has it: its ends, its attributes, and whether it is one direction only."""

    tail: str
    head: str
    attributes: Mapping[str, Any]
    directed: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes and edges with attributes, as a file has them.

    Parameters
    ----------
    nodes
        Attributes by node name, in the file's order.
    edges
        Edges in the file's order.
    attributes
        Attributes of the whole graph.
    ignored
        Parts of the file that the reader left out already.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    edges: Sequence[Edge]
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()


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


def to_package(
    graph: Graph,
    place: str,
    *,
    bandwidth: EdgeBandwidth,
    name: str | None = None,
    error: type[NopError] = FormatError,
    own_roles: bool = False,
) -> Imported:
    """Return the package of a graph.

    Parameters
    ----------
    graph
        Graph as read.
    place
        Name of the file or graph, for errors.
    bandwidth
        Bandwidth of the edges.
    name
        Name of the package; the graph's own, or the place's, where ``None``.
    error
        Class of the error that lists every fault of the graph.
    own_roles
        Whether a ``role`` is one of a package's: another word is then a fault, not another tool's attribute.

    Raises
    ------
    NopError
        Of class ``error``, with every fault of the graph.
    """
    faults: list[str] = []
    ignored: dict[str, None] = {}
    within("nodes", len(graph.nodes), place, "nodes")
    within("edges", len(graph.edges), place, "edges")
    typed = any("kind" in attributes for attributes in graph.nodes.values())
    nodes = [_node(node, given, typed, own_roles, ignored, faults) for node, given in graph.nodes.items()]
    directions: list[Direction] = []
    without = 0
    for edge in graph.edges:
        if edge.tail == edge.head:
            ignored["edges from a node to itself"] = None
            continue
        found, measured = _edge(edge, bandwidth, typed, ignored, faults)
        directions += found
        without += not measured
    links, apart = join_directions(directions, faults)
    raise_collected(error, place, faults)
    assumed = [] if typed else ["every node is an expert chiplet: the file does not say"]
    if without and bandwidth.default is not None:
        shown = format_quantity(bandwidth.default, "B/s")
        assumed.append(f"{shown} for {without} links: the file does not say")
    if apart:
        pairs, fields = apart
        assumed.append(
            f"{pairs} pairs of opposite edges that differ in {', '.join(fields)}: "
            "each direction is a one-way link"
        )
    given = graph.attributes
    ignored |= {
        f"attribute {key!r} of the graph": None for key in given if key not in ("name", "source", "assumed")
    }
    ignored |= dict.fromkeys(graph.ignored)
    try:
        package = Package(
            name or str(given.get("name") or place.rsplit(".", 1)[0]),
            [node for node in nodes if node is not None],
            links,
            source=str(given.get("source") or ""),
            assumed=_strings(given.get("assumed") or ()),
        )
    except NopError as fault:
        raise error(f"{place}: {fault}") from fault
    return Imported(package, tuple(assumed), tuple(ignored), without)


def _edge(
    edge: Edge, bandwidth: EdgeBandwidth, typed: bool, ignored: dict[str, None], faults: list[str]
) -> tuple[list[Direction], bool]:
    """Return what an edge is made of, and whether it said its bandwidth itself."""
    tail, head, given, directed = edge
    place = f"link {tail!r}-{head!r}"
    own = {key: value for key, value in given.items() if key not in bandwidth.attributes}
    structure = {key: own.pop(key) for key in ("channels", "links") if own.get(key) is not None}
    if not typed and own.get("kind") is not None and str(own["kind"]) not in list(LinkKind):
        del own["kind"]
        ignored["attribute 'kind' of a link"] = None
    values = _fields(Link, own, place, ignored, faults)
    measured = True
    try:
        width = bandwidth.of(tail, head, given) if bandwidth.of else None
        if width is not None:
            values["bandwidth"] = parse_quantity(width, "B/s", "bandwidth")
            structure = {}
        elif "bandwidth" not in values:
            measured = False
            if bandwidth.default is None:
                if not str(own.get("bandwidth", "")):
                    faults.append(f"{place}: no bandwidth; pass bandwidth='128 GB/s' for all")
                return [], True
            values["bandwidth"] = bandwidth.default
        return expand_edge(tail, head, values, structure, directed, ignored), measured
    except NopError as fault:
        faults.append(str(fault))
        return [], True


def _node(
    name: str,
    given: Mapping[str, Any],
    typed: bool,
    own_roles: bool,
    ignored: dict[str, None],
    faults: list[str],
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
    if own_roles and kind == "chiplet" and rest.get("role") not in (None, *ROLES):
        role = str(rest.pop("role"))
        faults.append(f"node {name!r}: no role named {role!r}; {did_you_mean(role, ROLES)}")
    if not typed:  # another tool's words, perhaps
        foreign = {key: value for key, value in rest.items() if _is_foreign(key, value)}
        ignored |= {f"attribute {key!r} of a chiplet": None for key in foreign}
        rest = {"role": "expert"} | {
            key: value for key, value in rest.items() if key not in foreign and value is not None
        }
    values = _fields(KINDS[kind], rest, f"{kind} {name!r}", ignored, faults)
    if kind == "memory" and "bandwidth" not in values:
        faults.append(f"memory {name!r}: a memory needs a bandwidth")
        return None
    try:
        return KINDS[kind](name, **values)
    except NopError as error:
        faults.append(str(error))
        return None


def _is_foreign(key: str, value: Any) -> bool:
    """Return whether a value cannot be what a node's attribute means: a size of 10, a role of 'hub'."""
    if key == "role":
        return value is not None and value not in ROLES
    return key in PAIRS and value is not None and not (isinstance(value, list | tuple) and len(value) == 2)


def _fields(
    cls: type[Any], given: Mapping[str, Any], place: str, ignored: dict[str, None], faults: list[str]
) -> dict[str, Any]:
    known = {field.name: field for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        field = known.get(key)
        if field is None or key in ("name", "a", "b"):
            ignored[f"attribute {str(key)!r} of a {cls.__name__.lower()}"] = None
            continue
        if value is None:
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
    parts = value
    if isinstance(value, str):
        try:
            parts = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"write a JSON list of names ({str(error)[:80]})") from None
    if not isinstance(parts, Iterable) or isinstance(parts, str):
        raise FormatError("write a list of names")
    return tuple(str(part) for part in parts)
