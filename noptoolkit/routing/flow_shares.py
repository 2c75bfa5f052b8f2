"""A flow as a rule: the shares in which each vertex splits what it forwards.

The model. A flow by destination is a rule as it stands: vertex v sends towards d the share
``flow[d, a] / sum of flow[d, .] out of v`` over arc a. A flow by source, f for source s, says how much of all
that s sends passes over each arc, but not for which destination. Taken backwards it does: of what arrives at
w, whatever its destination, the share ``f[a] / sum of f into w`` came over arc a. So of one byte from s to d
arc a = (u, w) carries ::

    x[d, a] = g[d, w] f[a] / sum of f into w,    g[d, u] = sum of x[d, .] out of u,    g[d, d] = 1

and vertex u splits in the shares ``x[d, a] / g[d, u]``. They depend on the source, so this rule needs a
*state for each source*: a router must know where a packet came from, or find the choice in its header.

Either rule loads no arc more than the flow does: a flow may carry more than the demand, never less, so in the
order of an acyclic flow what passes a vertex is at most what the flow brings there. Cycles, which only add
load, are cancelled first. Traffic inside trees that were stripped before solving follows its only path.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.rule_checks import levels_of
from noptoolkit.routing.solution import CommodityFlow

__all__ = ["forwarding_of_flow"]

Entries = tuple[Ints, Ints, Ints, Floats]
"""Tail state, head state, arc and share of some entries."""


def forwarding_of_flow(network: FlowNetwork, flow: CommodityFlow, demand: Floats) -> Forwarding:
    """Return the rule that a flow of a demand follows.

    Parameters
    ----------
    network : FlowNetwork
        Network of the package.
    flow : CommodityFlow
        Flow by destination; or by source, which gives a rule with one state for each vertex and source,
        ``(1 + source) * vertices + vertex``, besides the states 0 .. vertices - 1 in which traffic starts.
    demand : array of float
        Bytes from each vertex to each other, [vertices, vertices]; only these pairs get entries.

    Returns
    -------
    Forwarding
        Next hops towards every vertex that receives.
    """
    size = network.num_vertices
    destinations = np.flatnonzero(demand.any(axis=0))
    tree_arcs = _tree_arcs(network, flow)
    goals = flow.anchor[destinations]
    found: list[list[Entries]] = [[] for _ in destinations]
    for row, vertex in enumerate(destinations.tolist()):
        found[row].append(_along_trees(network, tree_arcs, flow.anchor, vertex))
    if flow.by_source:
        wanted = np.zeros_like(demand)
        np.add.at(wanted, np.ix_(flow.anchor, flow.anchor), demand)
        for layer, (end, amount) in enumerate(zip(flow.ends.tolist(), flow.flow, strict=True), 1):
            targets = np.flatnonzero(wanted[end])
            targets = targets[targets != end]
            parts = _split_by_source(network, flow.arcs, amount, end, targets)
            for goal, (arcs, share) in zip(targets.tolist(), parts, strict=True):
                tail, head = network.tail[arcs], network.head[arcs] + layer * size
                core = np.where(tail == end, tail, tail + layer * size), head, arcs, share
                for row in np.flatnonzero(goals == goal).tolist():
                    down = _within(found[row][0], flow.anchor, goal, size)
                    found[row] += [core, (down[0] + layer * size, down[1] + layer * size, *down[2:])]
    else:
        for end, amount in zip(flow.ends.tolist(), flow.flow, strict=True):
            kept = without_cycles(network, flow.arcs, amount)
            used = np.flatnonzero((kept > 0) & (network.tail[flow.arcs] != end))
            arcs, part = flow.arcs[used], kept[used]
            total = np.bincount(network.tail[arcs], part, size)
            core = network.tail[arcs], network.head[arcs], arcs, part / total[network.tail[arcs]]
            for row in np.flatnonzero(goals == end).tolist():
                found[row].append(core)
    states = size * (1 + len(flow.ends)) if flow.by_source else size
    return _assemble(network, demand, destinations, found, states)


def _assemble(
    network: FlowNetwork, demand: Floats, destinations: Ints, found: list[list[Entries]], states: int
) -> Forwarding:
    """Return the entries that traffic reaches, with their levels."""
    columns = [tuple(np.concatenate(column) for column in zip(*parts, strict=True)) for parts in found]
    to = np.repeat(np.arange(len(destinations)), [len(part[0]) for part in columns])
    if columns:
        tail, head, arc, share = (np.concatenate(column) for column in zip(*columns, strict=True))
    else:
        tail, head, arc, share = (np.zeros(0, kind) for kind in (np.int64, np.int64, np.int64, float))
    reached = np.zeros((len(destinations), states), bool)
    reached[:, : network.num_vertices] = demand.T[destinations] > 0
    while True:
        leaving = reached[to, tail] & ~reached[to, head]
        if not leaving.any():
            break
        reached[to[leaving], head[leaving]] = True
    used = reached[to, tail]
    to, tail, head, arc, share = to[used], tail[used], head[used], arc[used], share[used]
    level = levels_of("split of a flow", network, destinations, to, tail, head, states)
    return Forwarding(destinations, to, arc, share, level, tail, head, states, np.zeros(len(to), np.int64))


def _tree_arcs(network: FlowNetwork, flow: CommodityFlow) -> Bools:
    """Return which arcs belong to trees that were stripped, [arcs]."""
    stripped = np.ones(network.num_arcs, bool)
    stripped[flow.arcs] = False
    inside: Bools = stripped & (flow.anchor[network.tail] == flow.anchor[network.head])
    return inside


def _along_trees(network: FlowNetwork, tree_arcs: Bools, anchor: Ints, vertex: int) -> Entries:
    """Return the only steps inside trees: towards a vertex in its own, towards the anchor in the others."""
    arcs = np.flatnonzero(tree_arcs)
    goal = np.where(anchor == anchor[vertex], vertex, anchor)  # of each vertex, where its tree sends to
    arrived = goal == np.arange(network.num_vertices)
    steps = [np.zeros(0, np.int64)]
    while True:
        ready = arcs[arrived[network.head[arcs]] & ~arrived[network.tail[arcs]]]
        if len(ready) == 0:
            break
        arrived[network.tail[ready]] = True
        steps.append(ready)
    chosen = np.concatenate(steps)
    return network.tail[chosen], network.head[chosen], chosen, np.ones(len(chosen))


def _within(entries: Entries, anchor: Ints, goal: int, size: int) -> Entries:
    """Return the entries inside the tree that hangs on one vertex."""
    tail, head, arc, share = entries
    mine = anchor[tail % size] == goal
    return tail[mine], head[mine], arc[mine], share[mine]


def _split_by_source(
    network: FlowNetwork, arcs: Ints, amount: Floats, source: int, targets: Ints
) -> list[tuple[Ints, Floats]]:
    """Return the arcs on the path from a source to each target, and their shares at their tails."""
    kept = without_cycles(network, arcs, amount)
    used = np.flatnonzero((kept > 0) & (network.head[arcs] != source))
    arcs, kept = arcs[used], kept[used]
    tail, head = network.tail[arcs], network.head[arcs]
    into = np.bincount(head, kept, network.num_vertices)
    through = np.zeros((len(targets), network.num_vertices))
    through[np.arange(len(targets)), targets] = 1.0
    carried = np.zeros((len(targets), len(arcs)))
    for vertex in reversed(_topological(tail, head, network.num_vertices)):
        mine = np.flatnonzero(head == vertex)
        carried[:, mine] = through[:, [vertex]] * (kept[mine] / into[vertex])
        for arc in mine.tolist():
            through[:, tail[arc]] += carried[:, arc]
    parts = []
    for row in range(len(targets)):
        on = np.flatnonzero(carried[row])
        out = np.bincount(tail[on], carried[row, on], network.num_vertices)
        parts.append((arcs[on], carried[row, on] / out[tail[on]]))
    return parts


def _topological(tail: Ints, head: Ints, size: int) -> list[int]:
    """Return the vertices with arcs, each before those that its arcs lead to."""
    waiting = np.bincount(head, minlength=size)
    there = np.zeros(size, bool)
    there[tail] = there[head] = True
    order: list[int] = np.flatnonzero(there & (waiting == 0)).tolist()
    for vertex in order:
        for other in head[tail == vertex].tolist():
            waiting[other] -= 1
            if waiting[other] == 0:
                order.append(other)
    return order


def without_cycles(network: FlowNetwork, arcs: Ints, amount: Floats) -> Floats:
    """Return a flow on some arcs without its cycles, in B, [arcs].

    Parameters
    ----------
    arcs : array of int
        Arcs of the network.
    amount : array of float
        Flow on them, in B.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    left = np.where(amount > 0, amount, 0.0)
    tail, head, size = network.tail[arcs], network.head[arcs], network.num_vertices
    while True:
        used = np.flatnonzero(left)
        graph = csr_array((np.ones(len(used)), (tail[used], head[used])), shape=(size, size))
        _, part = connected_components(graph, connection="strong")
        turning = used[part[tail[used]] == part[head[used]]]
        if len(turning) == 0:
            return left
        onward = dict(zip(tail[turning].tolist(), turning.tolist(), strict=True))  # one arc of each vertex
        seen: dict[int, int] = {}
        walk: list[int] = []
        vertex = int(tail[turning[0]])
        while vertex not in seen:  # every vertex here has an arc that stays: the walk comes back to one
            seen[vertex] = len(walk)
            walk.append(onward[vertex])
            vertex = int(head[walk[-1]])
        cycle = np.array(walk[seen[vertex] :])
        least = cycle[np.argmin(left[cycle])]
        left[cycle] = np.maximum(left[cycle] - left[least], 0.0)
        left[least] = 0.0
