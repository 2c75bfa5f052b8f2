"""RapidChiplet design folders (Iff et al., arXiv 2311.06081; spcl/rapidchiplet): in and out.

A design file names JSON files of chiplet types, placement, topology, packaging and technologies. Lengths
are in mm, latencies in cycles, rounded up. RapidChiplet derives a link's bandwidth from bumps: a PHY has (its
share of the bump area x chiplet area x share of data bumps / pitch^2) wires, less those that carry no data;
the narrower end decides, and half of the wires are for each direction (``compute_link_bandwidths``). Here a
wire carries 1 bit per cycle, which at 1 GHz is the 0.125 GB/s of Mozart (arXiv 2603.07006). What is written
keeps to RapidChiplet's ``validation.py``; run it in the folder of the design, where it looks for the parts.
Latency formulas are read by `noptoolkit.formats.arithmetic`, never evaluated.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError, NopError, TopologyError
from noptoolkit.formats.arithmetic import parse_formula
from noptoolkit.formats.attributes import Imported, parse_json
from noptoolkit.formats.files import read_text
from noptoolkit.formats.results import replace_file
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package, Switch
from noptoolkit.topology.size_checks import MOST_CHIPLETS

__all__ = ["load_rapidchiplet", "save_rapidchiplet"]

CLOCK = 1e9
MILLI = 1e-3
PARTS = ("chiplets", "placement", "topology", "packaging", "technologies")
DEFAULTS: dict[str, Any] = {"power": 20.0, "phy_power": 0.125, "internal_latency": 3, "phy_latency": 12}
"""RapidChiplet's own defaults (arXiv 2311.06081)."""


def load_rapidchiplet(path: Path) -> Imported:
    """Return the package of a RapidChiplet design file (or of a folder that holds ``design.json``).

    Raises
    ------
    FormatError
        If a part is missing or malformed, with the file and the thing.
    """
    design_file = path / "design.json" if path.is_dir() else path
    design = _table(parse_json(read_text(design_file), design_file.name), design_file.name)
    parts = {}
    for key in PARTS:
        name = design.get(key)
        if not isinstance(name, str):
            raise FormatError(f"{design_file.name}: {key!r} must name a file")
        part = _part(design_file, name)
        parts[key] = parse_json(read_text(part), part.name)
    try:
        return _imported(str(design.get("design_name", path.stem)), parts)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, NopError):
            raise
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        raise FormatError(f"{design_file.name}: a part is not as RapidChiplet has it ({reason})") from error


def _part(design: Path, name: str) -> Path:
    """Return a part's file, named from the design's folder or one of those above."""
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise FormatError(f"{design.name}: {name!r} leaves the design's folders")
    with contextlib.suppress(OSError, ValueError):  # names that no file can have
        for folder in list(design.resolve().parents)[:4]:
            if (folder / relative).is_file():
                return folder / relative
    raise FormatError(f"{design.name}: no file {name!r} beside it or in the three folders above")


def _imported(name: str, parts: Mapping[str, Any]) -> Imported:
    types, placement, packaging = parts["chiplets"], parts["placement"], parts["packaging"]
    placed, routers, wires = placement["chiplets"], placement.get("interposer_routers", []), parts["topology"]
    if max(len(placed) + len(routers), len(wires) // 8) > MOST_CHIPLETS:
        raise FormatError(f"{name}: more than {MOST_CHIPLETS} chiplets; is it the right design?")
    latency_of = _latency(packaging)
    degree = [0] * len(placed)
    for wire in wires:
        for end in (wire["ep1"], wire["ep2"]):
            if end["type"] == "chiplet":
                degree[_index(end["outer_id"], len(placed))] += 1
    nodes: list[Node] = []
    phys: list[list[tuple[float, float, float]]] = []
    assumed = dict.fromkeys(
        [
            "1 bit per wire and cycle at 1 GHz, half of the wires each way",
            "compute chiplets are expert chiplets",
        ]
    )
    ignored = dict.fromkeys(
        ["power, yield and cost of chiplets", "routing table, traffic, trace and BookSim options"]
    )
    for i, entry in enumerate(placed):
        kind = types[entry["name"]]
        node, points = _chiplet(i, kind, entry, degree[i] <= 1, packaging)
        if not kind.get("relay", True) and isinstance(node, Chiplet):
            ignored["chiplets that do not relay"] = None
        nodes.append(node)
        phys.append(points)
    for i, entry in enumerate(routers):
        at = entry["position"]
        delay = float(packaging.get("latency_irouter", 0)) / CLOCK
        place = (float(at["x"]) * MILLI, float(at["y"]) * MILLI)
        nodes.append(Switch(f"r{i}", latency=delay, position=place))
    links = []
    narrowest = min((wires for points in phys for _, _, wires in points), default=0.0)
    technologies = parts["technologies"]
    for wire in wires:
        ends = [_end(wire[key], nodes, len(placed), phys) for key in ("ep1", "ep2")]
        (a, ax, ay, wa), (b, bx, by, wb) = ends
        flat = packaging.get("link_routing") == "euclidean"
        length = math.hypot(ax - bx, ay - by) if flat else abs(ax - bx) + abs(ay - by)
        width = min(wa, wb)
        if not math.isfinite(width):
            width = narrowest
            assumed["links between interposer routers are as wide as the narrowest PHY"] = None
        if width < 1:
            raise FormatError(f"{name}: link {a}-{b} has no data wires: its PHYs hold too few bumps")
        cycles = math.ceil(latency_of(round(length / MILLI, 9))) + _phy_cycles(
            (a, b), placed, types, technologies
        )
        links.append(Link(a, b, width / 2 * CLOCK / 8, latency=cycles / CLOCK, length=length))
    ports = {link.a: link.bandwidth for link in links} | {link.b: link.bandwidth for link in links}
    nodes = [
        Memory(node.name, ports.get(node.name, CLOCK), kind=node.kind, position=node.position, size=node.size)
        if isinstance(node, Memory)
        else node
        for node in nodes
    ]
    if any(isinstance(node, Memory) for node in nodes):
        assumed["a memory's bandwidth is that of its link"] = None
    package = Package(name, nodes, links, source="RapidChiplet design", assumed=tuple(assumed))
    return Imported(package, tuple(assumed), tuple(ignored))


def _chiplet(
    i: int, kind: Mapping[str, Any], entry: Mapping[str, Any], single: bool, packaging: Mapping[str, Any]
) -> tuple[Node, list[tuple[float, float, float]]]:
    """Return a chiplet and its PHYs: position on the package in m, and data wires."""
    width, height = (float(kind["dimensions"][axis]) * MILLI for axis in "xy")
    turns = int(entry.get("rotation", 0)) // 90 % 4
    outline = (height, width) if turns % 2 else (width, height)
    left, bottom = (float(entry["position"][axis]) * MILLI for axis in "xy")
    centre = (left + outline[0] / 2, bottom + outline[1] / 2)
    data_share = 1.0 - float(kind.get("fraction_power_bumps", 0.0))
    pitch = float(packaging["bump_pitch"]) * MILLI
    points = []
    for phy in kind["phys"]:
        x, y = float(phy["x"]) * MILLI - width / 2, float(phy["y"]) * MILLI - height / 2
        for _ in range(turns):
            x, y = -y, x
        bumps = float(phy["fraction_bump_area"]) * data_share * width * height / pitch**2
        wires = math.floor(bumps + 1e-9) - int(packaging.get("non_data_wires", 0))
        points.append((centre[0] + x, centre[1] + y, float(wires)))
    delay = float(kind.get("internal_latency", 0)) / CLOCK
    if kind["type"] == "memory" and single:
        return Memory(f"m{i}", 1.0, kind="memory", position=centre, size=outline), points
    role: Any = {"compute": "expert", "io": "io"}.get(kind["type"], "compute")
    return Chiplet(f"c{i}", role=role, latency=delay, position=centre, size=outline), points


def _end(
    end: Mapping[str, Any], nodes: list[Node], chiplets: int, phys: list[list[tuple[float, float, float]]]
) -> tuple[str, float, float, float]:
    """Return the node at a link's end, the point in m, and how many data wires end there."""
    if end["type"] == "chiplet":
        i = _index(end["outer_id"], chiplets)
        x, y, wires = phys[i][_index(end["inner_id"], len(phys[i]))]
        return nodes[i].name, x, y, wires
    i = _index(end["outer_id"], len(nodes) - chiplets) + chiplets
    x, y = nodes[i].position or (0.0, 0.0)
    return nodes[i].name, x, y, math.inf


def _phy_cycles(
    ends: tuple[str, str], placed: list[Any], types: Mapping[str, Any], technologies: Mapping[str, Any]
) -> float:
    """Return the cycles that the PHYs at both ends of a link take."""
    cycles = 0.0
    for name in ends:
        if name[0] in "cm":
            technology = types[placed[int(name[1:])]["name"]]["technology"]
            cycles += float(technologies[technology]["phy_latency"])
    return cycles


def _latency(packaging: Mapping[str, Any]) -> Callable[[float], float]:
    """Return the cycles of a link as a function of its length in mm."""
    given = packaging["link_latency"]
    if packaging.get("link_latency_type") == "function" or isinstance(given, str):
        return parse_formula(str(given), "packaging: link_latency")
    value = float(given)
    return lambda _: value


def _index(value: Any, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise FormatError(f"id {str(value)[:20]} is not between 0 and {count - 1}")
    return value


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{place}: no RapidChiplet design: it must be a table of file names")
    return value


def save_rapidchiplet(package: Package, folder: Path) -> tuple[str, ...]:
    """Write a package as a RapidChiplet design folder; return what it cannot say.

    Parameters
    ----------
    package
        Every node needs a position, every die a size. Switches become interposer routers.
    folder
        Is made; gets ``design.json`` and its five parts.

    Raises
    ------
    TopologyError
        If a node is not placed.
    """
    unplaced = [node.name for node in package.nodes if node.position is None or node.size is None]
    if unplaced:
        raise TopologyError(
            f"package {package.name!r}: {unplaced[0]!r} has no position or size; place it first"
        )
    dies: list[Node] = [node for node in package.nodes if not isinstance(node, Switch)]
    number = {node.name: ("chiplet", i) for i, node in enumerate(dies)}
    number |= {node.name: ("irouter", i) for i, node in enumerate(package.switches)}
    ports = _ports(package)
    types: dict[str, Any] = {}
    placed = []
    for node in dies:
        (x, y), (width, height) = node.position or (0, 0), node.size or (0, 0)
        kind = "memory" if isinstance(node, Memory) else "io" if _role(node) == "io" else "compute"
        phys = max(len(ports[node.name]), 1)
        name = f"{kind}_{width / MILLI:g}x{height / MILLI:g}_{phys}phys"
        types[name] = _type(kind, _mm(width), _mm(height), phys)
        corner = {"x": _mm(x - width / 2), "y": _mm(y - height / 2)}
        placed.append({"position": corner, "rotation": 0, "name": name})
    routers = []
    for switch in package.switches:
        x, y = switch.position or (0.0, 0.0)
        routers.append({"position": {"x": _mm(x), "y": _mm(y)}, "ports": max(len(ports[switch.name]), 1)})
    wires = []
    for i, link in enumerate(package.links):
        ends = {}
        for key, name in (("ep1", link.a), ("ep2", link.b)):
            kind, outer = number[name]
            ends[key] = {"type": kind, "outer_id": outer, "inner_id": ports[name][i]}
        wires.append(ends)
    parts = {
        "chiplets": types,
        "placement": {"chiplets": placed, "interposer_routers": routers},
        "topology": wires,
        "packaging": {
            "link_routing": "manhattan",
            "link_latency_type": "function",
            "link_latency": "lambda x : 0.25 * x",
            "link_power_type": "constant",
            "link_power": 1,
            "packaging_yield": 0.9,
            "bump_pitch": 0.05,
            "non_data_wires": 12,
            "is_active": bool(routers),
            "latency_irouter": 5,
            "power_irouter": 0.25,
            "has_interposer": True,
            "interposer_technology": "default",
        },
        "technologies": {
            "default": {
                "phy_latency": DEFAULTS["phy_latency"],
                "wafer_radius": 150.0,
                "wafer_cost": 1000,
                "defect_density": 0.001,
            }
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    design = {"design_name": package.name, **{key: f"{key}.json" for key in parts}}
    for name, content in {"design": design, **parts}.items():
        replace_file(folder / f"{name}.json", json.dumps(content, indent=1) + "\n")
    lost = ["bandwidths: RapidChiplet derives them from bumps", "latencies: its defaults are written instead"]
    lost.append("names, roles but io, compute, SRAM, in-network replication and reduction")
    if not (package.link_bandwidths > 0).all():
        lost.append("that links are one-way: RapidChiplet's go both ways")
    pairs = {frozenset((link.a, link.b)) for link in package.links}
    if len(pairs) < len(package.links):
        lost.append(
            f"{len(package.links) - len(pairs)} parallel links: RapidChiplet's routing takes one of each"
        )
    if any(link.kind is LinkKind.HYBRID_BOND for link in package.links):
        lost.append("hybrid bonds: RapidChiplet takes stacked dies for overlapping ones")
    if package.memories:
        lost.append("which chiplets a memory serves, its capacity and bandwidth")
    return tuple(lost)


def _role(node: Node) -> str:
    return node.role if isinstance(node, Chiplet) else ""


def _mm(length: float) -> float:
    """Return a length in mm without the noise of binary fractions, which would make neighbours overlap."""
    return round(length / MILLI, 9)


def _ports(package: Package) -> dict[str, dict[int, int]]:
    """Return, for each node, which of its PHYs each link uses: both in the order of their angles."""
    angles: dict[str, list[tuple[float, int]]] = {node.name: [] for node in package.nodes}
    for i, link in enumerate(package.links):
        (ax, ay), (bx, by) = package[link.a].position or (0, 0), package[link.b].position or (0, 0)
        angles[link.a].append((math.atan2(by - ay, bx - ax) % (2 * math.pi), i))
        angles[link.b].append((math.atan2(ay - by, ax - bx) % (2 * math.pi), i))
    return {
        name: {i: port for port, (_, i) in enumerate(sorted(entries))} for name, entries in angles.items()
    }


def _type(kind: str, width: float, height: float, phys: int) -> dict[str, Any]:
    """Return a chiplet type whose PHYs lie on an ellipse inside its outline, by angle."""
    points = []
    share = math.floor(1e9 / phys) / 1e9  # rounded down: they must not add up to more than all
    for i in range(phys):
        angle = 2 * math.pi * i / phys
        x = width / 2 * (1 + 0.9 * math.cos(angle))
        points.append({"x": x, "y": height / 2 * (1 + 0.9 * math.sin(angle)), "fraction_bump_area": share})
    return {
        "dimensions": {"x": width, "y": height},
        "type": kind,
        "phys": points,
        "fraction_power_bumps": 0.5,
        "technology": "default",
        "power": DEFAULTS["power"] + DEFAULTS["phy_power"] * phys,
        "relay": kind != "memory",
        "internal_latency": DEFAULTS["internal_latency"],
        "unit_count": 1,
    }
