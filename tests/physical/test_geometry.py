"""Edges, lengths, placements and rules, by hand and by property."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import NopWarning, TopologyError, UnknownNameError
from noptoolkit.formats import list_topologies, load_topology
from noptoolkit.package import LinkKind
from noptoolkit.physical import (
    MEASURES,
    TECHNOLOGIES,
    Technology,
    area,
    beachfront,
    edge_use,
    link_lengths,
    link_ports,
    measured_links,
    normalise,
    organic_panel,
    package_cost,
    place,
    profile,
    violations,
    wire_length,
)
from noptoolkit.physical.geometry import lengths_between
from noptoolkit.topology import (
    BUILDERS,
    folded_torus,
    mesh,
    mesh_3d,
    nop_tree,
    random_regular,
    stack_sram,
    torus,
)


def pair(x: float, y: float, **fields: float) -> Package:
    """Return two dies of 10 mm x 6 mm, the second at (x, y) mm."""
    nodes = [
        Chiplet("a", position=(0, 0), size=(0.01, 0.006)),
        Chiplet("b", position=(x / 1e3, y / 1e3), size=(0.01, 0.006)),
    ]
    return Package("pair", nodes, [Link("a", "b", "112 GB/s", **fields)])


def test_links_leave_through_the_facing_side() -> None:
    ports = link_ports(pair(20, 0))
    assert ports.side.tolist() == [[0, 1]]
    assert ports.point[0].round(9).tolist() == [[0.005, 0], [0.015, 0]]
    assert link_ports(pair(0, -20)).side.tolist() == [[3, 2]]
    slanted = link_ports(pair(12, 15))  # 2.4 half-widths right, 5 half-heights up: through the top
    assert slanted.side.tolist() == [[2, 3]]
    assert slanted.point[0].round(9).tolist() == [[0.0024, 0.003], [0.0096, 0.012]]


def test_lengths() -> None:
    assert link_lengths(pair(20, 10)) == pytest.approx([0.015])
    assert link_lengths(pair(20, 10), "euclidean") == pytest.approx([np.hypot(0.010, 0.005)])
    assert link_lengths(pair(20, 10, length=0.5)) == pytest.approx([0.5])
    assert wire_length(mesh(4)) == pytest.approx(24 * 1e-3)
    assert wire_length(torus(4)) == pytest.approx(24 * 1e-3 + 8 * 23e-3)
    assert link_lengths(folded_torus(4)).max() < link_lengths(torus(4)).max()
    bonds = [link.kind == "hybrid_bond" for link in mesh_3d(2, 2, 2).links]
    assert (link_lengths(mesh_3d(2, 2, 2))[bonds] == 0).all()
    with pytest.raises(TopologyError, match="no wiring"):
        link_lengths(pair(20, 0), "diagonal")


def test_links_at_corners_points_and_overlaps() -> None:
    corner = link_ports(pair(20, 12))  # four half-widths and four half-heights: through the right side
    assert corner.side.tolist() == [[0, 1]]
    assert corner.point[0].round(9).tolist() == [[0.005, 0.003], [0.015, 0.009]]
    point = pair(20, 9)
    point = point.replace(nodes=[point.nodes[0], dataclasses.replace(point.nodes[1], size=None)])
    assert link_ports(point).point[0].round(9).tolist() == [[0.005, 0.00225], [0.02, 0.009]]
    assert link_lengths(point) == pytest.approx([0.015 + 0.00675])
    assert link_lengths(pair(3, 0)) == pytest.approx([0.003])  # centres within the outlines: to each other's
    assert link_lengths(pair(0, 0)) == pytest.approx([0])
    with pytest.raises(ValueError, match="read-only"):
        corner.point[0, 0] = 0.0


def test_lengths_between_any_two() -> None:
    """Right by 20 mm and up by 20 mm; between those two the line leaves through (17, 3) and (3, 17) mm."""
    three = pair(20, 0)
    third = dataclasses.replace(three.nodes[1], name="c", position=(0, 0.02))
    apart = [[0, 10, 14], [10, 0, 28], [14, 28, 0]]
    corner = three.replace(nodes=[*three.nodes, third], links=[*three.links, Link("a", "c", 1.0)])
    assert lengths_between(corner) == pytest.approx(np.array(apart) * 1e-3)
    short, long = Link("c", "a", 1.0, length="2 mm"), Link("c", "b", 1.0, length="50 mm")
    joined = lengths_between(corner.replace(links=[*corner.links, short, long]))
    assert joined == pytest.approx(np.array([[0, 10, 2], [10, 0, 28], [2, 28, 0]]) * 1e-3)


def test_area() -> None:
    assert area(pair(20, 10)) == pytest.approx(0.03 * 0.016)


def test_links_by_geometry() -> None:
    package = measured_links(pair(20, 0), TECHNOLOGIES["rapidchiplet"])
    assert package.links[0].length == pytest.approx(0.01)
    assert package.links[0].latency == pytest.approx(24e-9 + 10 * 0.25e-9)
    ucie = measured_links(mesh(2, memory=True), TECHNOLOGIES["ucie-2d"])
    assert {link.energy_per_bit for link in ucie.links} == {0.6e-12, None}


def test_edge_use() -> None:
    use = edge_use(pair(20, 0), "ucie-2d")
    assert use["a", "right"] == pytest.approx((1e-3, 6e-3))  # 2 x 112 GB/s at 224 GB/s per mm
    assert set(use) == {("a", "right"), ("b", "left")}
    assert beachfront(pair(20, 0), "ucie-2d") == pytest.approx(2e-3)
    with pytest.raises(UnknownNameError, match="did you mean 'ucie-2d'"):
        edge_use(pair(20, 0), "ucie2d")


def test_rules() -> None:
    assert violations(pair(20, 0), "ucie-2d") == ()
    (reach,) = violations(pair(40, 0), "ucie-2d")
    assert (reach.rule, reach.thing) == ("reach", "link a-b")
    assert reach.excess == pytest.approx(30 / 25)
    assert str(reach) == "reach: link a-b needs 30 mm of 25 mm"
    overlap = violations(pair(5, 0), "ucie-2d")[0]
    assert (overlap.rule, overlap.needed) == ("overlap", pytest.approx(5e-3 * 6e-3))
    wide = pair(20, 0)
    wide = wide.replace(links=[Link("a", "b", "1 TB/s")])
    sides = {violation.thing for violation in violations(wide, "ucie-2d")}
    assert sides == {"right side of a", "left side of b"}
    huge = wide.replace(
        nodes=[dataclasses.replace(wide.nodes[0], size=(0.03, 0.03), position=(-0.02, 0)), wide.nodes[1]]
    )
    assert "reticle" in {violation.rule for violation in violations(huge, "ucie-2d")}
    small = [dataclasses.replace(node, size=(1e-3, 1e-3)) for node in pair(1.5, 0).nodes]
    crowded = pair(1.5, 0).replace(nodes=small)
    assert "phy area" in {violation.rule for violation in violations(crowded, "rapidchiplet")}
    assert violations(stack_sram(mesh(2), capacity="1 MB", bandwidth="1 TB/s"), "ucie-2d") == ()


def test_overlaps_by_hand() -> None:
    assert violations(pair(10, 0), "ucie-2d") == violations(pair(0, 6), "ucie-2d") == ()  # they touch
    (corner,) = violations(pair(8, 4), "ucie-2d")
    assert (corner.needed, corner.available) == (pytest.approx(2e-3 * 2e-3), 0.0)
    assert str(corner) == "overlap: a and b needs 4 mm2 of 0 mm2"
    assert corner.excess == float("inf")
    (below,) = violations(pair(-8, -4), "ucie-2d")
    assert (below.thing, below.needed) == ("b and a", pytest.approx(4e-6))
    inner = pair(1, 0.5)
    inner = inner.replace(nodes=[inner.nodes[0], dataclasses.replace(inner.nodes[1], size=(2e-3, 1e-3))])
    assert violations(inner, "wires-50um")[0].needed == pytest.approx(2e-6)
    bonded = pair(8, 4)
    assert violations(bonded.replace(links=[Link("b", "a", 1.0, kind=LinkKind.HYBRID_BOND)]), "ucie-2d") == ()


def test_rules_at_their_limits() -> None:
    """A side of 6 mm takes 6 x 224 GB/s, a link 25 mm, a reticle 26 mm x 33 mm, and PHYs half of a die."""
    full = pair(20, 0).replace(links=[Link("a", "b", "672 GB/s")])
    assert violations(full, "ucie-2d") == ()
    over = pair(20, 0).replace(links=[Link("a", "b", "673 GB/s")])
    assert [found.rule for found in violations(over, "ucie-2d")] == ["beachfront"] * 2
    assert edge_use(pair(0, 20), "ucie-2d")["a", "top"] == pytest.approx((1e-3, 10e-3))
    assert violations(pair(35, 0), "ucie-2d") == ()
    assert [found.rule for found in violations(pair(35.01, 0), "ucie-2d")] == ["reach"]
    assert violations(pair(25, 15, length=0.026), "ucie-2d")[0].needed == 0.026
    for size, broken in (((26, 33), 0), ((33, 26), 0), ((26.1, 33), 1), ((33.1, 26), 1), ((27, 27), 1)):
        alone = Package("p", [Chiplet("a", position=(0, 0), size=(size[0] / 1e3, size[1] / 1e3))], [])
        found = violations(alone, "ucie-2d")
        assert [one.rule for one in found] == ["reticle"] * broken
    assert (found[0].needed, found[0].available) == (pytest.approx(729e-6), pytest.approx(858e-6))
    half = Technology("half", 1e15, phy_area=30e-6)  # half of 10 mm x 6 mm
    assert violations(pair(20, 0), half) == ()
    more = violations(pair(20, 0), dataclasses.replace(half, phy_area=31e-6))
    assert [(one.rule, one.thing, one.needed) for one in more] == [
        ("phy area", "a", pytest.approx(31e-6)),
        ("phy area", "b", pytest.approx(31e-6)),
    ]
    assert more[0].available == pytest.approx(30e-6)


def test_points_have_no_edge() -> None:
    for x, y, sides in ((20, 0, ("right", "left")), (0, 20, ("top", "bottom"))):
        bare = pair(x, y)
        bare = bare.replace(nodes=[dataclasses.replace(node, size=None) for node in bare.nodes])
        assert edge_use(bare, "ucie-2d") == {
            ("a", sides[0]): (pytest.approx(1e-3), 0.0),
            ("b", sides[1]): (pytest.approx(1e-3), 0.0),
        }
        assert {(one.rule, one.excess) for one in violations(bare, "ucie-2d")} == {
            ("beachfront", float("inf"))
        }


def test_presets_are_drawn_without_overlaps() -> None:
    for name in list_topologies():
        package = load_topology(name)
        rules = {violation.rule for violation in violations(package, "ucie-2d")}
        assert "overlap" not in rules
        if package.with_role("attention"):  # machines of nodes and wafers are wider than this technology
            assert "beachfront" not in rules


@settings(max_examples=examples(30), deadline=None)
@given(
    st.sampled_from(sorted(BUILDERS)),
    st.sampled_from(["grid", "hexagonal", "radial", "annealed"]),
    st.floats(0, 5).map(lambda x: round(x, 6)),
    st.integers(0, 99),
)
def test_placements_do_not_overlap(name: str, method: str, spacing: float, seed: int) -> None:
    package = BUILDERS[name](memory=True, attention=True, attention_size=("25 mm", "12 mm"))
    placed = place(package, method, spacing=spacing / 1e3, moves=500, rng=seed)
    assert {violation.rule for violation in violations(placed, "wires-50um")} <= {"beachfront"}
    assert [node.name for node in placed.nodes] == [node.name for node in package.nodes]


def test_radial_placement_puts_hops_on_circles() -> None:
    placed = place(nop_tree(3, 4), "radial")
    reach = {node.name: np.hypot(*node.position) for node in placed.nodes}
    assert reach["attn"] == 0
    assert len({round(reach[switch.name], 9) for switch in placed.switches}) == 1
    assert len({round(reach[name], 9) for name in placed.experts}) == 1
    assert reach["e0"] > reach["sw0"] > 0


def test_annealing() -> None:
    package = random_regular(36, 3, seed=2)
    before, after = place(package), place(package, "annealed", rng=1)
    assert wire_length(after) < 0.8 * wire_length(before)
    assert after == place(package, "annealed", rng=1)
    scrambled = mesh(4).replace(nodes=[mesh(4).nodes[i] for i in np.random.default_rng(0).permutation(16)])
    found = place(scrambled, "annealed", moves=60_000)
    assert wire_length(found) <= 1.3 * wire_length(mesh(4))
    with pytest.raises(TopologyError, match="no method"):
        place(package, "spiral")


@pytest.mark.filterwarnings("ignore:.*at equal cost:noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("by", MEASURES)
def test_normalise(by: str) -> None:
    packages = normalise([nop_tree(4, 4, memory=True), mesh(4, memory=True), torus(4)], by=by)
    totals = [MEASURES[by](package) for package in packages]
    assert totals == pytest.approx([totals[0]] * 3)
    assert {link.bandwidth for link in packages[1].links if link.kind == "memory"} == {256e9}


def test_measures_by_hand() -> None:
    """112 GB/s each way over 10 mm from a chiplet to a chiplet, half of it back from a switch, and a bond."""
    nodes = [*pair(20, 0).nodes, Switch("s", position=(0, 0.02), size=(0.01, 0.006))]
    links = [
        Link("a", "b", "112 GB/s"),
        Link("s", "a", "100 GB/s", reverse_bandwidth="50 GB/s"),
        Link("b", "s", "1 TB/s", kind=LinkKind.SUBSTRATE),
    ]
    package = Package("p", nodes, links)
    assert MEASURES["bandwidth"](package) == pytest.approx(374e9)
    assert MEASURES["beachfront"](package) == pytest.approx(2 * 224e9 + 150e9)
    assert MEASURES["wire"](package) == pytest.approx(224e9 * 0.010 + 150e9 * 0.014)


def test_what_normalising_counts() -> None:
    tree = nop_tree(4, 4)  # 16 leaf links and 4 trunks, each with one end at a chiplet
    for by, ratio in (("bandwidth", 20 / 24), ("beachfront", 20 / 48)):
        grid = normalise([tree, mesh(4)], by=by)[1]
        assert grid.links[0].bandwidth == pytest.approx(128e9 * ratio)


@pytest.mark.filterwarnings("ignore:.*at equal cost:noptoolkit.errors.NopWarning")
def test_equal_cost() -> None:
    tree, grid, wheel = nop_tree(4, 4), mesh(4), torus(4)
    _, mesh_there, torus_there = normalise([tree, grid, wheel], by="cost")
    terms = {"technology": "ucie-2d", "carrier_process": organic_panel()}
    price = package_cost(tree, **terms).total
    for package in (mesh_there, torus_there):
        assert package_cost(package, **terms).total == pytest.approx(price, rel=1e-8)
        assert profile(package)["cost"] == pytest.approx(profile(tree)["cost"], rel=1e-8)
    assert profile(grid)["cost"] != pytest.approx(price, rel=0.01)
    assert (
        mesh_there.links[0].bandwidth > torus_there.links[0].bandwidth > 128e9
    )  # 24 links and 32, no switch
    back = normalise([mesh_there, tree], by="cost")[1]
    assert back.links[0].bandwidth == pytest.approx(128e9, rel=1e-5)
    root = normalise([tree, grid], by=lambda package: package.total_bandwidth**2)[1]
    assert root.total_bandwidth == pytest.approx(tree.total_bandwidth)


def test_equal_cost_says_where_dies_are_too_small() -> None:
    with pytest.warns(
        NopWarning, match="'mesh-4x4': at equal cost 64 dies or sides .* the worst: phy area: e5"
    ):
        _, grid = normalise([nop_tree(4, 4), mesh(4)], by="cost")
    assert sum(found.rule in ("beachfront", "phy area") for found in violations(grid, "ucie-2d")) == 64


def test_normalise_refuses() -> None:
    first = mesh(2)
    with pytest.raises(TopologyError, match="is 12 even without bandwidth, more than the 4"):
        normalise([mesh(2), mesh(3)], by=lambda package: len(package.links))
    with pytest.raises(TopologyError, match="its <lambda> is 4 and does not grow to 12"):
        normalise([mesh(3), mesh(2)], by=lambda package: len(package.links))
    with pytest.raises(TopologyError, match=r"'mesh-3x3': its cost is .* even without bandwidth"):
        normalise([mesh(2), mesh(3)], by="cost")
    with pytest.raises(TopologyError, match="is 4 even without bandwidth, more than the 4 of the first"):
        normalise([first, mesh(2)], by=lambda p: 4.0 if p is first else 4.0 + 1e-12 * p.links[0].bandwidth)
    with pytest.raises(TopologyError, match="jumps over"):
        normalise([first, mesh(2)], by=lambda p: 5.0 if p is first else 1 + 8 * (p.links[0].bandwidth > 2e11))
    with pytest.raises(TopologyError, match="nothing to scale"):
        normalise([mesh(2), mesh(3)], by=lambda package: 0.0)
    assert normalise([]) == ()


def test_unplaced_packages_are_named() -> None:
    package = Package("bare", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1e9)])
    with pytest.raises(TopologyError, match="place"):
        link_lengths(package)
    assert wire_length(place(package)) > 0
    half = [Chiplet("a", position=(0, 0), size=(0.01, 0.01)), Chiplet("b", size=(0.01, 0.01))]
    for ask in (area, package_cost):  # a carrier under half of the dies is none
        for placed in (Package("half", half, package.links), Package("none", half[1:], [])):
            with pytest.raises(TopologyError, match="'b' has no position; give position=, or place"):
                ask(placed)
