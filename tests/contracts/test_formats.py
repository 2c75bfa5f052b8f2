"""Every topology format over every builder: what is said without loss comes back equal."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from noptoolkit import Link, Memory, Package, Switch
from noptoolkit.errors import TopologyError
from noptoolkit.formats import (
    FORMATS,
    convert,
    import_topology,
    list_topologies,
    load_topology,
    save_topology,
)
from noptoolkit.topology import BUILDERS, fully_connected

EXACT = {"toml": ".toml", "graphml": ".graphml", "dot": ".dot", "node-link": ".json", "gml": ".gml"}
PACKAGES = {name: build(attention=True, memory=True) for name, build in BUILDERS.items()}
OF_EACH_KIND = {
    *("mozart-nop-tree", "mesh-4x4-in-network", "torus-4x4", "star-16", "hexamesh-19", "kite-medium-4x4"),
    *("ring-of-meshes-16", "dragonfly-16", "dgx-h100-64", "frontier-32", "wafer-mesh-16", "mesh-3d-4x2x2"),
}
"""Presets of every run: trees, grids, tilted and one-way links, switches, machines; `make long` takes all."""

PRESETS = [
    pytest.param(name, marks=() if name in OF_EACH_KIND else pytest.mark.long) for name in list_topologies()
]


def edges(package: Package, renamed: dict[str, str]) -> Counter[frozenset[str]]:
    """Return how many die-to-die links join each pair of nodes, under other names."""
    return Counter(
        frozenset((renamed[link.a], renamed[link.b]))
        for link in package.links
        if link.a in renamed and link.b in renamed
    )


def same(package: Package) -> dict[str, str]:
    return {node.name: node.name for node in package.nodes if not isinstance(node, Memory)}


@pytest.mark.parametrize("format", EXACT)
@pytest.mark.parametrize("name", BUILDERS)
def test_round_trip(name: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"topology{EXACT[format]}"
    done = convert(PACKAGES[name], path)
    assert done.lost == ()
    read = import_topology(path)
    assert read.package == PACKAGES[name]
    assert read.assumed == ()
    assert read.ignored == ()


@pytest.mark.parametrize("format", EXACT)
@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back(name: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"topology{EXACT[format]}"
    assert save_topology(load_topology(name), path) == ()
    assert load_topology(path) == load_topology(name)


@pytest.mark.parametrize("name", BUILDERS)
def test_booksim(name: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.anynet"
    lost = save_topology(PACKAGES[name], path)
    assert any("memory stacks" in text for text in lost)
    back = load_topology(path, bandwidth="128 GB/s")
    routers = [node for node in PACKAGES[name].nodes if not isinstance(node, Memory)]
    chiplets = PACKAGES[name].terminals
    renamed = {node.name: f"r{i}" for i, node in enumerate(routers)}
    renamed |= {chiplet: f"n{i}" for i, chiplet in enumerate(chiplets)}
    assert edges(back, same(back)) == Counter(set(edges(PACKAGES[name], renamed)))
    assert len(back.chiplets) == len(chiplets)
    config = path.with_suffix(".cfg").read_text()
    assert "network_file = topology.anynet;" in config


@pytest.mark.parametrize("name", BUILDERS)
def test_rapidchiplet(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "design"
    assert save_topology(PACKAGES[name], folder)
    read = import_topology(folder)
    renamed = {node.name: f"c{i}" for i, node in enumerate(PACKAGES[name].chiplets)}
    renamed |= {node.name: f"r{i}" for i, node in enumerate(PACKAGES[name].switches)}
    assert edges(read.package, same(read.package)) == Counter(set(edges(PACKAGES[name], renamed)))
    assert len(read.package.memories) == len(PACKAGES[name].memories)
    for node, other in zip(PACKAGES[name].chiplets, read.package.chiplets, strict=True):
        assert other.position == pytest.approx(node.position)
        assert other.size == pytest.approx(node.size)


CROWDED = {f"{n} PHYs": fully_connected(n + 1) for n in (9, 11, 49)}  # n x (1 / n) > 1 in binary fractions


@pytest.mark.parametrize("name", [*BUILDERS, *CROWDED])
def test_rapidchiplet_keeps_to_its_rules(name: str, tmp_path: Path) -> None:
    """What RapidChiplet's validation.py asks of chiplets, placement and topology."""
    package = (PACKAGES | CROWDED)[name]
    save_topology(package, tmp_path)
    types, placement, topology = (
        json.loads((tmp_path / f"{part}.json").read_text()) for part in ("chiplets", "placement", "topology")
    )
    for kind in types.values():
        assert min(kind["dimensions"].values()) > 0
        assert all(0 <= phy[axis] <= kind["dimensions"][axis] for phy in kind["phys"] for axis in "xy")
        assert sum(phy["fraction_bump_area"] for phy in kind["phys"]) <= 1.0
        assert kind["internal_latency"] > 0
        assert kind["unit_count"] >= 1
    boxes = []
    for chiplet in placement["chiplets"]:
        (x, y), size = chiplet["position"].values(), types[chiplet["name"]]["dimensions"]
        boxes.append((x, x + size["x"], y, y + size["y"]))
    for (l1, r1, t1, b1), (l2, r2, t2, b2) in combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    used = [(end["type"], end["outer_id"], end["inner_id"]) for link in topology for end in link.values()]
    assert len(set(used)) == len(used), "each PHY and each port once"
    for kind, outer, inner in used:
        if kind == "irouter":
            assert inner < placement["interposer_routers"][outer]["ports"]
        else:
            assert inner < len(types[placement["chiplets"][outer]["name"]]["phys"])


def test_rapidchiplet_takes_dies_that_touch(tmp_path: Path) -> None:
    save_topology(BUILDERS["mesh"](7, chiplet_size=("3.3 mm", "0.7 mm"), spacing=0.0), tmp_path)
    placement = json.loads((tmp_path / "placement.json").read_text())
    rights = {chiplet["position"]["x"] for chiplet in placement["chiplets"]}
    assert sorted(rights) == [round(3.3 * i - 1.65, 9) for i in range(7)]


@pytest.mark.parametrize("name", BUILDERS)
def test_svg_is_xml(name: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    assert save_topology(PACKAGES[name], path)
    root = ElementTree.parse(path).getroot()
    rectangles = [element for element in root.iter() if element.tag.endswith("rect")]
    assert [element.get("id") for element in rectangles] == [node.name for node in PACKAGES[name].nodes]


PRODUCTS = [
    "star",
    "ring",
    "torus",
    "torus_3d",
    "folded_torus",  # folded rings of 4 are products of two links
    "sparse_hamming_graph",  # strides 1 and 3 of 4 make a ring
    "hypercube",
    "flattened_butterfly",
    "fully_connected",
]


@pytest.mark.parametrize("name", BUILDERS)
def test_astrasim(name: str, tmp_path: Path) -> None:
    path = tmp_path / "network.yml"
    plain = BUILDERS[name](attention=False, memory=True, link_latency="5 ns")
    if name not in PRODUCTS:
        with pytest.raises(TopologyError, match="all that ASTRA-sim knows"):
            save_topology(plain, path)
        return
    assert save_topology(plain, path)
    back = load_topology(path)
    renamed = same(plain) | {"hub": "sw0_0"}
    assert edges(back, same(back)) == edges(plain, renamed)
    assert {link.bandwidth for link in back.links} == {128e9}
    assert {link.latency for link in back.links} == {5e-9}


def differences(package: Package, back: Package, renamed: dict[str, str]) -> set[str]:
    """Return the word that a report must have for each difference between a package and what came back."""
    found = set()
    if len(back.memories) < len(package.memories):
        found.add("memory stack")
    for name, other_name in renamed.items():
        if other_name not in back.index:
            found.add(f"{name!r}")
            continue
        node, other = package[name], back[other_name]
        for field, word in NODE_WORDS.items():
            value = getattr(node, field, None)
            if value not in (None, 0.0, False) and value != pytest.approx(getattr(other, field, None)):
                found.add(word)
    pairs: list[dict[frozenset[str], list[Link]]] = []
    for one, names in ((package, renamed), (back, {})):
        pairs.append({})
        for link in one.links:
            ends = frozenset(names.get(end, "" if names else end) for end in (link.a, link.b))
            pairs[-1].setdefault(ends, []).append(link)
    for ends, links in pairs[0].items():
        others = pairs[1].get(ends)
        if others is None or not ends <= set(back.index):
            continue  # of a node that is reported
        widths = [
            sum(max(link.bandwidth, link.backward_bandwidth) for link in several)
            for several in (links, others)
        ]
        if widths[0] != pytest.approx(widths[1]):
            found.add("bandwidths|parallel")
        if len(links) != len(others):
            found.add("parallel")
        for field, word in LINK_WORDS.items():
            values = {getattr(link, field) for link in links} - {None}
            if (
                values
                and values != {getattr(link, field) for link in others}
                and not all(value == pytest.approx(getattr(others[0], field)) for value in values)
            ):
                found.add(word)
    return found


NODE_WORDS = {
    "flops": "compute",
    "sram": "compute",
    "sram_bandwidth": "compute",
    "injection_bandwidth": "injection",
    "ejection_bandwidth": "ejection",
    "crossbar_bandwidth": "crossbar",
    "replicates": "replication",
    "reduces": "reduction",
    "latency": "latencies of|latency",
    "group": "groups",
    "position": "positions",
    "size": "positions|outlines of switches",
}
LINK_WORDS = {
    "kind": "kinds",
    "latency": "latencies of",
    "energy_per_bit": "energies",
    "half_duplex": "half duplex",
    "length": "lengths",
}
LOSSY = {"booksim": "x.anynet", "astra-sim": "x.yml", "rapidchiplet": "folder", "infragraph": "x.infragraph"}


@pytest.mark.parametrize("format", LOSSY)
@pytest.mark.parametrize("name", PRESETS)
def test_what_differs_is_reported(name: str, format: str, tmp_path: Path) -> None:
    package = load_topology(name)
    products = ("star", "ring-16", "torus", "folded-torus", "sparse", "hypercube", "flattened", "fully")
    if format == "astra-sim" and not name.startswith(products):
        with pytest.raises(TopologyError, match="all that ASTRA-sim knows"):
            save_topology(package, tmp_path / LOSSY[format], format=format)
        return
    lost = " | ".join(save_topology(package, tmp_path / LOSSY[format], format=format))
    if format == "infragraph":
        pytest.importorskip("infragraph")
    back = load_topology(tmp_path / LOSSY[format], format=format, bandwidth=package.links[0].bandwidth)
    dies = [node.name for node in package.nodes if not isinstance(node, Switch)]
    match format:
        case "booksim":
            renamed = {name: f"n{i}" for i, name in enumerate(package.terminals)}
            routers = [node.name for node in package.nodes if not isinstance(node, Memory)]
            renamed |= {switch.name: f"r{routers.index(switch.name)}" for switch in package.switches}
        case "astra-sim":
            renamed = {name: f"e{i}" for i, name in enumerate(package.experts)}
            renamed |= {name: "none" for name in package.terminals if name not in package.experts}
            renamed |= {switch.name: f"sw0_{i}" for i, switch in enumerate(package.switches)}
        case "infragraph":
            renamed = {node.name: node.name for node in package.nodes}
        case _:
            stacks = {memory.name for memory in package.memories}
            renamed = {name: f"{'m' if name in stacks else 'c'}{i}" for i, name in enumerate(dies)}
            renamed |= {switch.name: f"r{i}" for i, switch in enumerate(package.switches)}
    for word in differences(package, back, renamed):
        assert any(part in lost for part in word.split("|")), f"{word} differs, and nothing says so: {lost}"


def test_every_format_is_tested() -> None:
    assert set(FORMATS) == {*EXACT, *LOSSY, "svg"}
