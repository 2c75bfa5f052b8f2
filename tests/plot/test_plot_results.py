"""Breakdown, utilisation, roofline, multicast, degradation, scaling, published figures."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PatchCollection
from packages_to_draw import grid

from noptoolkit import Chiplet, Package, RoutingTrace, SyntheticRouting, plot
from noptoolkit.allocation import Allocation, compare_layouts
from noptoolkit.errors import NopError, RoutingError, ScheduleError, UnknownNameError, WorkloadError
from noptoolkit.flow import congestion
from noptoolkit.nodes import Work, roofline
from noptoolkit.physical import temperature
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph
from noptoolkit.study import resilience
from noptoolkit.synthetic import draw_trace
from noptoolkit.topology import mesh, nop_tree
from noptoolkit.traffic import all_to_all, dispatch, from_matrix


@pytest.fixture
def plan() -> Schedule:
    tasks = TaskGraphBuilder()
    for _ in range(4):
        tasks.add(2e-6, "pe", after=[tasks.add(3e-6, "dram", kind="load")], kind="expert")
    return schedule_graph(tasks.build())


def test_breakdown_bars_add_up_to_the_makespan(plan: Schedule) -> None:
    ax = plot.breakdown({"a": plan, "b": plan})
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert max(ends) == pytest.approx(plan.makespan * 1e6)
    (bound,) = [part for part in ax.collections if part.get_gid() == "bound"]
    assert bound.get_segments()[0][0, 0] == pytest.approx(plan.lower_bound * 1e6)
    with pytest.raises(ScheduleError, match="give at least one"):
        plot.breakdown({})


def test_utilisation_is_the_busy_share_of_each_bin(plan: Schedule) -> None:
    ax = plot.utilisation(plan, bins=7, window=(0.0, plan.makespan))
    drawn = ax.images[0].get_array().filled(0.0)
    assert drawn == pytest.approx(100.0 * plan.busy_share(np.linspace(0.0, plan.makespan, 8)))
    assert drawn.mean(axis=1) == pytest.approx(100.0 * plan.utilisation)
    assert ax.figure.axes[1].get_ylabel() == "Time that it is busy (%)"


def test_operations_lie_under_the_roof() -> None:
    chiplet = Chiplet("e0", flops="64 TFLOP/s")
    works = {"lean": Work(flops=1e9, read=1e9), "rich": Work(flops=1e12, read=1e8)}
    ax = plot.roofline(chiplet, works, bandwidth={"HBM2": "256 GB/s"})
    marks = {line.get_label(): line.get_xydata()[0] for line in ax.lines if line.get_marker() != "None"}
    for name, work in works.items():
        point = roofline(chiplet, work, bandwidth=256e9)
        label = f"{name}: {point.limit}-bound"
        assert marks[label] == pytest.approx([point.intensity, point.attainable / 1e12])
    with pytest.raises(ScheduleError, match="a roof needs"):
        plot.roofline(Chiplet("e0"), works)


def _one_token(degree: str) -> tuple[Package, object]:
    package = nop_tree(2, 2, in_network=True)
    layout = Allocation(package.experts, [[0, 1, 2, 3]])
    token = RoutingTrace([[0, 1, 3]], num_experts=4)
    return package, dispatch(package, token, layout, token_bytes=100.0, degree=degree)


@pytest.mark.parametrize(("degree", "doubled"), [("chiplets", ["2×"]), ("in-network", [])])
def test_a_replicating_switch_saves_the_second_copy(degree: str, doubled: list[str]) -> None:
    package, demand = _one_token(degree)
    ax = plot.multicast(congestion(package, demand, routing="ecmp"))
    assert [text.get_text() for text in ax.texts if "×" in text.get_text()] == doubled
    copies = 5 + len(doubled)  # two trunks and three leaves
    assert any(f"{copies} copies on 5 channels" in text.get_text() for text in ax.texts)


def test_more_than_one_message_is_refused() -> None:
    package = nop_tree(2, 2)
    with pytest.raises(WorkloadError, match="one token"):
        plot.multicast(congestion(package, all_to_all(package, "1 MB"), routing="ecmp"))


def test_a_token_in_parts_is_refused() -> None:
    package = mesh(3, replicates=True)
    demand = np.zeros((9, 9))
    demand[0, 8] = 1000.0  # the optimum goes both ways round
    flow = congestion(package, from_matrix(package, demand), routing="optimal")
    with pytest.raises(RoutingError, match="'optimal' splits the token"):
        plot.multicast(flow)


def test_degradation_colours_what_is_lost() -> None:
    package = grid(3)
    demand = all_to_all(package, "1 MB")
    links, dies = (resilience(package, demand, of=kind, routing="ecmp") for kind in ("links", "chiplets"))
    ax = plot.degradation([links, dies])
    top = 100 * (max(links.slowdown.max(), dies.slowdown.max()) - 1)
    assert ax.figure.axes[1].get_xlim()[1] == pytest.approx(top)
    (boxes,) = [part for part in ax.collections if isinstance(part, PatchCollection)]
    assert len({mpl.colors.to_hex(colour) for colour in boxes.get_facecolors()}) == 3  # corner, side, middle
    (strokes,) = [part for part in ax.collections if part.get_gid() == "links"]
    assert len(strokes.get_segments()) == 12


def test_what_falls_apart_is_said() -> None:
    package = nop_tree(2, 2)
    loss = resilience(package, all_to_all(package, "1 MB"), routing="shortest")
    ax = plot.degradation(loss)
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "without it, shortest has no path for a demand"
    with pytest.raises(RoutingError, match="one part at a time"):
        plot.degradation(resilience(package, all_to_all(package, "1 MB"), 2, trials=1, routing="shortest"))


def test_a_loss_that_saves_time_costs_none() -> None:
    package = nop_tree(2, 2)
    demand = all_to_all(package, "1 MB")
    loss = resilience(package, demand, of="chiplets", routing="shortest")
    assert min(loss.slowdown) < 1.0  # its traffic is gone with it
    ax = plot.degradation(loss)
    assert ax.figure.axes[1].get_xlim()[0] == 0.0


def test_temperature_is_drawn_in_place() -> None:
    package = mesh(2)
    found = temperature(package, {"e0": "50 W"})
    ax = plot.temperature(package, found)
    cells = ax.images[0].get_array()
    assert cells.max() == pytest.approx(found.hottest - 273.15)
    row, column = np.unravel_index(np.argmax(cells), cells.shape)
    left, right, bottom, top = ax.images[0].get_extent()
    x, y = package["e0"].position
    assert left + (column + 0.5) / cells.shape[1] * (right - left) == pytest.approx(1e3 * x, abs=5)
    assert bottom + (row + 0.5) / cells.shape[0] * (top - bottom) == pytest.approx(1e3 * y, abs=5)
    assert len(ax.patches) == 4


def test_layouts_show_fitted_and_held_out() -> None:
    trace = draw_trace(SyntheticRouting(16, 2, tokens=200, layers=1, topics=4))
    report = compare_layouts(trace, grid(2), ("contiguous", "mozart"))
    ax = plot.layouts(report)
    drawn = {line.get_gid(): line.get_xdata() for line in ax.lines if line.get_gid()}
    assert drawn["fitted"] == pytest.approx([row.fitted for row in report.rows])
    assert drawn["held out"] == pytest.approx([row.held_out for row in report.rows])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["contiguous", "mozart"]


def test_scaling_has_a_line_for_each_family_and_its_bound() -> None:
    rows = [
        {"n": n, "family": family, "step": k * n * 1e-3, "step_bound": n * 1e-3}
        for n in (16, 4)
        for k, family in ((2, "mesh"), (1, "torus"))
    ]
    ax = plot.scaling(rows, x="n", y="step", by="family", bound="step_bound")
    assert len(ax.lines) == 4
    assert ax.lines[0].get_xydata() == pytest.approx(np.array([[4, 8], [16, 32]]))
    assert ax.get_ylabel() == "step (ms)"
    with pytest.raises(UnknownNameError, match="no 'size'"):
        plot.scaling(rows, x="size", y="step")


def test_published_and_modelled_stand_side_by_side() -> None:
    rows = [
        SimpleNamespace(figure="Qwen3 C", published=2.0, calibrated=1.9),
        SimpleNamespace(figure="HBM2", published=None, calibrated=1.5),
        SimpleNamespace(figure="Qwen3 128 (s)", published=3.88, calibrated=4.0),
    ]
    ax = plot.published(rows)
    assert [text.get_text() for text in ax.texts if "%" in text.get_text()] == ["-5.0 %"]
    assert ax.get_xlabel() == "Speed-up over the serial step"
    assert plot.published(rows, seconds=True).get_xlabel() == "Time of a step (s)"
    with pytest.raises(NopError, match="no times"):
        plot.published(rows[:2], seconds=True)
