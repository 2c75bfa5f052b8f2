"""Widths as they should be: closed forms, dominance, worst cases, and what cannot be spread."""

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.bounds import any_package, wire_bound
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.topology import mesh, nop_tree, ring
from noptoolkit.traffic import all_to_all, from_matrix
from noptoolkit.whatif import rewiden


def test_a_tree_of_proportional_trunks():
    """Unicast over a tree: each link as wide as its load; T = sum of loads x ends / edge."""
    tree = nop_tree(2, 4, link_bandwidth="1 GB/s")
    demand = all_to_all(tree, "1 GB", among="experts")
    found = rewiden(tree, demand, "beachfront")
    # 8 leaves of 7 GB and one end, 2 trunks of 16 GB and one end at the root; 10 ends of 1 GB/s
    assert found.time == pytest.approx((8 * 7 + 2 * 16) / 10, rel=1e-3)
    assert found.verify()
    assert found.package.nodes == tree.nodes
    assert found.time >= any_package(tree, demand, "chiplet edge").time * (1 - 1e-9)


def test_a_mesh_of_equal_wire_meets_the_bound_over_all_topologies():
    grid = mesh(3, link_bandwidth="1 GB/s")
    demand = all_to_all(grid, "1 GB")
    found = rewiden(grid, demand, "wire")
    assert found.time == pytest.approx(wire_bound(grid, demand).time, rel=6e-3)
    assert found.time == pytest.approx(9 * 4 / 6, rel=6e-3)


def test_nothing_to_gain_on_a_ring():
    loop = ring(6, link_bandwidth="1 GB/s")
    found = rewiden(loop, all_to_all(loop, "1 GB"), "bandwidth")
    assert found.time == pytest.approx(found.today, rel=1e-6)


def test_links_between_switches_are_free_by_beachfront():
    line = Package(
        "line",
        [Chiplet("a"), Chiplet("b"), Switch("s"), Switch("t")],
        [Link("a", "s", "3 GB/s"), Link("s", "t", "1 GB/s"), Link("t", "b", "1 GB/s")],
    )
    demand = from_matrix(line, [[0, 4e9], [4e9, 0]])
    assert rewiden(line, demand, "beachfront").time == pytest.approx(2.0)
    assert rewiden(line, demand, "bandwidth").time == pytest.approx(12 / 5)


def test_the_longest_of_two_times():
    """Two flows that share no link: weights would rather speed up the one that is cheap to speed up."""
    path = Package(
        "path",
        [Chiplet(n) for n in "abc"],
        [Link("a", "b", "1 GB/s"), Link("b", "c", "1 GB/s")],
    )
    left = from_matrix(path, [[0, 4e9, 0], [0, 0, 0], [0, 0, 0]])
    right = from_matrix(path, [[0, 0, 0], [0, 0, 1e9], [0, 0, 0]])
    total = rewiden(path, [left, right], "bandwidth")
    assert total.time == pytest.approx(
        4 / (2 * 2 / 3) + 1 / (2 / 3), rel=1e-2
    )  # widths as the roots of loads
    worst = rewiden(path, [left, right], "bandwidth", worst=True)
    assert worst.time == max(flow.time for flow in worst.after) == pytest.approx(5 / 2, rel=1e-2)  # as loads
    assert worst.gap < 1e-2
    assert worst.verify()


def test_messages_to_sets():
    tree = nop.load_topology("mozart-nop-tree")
    one = nop.run(tree, "olmoe-1b-7b", allocator="contiguous")
    found = rewiden(tree, one.dispatch_traffic, "beachfront")
    assert found.status == "exact"
    assert found.time < 0.7 * found.today
    assert found.time >= any_package(tree, one.dispatch_traffic, "chiplet edge").time


def test_a_comparison_of_best_widths():
    found = nop.compare(
        "mozart-nop-tree",
        "olmoe-1b-7b",
        allocator="contiguous",
        metrics=["all_to_all", "links"],
        widths="best",
    )
    assert found.packages == ("mozart-nop-tree, best widths",)
    assert found.rows[0]["all_to_all"] < 0.7 * 490e-6  # of the tree as drawn
    assert found.rows[0]["links"] == 26
    with pytest.raises(UnknownNameError, match="widths"):
        nop.compare("mesh-4x4", "olmoe-1b-7b", widths="bset")


def test_bad_totals():
    grid = mesh(2)
    demand = all_to_all(grid, 1.0)
    with pytest.raises(NopError, match="cost is not linear"):
        rewiden(grid, demand, "cost")
    with pytest.raises(NopError, match="beachfront"):
        rewiden(grid, demand, "beachfornt")
    with pytest.raises(NopError, match="no traffic"):
        rewiden(grid, [], "bandwidth")
    assert np.isfinite(rewiden(grid, demand).time)
