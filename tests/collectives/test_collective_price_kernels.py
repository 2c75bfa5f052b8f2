"""The kernels that price groups, against networkx and definitions on small graphs."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from seeds import seeds

from noptoolkit.collectives.prices.compiled_arborescence import cheapest_arborescence
from noptoolkit.collectives.prices.compiled_parties import least_of_any, spanning_tree
from noptoolkit.collectives.prices.compiled_pricing import (
    BOTH,
    COLLECT,
    EXCHANGE,
    SPREAD,
    lay_all,
    lay_group,
    nearest_members,
    path_arcs,
)


def arborescence(cost: np.ndarray, root: int, *, collects: bool = False) -> float:
    """Return the cost of the cheapest tree out of a root, or into it, over all members: infinite = no arc."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(cost)))
    for (i, j), value in np.ndenumerate(cost.T if collects else cost):
        if i != j and j != root and value < np.inf:
            graph.add_edge(i, j, weight=float(value))
    try:
        tree = nx.minimum_spanning_arborescence(graph)
    except nx.NetworkXException:
        return np.inf
    return float(tree.size("weight"))


@pytest.mark.parametrize("seed", seeds(25, 300))
def test_the_cheapest_arborescence_is_that_of_networkx(seed: int) -> None:
    """Few different costs, so that cycles within cycles are contracted; some roots reach not all."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    arcs = [(i, j) for i in range(n) for j in range(n) if rng.random() < rng.choice([0.3, 0.9])]
    arcs += arcs[: int(rng.integers(3))]  # parallel ones, and loops
    tail, head = np.array(arcs, np.int64).reshape(-1, 2).T.copy()
    cost = rng.integers(0, 5, len(arcs)).astype(float)
    least = np.full((n, n), np.inf)
    np.minimum.at(least, (tail, head), cost)
    for root in range(n):
        into, total = cheapest_arborescence(n, root, tail, head, cost)
        assert total == arborescence(least, root)
        if total < np.inf:
            others = [v for v in range(n) if v != root]
            assert into[root] == -1
            assert head[into[others]].tolist() == others
            assert nx.is_arborescence(nx.DiGraph([(int(tail[into[v]]), v) for v in others] or [(0, 1)]))
            assert cost[into[others]].sum() == total


def test_an_arborescence_of_many_cycles() -> None:
    """Pairs, pairs of pairs and so on are nearer to each other than to the rest: all are contracted."""
    n = 64
    i, j = np.divmod(np.arange(n * n), n)
    keep = i != j
    tail, head = i[keep], j[keep]
    cost = np.floor(np.log2(tail ^ head)) + 1.0
    for root in (0, 41):
        _, total = cheapest_arborescence(n, root, tail, head, cost)
        assert total == sum(2**k * (6 - k) for k in range(6))  # 32 pairs at 1, 16 at 2, ..., 1 at 6


def members(seed: int, k: int, *, symmetric: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cost = rng.integers(1, 30, (k, k)).astype(float)
    cost = np.minimum(cost, cost.T) if symmetric else cost
    np.fill_diagonal(cost, 0.0)
    return cost


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_the_minimum_spanning_tree_is_that_of_networkx(seed: int) -> None:
    k = 2 + seed % 7
    cost = members(seed, k, symmetric=True)
    near, best = np.empty(k, np.int64), np.empty(k)
    total = spanning_tree(cost, near, best)
    assert near[0] == -1
    assert nx.is_tree(nx.Graph([(v, int(near[v])) for v in range(1, k)]))
    assert total == sum(cost[v, near[v]] for v in range(1, k))
    assert total == nx.minimum_spanning_tree(nx.from_numpy_array(cost)).size("weight")


def least_among(cost: np.ndarray) -> float:
    """Return what any all-reduce pays: until one holds the sum, and until all have it, or turned round."""
    k = len(cost)
    if k < 2:
        return 0.0
    apart = cost + np.where(np.eye(k, dtype=bool), np.inf, 0.0)
    into, out = apart.min(axis=0), apart.min(axis=1)
    forth = min(arborescence(cost, v, collects=True) + into.sum() - into[v] for v in range(k))
    back = min(arborescence(cost, v) + out.sum() - out[v] for v in range(k))
    return max(forth, back)


def least_of_parties(cost: np.ndarray) -> float:
    """Return the most that this proves among parties: members joined by steps of at most some length."""
    linked = np.minimum(cost, cost.T)
    best = least_among(cost)
    for level in np.unique(linked[linked > 0]):
        parties = list(nx.connected_components(nx.from_numpy_array((linked <= level).astype(float))))
        between = [[min(cost[i, j] for i in a for j in b) for b in parties] for a in parties]
        best = max(best, least_among(np.array(between)))
    return best


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", seeds(12, 120))
def test_what_any_all_reduce_pays_is_the_most_over_parties(seed: int, symmetric: bool) -> None:
    """Few enough members that all lengths of steps are tried."""
    cost = members(seed, 2 + seed % 6, symmetric=symmetric)
    if seed % 3 == 0:  # far apart in two halves: there parties prove more
        half = len(cost) // 2
        cost[:half, half:] += 100.0
        cost[half:, :half] += 100.0
    assert least_of_any(cost, symmetric) == pytest.approx(least_of_parties(cost), rel=1e-12)
    assert least_of_any(cost, False) == pytest.approx(least_of_parties(cost), rel=1e-12)


@pytest.mark.parametrize("pairs", [9, 10])
def test_eight_lengths_of_steps_make_parties(pairs: int) -> None:
    """Pairs 1 apart on a line, with longer steps between them that all differ: the pairs are tried last.

    The longest step makes all one, which proves nothing; of the others, ten pairs have eight without the 1.
    """
    steps = np.ones(2 * pairs - 1)
    steps[1::2] = 100.0 + np.random.default_rng(pairs).permutation(pairs - 1)
    place = np.cumsum([0.0, *steps])
    long = steps[1::2]
    into = np.minimum([np.inf, *long], [*long, np.inf])
    proved = long.sum() + into.sum() - into.max()  # by the pairs
    found = least_of_any(np.abs(place[:, None] - place[None, :]), True)
    assert found == pytest.approx(proved) if pairs == 9 else found < 0.99 * proved


def closed_cost(cost: np.ndarray, ends: np.ndarray, root: int, *, collects: bool) -> np.ndarray:
    """Return costs where members that send nothing but what is theirs forward nothing."""
    barred = cost.copy()
    for v in np.flatnonzero(ends):
        if v != root:
            barred[(slice(None), v) if collects else v] = np.inf
    return barred


def held_by(hops: np.ndarray, amounts: np.ndarray, cost: np.ndarray) -> dict[int, tuple[nx.DiGraph, float]]:
    """Return the hops of each commodity as a graph, and what they cost."""
    found: dict[int, tuple[nx.DiGraph, float]] = {}
    for (owner, i, j), amount in zip(hops.tolist(), amounts.tolist(), strict=True):
        graph, paid = found.get(owner, (nx.DiGraph(), 0.0))
        graph.add_edge(i, j)
        found[owner] = graph, paid + amount * cost[i, j]
    return found


@pytest.mark.parametrize("some_end", [False, True])
@pytest.mark.parametrize("motion", [SPREAD, COLLECT])
@pytest.mark.parametrize("seed", seeds(4, 40))
def test_shares_take_the_cheapest_trees(seed: int, motion: int, some_end: bool) -> None:
    k = 3 + seed % 4
    rng = np.random.default_rng(seed)
    cost = members(seed, k, symmetric=False)
    ends = (rng.random(k) < 0.4) if some_end else np.zeros(k, bool)
    ends[0] = False
    shares = rng.integers(0, 4, k).astype(float)
    hops, amounts = np.empty((k * k, 3), np.int64), np.empty(k * k)
    collects = motion == COLLECT
    none = np.zeros((0, 0))
    count, total, least = lay_group(motion, shares, none, cost, ends, False, False, hops, amounts)
    by_root = held_by(hops[:count], amounts[:count], cost)
    assert set(by_root) == set(np.flatnonzero(shares > 0).tolist())
    by_hand = [
        shares[r] * arborescence(closed_cost(cost, ends, r, collects=collects), r, collects=collects)
        for r in by_root
    ]
    assert total == least == pytest.approx(sum(by_hand), rel=1e-12)
    for (r, (graph, paid)), value in zip(by_root.items(), by_hand, strict=True):
        assert len(graph) == k
        assert nx.is_arborescence(graph.reverse() if collects else graph)
        assert (graph.out_degree if collects else graph.in_degree)(r) == 0
        assert paid == pytest.approx(value, rel=1e-12)
        assert not any(
            ends[i if not collects else j] and (i if not collects else j) != r for i, j in graph.edges
        )


@pytest.mark.parametrize("some_end", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", seeds(4, 40))
def test_an_all_reduce_takes_the_cheapest_pair_of_trees(seed: int, symmetric: bool, some_end: bool) -> None:
    k = 3 + seed % 4
    cost = members(seed, k, symmetric=symmetric)
    ends = np.zeros(k, bool)
    ends[1 + seed % (k - 1)] = some_end
    hops, amounts = np.empty((k * k + 1, 3), np.int64), np.empty(k * k + 1)
    shares, none = np.array([2.5, *np.zeros(k - 1)]), np.zeros((0, 0))
    count, total, least = lay_group(BOTH, shares, none, cost, ends, symmetric, True, hops, amounts)
    pairs = [
        arborescence(closed_cost(cost, ends, r, collects=False), r)
        + arborescence(closed_cost(cost, ends, r, collects=True), r, collects=True)
        for r in range(k)
    ]
    assert total == pytest.approx(2.5 * min(pairs), rel=1e-12)
    held = held_by(hops[:count], amounts[:count], cost)
    assert sum(paid for _, paid in held.values()) == pytest.approx(total, rel=1e-12)
    root = max(held)
    assert set(held) == {root, -1 - root}
    spread, collected = held[root][0], held[-1 - root][0].reverse()
    assert nx.is_arborescence(spread)
    assert nx.is_arborescence(collected)
    assert spread.in_degree(root) == collected.in_degree(root) == 0
    assert len(spread) == len(collected) == k
    proved = least_of_parties(cost)
    if some_end:  # the sum comes about somewhere; where some forward nothing, no party holds it for them
        apart = cost + np.where(np.eye(k, dtype=bool), np.inf, 0.0)
        into = apart.min(axis=0)
        first = [
            arborescence(closed_cost(cost, ends, r, collects=True), r, collects=True) + into.sum() - into[r]
            for r in range(k)
        ]
        proved = max(proved, min(first))
    assert least == pytest.approx(2.5 * proved, rel=1e-12)
    assert least <= total * (1 + 1e-12)
    again = lay_group(BOTH, shares, none, cost, ends, symmetric, False, hops, amounts)
    assert again[1] == total
    assert again[2] == 0.0


def test_an_all_reduce_where_nothing_costs_anything() -> None:
    """All costs 0: what is barred must still cost something, or members forward that may not."""
    ends = np.array([True, False, True])
    hops, amounts = np.empty((10, 3), np.int64), np.empty(10)
    none = np.zeros((0, 0))
    count, total, _ = lay_group(BOTH, np.ones(3), none, np.zeros((3, 3)), ends, False, True, hops, amounts)
    root = hops[:count, 0].max()
    assert total == 0.0
    for owner, i, j in hops[:count].tolist():
        assert (i if owner >= 0 else j) in {root, 1}


def network(seed: int) -> tuple[nx.DiGraph, tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Return a strongly connected graph, its arcs in rows, their tails and lengths."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 12))
    arcs = {(i, (i + 1) % n) for i in range(n)} | {
        (int(i), int(j)) for i, j in rng.integers(0, n, (2 * n, 2)) if i != j
    }
    ends = np.array(sorted(arcs), np.int64)
    order = rng.permutation(len(ends))  # arcs have numbers of their own
    tail, heads = np.empty(len(ends), np.int64), ends[:, 1].copy()
    tail[order] = ends[:, 0]
    length = rng.integers(1, 20, len(ends)).astype(float)
    graph = nx.DiGraph()
    for (i, j), a in zip(ends.tolist(), order.tolist(), strict=True):
        graph.add_edge(i, j, weight=length[a], arc=a)
    start = np.searchsorted(ends[:, 0], np.arange(n + 1)).astype(np.int64)
    return graph, (start, heads, order.astype(np.int64)), tail, length


@pytest.mark.parametrize("seed", seeds(8, 80))
def test_the_nearest_members_are_those_of_networkx(seed: int) -> None:
    graph, rows, tail, length = network(seed)
    n = len(graph)
    rng = np.random.default_rng(seed)
    wanted = np.where(rng.random(n) < 0.5, 3, -1)
    source = int(rng.integers(n))
    left = max(1, int(((wanted == 3) & (np.arange(n) != source)).sum()))
    distance, entered = np.empty(n), np.empty(n, np.int64)
    heap, place = np.empty(n, np.int64), np.empty(n, np.int64)
    nearest_members(*rows, length, source, wanted, 3, left, distance, entered, heap, place)
    truth = nx.single_source_dijkstra_path_length(graph, source)
    for v in np.flatnonzero(wanted == 3).tolist():
        assert distance[v] == truth[v]
        while v != source:
            assert distance[v] == distance[tail[entered[v]]] + length[entered[v]]
            v = int(tail[entered[v]])
    # what is farther than the last of them need not be known
    wanted[:] = -1
    near = min((value, v) for v, value in truth.items() if v != source)[1]
    wanted[near] = 0
    nearest_members(*rows, length, source, wanted, 0, 1, distance, entered, heap, place)
    assert distance[near] == truth[near]
    assert (place == -2).sum() <= 1 + sum(truth[v] <= truth[near] for v in graph if v != source)


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_paths_between_members_are_shortest(seed: int) -> None:
    graph, rows, tail, length = network(seed)
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(graph))[:3].astype(np.int64)
    stops = some.copy()
    if seed % 2:  # one whose data ends at another vertex than it starts at
        stops[0] = rng.permutation(np.setdiff1d(np.arange(len(graph)), some))[0]
    distance, row, path = path_arcs(*rows, tail, length, some, stops)
    head = {data["arc"]: j for _, j, data in graph.edges(data=True)}
    for i in range(3):
        for j in range(3):
            arcs = path[row[3 * i + j] : row[3 * i + j + 1]].tolist()
            if i == j:
                assert arcs == []
                continue
            at = int(some[i])
            for a in arcs:
                assert tail[a] == at
                at = head[a]
            assert at == stops[j]
            assert distance[i, j] == length[arcs].sum()
            assert distance[i, j] == nx.dijkstra_path_length(graph, int(some[i]), int(stops[j]))
    assert row[-1] == len(path)


@pytest.mark.parametrize("motion", [SPREAD, COLLECT, BOTH, EXCHANGE])
@pytest.mark.parametrize("seed", seeds(3, 30))
def test_two_groups_pay_what_their_trees_load(seed: int, motion: int) -> None:
    """The cost is that of the loads under the prices, and that of each group laid by itself."""
    graph, rows, tail, length = network(seed)
    rng = np.random.default_rng(seed)
    n = len(graph)
    groups = [rng.permutation(n)[:3], rng.permutation(n)[:4]]
    at = np.concatenate(groups).astype(np.int64)
    starts, count = np.array([0, 3, 7]), 7
    inject, eject = rng.integers(0, 5, count).astype(float), rng.integers(0, 5, count).astype(float)
    shares = rng.integers(1, 4, count).astype(float)
    pairs = rng.integers(0, 3, 9 + 16).astype(float)
    pairs[:3] = 0.0  # the first member sends nothing
    for low, k in ((0, 3), (9, 4)):
        pairs[low : low + k * k : k + 1] = 0.0
    ends, weights = np.zeros(count, bool), np.array([2.0, 0.5])
    load, sent, received = np.zeros(len(tail)), np.zeros(count), np.zeros(count)
    total, least = lay_all(
        *rows, tail, length, starts, at, at, ends, inject, eject, np.full(2, motion), shares,
        np.array([0, 9]), pairs, False, True, np.array([1, 0]), weights, load, sent, received,
    )  # fmt: skip
    assert total == pytest.approx(load @ length + sent @ inject + received @ eject, rel=1e-12)
    by_hand, proved = 0.0, 0.0
    for g, weight in ((1, 2.0), (0, 0.5)):
        low, k = int(starts[g]), int(starts[g + 1] - starts[g])
        cost = np.zeros((k, k))
        for i in range(k):
            for j in range(k):
                if i != j:
                    way = nx.dijkstra_path_length(graph, int(at[low + i]), int(at[low + j]))
                    cost[i, j] = way + inject[low + i] + eject[low + j]
        if motion == EXCHANGE:
            table = pairs[9 * g : 9 * g + k * k].reshape(k, k)
            by_hand += weight * float((table * cost).sum())
            assert sent[low : low + k] == pytest.approx(weight * table.sum(axis=1))
            assert received[low : low + k] == pytest.approx(weight * table.sum(axis=0))
        elif motion == BOTH:
            two = [arborescence(cost, r) + arborescence(cost, r, collects=True) for r in range(k)]
            by_hand += weight * shares[low] * min(two)
            proved += weight * shares[low] * least_of_parties(cost)
        else:
            trees = [arborescence(cost, r, collects=motion == COLLECT) for r in range(k)]
            by_hand += weight * float(shares[low : low + k] @ trees)
    assert total == pytest.approx(by_hand, rel=1e-12)
    assert least == pytest.approx(proved if motion == BOTH else by_hand, rel=1e-12)


@pytest.mark.parametrize("motion", [SPREAD, COLLECT])
@pytest.mark.parametrize("seed", seeds(3, 30))
def test_members_that_forward_nothing_are_those_of_their_own_group(seed: int, motion: int) -> None:
    graph, rows, tail, length = network(seed)
    groups = [np.random.default_rng(seed).permutation(len(graph))[:k] for k in (3, 4)]
    at, starts = np.concatenate(groups).astype(np.int64), np.array([0, 3, 7])
    ends, none = np.array([0, 1, 0, 1, 1, 0, 0], bool), np.zeros(7)
    load, sent, received = np.zeros(len(tail)), np.zeros(7), np.zeros(7)
    total, _ = lay_all(
        *rows, tail, length, starts, at, at, ends, none, none, np.full(2, motion), np.ones(7),
        np.array([0, 9]), np.zeros(25), False, True, np.array([0, 1]), np.ones(2), load, sent, received,
    )  # fmt: skip
    collects, by_hand = motion == COLLECT, 0.0
    for low, high in pairwise(starts.tolist()):
        far = [[nx.dijkstra_path_length(graph, int(u), int(v)) for v in at[low:high]] for u in at[low:high]]
        for r in range(high - low):
            barred = closed_cost(np.array(far), ends[low:high], r, collects=collects)
            by_hand += arborescence(barred, r, collects=collects)
    assert total == pytest.approx(by_hand, rel=1e-12)
