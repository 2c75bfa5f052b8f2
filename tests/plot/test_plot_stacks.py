"""Stacked dies: a rim under a chiplet, a cascade of chiplets; no link is lost, no box is hidden."""

import itertools

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PatchCollection
from packages_to_draw import grid

from noptoolkit import Chiplet, Link, Package, plot
from noptoolkit.drawing.layout import place
from noptoolkit.drawing.ribbons import arrange
from noptoolkit.drawing.stacks import cascade, dies_under
from noptoolkit.flow import congestion
from noptoolkit.study import resilience
from noptoolkit.topology import mesh_3d, nop_tree, stack_sram, torus_3d
from noptoolkit.traffic import all_to_all


def on_sram(package: Package) -> Package:
    return stack_sram(package, capacity="80 MB", bandwidth="4 TB/s")


@pytest.mark.parametrize("package", [grid(3), nop_tree(2, 2)], ids=repr)
def test_a_die_looks_out_from_under_its_chiplet(package: Package) -> None:
    stacked = on_sram(package)
    bare, layout = place(package), place(stacked)
    assert np.array_equal(layout.centre[: len(package.nodes)], bare.centre)
    for die, chiplet in dies_under(stacked).items():
        offset = layout.centre[stacked.index[die]] - layout.centre[stacked.index[chiplet]]
        assert (np.abs(offset) < 0.5 * bare.half[stacked.index[chiplet]]).all()
        assert np.abs(offset).min() > 0


def test_bonds_of_dies_are_not_lines_and_do_not_set_the_widths() -> None:
    plain, stacked = plot.topology(grid(3)), plot.topology(on_sram(grid(3)))
    widths = [
        np.array(lines.get_linewidths())
        for ax in (plain, stacked)
        for lines in ax.collections
        if isinstance(lines, LineCollection) and lines.get_gid() == "d2d links"
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)
    assert not [part for part in stacked.collections if part.get_gid() == "hybrid_bond links"]
    boxes = {b.get_gid(): b for b in stacked.collections if isinstance(b, PatchCollection)}
    assert boxes["die underneath"].get_zorder() < boxes["expert chiplet"].get_zorder()
    texts = [text.get_text() for text in stacked.get_legend().get_texts()]
    assert texts == ["expert chiplet", "die underneath", "link, 128 GB/s"]


@pytest.mark.parametrize("package", [mesh_3d(3, 3, 2), mesh_3d(2, 2, 4), torus_3d(4, 4, 2)], ids=repr)
def test_no_planar_link_of_a_cascade_meets_another_box(package: Package) -> None:
    layout, lines = arrange(package)
    assert layout.kind == "physical"
    for link, pieces in zip(package.links, lines, strict=True):
        ends = {package.index[link.a], package.index[link.b]}
        for piece in pieces:
            fine = np.concatenate([np.linspace(p, q, 40) for p, q in itertools.pairwise(piece)])
            inside = (np.abs(fine[:, None] - layout.centre) < layout.half).all(axis=2).any(axis=0)
            assert set(np.flatnonzero(inside)) <= ends


def test_layers_of_a_cascade_are_copies_of_each_other() -> None:
    package = mesh_3d(3, 3, 2)
    centre = cascade(package, np.array([node.position for node in package.nodes]))
    step = centre[1::2] - centre[::2]
    assert step == pytest.approx(np.tile(step[:1], (9, 1)))
    assert plot.topology(package).get_legend().get_texts()[-1].get_text() == "hybrid bond, 128 GB/s"


def test_bonds_side_by_side_are_no_stack() -> None:
    nodes = [Chiplet(f"e{i}", position=(0.01 * i, 0.0)) for i in range(3)]
    row = Package("row", nodes, [Link(f"e{i}", f"e{i + 1}", "1 GB/s", kind="hybrid_bond") for i in range(2)])
    assert place(row).centre.tolist() == [list(node.position) for node in nodes]


def test_other_pictures_know_dies() -> None:
    package = on_sram(grid(2))
    demand = all_to_all(package, "1 MB")
    assert len(plot.load(congestion(package, demand, routing="ecmp")).texts) > 3
    ax = plot.degradation(resilience(package, demand, of="links", routing="ecmp"))
    boxes = {b.get_gid(): b for b in ax.collections if isinstance(b, PatchCollection)}
    assert len(np.unique(boxes["die underneath"].get_facecolor(), axis=0)) == 1
