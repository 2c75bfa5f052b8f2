"""One table of everything: complete where it can be, and honest where it cannot."""

import dataclasses

import networkx as nx
import pytest

from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import load_topology
from noptoolkit.physical import TECHNOLOGIES, link_power, measured_links, profile
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


def test_what_is_not_placed_has_no_physics() -> None:
    package = nop_tree(2, 2)
    bare = package.replace(nodes=[dataclasses.replace(node, position=None) for node in package.nodes])
    found = profile(bare)
    assert "area" not in found.entries
    assert any("no physical measurements" in line for line in found.notes())
    with pytest.raises(UnknownNameError, match="did you mean 'diameter'"):
        found["diametre"]
