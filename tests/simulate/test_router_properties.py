"""Laws that routers keep: zero load, conservation, queues, rates, seeds and threads, deadlock."""

import networkx as nx
import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import NopError, RoutingError
from noptoolkit.simulate import (
    BOOKSIM,
    Bursts,
    Pattern,
    Router,
    Sampling,
    Transfers,
    check,
    latency_curve,
    load_bound,
    read_booksim_config,
    repeat,
    simulate,
    write_booksim,
)

QUICK = Sampling(period=400)
FLIT = 128.0


@pytest.mark.parametrize(("speedup", "slope"), [(1.0, 4), (2.0, 3)])
@pytest.mark.parametrize("package", [nop.topology.mesh(3), nop.topology.torus(4)], ids=str)
def test_zero_load_latency_is_affine_in_the_routers_on_the_way(
    package: Package, speedup: float, slope: int
) -> None:
    names = package.terminals
    moves = Transfers(names)
    for k, (a, b) in enumerate((a, b) for a in names for b in names if a != b):
        moves.send(a, b, FLIT, at=k * 1e-7)
    router = Router(flit=FLIT, speedup=speedup, injection=1.0, ejection=1.0)
    run = simulate(package, moves, until="done", routing="shortest", router=router)
    latencies = run.trace[:, 4] - run.trace[:, 2]
    distance = dict(nx.all_pairs_shortest_path_length(package.graph))
    hops = np.array([distance[names[a]][names[b]] + 1 for a, b in run.trace[:, :2].tolist()])
    assert np.array_equal(latencies, 2 + slope * hops)
    assert run.latency == pytest.approx(run.zero_load)


@pytest.mark.parametrize("routing", ["dor", "ecmp", "valiant", "up-down", "adaptive"])
@pytest.mark.parametrize("packet", [1, 3])
def test_flits_and_credits_are_conserved_above_saturation(routing: str, packet: int) -> None:
    router = Router(vcs=6, depth=4, packet=packet, speedup=1.0)
    sampling = Sampling(period=120, latency_limit=1e9)
    mesh = nop.topology.mesh(3)
    run = simulate(
        mesh, "uniform", rate=0.95, routing=routing, router=router, sampling=sampling, checked=True
    )
    assert 0 < run.accepted <= 1


def test_one_ejection_port_is_a_queue_with_unit_service() -> None:
    sources, cycles, load = 20, 20_000, 0.8
    nodes = [Switch("hub"), Chiplet("sink"), *(Chiplet(f"s{i}") for i in range(sources))]
    star = Package("star", nodes, [Link("hub", node.name, "128 GB/s") for node in nodes[1:]])
    hits = np.random.default_rng(5).random((cycles, sources)) < load / sources
    waited = backlog = 0  # Lindley's recursion: a server that never idles while it has work
    for arrivals in hits.sum(axis=1).tolist():
        waited += arrivals * backlog + arrivals * (arrivals - 1) // 2
        backlog = max(backlog + arrivals - 1, 0)
    moves = Transfers(star.terminals)
    for at, source in zip(*(x.tolist() for x in np.nonzero(hits)), strict=True):
        moves.send(f"s{source}", "sink", FLIT, at=at * 1e-9)
    run = simulate(star, moves, until="done", router=Router(flit=FLIT, speedup=2.0))
    simulated = (run.latency - run.zero_load) * run.packets
    assert waited <= simulated + 1e-6
    assert simulated <= 1.02 * waited + 0.01 * run.packets


@pytest.mark.parametrize("rate", ["38.4 GB/s", "64 GB/s", "128 GB/s", "192 GB/s", "384 GB/s"])
@pytest.mark.parametrize("half", [False, True])
def test_a_link_carries_its_rate(rate: str, half: bool) -> None:
    nodes = [Switch("a"), Switch("b"), *(Chiplet(f"{s}{i}") for s in "ab" for i in range(4))]
    middle = Link("a", "b", rate, half_duplex=half)
    package = Package("pair", nodes, [middle, *(Link(n.name[0], n.name, "128 GB/s") for n in nodes[2:])])
    order = [4, 5, 6, 7, 0, 1, 2, 3]
    traffic = nop.traffic.permutation(package, "512 kB", order=order, among="terminals")
    flow = nop.congestion(package, traffic)
    seen = check(flow, router=Router(flit=FLIT), routing="shortest")
    assert 1 - 1e-9 <= seen.simulated / seen.bound < 1.03


def test_one_seed_gives_one_result_on_any_number_of_threads() -> None:
    mesh = nop.topology.mesh(3)
    rates = [0.2, 0.4, 0.6]
    sums = [
        [run.checksum for run in latency_curve(mesh, "uniform", rates, sampling=QUICK, rng=7, threads=n).runs]
        for n in (1, 3)
    ]
    alone = [simulate(mesh, "uniform", rate=rate, sampling=QUICK, rng=7).checksum for rate in rates]
    assert sums[0] == sums[1] == alone
    assert simulate(mesh, "uniform", rate=0.2, sampling=QUICK, rng=8).checksum != alone[0]


def test_seeds_give_an_interval_and_bursts_keep_the_load() -> None:
    mesh = nop.topology.mesh(3)
    mean, half, runs = repeat(mesh, "uniform", 0.5, seeds=range(4), sampling=QUICK)
    assert 0 < half < 0.2 * mean
    assert len({run.checksum for run in runs}) == 4
    bursty = simulate(mesh, "uniform", rate=0.5, bursts=Bursts(30.0, 1.0), sampling=QUICK)
    assert bursty.accepted == pytest.approx(0.5, rel=0.1)
    assert bursty.checksum not in {run.checksum for run in runs}


def test_a_ring_of_one_vc_is_refused_and_its_deadlock_is_named() -> None:
    ring = nop.topology.ring(6)
    tight = Router(vcs=1, depth=1, fit_buffers=False)
    with pytest.raises(RoutingError, match=r"wait for each other in turn: e0->e1.*Router\(vcs=2\)"):
        simulate(ring, "uniform", rate=0.9, routing="shortest", router=tight)
    long = Sampling(period=2000, latency_limit=1e9)
    with pytest.raises(RoutingError, match="has come to a deadlock before cycle"):
        simulate(
            ring, "uniform", rate=0.9, routing="shortest", router=tight, sampling=long, allow_deadlock=True
        )
    free = simulate(ring, "uniform", rate=0.3, routing="shortest", sampling=QUICK, checked=True)
    assert free.stable


def test_the_optimum_follows_its_split_and_keeps_its_bound() -> None:
    torus = nop.topology.torus(4)
    flow = nop.congestion(torus, nop.traffic.all_to_all(torus, "64 kB", among="terminals"))
    seen = check(flow, router=Router(vcs=32, flit=FLIT))
    assert 1 <= seen.simulated / seen.bound < 1.6


def test_accepted_rate_never_exceeds_the_flow_bound() -> None:
    tree = nop.load_topology("mozart-nop-tree")
    weight = np.ones((17, 17)) - np.eye(17)
    traffic = nop.traffic.from_matrix(tree, weight)
    bound = 16 / (nop.congestion(tree, traffic).time * 128e9)
    run = simulate(tree, traffic, rate=0.9, sampling=Sampling(period=4000, latency_limit=1e9))
    assert run.accepted <= bound * 1.01


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 1.5},
        {"rate": -0.1},
        {"rate": 0.0},
        {"rate": float("nan")},
        {},
        {"rate": 0.1, "until": "done"},
        {"rate": 0.1, "routing": "optimal"},
        {"rate": 0.1, "routing": "adaptive", "router": Router(vcs=1)},
        {"rate": 0.1, "window": -1},
    ],
)
def test_bad_input_is_named(options: dict[str, object]) -> None:
    with pytest.raises(NopError):
        simulate(nop.topology.mesh(3), "uniform", sampling=QUICK, **options)


def test_bandwidths_that_no_clock_gives_are_refused_with_the_way_out() -> None:
    odd = Package("odd", [Chiplet(n) for n in "abc"], [Link("a", "b", 3.14159265e9), Link("b", "c", 1e9)])
    with pytest.raises(NopError, match="not a ratio of a clock"):
        simulate(odd, "uniform", rate=0.1)


def test_booksim2_gets_the_same_experiment(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mesh = nop.topology.mesh(3)
    write_booksim(mesh, "uniform", 0.3, tmp_path, router=BOOKSIM.with_(vcs=4, packet=2))
    assert (tmp_path / "network.anynet").read_text().startswith("router 0 node 0")
    router, sampling, left = read_booksim_config((tmp_path / "booksim.cfg").read_text())
    assert (router.vcs, router.packet, router.speedup, sampling) == (4, 2, 1.0, Sampling())
    assert "injection_rate = 0.15" in left


def rules_of_traffic_cpp(count: int) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Destinations as BookSim2's traffic.cpp computes them, bit by bit, for 16 nodes."""
    here = range(count)
    turned = [int(f"{k:04b}"[::-1], 2) for k in here]
    return {
        "transpose": np.array([(k >> 2 & 3) | (k << 2 & 12) for k in here]),
        "bitcomp": np.array([~k & 15 for k in here]),
        "bitrev": np.array(turned),
        "shuffle": np.array([(k << 1 & 15) | (k << 1 >> 4 & 1) for k in here]),
        "tornado({16,1,1})": np.array([(k + 7) % 16 for k in here]),
        "tornado({4,2,1})": np.array([(k + 1) % 4 + 4 * ((k // 4 + 1) % 4) for k in here]),
    }


@pytest.mark.parametrize("words", rules_of_traffic_cpp(16))
@pytest.mark.parametrize("itself", [False, True])
def test_permutations_are_said_in_booksim2s_words(words: str, itself: bool, tmp_path) -> None:  # type: ignore[no-untyped-def]
    mesh = nop.topology.mesh(4)
    to = rules_of_traffic_cpp(16)[words]
    weight = np.zeros((16, 16))
    weight[np.arange(16), to] = 3.0
    if not itself:
        np.fill_diagonal(weight, 0.0)
    left = write_booksim(mesh, Pattern(mesh.terminals, weight, "mine"), 0.1, tmp_path)
    text = (tmp_path / "booksim.cfg").read_text()
    assert f"traffic = {words};" in text
    assert "injection_rate = 0.1;" in text
    fixed = int((to == np.arange(16)).sum())
    said = [note for note in left if "send to themselves" in note]
    assert len(said) == (1 if fixed and not itself else 0)


def test_hot_nodes_and_what_no_word_says(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mesh = nop.topology.mesh(3)
    names = mesh.terminals
    weight = np.zeros((9, 9))
    weight[:, 2], weight[:, 5] = 1.5, 0.5
    order = [4, 0, 1, 2, 3, 5, 6, 7, 8]  # the numbers of BookSim2 are those of the package
    shuffled = Pattern([names[k] for k in order], weight[np.ix_(order, order)], "hot")
    assert write_booksim(mesh, shuffled, 0.05, tmp_path) == write_booksim(mesh, "uniform", 0.05, tmp_path)
    write_booksim(mesh, shuffled, 0.05, tmp_path)
    assert "traffic = hotspot({{2,5},{3,1}});" in (tmp_path / "booksim.cfg").read_text()
    one = nop.traffic.hotspot(mesh, "1 kB", to=names[4], among="terminals")
    (note,) = (x for x in write_booksim(mesh, one, 0.05, tmp_path) if "themselves" in x)
    assert "1 send to themselves" in note
    write_booksim(mesh, nop.simulate.uniform(mesh, itself=False), 0.4, tmp_path)
    text = (tmp_path / "booksim.cfg").read_text()
    assert "traffic = uniform;" in text
    assert "injection_rate = 0.45;" in text  # of which an eighth stays at home
    with pytest.raises(NopError, match=r"needs 1\.125 flits"):
        write_booksim(mesh, nop.simulate.uniform(mesh, itself=False), 1.0, tmp_path)
    for bad, why in (
        (np.eye(9)[[1, 2, 0, 4, 5, 3, 7, 8, 6]], "cannot express it"),
        (np.triu(np.ones((9, 9)), 1), "same load"),
    ):
        with pytest.raises(NopError, match=why):
            write_booksim(mesh, Pattern(names, bad, "odd"), 0.05, tmp_path)


def test_loads_that_are_not_stable_stand_hollow_at_the_upper_edge_beside_the_bound() -> None:
    import matplotlib.pyplot as plt

    mesh = nop.topology.mesh(3)
    bound = load_bound(mesh, "uniform")
    assert bound == pytest.approx(3 / (3 * 6 / 9))  # three links for what three chiplets send to the others
    sampling = Sampling(period=200, latency_limit=40)
    rates = [0.3, 1.0]
    curve = latency_curve(mesh, "uniform", rates, router=Router(vcs=1, depth=1), sampling=sampling)
    assert [run.stable for run in curve.runs] == [True, False]
    ax = nop.plot.latency(curve, bound=bound)
    hollow = next(line for line in ax.lines if line.get_markerfacecolor() == "white")
    assert hollow.get_ydata()[0] <= ax.get_ylim()[1] * (1 + 1e-9)
    assert any(np.allclose(line.get_xdata(), bound) for line in ax.lines)
    plt.close(ax.figure)
