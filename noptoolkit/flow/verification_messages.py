"""Messages followed one by one along the trees of a result; see `noptoolkit.flow.verification`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.multicast import Branch, Tree
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["MessageFollower"]

Floats = NDArray[np.float64]


class MessageFollower:
    """Counts what messages put on the arcs of a network, and notes what does not arrive.

    Parameters
    ----------
    result
        Whose trees are followed.
    parts
        Its multicasts (key False) and reductions (True).
    """

    def __init__(self, result: FlowResult, parts: Mapping[bool, DestinationSets]) -> None:
        self.result, self.package, self.parts = result, result.package, parts
        self.faults: list[str] = []
        self.start = dict(self.package.index)
        size = len(self.package.nodes)
        self.end = self.start | {stack.name: size + i for i, stack in enumerate(self.package.memories)}
        self.names = [node.name for node in (*self.package.nodes, *self.package.memories)]

    def follow_all(self) -> tuple[Floats, Floats, Floats]:
        """Return the load of each arc, and what each node sends and receives, in B."""
        trees = self.result.routed.trees
        load = np.zeros(len(trees.arc_load))
        sent, received = np.zeros(len(self.package.nodes)), np.zeros(len(self.package.nodes))
        for branch in trees.branches or ():
            self._follow_branch(branch, load, sent, received)
        for tree in trees.trees:
            for number, share in zip(tree.messages, tree.shares, strict=True):
                self._follow(tree, int(number), float(share), load, sent, received)
        return load, sent, received

    def _follow(
        self, tree: Tree, number: int, share: float, load: Floats, sent: Floats, received: Floats
    ) -> None:
        sets, reverse = self.parts[tree.reverse], tree.reverse
        network, traffic = self.result.network, self.result.traffic
        capable = "reduces" if reverse else "replicates"
        root_name = traffic.endpoints[int(sets.root[number])]
        amount = share * float(sets.bytes[number])
        root = self.end[root_name] if reverse else self.start[root_name]
        near_end, far_end = (network.head, network.tail) if reverse else (network.tail, network.head)
        words = sets.members[number]
        names = {name for i, name in enumerate(traffic.endpoints) if int(words[i // 64]) >> (i % 64) & 1}
        names.discard(root_name)
        needed: dict[int, set[str]] = {}  # arcs and the members beyond, one walk per member
        for name in names:
            here = self.start[name] if reverse else self.end[name]
            for _ in range(len(self.names)):
                if here == root:
                    break
                arc = int(tree.parent_arc[here])
                if arc < 0:
                    break
                needed.setdefault(arc, set()).add(name)
                here = int(near_end[arc])
            if here != root:
                self.faults.append(f"a message of {root_name!r} does not reach {name!r}")
                return
            at_member = sent if reverse else received
            at_member[self.package.index[name]] += amount

        def copies(vertex: int) -> int:
            own = self.names[vertex] in names and vertex != root
            count = own + sum(carried(arc) for arc in needed if int(near_end[arc]) == vertex)
            node = self.package[self.names[vertex]]
            return min(count, 1) if getattr(node, capable, False) else count

        def carried(arc: int) -> int:
            return copies(int(far_end[arc]))

        for arc in needed:
            load[arc] += amount * carried(arc)
        if names:
            (received if reverse else sent)[self.package.index[root_name]] += amount * copies(root)

    def _follow_branch(self, branch: Branch, load: Floats, sent: Floats, received: Floats) -> None:
        """Check that copies reach every member, none made but where a node can; add what they carry."""
        sets, reverse = self.parts[branch.reverse], branch.reverse
        network, traffic = self.result.network, self.result.traffic
        capable = "reduces" if reverse else "replicates"
        begin, finish = (network.head, network.tail) if reverse else (network.tail, network.head)
        root_name = traffic.endpoints[int(sets.root[branch.message])]
        root = self.end[root_name] if reverse else self.start[root_name]
        words = sets.members[branch.message]
        names = {name for i, name in enumerate(traffic.endpoints) if int(words[i // 64]) >> (i % 64) & 1}
        names.discard(root_name)
        members = {self.start[name] if reverse else self.end[name] for name in names}
        amount = branch.share * float(sets.bytes[branch.message])
        into = np.bincount(finish[branch.arcs], branch.copies, len(self.names))
        out_of = np.bincount(begin[branch.arcs], branch.copies, len(self.names))
        reached, frontier = {root}, [root]
        while frontier:
            here = frontier.pop()
            ahead = set(finish[branch.arcs[begin[branch.arcs] == here]].tolist()) - reached
            reached |= ahead
            frontier += ahead
        for vertex in {*members, *begin[branch.arcs].tolist()} - {root}:
            needed = out_of[vertex] + (vertex in members)
            if getattr(self.package[self.names[vertex]], capable, False):
                needed = min(needed, 1)
            if vertex not in reached or into[vertex] < needed:
                self.faults.append(f"a message of {root_name!r} lacks copies at {self.names[vertex]!r}")
                return
        load[branch.arcs] += amount * branch.copies
        copies = out_of[root]
        if getattr(self.package[root_name], capable, False):
            copies = min(copies, 1)
        (received if reverse else sent)[self.package.index[root_name]] += amount * copies
        for name in names:
            (sent if reverse else received)[self.package.index[name]] += amount
