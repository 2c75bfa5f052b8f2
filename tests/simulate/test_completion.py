"""Dispatch, combine and lists of transfers until everything is delivered."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError
from noptoolkit.simulate import Router, Transfers, simulate
from noptoolkit.synthetic import SyntheticRouting, draw_trace

PRESETS = [
    "mozart-nop-tree",
    "mesh-4x4",
    "torus-4x4",
    "star-16",
    "fat-tree-16",
    "dragonfly-16",
    "ring-16",
    "kite-small-4x4",
    "hypercube-16",
    "flattened-butterfly-4x4",
]
FLIT = 128.0


def helping(package: Package) -> Package:
    """Return a package whose routers all copy and add."""
    return package.replace(
        nodes=[
            replace(node, replicates=True, reduces=True) if hasattr(node, "replicates") else node
            for node in package.nodes
        ]
    )


def layer_traffic(package: Package, which: str, degree: str, tokens: int) -> nop.Traffic:
    layout = nop.Allocation(package.experts, [i * len(package.experts) // 64 for i in range(64)])
    trace = draw_trace(SyntheticRouting(num_experts=64, top_k=8, tokens=tokens, layers=1))
    make = nop.traffic.dispatch if which == "dispatch" else nop.traffic.combine
    return make(package, trace, layout, token_bytes=FLIT, degree=degree)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("degree", ["chiplets", "in-network"])
@pytest.mark.parametrize("which", ["dispatch", "combine"])
def test_every_channel_carries_what_congestion_counts(preset: str, degree: str, which: str) -> None:
    package = helping(nop.load_topology(preset))
    traffic = layer_traffic(package, which, degree, 120)
    flow = nop.congestion(package, traffic, routing="shortest")
    run = simulate(package, traffic, until="done", router=Router(flit=FLIT), checked=True)
    assert np.array_equal(np.round(run.flits * FLIT, 6), np.round(flow.load, 6))
    assert run.time >= flow.time * (1 - 1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("packet", [1, 5])
def test_random_packages_of_which_some_routers_copy_and_add(seed: int, packet: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(9)] + ["s0", "s1", "s2"]
    nodes = [
        (Chiplet if name[0] == "c" else Switch)(
            name, replicates=bool(rng.integers(2)), reduces=bool(rng.integers(2))
        )
        for name in names
    ]
    tree = [(names[i], names[int(rng.integers(i))]) for i in range(1, len(names))]
    package = Package("random", nodes, [Link(a, b, "128 GB/s") for a, b in tree])
    moves = Transfers(package.terminals)
    for _ in range(60):
        root, *members = rng.permutation(package.terminals)[: int(rng.integers(2, 7))].tolist()
        add = moves.multicast if rng.integers(2) else moves.reduce
        add(root, members, int(rng.integers(1, 12)) * FLIT)
    flow = nop.congestion(package, moves.traffic(), routing="shortest")
    run = simulate(package, moves, until="done", router=Router(flit=FLIT, packet=packet), checked=True)
    assert np.array_equal(np.round(run.flits * FLIT, 6), np.round(flow.load, 6))


def test_a_long_dispatch_and_combine_end_when_the_fluid_says() -> None:
    package = nop.load_topology("mozart-nop-tree")
    for which, degree in (("dispatch", "chiplets"), ("combine", "in-network")):
        traffic = layer_traffic(package, which, degree, 10_000)
        fluid = nop.congestion(package, traffic).time
        run = simulate(package, traffic, until="done", router=Router(flit=FLIT))
        assert 1 - 1e-9 <= run.time / fluid < 1.01


def star() -> Package:
    leaves = [Chiplet(f"e{i}", replicates=False) for i in range(4)]
    links = [Link("hub", leaf.name, "128 GB/s") for leaf in leaves]
    return Package("star", [Switch("hub", replicates=True, reduces=True), *leaves], links)


def test_a_combine_waits_for_the_copy_of_its_expert_and_for_its_work() -> None:
    moves = Transfers(("e0", "e1", "e2"))
    there = moves.multicast("e0", ["e1", "e2"], 10 * FLIT)
    back = moves.reduce(
        "e0", ["e1", "e2"], FLIT, delay="1 us", after={"e1": [(there, "e1")], "e2": [(there, "e2")]}
    )
    run = simulate(star(), moves, until="done", router=Router(flit=FLIT))
    alone = Transfers(("e0", "e1", "e2"))
    alone.multicast("e0", ["e1", "e2"], 10 * FLIT)
    first = simulate(star(), alone, until="done", router=Router(flit=FLIT))
    assert run.finished[there] == first.finished[0]
    assert run.finished[back] - run.finished[there] == pytest.approx(1000 + 9, abs=3)


def test_a_window_never_keeps_back_what_a_sum_waits_for() -> None:
    tree = nop.load_topology("mozart-nop-tree")
    moves = Transfers(tree.terminals)
    for k in range(40):
        root, *members = (tree.terminals[(k * 5 + j) % len(tree.terminals)] for j in range(4))
        first = moves.multicast(root, members, 500)
        moves.reduce(root, members, 300, after=[first])
    run = simulate(tree, moves, until="done", router=Router(flit=FLIT, packet=2), token_window=1)
    assert (run.finished[1::2] > run.finished[::2]).all()


def doubled() -> Package:
    """A chain of three switches, with unequal parallel links on both hops."""
    nodes = [Switch(n, replicates=True, reduces=True) for n in "abc"]
    nodes += [Chiplet(f"{n}{i}", replicates=False) for n in "abc" for i in range(2)]
    links = [Link("a", "b", f"{rate} GB/s") for rate in (128, 64, 64)]
    links += [Link("b", "c", f"{rate} GB/s") for rate in (128, 256)]
    return Package("doubled", nodes, links + [Link(n.name[0], n.name, "128 GB/s") for n in nodes[3:]])


@pytest.mark.parametrize("routing", ["table", "ecmp", "up-down", "booksim-min", "shortest"])
@pytest.mark.parametrize("parallel", ["merged", "hashed"])
def test_parallel_channels_are_used_as_the_routing_shares_them(routing: str, parallel: str) -> None:
    package = doubled()
    names = package.terminals
    moves = Transfers(names)
    for a in names:
        for b in names:
            if a != b:
                moves.send(a, b, 240 * FLIT)
    for _ in range(60):
        moves.multicast("a0", ["a1", "b1", "c0", "c1"], 4 * FLIT)
        moves.reduce("c0", ["a1", "a0", "b1"], 3 * FLIT)
    table = {}
    for a in names:
        for b in names:
            low, high = sorted((a[0], b[0]))
            way = [chr(x) for x in range(ord(low), ord(high) + 1)]
            table[a, b] = [a, *(way if a[0] <= b[0] else way[::-1]), b]
    follow = table if routing == "table" else routing
    flow = nop.congestion(package, moves.traffic(), routing=follow)
    run = simulate(
        package,
        moves,
        until="done",
        router=Router(flit=FLIT, parallel=parallel),
        routing=follow,
        checked=True,
    )
    exact = routing == "table" or (parallel == "merged" and routing in ("booksim-min", "shortest"))
    assert np.allclose(run.flits, flow.load / FLIT, rtol=0.01 if exact else 0.08, atol=3)
    loads = {name: run.flits[k] for k, name in enumerate(package.channel_names) if name[:4] == "a->b"}
    assert len(loads) == 3
    even = nop.traffic.from_matrix(package, np.ones((6, 6)) - np.eye(6))
    pattern = simulate(
        package,
        even,
        rate=0.2,
        routing=follow,
        router=Router(flit=FLIT, parallel=parallel),
        sampling=nop.simulate.Sampling(period=2000),
    )
    wanted = nop.congestion(package, even, routing=follow).load
    assert np.allclose(pattern.flits / pattern.flits.sum(), wanted / wanted.sum(), atol=0.02)


@pytest.mark.parametrize(("routing", "what"), [("valiant", "minimum-hop trees"), ("adaptive", "up*/down*")])
def test_it_is_said_where_multicasts_do_not_follow_the_routing(routing: str, what: str) -> None:
    mesh = nop.topology.mesh(2)
    copying = [dataclasses.replace(node, replicates=True) for node in mesh.chiplets]
    package = star() if routing == "valiant" else mesh.replace(nodes=copying)
    moves = Transfers(("e0", "e1", "e2"))
    moves.multicast("e0", ["e1", "e2"], FLIT)
    run = simulate(package, moves, until="done", router=Router(flit=FLIT), routing=routing)
    assert any(what in note for note in run.notes)
    alone = Transfers(("e0", "e1", "e2"))
    alone.send("e0", "e1", FLIT)
    run = simulate(package, alone, until="done", router=Router(flit=FLIT), routing=routing)
    assert not any(what in note for note in run.notes)


def test_packets_that_are_copied_must_fit_into_a_buffer() -> None:
    moves = Transfers(("e0", "e1", "e2"))
    moves.multicast("e0", ["e1", "e2"], 10 * FLIT)
    with pytest.raises(RoutingError, match=r"give Router\(depth=9\)"):
        simulate(star(), moves, until="done", router=Router(flit=FLIT, packet=9, depth=8))


def test_a_window_beyond_the_table_of_sums_is_refused_and_the_peak_is_within_it() -> None:
    moves = Transfers(("e0", "e1", "e2", "e3"))
    for _ in range(100):
        moves.reduce("e0", ["e1", "e2", "e3"], FLIT)
    for _ in range(200):
        moves.send("e3", "e1", FLIT)
    with pytest.raises(RoutingError, match="token_window=9"):
        simulate(star(), moves, until="done", router=Router(flit=FLIT, sums=8), token_window=9)
    run = simulate(star(), moves, until="done", router=Router(flit=FLIT, sums=8), checked=True)
    assert 4 <= run.peak_sums["hub"] <= 8
