"""Trees for sets of any size under some prices, each with a bound on the cheapest (Wong, 1984).

The model. A copy travels in *hops*: from the root, or a vertex that can copy, past vertices that cannot,
to the next that can or to a member. The cheapest tree that serves a set is a cheapest arborescence of hops
(a Steiner arborescence), and every cut, a set of vertices with a member but without the root, is entered
at least once. So weights on cuts that nowhere exceed the length of a hop, summed over the cuts that the hop
enters, add up to no more than the cheapest tree costs::

    sum of weights  <=  cheapest tree        (weak duality of the directed-cut relaxation)

*Dual ascent* raises the weight of the smallest cut round a member that still has room, until the hops that
have none left connect the root to every member; dropping those again, the last one first, leaves a tree. On
spanning trees (a broadcast) both are exact (Fulkerson, 1974; Edmonds, 1967), on small sets nearly so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.bounds.certificate import shortest_distances
from noptoolkit.flow.trees.cheapest import Served
from noptoolkit.routing.problem import Messages, RoutingProblem
from noptoolkit.routing.solution import Branches, CutPacking
from noptoolkit.traffic import DestinationSets

__all__ = ["AscentTrees"]


TRIES = 4


@dataclass(frozen=True, eq=False)
class _Hops:
    """The hops that messages of one root may take, sorted by head."""

    which: Ints
    first: Ints
    tail: Ints
    head: Ints
    length: Floats
    out_first: Ints
    out_hop: Ints


class AscentTrees:
    """Trees and bounds for the messages of a part, under some prices."""

    def __init__(self, problem: RoutingProblem, part: Messages, prices: Floats) -> None:
        self.network = network = problem.network
        self.part = part
        length = network.on_arcs.T @ prices
        tail, head = (network.head, network.tail) if part.reverse else (network.tail, network.head)
        size = network.num_vertices
        self.roots = network.destination if part.reverse else network.origin
        self.ends = (network.origin if part.reverse else network.destination)[part.endpoints]
        # a second vertex for each: where a copy starts; the first is left again only where none can be made
        passes = ~part.helps[tail]
        self.arcs = np.r_[np.arange(network.num_arcs), np.flatnonzero(passes)]
        self.tail = np.r_[tail + size, tail[passes]]
        self.head = np.r_[head, head[passes]]
        starts = np.arange(size) + size
        self.distance, self.by = shortest_distances(2 * size, self.tail, self.head, length[self.arcs], starts)
        useful = part.helps.copy()
        useful[self.ends] = True
        hop = np.isfinite(self.distance[:, :size]) & useful[None, :] & ~np.eye(size, dtype=bool)
        self.hop_head, self.hop_tail = np.nonzero(hop.T)
        self.hop_length = self.distance[self.hop_tail, self.hop_head]
        self.path_hop, self.path_arc = self._paths()
        ports = network.on_ejected if part.reverse else network.on_injected
        self.per_copy = ports.T @ prices

    def _hops(self, root: int) -> _Hops:
        vertex = int(self.roots[root])
        helps = self.part.helps
        which = np.flatnonzero((helps[self.hop_tail] | (self.hop_tail == vertex)) & (self.hop_head != vertex))
        tail, head, length = self.hop_tail[which], self.hop_head[which], self.hop_length[which]
        if not helps[vertex]:
            length = length + np.where(tail == vertex, self.per_copy[root], 0.0)
        everywhere = np.arange(self.network.num_vertices + 1)
        out = np.argsort(tail, kind="stable")
        return _Hops(
            which,
            np.searchsorted(head, everywhere),
            tail,
            head,
            length,
            np.searchsorted(tail[out], everywhere),
            out,
        )

    def serve(self, messages: Ints, *, keep: bool = False) -> Served:
        """Return what some messages take, as `CheapestTrees.serve` does.

        Parameters
        ----------
        messages
            Indices.
        """
        from noptoolkit.flow.trees.compiled_ascent import cover_sets

        part, network = self.part, self.network
        bound, sent = 0.0, np.zeros(len(network.origin))
        on_hop = np.zeros(len(self.hop_tail))
        branches = []
        for root in np.unique(part.root[messages]).tolist():
            vertex = int(self.roots[root])
            mine = messages[part.root[messages] == root]
            amount = part.bytes[mine]
            hops = self._hops(root)
            at = np.where(part.endpoints == root, -1, self.ends)
            carried = np.zeros(len(hops.tail))
            trees = np.empty((len(mine) if keep else 0, network.num_vertices), np.int64)
            least, sent[root] = cover_sets(
                hops.first,
                hops.tail,
                hops.head,
                hops.length,
                hops.out_first,
                hops.out_hop,
                vertex,
                part.members[mine],
                at,
                amount,
                TRIES,
                carried,
                trees,
            )
            bound += least
            if part.helps[vertex]:
                sent[root] = amount.sum()
                bound += sent[root] * float(self.per_copy[root])
            on_hop[hops.which] += carried
            if keep:
                branches.append(self._branches(hops, trees, mine))
        load: Floats = np.bincount(self.path_arc, on_hop[self.path_hop], network.num_arcs).astype(float)
        return Served(bound, load, sent, tuple(branches))

    def packing(self, messages: Ints) -> CutPacking:
        """Return the cuts that prove the bounds of some messages."""
        from noptoolkit.flow.trees.compiled_ascent import best_of_orders

        part, size = self.part, self.network.num_vertices
        words = -(-size // 64)
        cuts, weights, counts = [], [], [0]
        before, hops = -1, self._hops(int(part.root[messages[0]]))
        contains = DestinationSets(part.root[messages], part.members[messages], part.bytes[messages])
        members = contains.contains(len(part.endpoints))
        for row, root in enumerate(part.root[messages].tolist()):
            if root != before:
                before, hops = root, self._hops(root)
            ends = self.ends[members[row] & (part.endpoints != root)]
            many = len(hops.tail)
            room = np.zeros((2 * many, words), np.uint64), np.zeros(2 * many)
            _, _, raised = best_of_orders(
                hops.first,
                hops.tail,
                hops.head,
                hops.length,
                hops.out_first,
                hops.out_hop,
                int(self.roots[root]),
                ends,
                TRIES,
                np.empty(many),
                np.empty(many, np.int64),
                np.empty(many, np.bool_),
                np.empty(size, np.int64),
                np.empty(size, np.int64),
                *room,
            )
            cuts.append(room[0][:raised])
            weights.append(room[1][:raised])
            counts.append(raised)
        return CutPacking(
            part.reverse, messages, np.cumsum(counts), np.concatenate(cuts), np.concatenate(weights)
        )

    def _branches(self, hops: _Hops, trees: Ints, messages: Ints) -> Branches:
        """Return trees of hops, -1 where they end, as paths along arcs."""
        way, column = np.nonzero(trees >= 0)
        hop = hops.which[trees[way, column]]
        order = np.argsort(self.path_hop, kind="stable")
        first = np.searchsorted(self.path_hop[order], np.arange(len(self.hop_tail) + 1))
        count = first[hop + 1] - first[hop]
        ends = np.cumsum(count)
        which = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first[hop] - ends + count, count)
        arcs = self.path_arc[order[which]].astype(np.int32)
        begins = np.searchsorted(np.repeat(way, count), np.arange(len(messages) + 1))
        return Branches(self.part.reverse, messages, np.ones(len(messages)), begins, arcs)

    def _paths(self) -> tuple[Ints, Ints]:
        """Return the arcs of every hop: which hop, and which arc, one entry for each."""
        here = self.hop_head.copy()
        start = self.hop_tail + self.network.num_vertices
        left = np.arange(len(here))
        hop, arc = [], []
        while len(left):
            by = self.by[self.hop_tail[left], here[left]]
            hop.append(left)
            arc.append(self.arcs[by])
            here[left] = self.tail[by]
            left = left[here[left] != start[left]]
        return np.concatenate(hop), np.concatenate(arc)
