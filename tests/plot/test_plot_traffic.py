"""The traffic matrix: bytes delivered, with their unit."""

import dataclasses

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Package, RoutingTrace, plot
from noptoolkit.allocation import Allocation
from noptoolkit.traffic import all_to_all, combine, dispatch


def test_rows_send_and_columns_receive(tree: Package) -> None:
    demand = all_to_all(tree, "2 MB")
    ax = plot.traffic(demand)
    drawn = np.ma.filled(ax.images[0].get_array(), 0.0)
    assert drawn == pytest.approx(demand.demand / 1e6)
    assert ax.get_ylabel() == "from"
    assert ax.figure.axes[1].get_ylabel() == "Bytes per pair (MB)"


def test_vmax_is_shared_by_whoever_asks(tree: Package) -> None:
    limits = [
        plot.traffic(all_to_all(tree, size), vmax=4e6).images[0].get_clim() for size in ("1 MB", "4 MB")
    ]
    assert limits == [(0.0, 4.0), (0.0, 4.0)]


def test_multicasts_count_at_each_destination(tree: Package) -> None:
    trace = RoutingTrace([[0, 1], [0, 3], [2, 3]], num_experts=4)
    layout = Allocation(tree.experts, [[0, 1, 2, 3]])
    kwargs = {"token_bytes": 1000.0}
    for make in (dispatch, combine):
        network = make(tree, trace, layout, degree="in-network", **kwargs).delivered()
        copies = make(tree, trace, layout, degree="chiplets", **kwargs).delivered()
        assert network == pytest.approx(copies)


def test_synthetic_routing_is_said(tree: Package) -> None:
    demand = dataclasses.replace(all_to_all(tree, "1 MB"), origin="synthetic")
    ax = plot.traffic(demand)
    assert any("synthetic routing" in text.get_text() for text in ax.texts)


def test_a_dispatch_is_drawn_as_bars_of_what_each_receives() -> None:
    tree = nop.load_topology("mozart-nop-tree")
    trace = nop.load_workload("stdlib-moe").trace
    layout = nop.allocate(trace, tree, method="contiguous")
    demand = nop.traffic.dispatch(tree, trace, layout, token_bytes="4 kB")
    ax = plot.traffic(demand)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx((demand.demand.sum(axis=0)[1:] / 1e6).tolist())
    assert ax.get_ylabel() == "Bytes from attn (MB)"
    back = nop.traffic.combine(tree, trace, layout, token_bytes="4 kB")
    assert plot.traffic(back).get_ylabel() == "Bytes to attn (MB)"
