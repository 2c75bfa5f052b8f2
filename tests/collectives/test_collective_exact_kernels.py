"""The kernels of exact trees, against networkx and definitions on small graphs."""

import itertools

import networkx as nx
import numpy as np
import pytest
from seeds import seeds

from noptoolkit.collectives.exact.compiled_flow import link_arcs, max_flow, passing_targets
from noptoolkit.collectives.exact.compiled_splitting import pack_arborescences, split_off
from noptoolkit.collectives.exact.compiled_strength import truncate
from noptoolkit.collectives.exact.integer_graph import whole_numbers

MANY = 10**9


def digraph(rng: np.random.Generator, n: int, density: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tail, head and capacity of the arcs of a random graph without parallel ones."""
    tail, head = np.array(np.nonzero((rng.random((n, n)) < density) & ~np.eye(n, dtype=bool)))
    return tail, head, rng.integers(1, 9, len(tail))


def as_graph(n: int, tail: np.ndarray, head: np.ndarray, capacity: np.ndarray) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    for u, v, c in zip(tail.tolist(), head.tolist(), capacity.tolist(), strict=True):
        graph.add_edge(u, v, capacity=c)
    return graph


@pytest.mark.parametrize("seed", seeds(20, 200))
def test_flows_are_those_of_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    tail, head, capacity = digraph(rng, n, float(rng.choice([0.3, 0.6])))
    first, after, to = link_arcs(n, tail, head)
    graph = as_graph(n, tail, head, capacity)
    for sink in range(1, n):
        truth = nx.maximum_flow_value(graph, 0, sink)
        for limit in (MANY, truth + 1, truth, max(truth - 1, 0)):
            residual = np.zeros(2 * len(tail), np.int64)
            residual[::2] = capacity
            value, level = max_flow(first, after, to, residual, 0, sink, limit)
            assert value == min(truth, limit)
            moved = residual[1::2]
            assert (moved >= 0).all()
            assert (residual[::2] + moved == capacity).all()
            gain = np.bincount(head, moved, n) - np.bincount(tail, moved, n)
            assert gain[[0, sink]].tolist() == [-value, value]
            assert not np.delete(gain, [0, sink]).any()
            if value < limit:
                inside = level >= 0
                assert inside[0]
                assert not inside[sink]
                assert capacity[inside[tail] & ~inside[head]].sum() == value


@pytest.mark.parametrize("seed", seeds(12, 120))
def test_targets_pass_as_long_as_each_can_receive_the_amount(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    tail, head, capacity = digraph(rng, n, 0.6)
    first, after, to = link_arcs(n, tail, head)
    graph = as_graph(n, tail, head, capacity)
    room = [MANY if t == 0 else nx.maximum_flow_value(graph, 0, t) for t in range(n)]
    targets = rng.permutation(n)
    both = np.zeros(2 * len(tail), np.int64)
    both[::2] = capacity
    for amount in sorted({1, min(room), min(room) + 1, max(room[1:])}):
        passed, level = passing_targets(first, after, to, both, 0, targets, amount)
        expected = next((k for k, t in enumerate(targets.tolist()) if room[t] < amount), n)
        assert passed == expected
        if (
            passed < n
        ):  # the flow so far is led on to the target: the cut has less than the amount all the same
            inside = level >= 0
            assert not inside[targets[passed]]
            assert capacity[inside[tail] & ~inside[head]].sum() < amount
    assert both[::2].tolist() == capacity.tolist()
    assert not both[1::2].any()


def reaches(capacity: np.ndarray, sources: list[int], weights: list[int], members: list[int]) -> bool:
    """Return whether each member can receive everything that starts at the sources."""
    graph = as_graph(len(capacity) + 1, *np.nonzero(capacity), capacity[np.nonzero(capacity)])
    for source, weight in zip(sources, weights, strict=True):
        graph.add_edge(len(capacity), source, capacity=weight)
    return all(nx.maximum_flow_value(graph, len(capacity), t) == sum(weights) for t in members)


@pytest.mark.parametrize("seed", seeds(10, 100))
def test_relays_are_split_off_and_their_members_still_receive_all(seed: int) -> None:
    """Balanced relays can always be split off whole (Mader, Frank): none of their capacity is left."""
    rng = np.random.default_rng(seed)
    members, relays = 3, int(rng.integers(1, 4))
    n = members + relays
    capacity = np.zeros((n, n), np.int64)
    for _ in range(12):  # rounds of one each way leave every vertex with as much in as out
        way = rng.permutation(n)[: int(rng.integers(2, n + 1))]
        capacity[way, np.roll(way, -1)] += int(rng.integers(1, 4))
    sources, weights = [0, 1, 2], rng.integers(1, 4, 3).tolist()
    scale = next(k for k in itertools.count(1) if reaches(k * capacity, sources, weights, [0, 1, 2]))
    capacity *= scale
    before = capacity.copy()
    steps, left = split_off(
        capacity, np.arange(members, n), np.array(sources), np.array(weights), np.arange(members)
    )
    assert left == 0
    assert not capacity[members:].any()
    assert not capacity[:, members:].any()
    assert reaches(capacity, sources, weights, [0, 1, 2])
    for u, w, t, amount in steps.tolist():
        assert amount > 0
        assert w >= members
        before[u, w] -= amount
        before[w, t] -= amount
        if u != t:
            before[u, t] += amount
        assert (before >= 0).all()
    assert np.array_equal(before, capacity)


def test_what_is_left_at_a_relay_is_counted() -> None:
    """A relay that is fed 2 and feeds 1 and 2 with 1 each is split whole; of one fed 3, 2 are left over."""
    capacity = np.zeros((4, 4), np.int64)
    capacity[0, 3], capacity[3, 1], capacity[3, 2] = 2, 1, 1
    capacity[1, 2] = capacity[2, 1] = 1
    steps, left = split_off(capacity, np.array([3]), np.array([0]), np.array([2]), np.array([1, 2]))
    assert left == 0
    assert steps.tolist() == [[0, 3, 1, 1], [0, 3, 2, 1]]
    one = np.zeros((4, 4), np.int64)
    one[0, 3], one[3, 1] = 3, 1
    steps, left = split_off(one, np.array([3]), np.array([0]), np.array([1]), np.array([1]))
    assert (steps.tolist(), left) == ([[0, 3, 1, 1]], 2)


@pytest.mark.parametrize("seed", seeds(12, 120))
def test_arborescences_are_packed_as_edmonds_says(seed: int) -> None:
    """As many trees at each root as asked, all spanning, no arc in more of them than it may be."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    capacity = rng.integers(0, 4, (n, n))
    capacity[np.arange(n), np.roll(np.arange(n), -1)] += 1
    np.fill_diagonal(capacity, 0)
    roots = rng.permutation(n)[: int(rng.integers(1, n + 1))]
    amounts = rng.integers(1, 4, len(roots))
    # the least multiple that carries all, one less must be refused
    scale = next(
        k
        for k in itertools.count(1)
        if reaches(k * capacity, roots.tolist(), amounts.tolist(), list(range(n)))
    )
    tail, head = np.array(np.nonzero(capacity))
    multiplicity = scale * capacity[tail, head]
    left = multiplicity.copy()
    count, root, amount, arcs = pack_arborescences(n, n, tail, head, left, roots, amounts, 4096)
    assert count > 0
    assert np.bincount(root, amount, n).tolist() == np.bincount(roots, amounts, n).tolist()
    used = np.zeros(len(tail), np.int64)
    for b in range(count):
        assert amount[b] > 0
        known = {int(root[b])}
        for e in arcs[b].tolist():
            assert int(tail[e]) in known
            assert int(head[e]) not in known
            known.add(int(head[e]))
            used[e] += amount[b]
        assert len(known) == n
    assert (left == multiplicity - used).all()
    assert (left >= 0).all()
    if count > 1:
        few = pack_arborescences(n, n, tail, head, multiplicity.copy(), roots, amounts, len(roots))
        assert few[0] in (-1, len(roots))


def test_more_trees_than_arcs_are_refused() -> None:
    tail, head = np.array([0, 1]), np.array([1, 0])
    two, one = np.array([2, 2]), np.array([1, 2])
    assert pack_arborescences(2, 2, tail, head, two, np.array([0, 1]), np.array([2, 2]), 9)[0] == 2
    assert pack_arborescences(2, 2, tail, head, one, np.array([0, 1]), np.array([2, 2]), 9)[0] == -1


def test_roots_of_nothing_get_no_trees() -> None:
    tail, head, left = np.array([0, 1]), np.array([1, 0]), np.array([2, 2])
    for amounts in ([2, 0], [0, 2]):
        count, root, amount, _ = pack_arborescences(
            2, 2, tail, head, left.copy(), np.array([0, 1]), np.array(amounts), 9
        )
        assert (count, root[:1].tolist(), amount[:1].tolist()) == (1, [amounts.index(2)], [2])


@pytest.mark.parametrize("seed", seeds(12, 120))
def test_truncation_finds_the_best_partition(seed: int) -> None:
    """The least sum over parts of (boundary - 2 q), of all partitions."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    a, b = np.triu_indices(n, 1)
    kept = rng.random(len(a)) < 0.8
    a, b = a[kept], b[kept]
    flip = rng.random(len(a)) < 0.5
    a, b = np.where(flip, b, a), np.where(flip, a, b)
    weight = rng.integers(1, 9, len(a))
    q = int(rng.integers(1, 12))

    def value(labels: np.ndarray) -> int:
        return int(2 * weight[labels[a] != labels[b]].sum() - 2 * q * len(set(labels.tolist())))

    every = (
        np.array(labels)
        for labels in itertools.product(range(n), repeat=n)
        if all(x <= max(labels[:i], default=-1) + 1 for i, x in enumerate(labels))
    )
    assert value(truncate(n, a, b, weight, q)) == min(map(value, every))


def test_whole_numbers_are_exact_as_far_as_floats_are() -> None:
    """Up to 2^53, and down to steps of 2^-24; beyond, and where too large without a divisor, rounded."""
    for values, whole, unit in (
        ([2.0**52, 2.0**51, 0.0], [2, 1, 0], 2.0**51),
        ([3 * 2.0**-24, 2.0**-24], [3, 1], 2.0**-24),
        ([0.0625, 0.5], [1, 8], 0.0625),
        ([0.0, 0.0], [0, 0], 1.0),
    ):
        found = whole_numbers(np.array(values), 8)
        assert (found[0].tolist(), found[1:]) == (whole, (unit, True))
    whole, unit, exact = whole_numbers(np.array([2.0**-25, 9.0, 2.25]), 8)
    assert (whole.tolist(), unit, exact) == ([1, 8, 2], 9 / 8, False)
    assert whole_numbers(np.array([9.0, 2.0]), 8)[2] is False
