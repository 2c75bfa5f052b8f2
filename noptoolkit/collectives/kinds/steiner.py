"""All-reduce in which switches add partial sums and copy results: trees that branch at switches.

The model. Channels have the same capacity both ways. A tree spans the members, may branch at every switch
that reduces and replicates, and is used upwards to add and downwards to copy: one unit each way on each of
its links, whatever the number of members behind it. For a partition P into parts that each hold a member,
with p parts ::

    T >= M (p - 1) / c(P)        and, for two parts, T >= M / smallest cut that parts members

for every schedule without coding across elements: the argument of `noptoolkit.collectives.exact.strength`,
with parts that may compute inside. Trees that reach it exist on packages that are trees; in general the two
may be up to a factor 2 apart (fractional Steiner trees, Jain, Mahdian and Salavatipour, Packing Steiner
trees, 2003).

Trees are packed greedily against the load of the trees before; each is found as the minimum spanning tree
between the members' nearest regions (Mehlhorn, A faster approximation algorithm for the Steiner problem in
graphs, 1988), pruned.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.collectives.exact.cuts import spreading_cut
from noptoolkit.collectives.exact.integer_graph import IntegerGraph, integer_graph, shares_halves
from noptoolkit.collectives.kinds.spreading import member_nodes
from noptoolkit.collectives.values.answers import Answer, CollectiveCut, ProvedBound, cut_out, partition_cut
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.collectives.values.theorems import PARTITIONS
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Memory

__all__ = ["all_reduce_at_switches", "capable_relays"]

MOST_TREES = 300


def capable_relays(network: FlowNetwork, in_network: bool | None) -> Ints:
    """Return the nodes whose routers add and copy: those that say so, or all where ``in_network`` is True."""
    if in_network is False:
        return np.zeros(0, np.int64)
    routers = [(i, node) for i, node in enumerate(network.package.nodes) if not isinstance(node, Memory)]
    chosen = [i for i, node in routers if in_network or (node.replicates and node.reduces)]
    return np.array(chosen, np.int64)


def all_reduce_at_switches(
    network: FlowNetwork, request: Request, capable: Ints, tol: float
) -> tuple[Answer | None, str]:
    """Return an all-reduce whose trees branch at switches.

    Returns
    -------
    Answer or None, reason
        ``None`` where a relay cannot add and copy, or channels are not symmetric, and why.
    """
    nodes = member_nodes(network, request)
    if shares_halves(network, nodes):
        return None, "half-duplex links"
    graph = integer_graph(network, weight=2 * len(nodes)).without_dead_ends(network.origin[nodes])
    if not graph.is_symmetric() or not bool((graph.arc >= 0).all()):
        return None, "channels with another bandwidth back, ports or crossbars"
    touched = np.union1d(graph.tail, graph.head)
    unable = np.setdiff1d(touched, np.r_[nodes, capable])
    if len(unable):
        return None, f"relay {graph.labels[int(unable[0])]!r} does neither (in_network=True lets every relay)"
    if len(touched) == len(nodes):
        return None, ""
    member = np.zeros(graph.num_vertices, bool)
    member[nodes] = True
    found = spreading_cut(graph, nodes[:1], np.ones(1, np.int64), nodes)
    reason = "the sum of the members inside must leave"
    cut = cut_out(graph, found.inside, request.size, reason, network.names)
    keep = np.flatnonzero(graph.tail < graph.head)
    back_of = {end: e for e, end in enumerate(zip(graph.tail.tolist(), graph.head.tolist(), strict=True))}
    back = np.array([back_of[int(graph.head[e]), int(graph.tail[e])] for e in keep], np.int64)
    trees, load = _pack(graph, keep, member, cut.time / request.size, tol)
    better = _slowest_partition(graph, keep, member, load, request.size, network.names)
    if better is not None and better.time > cut.time:
        cut = better
    schedule = _up_and_down(network, graph, trees, keep, back, int(nodes[0]), request.size)
    bound = ProvedBound(cut.time, "slowest of some partitions of the members", cut=cut)
    computing = tuple(graph.labels[v] for v in touched.tolist() if not member[v])
    method = "trees that branch at switches, packed greedily"
    return Answer(schedule.use(), method, (bound,), schedule, PARTITIONS, computing=computing), ""


def _pack(
    graph: IntegerGraph, keep: Ints, member: Bools, target: float, tol: float
) -> tuple[list[Ints], Floats]:
    """Return Steiner trees as edges (places in ``keep``), and the relative load of each edge."""
    capacity = graph.bandwidth[keep]
    load = np.zeros(len(keep))
    trees: list[Ints] = []
    while len(trees) < MOST_TREES:
        cost = (load / capacity + 1e-3 / capacity.max()) if len(trees) else 1 / capacity
        tree = _steiner_tree(graph, keep, member, cost)
        trees.append(tree)
        load[tree] += 1.0
        if float((load / capacity).max()) / len(trees) <= target * (1 + 0.5 * tol):
            break
    return trees, load / capacity / len(trees)


def _steiner_tree(graph: IntegerGraph, keep: Ints, member: Bools, cost: Floats) -> Ints:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

    a, b = graph.tail[keep], graph.head[keep]
    n = graph.num_vertices
    both = csr_array((np.r_[cost, cost], (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    distance, before, nearest = dijkstra(
        both, indices=np.flatnonzero(member), return_predecessors=True, min_only=True
    )
    across = np.flatnonzero(nearest[a] != nearest[b])
    length = distance[a[across]] + cost[across] + distance[b[across]]
    order = np.argsort(length, kind="stable")
    edge_at = {end: e for e, end in enumerate(zip(a.tolist(), b.tolist(), strict=True))}
    edge_at |= {(v, u): e for (u, v), e in edge_at.items()}
    region = {int(v): int(v) for v in np.flatnonzero(member)}

    def top(v: int) -> int:
        while region[v] != v:
            region[v] = region[region[v]]
            v = region[v]
        return v

    used: set[int] = set()
    for e in across[order].tolist():
        u, v = top(int(nearest[a[e]])), top(int(nearest[b[e]]))
        if u == v:
            continue
        region[u] = v
        used.add(e)
        for end in (int(a[e]), int(b[e])):
            while not member[end]:
                used.add(edge_at[end, int(before[end])])
                end = int(before[end])
    chosen = np.array(sorted(used), np.int64)
    part = csr_array((cost[chosen], (a[chosen], b[chosen])), shape=(n, n))
    spanning = minimum_spanning_tree(part).tocoo()
    left = {edge_at[int(u), int(v)] for u, v in zip(spanning.row, spanning.col, strict=True)}
    while True:  # prune what ends at a switch
        degree = np.zeros(n, np.int64)
        for e in left:
            degree[a[e]] += 1
            degree[b[e]] += 1
        dead = {e for e in left if any(degree[v] == 1 and not member[v] for v in (a[e], b[e]))}
        if not dead:
            return np.array(sorted(left), np.int64)
        left -= dead


def _slowest_partition(
    graph: IntegerGraph, keep: Ints, member: Bools, load: Floats, size: float, names: tuple[str, ...]
) -> CollectiveCut | None:
    """Return the slowest partition among the components that are left without the busiest edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = graph.tail[keep], graph.head[keep]
    best: CollectiveCut | None = None
    touched = np.union1d(a, b)
    for level in np.unique(load.round(9)):
        kept = load < level * (1 - 1e-6)
        size_of = (graph.num_vertices, graph.num_vertices)
        joined = coo_array((np.ones(int(kept.sum())), (a[kept], b[kept])), shape=size_of)
        labels = connected_components(joined, directed=False)[1].astype(np.int64)
        for _ in range(graph.num_vertices):  # a part without a member joins a neighbour
            held = np.unique(labels[member])
            lone = [e for e in range(len(a)) if (labels[a[e]] in held) != (labels[b[e]] in held)]
            if not lone:
                break
            u, v = labels[a[lone[0]]], labels[b[lone[0]]]
            labels[labels == (v if u in held else u)] = u if u in held else v
        shown = np.full(graph.num_vertices, -1)
        shown[touched] = np.unique(labels[touched], return_inverse=True)[1]
        if shown.max() < 1:
            continue
        cut = partition_cut(graph, shown, size, names)
        if best is None or cut.time > best.time:
            best = cut
    return best


def _up_and_down(
    network: FlowNetwork,
    graph: IntegerGraph,
    trees: list[Ints],
    keep: Ints,
    back: Ints,
    root: int,
    size: float,
) -> CollectiveSchedule:
    rows = TreeRows()
    forth, again = graph.arc[keep].tolist(), graph.arc[back].tolist()
    tail, head = graph.tail[keep].tolist(), graph.head[keep].tolist()
    for tree in trees:
        near: dict[int, list[tuple[int, int, int]]] = {}
        for e in tree.tolist():
            near.setdefault(tail[e], []).append((head[e], forth[e], again[e]))
            near.setdefault(head[e], []).append((tail[e], again[e], forth[e]))
        order: list[tuple[int, int]] = []
        seen, queue = {root}, [root]
        for u in queue:
            for v, down, up in near.get(u, []):
                if v not in seen:
                    seen.add(v)
                    queue.append(v)
                    order.append((down, up))
        amount = size / len(trees)
        first = rows.add(0, root, amount, [[up] for _, up in reversed(order)], collects=True)
        rows.add(0, root, amount, [[down] for down, _ in order], after=first)
    return schedule_of_trees(network, rows)
