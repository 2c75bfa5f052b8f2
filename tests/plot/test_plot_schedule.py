"""The Gantt chart: bars where tasks run, the bound, the chain that decides."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.drawing.colours import TASK_COLOURS
from noptoolkit.errors import ScheduleError, UnknownNameError
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph


@pytest.fixture
def plan() -> Schedule:
    """Four loads of 3 us on one port, each before 2 us of computing: 12 us of loads, 14 us in all."""
    tasks = TaskGraphBuilder()
    for i in range(4):
        load = tasks.add(3e-6, "dram", kind="load", label=f"load {i}")
        tasks.add(2e-6, "pe", after=[load], kind="expert", label=f"run {i}")
    return schedule_graph(tasks.build())


def bars(ax, kind: str) -> np.ndarray:
    (found,) = [part for part in ax.collections if part.get_gid() == kind]
    assert isinstance(found, PolyCollection)
    return np.array([path.get_extents().get_points() for path in found.get_paths()])


def test_each_task_has_a_bar_at_its_time(plan: Schedule) -> None:
    ax = plot.schedule(plan)
    loads = bars(ax, "load")
    assert loads[:, 0, 0] == pytest.approx([0, 3, 6, 9])  # us
    assert (loads[:, 1, 0] - loads[:, 0, 0]) == pytest.approx([3] * 4)
    assert bars(ax, "expert")[:, :, 1].mean(axis=1) == pytest.approx([1] * 4)  # the second row
    assert ax.get_xlabel() == "Time (µs)"


def test_the_makespan_and_its_bound_are_marked(plan: Schedule) -> None:
    ax = plot.schedule(plan)
    marks = {line.get_linestyle(): line.get_xdata()[0] for line in ax.lines if line.get_zorder() == 4}
    assert marks["-"] == pytest.approx(plan.makespan * 1e6)
    assert marks["--"] == pytest.approx(plan.lower_bound * 1e6)


def test_a_window_shows_a_part(plan: Schedule) -> None:
    ax = plot.schedule(plan, window=("4 us", 8e-6))
    assert ax.get_xlim() == pytest.approx((4, 8))
    assert len(bars(ax, "load")) == 2
    with pytest.raises(ScheduleError, match="is empty"):
        plot.schedule(plan, window=(2.0, 1.0))


def test_a_line_that_is_not_seen_is_not_called_dashed(plan: Schedule) -> None:
    for window, seen in ((None, True), (("4 us", 8e-6), False)):
        ax = plot.schedule(plan, window=window)
        said = [text.get_text() for text in (*ax.texts, ax._left_title)]
        assert any("lower bound" in text for text in said)
        assert any("(dashed)" in text for text in said) == seen


@pytest.mark.parametrize("picture", [plot.schedule, plot.utilisation])
def test_an_unknown_row_is_named(plan: Schedule, picture: Callable[..., Axes]) -> None:
    with pytest.raises(UnknownNameError, match="'drm'; did you mean 'dram'"):
        picture(plan, rows=("drm",))


def test_the_critical_path_is_outlined(plan: Schedule) -> None:
    rims = bars(plot.schedule(plan, critical=True), "critical")
    assert len(rims) == len(plan.critical_path) == 5
    assert rims[:, 1, 0].max() == pytest.approx(plan.makespan * 1e6)


def test_a_task_that_holds_two_resources_has_two_bars() -> None:
    tasks = TaskGraphBuilder()
    tasks.add(1e-3, ("hbm0", "hbm0->e0"), kind="load")
    assert len(bars(plot.schedule(schedule_graph(tasks.build())), "load")) == 2


def test_kinds_keep_their_colour(plan: Schedule) -> None:
    legend = plot.schedule(plan).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["load", "expert"]
    assert len(set(TASK_COLOURS.values())) >= 8


def test_many_chiplets_are_drawn_by_groups() -> None:
    parts = {"flops": "294 TFLOP/s", "sram": "81 MB", "attention_flops": "524 TFLOP/s"}
    package = nop.topology.mesh(7, 7, attention=True, memory=True, **parts)
    run = nop.run(package, "stdlib-moe", allocator="contiguous", routing="shortest")
    ax = plot.schedule(run.plan, critical=True)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert "mean of 49 experts" in names
    assert "attn" in names
    assert len(names) < 25
    legend = ax.get_legend()
    assert legend is not None
    assert {"critical path", "busy share of a group"} <= {text.get_text() for text in legend.get_texts()}
    whole = plot.schedule(run.plan, rows=package.experts)
    assert len(whole.get_yticks()) > 20


def test_the_legend_of_one_plan_is_inside_the_picture(plan: Schedule) -> None:
    for width in ("column", "page"):
        with plot.style(width):
            ax = plot.breakdown({"a": plan})
        figure = ax.figure.get_figure(root=True)
        assert figure is not None
        figure.canvas.draw()
        legend = ax.get_legend()
        assert legend is not None
        box = legend.get_window_extent()
        assert box.y0 >= 0
        assert box.x0 >= 0
