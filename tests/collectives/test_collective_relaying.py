"""The kernels that lay trees around each other's load, and run chunks, on small graphs."""

import itertools

import networkx as nx
import numpy as np
import pytest
from seeds import seeds

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.collectives import collective
from noptoolkit.collectives.chunks import arc_latency, run_in_chunks
from noptoolkit.collectives.compiled_chunks import run_chunks
from noptoolkit.collectives.groups.compiled_relaying import grow_order, relay_spreading


def both_ways(n: int, edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    ends = np.array([*edges, *((j, i) for i, j in edges)], np.int64)
    return ends[:, 0].copy(), ends[:, 1].copy()


def laid(
    n: int, edges: list[tuple[int, int]], amounts: np.ndarray, copies: int, target: float, sweeps: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """Lay trees at the first vertices, arcs of capacity 1; return trees, time and loads."""
    tail, head = both_ways(n, edges)
    noise = np.random.default_rng(0).random(997)
    roots = np.arange(len(amounts))
    into, time = relay_spreading(
        n, tail, head, np.ones(len(tail)), roots, amounts, copies, target, 1e-9, sweeps, 16.0, noise
    )
    load = np.zeros(len(tail))
    for c, i in itertools.product(range(copies), range(len(amounts))):
        arcs = into[c, i]
        others = [v for v in range(n) if v != i]
        assert arcs[i] == -1
        assert head[arcs[others]].tolist() == others
        assert nx.is_arborescence(nx.DiGraph(zip(tail[arcs[others]].tolist(), others, strict=True)))
        load[arcs[others]] += amounts[i] / copies
    return into, time, load


def test_a_broadcast_on_a_ring_goes_half_each_way() -> None:
    """Two arcs leave the root: two copies, one each way round, or nearly so, take half the time of one."""
    ring = [(i, (i + 1) % 5) for i in range(5)]
    _, time, load = laid(5, ring, np.ones(1), 2, 0.5, 12)
    assert time == load.max() == 0.5
    assert laid(5, ring, np.ones(1), 1, 0.5, 3)[1] == 1.0


@pytest.mark.parametrize("n", [4, 5, 6])
def test_shares_on_a_ring_meet_their_bound(n: int) -> None:
    """All-gather on a ring: n - 1 shares enter each vertex over two arcs."""
    ring = [(i, (i + 1) % n) for i in range(n)]
    _, time, load = laid(n, ring, np.ones(n), 2, (n - 1) / 2, 30)
    assert time == pytest.approx(load.max(), rel=1e-12) == pytest.approx((n - 1) / 2, rel=1e-12)


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_more_sweeps_are_never_worse(seed: int) -> None:
    """The best sweep is kept; it is within two of the bound of the tightest vertex."""
    graph = nx.connected_watts_strogatz_graph(8, 4, 0.4, seed=seed)
    amounts = np.random.default_rng(seed).integers(1, 4, 8).astype(float)
    tightest = max((amounts.sum() - amounts[v]) / graph.degree(v) for v in graph)
    times = []
    for sweeps in (1, 2, 6, 12):
        _, time, load = laid(8, sorted(graph.edges), amounts, 2, tightest, sweeps)
        assert time == pytest.approx(load.max(), rel=1e-12)
        times.append(time)
    assert times == sorted(times, reverse=True)
    assert tightest * (1 - 1e-12) <= times[-1] < 1.5 * tightest


def test_arcs_of_a_tree_in_order() -> None:
    """Breadth first, neighbours by number: each arc starts where one before it ends."""
    tail = np.array([2, 0, 2, 4, 0])
    into = np.array([2, 1, -1, 4, 0])  # 2 feeds 4 and 0, 0 feeds 1 and 3
    order = np.empty(4, np.int64)
    grow_order(5, 2, into, tail, order)
    assert order.tolist() == [2, 0, 1, 4]


def run_of(
    chunks: int,
    paths: list[list[int]],
    after: dict[int, list[int]],
    duration: list[float],
    delay: list[float],
) -> tuple[float, np.ndarray]:
    """Run chunks over hops, each a path of arcs, that wait for others; time and latency are of each arc."""
    arc_of = np.array([a for path in paths for a in path])
    last = np.array([k == len(path) - 1 for path in paths for k in range(len(path))])
    hop_of = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    first = np.cumsum([0, *(len(path) for path in paths)])[:-1]
    waits = np.array([sum(h in some for some in after.values()) for h in range(len(paths))])
    rows = np.cumsum([0, *(len(after.get(h, [])) for h in range(len(paths)))])
    following = np.array([f for h in range(len(paths)) for f in after.get(h, [])], np.int64)

    def left(h: int) -> int:
        return len(paths[h]) + max((left(f) for f in after.get(h, [])), default=0)

    urgency = [left(h) - k for h, path in enumerate(paths) for k in range(len(path))]
    return run_chunks(
        chunks, arc_of, last, hop_of, first, waits, rows, following,
        np.array(duration)[arc_of], np.array(delay)[arc_of], np.array(urgency, float), len(duration),
    )  # fmt: skip


@pytest.mark.parametrize("chunks", [1, 4])
def test_a_pipeline_takes_its_slowest_channel_and_its_latencies(chunks: int) -> None:
    duration, delay = [1.0, 3.0, 2.0], [0.5, 0.25, 4.0]
    in_one = run_of(chunks, [[0, 1, 2]], {}, duration, delay)
    assert in_one[0] == pytest.approx(sum(duration) + sum(delay) + (chunks - 1) * 3.0)
    assert in_one[1][1] == pytest.approx(1.5 + 3.0 * np.arange(chunks))
    hops = run_of(chunks, [[0], [1], [2]], {0: [1], 1: [2]}, duration, delay)
    assert hops[0] == in_one[0]
    assert np.array_equal(hops[1], in_one[1])


def test_a_chunk_goes_on_once_all_that_it_waits_for_is_there() -> None:
    """A join of a short and a long branch, and a fork behind it."""
    finish, start = run_of(2, [[0], [1], [2], [3]], {0: [2], 1: [2], 2: [3]}, [1.0, 5.0, 1.0, 1.0], [0.0] * 4)
    assert start.tolist() == [[0, 1], [0, 5], [5, 10], [6, 11]]
    assert finish == 12.0


def test_earlier_chunks_go_first_and_then_the_longest_way_left() -> None:
    """Three hops share channel 0; behind the last listed are three channels, behind the first none."""
    paths = [[0], [0, 1], [0, 1, 2, 3]]
    _, start = run_of(2, paths, {}, [1.0] * 4, [0.0] * 4)
    assert start[[0, 1, 3]].tolist() == [[2, 5], [1, 4], [0, 3]]


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_no_channel_is_idle_or_used_twice(seed: int) -> None:
    """Random trees of hops on few channels: starts are as early as what came before, and the queue, allow."""
    rng = np.random.default_rng(seed)
    arcs, hops, chunks = 3, 7, 3
    paths = [rng.permutation(arcs)[: int(rng.integers(1, 4))].tolist() for _ in range(hops)]
    after: dict[int, list[int]] = {}
    for h in range(1, hops):
        if rng.random() < 0.7:
            after.setdefault(int(rng.integers(h)), []).append(h)
    duration, delay = rng.integers(1, 5, arcs).astype(float), rng.integers(0, 3, arcs).astype(float)
    finish, start = run_of(chunks, paths, after, duration.tolist(), delay.tolist())
    arc_of = np.array([a for path in paths for a in path])
    first = np.cumsum([0, *(len(path) for path in paths)])
    there = start + duration[arc_of][:, None] + delay[arc_of][:, None]
    ready = np.zeros_like(start)
    for h, path in enumerate(paths):
        ready[first[h] + 1 : first[h + 1]] = there[first[h] : first[h + 1] - 1]
        for f in after.get(h, []):
            ready[first[f]] = there[first[h] + len(path) - 1]
    assert finish == there.max()
    assert (start >= ready).all()
    for a in range(arcs):
        here = arc_of == a
        at = np.sort(start[here].ravel())
        assert (np.diff(at) >= duration[a]).all()
        for begun, since in zip(start[here].ravel(), ready[here].ravel(), strict=True):
            busy = at[(at > since - duration[a]) & (at < begun)]  # what went first, without a gap
            assert begun - since == pytest.approx(0) or (
                len(busy) and np.allclose(np.diff([*busy, begun]), duration[a])
            )


def test_a_channel_takes_the_latency_of_its_link_and_of_what_it_enters() -> None:
    """Of parallel links the slower counts: 5 + 3 into the hub; then 2 + 0.25 into the chiplet behind it."""
    nodes = [Chiplet("a", latency=0.125), Switch("hub", latency=3.0), Chiplet("b", latency=0.25)]
    links = [
        Link("a", "hub", 1.0, latency=1.0),
        Link("a", "hub", 1.0, latency=5.0),
        Link("hub", "b", 1.0, latency=2.0),
    ]
    schedule = collective(Package("row", nodes, links), "broadcast", 6.0).schedule
    assert schedule is not None
    network = schedule.network
    said = dict(
        zip(
            (c.name for c in network.package.channels),
            arc_latency(schedule, None)[network.arc_of_channel],
            strict=True,
        )
    )
    assert {said["a->hub"], said["hub->a"], said["hub->b"], said["b->hub"]} == {8.0, 5.125, 2.25, 5.0}
    assert (said["a->hub"], said["hub->b"]) == (8.0, 2.25)
    assert run_in_chunks(schedule, 1).time == 6 / 2 + 8.0 + 6.0 + 2.25
    assert run_in_chunks(schedule, 1, alpha=0.5).time == 6 / 2 + 0.5 + 6.0 + 0.5
