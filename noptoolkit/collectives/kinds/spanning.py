"""All-reduce on a symmetric network of members alone: strength, and the spanning trees that reach it.

Trees of a whole packing are found by matroid union; where that would be too large, greedily, to within the
tolerance (`noptoolkit.collectives.kinds.compiled_spanning`). Every tree is rooted at its centre, reduces
upwards and broadcasts downwards.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import generator_from
from noptoolkit.collectives.exact.integer_graph import IntegerGraph, integer_graph, shares_halves
from noptoolkit.collectives.exact.strength import strength_partition
from noptoolkit.collectives.groups.reweighing import reweigh
from noptoolkit.collectives.kinds.spreading import member_nodes
from noptoolkit.collectives.values.answers import Answer, ProvedBound, partition_cut
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule
from noptoolkit.collectives.values.theorems import TUTTE
from noptoolkit.network import FlowNetwork

__all__ = ["all_reduce_by_strength"]

STRENGTH = 512  # vertices up to which capacities of all sorts are parted exactly
EXACT_TREES = 64  # vertices up to which trees are packed exactly, whatever it takes
MATROID_ELEMENTS = {True: 70_000, False: 20_000}  # edges of all trees, up to and beyond that
MATROID_WORK = 600_000_000
COUNTS = (400, 800)  # trees of a greedy packing that suggest a partition and are mended
MOST_TREES = 4000

GREEDY = "spanning trees packed greedily"
MENDED = f"{GREEDY}, then edges exchanged"
SWEEPS, PARTITIONS = 30, 4  # sweeps of exchanges, and partitions that they aim at


def all_reduce_by_strength(network: FlowNetwork, request: Request, tol: float) -> Answer | None:
    """Return the optimum of an all-reduce in which every vertex is a member and channels are symmetric.

    Returns
    -------
    Answer or None
        ``None`` where relays, ports, crossbars or capacities of one direction stand against the theorem.
    """
    nodes = member_nodes(network, request)
    if shares_halves(network, nodes):
        return None
    graph = integer_graph(network, weight=2 * len(nodes)).without_dead_ends(network.origin[nodes])
    touched = np.union1d(graph.tail, graph.head)
    if len(touched) != len(nodes) or not bool((graph.arc >= 0).all()) or not graph.is_symmetric():
        return None
    if not np.array_equal(np.sort(nodes), touched):
        return None
    place = np.full(graph.num_vertices, -1)
    place[touched] = np.arange(len(touched))
    keep = np.flatnonzero(graph.tail < graph.head)
    back_of = {end: e for e, end in enumerate(zip(graph.tail.tolist(), graph.head.tolist(), strict=True))}
    back = np.array([back_of[int(graph.head[e]), int(graph.tail[e])] for e in keep], np.int64)
    a, b, capacity = place[graph.tail[keep]], place[graph.head[keep]], graph.capacity[keep]
    n = len(nodes)
    wide = graph.bandwidth[keep]
    exact = n <= STRENGTH or len(np.unique(capacity)) == 1
    trees: Ints | None = None
    count, multiple, method = 0, capacity, MENDED
    if exact:
        ratio, parts = strength_partition(n, a, b, capacity)
        count, multiple = _multiples(ratio.numerator, ratio.denominator, capacity)
    if exact and count * (n - 1) <= MATROID_ELEMENTS[n <= EXACT_TREES]:
        from noptoolkit.collectives.kinds.compiled_spanning import matroid_trees

        success, holds = matroid_trees(n, a, b, multiple, count, MATROID_WORK)
        if success:
            trees = np.array([np.flatnonzero(row) for row in holds], np.int64)
            method = "spanning trees packed by matroid union"
    known, reached = np.empty((0, n - 1), np.int64), trees is not None
    if trees is None and n > EXACT_TREES and len(np.unique(capacity)) > 1:
        for most in COUNTS:
            known = _grown(n, a, b, wide, 0.0, 0.0, most, known)
            parts, trees, reached = _mended(n, a, b, wide, 0.9 * tol, known, parts if exact else None)
            if reached:
                break
    labels = np.full(graph.num_vertices, -1)
    labels[touched] = parts
    cut = partition_cut(graph, labels, request.size, network.names)
    bounds = [ProvedBound(cut.time, "strength: the slowest partition, exact in integers", cut=cut)]
    if not exact:
        bounds = [ProvedBound(cut.time, "slowest of some partitions", cut=cut)]
    if trees is None or not reached:
        target = cut.time / request.size if request.size else 1.0
        grown = _grown(n, a, b, wide, target, 0.9 * tol, MOST_TREES, known)
        if trees is None or _fullest(grown, wide) < _fullest(trees, wide):
            trees, method = grown, GREEDY
    if not exact:
        bounds.append(_tree_bound(network, graph, n, a, b, wide, trees, request.size, keep, back))
    schedule = _up_and_down(network, graph, touched, (a, b), trees, keep, back, request.size)
    if n <= EXACT_TREES and method == GREEDY:
        weighed = reweigh(schedule)
        if weighed is not None and _worst(weighed) < _worst(schedule):
            schedule, method = weighed, "spanning trees weighed by a linear program"
    return Answer(schedule.use(), method, tuple(bounds), schedule, TUTTE)


def _worst(schedule: CollectiveSchedule) -> float:
    return float((schedule.use() / schedule.network.capacity).max())


def _multiples(p: int, q: int, capacity: Ints) -> tuple[int, Ints]:
    """Return the number of trees of a whole packing, and how many of them each edge may be in."""
    scaled = [int(c) * p for c in capacity.tolist()]
    divisor = int(np.gcd.reduce(np.array([q, *scaled], dtype=object)))
    count = q // divisor
    return count, np.array([min(x // divisor, count) for x in scaled], np.int64)


def _grown(
    n: int, a: Ints, b: Ints, capacity: Floats, target: float, goal: float, most: int, known: Ints
) -> Ints:
    """Return the trees of a greedy packing; its first ones, where known, are not grown again."""
    from noptoolkit.collectives.kinds.compiled_spanning import greedy_trees

    noise = generator_from(0).random(997)
    trees: Ints = greedy_trees(n, a, b, capacity, target, goal, most, noise, known)[0]
    return trees


def _mended(
    n: int, a: Ints, b: Ints, capacity: Floats, goal: float, known: Ints, slowest: Ints | None
) -> tuple[Ints, Ints, bool]:
    """Return the slowest partition, known trees with edges exchanged, and whether they are as fast.

    Where the slowest partition is not known, trees suggest one, and those that cannot be mended to what it
    allows, ``goal`` apart, suggest the next.
    """
    from noptoolkit.collectives.kinds.compiled_spanning import mend_trees

    trees, best, chosen = known.copy(), 0.0, np.zeros(0, np.int64)
    for _ in range(PARTITIONS if slowest is None else 1):
        parts = _threshold_partition(n, a, b, capacity, trees) if slowest is None else slowest
        least = float(parts.max()) / float(capacity[parts[a] != parts[b]].sum())
        if least <= best:
            break
        best, chosen = least, parts
        if mend_trees(n, a, b, capacity, best * (1 + goal), trees, SWEEPS) <= best * (1 + goal):
            return chosen, trees, True
    return chosen, trees, False


def _fullest(trees: Ints, capacity: Floats) -> float:
    """Return the largest load / capacity per tree."""
    return float((np.bincount(trees.ravel(), minlength=len(capacity)) / capacity).max()) / len(trees)


def _threshold_partition(n: int, a: Ints, b: Ints, capacity: Floats, trees: Ints) -> Ints:
    """Return the slowest partition that a packing suggests: components without busy edges."""
    from noptoolkit.collectives.kinds.compiled_partitions import slowest_partition

    load = np.bincount(trees.ravel(), minlength=len(a)) / capacity
    parts: Ints = slowest_partition(n, a, b, capacity, np.argsort(load, kind="stable"))
    around = np.bincount(a, capacity, n) + np.bincount(b, capacity, n)
    if 1 / around.min() > parts.max() / capacity[parts[a] != parts[b]].sum():
        parts = (np.arange(n) == np.argmin(around)).astype(np.int64)
    return parts


def _tree_bound(
    network: FlowNetwork,
    graph: IntegerGraph,
    n: int,
    a: Ints,
    b: Ints,
    capacity: Floats,
    trees: Ints,
    size: float,
    keep: Ints,
    back: Ints,
) -> ProvedBound:
    """Return what minimum spanning trees under steep lengths prove."""
    from noptoolkit.collectives.kinds.compiled_spanning import spanning_cost

    load = np.bincount(trees.ravel(), minlength=len(a)) / capacity
    best, chosen = 0.0, np.zeros(len(a))
    for steep in (20.0, 80.0, 320.0):
        length = np.exp(steep * (load / load.max() - 1)) / capacity
        value = spanning_cost(n, a, b, length) / float(capacity @ length)
        if value > best:
            best, chosen = value, length
    prices = np.zeros(network.num_resources)
    prices[graph.resource[keep]] = chosen
    prices[graph.resource[back]] = chosen
    return ProvedBound(best * size, "spanning trees under prices", prices=prices, trees_only=True)


def _up_and_down(
    network: FlowNetwork,
    graph: IntegerGraph,
    touched: Ints,
    ends: tuple[Ints, Ints],
    trees: Ints,
    keep: Ints,
    back: Ints,
    size: float,
) -> CollectiveSchedule:
    """Return spanning trees as pairs of a collecting and a spreading tree, rooted at their centres."""
    from noptoolkit.collectives.kinds.compiled_spanning import hang_trees

    count, hops = trees.shape
    root, order, forth = hang_trees(hops + 1, *ends, trees)
    there, again = graph.arc[keep][order], graph.arc[back][order]
    down, up = np.where(forth, there, again), np.where(forth, again, there)
    after = np.full(2 * count, -1, np.int64)
    after[1::2] = np.arange(count) * 2
    return CollectiveSchedule(
        network,
        request=np.zeros(2 * count, np.int64),
        root=np.repeat(touched[root], 2),
        part=np.full(2 * count, -1, np.int64),
        collects=np.tile([True, False], count),
        amount=np.full(2 * count, size / count),
        after=after,
        hop_start=np.arange(2 * count + 1, dtype=np.int64) * hops,
        path_start=np.arange(2 * count * hops + 1, dtype=np.int64),
        arcs=np.stack([up[:, ::-1], down], axis=1).ravel().astype(np.int64),
    )
