"""Bars of a comparison: a panel for each metric with its unit, a tick for each bound."""

import pytest

from noptoolkit import plot
from noptoolkit.errors import UnknownNameError
from noptoolkit.metrics import METRICS
from noptoolkit.study import Comparison, compare


@pytest.fixture(scope="module")
def result() -> Comparison:
    from noptoolkit import Batch, MoEModel, SyntheticRouting, Workload, topology

    model = MoEModel("tiny", 64, 2, 4, 4, 16, 1000, expert_width=32, experts=8, top_k=2)
    routing = SyntheticRouting(8, 2, tokens=64, layers=1, topics=2)
    load = Workload("tiny", model, Batch(4, 16, 2), routing)
    parts = {"flops": "1 TFLOP/s", "attention": True, "memory": True}
    packages = [topology.nop_tree(2, 2, **parts), topology.mesh(2, 2, **parts)]
    return compare(packages, [load], allocator="contiguous", routing="ecmp")


def test_a_panel_for_each_metric_a_bar_for_each_package(result: Comparison) -> None:
    axes = plot.comparison(result)
    assert [len(ax.patches) for ax in axes] == [2] * len(axes)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(result.packages)


def test_axes_carry_units_and_bars_their_values(result: Comparison) -> None:
    (ax,) = plot.comparison(result, metrics=["step"])
    assert ax.get_xlabel().startswith(METRICS["step"].title)
    assert ax.get_xlabel().endswith("s)")
    widths = [bar.get_width() for bar in ax.patches]
    assert widths[0] / widths[1] == pytest.approx(result.rows[0]["step"] / result.rows[1]["step"])


def test_bounds_are_ticked(result: Comparison) -> None:
    (ax,) = plot.comparison(result, metrics=["all_to_all"])
    (ticks,) = [part for part in ax.collections if part.get_gid() == "bound"]
    assert len(ticks.get_segments()) == 2
    for segment, bar in zip(ticks.get_segments(), ax.patches, strict=True):
        assert segment[0, 0] <= bar.get_width() * (1 + 1e-6)


def test_synthetic_routing_is_said(result: Comparison) -> None:
    axes = plot.comparison(result)
    assert "synthetic routing" in axes[0].figure.get_suptitle()


def test_unknown_names_are_explained(result: Comparison) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tiny'"):
        plot.comparison(result, "tinny")
    with pytest.raises(UnknownNameError, match="did you mean 'links'"):
        plot.comparison(result, metrics=["link"])


def test_fewer_links_are_cheaper_and_less_time_is_better(result: Comparison) -> None:
    axes = plot.comparison(result, metrics=["step", "links"])
    assert [ax.get_title(loc="right") for ax in axes] == ["← better", "← cheaper"]
