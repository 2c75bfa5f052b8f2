"""Schedules of large groups: trees laid one after the other, and laid again around the load of all others.

Every share is divided over a few trees (*copies*). A tree is the cheapest one under lengths ::

    (use of the resource / (capacity x target)) ** power / capacity

where ``target`` is a proved lower bound: lengths explode where a resource would be used beyond it. Sweeps
over all trees repeat until the largest use / capacity is within the goal of the target. A large power gets
closer to the target, a small one gets there from farther away.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import generator_from
from noptoolkit.collectives.exact.integer_graph import IntegerGraph
from noptoolkit.collectives.prices.pricing import Groups
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.network import FlowNetwork

__all__ = ["lay_groups", "lay_spreading"]

POWER = 64.0
MOST_TREES = 400_000  # laid by one call


def lay_spreading(
    graph: IntegerGraph,
    network: FlowNetwork,
    nodes: Ints,
    amounts: Floats,
    target: float,
    *,
    goal: float,
    collects: bool,
    sweeps: int = 6,
) -> tuple[CollectiveSchedule, float]:
    """Return trees for an all-gather (or, collecting, a reduce-scatter) in which every vertex is a member.

    Parameters
    ----------
    graph
        Every vertex of it a member, arcs turned round if it collects.
    nodes, amounts
        Node and bytes of every root, [roots].
    target
        Lower bound on the time, in s.
    goal
        Distance to the target at which to stop.

    Returns
    -------
    schedule, time
        ``time`` in s.
    """
    from noptoolkit.collectives.groups.compiled_relaying import grow_order, relay_spreading

    touched = np.unique(np.r_[graph.tail, graph.head])
    place = np.full(graph.num_vertices, -1)
    place[touched] = np.arange(len(touched))
    n = len(touched)
    tail, head = place[graph.tail], place[graph.head]
    used = amounts > 0
    roots, shares = place[graph.origin[nodes[used]]], amounts[used]
    noise = generator_from(0).random(997)
    best: tuple[Ints, float] | None = None
    copies = max(1, 256 // n)
    for tries in (copies, 2 * copies, 4 * copies):
        into, time = relay_spreading(
            n, tail, head, graph.bandwidth, roots, shares, tries, target, goal, sweeps, POWER, noise
        )
        if best is None or time < best[1]:
            best = into, time
        if time <= target * (1 + goal):
            break
    assert best is not None
    into, time = best
    copies = len(into)
    trees = copies * len(roots)
    order = np.empty((trees, n - 1), np.int64)
    for c in range(copies):
        for i in range(len(roots)):
            grow_order(n, int(roots[i]), into[c, i], tail, order[c * len(roots) + i])
    arcs = graph.arc[order]
    if collects:
        arcs = arcs[:, ::-1]
    root = np.tile(graph.origin[nodes[used]], copies)
    return (
        CollectiveSchedule(
            network,
            request=np.zeros(trees, np.int64),
            root=root,
            part=root,
            collects=np.full(trees, collects),
            amount=np.tile(shares / copies, copies),
            after=np.full(trees, -1, np.int64),
            hop_start=np.arange(trees + 1, dtype=np.int64) * (n - 1),
            path_start=np.arange(trees * (n - 1) + 1, dtype=np.int64),
            arcs=arcs.ravel().astype(np.int64),
        ),
        time,
    )


def lay_groups(
    groups: Groups,
    target: float,
    *,
    goal: float,
    reversible: bool,
    copies: int = 16,
    sweeps: int = 12,
) -> tuple[CollectiveSchedule, float]:
    """Return trees for any groups at once, ``copies`` for each share, and the time that they take.

    Parameters
    ----------
    target
        Lower bound on the time, in s.
    goal
        Distance to the target at which to stop.
    reversible
        Whether an all-reduce may use the same tree up and down.
    """
    from noptoolkit.collectives.groups.compiled_relaying import relay_groups

    network = groups.network
    start, heads, arcs = groups.rows
    on_arcs = network.on_arcs.tocsc()
    partner = np.zeros(0, np.int64)
    if reversible:
        arc_at = {
            end: a for a, end in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True))
        }
        partner = np.array([arc_at[v, u] for u, v in arc_at], np.int64)
    inject, eject = (_resource_of(table, groups.nodes) for table in (network.on_injected, network.on_ejected))
    hops, path_start, path, time = relay_groups(
        start,
        heads,
        arcs,
        network.tail.astype(np.int64),
        on_arcs.indptr.astype(np.int64),
        on_arcs.indices.astype(np.int64),
        network.capacity,
        inject,
        eject,
        partner,
        groups.start,
        groups.origin,
        groups.destination,
        groups.ends,
        groups.motion,
        groups.shares,
        groups.pair_start,
        groups.pairs,
        copies,
        target,
        goal,
        sweeps,
        POWER,
        MOST_TREES,
    )
    rows = TreeRows()
    cuts: Any = np.flatnonzero(np.any(hops[1:, :3] != hops[:-1, :3], axis=1)) + 1 if len(hops) else []
    before: dict[tuple[int, int], tuple[list[list[int]], list[tuple[int, int]]]] = {}
    all_paths = [path[a:b].tolist() for a, b in pairwise(path_start.tolist())]
    for mine in np.split(np.arange(len(hops)), cuts):
        g, _, owner = (int(x) for x in hops[mine[0], :3])
        if groups.requests[g].size == 0:
            continue
        low, motion = int(groups.start[g]), int(groups.motion[g])
        if motion == 3:
            for h in mine.tolist():
                i, j = int(hops[h, 3]), int(hops[h, 4])
                amount = groups.pairs[groups.pair_start[g] + i * (groups.start[g + 1] - low) + j] / copies
                to = int(groups.destination[low + j])
                rows.add(g, int(groups.origin[low + i]), float(amount), [all_paths[h]], part=to)
            continue
        ends = [(int(hops[h, 3]), int(hops[h, 4])) for h in mine]
        paths = [all_paths[h] for h in mine.tolist()]
        if motion == 2:  # hops alternate between the two trees: gather both, then add them as a pair
            key = (g, int(hops[mine[0], 1]))
            held = before.setdefault(key, ([], []))
            held[0].extend(paths)
            held[1].extend((i, j) if owner >= 0 else (-1 - i, -1 - j) for i, j in ends)
            if len(held[0]) == 2 * (int(groups.start[g + 1]) - low - 1):
                _add_pair(rows, groups, g, copies, owner if owner >= 0 else -1 - owner, *held)
            continue
        amount = float(groups.shares[low + owner]) / copies
        collects = motion == 1
        ordered = _grown(owner, ends, paths, collects)
        at = int((groups.destination if collects else groups.origin)[low + owner])
        rows.add(g, at, amount, ordered, collects=collects, part=at)
    return schedule_of_trees(network, rows), time


def _add_pair(
    rows: TreeRows,
    groups: Groups,
    g: int,
    copies: int,
    root: int,
    paths: list[list[int]],
    ends: list[tuple[int, int]],
) -> None:
    low = int(groups.start[g])
    amount = float(groups.shares[low]) / copies
    after = -1
    for collects in (True, False):
        at = int((groups.destination if collects else groups.origin)[low + root])
        mine = [x for x, (i, _) in enumerate(ends) if (i < 0) == collects]
        real = [(-1 - ends[x][0], -1 - ends[x][1]) if collects else ends[x] for x in mine]
        ordered = _grown(root, real, [paths[x] for x in mine], collects)
        after = rows.add(g, at, amount, ordered, collects=collects, after=after)


def _grown(root: int, ends: list[tuple[int, int]], paths: list[list[int]], collects: bool) -> list[list[int]]:
    near: dict[int, list[int]] = {}
    for x, (i, j) in enumerate(ends):
        near.setdefault(j if collects else i, []).append(x)
    order: list[int] = []
    queue = [root]
    for v in queue:
        for x in near.get(v, []):
            order.append(x)
            queue.append(ends[x][0] if collects else ends[x][1])
    if collects:
        order.reverse()
    return [paths[x] for x in order]


def _resource_of(table: object, nodes: Ints) -> Ints:
    from scipy.sparse import csr_array

    matrix = csr_array(table).tocsc()
    found = np.full(matrix.shape[1], -1, np.int64)
    has = np.flatnonzero(np.diff(matrix.indptr))
    found[has] = matrix.indices[matrix.indptr[has]]
    return np.asarray(found[nodes])
