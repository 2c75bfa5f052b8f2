"""What is computed around the engine, on numbers that a reader can follow."""

import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package, Switch, Traffic, topology
from noptoolkit.errors import RoutingError, TopologyError
from noptoolkit.network import flow_network
from noptoolkit.simulate import Pattern, Router, Sampling, Transfers, saturation, simulate, write_booksim
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.booksim_traffic import _shares
from noptoolkit.simulate.classes import classes_for
from noptoolkit.simulate.compiled_words import mix
from noptoolkit.simulate.injection import _destinations, key_of, loads_of
from noptoolkit.simulate.kept_trees import _Growth
from noptoolkit.simulate.listing import transfers_of
from noptoolkit.simulate.ports import ports_of
from noptoolkit.simulate.simulating import _trimmed, _warmup, result_of, shares
from noptoolkit.simulate.streams import Streams, run_streams
from noptoolkit.simulate.trees import Forest
from noptoolkit.traffic import DestinationSets


def test_progress_tells_the_time_left_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 20.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    told: list[str] = []
    tell = shares(told.append)
    tell(0.5, "50 cycles")
    tell(0.25, "60 cycles")  # 10 s for a quarter
    tell(0.0, "0 cycles")
    assert told == [
        "50% simulated, 50 cycles",
        "25% simulated, 60 cycles, 30 s left",
        "0% simulated, 0 cycles",
    ]


def test_the_warm_up_ends_where_latencies_are_steady() -> None:
    """Cycle, packets and sum of latencies of each piece: two slow ones, an empty one, then even ones."""
    slow = [[100, 1, 90, 0], [200, 1, 80, 0]]
    even = [[300 + 100 * k, 1, 20 + k % 2, 0] for k in range(12)]
    series = np.array([*slow, [250, 0, 0, 0], *even], float)
    assert _warmup(series) == 200
    assert _warmup(series[3:]) == 0
    assert _warmup(series[:9]) == 0  # too few to say
    twice = series * [1, 2, 2, 1]
    assert _warmup(twice) == 200


def test_a_histogram_ends_behind_its_last_packet() -> None:
    assert _trimmed(np.array([0, 2, 0, 1, 0, 0, 0])).tolist() == [0, 2, 0, 1, 0]
    assert _trimmed(np.zeros(5, int)).tolist() == [0]


@pytest.mark.parametrize("slow", [100, 37])
def test_full_buffers_in_front_of_a_slow_link_are_scheduled_far_ahead(slow: int) -> None:
    """64 flits may be granted at once: the last of them arrives thousands of cycles later."""
    flit = 128.0
    names = ("a", "b", "c")
    links = [Link("a", "b", 16 * flit * 1e9), Link("b", "c", flit * 1e9 / slow)]
    moves = Transfers(names)
    moves.send("a", "c", 80 * flit)
    router = Router(flit=flit, vcs=8, depth=8, fit_buffers=False)
    run = simulate(Package("slow", [Chiplet(n) for n in names], links), moves, until="done", router=router)
    assert 80 * slow <= run.cycles <= 82 * slow


def test_each_member_of_a_multicast_goes_on_when_its_own_copy_is_there() -> None:
    """The copy for c takes 20 cycles a flit more; b answers meanwhile."""
    flit = 128.0
    nodes = [Chiplet(name, replicates=True, reduces=True) for name in "abc"]
    package = Package("chain", nodes, [Link("a", "b", flit * 1e9), Link("b", "c", flit * 1e9 / 20)])
    router = Router(flit=flit)
    lone = Transfers("abc")
    lone.send("b", "a", flit)
    lone.send("c", "a", flit)
    there, far = simulate(package, lone, until="done", router=router).finished.tolist()
    moves = Transfers("abc")
    copies = moves.multicast("a", ["c", "b"], 10 * flit)
    near = moves.send("b", "a", flit, after=[(copies, "b")])
    away = moves.send("c", "a", flit, after=[(copies, "c")])
    both = moves.send("b", "a", flit, after=[copies])
    done = simulate(package, moves, until="done", router=router).finished
    assert done[copies] > 200
    assert done[near] == pytest.approx(10 + 5 + there, abs=5)
    assert done[away] == pytest.approx(done[copies] + far, abs=2)
    assert done[both] == pytest.approx(done[copies] + there, abs=2)
    sums = Transfers("abc")
    total = sums.reduce("a", ["c", "b"], 10 * flit)
    after = [sums.send("b", "a", flit, after=[(total, who)]) for who in (None, "b", "c")]
    done = simulate(package, sums, until="done", router=router).finished
    assert done[after] == pytest.approx(done[total] + there, abs=3)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_group_takes_the_next_class_where_channels_fall_in_rank(reverse: bool) -> None:
    """Ports 3 and 1 one after the other, of ranks 2 and 1; port 5 leads to a terminal, -1 comes from one."""
    out, parents = ([5, 1, 3, -1] if reverse else [-1, 3, 1, 5]), [-1, 0, 1, 2]
    rows = np.zeros((4, 8), np.int64)
    rows[:, c.G_PARENT] = parents
    none = np.zeros(0, np.int64)
    forest = Forest(rows, none, np.array(out), np.full(4, reverse), none, none, none)
    arc_out = np.array([0, 0, -1, 0, -1, -1])
    falling = forest.with_classes(np.array([9, 1, 9, 2, 9, 9]), arc_out)
    any_class = c.ANY_CLASS
    wanted = [any_class, 1, 0, any_class] if reverse else [any_class, 0, 1, any_class]
    assert falling.rows[:, c.G_CLASS].tolist() == wanted
    assert falling.classes == 2
    assert falling.with_all(2).rows[:, c.G_CLASS].tolist() == [2, *wanted[1:3], 2]
    ranks = [9, 2, 9, 2, 9, 9]  # the same rank twice falls, too
    assert forest.with_classes(np.array(ranks), arc_out).classes == 2
    for rank in (None, np.array([9, 3, 9, 2, 9, 9])):
        rising = forest.with_classes(rank, arc_out)
        assert (rising.classes, rising.rows[1:3, c.G_CLASS].tolist()) == (1, [0, 0])
    holds, asks = forest.pairs()
    assert sorted(zip(holds.tolist(), asks.tolist(), strict=True)) == [(1, 5), (3, 1)]


def test_destinations_are_drawn_alike_or_fixed_or_by_a_table_of_shares() -> None:
    """A word of 32 bits below a limit goes to the first endpoint whose limit it is below."""
    whole = 1 << 32

    def drawn(weight: list[list[float]]) -> tuple[int, list[int], list[int], list[list[int]]]:
        names = tuple(f"n{i}" for i in range(len(weight)))
        to, dest, row_of, limit = _destinations(Pattern(names, np.array(weight)))
        return to, dest.tolist(), row_of.tolist(), limit.tolist()

    assert drawn([[2.0, 2.0], [2.0, 2.0]])[0] == c.UNIFORM
    assert drawn([[0, 3.0, 0], [0, 0, 1.0], [0, 0, 0]])[:2] == (c.FIXED, [1, 2, 0])
    to, _, row_of, limit = drawn([[1.0, 3.0, 0], [0, 1.0, 1.0], [1.0, 3.0, 0]])
    assert to == c.TABLE
    assert [limit[row] for row in row_of] == [
        [whole // 4, whole, whole],
        [0, whole // 2, whole],
        [whole // 4, whole, whole],
    ]
    assert len(limit) == 2  # rows alike stand once
    third = drawn([[1.0, 1.0, 1.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    assert third[0] == c.TABLE
    assert third[3][third[2][0]] == [-(-whole // 3), -(-2 * whole // 3), whole, whole]
    assert third[3][third[2][2]] == [0, 0, 0, 0]  # nobody, and it sends nothing


def test_seeds_below_1024_are_the_highest_ten_bits_of_a_key() -> None:
    assert [int(key_of(seed)) for seed in (0, 1, 1023)] == [0, 1 << 54, 1023 << 54]
    others = {int(key_of(seed, turn)) for seed in (1, 1024, 10**9) for turn in (0, 1)}
    assert len(others) == 6


def test_loads_are_the_rate_in_the_mean_of_those_that_send() -> None:
    pattern = Pattern(("a", "b", "c"), np.array([[0, 1.0, 2.0], [1.0, 0, 0], [0, 0, 0]]))
    assert loads_of(pattern, 0.5) == pytest.approx([0.75, 0.25, 0.0])


@pytest.mark.parametrize(("wide", "slow", "latency"), [(16, 4, 1000), (2, 2, 1100)])
def test_deep_buffers_behind_a_long_link_are_scheduled_far_ahead_too(
    wide: int, slow: int, latency: int
) -> None:
    """VCs hold a round trip of 2000 cycles; a flit a cycle is granted, half of one or less goes on."""
    flit, flits = 128.0, 900
    names = ("a", "b", "c")
    links = [
        Link("a", "b", wide * flit * 1e9),
        Link("b", "c", flit * 1e9 / slow, latency=latency * 1e-9),
    ]
    moves = Transfers(names)
    moves.send("a", "c", flits * flit)
    run = simulate(
        Package("long", [Chiplet(n) for n in names], links), moves, until="done",
        router=Router(flit=flit, vcs=8, depth=8),
    )  # fmt: skip
    assert slow * flits + latency <= run.cycles <= slow * flits + latency + 100


def test_words_are_those_of_splitmix64() -> None:
    """The first three of the generator from state 0, whose state grows by the same number each time."""
    as_python = getattr(mix, "py_func", mix)  # compiled, it is for the engine alone
    golden = 0x9E3779B97F4A7C15
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    with np.errstate(over="ignore"):
        assert [int(as_python(np.uint64(k * golden % 2**64))) for k in range(3)] == known


@pytest.mark.parametrize("iterations", [1, 2])
def test_an_output_that_a_copy_takes_is_given_to_nobody_else_in_that_cycle(iterations: int) -> None:
    """Two flits a cycle come to a hub for d, for n cycles, and one may leave: n^2 cycles of waiting."""
    flit, many = 128.0, 48
    hub = Switch("hub", replicates=True, reduces=True)
    nodes = [hub, *(Chiplet(name, replicates=True, reduces=True) for name in "abcd")]
    package = Package("star", nodes, [Link("hub", name, flit * 1e9) for name in "abcd"])
    moves = Transfers("abcd")
    moves.multicast("a", ["c", "d"], many * flit)
    moves.send("b", "d", many * flit)
    router = Router(flit=flit, depth=64, iterations=iterations, speedup=1.0)
    run = simulate(package, moves, until="done", router=router, checked=True)
    into = [k for k, channel in enumerate(package.channels) if channel.head == "hub"]
    assert run.occupancy[into].sum() * run.cycles >= many**2
    assert 2 * many <= run.cycles <= 2.5 * many
    lone = Transfers("abcd")
    lone.multicast("a", ["c", "d"], many * flit)
    assert many <= simulate(package, lone, until="done", router=router).cycles <= 1.5 * many


def test_paths_that_wait_in_a_circle_get_an_order_and_count_their_classes_themselves() -> None:
    ring = topology.ring(3)
    ports = ports_of(flow_network(ring), Router(), ring.terminals)
    none = np.zeros(0, np.int64)
    holds, asks = np.array([0, 1, 2]), np.array([1, 2, 0])
    for pairs, in_order in ((holds, asks), True), ((holds[:2], asks[:2]), False):
        found = classes_for(ports, None, (none, none), pairs, name="paths", vcs=1)
        assert (found.count, found.rank is not None) == (1, in_order)


def test_booksim2_is_told_of_each_chiplet_as_a_router_and_of_no_pipeline(tmp_path: Path) -> None:
    nodes = [Switch("hub"), *(Chiplet(name) for name in "abc")]
    package = Package("star", nodes, [Link("hub", name, "128 GB/s") for name in "abc"])
    pattern = Pattern(tuple("abc"), np.ones((3, 3)), "all")
    plain = write_booksim(package, pattern, 0.1, tmp_path)
    piped = write_booksim(package, pattern, 0.1, tmp_path, router=Router(pipeline=3))
    assert [note for note in piped if note not in plain] == [
        "3 cycles of pipeline: BookSim2's delays above one are not pipelined"
    ]
    assert not any("pipeline" in note for note in plain)
    routers = {line.split()[1] for line in (tmp_path / "network.anynet").read_text().splitlines() if line}
    assert len(routers) == 4


def test_weights_are_whole_numbers_only_where_all_of_them_are_small_ratios() -> None:
    assert _shares(np.array([1.0, 0.5, 1 / 3])) == [6, 3, 2]
    assert _shares(np.array([1.0, 0.5, np.pi / 4])) == []


def test_chunks_begin_evenly_over_the_time_of_their_stream() -> None:
    """Four chunks of two packets in 400 cycles, which are more than the link needs."""
    flit = 128.0
    package = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", flit * 1e9)])
    network = flow_network(package)
    ends = np.array([0]), np.array([1])
    arc = np.flatnonzero((network.tail == 0) & (network.head == 1))
    streams = Streams(
        network, "one", *ends, [arc], np.array([8 * flit]), 400e-9, 4, np.zeros((0, 2), np.int64)
    )
    run = run_streams(streams, Router(flit=flit, packet=1), key_of(0))
    begun = [0, 50, 100, 150, 200, 250, 300, 350]
    assert run.listing.packets[:, c.L_TIME].tolist() == begun
    took = run.rows[:, c.L_DONE] - begun
    assert took.min() == took.max() < 20
    brief = replace(run.measured, since=int(run.measured.state.cnt[c.T]) - 1)
    seen = result_of(run.plan, brief, "the last cycle alone", 0.0)
    assert sorted(seen.utilisation.tolist()) == [0.0, 8.0]


def test_the_mean_latency_of_each_source_is_its_own() -> None:
    """One hop and two on links that nobody else uses: 2 cycles, and 4 for each router on the way."""
    flit, names = 128.0, tuple("abcde")
    links = [Link(x, y, flit * 1e9) for x, y in pairwise(names)]
    weight = np.zeros((5, 5))
    weight[0, 1] = weight[2, 4] = 1.0
    run = simulate(
        Package("chain", [Chiplet(name) for name in names], links), Pattern(names, weight), rate=0.2,
        router=Router(flit=flit, packet=1, speedup=1.0, injection=1.0, ejection=1.0),
        sampling=Sampling(period=400),
    )  # fmt: skip
    assert run.latency_by_source == pytest.approx([10, np.nan, 14, np.nan, np.nan], nan_ok=True)
    assert run.sent_by_source[[0, 2]] == pytest.approx([0.2, 0.2], rel=0.2)
    assert not run.sent_by_source[[1, 3, 4]].any()


def test_saturation_is_not_looked_for_where_routes_can_deadlock_unless_that_is_allowed() -> None:
    ring = topology.ring(6)
    few: dict[str, Any] = {
        "router": Router(vcs=1),
        "sampling": Sampling(period=400),
        "step": 0.5,
        "highest": 0.1,
    }
    with pytest.raises(RoutingError, match="can deadlock"):
        saturation(ring, "uniform", **few)
    assert saturation(ring, "uniform", allow_deadlock=True, **few).stable == 0.1


@pytest.mark.parametrize("delay", [0, 10])
def test_zero_load_latency_knows_of_buffers_that_a_packet_does_not_fit_into(delay: int) -> None:
    """Twelve flits through VCs of four: the fifth and the ninth wait for a credit from the other side."""
    flit, names = 128.0, tuple("abc")
    links = [Link(x, y, flit * 1e9, latency=delay * 1e-9) for x, y in pairwise(names)]
    moves = Transfers(names)
    moves.send("a", "c", 12 * flit)
    found = {}
    for depth in (4, 16):
        router = Router(flit=flit, packet=12, depth=depth, fit_buffers=False)
        run = simulate(
            Package("chain", [Chiplet(n) for n in names], links), moves, until="done", router=router
        )
        assert run.zero_load == run.latency
        found[depth] = run.latency
    assert found[4] - found[16] > 3 * delay


def test_the_series_has_ten_rows_a_period() -> None:
    run = simulate(topology.mesh(2), "uniform", rate=0.2, sampling=Sampling(period=400))
    assert run.series[:10, 0].tolist() == [40 * (k + 1) for k in range(10)]
    assert run.series[10:30, 0].tolist() == [400 + 40 * (k + 1) for k in range(20)]


def test_rates_are_ratios_from_a_4096th_of_a_flit_to_32_flits_a_cycle() -> None:
    router = Router(clock=1e9)
    for rate in (Fraction(1, 4096), Fraction(1, 3), Fraction(7, 2), Fraction(32)):
        assert router.rate(float(rate) * 128e9, 128.0, "link") == rate
    for rate, why in ((1 / 4097, "is below 1/4096"), (33.0, "is above 32"), (0.123456789, "is not a ratio")):
        with pytest.raises(TopologyError, match=f"link: .* flits per cycle of 128 B at 1 GHz, which {why}"):
            router.rate(rate * 128e9, 128.0, "link")


@pytest.mark.parametrize(
    ("name", "most"),
    [("vcs", 62), ("depth", 1 << 16), ("packet", 1 << 16), ("iterations", 4), ("sums", 1 << 30)],
)
def test_numbers_of_a_router_are_whole_and_within_their_range(name: str, most: int) -> None:
    for good in (1, most):
        assert getattr(Router().with_(**{name: good}), name) == good
    for wrong in (0, most + 1, 1.5, True):
        with pytest.raises(TopologyError, match=f"{name}={wrong} is out of range; .* from 1 to {most}"):
            Router().with_(**{name: wrong})


def test_a_percentile_in_the_last_bin_is_the_highest_latency() -> None:
    """Latencies of 1, 2, 2 and of 3 or more, which was 9."""
    run = simulate(topology.mesh(2), "uniform", rate=0.1, sampling=Sampling(period=100))
    four = replace(run, histogram=np.array([0, 1, 2, 1]), highest=9)
    assert [four.percentile(share) for share in (25, 26, 50, 75, 76, 100)] == [1, 2, 2, 2, 9, 9]
    assert replace(run, histogram=np.zeros(3, int)).percentile(50) == 0


def test_progress_of_saturation_counts_the_halves_down_to_the_step() -> None:
    """All of the range, a half, a quarter: that is less than 0.3."""
    told: list[str] = []
    few: dict[str, Any] = {"step": 0.3, "sampling": Sampling(period=500), "progress": told.append}
    found = saturation(topology.ring(8), "uniform", routing="up-down", **few)
    assert [line[: len("load 2 of 3")] for line in told] == ["load 2 of 3", "load 3 of 3", "load 3 of 3"]
    assert found.unstable - found.stable == pytest.approx(found.runs[0].offered / 4, rel=0.1)


def test_a_growth_has_nothing_left_where_all_channels_and_members_are_served() -> None:
    grown = _Growth(0, np.array([1, 2]), np.ones(3, bool))
    assert not grown.is_left()
    grown.leaving[0], grown.leaving[1] = [0], []
    assert grown.is_left()
    grown.leaving.clear()
    grown.waiting[2], grown.waiting[1] = [], [4]
    assert grown.is_left()
    grown.waiting.clear()
    grown.held[1] = [], []
    assert grown.is_left()


def test_sets_of_no_bytes_or_of_nobody_else_send_nothing() -> None:
    members = np.array([[6], [6], [1]], np.uint64)  # b and c, b and c, the root itself
    sets = DestinationSets(np.zeros(3, np.int64), members, np.array([8.0, 0.0, 8.0]))
    items = transfers_of(Traffic(("a", "b", "c"), np.zeros((3, 3)), multicast=sets)).items
    assert [(item.kind, item.root, item.members, item.bytes) for item in items] == [
        ("multicast", 0, (1, 2), 8.0)
    ]
