"""Load on channels: both directions, one scale, the bottleneck ringed and named."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from packages_to_draw import grid, nop_tree

from noptoolkit import Package, plot
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.plot._channels import IDLE
from noptoolkit.plot._load import measure
from noptoolkit.plot._style import INK
from noptoolkit.traffic import all_to_all, hotspot


@pytest.fixture
def flow() -> FlowResult:
    package = grid(3)
    return congestion(package, all_to_all(package, "1 MB"), routing="dor")


def ribbons(ax) -> list[PolyCollection]:
    return [artist for artist in ax.collections if artist.get_gid() == "channels"]


def test_every_channel_has_a_ribbon(flow: FlowResult) -> None:
    drawn = ribbons(plot.load(flow))
    assert sum(len(part.get_paths()) for part in drawn) == len(flow.package.channels) == 24


def test_colour_is_the_time_a_channel_is_busy(flow: FlowResult) -> None:
    values, unit = measure(flow, "time")
    assert unit == "s"
    assert values == pytest.approx(flow.load / 128e9)
    assert values.max() == pytest.approx(flow.time)
    (lanes,) = ribbons(plot.load(flow))
    assert len({tuple(colour) for colour in lanes.get_facecolors()}) == len(np.unique(values.round(12)))


def test_the_bottleneck_is_named_and_ringed(flow: FlowResult) -> None:
    ax = plot.load(flow)
    ties = int((flow.utilisation >= flow.utilisation.max() * (1 - 1e-6)).sum())
    level = f", level with {ties - 1} more" if ties > 1 else ""
    assert any(text.get_text() == f"○ bottleneck {flow.bottleneck}{level}" for text in ax.texts)
    (ring,) = [patch for patch in ax.patches if patch.get_gid() == "bottleneck ring"]
    channel = next(c for c in flow.package.channels if c.name == flow.bottleneck)
    ends = np.array([flow.package[name].position for name in (channel.tail, channel.head)])
    assert np.hypot(*(np.array(ring.center) - ends.mean(axis=0))) < 0.002  # m; links are 10 mm long


def test_a_node_can_be_the_bottleneck(tree: Package) -> None:
    nodes = [
        dataclasses.replace(node, ejection_bandwidth=1e9) if node.name == "e2" else node
        for node in tree.nodes
    ]
    package = tree.replace(nodes=nodes)
    flow = congestion(package, hotspot(package, "1 MB", to="e2"))
    assert flow.bottleneck == "e2 ejection"
    ax = plot.load(flow)
    assert [patch.get_gid() for patch in ax.patches].count("bottleneck ring") == 1


def test_idle_channels_are_grey(tree: Package) -> None:
    flow = congestion(tree, hotspot(tree, "1 MB", to="e0"))
    (lanes,) = ribbons(plot.load(flow))
    pale = np.all(np.isclose(lanes.get_facecolors(), mpl.colors.to_rgba(IDLE)), axis=1)
    assert pale.sum() == (flow.load == 0).sum() > 0


def test_panels_share_one_scale_and_one_bar(flow: FlowResult) -> None:
    other = congestion(grid(3, wrap=True), all_to_all(grid(3, wrap=True), "1 MB"), routing="dor")
    axes = plot.loads([flow, other])
    (bar,) = [ax for ax in axes[0].figure.axes if ax not in axes]
    assert bar.get_xlabel() == "Time that a channel is busy (µs)"
    assert bar.get_xlim()[1] == pytest.approx(max(flow.time, other.time) * 1e6)
    darkest = [max(map(tuple, 1 - np.vstack([p.get_facecolors() for p in ribbons(ax)]))) for ax in axes]
    assert darkest[0] > darkest[1]


def test_a_column_has_two_panels_beside_each_other_and_all_that_is_said_in_it(flow: FlowResult) -> None:
    with plot.style("column"):
        axes = plot.loads([flow] * 3, titles=["a", "b", "c"])
    axes[0].figure.draw_without_rendering()
    left = [round(ax.get_position().x0, 3) for ax in axes]
    assert left[0] == left[2] < left[1]
    width = axes[0].figure.bbox.width
    assert all(text.get_window_extent().x1 <= width for ax in axes for text in ax.texts)


def test_the_note_leaves_out_what_the_title_says(flow: FlowResult) -> None:
    said = {title: plot.load(flow, title=title).texts for title in ("here", "dor")}
    assert any(text.get_text() == "all-to-all, dor" for text in said["here"])
    assert any(text.get_text() == "all-to-all" for text in said["dor"])


@pytest.mark.parametrize(("show", "label"), [("load", "(MB)"), ("utilisation", "Utilisation")])
def test_other_measures_have_their_unit(flow: FlowResult, show: str, label: str) -> None:
    ax = plot.load(flow, show=show)
    assert ax.figure.axes[1].get_xlabel().endswith(label)


def test_ribbons_are_as_wide_as_channels_are_fast(tree: Package) -> None:
    from noptoolkit.drawing.ribbons import arrange, channel_ribbons, channel_widths, lane_width

    layout, lines = arrange(tree)
    widest = lane_width(tree, layout)
    widths = channel_widths(tree, widest)
    drawn, _ = channel_ribbons(tree, layout, lines, widths, widest)
    across = [np.hypot(*(ribbon[0] - ribbon[-1])) for ribbon in drawn]
    assert across == pytest.approx(widths)
    assert across[0] / across[4] == pytest.approx(512 / 128)


def test_synthetic_routing_is_said(flow: FlowResult) -> None:
    traffic = dataclasses.replace(flow.traffic, origin="synthetic")
    ax = plot.load(dataclasses.replace(flow, traffic=traffic))
    assert any("synthetic routing" in text.get_text() for text in ax.texts)


def test_the_cut_is_struck_and_tinted() -> None:
    package = grid(4)
    flow = congestion(package, all_to_all(package, "1 MB"), routing="optimal")
    ax = plot.load(flow, cut=True)
    (strokes,) = [part for part in ax.collections if part.get_gid() == "cut"]
    assert flow.cut is not None
    assert len(strokes.get_segments()) == len(flow.cut.channels) > 0
    assert any(f"cut of {len(flow.cut.channels)} channels" in text.get_text() for text in ax.texts)
    assert not [part for part in plot.load(flow).collections if part.get_gid() == "cut"]


def test_names_are_read_on_what_the_cut_tints() -> None:
    package = nop_tree()
    flow = congestion(package, all_to_all(package, "1 MB"))
    ax = plot.load(flow, cut=True)
    assert flow.cut is not None
    assert any("cut of 1 channel: " in text.get_text() for text in ax.texts)
    colours = {text.get_text(): text.get_color() for text in ax.texts if text.get_text() in package.index}
    switches = {name: colours[name] for name in ("sw0", "sw1", "sw2", "sw3")}
    assert switches == {name: INK if name in flow.cut.inside else "white" for name in switches}
    assert INK in switches.values()
