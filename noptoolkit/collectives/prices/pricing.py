"""Lower bounds for any set of collectives at once, from prices on channels, crossbars and ports.

The model. Prices y_r >= 0 on the resources of `noptoolkit.network` give every arc a length, and every byte
that a member sends or receives a price. Whatever serves the requests pays at least the cheapest way to
serve each of them, and all capacity of a time T costs T (C . y), so ::

    T >= sum over requests of (cheapest cost of the request under y) / (C . y)

Relays copy and add nothing here, so *cheapest* is exact and polynomial, on shortest paths between members:
a minimum arborescence for each share (all-gather, broadcast; turned round for reduce-scatter, reduce),
shortest paths (all-to-all, scatter, gather, send), and for an all-reduce in trees the cheapest pair of an
in-tree and an out-tree of one root.

*Any schedule* of an all-reduce, not only one of trees, that sends elements or partial sums without coding:
let v be the first member to hold the whole sum of an element. Until then the transfers of the element join
all members to v, and afterwards every other member w still receives it from the nearest member or farther::

    cost >= min over v of (in-arborescence of v + sum over w != v of the cheapest path into w)

and the same turned round. It holds as well for *parties*, sets of members taken as one, at the distance of
their nearest members: members that are near each other are made one party where that proves more. Whether
trees always suffice is not known; where both bounds meet they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.collectives.values.requests import Request
from noptoolkit.network import FlowNetwork

if TYPE_CHECKING:
    from noptoolkit.collectives.prices.symmetry import Symmetry

__all__ = ["Groups", "groups_of"]


MOTIONS = {"spread": 0, "collect": 1, "both": 2, "exchange": 3}


@dataclass(frozen=True, eq=False)
class Groups:
    """Requests as arrays on a network.

    Parameters
    ----------
    network, requests
        What they were made of.
    start
        Where the members of each group begin, [groups + 1].
    nodes
        Node of each member, [all members].
    motion, pair_start
        Code of the motion and place in ``pairs`` of each group, [groups].
    shares
        Bytes of each member (for all-reduce, of the buffer), [all members].
    pairs
        Bytes between members of groups that exchange, matrices one after the other.
    """

    network: FlowNetwork
    requests: tuple[Request, ...]
    start: Ints
    nodes: Ints
    motion: Ints
    pair_start: Ints
    shares: Floats
    pairs: Floats

    @cached_property
    def rows(self) -> tuple[Ints, Ints, Ints]:
        """Arcs out of each vertex: where each row starts, the heads, the arcs."""
        network = self.network
        order = np.argsort(network.tail, kind="stable").astype(np.int64)
        counts = np.bincount(network.tail, minlength=network.num_vertices)
        start = np.r_[0, np.cumsum(counts)].astype(np.int64)
        return start, network.head[order].astype(np.int64), order

    @cached_property
    def origin(self) -> Ints:
        """Vertex at which each member's data starts, [all members]."""
        return self.network.origin[self.nodes].astype(np.int64)

    @cached_property
    def destination(self) -> Ints:
        """Vertex at which each member's data ends, [all members]."""
        return self.network.destination[self.nodes].astype(np.int64)

    @cached_property
    def ends(self) -> Bools:
        """Which members send nothing but what is their own, [all members]."""
        return np.asarray(self.origin != self.destination)

    def lengths(self, prices: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the length of each arc and the price of a byte sent and received by each member."""
        network = self.network
        return (
            np.ascontiguousarray(network.on_arcs.T @ prices),
            np.ascontiguousarray((network.on_injected.T @ prices)[self.nodes]),
            np.ascontiguousarray((network.on_ejected.T @ prices)[self.nodes]),
        )

    def use(self, load: Floats, sent: Floats, received: Floats) -> Floats:
        """Return what loads and ports use of each resource, in B, [resources]."""
        network, nodes = self.network, len(self.network.origin)
        return np.asarray(
            network.on_arcs @ load
            + network.on_injected @ np.bincount(self.nodes, sent, nodes)
            + network.on_ejected @ np.bincount(self.nodes, received, nodes)
        )

    def folded(self, symmetry: Symmetry) -> Groups:
        """Return groups in which one root or sender of each orbit carries what its orbit does.

        Under prices and requests that are symmetric, the cost and the use of each class of resources by the
        chosen groups are those of all members.
        """
        shares = self.shares.copy()
        grown = np.repeat(
            (self.motion == MOTIONS["spread"]) | (self.motion == MOTIONS["collect"]), self.sizes
        )
        shares[grown] *= symmetry.counts[grown]
        pairs = self.pairs.copy()
        for g in np.flatnonzero(self.motion == MOTIONS["exchange"]).tolist():
            low, k, at = int(self.start[g]), int(self.sizes[g]), int(self.pair_start[g])
            pairs[at : at + k * k] *= np.repeat(symmetry.counts[low : low + k], k)
        return replace(self, shares=shares, pairs=pairs)

    @property
    def sizes(self) -> Ints:
        """Number of members of each group, [groups]."""
        return np.diff(self.start)

    def cheapest(
        self,
        prices: Floats,
        *,
        symmetric: bool = False,
        bounding: bool = False,
        chosen: Ints | None = None,
        weights: Floats | None = None,
    ) -> tuple[float, float, Floats]:
        """Return the least cost in trees, what any schedule must pay, and the use of the cheapest trees.

        Parameters
        ----------
        prices
            On the resources, > 0, [resources].
        symmetric
            Whether both directions of every link have the same price and every all-reduce may use one tree
            both ways.
        bounding
            Whether to work out what any schedule of an all-reduce must pay.
        chosen, weights
            Groups that stand for all, and for how many each; ``None`` is each for itself.
        """
        from noptoolkit.collectives.prices.compiled_pricing import lay_all

        count = len(self.requests)
        chosen = np.arange(count, dtype=np.int64) if chosen is None else chosen
        weights = np.ones(len(chosen)) if weights is None else weights
        start, heads, arcs = self.rows
        length, inject, eject = self.lengths(prices)
        load = np.zeros(self.network.num_arcs)
        sent, received = np.zeros(len(self.nodes)), np.zeros(len(self.nodes))
        total, least = lay_all(
            start,
            heads,
            arcs,
            self.network.tail.astype(np.int64),
            length,
            self.start,
            self.origin,
            self.destination,
            self.ends,
            inject,
            eject,
            self.motion,
            self.shares,
            self.pair_start,
            self.pairs,
            symmetric,
            bounding,
            chosen,
            weights,
            load,
            sent,
            received,
        )
        return float(total), float(least), self.use(load, sent, received)

    def bounds(self, prices: Floats, symmetry: Symmetry | None = None) -> tuple[float, float]:
        """Return the times that prices prove: for schedules in trees, and for any schedule, in s.

        Parameters
        ----------
        symmetry
            Under which the prices do not change, so that few groups stand for all; of `folded` groups.
        """
        if symmetry is None:
            total, least, _ = self.cheapest(prices, bounding=True)
        else:
            total, least, _ = self.folded(symmetry).cheapest(
                prices,
                symmetric=symmetry.reversible,
                bounding=True,
                chosen=symmetry.chosen,
                weights=symmetry.weights,
            )
        worth = float(prices @ self.network.capacity)
        return total / worth, least / worth


def groups_of(network: FlowNetwork, requests: Sequence[Request]) -> Groups:
    """Return requests as arrays on a network; their members are nodes of its package."""
    index = network.package.index
    nodes, shares, pairs, pair_start = [], [], [], []
    at = 0
    for request in requests:
        nodes += [index[name] for name in request.members]
        pair_start.append(at)
        if request.motion == "both":
            shares.append(np.full(len(request.members), request.size))
        elif request.motion == "exchange":
            shares.append(np.zeros(len(request.members)))
            pairs.append(request.pair_bytes().ravel())
            at += len(pairs[-1])
        else:
            shares.append(request.share_bytes())
    sizes: Any = [len(request.members) for request in requests]
    return Groups(
        network=network,
        requests=tuple(requests),
        start=np.r_[0, np.cumsum(sizes)].astype(np.int64),
        nodes=np.array(nodes, np.int64),
        motion=np.array([MOTIONS[request.motion] for request in requests], np.int64),
        pair_start=np.array(pair_start, np.int64),
        shares=np.concatenate(shares),
        pairs=np.concatenate([*pairs, np.zeros(0)]),
    )
