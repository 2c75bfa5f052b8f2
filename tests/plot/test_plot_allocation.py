"""Layouts as matrices, maps and trade-offs."""

import numpy as np
import pytest
from packages_to_draw import grid

from noptoolkit import RoutingTrace, SyntheticRouting, plot
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import WorkloadError
from noptoolkit.plot._allocation import _wrapped
from noptoolkit.plot._curves import _front
from noptoolkit.synthetic import draw_trace
from noptoolkit.topology import mesh


@pytest.fixture(scope="module")
def trace() -> RoutingTrace:
    return draw_trace(SyntheticRouting(16, 2, tokens=400, layers=2, topics=4))


def test_a_layout_reorders_the_matrix(trace: RoutingTrace) -> None:
    package = grid(2)
    found = allocate(trace, package, method="mozart", rng=0)
    native = plot.coactivation(trace, layer=1).images[0].get_array().filled(0.0)
    ax = plot.coactivation(trace, found, layer=1)
    ordered = ax.images[0].get_array().filled(0.0)
    order = np.argsort(found.layer(1).chiplet_of_expert[0], kind="stable")
    assert ordered == pytest.approx(native[np.ix_(order, order)])
    assert native.sum() == pytest.approx(100.0 * trace.layer(1).coactivation().sum() / 400)
    assert len(ax.patches) == 4
    assert ax.figure.axes[1].get_ylabel() == "Tokens that use both (%)"


def test_frames_hold_more_than_their_share_after_clustering(trace: RoutingTrace) -> None:
    def within(found: Allocation) -> float:
        values = plot.coactivation(trace, found).images[0].get_array().filled(0.0)
        return sum(values[i : i + 4, i : i + 4].sum() for i in range(0, 16, 4)) / values.sum()

    package = grid(2)
    clustered, plain = (allocate(trace, package, method=name, rng=0) for name in ("mozart", "contiguous"))
    assert within(clustered) > within(plain)


def test_the_map_names_experts_and_shares_a_scale(trace: RoutingTrace) -> None:
    package = grid(2)
    found = allocate(trace, package, method="contiguous", rng=0)
    ax = plot.layout(package, found, trace)
    texts = {text.get_text().split("\n")[0]: text.get_text().split()[1:] for text in ax.texts}
    assert texts["e1"] == ["4", "5", "6", "7"]
    assert ax.figure.axes[1].get_xlim() == (0.0, 2.0)
    assert any("synthetic routing" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize(("side", "written"), [(4, True), (8, False)])
def test_all_ids_are_written_or_none(side: int, written: bool) -> None:
    package = mesh(side)
    found = Allocation(package.experts, [[i // 6 for i in range(6 * side**2)]])
    with plot.style("column"):  # short ids would fit the smaller boxes, long ones do not
        ax = plot.layout(package, found)
    texts = [text.get_text() for text in ax.texts if text.get_text().startswith("e")]
    assert len(texts) == side**2
    assert all(("\n" in text) is written for text in texts)


def test_a_layout_of_another_package_is_refused(trace: RoutingTrace) -> None:
    found = allocate(trace, grid(2), method="contiguous", rng=0)
    with pytest.raises(WorkloadError):
        plot.layout(grid(4), found)


def test_ids_are_wrapped_to_the_box() -> None:
    assert _wrapped([], 1.0) == []
    assert " ".join(_wrapped([str(i) for i in range(8)], 1.0)).split() == [str(i) for i in range(8)]
    assert len(_wrapped([str(i) for i in range(16)], 4.0)) < len(_wrapped([str(i) for i in range(16)], 0.25))


def test_pareto_marks_fit_and_held_out(trace: RoutingTrace) -> None:
    fit, held_out = trace.tokens(slice(0, 200)), trace.tokens(slice(200, None))
    layouts = {name: allocate(fit, grid(2), method=name, rng=0) for name in ("contiguous", "mozart")}
    ax = plot.pareto(layouts, fit, held_out=held_out)
    full = [line.get_xydata()[0] for line in ax.lines if line.get_markerfacecolor() not in ("white", "None")]
    marks = {tuple(np.round(point, 9)) for point in full}
    for found in layouts.values():
        assert (round(found.imbalance(fit), 9), round(found.c_t(fit), 9)) in marks
    assert sum(line.get_markerfacecolor() == "white" for line in ax.lines) == 2


def test_the_front_is_what_nothing_beats() -> None:
    assert _front([(1, 5), (2, 3), (3, 4), (4, 1)]) == [(1, 5), (2, 3), (4, 1)]
