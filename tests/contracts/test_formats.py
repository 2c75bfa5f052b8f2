"""Every topology format over every builder: what is said without loss comes back equal."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from noptoolkit import Memory, Package
from noptoolkit.errors import TopologyError
from noptoolkit.formats import FORMATS, convert, import_topology, load_topology, save_topology
from noptoolkit.topology import BUILDERS

EXACT = {"toml": ".toml", "graphml": ".graphml", "dot": ".dot", "node-link": ".json"}
PACKAGES = {name: build(attention=True, memory=True) for name, build in BUILDERS.items()}


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


@pytest.mark.parametrize("name", BUILDERS)
def test_booksim(name: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.anynet"
    lost = save_topology(PACKAGES[name], path)
    assert any("memory stacks" in text for text in lost)
    back = load_topology(path)
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
    assert edges(read.package, same(read.package)) == edges(PACKAGES[name], renamed)
    assert len(read.package.memories) == len(PACKAGES[name].memories)
    for node, other in zip(PACKAGES[name].chiplets, read.package.chiplets, strict=True):
        assert other.position == pytest.approx(node.position)
        assert other.size == pytest.approx(node.size)


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
        with pytest.raises(TopologyError, match="ASTRA-sim knows"):
            save_topology(plain, path)
        return
    assert save_topology(plain, path)
    back = load_topology(path)
    renamed = same(plain) | {"hub": "sw0_0"}
    assert edges(back, same(back)) == edges(plain, renamed)
    assert {link.bandwidth for link in back.links} == {128e9}
    assert {link.latency for link in back.links} == {5e-9}


def test_every_format_is_tested() -> None:
    assert set(FORMATS) == {*EXACT, "booksim", "rapidchiplet", "svg", "astra-sim"}
