"""InfraGraph, the infrastructure format of ASTRA-sim 3 (infragraph.dev; 3.1.0 on PyPI): in and out.

What is written is YAML with a device for each kind of node (a component of choice xpu, switch or memory), an
instance of it for each node, and an edge ``one2one`` for each pair of nodes with a link, whose ``physical``
has bandwidth and latency. Its graph is simple and undirected, so parallel links are one as wide as all
together.

What is read is expanded by the library (devices in devices, slices, ``many2many``), hence needs
``noptoolkit[infragraph]``: xpu and cpu become chiplets, memory becomes a stack, all else a switch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from noptoolkit._shown import shown
from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats.attributes import to_package
from noptoolkit.formats.losses import lost_features
from noptoolkit.formats.yaml_text import parse_yaml
from noptoolkit.limits import within
from noptoolkit.package import Chiplet, Link, Memory, Node, Package, Switch
from noptoolkit.package.attributed_graph import Edge, Graph, Imported
from noptoolkit.package.edge_bandwidth import BandwidthChoice
from noptoolkit.package.elements import ROLES

__all__ = ["dump_infragraph", "infragraph_losses", "is_infragraph", "parse_infragraph"]

KEPT = ("names", "memory", "bandwidths", "parallel", "latency")
MOST_CHARACTERS = 2_000_000
MOST_NODES = 10_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
CHOICE = {Chiplet: "xpu", Switch: "switch", Memory: "memory"}
SCALE = {"Gbps": 1e9 / 8, "GBps": 1e9}
SECONDS = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def dump_infragraph(package: Package) -> str:
    """Return a package as an InfraGraph YAML text.

    Raises
    ------
    TopologyError
        If a link has two bandwidths: InfraGraph's edges have one.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> print(dump_infragraph(ring(3)).splitlines()[0])
    name: ring-3
    """
    import yaml

    names = _names(package)
    kinds = {node.name: _kind(node) for node in package.nodes}
    devices = {
        kinds[node.name]: {
            "name": kinds[node.name],
            "components": [{"name": CHOICE[type(node)], "count": 1, "choice": CHOICE[type(node)]}],
            "links": [],
            "edges": [],
        }
        for node in package.nodes
    }
    component = {node.name: f"{CHOICE[type(node)]}[0]" for node in package.nodes}
    merged: dict[frozenset[str], list[Link]] = {}
    for link in package.links:
        if link.backward_bandwidth != link.bandwidth:
            raise TopologyError(
                f"package {package.name!r}: link {link.a!r}-{link.b!r} has two bandwidths; InfraGraph's "
                "edges have one for both directions"
            )
        merged.setdefault(frozenset((link.a, link.b)), []).append(link)
    links: dict[tuple[float, float], str] = {}
    edges = []
    for several in merged.values():
        measures = (sum(link.bandwidth for link in several), min(link.latency for link in several))
        a, b = several[0].a, several[0].b
        edges.append(
            {
                "scheme": "one2one",
                "link": links.setdefault(measures, f"link{len(links)}"),
                "ep1": {"instance": f"{names[a]}[0]", "component": component[a]},
                "ep2": {"instance": f"{names[b]}[0]", "component": component[b]},
            }
        )
    content = {
        "name": package.name,
        "description": package.source or "noptoolkit",
        "devices": list(devices.values()),
        "links": [
            {
                "name": name,
                "physical": {
                    "bandwidth": {"choice": "gigabytes_per_second", "gigabytes_per_second": width / 1e9},
                    "latency": {"choice": "ns", "ns": round(delay * 1e9, 9)},
                },
            }
            for (width, delay), name in links.items()
        ],
        "instances": [
            {"name": names[node.name], "device": kinds[node.name], "count": 1} for node in package.nodes
        ],
        "edges": edges,
    }
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def infragraph_losses(package: Package) -> tuple[str, ...]:
    """Return what an InfraGraph of a package leaves out."""
    lost = ["compute, positions, roles of switches and stacks"]
    renamed = [name for name, other in _names(package).items() if name != other]
    if renamed:
        lost.append(f"names of {len(renamed)} nodes ({renamed[0]!r}): written as letters and digits")
    lost += lost_features(package, *KEPT, links=package.links)
    double = len(package.links) - len({frozenset((link.a, link.b)) for link in package.links})
    if double:
        lost.append(f"{double} parallel links: written as one link of the bandwidth of all together")
    if package.memories:
        lost.append("which chiplets a memory serves, its kind, capacity, energy, latency and port bandwidth")
    return tuple(lost)


def _kind(node: Node) -> str:
    return node.role if isinstance(node, Chiplet) else CHOICE[type(node)]


def _names(package: Package) -> dict[str, str]:
    """Return a name without dots and brackets for each node."""
    plain = all(NAME.fullmatch(node.name) for node in package.nodes)
    return {node.name: node.name if plain else f"node{i}" for i, node in enumerate(package.nodes)}


def is_infragraph(value: object) -> bool:
    """Return whether a YAML or JSON value looks like an InfraGraph."""
    return isinstance(value, Mapping) and "instances" in value and "devices" in value


def parse_infragraph(text: str, place: str, *, bandwidth: BandwidthChoice) -> Imported:
    """Return the package of an InfraGraph, YAML or JSON.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Bandwidth of the edges without one in bit/s or B/s, in B/s.

    Raises
    ------
    FormatError
        If it is none, too large, or the library ``infragraph`` is missing.
    """
    content = parse_yaml(text, place, most=MOST_CHARACTERS)
    if not is_infragraph(content):
        raise FormatError(f"{place}: no InfraGraph: it must have devices and instances")
    _check_size(content, place)
    try:
        from infragraph.infragraph_service import InfraGraphService
    except ImportError:
        raise FormatError(
            f"{place}: reading InfraGraph needs its library; pip install 'noptoolkit[infragraph]'"
        ) from None
    service = InfraGraphService()
    try:
        service.set_graph(text)
        found = service.get_networkx_graph()
    except Exception as error:  # whatever the library raises on a faulty file
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{place}: not as InfraGraph has it ({type(error).__name__}: {reason})") from None
    return _package(found, content, place, bandwidth)


def _package(found: Any, content: Mapping[str, Any], place: str, bandwidth: BandwidthChoice) -> Imported:
    alone: dict[str, int] = {}
    for node, data in found.nodes(data=True):
        if not {"instance", "device"} <= set(data):
            raise FormatError(f"{place}: an edge ends at {shown(node)}, which is no part of an instance")
        alone[data["instance"]] = alone.get(data["instance"], 0) + 1
    names = {
        node: data["instance"] if alone[data["instance"]] == 1 else node
        for node, data in found.nodes(data=True)
    }
    ignored: dict[str, None] = {}
    nodes: dict[str, dict[str, Any]] = {}
    widths: dict[str, float] = dict.fromkeys(names.values(), 0.0)
    edges = []
    for a, b, data in found.edges(data=True):
        attributes = _measures(data, ignored, place)
        edges.append(Edge(names[a], names[b], attributes))
        for end in (names[a], names[b]):
            widths[end] += float(attributes.get("bandwidth", 0.0))
    for node, data in found.nodes(data=True):
        kind, name = str(data.get("type", "")), names[node]
        if kind in ("xpu", "cpu"):
            role = "expert" if kind == "xpu" else "compute"
            nodes[name] = {
                "kind": "chiplet",
                "role": data["device"] if data["device"] in ROLES else role,
            }
        elif kind == "memory":
            nodes[name] = {"kind": "memory", "bandwidth": widths[name] or "128 GB/s"}
        else:
            nodes[name] = {"kind": "switch"}
    graph = Graph(nodes, edges, {"name": str(content.get("name") or "")}, tuple(ignored))
    read = to_package(graph, place, bandwidth=bandwidth)
    assumed = (
        "xpu and cpu are chiplets, memory is a stack as wide as its links, all else is a switch",
        *read.assumed,
    )
    return Imported(read.package, assumed, read.ignored, read.without_bandwidth)


def _measures(data: Mapping[str, Any], ignored: dict[str, None], place: str) -> dict[str, float]:
    """Return bandwidth and latency of an edge in SI units.

    Raises
    ------
    FormatError
        If one is no number.
    """
    attributes: dict[str, float] = {}
    for key, scales in (("bandwidth", SCALE), ("latency", SECONDS)):
        number, _, unit = str(data.get(key, "")).partition(" ")
        if unit in scales:
            try:
                attributes[key] = float(number) * scales[unit]
            except ValueError:
                raise FormatError(f"{place}: {key} {shown(number)} {unit} of a link is no number") from None
        elif unit:
            ignored[f"{key} in {unit}"] = None
    return attributes


def _check_size(content: Mapping[str, Any], place: str) -> None:
    """Raise where the instances expand to more nodes than are read, or devices hold each other.

    Raises
    ------
    FormatError
        It says so.
    """
    devices = {str(device.get("name")): device for device in _tables(content.get("devices"))}
    sizes: dict[str, int] = {}

    def size(name: str, above: tuple[str, ...]) -> int:
        if name in above or len(above) > 20:
            raise FormatError(f"{place}: device {name[:40]!r} holds itself, or others too deeply")
        if name not in sizes:
            total = 0
            for component in _tables(devices.get(name, {}).get("components")):
                inner = str(component.get("choice")) == "device"
                each = size(str(component.get("name")), (*above, name)) if inner else 1
                total += _count(component, place) * each
            sizes[name] = total
        return sizes[name]

    nodes = sum(
        _count(instance, place) * size(str(instance.get("device")), ())
        for instance in _tables(content.get("instances"))
    )
    if nodes > MOST_NODES:
        raise FormatError(f"{place}: {nodes} nodes; at most {MOST_NODES} are read")
    _check_edges(content, devices, place)


def _check_edges(content: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]], place: str) -> None:
    """Raise where edges from each of many to each of many come to more than are read."""
    instances = {str(one.get("name")): one for one in _tables(content.get("instances"))}
    copies: dict[str, int] = {}
    for one in instances.values():
        device = str(one.get("device"))
        copies[device] = copies.get(device, 0) + _count(one, place)

    def ends(edge: Mapping[str, Any], key: str, device: Mapping[str, Any]) -> int:
        end = edge.get(key)
        if not isinstance(end, Mapping):
            return 1
        name, _, piece = str(end.get("instance") or "").partition("[")
        each = 1
        if name in instances:
            device = devices.get(str(instances[name].get("device")), {})
            each = _extent(piece, _count(instances[name], place))
        part, _, piece = str(end.get("component") or "").partition("[")
        counts = {str(one.get("name")): _count(one, place) for one in _tables(device.get("components"))}
        return each * _extent(piece, counts.get(part, 1))

    total = 0
    for of, times in ((content, 1), *((device, copies.get(name, 1)) for name, device in devices.items())):
        for edge in _tables(of.get("edges")):
            first, second = ends(edge, "ep1", of), ends(edge, "ep2", of)
            total += times * (first * second if edge.get("scheme") != "one2one" else max(first, second))
    within("edges", total, place, "edges")


def _extent(piece: str, whole: int) -> int:
    """Return how many a slice such as ``0:4]`` or ``3]`` means, of so many."""
    first, colon, last = piece.rstrip("]").partition(":")
    if not piece or not all(not text or (text.isdecimal() and len(text) < 10) for text in (first, last)):
        return whole
    if not colon:
        return 1
    return max(int(last or whole) - int(first or 0), 0)


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _count(entry: Mapping[str, Any], place: str) -> int:
    text = str(entry.get("count", "1"))
    if not text.isdecimal() or len(text) > 9:
        raise FormatError(
            f"{place}: count {text[:20]!r} of {str(entry.get('name'))[:40]!r} is not a whole number"
        )
    return int(text)
