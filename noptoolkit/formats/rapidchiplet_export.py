"""RapidChiplet design folders (Iff et al., arXiv 2311.06081; spcl/rapidchiplet), written.

Run RapidChiplet inside the folder: it looks for the parts from there, and writes to ``results/``. What is
written keeps to its ``validation.py``, so that each of its metrics runs: area, power, links, cost, latency
and throughput with the routing table and uniform traffic of the folder
(`noptoolkit.formats.rapidchiplet_traffic`), and BookSim where a link ``booksim2`` to its folder of that name
is made beside them.

Chiplets and memory stacks are chiplets, switches interposer routers. A link has a PHY at each end
(`noptoolkit.formats.rapidchiplet_layout`) whose share of the bumps inverts RapidChiplet's own formula::

    fraction_bump_area = (2 x bits per cycle + non_data_wires) x pitch^2 / (area x (1 - power share))

Bandwidth is in bits per cycle of 1 GHz. Where the PHYs of a chiplet need more than its area, the bump pitch
is smaller. Parallel links are one as wide as all of them, since RapidChiplet's tables keep one of each.
Latencies are in cycles, those of links whole ones, as a constant or as a function of the length; PHYs and
routers without latency have a millionth of a cycle, since RapidChiplet asks for more than none. The wafer of
the interposer is as large as it must be for one interposer.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit.errors import TopologyError
from noptoolkit.formats.arithmetic import MOST_CHARACTERS
from noptoolkit.formats.losses import lost_features
from noptoolkit.formats.rapidchiplet_layout import phy_points
from noptoolkit.formats.rapidchiplet_traffic import booksim_config, routing_table, uniform_traffic
from noptoolkit.formats.results import replace_file
from noptoolkit.package import Chiplet, Link, Memory, Node, Package, Switch
from noptoolkit.routing.latency_routing import cycles_of

__all__ = ["save_rapidchiplet"]

CLOCK = 1e9
MILLI = 1e-3
NEARLY_NONE = 1e-6
"""Cycles that stand for no latency."""

MOST_ROUTED = 500
"""Chiplets of the largest design that gets a routing table and traffic, which are files of all pairs."""

PITCH, NON_DATA_WIRES, POWER_SHARE = 0.05, 12, 0.5
"""Bump pitch in mm, wires of a link that carry no data, share of power bumps: of RapidChiplet's examples."""

POWER, PHY_POWER, WAFER_RADIUS = 20.0, 0.125, 150.0
"""W per chiplet and per PHY, mm: RapidChiplet's defaults (arXiv 2311.06081)."""

PAIRS = ("routing_table", "traffic_by_chiplet", "traffic_by_unit")
KEPT = ("names", "memory", "bandwidths", "parallel", "latency", "router latency", "lengths")


def save_rapidchiplet(package: Package, folder: Path) -> tuple[str, ...]:
    """Write a package as a RapidChiplet design folder; return what it cannot say.

    Parameters
    ----------
    package
        Package in which every node has a position and every die a size.
    folder
        Folder that is made; gets ``design.json``, its parts and ``results/``.

    Raises
    ------
    TopologyError
        If a node is not placed.
    """
    unplaced = [node.name for node in package.nodes if node.position is None or node.size is None]
    if unplaced:
        raise TopologyError(
            f"package {package.name!r}: {unplaced[0]!r} has no position or size; place the "
            "package first, with noptoolkit.physical.place or convert --place"
        )
    lost = [
        "names, roles but io, compute, SRAM",
        *lost_features(package, *KEPT, links=package.links),
    ]
    links, merged = _merged(package)
    if merged:
        lost.append(f"{merged} parallel links: written as one of the bandwidth of all together")
    dies: list[Node] = [node for node in package.nodes if not isinstance(node, Switch)]
    number = {node.name: ("chiplet", i) for i, node in enumerate(dies)}
    number |= {node.name: ("irouter", i) for i, node in enumerate(package.switches)}
    wires, ports, inexact = _wires(package, links, number)
    if inexact:
        lost.append(f"lengths of {inexact} links: no places for their PHYs are that far apart")
    pitch = _pitch(dies, ports)
    types: dict[str, Any] = {}
    placed = []
    for node in dies:
        name = _type_name(types, node, _type(node, ports[node.name], pitch))
        (x, y), (width, height) = node.position or (0, 0), node.size or (0, 0)
        corner = {"x": _mm(x - width / 2), "y": _mm(y - height / 2)}
        placed.append({"position": corner, "rotation": 0, "name": name})
    routers = []
    for switch in package.switches:
        x, y = switch.position or (0.0, 0.0)
        count = max(len(ports[switch.name]), 1)
        routers.append({"position": {"x": _mm(x), "y": _mm(y)}, "ports": count})
    latency, told = _latency(package, links, wires)
    lost += told
    radius, told = _wafers(types, placed, routers)
    lost += told
    lost += _other_losses(package, links)
    packaging = {
        "link_routing": "manhattan",
        **latency,
        "link_power_type": "constant",
        "link_power": 1,
        "packaging_yield": 0.9,
        "bump_pitch": pitch,
        "non_data_wires": NON_DATA_WIRES,
        "is_active": bool(routers),
        "latency_irouter": round(max((node.latency for node in package.switches), default=0.0) * CLOCK, 3),
        "power_irouter": 0.25,
        "has_interposer": True,
        "interposer_technology": "interposer",
    }
    technologies = {
        name: {
            "phy_latency": NEARLY_NONE,
            "wafer_radius": of,
            "wafer_cost": 1000,
            "defect_density": 0.001,
        }
        for name, of in radius.items()
    }
    topology = [{key: wire[key] for key in ("ep1", "ep2")} for wire in wires]
    large = len(dies) > MOST_ROUTED
    if large:
        lost.append(
            f"routing table and traffic: {len(dies)} chiplets have too many pairs; let RapidChiplet's "
            "generate_routing.py and generate_traffic.py make them"
        )
    parts = {
        "chiplets": types,
        "placement": {"chiplets": placed, "interposer_routers": routers},
        "topology": topology,
        "packaging": packaging,
        "technologies": technologies,
        "booksim_config": booksim_config(),
    }
    if not large:
        traffic = uniform_traffic(package, number)
        parts["routing_table"] = routing_table(package, number)
        parts |= {"traffic_by_chiplet": traffic.by_chiplet, "traffic_by_unit": traffic.by_unit}
    (folder / "results").mkdir(parents=True, exist_ok=True)
    design = {
        "design_name": _file_name(package.name),
        **{key: f"{key}.json" for key in parts},
        "trace": "none",
    }
    for name, content in {"design": design, **parts}.items():
        replace_file(folder / f"{name}.json", json.dumps(content, indent=None if name in PAIRS else 1) + "\n")
    return tuple(lost)


def _file_name(name: str) -> str:
    """Return a name that RapidChiplet may use for files and BookSim in its configuration."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return plain if plain[:1].isalpha() else f"d{plain}"


def _merged(package: Package) -> tuple[list[Link], int]:
    """Return the links with parallel ones as one of all their bandwidth, and how many that were."""
    by_ends: dict[frozenset[str], list[Link]] = {}
    for link in package.links:
        by_ends.setdefault(frozenset((link.a, link.b)), []).append(link)
    found = []
    for several in by_ends.values():
        total = sum(max(link.bandwidth, link.backward_bandwidth) for link in several)
        quickest = min(link.latency for link in several)
        found.append(
            dataclasses.replace(
                several[0], bandwidth=total, reverse_bandwidth=None, latency=quickest, half_duplex=False
            )
        )
    return found, len(package.links) - len(found)


def _bits(link: Link) -> float:
    """Return the wires of both directions of a link, at a bit per wire and cycle."""
    return float(max(1, round(2 * link.bandwidth * 8 / CLOCK)))


def _wires(
    package: Package, links: list[Link], number: Mapping[str, tuple[str, int]]
) -> tuple[list[dict[str, Any]], dict[str, list[tuple[float, float, float]]], int]:
    """Return the links with their ends and length, and the PHYs of each node: its place in mm, and wires."""
    ports: dict[str, list[tuple[float, float, float]]] = {node.name: [] for node in package.nodes}
    wires, inexact = [], 0
    for link in links:
        a, b, exact = phy_points(package, link)
        inexact += not exact
        wire: dict[str, Any] = {}
        for key, name, (x, y) in (("ep1", link.a, a), ("ep2", link.b, b)):
            node = package[name]
            (cx, cy), (width, height) = node.position or (0.0, 0.0), node.size or (0.0, 0.0)
            kind, outer = number[name]
            wire[key] = {"type": kind, "outer_id": outer, "inner_id": len(ports[name])}
            place = (
                min(max(_mm(x - cx + width / 2), 0.0), _mm(width)),
                min(max(_mm(y - cy + height / 2), 0.0), _mm(height)),
            )
            ports[name].append((*place, _bits(link)))
        wire["length"] = _mm(abs(a[0] - b[0]) + abs(a[1] - b[1]))
        wires.append(wire)
    return wires, ports, inexact


def _pitch(dies: list[Node], ports: Mapping[str, list[tuple[float, float, float]]]) -> float:
    """Return a bump pitch in mm at which the PHYs of every chiplet fit."""
    pitch = PITCH
    for node in dies:
        width, height = node.size or (0.0, 0.0)
        wires = sum(bits + NON_DATA_WIRES + 1 for _, _, bits in ports[node.name])
        if wires:
            fits = math.sqrt(_mm(width) * _mm(height) * (1 - POWER_SHARE) / wires)
            pitch = min(pitch, fits)
    if pitch == PITCH:
        return pitch
    digits = 2 - math.floor(math.log10(pitch))
    return float(math.floor(pitch * 10.0**digits) / 10.0**digits)


def _type(node: Node, points: list[tuple[float, float, float]], pitch: float) -> dict[str, Any]:
    """Return a chiplet type: outline, PHYs, power and latency."""
    width, height = (_mm(side) for side in node.size or (0.0, 0.0))
    bumps = width * height * (1 - POWER_SHARE) / pitch**2
    memory = isinstance(node, Memory)
    role = node.role if isinstance(node, Chiplet) else ""
    phys = [
        {
            "x": x,
            "y": y,
            # a thousandth of a wire keeps RapidChiplet's rounding down from losing one
            "fraction_bump_area": (bits + NON_DATA_WIRES + 1e-3) / bumps,
        }
        for x, y, bits in points
    ]
    latency = 0.0 if memory else round(node.latency * CLOCK, 3)
    return {
        "dimensions": {"x": width, "y": height},
        "type": "memory" if memory else "io" if role == "io" else "compute",
        "phys": phys,
        "fraction_power_bumps": POWER_SHARE,
        "technology": "default",
        "power": POWER + PHY_POWER * len(points),
        "relay": not memory,
        "internal_latency": latency or NEARLY_NONE,
        "unit_count": 1,
    }


def _type_name(types: dict[str, Any], node: Node, content: dict[str, Any]) -> str:
    """Return the name of a type, which it has in common with all chiplets that are alike."""
    size, count = content["dimensions"], len(content["phys"])
    stem = f"{content['type']}_{size['x']:g}x{size['y']:g}_{count}phys"
    name, i = stem, 1
    while types.setdefault(name, content) != content:
        i += 1
        name = f"{stem}_{i}"
    return name


def _latency(
    package: Package, links: list[Link], wires: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Return the latency of links as RapidChiplet has it, and what of it is lost."""
    if not links:
        return {"link_latency_type": "constant", "link_latency": 1}, []
    exact = np.array([link.latency for link in links]) * CLOCK
    cycles = cycles_of(exact / CLOCK, CLOCK)
    lost = []
    rounded = int((np.abs(exact - cycles) > 1e-6).sum())
    if rounded:
        lost.append(f"latencies of {rounded} links: rounded up to whole cycles of 1 ns")
    if len(set(cycles.tolist())) == 1:
        return {"link_latency_type": "constant", "link_latency": int(cycles[0])}, lost
    by_length: dict[float, list[int]] = {}
    for wire, count in zip(wires, cycles.tolist(), strict=True):
        by_length.setdefault(round(wire["length"], 6), []).append(count)
    different = sum(count != max(counts) for counts in by_length.values() for count in counts)
    if different:
        lost.append(
            f"latencies of {different} links: RapidChiplet has one for all links of a length, the longest"
        )
    steps = [(length, max(counts)) for length, counts in sorted(by_length.items())]
    text = str(steps[-1][1])
    for (length, count), (longer, _) in reversed(list(pairwise(steps))):
        if str(count) != text.split(" ", 1)[0]:
            text = f"{count} if x < {_middle(length, longer)!r} else {text}"
    formula = f"lambda x : {text}"
    if len(formula) > MOST_CHARACTERS:
        lost.append(
            f"latencies by length: {len(steps)} of them make too long a formula; all links have the longest"
        )
        return {"link_latency_type": "constant", "link_latency": int(max(cycles))}, lost
    return {"link_latency_type": "function", "link_latency": formula}, lost


def _middle(low: float, high: float) -> float:
    return round((low + high) / 2, 7)


def _wafers(
    types: Mapping[str, Any], placed: list[dict[str, Any]], routers: list[dict[str, Any]]
) -> tuple[dict[str, float], list[str]]:
    """Return the wafer radius in mm of chiplets and interposer, and what to tell of them."""
    largest = max(kind["dimensions"]["x"] * kind["dimensions"]["y"] for kind in types.values())
    spans = []
    for axis in "xy":
        low = [entry["position"][axis] for entry in (*placed, *routers)]
        high = [entry["position"][axis] + types[entry["name"]]["dimensions"][axis] for entry in placed] + [
            entry["position"][axis] for entry in routers
        ]
        spans.append(max(high) - min(low))
    area = spans[0] * spans[1]
    radius = {"default": _radius(largest), "interposer": _radius(area)}
    told = [
        f"the wafer: its cost is for a radius of {of:g} mm, the least for {what} of {size:.0f} mm2"
        for what, of, size in (
            ("a chiplet", radius["default"], largest),
            ("an interposer", radius["interposer"], area),
        )
        if of > WAFER_RADIUS
    ]
    return radius, told


def _radius(area: float) -> float:
    """Return a wafer radius in mm, a multiple of 10, at which RapidChiplet counts a die of an area."""
    radius = WAFER_RADIUS
    while math.pi * radius**2 / area - math.pi * 2 * radius / math.sqrt(2 * area) < 1:
        radius = max(radius + 10, math.floor(radius * 1.02 / 10) * 10)
    return radius


def _other_losses(package: Package, links: list[Link]) -> list[str]:
    lost = []
    uneven = sum(
        link.backward_bandwidth not in (0.0, link.bandwidth) and link.bandwidth > 0 for link in package.links
    )
    if uneven:
        lost.append(f"bandwidths of {uneven} links that differ by direction: the wider one is written")
    rounded = sum(abs(2 * link.bandwidth * 8 / CLOCK - _bits(link)) > 1e-6 for link in links)
    if rounded:
        lost.append(f"bandwidths of {rounded} links: rounded to half a bit per cycle of 1 ns")
    switches = {switch.name for switch in package.switches}
    inner = sum(link.a in switches and link.b in switches for link in links)
    if inner:
        lost.append(f"bandwidths of {inner} links between switches: RapidChiplet has no limit for them")
    if package.switches:
        lost.append("outlines of switches: RapidChiplet's interposer routers are points")
    if len({switch.latency for switch in package.switches}) > 1:
        lost.append("latencies of switches: RapidChiplet has one for all, the longest")
    if package.memories:
        lost.append("which chiplets a memory serves, its kind, capacity, energy, latency and port bandwidth")
    return lost


def _mm(length: float) -> float:
    """Return a length in mm without the noise of binary fractions, which would make neighbours overlap."""
    return round(length / MILLI, 9)
