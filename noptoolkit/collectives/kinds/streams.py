"""Scatter, gather and send: one source or one sink, so a maximum flow is the whole answer.

The flow that reaches the slowest cut (`noptoolkit.collectives.exact.cuts`, equation (2)) is parted into
paths, one member after the other; cycles of flow are taken out on the way.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.collectives.exact.cuts import scattering_cut
from noptoolkit.collectives.exact.integer_graph import IntegerGraph, integer_graph, whole_numbers
from noptoolkit.collectives.kinds.spreading import member_nodes
from noptoolkit.collectives.values.answers import Answer, ProvedBound, cut_in, cut_out
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import TreeRows, schedule_of_trees
from noptoolkit.collectives.values.theorems import STREAM
from noptoolkit.network import FlowNetwork

__all__ = ["stream_from_one"]


def stream_from_one(network: FlowNetwork, request: Request) -> Answer:
    """Return the exact optimum of a scatter, gather or send, with its paths."""
    backwards = request.kind == "gather"
    pairs = request.pair_bytes()
    root = int(np.flatnonzero(pairs.any(axis=0 if backwards else 1))[0])
    shares = pairs[:, root] if backwards else pairs[root]
    weights, _, _ = whole_numbers(shares, 2**20)
    graph = integer_graph(network, weight=int(weights.sum()))
    if backwards:
        graph = graph.reversed()
    nodes = member_nodes(network, request)
    others = np.flatnonzero(np.arange(len(nodes)) != root)
    start, targets = int(graph.origin[nodes[root]]), graph.destination[nodes[others]]
    graph = graph.without_dead_ends(np.r_[start, targets])
    found, flow = scattering_cut(graph, start, targets, weights[others])
    outside = ~found.inside[targets]
    demand = float(shares[others][outside].sum())
    reason = f"the shares of {int(outside.sum())} members must {'come in' if backwards else 'leave'}"
    make = cut_in if backwards else cut_out
    cut = make(graph, found.inside, demand, reason, network.names)
    bound = ProvedBound(cut.time, "slowest cut, exact in integers", cut=cut)
    rows = TreeRows()
    for place, amount, path in _parted(graph, start, targets, weights[others], flow):
        member = int(others[place])
        part = amount / float(weights[member] * found.ratio.denominator)
        arcs = [int(graph.arc[e]) for e in path if graph.arc[e] >= 0]
        from_ = int(nodes[member]) if backwards else int(nodes[root])
        to = int(nodes[root]) if backwards else int(nodes[member])
        rows.add(
            0,
            int(network.origin[from_]),
            float(shares[member]) * part,
            [arcs[::-1] if backwards else arcs],
            part=int(network.destination[to]),
        )
    schedule = schedule_of_trees(network, rows)
    return Answer(schedule.use(), "maximum flow, parted into paths", (bound,), schedule, STREAM)


def _parted(
    graph: IntegerGraph, start: int, targets: Ints, weights: Ints, flow: Ints
) -> list[tuple[int, int, list[int]]]:
    """Part an integer flow into paths: the place of the target served, the amount, the arcs."""
    left = flow.tolist()
    head, tail = graph.head.tolist(), graph.tail.tolist()
    into: dict[int, list[int]] = {}
    for e, amount in enumerate(left):
        if amount > 0:
            into.setdefault(head[e], []).append(e)
    total = sum(left[e] for e in range(len(left)) if tail[e] == start) - sum(
        left[e] for e in range(len(left)) if head[e] == start
    )
    scale = total // max(int(weights.sum()), 1)
    found = []
    for place, (target, weight) in enumerate(zip(targets.tolist(), weights.tolist(), strict=True)):
        owed = weight * scale
        while owed > 0:
            path: list[int] = []
            seen = {target: 0}
            v = target
            while v != start:
                choices = into[v]
                while left[choices[-1]] == 0:
                    choices.pop()
                e = choices[-1]
                path.append(e)
                v = tail[e]
                if v in seen and v != start:  # a cycle of flow: take it out
                    cycle = path[seen[v] :]
                    turn = min(left[x] for x in cycle)
                    for x in cycle:
                        left[x] -= turn
                    path = path[: seen[v]]
                    seen = {target: 0}
                    for i, x in enumerate(path):
                        seen[tail[x]] = i + 1
                    v = tail[path[-1]] if path else target
                    continue
                seen[v] = len(path)
            amount = min(owed, *(left[e] for e in path))
            for e in path:
                left[e] -= amount
            owed -= amount
            found.append((place, amount, path[::-1]))
    return found
