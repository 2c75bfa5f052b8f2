"""The compiled inner loops of the flow solvers, each by itself, against networkx and plain numpy."""

import itertools
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from seeds import seeds

from noptoolkit.flow.optimal.compiled import LANES, certify, halpern_step, spread_equally
from noptoolkit.flow.optimal.compiled_detours import find_detours, take_detours
from noptoolkit.flow.optimal.compiled_paths import greedy_round, trace_paths
from noptoolkit.flow.trees.compiled_ascent import ascend, best_of_orders, cover_sets
from noptoolkit.flow.trees.compiled_planes import strip_paths
from noptoolkit.flow.verification.trees import cuts_cost


def digraph(seed, n=7, more=9):
    """A strongly connected graph, its arcs sorted by tail, of whole lengths; as arrays and for networkx."""
    rng = np.random.default_rng(seed)
    way = rng.permutation(n)
    arcs = {(int(a), int(b)) for a, b in zip(way, np.roll(way, 1), strict=True)}
    arcs |= {(int(a), int(b)) for a, b in rng.integers(0, n, (more, 2)) if a != b}
    tail, head = np.array(sorted(arcs), np.int64).T.copy()
    length = rng.integers(1, 12, len(tail)).astype(float)
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(zip(tail.tolist(), head.tolist(), length.tolist(), strict=True))
    first = np.searchsorted(tail, np.arange(n + 1)).astype(np.int64)
    ends = tail.astype(np.int32), head.astype(np.int32)  # as the first-order method has them
    return SimpleNamespace(
        n=n, first=first, tail=tail, head=head, ends=ends, length=length, graph=graph, rng=rng
    )


def walked(found, paths, hops, k, source, target):
    """The arcs of a path that is written from the target back."""
    arcs = paths[k, : hops[k]][::-1].tolist()
    at = source
    for a in arcs:
        assert found.tail[a] == at
        at = int(found.head[a])
    assert at == target
    return arcs


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_traced_paths_are_the_shortest(seed):
    found = digraph(seed, n=12, more=30)
    source, target = np.array(list(itertools.permutations(range(12), 2))).T
    source = source.copy()
    count = len(source)
    paths, hops, distances = np.full((count, 12), -1, np.int32), np.full(count, 99), np.zeros(count)
    trace_paths(
        3, count, found.first, found.tail, found.head, found.length, source, target, paths, hops, distances
    )
    truth = dict(nx.all_pairs_dijkstra_path_length(found.graph))
    assert not distances[:3].any()
    for k in range(3, count):
        assert distances[k] == truth[source[k]][target[k]]
        assert found.length[walked(found, paths, hops, k, source[k], target[k])].sum() == distances[k]


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_a_greedy_round_prices_what_it_has_used(seed):
    """Each pair takes a cheapest path under the prices that those before it left; two resources an arc."""
    found = digraph(seed)
    arcs, rounds, steep = len(found.tail), 5, 3.0
    resource = np.stack(
        [np.arange(arcs), np.full(arcs, arcs)], axis=1
    ).ravel()  # its own, and one shared by all
    first_of = 2 * np.arange(arcs + 1)
    capacity = found.rng.integers(1, 5, arcs + 1).astype(float)
    capacity[-1] = 40.0
    base, amount = found.rng.random(arcs + 1), found.rng.integers(1, 4, 6).astype(float)
    source, target = np.array(list(itertools.permutations(range(7), 2)))[found.rng.permutation(42)[:6]].T
    source = source.copy()
    use, price = np.zeros(arcs + 1), 1 / capacity
    now, cost = use.copy(), price.copy()
    for turn in range(rounds):
        paths, hops = np.full((6, 7), -1, np.int32), np.zeros(6, np.int64)
        greedy_round(
            turn, rounds, found.first, found.tail, found.head, capacity, base, first_of, resource,
            source, target, amount, steep, use, price, paths, hops,
        )  # fmt: skip
        peak = (now / capacity).max() * rounds * (turn + 1) / max(turn, 1)
        now += base / rounds
        length = cost[:arcs] + cost[-1]  # of an arc, looked at again when it is used
        for k in range(6):
            graph = nx.DiGraph()
            graph.add_weighted_edges_from(zip(found.tail, found.head, length, strict=True))
            path = walked(found, paths, hops, k, source[k], target[k])
            assert length[path].sum() == pytest.approx(nx.dijkstra_path_length(graph, source[k], target[k]))
            for a in path:
                for r in (a, arcs):
                    now[r] += amount[k] / rounds
                    ratio = now[r] * rounds / capacity[r]
                    cost[r] = ((1 + ratio) if turn == 0 else np.exp(steep * (ratio / peak - 1))) / capacity[r]
                length[a] = cost[a] + cost[-1]
        peak = (now / capacity).max() * (turn + 2) / (turn + 1)
        cost = np.exp(steep * (now / capacity / peak - 1)) / capacity
        assert use == pytest.approx(now, rel=1e-12)
        assert price == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize("seed", seeds(3, 30))
def test_certified_flows_carry_all_and_cost_their_distances(seed):
    """Of nothing, noise and a flow that is one: what lacks is fetched along the shortest paths."""
    found = digraph(seed)
    n, arcs = found.n, len(found.tail)
    count = LANES + 2  # the last block is nearly empty
    ends = found.rng.integers(0, n, count)
    demand = found.rng.integers(0, 3, (count, n)).astype(float)
    demand[np.arange(count), ends] = 0.0
    truth = dict(nx.all_pairs_dijkstra_path_length(found.graph))
    away = np.array([[truth[e][v] for v in range(n)] for e in ends.tolist()])
    for rough in (np.zeros((count, arcs)), found.rng.normal(0.2, 1.0, (count, arcs))):
        flow = np.zeros((2, arcs, LANES), np.float32)
        flow[0], flow[1, :, :2] = rough[:LANES].T, rough[LANES:].T
        load, distances = np.zeros(arcs), np.zeros((2, n, LANES), np.float32)
        repaired = np.zeros((count, arcs))
        cost = certify(
            0,
            2,
            found.first,
            *found.ends,
            found.length,
            demand,
            ends,
            flow,
            load,
            distances,
            repaired,
        )
        assert cost == pytest.approx((demand * away).sum(), rel=1e-12)
        assert pytest.approx(away[:LANES]) == distances[0].T
        assert pytest.approx(away[LANES:]) == distances[1, :, :2].T
        assert load == pytest.approx(repaired.sum(axis=0), rel=1e-12)
        assert (repaired >= np.maximum(rough.astype(np.float32), 0.0)).all()
        for q in range(count):
            gain = (
                np.bincount(found.head, repaired[q], n) - np.bincount(found.tail, repaired[q], n) - demand[q]
            )
            assert (np.delete(gain, ends[q]) >= -1e-5).all()
        if not rough.any():
            assert load @ found.length == pytest.approx(cost, rel=1e-12)
    part = np.zeros(arcs)
    nothing = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0))
    certify(1, 2, found.first, *found.ends, found.length, demand, ends, 0 * flow, part, *nothing)
    assert part @ found.length == pytest.approx((demand * away)[LANES:].sum(), rel=1e-12)


def test_what_no_path_reaches_forwards_nothing():
    """A flow into and out of a vertex that the source does not reach: dropped, and told as the farthest."""
    first, tail, head = np.array([0, 1, 1, 2]), np.array([0, 2], np.int32), np.array([1, 1], np.int32)
    flow = np.zeros((1, 2, LANES), np.float32)
    flow[0, 1, 0] = 5.0
    load, distances, repaired = np.zeros(2), np.zeros((1, 3, LANES), np.float32), np.zeros((1, 2))
    demand, ends = np.array([[0.0, 2.0, 0.0]]), np.array([0])
    cost = certify(
        0, 1, first, tail, head, np.array([3.0, 1.0]), demand, ends, flow, load, distances, repaired
    )
    assert (cost, load.tolist(), repaired.tolist()) == (6.0, [2.0, 0.0], [[2.0, 0.0]])
    assert distances[0, :, 0].tolist() == [0.0, 3.0, 3.0]


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_first_flows_are_split_equally_over_fewest_hops(seed):
    """Against a recursion from each vertex back to the source; scales against their definition."""
    found = digraph(seed, more=14)
    n, arcs = found.n, len(found.tail)
    ends, demand = np.array([2, 5, 0]), found.rng.integers(0, 4, (3, n)).astype(float)
    demand[np.arange(3), ends] = 0.0
    width = found.rng.integers(1, 5, arcs).astype(float)
    flow, scale = np.zeros((2, arcs, 2), np.float32), np.zeros((2, n, 2), np.float32)
    spread_equally(0, 3, found.first, *found.ends, width, demand, ends, flow, scale)
    for q in range(3):
        hops = nx.single_source_shortest_path_length(found.graph, int(ends[q]))
        level = np.array([hops[v] for v in range(n)])
        ahead = level[found.head] == level[found.tail] + 1
        expected, need = np.zeros(arcs), demand[q].copy()
        for v in sorted(range(n), key=lambda v: -level[v]):
            into = np.flatnonzero(ahead & (found.head == v))
            expected[into] = need[v] * width[into] / width[into].sum()
            np.add.at(need, found.tail[into], expected[into])
        assert flow[q // 2, :, q % 2] == pytest.approx(expected, rel=1e-6)
        total, leaving = demand[q].sum(), np.bincount(level, np.diff(found.first), level.max() + 1)
        beyond = np.array([demand[q, level > h].sum() for h in range(level.max() + 1)])
        share = np.maximum(beyond / np.maximum(leaving, 1), 1e-4 * total)
        by_hand = total * np.sqrt(share[level] / share.max() + 1e-4)
        assert scale[q // 2, :, q % 2] == pytest.approx(by_hand, rel=1e-6)


def test_scales_where_no_path_leads():
    """A vertex that the source does not reach has the least scale that there is."""
    flow, scale = np.zeros((1, 2, 1), np.float32), np.zeros((1, 3, 1), np.float32)
    ends, demand = np.array([0]), np.array([[0.0, 4.0, 0.0]])
    spread_equally(
        0,
        1,
        np.array([0, 1, 1, 2]),
        np.array([0, 2]),
        np.array([1, 1]),
        np.ones(2),
        demand,
        ends,
        flow,
        scale,
    )
    assert flow.ravel().tolist() == [4.0, 0.0]
    assert scale.ravel() == pytest.approx([4 * np.sqrt(1.0001), 4 * np.sqrt(2e-4), 4 * 0.01])


def test_a_halpern_step_is_that_of_its_formula():
    """z <- w (2 T(z) - z) + (1 - w) z0, in plain numpy, for two blocks of which one is nearly empty."""
    found = digraph(3)
    n, arcs, rng = found.n, len(found.tail), found.rng
    shape = {"flow": (2, arcs, LANES), "price": (2, n, LANES)}
    flow, flow0 = rng.random(shape["flow"]), rng.random(shape["flow"])
    price, price0 = rng.normal(size=shape["price"]), rng.normal(size=shape["price"])
    scale, inverse = rng.random(shape["price"]) + 0.1, rng.random(shape["price"]) + 0.1
    demand, length = rng.random(shape["price"]), rng.random(arcs)
    ends = rng.integers(0, n, (2, LANES))
    ends[1, 3:] = -1
    omega, weight = 0.7, 0.8
    single = [np.float32(x) for x in (length, flow, price, demand, scale, inverse, flow0, price0)]
    load = np.zeros(arcs, np.float32)
    residual = halpern_step(
        0, 2, *found.ends, single[0], single[1], single[2], single[3], ends, *single[4:6],
        omega, *single[6:], weight, load,
    )  # fmt: skip
    slope = length[None, :, None] + price[:, found.tail] - price[:, found.head]
    step = np.maximum(-scale[:, found.tail] * slope / (3 * omega), -flow)
    ahead = flow + 2 * step
    excess = np.zeros(shape["price"])
    for a in range(arcs):
        excess[:, found.head[a]] += ahead[:, a]
        excess[:, found.tail[a]] -= ahead[:, a]
    lack = demand - excess
    for b, j in np.argwhere(ends >= 0):
        lack[b, ends[b, j], j] = 0.0  # nothing is asked of the source
    rise = omega * inverse * lack
    assert single[1] == pytest.approx(weight * ahead + (1 - weight) * flow0, abs=1e-5)
    assert single[2] == pytest.approx(weight * (price + 2 * rise) + (1 - weight) * price0, abs=1e-4)
    assert load == pytest.approx(ahead.sum(axis=(0, 2)), rel=1e-4)
    assert residual == pytest.approx((rise * lack).sum() - (step * slope).sum(), rel=1e-4)


def steiner(found, root, members):
    """The cheapest tree from a root to some members: the cheapest arborescence over every set between."""
    best = np.inf
    others = [v for v in range(found.n) if v != root and v not in members]
    for size in range(len(others) + 1):
        for some in itertools.combinations(others, size):
            inside = found.graph.subgraph([root, *members, *some]).copy()
            inside.remove_edges_from([edge for edge in inside.edges if edge[1] == root])
            if len(nx.descendants(inside, root)) == len(inside) - 1:
                best = min(best, nx.minimum_spanning_arborescence(inside).size("weight"))
    return best


def by_head(found):
    """Hops sorted by head, and those out of each vertex, as the dual ascent takes them."""
    order = np.lexsort((found.tail, found.head))
    tail, head, length = found.tail[order], found.head[order], found.length[order]
    out = np.argsort(tail, kind="stable")
    vertices = np.arange(found.n + 1)
    return (
        np.searchsorted(head, vertices), tail, head, length, np.searchsorted(tail[out], vertices), out,
    )  # fmt: skip


@pytest.mark.parametrize("seed", seeds(8, 80))
def test_raised_cuts_prove_what_a_tree_costs(seed):
    """Every cut parts a member from the root, none is paid more than its hops allow; the tree is a tree."""
    found = digraph(seed, n=6, more=12)
    first, tail, head, length, out_first, out_hop = by_head(found)
    hops = len(tail)
    length[found.rng.permutation(hops)[: seed % 3]] = 0.0  # some are full from the start
    found.graph = nx.DiGraph()
    found.graph.add_weighted_edges_from(zip(tail.tolist(), head.tolist(), length.tolist(), strict=True))
    root = int(found.rng.integers(6))
    members = found.rng.permutation([v for v in range(6) if v != root])[: 1 + seed % 4].astype(np.int64)
    left, order = np.empty(hops), np.empty(hops, np.int64)
    cuts, weights = np.zeros((2 * hops, 1), np.uint64), np.zeros(2 * hops)
    total, full, raised = ascend(first, tail, length, root, members, left, order, cuts, weights)
    assert total == pytest.approx(weights[:raised].sum())
    paid = np.zeros(hops)
    for cut, weight in zip(cuts[:raised, 0].tolist(), weights[:raised].tolist(), strict=True):
        inside = np.array([cut >> v & 1 for v in range(6)], bool)
        assert weight > 0
        assert not inside[root]
        assert inside[members].any()
        paid += weight * (inside[head] & ~inside[tail])
    assert left == pytest.approx(length - paid, abs=1e-12)
    assert sorted(order[:full].tolist()) == np.flatnonzero(left <= 0).tolist()
    room = np.empty(hops), np.empty(hops, np.int64), np.empty(hops, np.bool_), np.empty(6, np.int64)
    tree = np.empty(6, np.int64)
    cuts[:], weights[:] = 0, 0.0
    bound, chosen, raised = best_of_orders(
        first, tail, head, length, out_first, out_hop, root, members.copy(), 4, *room, tree, cuts, weights
    )
    least = steiner(found, root, members.tolist())
    assert bound == pytest.approx(weights[:raised].sum())
    assert bound <= least * (1 + 1e-12)
    grown = tree[:chosen]
    assert least <= length[grown].sum() * (1 + 1e-12)
    known = nx.DiGraph(zip(tail[grown].tolist(), head[grown].tolist(), strict=True))
    assert nx.is_arborescence(known)
    assert {v for v in known if known.out_degree(v) == 0} <= set(members.tolist())
    assert set(members.tolist()) <= nx.descendants(known, root)
    paid = np.zeros(hops)
    for cut, weight in zip(cuts[:raised, 0].tolist(), weights[:raised].tolist(), strict=True):
        inside = np.array([cut >> v & 1 for v in range(6)], bool)
        assert not inside[root]
        assert inside[members].any()
        paid += weight * (inside[head] & ~inside[tail])
    assert (paid <= length + 1e-12).all()


def test_bounds_of_a_broadcast_are_exact_and_unreachable_members_cost_for_ever():
    for seed in range(4):
        found = digraph(seed, n=6, more=12)
        first, tail, _, length, _, _ = by_head(found)
        members = np.arange(1, 6)
        none = np.zeros((0, 0), np.uint64), np.zeros(0)
        total, *_ = ascend(
            first, tail, length, 0, members, np.empty(len(tail)), np.empty(len(tail), np.int64), *none
        )
        assert total == pytest.approx(steiner(found, 0, members.tolist()))
    lost = ascend(
        np.array([0, 0, 1, 1]), np.array([0]), np.ones(1), 0, np.array([1, 2]), np.empty(1),
        np.empty(1, np.int64), *none,
    )  # fmt: skip
    assert lost[0] == np.inf


@pytest.mark.parametrize("seed", seeds(3, 30))
def test_messages_load_the_trees_that_they_take(seed):
    """The bound is below the sum of cheapest trees, what is loaded above it; roots send each copy once."""
    found = digraph(seed, n=6, more=12)
    first, tail, head, length, out_first, out_hop = by_head(found)
    at = np.array([-1, 3, 5, 1])  # of the endpoints, the first is the root's
    members = np.array([[0b0111], [0b1010], [0b1110], [0b0001]], np.uint64)
    amount = np.array([2.0, 3.0, 0.5, 7.0])
    load, trees = np.zeros(len(tail)), np.full((4, 6), 77)
    bound, sent = cover_sets(
        first, tail, head, length, out_first, out_hop, 0, members, at, amount, 4, load, trees
    )
    ends = [[3, 5], [3, 1], [3, 5, 1], []]
    least = sum(a * steiner(found, 0, some) for a, some in zip(amount, ends, strict=True) if some)
    assert bound <= least * (1 + 1e-12)
    assert bound > 0.6 * least
    assert least <= load @ length * (1 + 1e-12)
    again, copies = np.zeros(len(tail)), 0.0
    for row, some in zip(trees, ends, strict=True):
        kept = row[row >= 0]
        assert (row[len(kept) :] == -1).all()
        mine = amount[len(again) - len(tail) + ends.index(some)]
        again[kept] += mine
        copies += mine * (tail[kept] == 0).sum()
        reached = nx.DiGraph(zip(tail[kept].tolist(), head[kept].tolist(), strict=True))
        reached.add_node(0)
        assert set(some) <= set(nx.descendants(reached, 0))
    assert load == pytest.approx(again)
    assert sent == pytest.approx(copies)


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_stripped_paths_make_up_the_split_flow(seed):
    """Weights of a pair's paths add up to 1; on each arc they sum to what splitting puts there."""
    rng = np.random.default_rng(seed)
    states = 7  # towards the last one, by arcs to later ones: one destination
    rows = [
        sorted(rng.permutation(np.arange(v + 1, states))[: int(rng.integers(1, 4))])
        for v in range(states - 1)
    ]
    entry_ptr = np.cumsum([0, *map(len, rows), 0])
    head = np.array([w for row in rows for w in row])
    share = np.concatenate([rng.dirichlet(np.ones(len(row))) for row in rows])
    arc = 10 + rng.permutation(len(head))
    start = np.array([0, 2, 5, 6])
    order = np.arange(states)
    pair, weight, first, arcs = strip_paths(
        start, np.zeros(4, np.int64), order, np.array([0, states]), entry_ptr, arc, share, head, states
    )
    assert pair.tolist() == sorted(pair.tolist())
    entry = {int(a): e for e, a in enumerate(arc)}
    tail = np.repeat(np.arange(states - 1), [len(row) for row in rows])
    for k in range(4):
        mine = np.flatnonzero(pair == k)
        assert weight[mine].sum() == pytest.approx(1.0, rel=1e-11)
        expected, mass = np.zeros(len(head)), np.zeros(states)
        mass[start[k]] = 1.0
        for e in range(len(head)):
            expected[e] = mass[tail[e]] * share[e]
            mass[head[e]] += expected[e]
        on_arc, ways = np.zeros(len(head)), []
        for path in mine:
            way = [entry[a] for a in arcs[first[path] : first[path + 1]].tolist()]
            at = start[k]
            for e in way:
                assert tail[e] == at
                at = head[e]
            assert at == states - 1
            on_arc[way] += weight[path]
            ways.append(way)
        assert on_arc == pytest.approx(expected, abs=1e-11)
        assert ways == sorted(ways)  # the leftmost first
        assert len(mine) <= max(1, (expected > 0).sum())


def test_detours_share_what_is_too_much():
    """8 on an arc of room 2, a way round of two arcs with room 5, and one with room 9 that is half full."""
    first, tail, head = np.array([0, 3, 4, 5, 5]), np.array([0, 0, 0, 1, 2]), np.array([3, 1, 2, 3, 3])
    own, parts = np.arange(6), np.ones(5)
    capacity, load = np.array([2.0, 5.0, 9.0, 5.0, 9.0]), np.array([8.0, 0.0, 4.5, 0.0, 4.5])
    slack = capacity - load
    moved, amount = np.empty(9, np.int64), np.empty(9)
    begins, path = np.zeros(10, np.int64), np.empty(40, np.int64)
    arcs = np.arange(5)
    moves = find_detours(
        first, tail, head, own, arcs, parts, own, arcs, capacity, slack, load, moved, amount, begins, path
    )
    assert moves == 2
    assert moved[:2].tolist() == [0, 0]
    assert amount[:2].tolist() == [5.0, 1.0]  # 2 / 5 is less than 2 / 4.5
    assert path[: begins[2]].tolist() == [3, 1, 4, 2]
    assert begins[:3].tolist() == [0, 2, 4]
    assert load.tolist() == [2.0, 5.0, 5.5, 5.0, 5.5]
    assert slack == pytest.approx(capacity - load)
    flow = np.array([[6.0, 0, 1.5, 0, 1.5], [2.0, 0, 3.0, 0, 3.0]])
    take_detours(flow, moved[:2], amount[:2] / 8.0, begins[:3], path, np.array([2 / 8, 1, 1, 1, 1]))
    assert flow.sum(axis=0) == pytest.approx(load)
    assert flow[0] == pytest.approx([1.5, 3.75, 2.25, 3.75, 2.25])
    room = moved[:1], amount[:1], begins[:2]
    load, slack = np.array([8.0, 0.0, 4.5, 0.0, 4.5]), capacity - np.array([8.0, 0.0, 4.5, 0.0, 4.5])
    few = find_detours(first, tail, head, own, arcs, parts, own, arcs, capacity, slack, load, *room, path)
    assert (few, load[0]) == (1, 3.0)  # as far as there is room


def test_an_arc_that_uses_twice_as_much_is_twice_as_long():
    """One resource for both ways round, of which the second uses 2: all goes the first way."""
    first, tail, head = np.array([0, 3, 4, 5, 5]), np.array([0, 0, 0, 1, 2]), np.array([3, 1, 2, 3, 3])
    user_first, used = np.arange(6), np.array([0, 1, 1, 2, 3])
    part = np.array([1.0, 1.0, 2.0, 1.0, 1.0])
    arc_first, arc = np.array([0, 1, 3, 4, 5]), np.arange(5)
    capacity, load = np.array([2.0, 4.0, 9.0, 9.0]), np.array([4.0, 0.0, 0.0, 0.0, 0.0])
    slack = np.array([-2.0, 4.0, 9.0, 9.0])
    moved, amount, begins, path = (
        np.empty(9, np.int64),
        np.empty(9),
        np.zeros(10, np.int64),
        np.empty(9, np.int64),
    )
    network = (first, tail, head, user_first, used, part, arc_first, arc, capacity)
    moves = find_detours(*network, slack, load, moved, amount, begins, path)
    assert (moves, amount[0], path[:2].tolist()) == (1, 2.0, [3, 1])
    assert slack.tolist() == [0.0, 2.0, 7.0, 9.0]
    load, slack = np.array([9.0, 0.0, 0.0, 0.0, 0.0]), np.array([-7.0, 4.0, 9.0, 9.0])
    begins[:] = 0
    moves = find_detours(*network, slack, load, moved, amount, begins, path)
    assert slack[1] == pytest.approx(0.0, abs=1e-6)  # and then there is no way on
    assert load[1] + 2 * load[2] == pytest.approx(4.0)
    assert moves >= 1
    assert load[0] > 2.0


@pytest.mark.parametrize(("weight", "proved"), [(1.0, 1.0), (5.0, -1.0)])
def test_cuts_prove_no_more_than_a_hop_from_the_root_costs(weight: float, proved: float) -> None:
    """One hop of length 1 leads from a root that copies nothing to the only member."""
    inside, distance = np.array([[False, True]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    helps, members = np.zeros(2, bool), np.array([1])
    assert cuts_cost(inside, np.array([weight]), distance, helps, 0, members, 0.0) == proved
