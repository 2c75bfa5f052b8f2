"""RapidChiplet design folders (Iff et al., arXiv 2311.06081; spcl/rapidchiplet), read.

A design file names JSON files of chiplet types, placement, topology, packaging and technologies. Lengths
are in mm, latencies in cycles, rounded up. RapidChiplet derives a link's bandwidth from bumps: a PHY has (its
share of the bump area x chiplet area x share of data bumps / pitch^2) wires, less those that carry no data;
the narrower end decides, and half of the wires are for each direction (``compute_link_bandwidths``). Here a
wire carries 1 bit per cycle, which at 1 GHz is the 0.125 GB/s of Mozart (arXiv 2603.07006). Latency formulas
are read by `noptoolkit.formats.arithmetic`, never evaluated. `noptoolkit.formats.rapidchiplet_export` writes
such folders; latencies are read to a thousandth of a cycle, below which it writes what RapidChiplet wants
above 0.

A chiplet of memory that does not relay, or has one link, is a memory stack. One that relays over several
links is a switch with a memory stack at it, since stacks never forward.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError, NopError, TopologyError
from noptoolkit.formats.arithmetic import parse_formula
from noptoolkit.formats.attributes import Imported, parse_json
from noptoolkit.formats.files import read_text
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package, Switch
from noptoolkit.topology.size_checks import MOST_CHIPLETS

__all__ = ["load_rapidchiplet"]

CLOCK = 1e9
MILLI = 1e-3
PARTS = ("chiplets", "placement", "topology", "packaging", "technologies")
STACK_LINKS = "the link between a memory chiplet that relays and its stack: as wide as all its links, 0 s"


def load_rapidchiplet(path: Path) -> Imported:
    """Return the package of a RapidChiplet design file (or of a folder that holds ``design.json``).

    Raises
    ------
    FormatError
        If a part is missing or malformed, with the file and the thing.
    """
    design_file = path / "design.json" if path.is_dir() else path
    if path.is_dir() and not design_file.exists():
        raise FormatError(
            f"{path}: a folder, and no RapidChiplet design (it has no design.json); give the topology's file"
        )
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
    except TopologyError as error:
        raise FormatError(f"{design_file.name}: {error}") from error
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
    stacks: list[tuple[str, Memory]] = []
    for i, entry in enumerate(placed):
        kind = types[entry["name"]]
        node, points = _chiplet(i, kind, entry, packaging)
        if isinstance(node, Memory) and degree[i] > 1 and kind.get("relay", True):
            stacks.append((f"c{i}", node))
            node = Switch(f"c{i}", latency=_cycles(kind) / CLOCK, position=node.position)
        if not kind.get("relay", True) and isinstance(node, Chiplet):
            ignored["chiplets that do not relay"] = None
        nodes.append(node)
        phys.append(points)
    for i, entry in enumerate(routers):
        at = entry["position"]
        delay = round(float(packaging.get("latency_irouter", 0)), 3) / CLOCK
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
            [wire[key] for key in ("ep1", "ep2")], placed, types, technologies
        )
        links.append(Link(a, b, width / 2 * CLOCK / 8, latency=round(cycles, 3) / CLOCK, length=length))
    if len({frozenset((link.a, link.b)) for link in links}) < len(links):
        assumed["parallel links all count: RapidChiplet calls them a fault, and its tables keep one"] = None
    ports: dict[str, float] = {}
    for link in links:
        for end in (link.a, link.b):
            ports[end] = ports.get(end, 0.0) + link.bandwidth
    nodes = [
        dataclasses.replace(node, bandwidth=ports.get(node.name, CLOCK)) if isinstance(node, Memory) else node
        for node in nodes
    ]
    for hub, stack in stacks:
        nodes.append(dataclasses.replace(stack, bandwidth=ports[hub]))
        links.append(Link(hub, stack.name, ports[hub], kind=LinkKind.MEMORY))
        assumed[STACK_LINKS] = None
    if any(isinstance(node, Memory) for node in nodes):
        assumed["a memory's bandwidth is that of its links"] = None
    if stacks:
        assumed[
            f"{len(stacks)} memory chiplets that relay over several links are switches, each with a stack"
        ] = None
    package = Package(name, nodes, links, source="RapidChiplet design", assumed=tuple(assumed))
    return Imported(package, tuple(assumed), tuple(ignored))


def _chiplet(
    i: int, kind: Mapping[str, Any], entry: Mapping[str, Any], packaging: Mapping[str, Any]
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
    delay = _cycles(kind) / CLOCK
    if kind["type"] == "memory":
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


def _cycles(kind: Mapping[str, Any]) -> float:
    return round(float(kind.get("internal_latency", 0)), 3)


def _phy_cycles(
    ends: list[Mapping[str, Any]],
    placed: list[Any],
    types: Mapping[str, Any],
    technologies: Mapping[str, Any],
) -> float:
    """Return the cycles that the PHYs at both ends of a link take."""
    cycles = 0.0
    for end in ends:
        if end["type"] == "chiplet":
            technology = types[placed[end["outer_id"]]["name"]]["technology"]
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
