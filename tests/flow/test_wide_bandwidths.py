"""Bandwidths that differ by up to 21 powers of ten in one package: the gap closes, and the proof holds."""

import numpy as np
import pytest
from seeds import seeds

from noptoolkit import Chiplet, Link, Package, Switch, congestion
from noptoolkit.errors import TopologyError
from noptoolkit.testing.problems import random_package, random_traffic
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix


@pytest.mark.parametrize("seed", seeds(8, 60))
def test_packages_of_thirty_nodes_close_their_gap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = random_package(rng, nodes=(4, 30), bandwidth=(1, 1e12), ports=0)
    traffic = random_traffic(rng, package, size=(1, 1e9), share=min(1.0, 4 / len(package.terminals)))
    flow = congestion(package, traffic, tol=1e-3)
    assert flow.verify()
    assert flow.time <= flow.time_bound * 1.001


@pytest.mark.parametrize("seed", seeds(12, 200))
def test_any_bandwidths_and_demands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = random_package(rng, nodes=(2, 11), bandwidth=(1e-3, 1e18))
    traffic = random_traffic(rng, package, size=(1e-5, 1e30))
    for routing in ("optimal", "ecmp"):
        flow = congestion(package, traffic, tol=1e-3, routing=routing)
        assert flow.verify()
        if routing == "optimal":
            assert flow.time <= flow.time_bound * 1.001


@pytest.mark.parametrize("draw", [661, 729])
def test_small_demands_beside_large_circulations_arrive(draw: int) -> None:
    """A chiplet's flow was once 1.5 GB short: beside 4e13 times the demand no float64 could see it."""
    rng = np.random.default_rng([9501, draw])
    package = random_package(rng, nodes=(15, 30), bandwidth=(1e-2, 1e13), ports=0.2, half_duplex=0.3)
    traffic = random_traffic(rng, package, size=(1, 1e12), share=float(rng.uniform(0.02, 0.4)))
    flow = congestion(package, traffic, tol=1e-3)
    assert flow.verify()
    assert flow.time <= flow.time_bound * 1.001


def test_a_closed_form_of_two_routes_far_apart() -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Switch("x"), Switch("y")]
    fast, slow = 6e17, 1e-3
    links = [Link("a", "x", fast), Link("x", "b", fast), Link("a", "y", slow), Link("y", "b", slow)]
    package = Package("two", nodes, links)
    flow = congestion(package, from_matrix(package, [[0, 6e17], [0, 0]], endpoints=("a", "b")), tol=1e-6)
    assert flow.time == pytest.approx(1.0, rel=1e-6)
    assert flow.verify()


def test_a_link_too_fast_to_add_to_a_distance_still_carries_its_load() -> None:
    """c0's part joins c2's there and comes back: the sum enters c1 once, 1 MB through 3.2 MB/s."""
    nodes = [Chiplet("c0"), Chiplet("c1", crossbar_bandwidth=3.2e6), Chiplet("c2", reduces=True), Switch("s")]
    links = [Link("s", "c1", 1e9), Link("c0", "s", 1e9), Link("c2", "s", 1e14)]
    package = Package("sum", nodes, links)
    sets = DestinationSets(np.array([1]), np.array([[0b101]], dtype=np.uint64), np.array([1e6]))
    flow = congestion(package, Traffic(package.terminals, np.zeros((3, 3)), reduction=sets), tol=1e-5)
    assert flow.time == pytest.approx(1 / 3.2)
    assert flow.verify()


@pytest.mark.parametrize("width", [1e-13, 1e37, 1e59, 1e-59])
def test_bandwidths_out_of_range_are_named(width: float) -> None:
    with pytest.raises(TopologyError, match=r"is not from 1e-12 to 1e\+36"):
        Package("p", [Chiplet("a"), Chiplet("b")], [Link("a", "b", width)])
    with pytest.raises(TopologyError, match=r"is not from 1e-12 to 1e\+36"):
        Package("p", [Chiplet("a", injection_bandwidth=width), Chiplet("b")], [Link("a", "b", 1e9)])
