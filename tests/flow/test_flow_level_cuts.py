"""Bounds of fixed routings: cuts along orders against brute force, closed forms in large packages."""

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic
from seeds import seeds

from noptoolkit import Chiplet, Link, Package
from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.level_cuts import level_cut_bound
from noptoolkit.flow.evaluation import SMALL
from noptoolkit.routing.problem import routing_problem
from noptoolkit.topology import mesh, random_regular, torus


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (15, 15), (12, 20)])
def test_dor_on_a_large_mesh_has_the_gap_it_has(rows, columns):
    package = mesh(rows, columns, link_bandwidth=1.0)
    flow = congestion(package, all_to_all(package), routing="dor")
    assert len(package.nodes) > SMALL
    expected = rows * (columns // 2) * ((columns + 1) // 2)  # a b^2 / 4, b >= a; k (k^2 - 1) / 4 for k odd
    assert flow.time == pytest.approx(expected, rel=1e-12)
    assert (flow.status, flow.gap) == ("exact", 0.0)
    assert flow.verify()


@pytest.mark.parametrize("routing", ["dor", "ecmp"])
def test_a_large_torus_is_routed_optimally(routing):
    package = torus(16, 16, link_bandwidth=1.0)
    flow = congestion(package, all_to_all(package), routing=routing)
    assert flow.time == pytest.approx(16**3 / 8)
    assert flow.status == "exact"
    assert flow.verify()


def test_hops_bound_what_no_cut_does():
    package = random_regular(220, 5, link_bandwidth=1.0)
    traffic = all_to_all(package)
    flow = congestion(package, traffic, routing="ecmp")
    assert flow.bound_method == "hops over total bandwidth"
    assert flow.verify()
    for other in ("shortest", "valiant", "up-down"):
        assert congestion(package, traffic, routing=other).time_bound == pytest.approx(flow.time_bound)
    best = congestion(package, traffic, tol=0.05)
    assert flow.time_bound <= best.time
    assert flow.time_bound >= 0.7 * best.time


def placed(seed):
    """A random package with half-duplex and one-way links, some of whose nodes have a position."""
    rng = np.random.default_rng(seed)
    package = random_package(seed, nodes=10)
    nodes = [
        Chiplet(node.name, role="expert", position=tuple(rng.integers(0, 4, 2) * 1e-2))
        if isinstance(node, Chiplet) and i % 3
        else node
        for i, node in enumerate(package.nodes)
    ]
    return package.replace(nodes=nodes)


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_no_cut_is_above_the_optimum(seed):
    package = placed(seed)
    traffic = random_traffic(package, seed, density=0.5)
    problem = routing_problem(package, traffic)
    best = congestion(package, traffic)
    for busiest in range(0, problem.network.num_arcs, 5):
        bound = level_cut_bound(problem, busiest)
        assert 0 < bound.time <= best.time * (1 + 1e-6)
        assert bound.prices @ problem.network.capacity == pytest.approx(1)
    for routing in ("ecmp", "valiant"):
        assert congestion(package, traffic, routing=routing).verify()


@pytest.mark.parametrize("seed", seeds(4, 6))
@pytest.mark.parametrize("half", [False, True])
def test_the_slowest_run_of_columns_is_found(seed, half):
    """Every run of places along a line with chords, forwards, backwards and both, summed by hand."""
    rng = np.random.default_rng(seed)
    size = 8
    links = [
        Link(
            f"n{i}",
            f"n{i + step}",
            float(rng.uniform(0.5, 2)),
            reverse_bandwidth=None if half else float(rng.uniform(0.5, 2)),
            half_duplex=half,
        )
        for step in (1, 3)
        for i in range(size - step)
    ]
    package = Package("line", [Chiplet(f"n{i}", position=(float(i), 0.0)) for i in range(size)], links)
    traffic = random_traffic(package, seed, 0.3)
    problem = routing_problem(package, traffic)
    slowest = 0.0
    for first in range(size):
        for last in range(first, size):
            inside = {f"n{i}" for i in range(first, last + 1)}
            out, into = (
                sum(
                    traffic.demand[i, j]
                    for i in range(size)
                    for j in range(size)
                    if (f"n{i}" in inside) != (f"n{j}" in inside) and (f"n{i}" in inside) == way
                )
                for way in (True, False)
            )
            crossing = [c for c in package.channels if (c.tail in inside) != (c.head in inside)]
            leaving = sum(c.bandwidth for c in crossing if c.tail in inside)
            entering = sum(c.bandwidth for c in crossing if c.head in inside)
            if leaving == 0:
                continue
            slowest = max(slowest, out / leaving, into / entering)
            both = leaving if half else leaving + entering
            slowest = max(slowest, (out + into) / both)
    assert level_cut_bound(problem, 0).time >= slowest * (1 - 1e-12)
