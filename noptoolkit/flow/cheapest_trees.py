"""The cheapest trees of all sets of end points from all roots, under some prices (Dreyfus and Wagner, 1971).

A dynamic program over subsets: reaching a set from one copy at u costs the way to some v plus, if v
replicates (or reduces), reaching two parts of the set from there. A root that does not may send several
copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.certificate import shortest_distances
from noptoolkit.flow.multicast import Branch
from noptoolkit.flow.problem import Messages, RoutingProblem, membership

__all__ = ["CheapestTrees", "MemberSets", "flow_along_trees"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_BITS = 16  # end points in sets; there is a row for each subset


@dataclass(frozen=True, eq=False)
class MemberSets:
    """The sets of some messages as bits, with all their subsets, ascending."""

    bits: Ints
    masks: Ints
    place: Ints
    mask_of_message: Ints

    @staticmethod
    def of(part: Messages) -> MemberSets | None:
        present = [
            bit
            for bit, node in enumerate(part.endpoints)
            if (membership(part.members, bit) & (part.root != node)).any()
        ]
        if len(present) > MOST_BITS:
            return None
        mask = np.zeros(len(part.root), np.int64)
        for k, bit in enumerate(present):
            held = membership(part.members, bit) & (part.root != part.endpoints[bit])
            mask |= held.astype(np.int64) << k
        needed = np.zeros(1 << len(present), bool)
        needed[mask] = True
        everything = np.arange(len(needed))
        for k in range(len(present)):  # and every subset of each
            holds = (everything >> k & 1).astype(bool)
            needed[everything[holds] ^ (1 << k)] |= needed[everything[holds]]
        needed[0] = False
        masks = np.flatnonzero(needed)
        place = np.full(len(needed), -1)
        place[masks] = np.arange(len(masks))
        return MemberSets(np.array(present, np.int64), masks, place, mask)


def flow_along_trees(tail: Ints, arc: Ints, distance: Floats, wanted: Floats, arcs: int) -> Floats:
    """Return the flow of each row along its tree of shortest paths, [rows, arcs]."""
    flow = np.zeros((len(wanted), arcs))
    need = wanted.copy()
    rows = np.arange(len(wanted))
    order = np.argsort(distance, axis=1, kind="stable")
    for position in range(distance.shape[1] - 1, 0, -1):
        vertex = order[:, position]
        by = arc[rows, vertex]
        some = np.flatnonzero((by >= 0) & (need[rows, vertex] > 0))
        amount = need[some, vertex[some]]
        flow[some, by[some]] += amount
        need[some, tail[by[some]]] += amount
    return flow


class CheapestTrees:
    """The cheapest trees of all sets from all roots, under some prices."""

    def __init__(
        self, problem: RoutingProblem, part: Messages, sets: MemberSets, prices: Floats, length: Floats
    ) -> None:
        from noptoolkit.flow import compiled_trees

        self.compiled, self.part, self.sets = compiled_trees, part, sets
        self.network = network = problem.network
        self.tail, self.head = (network.head, network.tail) if part.reverse else (network.tail, network.head)
        every = np.arange(network.num_vertices)
        self.distance, self.arc = shortest_distances(
            network.num_vertices, self.tail, self.head, length, every
        )
        ends = network.origin if part.reverse else network.destination
        self.at = ends[part.endpoints[sets.bits]]
        shape = (len(sets.masks), network.num_vertices)
        self.cost = np.empty(shape)
        self.via, self.split = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        compiled_trees.steiner_costs(
            sets.masks, sets.place, self.distance, part.helps, self.at, self.cost, self.via, self.split
        )
        ports = network.on_ejected if part.reverse else network.on_injected
        self.per_copy = ports.T @ prices

    def _root(self, root: int) -> tuple[int, Floats, Ints]:
        vertex = int((self.network.destination if self.part.reverse else self.network.origin)[root])
        total, first = np.empty(len(self.sets.masks)), np.empty(len(self.sets.masks), np.int64)
        self.compiled.steiner_roots(
            self.sets.masks,
            self.sets.place,
            self.cost,
            vertex,
            not self.part.helps[vertex],
            float(self.per_copy[root]),
            total,
            first,
        )
        return vertex, total, first

    def of_root(self, root: int, owed: Floats) -> tuple[float, Floats, float]:
        """Return the cost of all messages of a root, their arc loads, and the copies at the root."""
        vertex, total, first = self._root(root)
        carried = np.zeros(self.distance.shape)
        copies = self.compiled.steiner_loads(
            self.sets.masks, self.sets.place, self.via, self.split, first, vertex, owed, carried
        )
        np.fill_diagonal(carried, 0.0)
        flow = flow_along_trees(self.tail, self.arc, self.distance, carried, self.network.num_arcs)
        spent = float(np.sum(owed[owed > 0] * total[owed > 0]))
        return spent, flow.sum(axis=0), float(copies)

    def branches(self, root: int, share: float) -> list[Branch]:
        """Return the tree of each message of a root, one by one."""
        vertex, _, first = self._root(root)
        found = []
        for message in np.flatnonzero((self.part.root == root) & (self.sets.mask_of_message > 0)):
            copies: dict[int, int] = {}
            rest = int(self.sets.mask_of_message[message])
            while rest:
                part = int(first[self.sets.place[rest]])
                self._walk(vertex, part, copies)
                rest ^= part
            arcs = np.array(list(copies), np.int64)
            found.append(
                Branch(self.part.reverse, int(message), share, arcs, np.array(list(copies.values())))
            )
        return found

    def _walk(self, start: int, mask: int, copies: dict[int, int]) -> None:
        row = int(self.sets.place[mask])
        split_at = int(self.via[row, start])
        here = split_at
        while here != start:
            arc = int(self.arc[start, here])
            copies[arc] = copies.get(arc, 0) + 1
            here = int(self.tail[arc])
        part = int(self.split[row, split_at])
        if part != mask:
            self._walk(split_at, part, copies)
            self._walk(split_at, mask ^ part, copies)
