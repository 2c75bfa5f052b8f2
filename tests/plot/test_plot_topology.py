"""The picture of a package: what stands where, and how wide its links are."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PatchCollection, PolyCollection
from packages_to_draw import grid

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, Switch, plot
from noptoolkit.drawing.layout import place
from noptoolkit.drawing.ribbons import (
    ROOMY,
    arrange,
    channel_ribbons,
    channel_widths,
    lane_width,
    link_widths,
    relative_width,
)
from noptoolkit.plot._topology import HAIRLINE
from noptoolkit.topology import (
    dragonfly,
    fat_tree,
    folded_torus,
    fully_connected,
    hypercube,
    nop_tree,
    random_regular,
    star,
)


def by_gid(ax, gid):
    return [artist for artist in ax.collections if artist.get_gid() == gid]


def test_leaves_of_a_large_tree_stand_near_its_root() -> None:
    tree = nop_tree(16, 16, attention=True, memory=True)
    layout = place(tree, physical=False)
    root, switch = (layout.centre[tree.index[name]] for name in ("attn", "sw0"))
    far = np.hypot(*(switch - root))
    for name in ("hbm16", "hbm17"):
        assert np.hypot(*(layout.centre[tree.index[name]] - root)) < far / 3


@pytest.mark.parametrize("package", [nop.topology.dgx_h100(64), fat_tree(6, attention=True, memory=True)])
def test_many_chiplets_under_switches_stand_on_a_circle(package: Package) -> None:
    """Boxes are larger than side by side, nothing overlaps, a node's switch is outside."""
    layout = place(package, physical=False)
    across = np.ptp(layout.centre, axis=0).max()
    side_by_side = 0.62 / len(package.chiplets)
    assert 2 * layout.half.max() / across > 1.5 * side_by_side
    apart = np.abs(layout.centre[:, None] - layout.centre[None])
    over = (apart < layout.half[:, None] + layout.half[None]).all(axis=2)
    assert not (over & ~np.eye(len(over), dtype=bool)).any()
    if "nv0" in package.index:
        reach = np.hypot(*layout.centre.T)
        assert reach[package.index["nv0"]] > reach[package.index["e0"]] > reach[package.index["rail0"]]


def test_import_leaves_pyplot_alone() -> None:
    code = "import sys, noptoolkit.plot; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_node_is_drawn_by_kind(tree: Package) -> None:
    ax = plot.topology(tree)
    counts = {
        boxes.get_gid(): len(boxes.get_paths())
        for boxes in ax.collections
        if isinstance(boxes, PatchCollection)
    }
    assert counts == {"attention chiplet": 1, "switch": 2, "expert chiplet": 4, "memory stack": 1}
    assert {text.get_text() for text in ax.texts} >= {node.name for node in tree.nodes}


def test_link_widths_are_proportional_to_bandwidth(tree: Package) -> None:
    ax = plot.topology(tree)
    (lines,) = by_gid(ax, "d2d links")
    assert isinstance(lines, LineCollection)
    widths = np.array(lines.get_linewidths())
    assert widths[:2] / widths[2] == pytest.approx(512 / 128)
    (memory,) = by_gid(ax, "memory links")
    assert memory.get_linewidths()[0] / widths[2] == pytest.approx(256 / 128)


def test_legend_names_kinds_and_bandwidths(tree: Package) -> None:
    legend = plot.topology(tree).get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert "memory stack" in texts
    assert "link, 512 GB/s" in texts
    assert "link, 128 GB/s" in texts


def test_positions_are_physical_where_all_nodes_have_one() -> None:
    package = grid(3)
    layout = place(package)
    assert layout.kind == "physical"
    assert layout.centre.tolist() == [list(node.position) for node in package.nodes]


def test_layout_depends_on_nothing_but_the_graph(tree: Package) -> None:
    assert np.array_equal(place(tree).centre, place(tree).centre)
    centre = place(tree).centre
    assert len(np.unique(centre.round(6), axis=0)) == len(tree.nodes)
    depth = {name: centre[tree.index[name], 1] for name in ("attn", "sw0", "e0")}
    assert depth["attn"] > depth["sw0"] > depth["e0"]


def test_tangled_positions_are_given_up() -> None:
    assert arrange(fully_connected(16))[0].kind == "circle"
    assert arrange(fully_connected(16), physical=True)[0].kind == "physical"
    for package in (grid(4, wrap=True), folded_torus(4), hypercube(4)):
        assert arrange(package)[0].kind == "physical"


@pytest.mark.parametrize(
    "package",
    [nop_tree(4, 4), nop_tree(16, 16), star(40), fat_tree(4), dragonfly(), fully_connected(9)],
    ids=lambda package: package.name,
)
def test_no_two_boxes_overlap(package: Package) -> None:
    layout = place(package, physical=False)
    apart = np.abs(layout.centre[:, None] - layout.centre) - layout.half[:, None] - layout.half
    gap = apart.max(axis=2) + np.diag(np.full(len(package.nodes), np.inf))
    assert gap.min() > 0


def test_layers_and_circles_where_positions_do_not_serve() -> None:
    layout = arrange(fat_tree(4))[0]
    assert layout.kind == "layers"
    bare = dragonfly()
    layout = arrange(bare)[0]
    assert layout.kind == "circle"
    on = {bare.nodes[i].name for i in np.flatnonzero(layout.on_circle)}
    assert on == {node.name for node in bare.switches}
    assert (
        np.hypot(*layout.centre[~layout.on_circle].T).min()
        > np.hypot(*layout.centre[layout.on_circle].T).max()
    )


def test_an_attention_chiplet_stands_under_the_layers() -> None:
    package = fat_tree(4, attention=True)
    layout = arrange(package)[0]
    assert layout.kind == "layers"
    height = layout.centre[:, 1]
    assert height[package.index["attn"]] < min(height[package.index[name]] for name in package.experts)


@pytest.mark.parametrize("leaves", [3, 5, 9, 12])
def test_no_line_of_a_tree_crosses_the_box_of_a_sibling(leaves: int) -> None:
    nodes = [Switch("hub"), *(Chiplet(f"e{i}") for i in range(leaves))]
    package = Package("star", nodes, [Link("hub", f"e{i}", "1 GB/s") for i in range(leaves)])
    layout, lines = arrange(package)
    assert layout.kind == "tree"
    for i, (line,) in enumerate(lines):
        fine = np.linspace(*line, 80)
        inside = (np.abs(fine[:, None] - layout.centre) < layout.half + 0.05).all(axis=2).any(axis=0)
        assert set(np.flatnonzero(inside)) <= {0, i + 1}


@pytest.mark.parametrize(
    "package", [grid(3, wrap=True), grid(4, wrap=True), grid(9, wrap=True), folded_torus(4)], ids=repr
)
def test_ways_round_cross_no_box(package: Package) -> None:
    layout, lines = arrange(package)
    for link, pieces in zip(package.links, lines, strict=True):
        ends = {package.index[link.a], package.index[link.b]}
        for piece in pieces:
            fine = np.concatenate([np.linspace(p, q, 40) for p, q in itertools.pairwise(piece)])
            inside = (np.abs(fine[:, None] - layout.centre) < layout.half).all(axis=2).any(axis=0)
            assert set(np.flatnonzero(inside)) <= ends


def test_both_directions_have_a_lane_of_their_own() -> None:
    package = grid(2)
    layout, lines = arrange(package)
    widest = lane_width(package, layout)
    ribbons, owner = channel_ribbons(package, layout, lines, channel_widths(package, widest), widest)
    assert owner.tolist() == list(range(len(package.channels)))
    there, back = ribbons[0], ribbons[1]  # e0->e1 runs east, so its lane lies south of the way back
    assert there[:, 1].max() < back[:, 1].min()
    assert there[np.argmax(there[:, 0])].tolist() == there[len(there) // 2].tolist()


def test_parallel_links_lie_side_by_side() -> None:
    nodes = [Chiplet("a"), Chiplet("b")]
    package = Package("twin", nodes, [Link("a", "b", "1 GB/s"), Link("b", "a", "1 GB/s")])
    layout, ((first,), (second,)) = arrange(package)
    assert np.abs(first[0, 0] - second[0, 0]) > 1.5 * lane_width(package, layout)


def test_a_one_way_link_is_drawn_as_a_lane() -> None:
    ring = Package(
        "ring",
        [Chiplet(name) for name in "abc"],
        [Link(*pair, "1 GB/s", reverse_bandwidth=0.0) for pair in ("ab", "bc", "ca")],
    )
    (lanes,) = by_gid(plot.topology(ring), "channels")
    assert isinstance(lanes, PolyCollection)
    assert len(lanes.get_paths()) == 3


def test_a_chiplet_alone_has_no_lines() -> None:
    ax = plot.topology(Package("alone", [Chiplet("only")], []))
    ax.figure.draw_without_rendering()
    assert [text.get_text() for text in ax.texts] == ["only"]


def test_names_thin_out() -> None:
    assert len(plot.topology(grid(4)).texts) == 16
    assert len(plot.topology(grid(32)).texts) == 0


def test_a_thousand_chiplets_are_as_many_artists_as_two_hundred() -> None:
    counts = [len(plot.topology(grid(size, wrap=True)).get_children()) for size in (15, 32)]
    assert counts[0] - len(plot.topology(grid(15, wrap=True)).texts) == counts[1]


def test_chords_of_a_dense_graph_show_as_a_tone() -> None:
    def drawn(count: int) -> tuple[float, float]:  # share of the disc that is covered, finest line
        ax = plot.topology(random_regular(count, 6))
        scale = np.diff(ax.transData.transform([(0, 0), (1, 0)])[:, 0])[0] * 72 / ax.figure.dpi
        parts = by_gid(ax, "d2d links")
        lines = [scale * line for part in parts for line in part.get_segments()]
        widths = np.concatenate([part.get_linewidths() for part in parts])
        lengths = [np.hypot(*np.diff(line, axis=0).T).sum() for line in lines]
        return np.dot(lengths, widths) / (np.pi * np.abs(np.vstack(lines)).max() ** 2), min(widths)

    cover, finest = drawn(512)
    assert cover == pytest.approx(0.5, rel=0.1)
    assert finest < HAIRLINE <= drawn(16)[1]


def test_links_bend_round_chiplets_and_given_positions_are_kept() -> None:
    """Six leaves in two rows beside their switch: straight links would lie on four of them."""
    names = [f"e{i}" for i in range(6)]
    leaves = [
        Chiplet(name, position=(0.02 + 0.012 * (i % 3), 0.01 * (i // 3)), size=(8e-3, 8e-3))
        for i, name in enumerate(names)
    ]
    hub = Switch("sw", position=(0.005, 0.0048), size=(4e-3, 4e-3))
    speeds = ["64 GB/s", "128 GB/s", "819 GB/s"] * 2
    package = Package("own", [hub, *leaves], [Link("sw", *pair) for pair in zip(names, speeds, strict=True)])
    layout, lines = arrange(package)
    assert layout.kind == "physical"
    assert not layout.remark
    for link, pieces in zip(package.links, lines, strict=True):
        others = [i for i, node in enumerate(package.nodes) if node.name not in (link.a, link.b)]
        for piece in pieces:
            dots = np.vstack([np.linspace(a, b, 20) for a, b in itertools.pairwise(piece)])
            inside = np.abs(dots[:, None] - layout.centre[others]) < 0.84 * layout.half[others]
            assert not inside.all(axis=2).any(), link
    slow, fast, _ = link_widths(package, layout, 1.0)[:3]
    assert fast / slow == pytest.approx(2**0.5)
    assert "schematic" in arrange(nop.topology.fat_tree(4))[0].remark


def test_one_branch_among_many_leaves_stands_no_farther() -> None:
    """A hub with sixteen leaves, and a chiplet with two stacks of its own."""
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(16)]
    stacks = [Memory(f"m{i}", bandwidth="1 TB/s") for i in range(2)]
    links = [Link("hub", one.name, "1 GB/s") for one in leaves] + [Link("hub", "attn", "1 GB/s")]
    links += [Link("attn", one.name, "1 GB/s") for one in stacks]
    hub = Package("hub", [Switch("hub"), Chiplet("attn", role="attention"), *leaves, *stacks], links)
    where = dict(zip((node.name for node in hub.nodes), arrange(hub)[0].centre, strict=True))
    lengths = [np.linalg.norm(where[link.a] - where[link.b]) for link in links]
    assert max(lengths) < 1.5 * np.median(lengths)


def test_a_circle_keeps_what_hangs_on_it_off_other_links() -> None:
    """Leaves of one switch stand on an arc: no link of the switch touches another leaf."""
    attention = [Chiplet(f"attn{i}", role="attention") for i in range(2)]
    switches = [Switch(f"sw{g}") for g in range(3)]
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(16)]
    links = [Link("attn0", "attn1", "512 GB/s")]
    links += [Link(a.name, s.name, "256 GB/s") for a in attention for s in switches]
    links += [Link(f"sw{min(i // 6, 2)}", leaf.name, "128 GB/s") for i, leaf in enumerate(leaves)]
    package = Package("own", [*attention, *switches, *leaves], links)
    layout, lines = arrange(package)
    assert layout.kind == "circle"
    for link, pieces in zip(package.links, lines, strict=True):
        if not link.b.startswith("e"):
            continue
        ends = {package.index[link.a], package.index[link.b]}
        for piece in pieces:
            points = np.linspace(piece[0], piece[-1], 50)
            for i in set(range(len(package.nodes))) - ends:
                inside = (np.abs(points - layout.centre[i]) < 0.9 * layout.half[i]).all(axis=1)
                assert not inside.any(), (link.a, link.b, package.nodes[i].name)


def test_all_pictures_of_a_package_have_one_geometry() -> None:
    for name in ("cluscross-v1-4x4", "mozart-nop-tree", "torus-4x4"):
        package = nop.load_topology(name)
        assert arrange(package)[0].kind == arrange(package, gap=ROOMY)[0].kind


def test_the_legend_lists_every_bandwidth_and_widths_tell_them_apart() -> None:
    widths = [512, 256, 128, 64]
    nodes = [Chiplet(f"e{i}", role="expert") for i in range(5)]
    package = Package("many", nodes, [Link("e0", f"e{i + 1}", f"{w} GB/s") for i, w in enumerate(widths)])
    ax = plot.topology(package)
    legend = ax.get_legend()
    assert legend is not None
    shown = {text.get_text() for text in legend.get_texts()}
    assert {f"link, {w} GB/s" for w in widths} <= shown
    drawn = relative_width(np.array(widths, float), np.array(widths, float))
    assert (np.diff(drawn) < -0.05).all()


def test_groups_are_named_where_chiplets_cannot_be() -> None:
    with plot.style("column"):
        ax = plot.topology(nop.topology.mesh(16, 16, attention=True, memory=True))
    named = [text.get_text() for text in ax.texts if text.get_gid() == "group"]
    assert named[0] == "e0–e15"
    assert len(named) == 16
