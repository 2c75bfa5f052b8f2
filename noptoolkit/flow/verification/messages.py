"""Every message of a result followed to its members; see `noptoolkit.flow.verification`.

Many messages at a time, a row for each: what reaches and leaves each vertex is counted in whole copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.routing.solution import Branches, Tree
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Endpoints", "MessageFollower"]


CHUNK = 1_000_000  # messages x vertices, or arcs, at a time


class Endpoints:
    """Where the messages of a result begin and end, on the vertices of its network.

    Parameters
    ----------
    reverse
        Whether of its reductions, followed backwards from the root, else of its multicasts.
    """

    def __init__(self, result: FlowResult, *, reverse: bool) -> None:
        package = result.package
        nodes = [*package.nodes, *package.memories]
        self.names = [node.name for node in nodes]
        capable = "reduces" if reverse else "replicates"
        self.helps = np.array([bool(getattr(node, capable, False)) for node in nodes])
        starts = {node.name: i for i, node in enumerate(package.nodes)}
        stops = starts | {stack.name: len(starts) + i for i, stack in enumerate(package.memories)}
        at_root, at_member = (stops, starts) if reverse else (starts, stops)
        names = result.traffic.endpoints
        self.node = np.array([starts[name] for name in names])
        self.root_of = np.array([at_root[name] for name in names])
        self.member_of = np.array([at_member[name] for name in names])

    def members(self, sets: DestinationSets, messages: Ints) -> Bools:
        """Return which endpoints each message has to reach, its root left out, [messages, endpoints]."""
        part = DestinationSets(sets.root[messages], sets.members[messages], sets.bytes[messages])
        members = part.contains(len(self.node))
        members[self.node[part.root][:, None] == self.node[None, :]] = False
        return members


class MessageFollower:
    """Counts what multicasts, or reductions, put on the arcs of a network, and notes what does not arrive.

    Parameters
    ----------
    result
        Result whose trees are followed.
    sets
        Its multicasts, or its reductions.
    reverse
        Whether they are reductions.
    """

    def __init__(self, result: FlowResult, sets: DestinationSets, *, reverse: bool) -> None:
        self.sets, self.reverse = sets, reverse
        self.faults: list[str] = []
        self.ends = ends = Endpoints(result, reverse=reverse)
        self.helps, self.names, self.size = ends.helps, ends.names, len(ends.names)
        network = result.network
        self.begin, self.finish = (network.head, network.tail) if reverse else (network.tail, network.head)
        self.load = np.zeros(len(network.tail))
        self.from_root = np.zeros(len(result.package.nodes))
        self.at_members = np.zeros(len(result.package.nodes))
        self.followed = np.zeros(len(sets))
        self.relay = np.zeros((self.size, self.size))  # from the vertex of a root to where its tree starts

    def follow(self, trees: tuple[Tree, ...], branches: tuple[Branches, ...]) -> None:
        """Follow all messages; each must follow its path as a whole."""
        for tree in trees:
            if tree.reverse == self.reverse:
                self._follow_tree(tree)
        for ways in branches:
            if ways.reverse == self.reverse:
                self._follow_ways(ways)
        np.fill_diagonal(self.relay, 0.0)
        owed = (self.sets.bytes > 0) & self._reaches()
        lost = np.flatnonzero(owed & (np.abs(self.followed - 1) > 1e-9))
        if len(lost):
            name = self.names[self.ends.root_of[self.sets.root[lost[0]]]]
            share = self.followed[lost[0]]
            self.faults.append(f"{share:.6g} of a message of {name!r} is routed ({len(lost)} such messages)")

    def _reaches(self) -> Bools:
        """Return which messages have anybody to reach but their roots, [messages]."""
        return np.concatenate(
            [
                self.ends.members(self.sets, np.arange(len(self.sets))[chunk]).any(axis=1)
                for chunk in _chunks(self.sets.root, self.size)
            ]
        )

    def _follow_tree(self, tree: Tree) -> None:
        """Follow messages from their members to the start of a tree, its far nodes first."""
        vertex = np.where(tree.arc >= 0, self.finish[tree.arc], tree.start)
        before = np.where(tree.arc >= 0, self.begin[tree.arc], -1)
        number = np.arange(len(tree.arc))
        joined = (tree.parent[1:] < number[1:]) & (before[1:] == vertex[tree.parent[1:]])
        if tree.arc[0] >= 0 or (tree.arc[1:] < 0).any() or (tree.parent[1:] < 0).any() or not joined.all():
            self.faults.append(f"a tree from {self.names[tree.start]!r} does not hang together")
            return
        ends = tree.ends >= 0
        right = np.where(ends, vertex[tree.ends] == self.ends.member_of, False)
        for chunk in _chunks(tree.messages, len(vertex)):
            messages, share = tree.messages[chunk], tree.shares[chunk]
            members = self.ends.members(self.sets, messages)
            lost = np.flatnonzero(members.any(axis=0) & ~right)
            if len(lost):
                names = self.names[tree.start], self.names[self.ends.member_of[lost[0]]]
                self.faults.append(f"a message via {names[0]!r} does not reach {names[1]!r}")
                return
            amount = share * self.sets.bytes[messages]
            held = np.ascontiguousarray(members.T, dtype=float)
            copies = np.zeros((len(vertex), len(messages)))
            for bit in np.flatnonzero(right):
                copies[tree.ends[bit]] += held[bit]
            for node in number[::-1]:
                here = copies[node]
                if self.helps[vertex[node]]:
                    np.minimum(here, 1.0, out=here)
                if node:
                    copies[tree.parent[node]] += here
            np.add.at(self.load, tree.arc[1:], _weighed(copies[1:], amount))
            roots = self.sets.root[messages]
            sent = np.bincount(roots, copies[0] * amount, len(self.ends.node))
            np.add.at(self.from_root, self.ends.node, sent)
            np.add.at(self.relay[:, tree.start], self.ends.root_of, sent)
            np.add.at(self.at_members, self.ends.node, _weighed(held, amount))
            np.add.at(self.followed, messages, share)

    def _follow_ways(self, ways: Branches) -> None:
        """Check that copies reach every member along each way, none made but where a node can."""
        most = int(np.diff(ways.begins).max(initial=0))
        for chunk in _chunks(ways.messages, self.size + most):
            messages, share = ways.messages[chunk], ways.shares[chunk]
            arcs = ways.arcs[ways.begins[chunk.start] : ways.begins[chunk.stop]]
            way = np.repeat(np.arange(len(messages)), np.diff(ways.begins[chunk.start : chunk.stop + 1]))
            shape = (len(messages), self.size)
            begin, finish = way * self.size + self.begin[arcs], way * self.size + self.finish[arcs]
            into = np.bincount(finish, minlength=shape[0] * shape[1]).reshape(shape)
            out_of = np.bincount(begin, minlength=shape[0] * shape[1]).reshape(shape)
            members = self.ends.members(self.sets, messages)
            needed = out_of.copy()
            np.add.at(needed.T, self.ends.member_of, members.T)
            needed = np.where(self.helps, np.minimum(needed, 1), needed)
            root = self.ends.root_of[self.sets.root[messages]]
            rows = np.arange(len(messages))
            sends = needed[rows, root]
            passing = into[rows, root]  # copies made elsewhere that come by the root are not sent again
            from_root = np.where(sends > 0, np.maximum(sends - passing, 1), 0)
            reached = np.zeros(shape, bool)
            reached[rows, root] = True
            fresh, known = True, reached.ravel()
            while fresh:
                ahead = finish[known[begin] & ~known[finish]]
                fresh = len(ahead) > 0
                known[ahead] = True
            lacks = (needed > 0) & (~reached | (into < needed))
            lacks[rows, root] = False
            if lacks.any() or (share < 0).any():
                row, vertex = (int(x) for x in np.argwhere(lacks)[0]) if lacks.any() else (0, 0)
                self.faults.append(
                    f"a message of {self.names[root[row]]!r} lacks copies at {self.names[vertex]!r}"
                )
                return
            amount = share * self.sets.bytes[messages]
            self.load += np.bincount(arcs, amount[way], len(self.load))
            np.add.at(self.from_root, self.ends.node[self.sets.root[messages]], amount * from_root)
            held = np.ascontiguousarray(members.T, dtype=float)
            np.add.at(self.at_members, self.ends.node, _weighed(held, amount))
            np.add.at(self.followed, messages, share)


def _weighed(rows: Floats, amount: Floats) -> Floats:
    """Return rows @ amount by one thread: on a busy machine, those of BLAS wait for each other."""
    total: Floats = np.einsum("ij,j->i", rows, amount)
    return total


def _chunks(messages: Ints, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // max(1, width))
    return (slice(i, min(i + step, len(messages))) for i in range(0, len(messages), step))
