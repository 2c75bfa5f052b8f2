"""Algorithms of today: they compute what they should, take the published times, and never beat the bound."""

import dataclasses

import numpy as np
import pytest
from collective_cases import complete, grid, hypercube, ring, star

from noptoolkit import Chiplet, Link, Package, Switch, topology
from noptoolkit.collectives import ALGORITHMS, Request, collective, compare_algorithms
from noptoolkit.collectives.algorithms.classic import steps_of
from noptoolkit.collectives.chunks import run_in_chunks
from noptoolkit.collectives.kinds.steiner import all_reduce_at_switches
from noptoolkit.collectives.latency import crossover, with_latency
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network


def renamed(package: Package, name: str) -> Package:
    return package.replace(name=name)


TREE = topology.nop_tree(link_bandwidth=1.0)
MESH = topology.mesh(4, 4, link_bandwidth=1.0)
PACKAGES = [MESH, ring(8), hypercube(3), star(8), TREE, topology.torus(4, 4, link_bandwidth=1.0)]


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_steps_compute_the_collective(name: str, package: Package) -> None:
    network = flow_network(package)
    for kind in ALGORITHMS[name].kinds:
        request = Request(kind, 1.0, package.experts)
        try:
            steps = steps_of(network, request, name)
        except RoutingError:
            continue
        assert all(((step.blocks >= 0) & (step.blocks < steps.blocks)).all() for step in steps.steps)
        count = len(request.members)
        values = np.random.default_rng(0).random((count, steps.blocks))
        total = values.sum(axis=0)
        if kind == "all-gather":
            owned = np.full((count, steps.blocks), np.nan)
            owned[steps.owner, np.arange(steps.blocks)] = total
            assert np.allclose(steps.replay(owned), total)
        else:
            found = steps.replay(values)
            if kind == "all-reduce":
                assert np.allclose(found, total)
            else:
                assert np.allclose(found[steps.owner, np.arange(steps.blocks)], total)


TIMES = {  # M = 1, unit links: ring, two rings, halving near and far first, recursive doubling
    "ring-16": (1.875, 0.9375, 3.5, 6.625, 11.0),
    "mesh-4x4": (1.875, 0.9375, 2.5, 3.125, 6.0),
    "mesh-8x8": (1.96875, 0.984375, 3.375, 5.90625, 14.0),
    "torus-4x4": (1.875, 0.9375, 1.875, 1.875, 4.0),
    "torus-8x8": (1.96875, 0.984375, 2.8125, 3.65625, 10.0),
    "K8": (1.75, 0.875, 1.75, 1.75, 3.0),
    "star-8": (1.75, 1.75, 1.75, 1.75, 3.0),
    "nop_tree-4x4": (1.875, 1.875, 3.0, 6.375, 10.0),
}
OF_NAME = {
    "ring-16": ring(16),
    "mesh-4x4": MESH,
    "mesh-8x8": topology.mesh(8, 8, link_bandwidth=1.0),
    "torus-4x4": topology.torus(4, 4, link_bandwidth=1.0),
    "torus-8x8": topology.torus(8, 8, link_bandwidth=1.0),
    "K8": complete(8),
    "star-8": star(8),
    "nop_tree-4x4": TREE,
}
NAMES = ("ring", "two rings", "halving-doubling", "halving-doubling far", "recursive doubling")


@pytest.mark.parametrize("name", TIMES)
def test_what_fixed_algorithms_take(name: str) -> None:
    best = collective(OF_NAME[name], "all-reduce", 1.0)
    for algorithm, time in zip(NAMES, TIMES[name], strict=True):
        result = collective(OF_NAME[name], "all-reduce", 1.0, algorithm=algorithm, optimum=best)
        assert result.time == pytest.approx(time, rel=1e-9)
        assert result.time >= result.time_bound * (1 - 1e-9)
        assert result.steps


def test_table_of_algorithms_says_what_does_not_apply() -> None:
    found = compare_algorithms(collective(ring(6), "all-reduce", 1.0))
    assert "need 2, 4, 8, ... members, not 6" in str(found.others["halving-doubling"])
    rows = {row["algorithm"]: row for row in found.table().records()}
    assert rows["two rings"]["over_bound"] == pytest.approx(1.0)
    assert rows["ring"]["over_bound"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("package", "time"),
    [(star(8), 1.0), (TREE, 1.0), (topology.nop_tree(link_bandwidth=1.0, uplink_bandwidth=0.5), 2.0)],
)
def test_relays_that_add(package: Package, time: float) -> None:
    result = collective(package, "all-reduce", 1.0, in_network=True)
    assert result.time == pytest.approx(time)
    assert result.status == "exact"
    assert result.computing
    assert result.verify()


def test_relays_do_not_add_where_channels_differ_by_direction_or_chiplets_have_ports() -> None:
    """Either alone is a reason, which is said; without both the hub adds."""
    ends = [Chiplet(name) for name in "abc"]
    limited = [dataclasses.replace(node, injection_bandwidth=0.5) for node in ends]
    both = [Link("hub", name, 1.0) for name in "abc"]
    slow_back = [Link("hub", name, 1.0, 0.5) for name in "abc"]
    for nodes, links, said in ((ends, both, ""), (ends, slow_back, "another"), (limited, both, "another")):
        network = flow_network(Package("star", [*nodes, Switch("hub")], links))
        request = Request("all-reduce", 1.0, tuple("abc"))
        answer, why = all_reduce_at_switches(network, request, np.array([3]), 1e-3)
        assert (answer is None) == bool(said)
        assert said in why


def test_chunks_fill_the_trees() -> None:
    result = collective(grid(4, 4, wrap=True), "all-gather", 16.0)
    assert result.schedule is not None
    times = [run_in_chunks(result.schedule, chunks, alpha=0.0).time / result.time for chunks in (1, 4, 32)]
    assert 1.0 < times[2] < times[1] < times[0] < 2.0
    assert times[2] < 1.03
    one = run_in_chunks(result.schedule, 1, alpha=0.0)
    arcs = result.schedule.arcs
    for arc in range(result.network.num_arcs):  # a channel carries one chunk at a time
        mine = np.flatnonzero(arcs == arc)
        order = mine[np.argsort(one.start[mine, 0])]
        ends = one.start[order, 0] + one.duration[order]
        assert (one.start[order[1:], 0] >= ends[:-1] - 1e-12).all()


def test_latency_takes_shallow_trees_for_small_messages() -> None:
    mesh = topology.mesh(4, 4, link_bandwidth="100 GB/s")
    small, large = (
        with_latency(collective(mesh, "broadcast", size), alpha="20 ns") for size in ("64 B", "1 GB")
    )
    assert small.trees == "shallow"
    assert small.time == pytest.approx(6 * 20e-9, rel=0.05)  # six hops from corner to corner
    assert small.time_bound == pytest.approx(6 * 20e-9)
    assert large.trees == "optimal"
    assert large.time < 1.1 * large.time_bound
    size = crossover(collective(mesh, "broadcast", "1 MB"), alpha="20 ns")
    below = with_latency(collective(mesh, "broadcast", 0.5 * size), alpha="20 ns")
    above = with_latency(collective(mesh, "broadcast", 2 * size), alpha="20 ns")
    assert (below.trees, above.trees) == ("shallow", "optimal")


def test_relays_that_could_add_and_copy_but_are_left_out_are_told() -> None:
    """Switches in the middle of half-duplex links add nothing here; one at the side could add nothing."""
    switch, members = Switch("s", replicates=True, reduces=True), [Chiplet(f"c{i}") for i in range(3)]
    spokes = [Link("s", f"c{i}", 1.0, half_duplex=True) for i in range(3)]
    star_of_three = collective(Package("star", [switch, *members], spokes), "all-reduce", 1.0)
    left_out = "some relays add and copy, which time and bound leave out"
    assert f"{left_out}: half-duplex links" in star_of_three.notes()
    assert "no schedule where members alone add and copy is faster" in str(star_of_three.table())
    assert repr(star_of_three).endswith(", relays left out)")
    sides = [Link("c0", "c1", 1.0), Link("c1", "c2", 1.0), Link("c2", "c0", 1.0)]
    aside = Package("aside", [switch, *members], [*sides, Link("s", "c0", 1.0)])
    result = collective(aside, "all-reduce", 1.0)
    assert not any(left_out in note for note in result.notes())
    assert not result.left_out


@pytest.mark.parametrize("algorithm", ["ring", "optimal"])
def test_a_bound_over_all_schedules_counts_relays_that_add_and_copy(algorithm: str) -> None:
    """Four members of a star: 1 B each way through a switch that adds; 1.5 B by members alone."""
    nodes = [Switch("s", replicates=True, reduces=True), *(Chiplet(f"c{i}") for i in range(4))]
    package = Package("star", nodes, [Link("s", f"c{i}", 1.0) for i in range(4)])
    found = collective(package, "all-reduce", 1.0, algorithm=algorithm)
    assert (found.time_bound, found.left_out) == (pytest.approx(1.0), "")
    assert found.time == pytest.approx(1.0 if algorithm == "optimal" else 1.5)
    for options, why in (
        ({"in_network": False}, "in_network=False"),
        ({"forwards": False}, "some chiplets forward nothing"),
    ):
        if algorithm == "optimal" or "in_network" in options:
            alone = collective(package, "all-reduce", 1.0, algorithm=algorithm, **options)  # type: ignore[arg-type]
            assert (alone.time_bound, alone.left_out) == (pytest.approx(1.5), why)
            assert "where members alone add and copy" in str(alone.table())
