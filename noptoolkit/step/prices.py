"""Prices on the resources of a network, and what each byte of a step costs under them at least.

For prices y_r >= 0 with sum of C_r y_r = 1, moving b bytes from s to t costs at least

    w = b (dist_y(s, t) + port prices),

whatever the routing, split or not, since every path is at least as long as the shortest. In any window of
length T, resource r is in use for at most T, so that sum of y_r use_r <= T: transfers that lie within the
window satisfy sum of w <= T. **A price vector is one more resource**, of capacity 1, whose load no routing
changes. A message to a set costs at least its bytes times the cheapest Steiner arborescence, by the dynamic
program of Dreyfus and Wagner (Networks 1971) with copies at every node, or, for more than `MOST_ENDS`
endpoints, or `MOST_READERS` chiplets of one reading of weights, times the distance of the farthest member:
exact for the prices of a cut.

Which prices: the dual prices of the joint flow of each phase (`noptoolkit.step.path_program`), 1 / C of
single resources that every path of some pair uses, and cuts round each vertex. Rounding cannot break the
bound: costs are computed from the prices as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Memory
from noptoolkit.routing.problem import Messages, membership
from noptoolkit.step.path_program import PathPool, share_paths
from noptoolkit.step.phases import Phases
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["PriceCosts", "message_sets", "prices_of", "set_costs"]

MOST_ENDS = 16
"""Endpoints up to which the trees of messages are priced exactly."""

MOST_READERS = 10
"""Chiplets of one reading of weights up to which its tree is priced exactly: work grows as 3 ** chiplets."""

SMALL = 48
"""Vertices up to which every combination of phases is priced."""


def prices_of(pool: PathPool, phases: Phases) -> Floats:
    """Return the price vectors that are worth trying, [prices, resources]."""
    network = pool.network
    found = [y for y in _cuts(network) if y.any()]
    whole = ["step", "forward", "backward", "dispatch", "combine", "load", "store", "exchange"]
    sums: list[tuple[str, ...]] = [(name,) for name in whole]
    if network.num_vertices <= SMALL:
        sums += [("load", "combine"), ("load", "dispatch"), ("load", "store"), ("store", "combine")]
        sums += [("store", "dispatch"), ("dispatch", "combine")]
        sums += [(name,) for name in phases.bytes if name.startswith("block")]
    if pool.pairs:
        for names in sums:
            amount = np.sum([phases.bytes[name] for name in names], axis=0)
            base = np.sum([phases.base[name] for name in names], axis=0)
            if amount.any():
                found += share_paths(pool, [amount], [base]).prices
    usable = [y / float(y @ network.capacity) for y in found if float(y @ network.capacity) > 0]
    return np.array(usable).reshape(-1, network.num_resources)


def _cuts(network: FlowNetwork) -> Iterable[Floats]:
    """Yield the prices of single resources that may be the only way, and of the cuts round each vertex."""
    import networkx as nx

    size, capacity = network.num_resources, network.capacity
    graph = nx.Graph(zip(network.tail.tolist(), network.head.tolist(), strict=True))
    bridges = {frozenset(ends) for ends in nx.bridges(graph)}
    single = set(range(size)) - set(network.own.tolist())
    for arc in range(network.num_arcs):
        if frozenset((int(network.tail[arc]), int(network.head[arc]))) in bridges:
            single.add(int(network.own[arc]))
    for resource in sorted(single):
        y = np.zeros(size)
        y[resource] = 1 / capacity[resource]
        yield y
    for vertex in range(network.num_vertices):
        for ends in (network.tail, network.head):
            own = np.unique(network.own[ends == vertex])
            if len(own):
                y = np.zeros(size)
                y[own] = 1 / capacity[own].sum()
                yield y


@dataclass(frozen=True, eq=False)
class PriceCosts:
    """What moving bytes costs at least, under each of some prices.

    Parameters
    ----------
    prices
        Price vectors with capacity @ prices = 1, in s/B, [prices, resources].
    pairs
        Cost of each byte by pair, in s/B, [prices].
    messages
        Cost of a transfer's messages or of its sum, in s, by the transfer's index, [prices].
    """

    prices: Floats
    pairs: Mapping[Pair, Floats]
    messages: Mapping[int, Floats]

    @staticmethod
    def of(
        network: FlowNetwork, prices: Floats, pairs: Sequence[Pair], sent: Sequence[Transfer]
    ) -> PriceCosts:
        """Return the costs of pairs and of transfers' messages; prices that add nothing are dropped."""
        distance = np.array([_distances(network, y) for y in prices]).reshape(
            -1, network.num_vertices, network.num_vertices
        )
        injected, ejected = prices @ network.on_injected, prices @ network.on_ejected
        index = network.package.index
        costs = np.zeros((len(prices), len(pairs)))
        for p, (source, sink) in enumerate(pairs):
            s, t = index[source], index[sink]
            costs[:, p] = (
                distance[:, network.origin[s], network.destination[t]] + injected[:, s] + ejected[:, t]
            )
        of_messages = _message_costs(network, prices, distance, injected, ejected, sent)
        together = np.column_stack([costs, *of_messages.values()])
        scale = together.max(axis=0, initial=0.0)
        rounded = np.round(together / np.where(scale > 0, scale, 1.0), 9)
        _, first = np.unique(rounded, axis=0, return_index=True)
        kept = np.array([k for k in np.sort(first) if together[k].any()], np.int64)
        return PriceCosts(
            prices[kept],
            {ends: costs[kept, p] for p, ends in enumerate(pairs)},
            {number: cost[kept] for number, cost in of_messages.items()},
        )


def _distances(network: FlowNetwork, prices: Floats) -> Floats:
    from noptoolkit.flow.bounds.certificate import shortest_distances

    length = np.asarray(network.on_arcs.T @ prices, dtype=float)
    every = np.arange(network.num_vertices)
    return shortest_distances(network.num_vertices, network.tail, network.head, length, every)[0]


def _message_costs(
    network: FlowNetwork,
    prices: Floats,
    distance: Floats,
    injected: Floats,
    ejected: Floats,
    sent: Sequence[Transfer],
) -> dict[int, Floats]:
    """Return the least cost of each transfer's messages or sum, in s, by its index, [prices]."""
    total: dict[int, Floats] = {}
    known: dict[int, Floats] = {}  # of one byte: all-reduces of all sizes share one result
    for one in sent:
        if one.summed is not None:
            key = id(one.summed.result)
            if key not in known:
                known[key] = one.summed.costs(prices) / one.summed.size
            total[one.index] = known[key] * one.summed.size
    alike: dict[tuple[bool, bytes], list[tuple[int, Messages]]] = {}
    for one in sent:
        for part in () if one.problem is None else one.problem.messages:
            alike.setdefault((part.reverse, part.endpoints.tobytes()), []).append((one.index, part))
    for (reverse, _), chosen in alike.items():
        endpoints = chosen[0][1].endpoints
        sets = [message_sets(part) for _, part in chosen]
        rows = np.concatenate(sets)
        distinct, which = np.unique(rows, axis=0, return_inverse=True)
        cost = set_costs(network, distance, injected, ejected, distinct, endpoints, reverse)
        begin = 0
        for (number, part), own in zip(chosen, sets, strict=True):
            mine = which.ravel()[begin : begin + len(own)]
            begin += len(own)
            amount = np.bincount(mine, part.bytes, len(distinct))
            total[number] = total.get(number, 0.0) + cost @ amount
    return total


def message_sets(part: Messages) -> Ints:
    """Return root and members of each message as a row of 0 and 1, [messages, 1 + endpoints]."""
    held = np.zeros((len(part.root), 1 + len(part.endpoints)), np.int64)
    held[:, 0] = part.root
    for bit, node in enumerate(part.endpoints):
        held[:, 1 + bit] = membership(part.members, bit) & (part.root != node)
    return held


def set_costs(
    network: FlowNetwork,
    distance: Floats,
    injected: Floats,
    ejected: Floats,
    sets: Ints,
    endpoints: Ints,
    reverse: bool,
) -> Floats:
    """Return what each byte of a message to each set costs at least, in s/B, [prices, sets]."""
    root, held = sets[:, 0], sets[:, 1:] > 0
    at_root, at_members = (ejected, injected) if reverse else (injected, ejected)
    ports = at_root[:, root] * held.any(axis=1) + at_members[:, endpoints] @ held.T
    start = (network.destination if reverse else network.origin)[root]
    ends = (network.origin if reverse else network.destination)[endpoints]
    onto = distance.transpose(0, 2, 1) if reverse else distance
    cost = np.zeros((len(distance), len(sets)))
    for bit, end in enumerate(ends):
        np.maximum(cost, np.where(held[:, bit], onto[:, start, end], 0.0), out=cost)
    most = int(held.sum(axis=1).max(initial=0))
    reading = len(sets) > 0 and isinstance(network.package.nodes[int(root[0])], Memory)
    if len(endpoints) <= MOST_ENDS and len(sets) and (most <= MOST_READERS or not reading):
        from noptoolkit.flow.trees.compiled_steiner import tree_costs

        mask = held @ (1 << np.arange(len(endpoints)))
        for k, lengths in enumerate(onto):
            if (
                len(np.unique(lengths[np.isfinite(lengths)])) > 2
            ):  # else a cut, for which the farthest is exact
                exact = tree_costs(np.ascontiguousarray(lengths), ends, most)
                cost[k] = np.maximum(cost[k], exact[mask, start])
    return cost + ports
