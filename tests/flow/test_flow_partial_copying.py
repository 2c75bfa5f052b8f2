"""Packages where some nodes copy and others do not: a message may pass a node twice.

Against brute force they stand in tests/testing/test_differential.py.
"""

import dataclasses

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.formats import load_topology
from noptoolkit.traffic import DestinationSets, Traffic


def one_message(package, root, members, *, reverse=False):
    names = package.terminals
    bits = np.array([[sum(1 << names.index(name) for name in members)]], np.uint64)
    sets = DestinationSets(np.array([names.index(root)]), bits, np.array([1e6]))
    parts = {"reduction": sets} if reverse else {"multicast": sets}
    return Traffic(names, np.zeros((len(names), len(names))), **parts)


def bounce(*, reverse=False, half_duplex=False):
    """n2 - n0 - n1, where only n1 copies, or adds."""
    able = {"reduces": True} if reverse else {"replicates": True}
    return Package(
        "bounce",
        [Chiplet("n0"), Chiplet("n1", **able), Chiplet("n2")],
        [Link("n1", "n0", 1e9, half_duplex=half_duplex), Link("n2", "n0", 1e9, half_duplex=half_duplex)],
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_a_message_comes_back_from_the_node_that_copies_it(reverse):
    """Over n1 and back each channel is crossed once: 1 ms, not the 2 ms of two copies from n2."""
    package = bounce(reverse=reverse)
    flow = congestion(package, one_message(package, "n2", ["n0", "n1"], reverse=reverse), tol=1e-6)
    assert flow.time == pytest.approx(1e-3, rel=1e-9)
    assert flow.status == "exact"
    assert not flow.verify().unchecked


@pytest.mark.parametrize("reverse", [False, True])
def test_half_duplex_makes_the_way_back_cost(reverse):
    """If a share x comes back, n0-n1 is crossed 1 + x times and n0-n2 2 - x times: 1.5 ms at x = 1/2."""
    package = bounce(reverse=reverse, half_duplex=True)
    flow = congestion(package, one_message(package, "n2", ["n0", "n1"], reverse=reverse), tol=1e-6)
    assert flow.time == pytest.approx(1.5e-3, rel=1e-5)
    assert not flow.verify().unchecked


@pytest.mark.parametrize("kind", ["multicast", "reduction"])
@pytest.mark.parametrize("routing", ["optimal", "shortest", "valiant"])
@pytest.mark.parametrize("members", [0, 1])
def test_messages_that_move_nothing_take_no_time(kind, routing, members):
    """A set that is empty, or holds the root alone; on a tree and on a mesh, beside nothing else."""
    for package in (bounce(), bounce(reverse=True), load_topology("mesh-4x4-in-network")):
        size = len(package.terminals)
        sets = DestinationSets(np.array([0]), np.array([[members]], np.uint64), np.array([1e6]))
        flow = congestion(
            package, Traffic(package.terminals, np.zeros((size, size)), **{kind: sets}), routing=routing
        )
        assert (flow.time, flow.time_bound, flow.status) == (0.0, 0.0, "exact")
        assert flow.verify()


def test_fixed_routings_do_not_claim_the_bounce_is_impossible():
    package = bounce()
    flow = congestion(package, one_message(package, "n2", ["n0", "n1"]), routing="shortest")
    assert flow.time == pytest.approx(2e-3)
    assert flow.time_bound <= 1e-3 * (1 + 1e-9)
    assert flow.status == "fixed routing"
    assert flow.verify()


def test_a_bound_that_takes_the_union_of_paths_for_the_only_way_is_rejected():
    """What 0.1.0 answered: 2 ms, called exact by the load of the busiest channel."""
    package = bounce()
    traffic = one_message(package, "n2", ["n0", "n1"])
    flow = congestion(package, traffic, routing="shortest")
    worst = np.zeros(len(flow.use))
    worst[np.argmax(flow.use / flow.network.capacity)] = 1 / flow.network.capacity.min()
    claimed = dataclasses.replace(flow, time_bound=flow.time, prices=worst)
    with pytest.raises(RoutingError, match=r"the prices prove 0\.001 s"):
        claimed.verify()
