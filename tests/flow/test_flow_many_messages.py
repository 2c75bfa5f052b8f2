"""Dispatch and combine with copies in the network, a token's source anywhere: sets shared by many roots."""

import dataclasses

import numpy as np
import pytest
from flow_cases import random_package
from message_cases import all_tree_packing_time, capable, messages, random_sets

from noptoolkit import Chiplet, Link, Package
from noptoolkit.allocation import allocate
from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.trees.cheapest import CheapestTrees, SetGroup, covering_sets
from noptoolkit.flow.verification.prices import PricedMessages
from noptoolkit.routing.problem import routing_problem
from noptoolkit.synthetic import SyntheticRouting, draw_trace
from noptoolkit.topology import mesh, torus
from noptoolkit.traffic import DestinationSets, combine, dispatch


def from_everywhere(package, tokens=150, top_k=4, reverse=False):
    trace = draw_trace(SyntheticRouting(32, top_k, tokens, 1, topics=8, affinity=2.0, seed=1))
    layout = allocate(trace, package, method="contiguous")
    carry = combine if reverse else dispatch
    return carry(package, trace, layout, token_bytes="4 kB", degree="in-network")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("build", [mesh, torus])
def test_dispatch_from_everywhere_is_certified(build, reverse):
    package = build(4, 4, replicates=True, reduces=True, link_bandwidth="128 GB/s")
    traffic = from_everywhere(package, reverse=reverse)
    flow = congestion(package, traffic)
    assert flow.gap <= 0.01
    assert flow.time <= congestion(package, traffic, routing="dor").time
    checked = flow.verify()
    assert checked.messages == len(traffic.reduction if reverse else traffic.multicast)
    assert not checked.unchecked


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_set_answers_all_its_roots(seed, everyone, reverse):
    """Messages to all but their root cost with others' sets what they cost alone, and by verify()'s code."""
    package = capable(random_package(seed, nodes=9), None if everyone else {"n1", "n2", "n6"})
    size = len(package.terminals)
    sets = random_sets(size, 5, 5, seed=seed)
    root = np.repeat(np.arange(size), 5)
    whole = np.tile(sets.members[:, 0], size)
    shared = DestinationSets(
        root, (whole & ~(np.uint64(1) << root.astype(np.uint64)))[:, None], np.ones(len(root))
    )
    problem = routing_problem(package, messages(package, shared, reverse=reverse))
    (part,) = problem.messages
    prices = np.random.default_rng(seed).exponential(1, problem.network.num_resources)
    cheapest = CheapestTrees(problem, part, prices)
    covering = covering_sets(problem, part)
    together = cheapest.serve(SetGroup.of(problem, part, covering, np.arange(len(covering.members))))
    assert len(covering.members) < len(np.unique(shared.members)) - 1
    alone = 0.0
    for row in range(len(root)):
        one = dataclasses.replace(part, root=part.root[[row]], members=part.members[[row]], bytes=np.ones(1))
        by_itself = covering_sets(problem, one)
        alone += cheapest_of_one(problem, one, prices, by_itself)
    assert together.bound == pytest.approx(alone, rel=1e-12)
    flow = congestion(package, messages(package, shared, reverse=reverse), routing="shortest")
    distance = cheapest.distance.T if reverse else cheapest.distance
    several = dataclasses.replace(shared, members=part.members)  # those to one member are unicast
    again = PricedMessages(flow, several, distance, cheapest.per_copy, reverse=reverse)
    assert again.cost(trees=True) == pytest.approx(alone, rel=1e-12)


def cheapest_of_one(problem, part, prices, covering):
    if len(covering.members) == 0:
        return 0.0
    group = SetGroup.of(problem, part, covering, np.arange(1))
    return CheapestTrees(problem, part, prices).serve(group).bound


@pytest.mark.parametrize("reverse", [False, True])
def test_packing_of_shared_sets_is_the_optimum_over_all_trees(reverse):
    nodes = [Chiplet(f"n{i}", role="expert", replicates=True, reduces=True) for i in range(5)]
    rng = np.random.default_rng(3)
    links = [
        Link(f"n{i}", f"n{j}", float(a), reverse_bandwidth=float(b))
        for (i, j), (a, b) in zip(
            [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 4)], rng.uniform(0.5, 1.5, (6, 2)), strict=True
        )
    ]
    package = Package("ring with a chord", nodes, links)
    root = np.arange(5)
    members = (np.uint64(0b01101) & ~(np.uint64(1) << root.astype(np.uint64)))[:, None]
    shared = DestinationSets(root, members, rng.uniform(0.5, 1.5, 5))
    flow = congestion(package, messages(package, shared, reverse=reverse), tol=1e-5)
    assert flow.time == pytest.approx(all_tree_packing_time(package, shared, reverse), rel=1e-4)
    assert flow.gap <= 1e-5
    assert not flow.verify().unchecked


def test_everybody_tells_his_neighbours():
    """On a torus each node's four channels carry one copy of its message: a byte each, and no less."""
    package = torus(6, 6, replicates=True, link_bandwidth="1 B/s")
    names = package.terminals
    near = {name: [c.head for c in package.channels if c.tail == name] for name in names}
    members = np.array([[sum(1 << names.index(other) for other in near[name])] for name in names], np.uint64)
    flow = congestion(package, messages(package, DestinationSets(np.arange(36), members, np.ones(36))))
    assert flow.time == pytest.approx(1.0)
    assert flow.status == "exact"


def test_bound_from_another_problem_is_rejected():
    """Prices are believed for what they prove: halved messages do not carry the bound of whole ones."""
    package = torus(4, 4, replicates=True, link_bandwidth="128 GB/s")
    traffic = from_everywhere(package)
    flow = congestion(package, traffic)
    sets = traffic.multicast
    lighter = dataclasses.replace(
        traffic, multicast=DestinationSets(sets.root, sets.members, sets.bytes * 0.9)
    )
    with pytest.raises(RoutingError, match="the prices prove"):
        dataclasses.replace(flow, traffic=lighter).verify()
