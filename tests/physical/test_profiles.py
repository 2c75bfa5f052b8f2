"""One table of everything: complete where it can be, and honest where it cannot."""

import dataclasses

import networkx as nx
import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.formats import load_topology
from noptoolkit.physical import TECHNOLOGIES, Violation, link_power, measured_links, package_cost, profile
from noptoolkit.physical.profiles import Entry, Profile
from noptoolkit.structure.profile import edge_connectivity
from noptoolkit.topology import BUILDERS, mesh, nop_tree, torus


@pytest.mark.parametrize("name", BUILDERS)
def test_every_family(name: str) -> None:
    package = BUILDERS[name](attention=True, memory=True, link_latency="1 ns", memory_energy="4 pJ/bit")
    found = profile(package)
    head, body = found.cells()
    assert all(len(row) == len(head) for row in body)
    assert found["mean hops"] <= found["diameter"]
    assert found["latency"] == pytest.approx(found["mean hops"] * 1e-9, rel=1e-6)
    assert found["greatest latency"] == pytest.approx(found["diameter"] * 1e-9, rel=1e-6)
    assert "cost" in found.entries or any("does not fit a wafer" in line for line in found.notes())
    graph = nx.MultiGraph(
        (link.a, link.b) for link in package.links if "hbm" not in link.a and "hbm" not in link.b
    )
    simple = nx.Graph()
    for a, b in graph.edges():
        weight = simple.get_edge_data(a, b, {"weight": 0})["weight"] + 1
        simple.add_edge(a, b, weight=weight)
    assert edge_connectivity(package) == nx.stoer_wagner(simple)[0]


def test_two_dies_by_hand() -> None:
    """Dies of 10 mm x 6 mm, 10 mm apart, joined by 112 GB/s each way at 0.6 pJ/bit and 224 GB/s per mm."""
    nodes = [Chiplet(name, position=(x, 0), size=(0.01, 0.006)) for name, x in (("a", 0), ("b", 0.02))]
    found = profile(Package("pair", nodes, [Link("a", "b", "112 GB/s", latency="3 ns")]))
    expected = {
        "chiplets": 2, "switches": 0, "links": 1, "bandwidth": 224e9, "least degree": 1, "greatest degree": 1,
        "diameter": 1, "mean hops": 1, "path diversity": 1, "connectivity": 1, "spectral gap": 2,
        "bisection": 112e9, "latency": 3e-9, "greatest latency": 3e-9, "wire length": 0.01,
        "longest link": 0.01, "area": 0.03 * 0.006, "beachfront": 2e-3, "fullest edge": 1 / 6,
        "link power": 8 * 224e9 * 0.6e-12, "assembly yield": 0.99**2,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert set(found.entries) == {*expected, "cost"}
    assert found.entries["bisection"].meaning == "between halves of the chiplets, exact"
    assert any(line.startswith("bisection: proof by ") for line in found.notes())
    assert found["cost"] == package_cost(found.package).total


def test_the_fullest_edge_is_that_of_the_shorter_die() -> None:
    """Sides of 6 mm and 2 mm, of which the link takes 1 mm each."""
    nodes = [
        Chiplet(name, position=(x, 0), size=(0.01, height))
        for name, x, height in (("a", 0, 0.006), ("b", 0.02, 0.002), ("c", 0.04, 0.006))
    ]
    found = profile(Package("row", nodes, [Link("a", "b", "112 GB/s"), Link("b", "c", "112 GB/s")]))
    assert found["fullest edge"] == pytest.approx(1 / 2)


def test_a_die_alone() -> None:
    found = profile(Package("die", [Chiplet("a", position=(0, 0), size=(0.01, 0.006))], []))
    names = ("links", "wire length", "longest link", "beachfront", "fullest edge", "link power")
    assert {found[name] for name in names} == {0}
    assert not {"bisection", "latency"} & set(found.entries)


def test_what_is_missing_is_said() -> None:
    nodes = [
        Chiplet("a", position=(0, 0), size=(0.5, 0.5)),
        Chiplet("b", position=(0.3, 0), size=(0.01, 0.01)),
    ]
    slab = Package("slab", nodes, [Link("a", "b", 1e9)])
    found = profile(slab, "wires-50um")
    assert not {"cost", "assembly yield", "link power"} & set(found.entries)
    for said in (
        "no cost: package 'slab': a die of 500 mm x 500 mm does not fit",
        "no link power: wires-50um",
    ):
        assert sum(line.startswith(said) for line in found.notes()) == 1


def test_dies_without_outlines_have_no_edge_to_fill() -> None:
    points = Package(
        "points", [Chiplet(n, position=(x, 0)) for n, x in (("a", 0), ("b", 0.01))], [Link("a", "b", 1e9)]
    )
    found = profile(points)
    assert (found["wire length"], found["fullest edge"]) == (0.01, 0)
    assert any(line.startswith("no cost: package 'points': 'a' has no size") for line in found.notes())


def test_numbers_are_shown_whole_or_to_four_digits() -> None:
    shown = [
        (12345.0, "", "12345"),
        (8 / 3, "", "2.667"),
        (6, "", "6"),
        (0.001, "m", "1 mm"),
        (2e-4, "m2", "200 mm2"),
    ]
    for value, unit, text in shown:
        assert Entry(value, unit, "").text() == text


def test_the_worst_of_each_rule_is_named() -> None:
    far = [
        Violation("reach", f"link {name}", length, 0.025, "m") for name, length in (("x", 0.03), ("y", 0.05))
    ]
    for broken in (far, far[::-1]):
        notes = Profile(mesh(2), TECHNOLOGIES["ucie-2d"], {}, tuple(broken), ("a remark",)).notes()
        assert notes[0] == "not buildable with ucie-2d: 2 x reach, the worst: " + str(far[1])
        assert notes[1:] == ["a remark", f"ucie-2d: {TECHNOLOGIES['ucie-2d'].source}"]


def test_notes_say_what_cannot_be_built() -> None:
    found = profile(load_topology("mozart-nop-tree"))
    assert any("reach" in line and "16 x" in line for line in found.notes())
    fine = profile(mesh(4))
    assert fine.notes()[0].startswith("buildable with ucie-2d")
    assert fine["connectivity"] == 2
    assert profile(torus(4))["connectivity"] == 4


def test_a_latency_that_nobody_gave_is_not_nought() -> None:
    found = profile(mesh(4))
    assert "latency" not in found.entries
    assert "no latency: none is given of any link, chiplet or switch" in found.notes()
    assert profile(mesh(4, router_latency="2 ns"))["latency"] == pytest.approx(2e-9 * (1 + 8 / 3))


@pytest.mark.parametrize("technology", ["ucie-2d", "ucie-2.5d"])
def test_power_is_that_of_all_channels(technology: str) -> None:
    package = load_topology("mozart-nop-tree")
    measured = measured_links(package, TECHNOLOGIES[technology])
    assert profile(package, technology)["link power"] == pytest.approx(link_power(measured).sum())
    assert "link power" not in profile(mesh(2), "wires-50um").entries


def test_degrees_are_the_fewest_and_the_most() -> None:
    """On a mesh of 3 x 3, two links at a corner and four in the middle; a name is no package."""
    found = profile(mesh(3))
    assert (found["least degree"], found["greatest degree"]) == (2, 4)
    with pytest.raises(TopologyError, match="'mesh-3x3' is not a Package"):
        profile("mesh-3x3")  # type: ignore[arg-type]


def test_what_is_not_placed_has_no_physics() -> None:
    package = nop_tree(2, 2)
    bare = package.replace(nodes=[dataclasses.replace(node, position=None) for node in package.nodes])
    found = profile(bare)
    assert "area" not in found.entries
    assert any("no physical measurements" in line for line in found.notes())
    with pytest.raises(UnknownNameError, match="did you mean 'diameter'"):
        found["diametre"]
