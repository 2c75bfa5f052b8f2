"""The cheapest trees of sets of end points from all roots, under some prices (Dreyfus and Wagner, 1971).

A dynamic program over subsets: reaching a set from one copy at u costs the way to some v plus, if v
replicates (or reduces), reaching two parts of the set from there. A root that does not may send several
copies. A set of k members takes 3^k / 2 steps of the network's vertices, whatever the number of roots, and
shares those of its subsets with every other set: exact, and cheap where sets are small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.certificate import shortest_distances
from noptoolkit.flow.problem import Messages, RoutingProblem, membership
from noptoolkit.flow.trees.multicast import Branches

__all__ = ["CheapestTrees", "Served", "SetFamily", "families", "flow_along_trees", "set_masks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

MOST_ENTRIES = 16_000_000  # subsets x vertices at a time: 256 MB


@dataclass(frozen=True, eq=False)
class SetFamily:
    """Some messages, the sets of their members, and all subsets of those, ascending.

    Parameters
    ----------
    masks, slots
        The sets as bits, [sets], and their hash table.
    at
        Vertex of each bit, [bits].
    messages, row
        Indices of the messages, and the set of each, [messages].
    """

    masks: Words
    slots: NDArray[np.int32]
    at: Ints
    messages: Ints
    row: Ints


@dataclass(frozen=True, eq=False)
class Served:
    """What some messages take when each goes the cheapest way that was found.

    Parameters
    ----------
    bound
        They cannot cost less, over roots, [roots].
    load
        In B, [roots, arcs].
    sent
        Bytes that each root sends (or collects), [roots].
    branches
        The way of each message, where asked for.
    """

    bound: Floats
    load: Floats
    sent: Floats
    branches: tuple[Branches, ...] = ()


def set_masks(problem: RoutingProblem, part: Messages) -> tuple[Words, Ints] | None:
    """Return the members of each message as one word, the root left out, [messages], and each bit's vertex.

    ``None`` where the messages of a part have more than 64 members in all.
    """
    network = problem.network
    ends = network.origin if part.reverse else network.destination
    masks = np.zeros(len(part.root), np.uint64)
    at: list[int] = []
    for bit, node in enumerate(part.endpoints):
        held = membership(part.members, bit) & (part.root != node)
        if held.any():
            if len(at) == 64:
                return None
            masks |= held.astype(np.uint64) << np.uint64(len(at))
            at.append(int(ends[node]))
    return masks, np.array(at, np.int64)


def families(masks: Words, at: Ints, messages: Ints, vertices: int) -> list[SetFamily]:
    """Return some messages as families that fit in memory; ``masks`` and ``at`` are from `set_masks`."""
    from noptoolkit.flow.trees.compiled_trees import fill_slots

    sets, which = np.unique(masks[messages], return_inverse=True)
    room = np.cumsum(np.minimum(2.0 ** np.bitwise_count(sets), MOST_ENTRIES) * vertices)
    family = (room // MOST_ENTRIES).astype(np.int64)
    found = []
    for number in np.unique(family):
        mine = np.flatnonzero(family[which] == number)
        rows = sets[family == number]
        for bit in range(len(at)):  # and every subset of each
            one = np.uint64(1) << np.uint64(bit)
            rows = np.union1d(rows, rows[rows & one != 0] ^ one)
        rows = rows[rows != 0]
        slots = np.full(1 << (4 * len(rows)).bit_length(), -1, np.int32)
        fill_slots(rows, slots)
        row = np.searchsorted(rows, masks[messages[mine]])
        found.append(SetFamily(rows, slots, at, messages[mine], row))
    return found


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
    """The cheapest trees of the messages of a part, under some prices."""

    def __init__(self, problem: RoutingProblem, part: Messages, prices: Floats) -> None:
        self.network = network = problem.network
        self.part = part
        length = network.on_arcs.T @ prices
        self.tail, head = (network.head, network.tail) if part.reverse else (network.tail, network.head)
        every = np.arange(network.num_vertices)
        distance, self.by = shortest_distances(network.num_vertices, self.tail, head, length, every)
        self.onto = np.ascontiguousarray(distance.T)
        ports = network.on_ejected if part.reverse else network.on_injected
        self.per_copy = ports.T @ prices

    def serve(self, family: SetFamily, roots: Ints, share: Floats, *, keep: bool = False) -> Served:
        """Return what a share of the messages of some roots takes.

        Parameters
        ----------
        roots, share
            Nodes, and how much of each one's messages, [roots].
        keep
            Whether to keep the way of each message.
        """
        from noptoolkit.flow.trees import compiled_trees

        network, part = self.network, self.part
        shape = (len(family.masks), network.num_vertices)
        cost, via, split = np.empty(shape), np.empty(shape, np.int32), np.empty(shape, np.int32)
        compiled_trees.steiner_costs(
            family.masks, family.slots, self.onto, part.helps, family.at, cost, via, split
        )
        total, first = np.empty(len(family.masks)), np.empty(len(family.masks), np.int32)
        bound, sent = np.zeros(len(roots)), np.zeros(len(roots))
        load = np.zeros((len(roots), network.num_arcs))
        branches = []
        place = np.searchsorted(roots, part.root[family.messages])
        order = np.argsort(place, kind="stable")
        cuts = np.searchsorted(place[order], np.arange(len(roots) + 1))
        for i in np.flatnonzero((np.diff(cuts) > 0) & (share > 0)):
            root = int(roots[i])
            vertex = int((network.destination if part.reverse else network.origin)[root])
            mine = order[cuts[i] : cuts[i + 1]]
            messages, rows = family.messages[mine], family.row[mine]
            amount = share[i] * part.bytes[messages]
            alone = not part.helps[vertex]
            compiled_trees.steiner_roots(
                family.masks, family.slots, cost, vertex, alone, float(self.per_copy[root]), total, first
            )
            bound[i] = amount @ total[rows]
            begins, arcs = np.empty(len(rows) + 1, np.int64), np.empty(0, np.int32)
            given = (family.masks, family.slots, via, split, first, vertex, rows, amount, self.tail, self.by)
            sent[i] = compiled_trees.follow_trees(*given, load[i], begins, arcs)
            if keep:
                arcs = np.empty(begins[-1], np.int32)
                compiled_trees.follow_trees(*given, np.empty_like(load[i]), begins, arcs)
                branches.append(Branches(part.reverse, messages, np.full(len(rows), share[i]), begins, arcs))
        return Served(bound, load, sent, tuple(branches))
