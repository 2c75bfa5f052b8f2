"""Adaptive routing on any package, VCs open to all classes, and numbers on one basis."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError
from noptoolkit.simulate import Router, Sampling, Transfers, saturation, simulate, uniform
from noptoolkit.simulate.injection import drawn_sources, key_of, pattern_of
from noptoolkit.simulate.protocol import measure
from noptoolkit.simulate.simulating import plan_for

FLIT = 128.0
LONG = Sampling(period=300, warmup=2, most=4, latency_limit=20_000)


def random_package(seed: int) -> Package:
    """A connected graph of chiplets and switches with parallel, slow, wide and half-duplex links."""
    rng = np.random.default_rng(seed)
    graph = nx.connected_watts_strogatz_graph(10, 4, 0.5, seed=seed)
    nodes = [Switch(f"n{i}") if i in (3, 7) else Chiplet(f"n{i}") for i in range(10)]
    links = [
        Link(
            f"n{a}", f"n{b}", float(rng.choice([64e9, 128e9, 256e9])), half_duplex=bool(rng.integers(4) == 0)
        )
        for a, b in graph.edges
    ]
    leaf = [Chiplet("leaf"), Switch("far"), Chiplet("end")]
    links += [Link("n3", "leaf", 128e9), Link("n7", "far", 64e9), Link("far", "end", 128e9), links[0]]
    return Package(f"random-{seed}", [*nodes, *leaf], links)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("packet", [1, 4])
def test_adaptive_packets_arrive_on_any_graph(seed: int, packet: int) -> None:
    package = random_package(seed)
    router = Router(vcs=2 + seed, depth=4, packet=packet, flit=FLIT, speedup=1.0, fit_buffers=False)
    run = simulate(
        package, "uniform", rate=0.9, routing="adaptive", router=router, sampling=LONG, checked=True, rng=seed
    )
    assert run.accepted > 0.1
    moves = Transfers(package.terminals)
    for a in package.terminals:
        for b in package.terminals:
            if a != b:
                moves.send(a, b, 7 * FLIT)
    done = simulate(package, moves, until="done", routing="adaptive", router=router, checked=True)
    assert (done.finished > 0).all()


@pytest.mark.parametrize("family", ["ring-16", "torus-4x4", "mozart-nop-tree", "dragonfly-16", "star-16"])
def test_adaptive_packets_arrive_on_every_family(family: str) -> None:
    package = nop.load_topology(family)
    router = Router(vcs=2, depth=2, packet=2, speedup=1.0, fit_buffers=False)
    run = simulate(package, "uniform", rate=0.9, routing="adaptive", router=router, sampling=LONG)
    assert run.accepted > 0.02


@pytest.mark.parametrize("packet", [1, 4])
def test_a_packet_that_would_not_fit_keeps_its_choice_of_vcs(packet: int) -> None:
    """Without room for the whole packet, VCs that are promised and full wait for each other in turn."""
    mesh = nop.topology.mesh(4)
    router = Router(vcs=4, depth=packet, packet=packet, speedup=1.0, fit_buffers=False)
    pattern = uniform(mesh, itself=False)
    plan = plan_for(mesh, pattern, router, "ecmp")
    assert plan.arrays.whole == packet
    sources = drawn_sources(plan.ports, pattern, 0.9, key_of(0), kind=plan.kind)
    broken = replace(plan, arrays=plan.arrays._replace(whole=0))
    bounded = Sampling(period=1000, warmup=3, most=8, latency_limit=5000)
    assert measure(plan, sources, bounded).accepted > 0.1
    with pytest.raises(RoutingError, match="deadlock"):
        measure(broken, sources, bounded)


def test_adaptive_packets_that_no_buffer_holds_are_refused() -> None:
    with pytest.raises(RoutingError, match=r"packets of 9 flits must fit.*Router\(depth=9\)"):
        simulate(
            nop.topology.ring(4), "uniform", rate=0.1, routing="adaptive", router=Router(packet=9, depth=8)
        )


@pytest.mark.parametrize("routing", ["ecmp", "valiant"])
@pytest.mark.parametrize("packet", [1, 3])
def test_classes_leave_the_rest_of_the_vcs_to_all(routing: str, packet: int) -> None:
    """Near the fluid limit, which equal parts of the VCs do not reach."""
    mesh = nop.topology.mesh(4)
    pattern = uniform(mesh, itself=False)
    traffic = nop.traffic.from_matrix(mesh, pattern.weight)
    limit = 15 / (nop.congestion(mesh, traffic, routing=routing).time * mesh.channels[0].bandwidth)
    quick = Sampling(period=1000, warmup=2, most=6)
    found = saturation(
        mesh, pattern, routing=routing, router=Router(packet=packet), step=0.05, sampling=quick
    )
    assert 0.85 * limit < found.stable < 1.06 * limit


@pytest.mark.parametrize(("routing", "most"), [("ecmp", 5), ("valiant", 8)])
def test_classes_with_hardly_a_vc_to_spare_do_not_deadlock(routing: str, most: int) -> None:
    mesh = nop.topology.mesh(3)
    for vcs in range(most - 1, most + 2):
        for packet in (1, 4):
            router = Router(vcs=vcs, depth=4, packet=packet, speedup=1.0, fit_buffers=False)
            try:
                plan = plan_for(mesh, pattern_of(mesh, "uniform"), router, routing)
            except RoutingError:
                continue
            sources = drawn_sources(plan.ports, uniform(mesh), 0.95, key_of(1), kind=plan.kind)
            assert measure(plan, sources, LONG, checked=True).accepted > 0.1


def test_no_link_is_busier_than_it_can_be() -> None:
    chiplets = [Chiplet(n) for n in "abcd"]
    for half in (False, True):
        slow = Link("b", "c", "8 GB/s", half_duplex=half)
        package = Package("slow", chiplets, [Link("a", "b", 128e9), slow, Link("c", "d", 128e9)])
        for period in (20, 50, 400):
            sampling = Sampling(period=period, latency_limit=1e9)
            run = simulate(package, "uniform", rate=0.9, router=Router(flit=FLIT), sampling=sampling)
            both = [run.utilisation[k] for k, n in enumerate(package.channel_names) if n in ("b->c", "c->b")]
            assert run.utilisation.max() <= 1 + 1e-9
            assert not half or sum(both) <= 1 + 1e-9
            assert sum(both) > 0.5


def test_offered_and_accepted_are_both_for_each_source_that_sends() -> None:
    mesh = nop.topology.mesh(3)
    one = nop.traffic.hotspot(mesh, "1 kB", to=mesh.terminals[4], among="terminals")
    run = simulate(mesh, one, rate=0.08, sampling=Sampling(period=4000))
    assert run.accepted == pytest.approx(0.08, rel=0.05)
    assert run.sent_by_source.sum() == pytest.approx(8 * 0.08, rel=0.05)


@pytest.mark.parametrize(
    "rates", [[1, 0.5, 1], [1, 4], [4, 1, 4], [2, 4, 1.5], [0.75, 0.5], [8, 3, 5], [4, 3, 2]]
)
@pytest.mark.parametrize("speedup", [1.0, 2.0])
def test_zero_load_latency_of_packets_of_several_flits_over_unequal_links(
    rates: list[float], speedup: float
) -> None:
    names = tuple(f"c{i}" for i in range(len(rates) + 1))
    links = [Link(names[i], names[i + 1], rate * FLIT * 1e9) for i, rate in enumerate(rates)]
    for size in (1, 2, 5, 8, 30):
        moves = Transfers(names)
        moves.send(names[0], names[-1], size * FLIT)
        router = Router(flit=FLIT, packet=size, depth=32, speedup=speedup)
        run = simulate(
            Package("chain", [Chiplet(n) for n in names], links), moves, until="done", router=router
        )
        assert run.zero_load == pytest.approx(run.latency, abs=0 if speedup == 2 or size == 1 else 1)
