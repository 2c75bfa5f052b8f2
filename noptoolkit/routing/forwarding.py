"""Routings that forward by destination: the shares of traffic on each arc, and the loads they make.

The model. For each destination d a *level* falls by one along every arc that may be used, so the arcs
form a graph without cycles. What a vertex sends towards d, its own and what passes through it, leaves on
these arcs in fixed shares that sum to one; a sweep from the highest level down gives every load exactly,
a sweep from the lowest up every latency.

A routing may need more *states* than vertices: up*/down* (Schroeder et al., Autonet, 1991) lets a packet
climb towards the root of a spanning tree, then descend, and never climb again, so each vertex has a
climbing and a descending state. Traffic starts in the states 0 .. vertices - 1.

``shortest`` takes the first of the arcs on minimum-hop paths (lowest channel index), ``ecmp`` splits equally
over all of them at every hop (RFC 2992), parallel channels counted singly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.hops import HopGraph, eccentricity, first_steps, plain_graph, search_hops, set_bits

__all__ = [
    "Forwarding",
    "ForwardingRule",
    "climb_then_descend",
    "forward_along",
    "in_parts",
    "push",
    "split_equally",
    "take_first",
    "up_down_graph",
]


AT_A_TIME = 1 << 23  # destinations x arcs that a forwarding is made for at a time


@dataclass(frozen=True, eq=False)
class Forwarding:
    """A routing by destination as arrays: next hops, shares, states and virtual channels.

    Parameters
    ----------
    destinations : array of int
        Vertices of the `noptoolkit.network.FlowNetwork`, [destinations].
    to : array of int
        Index into ``destinations`` of each entry, [entries].
    arc : array of int
        Arc of the network that traffic for that destination may take, [entries].
    share : array of float
        Share of the traffic in state ``tail`` for that destination that takes the arc; the shares of a state
        sum to 1, [entries].
    level : array of int
        Level of ``tail``: above the level of ``head``, so that no packet goes round in a loop, [entries].
    tail, head : array of int
        States between which each entry leads, [entries].
    num_states : int
        Number of vertices, or a multiple of it. The vertex of a state is ``state % vertices``; ``state //
        vertices`` is what a packet remembers of its path: 1 once it descends (up*/down*), 1 + the number of
        its source (rules that split by source), always 0 otherwise. Traffic starts in 0 .. vertices - 1.
    virtual_channel : array of int
        Virtual channel of the arc that each entry occupies; 0, or 1 past the dateline of a ring (dor),
        [entries].

    Notes
    -----
    A rule (``ForwardingRule``) is a function from a network and destinations to such a value. `NextHops` is
    the same by node names, `noptoolkit.flow.FlowResult.forwarding` the split of a flow.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> from noptoolkit.network import flow_network
    >>> square = Package("square", [Chiplet(n) for n in "abcd"],
    ...                  [Link(*pair, "1 GB/s") for pair in ("ab", "bd", "ac", "cd")])
    >>> rule = split_equally(flow_network(square), np.array([3]))
    >>> [(int(t), int(h), float(s)) for t, h, s in zip(rule.tail, rule.head, rule.share)]
    [(0, 1, 0.5), (1, 3, 1.0), (0, 2, 0.5), (2, 3, 1.0)]
    """

    destinations: Ints
    to: Ints
    arc: Ints
    share: Floats
    level: Ints
    tail: Ints
    head: Ints
    num_states: int
    virtual_channel: Ints

    def by_level(self) -> list[Ints]:
        """Return the entries of each level, the lowest first."""
        highest = int(self.level.max(initial=0))
        narrow = self.level.astype(np.min_scalar_type(highest))  # radix sort of short integers: far faster
        return np.split(np.argsort(narrow, kind="stable"), np.cumsum(np.bincount(self.level))[:-1])

    def towards(self, network: FlowNetwork, destinations: Ints) -> Forwarding:
        """Return the entries for some destinations: the value used as a rule; none where it has none."""
        row = np.full(network.num_vertices, -1)
        row[destinations] = np.arange(len(destinations))
        place = row[self.destinations]
        kept = np.flatnonzero(place[self.to] >= 0)
        return Forwarding(
            destinations=destinations,
            to=place[self.to[kept]],
            arc=self.arc[kept],
            share=self.share[kept],
            level=self.level[kept],
            tail=self.tail[kept],
            head=self.head[kept],
            num_states=self.num_states,
            virtual_channel=self.virtual_channel[kept],
        )


ForwardingRule = Callable[[FlowNetwork, Ints], Forwarding]
"""From a network and destinations, which are vertices of it."""


def split_equally(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return per-hop equal splitting over all minimum-hop paths."""
    return forward_along(network, plain_graph(network), destinations)


def take_first(network: FlowNetwork, destinations: Ints) -> Forwarding:
    """Return single-path routing along minimum-hop paths, the lowest channel index where several tie."""
    return forward_along(network, plain_graph(network), destinations, first_only=True)


def climb_then_descend(network: FlowNetwork, destinations: Ints, *, root: str | None = None) -> Forwarding:
    """Return up*/down* routing: equal splitting over the shortest paths that never climb after a descent.

    Parameters
    ----------
    root
        Node at the top of the order; where ``None``, the one with the smallest largest distance.

    Raises
    ------
    RoutingError
        If a destination cannot be reached that way (a one-way link in the wrong place).
    """
    return forward_along(network, up_down_graph(network, destinations, root), destinations)


def in_parts(
    network: FlowNetwork, rule: ForwardingRule, destinations: Ints
) -> Iterator[tuple[slice, Forwarding]]:
    """Yield a rule's forwarding for some destinations after the other, for it is large."""
    size = max(64, AT_A_TIME // max(network.num_arcs, 1))
    for begin in range(0, len(destinations), size):
        part = slice(begin, min(begin + size, len(destinations)))
        yield part, rule(network, destinations[part])


def up_down_graph(network: FlowNetwork, destinations: Ints, root: str | None = None) -> HopGraph:
    """Return the steps that climb towards a root, or descend once and for all.

    Parameters
    ----------
    destinations
        Vertices that every other must reach, [destinations].
    root
        Name of a node; where ``None``, the one with the smallest largest distance.

    Raises
    ------
    RoutingError
        If a destination cannot be reached that way (a one-way link in the wrong place).
    """
    size = network.num_vertices
    vertices, arcs = np.arange(size), np.arange(network.num_arcs)
    if root is None:
        top = _centre(network)
    else:
        network.package[root]
        top = network.package.index[root]
    height = search_hops(_either_way(network), np.array([top]))[0][0]
    order = np.where(height < 0, size, height) * size + vertices
    up = order[network.head] < order[network.tail]
    graph = HopGraph(
        2 * size,
        np.r_[arcs[up], arcs[~up], arcs[~up]],
        np.r_[network.tail[up], network.tail[~up], network.tail[~up] + size],
        np.r_[network.head[up], network.head[~up] + size, network.head[~up] + size],
        np.stack([vertices, vertices + size]),
    )
    _check_reach(network, graph, destinations, top)
    return graph


@lru_cache(maxsize=32)
def _centre(network: FlowNetwork) -> int:
    """Return the node that forwards and has the smallest largest distance."""
    nodes = np.arange(len(network.origin))
    far = eccentricity(_either_way(network), nodes)
    far[~(np.isin(nodes, network.tail) & np.isin(nodes, network.head))] = network.num_vertices
    return int(np.argmin(far))


def _either_way(network: FlowNetwork) -> HopGraph:
    arcs, ends = np.arange(network.num_arcs), np.arange(network.num_vertices)[None]
    tail, head = np.r_[network.tail, network.head], np.r_[network.head, network.tail]
    return HopGraph(network.num_vertices, np.r_[arcs, arcs], tail, head, ends)


def _check_reach(network: FlowNetwork, graph: HopGraph, destinations: Ints, top: int) -> None:
    """Raise where a destination cannot be reached; where all leads via the root, that is soon known."""
    size = network.num_vertices
    senders = np.isin(np.arange(size), network.tail)
    climbing = graph.head < size
    ends = np.arange(size)[None]
    climb = HopGraph(size, graph.arc[climbing], graph.tail[climbing], graph.head[climbing], ends)
    down = graph.tail >= size
    back = HopGraph(size, graph.arc[down], graph.head[down] - size, graph.tail[down] - size, ends)
    from_top, to_top = (search_hops(part, np.array([top]))[0][0] for part in (back, climb))
    if (from_top[destinations] >= 0).all() and (to_top[senders] >= 0).all():
        return
    hops, _ = search_hops(graph, destinations)
    cut_off = (hops[:, :size] < 0) & senders
    if cut_off.any():
        to, vertex = (int(x) for x in np.argwhere(cut_off)[0])
        a, b = network.node_of_vertex(vertex), network.node_of_vertex(int(destinations[to]))
        top_name = network.node_of_vertex(top)
        raise RoutingError(
            f"package {network.package.name!r}: up*/down* from root {top_name!r} has no path "
            f"from {a!r} to {b!r}; name another root or use routing='ecmp'"
        )


def forward_along(
    network: FlowNetwork, graph: HopGraph, destinations: Ints, *, first_only: bool = False
) -> Forwarding:
    """Return equal splitting over the shortest paths of a hop graph, or each state's lowest arc alone."""
    hops, used = search_hops(graph, destinations)
    if first_only:
        used = first_steps(graph, used)
    step, to = set_bits(used)
    arc, tail = graph.arc[step], graph.tail[step]
    weight = network.width[arc].astype(float)
    where = to * graph.num_states + tail
    total = np.bincount(where, weight)
    return Forwarding(
        destinations=destinations,
        to=to,
        arc=arc,
        share=weight / total[where],
        level=hops[to, tail],
        tail=tail,
        head=graph.head[step],
        num_states=graph.num_states,
        virtual_channel=np.zeros(len(to), np.int64),
    )


def push(network: FlowNetwork, forwarding: Forwarding, demand: Floats) -> Floats:
    """Return the flow towards each destination on each arc, in B, [destinations, arcs].

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].

    Raises
    ------
    RoutingError
        If a vertex sends to a destination for which it has no next hop.
    """
    states = forwarding.num_states
    started = np.zeros((len(forwarding.destinations), states))
    started[:, : network.num_vertices] = demand.T[forwarding.destinations]
    carried = started.ravel()
    tail = forwarding.to * states + forwarding.tail
    head = forwarding.to * states + forwarding.head
    _check_start(network, forwarding, started, tail)
    amount = np.zeros(len(tail))
    for step in reversed(forwarding.by_level()):
        amount[step] = carried[tail[step]] * forwarding.share[step]
        np.add.at(carried, head[step], amount[step])
    size = len(forwarding.destinations) * network.num_arcs
    flow = np.zeros(size)
    np.add.at(flow, forwarding.to * network.num_arcs + forwarding.arc, amount)
    return flow.reshape(len(forwarding.destinations), network.num_arcs)


def _check_start(network: FlowNetwork, forwarding: Forwarding, started: Floats, tail: Ints) -> None:
    """Raise where traffic starts in a state without next hops: it would vanish from the loads."""
    leaves = np.zeros(started.size, bool)
    leaves[tail] = True
    rows = np.arange(len(forwarding.destinations))
    lost = (started > 0) & ~leaves.reshape(started.shape)
    lost[rows, forwarding.destinations] = False
    if lost.any():
        to, vertex = (int(x) for x in np.argwhere(lost)[0])
        a, b = network.node_of_vertex(vertex), network.node_of_vertex(int(forwarding.destinations[to]))
        raise RoutingError(
            f"package {network.package.name!r}: the routing has no next hop at {a!r} towards {b!r}"
        )
