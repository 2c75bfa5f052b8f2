"""Least latency against networkx, and BookSim's min against anynet.cpp written again, loop for loop."""

from functools import partial

import networkx as nx
import numpy as np
import pytest
from seeds import seeds

from noptoolkit import Chiplet, Link, Memory, Package, Switch, check_deadlock, congestion, load_topology
from noptoolkit import zero_load_latency as latency
from noptoolkit.errors import RoutingError
from noptoolkit.formats import list_topologies
from noptoolkit.routing import RoutingMethod
from noptoolkit.routing.latency_routing import booksim_min
from noptoolkit.topology import mesh, ring
from noptoolkit.traffic import all_to_all, from_matrix


def paths_of_booksim(package: Package, clock: float = 1e9) -> dict[tuple[str, str], list[str]]:
    """Return the path of every pair as AnyNet::route finds it: sets and maps in order of router numbers."""
    names = [node.name for node in package.nodes if not isinstance(node, Memory)]
    number = {name: i for i, name in enumerate(names)}
    cycles: dict[int, dict[int, int]] = {i: {} for i in range(len(names))}
    for link in package.links:
        if link.a in number and link.b in number:
            count = max(1, -int(-round(link.latency * clock, 6) // 1))
            ways = ((link.a, link.b, link.bandwidth), (link.b, link.a, link.backward_bandwidth))
            for a, b, width in ways:
                if width > 0:
                    here = cycles[number[a]]
                    here[number[b]] = min(count, here.get(number[b], count))
    step = {}
    for start in range(len(names)):
        distance, before = [10**9] * len(names), [-1] * len(names)
        distance[start], left = 0, set(range(len(names)))
        while left:
            nearest = min(sorted(left), key=lambda i: distance[i])
            left.remove(nearest)
            for other, count in sorted(cycles[nearest].items()):
                if distance[nearest] + count < distance[other]:
                    distance[other], before[other] = distance[nearest] + count, nearest
        for end in range(len(names)):
            if end != start:
                at = end
                while before[at] != start:
                    at = before[at]
                step[start, end] = at
    found = {}
    for a in package.terminals:
        for b in package.terminals:
            if a != b:
                path = [number[a]]
                while path[-1] != number[b]:
                    path.append(step[path[-1], number[b]])
                found[a, b] = [names[i] for i in path]
    return found


@pytest.mark.parametrize("name", list_topologies())
def test_booksim_min_is_that_of_anynet(name: str) -> None:
    package = load_topology(name)
    traffic = all_to_all(package, "1 MB", among="terminals")
    flow = congestion(package, traffic, routing="booksim-min")
    paths = paths_of_booksim(package)
    np.testing.assert_allclose(flow.load, congestion(package, traffic, routing=paths).load, rtol=1e-12)
    assert flow.verify()
    assert check_deadlock(package, routing="booksim-min").free == check_deadlock(package, routing=paths).free


@pytest.mark.parametrize("seed", seeds(4, 6))
def test_latencies_that_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nx.random_regular_graph(3, 12, seed=seed)
    links = [
        Link(f"e{a}", f"e{b}", 1e9, latency=float(rng.choice([0, 1, 2.5, 3, 9])) * 1e-9)
        for a, b in graph.edges
    ]
    chiplets = [Chiplet(f"e{i}", latency=float(rng.choice([0, 1, 4])) * 1e-9) for i in range(12)]
    package = Package("random", chiplets, links)
    traffic = all_to_all(package, 1.0, among="terminals")
    for clock in (1e9, 0.4e9):
        method = RoutingMethod("min", forward=partial(booksim_min, clock=clock))
        ours = congestion(package, traffic, routing=method)
        theirs = congestion(package, traffic, routing=paths_of_booksim(package, clock))
        np.testing.assert_allclose(ours.load, theirs.load)
    weighted = nx.DiGraph()
    for link in links:
        for a, b in ((link.a, link.b), (link.b, link.a)):
            weighted.add_edge(a, b, weight=link.latency + package[b].latency)  # type: ignore[union-attr]
    found = latency(package, routing="least-latency")
    for i, a in enumerate(found.endpoints):
        least = nx.single_source_dijkstra_path_length(weighted, a)
        for j, b in enumerate(found.endpoints):
            if i != j:
                assert found.per_pair[i, j] == pytest.approx(least[b] + package[a].latency)  # type: ignore[union-attr]
    assert congestion(package, traffic, routing="least-latency").verify()


def test_two_short_links_beat_a_long_one() -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Switch("s")]
    links = [
        Link("a", "b", 1e9, latency="9 ns"),
        Link("a", "s", 1e9, latency="1 ns"),
        Link("s", "b", 1e9, latency="1 ns"),
    ]
    package = Package("p", nodes, links)
    for routing, nanoseconds in (("shortest", 9), ("least-latency", 2), ("booksim-min", 2)):
        assert latency(package, routing=routing).max == pytest.approx(nanoseconds * 1e-9)


def test_without_latencies_least_latency_counts_hops() -> None:
    package = mesh(4)
    by_hops, by_latency = (latency(package, routing=name).per_pair for name in ("shortest", "least-latency"))
    np.testing.assert_array_equal(by_hops, by_latency)
    traffic = all_to_all(package, 1.0)
    times = [congestion(package, traffic, routing=name).time for name in ("shortest", "least-latency")]
    assert times[0] == times[1]


def test_memory_is_never_passed() -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Memory("m", 1e12)]
    links = [Link("a", "m", 1e9), Link("m", "b", 1e9), Link("a", "b", 1e9, latency="50 ns")]
    package = Package("p", nodes, links)
    ends = ("a", "b", "m")
    traffic = from_matrix(package, [[0, 1, 1], [0, 0, 0], [1, 1, 0]], endpoints=ends)
    for routing in ("least-latency", "booksim-min"):
        flow = congestion(package, traffic, routing=routing)
        assert flow.verify()
        load = dict(zip(package.channel_names, flow.load.tolist(), strict=True))
        assert load["a->b"] == 1.0


def test_saturation_that_booksim_showed() -> None:
    """Rates in flits per cycle under uniform traffic; BookSim ran to the first and was saturated beyond."""
    for name, rate in (
        ("torus-4x4", 0.5862),
        ("mesh-4x4", 0.6071),
        ("hexamesh-19", 1.0),
        ("kite-small-4x4", 1.0625),
    ):
        package = load_topology(name)
        time = congestion(package, all_to_all(package, 128.0, among="terminals"), routing="booksim-min").time
        assert len(package.terminals) / (time * 1e9) == pytest.approx(rate, abs=1e-4)


def test_rings_can_deadlock() -> None:
    assert not check_deadlock(ring(16), routing="booksim-min").free
    assert check_deadlock(load_topology("torus-4x4"), routing="booksim-min").free
    with pytest.raises(RoutingError, match="does not forward by destination"):
        check_deadlock(ring(16), routing="valiant")
