"""The cheapest trees of sets of endpoints from all roots, under some prices (Dreyfus and Wagner, 1971).

A dynamic program over subsets: reaching a set from one copy at u costs the way to some v plus, if v
replicates (or reduces), reaching two parts of the set from there. A root that does not may send several
copies. A set of k members takes 3^k / 2 steps of the network's vertices, whatever the number of roots: exact,
and cheap where sets are small. A message to all of a set but its own root is answered with the set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Bits, Bools, Floats, Ints
from noptoolkit.flow.bounds.certificate import from_the_root, shortest_distances
from noptoolkit.flow.trees.multicast import without_roots
from noptoolkit.routing.problem import Messages, RoutingProblem
from noptoolkit.routing.solution import Branches

__all__ = ["CheapestTrees", "CoveringSets", "Served", "SetGroup", "covering_sets", "flow_along_trees"]

Flags = Bools


@dataclass(frozen=True, eq=False)
class Served:
    """What some messages take when each takes the cheapest path found.

    Parameters
    ----------
    bound
        They cannot cost less.
    load
        Load of the trees, in B, [arcs].
    sent
        Bytes that each node as a root sends (or collects), [nodes].
    branches
        Path of each message, if asked for.
    """

    bound: float
    load: Floats
    sent: Floats
    branches: tuple[Branches, ...] = ()


@dataclass(frozen=True, eq=False)
class CoveringSets:
    """Sets such that each message goes to all of one, or to all but its own root.

    Parameters
    ----------
    members
        Members of each set, [sets, endpoints].
    messages, which
        Indices of the messages that go anywhere, and the set of each, [messages].
    left_out
        Endpoint that each message leaves out, -1 if none, [messages].
    """

    members: Flags
    messages: Ints
    which: Ints
    left_out: Ints


@dataclass(frozen=True, eq=False)
class SetGroup:
    """Some sets and the messages to them, as `noptoolkit.flow.trees.compiled_subsets.cheapest_ways` wants.

    Parameters
    ----------
    first_end, ends
        Vertices of the members of each set, one set after another, [sets + 1] and [members].
    first_message, messages, wanted
        Messages of each set likewise, [sets + 1], their indices, and what they want of their set, bit by
        bit, [messages].
    """

    first_end: Ints
    ends: Ints
    first_message: Ints
    messages: Ints
    wanted: Ints

    @staticmethod
    def of(problem: RoutingProblem, part: Messages, sets: CoveringSets, chosen: Ints) -> SetGroup:
        """Return some of the sets, and the messages to them."""
        network = problem.network
        ends = (network.origin if part.reverse else network.destination)[part.endpoints]
        number = np.full(len(sets.members), -1)
        number[chosen] = np.arange(len(chosen))
        mine = np.flatnonzero(number[sets.which] >= 0)
        mine = mine[np.argsort(number[sets.which[mine]], kind="stable")]
        row, left_out = number[sets.which[mine]], sets.left_out[mine]
        members = sets.members[chosen]
        place = np.cumsum(members, axis=1) - 1
        size = members.sum(axis=1)
        wanted = (1 << size[row]) - 1
        some = left_out >= 0
        wanted[some] ^= 1 << place[row[some], left_out[some]]
        return SetGroup(
            np.cumsum(np.r_[0, size]),
            ends[np.nonzero(members)[1]],
            np.searchsorted(row, np.arange(len(chosen) + 1)),
            sets.messages[mine],
            wanted,
        )


def covering_sets(problem: RoutingProblem, part: Messages) -> CoveringSets:
    """Return the sets that the messages of a part go to, those without bytes or members left out."""
    members = without_roots(part).members
    messages = np.flatnonzero(members.any(axis=1) & (part.bytes > 0))
    members, root = members[messages], part.root[messages]
    bit_of = np.full(len(problem.network.origin), -1)
    bit_of[part.endpoints] = np.arange(len(part.endpoints))
    left_out = bit_of[root]
    joined = members.copy()
    some = np.flatnonzero(left_out >= 0)
    bit = left_out[some]
    joined[some, bit // 64] |= np.uint64(1) << (bit % 64).astype(np.uint64)
    distinct, which = _distinct_rows(np.concatenate([members, joined]))
    alone, together = which[: len(messages)], which[len(messages) :]
    known = np.zeros(len(distinct), bool)
    known[alone] = True
    left_out = np.where(known[together], left_out, -1)  # where another's set is this and the root
    used, which = np.unique(np.where(left_out >= 0, together, alone), return_inverse=True)
    bits = np.arange(len(part.endpoints))
    held = distinct[used][:, bits // 64] >> (bits % 64).astype(np.uint64) & np.uint64(1) > 0
    return CoveringSets(held, messages, which, left_out)


def _distinct_rows(rows: Bits) -> tuple[Bits, Ints]:
    """Return the distinct rows, ascending, and which of them each row is."""
    if rows.shape[1] == 1:
        distinct, which = np.unique(rows[:, 0], return_inverse=True)
        return distinct[:, None], which
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    return distinct, which.ravel()


def flow_along_trees(tail: Ints, arc: Ints, wanted: Floats, arcs: int) -> Floats:
    """Return the flow of each row along its tree of shortest paths, [rows, arcs]."""
    flow = np.zeros((len(wanted), arcs))
    need = wanted.copy()
    rows = np.arange(len(wanted))
    order = from_the_root(tail, arc)
    for position in range(order.shape[1] - 1, 0, -1):
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
        self.distance, self.by = shortest_distances(network.num_vertices, self.tail, head, length, every)
        ports = network.on_ejected if part.reverse else network.on_injected
        self.per_copy = ports.T @ prices

    def serve(self, group: SetGroup, *, keep: bool = False) -> Served:
        """Return what the messages of a group take.

        Parameters
        ----------
        keep
            Whether to keep the path of each message.
        """
        from noptoolkit.flow.trees.compiled_subsets import cheapest_ways

        network, part = self.network, self.part
        root, amount = part.root[group.messages], part.bytes[group.messages]
        starts = (network.destination if part.reverse else network.origin)[root]
        between = np.zeros_like(self.distance)
        copies, begins = np.empty(len(root), np.int64), np.empty(len(root) + 1, np.int64)
        bound, arcs = cheapest_ways(
            group.first_end,
            group.ends,
            group.first_message,
            starts,
            group.wanted,
            amount,
            ~part.helps[starts],
            self.per_copy[root],
            self.distance,
            part.helps,
            self.tail,
            self.by,
            between,
            copies,
            begins,
            keep,
        )
        load = flow_along_trees(self.tail, self.by, between, network.num_arcs).sum(axis=0)
        sent: Floats = np.bincount(root, amount * copies, len(network.origin)).astype(float)
        ways = Branches(part.reverse, group.messages, np.ones(len(root)), begins, arcs)
        return Served(bound, load, sent, (ways,) if keep else ())
