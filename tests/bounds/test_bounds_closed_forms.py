"""Bounds over all topologies: published tables, closed forms, relabelling, scaling, broken certificates."""

import dataclasses

import numpy as np
import pytest

from noptoolkit import congestion, load_topology, topology
from noptoolkit.bounds import (
    LIKE,
    TopologyClass,
    all_to_all_bound,
    any_package,
    collective_bound,
    design_bound,
    edge_bound,
    grid_class,
    matched_bound,
    moore_sum,
    ports_bound,
    ports_of,
    wire_bound,
)
from noptoolkit.collectives import collective
from noptoolkit.errors import NopError, RoutingError, TopologyError, UnknownNameError, WorkloadError
from noptoolkit.flow import best_widths
from noptoolkit.traffic import Traffic, all_to_all


def uniform(size, amount=1.0):
    return Traffic(tuple(f"e{i}" for i in range(size)), amount * (1 - np.eye(size)), name="uniform")


def test_moore_sums_and_bounds_of_16_and_64_chiplets():
    assert [moore_sum(16, p) for p in (3, 4, 5, 6)] == [33, 26, 25, 24]
    assert [moore_sum(64, p) for p in (3, 4, 5, 6)] == [237, 180, 159, 147]
    for size, times in ((16, (11, 6.5, 5, 4)), (64, (79, 45, 31.8, 24.5))):
        for ports, time in zip((3, 4, 5, 6), times, strict=True):
            assert all_to_all_bound(size, ports, 1.0, 1.0).time == pytest.approx(time)


@pytest.mark.parametrize(
    ("side", "ports", "reach", "times"),  # free split, whole links, one link a pair
    [
        (4, 4, 1, (10.667, 10.667, 16.0)),
        (4, 4, 2, (6.0, 6.812, 6.812)),
        (4, 4, 3, (4.688, 6.5, 6.5)),
        (4, 6, 2, (4.0, 4.25, 4.435)),
        (4, 6, 3, (3.125, 4.0, 4.0)),
        (8, 4, 1, (87.661, 87.661, 128.0)),
        (8, 4, 2, (46.917, 50.062, 50.062)),
        pytest.param(8, 6, 2, (31.278, 31.333, 34.791), marks=pytest.mark.long),
        pytest.param(8, 4, 3, (33.375, 45.141, 45.141), marks=pytest.mark.long),
        pytest.param(8, 6, 3, (22.25, 25.437, 25.437), marks=pytest.mark.long),
    ],
)
def test_grids_with_a_reach(side, ports, reach, times):
    for rule, time in zip(("split", "whole", "single"), times, strict=True):
        within = grid_class(side, ports=ports, reach=reach, bandwidth=1.0, links=rule)
        bound = design_bound(uniform(side * side), within)
        assert bound.verify()
        assert bound.time == pytest.approx(time, abs=6e-4)


@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_equal_wire_is_the_re_widened_mesh(side):
    """k^2 (k + 1) / 6, by the design program, by lengths, and by the mesh with its own best widths."""
    exact = side**2 * (side + 1) / 6
    within = grid_class(side, ports=9, bandwidth=1.0, links="split", wire=2 * side * (side - 1))
    assert design_bound(uniform(side**2), within).time == pytest.approx(exact, rel=1e-6)
    mesh = topology.mesh(side, link_bandwidth=1.0)
    flow = congestion(mesh, all_to_all(mesh, 1.0))
    bound = wire_bound(mesh, flow.traffic)
    assert bound.time == pytest.approx(exact)
    assert bound.verify()
    best = best_widths(mesh, flow.traffic, 2.0 * len(mesh.links), floor=0.0)
    assert best.time == pytest.approx(exact, rel=2e-3)


def test_more_wire_than_ports_use_buys_nothing():
    times = [
        design_bound(uniform(16), grid_class(4, ports=4, bandwidth=1.0, wire=24 * share)).time
        for share in (1, 1.25, 4)
    ]
    assert times[0] == pytest.approx(13.3333, abs=1e-3)
    assert times[0] > times[1] > times[2] == pytest.approx(6.5, rel=1e-5)


@pytest.mark.parametrize(
    ("package", "ratio"),
    [
        (topology.ring(9), 1.0),
        (topology.slim_noc(5), 1.0),
        (topology.hypercube(4), 1.231),
        (topology.torus(4), 1.231),
        (topology.flattened_butterfly(4), 1.0),
        (topology.torus(8), 1.422),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_families_at_their_own_ports(package, ratio):
    flow = congestion(package, all_to_all(package, "1 MB"))
    assert flow.time / any_package(package, flow.traffic, "ports").time == pytest.approx(ratio, abs=6e-4)


def test_a_hub_attains_the_free_split_of_the_chiplet_edge():
    star = topology.star(6, link_bandwidth="1 GB/s")
    demand = all_to_all(star, "1 MB")
    assert congestion(star, demand).time == pytest.approx(any_package(star, demand, "chiplet edge").time)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["broadcast", "all-gather", "reduce-scatter", "all-reduce"])
def test_collectives_on_harary_graphs(kind):
    """Every 4-edge-connected 4-regular graph attains the bound: a torus, a circulant."""
    for package in (topology.torus(3, link_bandwidth="1 GB/s"), topology.torus(4, link_bandwidth="1 GB/s")):
        size = len(package.chiplets)
        bound = collective_bound(kind, "36 MB", size, 4, "1 GB/s")
        assert bound.verify()
        assert collective(package, kind, "36 MB", trees=False).time == pytest.approx(bound.time, rel=1e-6)


def test_collectives_with_a_port_that_stays_free():
    assert collective_bound("broadcast", 6.0, 5, 3, 1.0).time == 3.0
    assert collective_bound("all-reduce", 7.0, 5, 3, 1.0).time == 4.0
    assert all(
        collective_bound(kind, 7.0, 5, 3, 1.0).verify()
        for kind in ("reduce", "scatter", "gather", "all-gather", "all-to-all")
    )


@pytest.mark.parametrize("seed", range(3))
def test_relabelling_and_scaling(seed):
    rng = np.random.default_rng(seed)
    demand = rng.pareto(1.5, (7, 7)) * (1 - np.eye(7))
    names = tuple(f"e{i}" for i in range(7))
    order = rng.permutation(7)
    plain = Traffic(names, demand)
    turned, more = Traffic(names, demand[np.ix_(order, order)]), Traffic(names, 3 * demand)
    spots = rng.integers(0, 4, (7, 2)) + 0.0
    spots[:, 0] += np.arange(7)

    def all_of(given, places, bandwidth=1.0):
        one = TopologyClass(names, 3, bandwidth, "whole", places, reach=6.0)
        return np.array(
            [
                ports_bound(given, 3, bandwidth).time,
                matched_bound(given, 3, bandwidth).time,
                design_bound(given, one).time,
                design_bound(given, one.replace(links="split", wire=20.0)).time,
            ]
        )

    base = all_of(plain, spots)
    assert all_of(turned, spots[order]) == pytest.approx(base, rel=1e-5)
    assert all_of(more, spots) == pytest.approx(3 * base, rel=1e-5)
    assert all_of(plain, spots, 2.0) == pytest.approx(base / 2, rel=1e-5)


def test_symmetry_changes_nothing():
    rng = np.random.default_rng(4)
    for rule in ("split", "whole"):
        within = grid_class(3, ports=4, reach=2, bandwidth=1.0, links=rule)
        folded = design_bound(uniform(9), within).time
        nudged = np.asarray(uniform(9).demand) * (1 + 1e-9 * rng.random((9, 9)))  # no symmetry left
        assert design_bound(Traffic(uniform(9).endpoints, nudged), within).time == pytest.approx(
            folded, rel=1e-6
        )


@pytest.mark.parametrize("name", ["mesh-4x4", "mozart-nop-tree", "kite-small-4x4", "dragonfly-16"])
def test_no_family_beats_any_package_like_it(name):
    package = load_topology(name)
    flow = congestion(package, all_to_all(package, "1 MB", among="experts"))
    for like in LIKE:
        bound = any_package(package, flow.traffic, like)
        assert bound.verify()
        assert bound.time <= flow.time * (1 + 1e-9)


def test_broken_certificates_prove_nothing():
    bound = design_bound(uniform(9), grid_class(3, ports=4, reach=2, bandwidth=1.0))
    one = bound.certificate
    for broken in (
        dataclasses.replace(one, length=one.length * 1.01),
        dataclasses.replace(one, moore=one.moore + 1.0),
        dataclasses.replace(one, at_node=-one.at_node),
        dataclasses.replace(one, at_node=0.5 * one.at_node),
        dataclasses.replace(one, pairs=one.pairs[1:], at_pair=one.at_pair[1:]),
    ):
        with pytest.raises(RoutingError, match="does not hold"):
            dataclasses.replace(bound, certificate=broken).verify()
    skewed = matched_bound(
        Traffic(tuple("abcde"), np.eye(5)[[1, 2, 3, 4, 0]] + 0.1 * (1 - np.eye(5))), 3, 1.0
    )
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(
            skewed, certificate=dataclasses.replace(skewed.certificate, hops=skewed.certificate.hops * 0.5)
        ).verify()
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(bound, time=bound.time * 1.001).verify()


def test_classes_without_a_connected_package():
    with pytest.raises(TopologyError, match="reach 1: no chain of links joins 'a' to 'b'"):
        TopologyClass(("a", "b"), 3, 1.0, positions=[(0, 0), (2, 0)], reach=1)
    with pytest.raises(TopologyError, match="9 ports make 4 links, and 9 chiplets need 8"):
        grid_class(3, ports=1)
    with pytest.raises(TopologyError, match="wire=7 is less than the 8"):
        grid_class(3, ports=4, wire=7)
    with pytest.raises(TopologyError, match="total=3 allows fewer than 8"):
        grid_class(3, ports=4, total=3)
    with pytest.raises(TopologyError, match="holds no connected package"):
        ports_bound(uniform(5), 1, 1.0)
    with pytest.raises(TopologyError, match="cannot all be joined"):
        all_to_all_bound(16, 1, 1.0, 1.0, switches=[8])


@pytest.mark.parametrize("budget", ["reach", "wire", "total"])
def test_budgets_of_nothing(budget):
    with pytest.raises(TopologyError, match=f"{budget}=0 allows no link"):
        grid_class(3, **{budget: 0.0})


def test_other_bad_input():
    with pytest.raises(TopologyError, match="carry nothing"):
        grid_class(3, bandwidth=0.0)
    with pytest.raises(TopologyError, match="lets nothing through"):
        edge_bound(uniform(3), 0.0)
    with pytest.raises(WorkloadError, match="carries nothing"):
        edge_bound(Traffic(("a", "b"), np.zeros((2, 2))), 1.0)
    with pytest.raises(WorkloadError, match="no chiplet of the class"):
        design_bound(uniform(5), grid_class(2, ports=2))
    with pytest.raises(UnknownNameError, match="broadcast"):
        collective_bound("brodcast", 1.0, 4, 2, 1.0)
    with pytest.raises(NopError, match="ports"):
        any_package(topology.mesh(2), all_to_all(topology.mesh(2), 1.0), "port")
    with pytest.raises(TopologyError, match="give whole numbers above 0"):
        ports_bound(uniform(4), 0, 1.0)
    with pytest.raises(TopologyError, match="reach needs positions"):
        ports_bound(uniform(4), 3, 1.0, reach=2)


def test_memory_stacks_are_no_chiplets():
    package = load_topology("mozart-nop-tree")
    demand = all_to_all(package, 1.0, among="experts")
    ports = ports_of(package, demand)
    assert set(ports.count.tolist()) == {1, 4}  # experts with one link, the attention chiplet with four
    assert ports.relays.tolist() == [5] * 4
    stack = package.memories[0].name
    load = Traffic((stack, "e0"), np.array([[0.0, 1.0], [0.0, 0.0]]))
    for like in LIKE:
        with pytest.raises(TopologyError, match=f"memory stack '{stack}'"):
            any_package(package, load, like)
