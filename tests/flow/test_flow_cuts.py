"""The cut behind a bound: closed forms, all cuts of small packages, and no cut above the truth."""

import dataclasses
import itertools

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic
from seeds import seeds

from noptoolkit import Package
from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.certificate import program_bound
from noptoolkit.flow.bounds.cuts import CUT, _Graph, _orders_by_position, _Sides, program_cut
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal import portfolio
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.network import flow_network
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem
from noptoolkit.topology import BUILDERS, mesh, nop_tree, ring, torus


def crossing_time(package: Package, traffic, inside: set[str], *, both_ways: bool) -> float:
    """Bytes out of some nodes over the bandwidth out of them, counted from the package's own words."""
    crossing = bandwidth = 0.0
    for (i, a), (j, b) in itertools.permutations(enumerate(traffic.endpoints), 2):
        if (a in inside) > (b in inside) or (both_ways and (a in inside) != (b in inside)):
            crossing += traffic.demand[i, j]
    counted = set()
    for channel in package.channels:
        link = package.links[channel.link]
        leaves = (channel.tail in inside) > (channel.head in inside)
        enters = (channel.tail in inside) < (channel.head in inside)
        if (leaves or (both_ways and enters)) and not (link.half_duplex and channel.link in counted):
            counted.add(channel.link)
            bandwidth += channel.bandwidth
    return crossing / bandwidth if bandwidth else 0.0


@pytest.mark.parametrize(
    ("package", "time", "channels"),
    [
        (mesh(4, link_bandwidth=1.0), 16, 4),
        (mesh(5, 7, link_bandwidth=1.0), 5 * 7 * (49 - 1) / 4 / 7, 5),
        (mesh(10, link_bandwidth=1.0), 250, 10),
        (torus(6, 6, link_bandwidth=1.0), 27, 12),
        (torus(5, 5, link_bandwidth=1.0), 15, 10),
        (ring(9, link_bandwidth=1.0), 10, 2),
        (nop_tree(groups=4, experts_per_group=4, link_bandwidth=1.0), 52, 1),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_closed_forms(package, time, channels):
    flow = congestion(package, all_to_all(package))
    assert flow.cut.time == pytest.approx(time)
    assert flow.cut.time == pytest.approx(flow.time_bound, rel=1e-6)
    assert len(flow.cut.channels) == channels


def test_a_group_of_a_dragonfly():
    """One global link per pair of groups: what leaves a group, or a few, over the links that leave it."""
    package = BUILDERS["dragonfly"]()
    flow = congestion(package, all_to_all(package))
    assert flow.cut.time == pytest.approx(flow.time_bound, rel=1e-6)


@pytest.mark.parametrize("positions", [True, False])
def test_mesh_of_a_thousand_nodes(positions):
    package = mesh(32, link_bandwidth=1.0)
    if not positions:
        package = package.replace(nodes=[dataclasses.replace(node, position=None) for node in package.nodes])
    flow = congestion(package, all_to_all(package), routing="dor" if positions else "ecmp")
    assert flow.cut.time == pytest.approx(32**3 / 4)
    assert len(flow.cut.inside) == 512


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_no_cut_of_a_small_package_is_slower(seed):
    package = random_package(seed, nodes=7)
    traffic = random_traffic(package, seed)
    flow = congestion(package, traffic)
    names = [node.name for node in package.nodes]
    slowest = 0.0
    for choice in itertools.product([True, False], repeat=len(names)):
        inside = {name for name, chosen in zip(names, choice, strict=True) if chosen}
        for both_ways in (False, True):
            slowest = max(slowest, crossing_time(package, traffic, inside, both_ways=both_ways))
    assert flow.cut.time >= slowest * (
        1 - 1e-9
    )  # more where it parts what a memory reads from what it writes
    assert flow.cut.time <= flow.time * (1 + 1e-7)
    assert flow.cut.demand / flow.cut.capacity == pytest.approx(flow.cut.time)


def test_half_duplex_links_are_counted_both_ways():
    package = mesh(4, link_bandwidth=1.0)
    half = package.replace(links=[dataclasses.replace(link, half_duplex=True) for link in package.links])
    flow = congestion(half, all_to_all(half))
    assert flow.time == pytest.approx(32)
    assert flow.cut.time == pytest.approx(32)
    assert len(flow.cut.channels) == 8


@pytest.mark.parametrize("seed", seeds(3, 8))
def test_a_sweep_finds_the_slowest_cut_of_an_order(seed):
    """The first vertices against the rest, out or in; both ways together, half duplex counts once."""
    package = random_package(seed, nodes=8).without("m0")
    package = package.replace(
        nodes=[dataclasses.replace(node, crossbar_bandwidth=None) for node in package.nodes]
    )
    traffic = random_traffic(package, seed)
    network = flow_network(package)
    assert network.num_vertices == len(package.nodes)
    graph = _Graph(network.num_vertices, network.tail, network.head, network.own, network.arc_capacity)
    demand = np.zeros((network.num_vertices, network.num_vertices))
    at = [network.origin[[node.name for node in package.nodes].index(name)] for name in traffic.endpoints]
    demand[np.ix_(at, at)] = traffic.demand
    order = np.random.default_rng(seed).permutation(network.num_vertices)
    names = [network.node_of_vertex(int(vertex)) for vertex in order]
    for both_ways in (False, True):
        found, mask = _Sides.of(graph, demand, both_ways).sweep(order)
        cuts = [set(side) for k in range(1, len(names)) for side in (names[:k], names[k:])]
        times = [crossing_time(package, traffic, inside, both_ways=both_ways) for inside in cuts]
        assert found == pytest.approx(max(times))
        inside = {network.node_of_vertex(int(vertex)) for vertex in np.flatnonzero(mask)}
        assert crossing_time(package, traffic, inside, both_ways=both_ways) == pytest.approx(found)


def test_orders_by_position_go_along_both_axes():
    package = mesh(2, 3)
    network = flow_network(package)
    where = {node.name: node.position for node in package.nodes}
    along_x, along_y = (
        [where[network.node_of_vertex(int(vertex))] for vertex in order]
        for order in _orders_by_position(network)
    )
    assert along_x == sorted(where.values())
    assert along_y == sorted(where.values(), key=lambda position: position[::-1])


@pytest.mark.parametrize("seed", range(4))
def test_efficiency_slows_the_cut_as_well(seed):
    package = random_package(seed, nodes=8)
    traffic = random_traffic(package, seed)
    whole, half = (congestion(package, traffic, efficiency=share).cut for share in (1.0, 0.5))
    assert half.time == pytest.approx(2 * whole.time)
    assert np.isclose(half.demand, whole.demand)


@pytest.mark.parametrize("seed", seeds(4, 8))
def test_cuts_of_programs_bound_them(seed):
    """What a cut proves is what its prices prove, at most the optimum, at least what one vertex needs."""
    package = random_package(seed, nodes=9)
    problem = routing_problem(package, random_traffic(package, seed))
    program = peel(problem, tree_loads(problem, take_first)).program
    optimum = solve_linear_program(program).time
    for prices in (1 / program.capacity, np.random.default_rng(seed).uniform(0, 1, len(program.capacity))):
        bound, found = program_cut(program, prices)
        assert 0 < bound <= optimum * (1 + 1e-6)
        assert program.capacity @ found == pytest.approx(1)
        assert program_bound(program, found) >= bound * (1 - 1e-9)


def test_a_cut_proves_what_prices_still_miss(monkeypatch):
    """On a mesh of random capacities the bound comes from a cut long before the prices know it."""
    package = mesh(12, link_bandwidth=1.0)
    rng = np.random.default_rng(4)
    links = [dataclasses.replace(link, bandwidth=float(rng.uniform(0.5, 1.5))) for link in package.links]
    package = package.replace(links=links)
    traffic = all_to_all(package)
    monkeypatch.setattr(portfolio, "SMALL_COLUMNS", 0)
    flow = congestion(package, traffic, tol=0.01)
    assert flow.bound_method == CUT
    assert flow.verify()
    assert flow.cut.time == pytest.approx(flow.time_bound, rel=1e-9)
