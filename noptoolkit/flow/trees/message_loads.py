"""What messages along trees put on a network, by counting.

The model. A vertex that replicates needs a message once if anything of its set lies below it; a vertex that
does not needs one copy for itself, if it is in the set, and every copy that its children need. So each arc
of a tree has *groups*, disjoint parts of what lies below it, and carries one copy for each group that the set
meets. A reduction is the same backwards, with vertices that add partial results.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from noptoolkit._arrays import Bits, Floats, Ints
from noptoolkit.flow.bounds.certificate import MANY
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.problem import Messages, RoutingProblem, membership
from noptoolkit.routing.solution import Tree, TreeLoads

__all__ = ["LoadSum"]


ROOT = -1  # stands for the root's own injection (or ejection) among the arcs of a tree
MEMBER = -2  # and this for each endpoint's, bit by bit


class LoadSum:
    """What trees put on a network, added up."""

    def __init__(self, problem: RoutingProblem) -> None:
        self.network = network = problem.network
        self.arc = np.zeros(network.num_arcs)
        nodes = len(network.origin)
        self.injected, self.ejected = np.zeros(nodes), np.zeros(nodes)
        self.trees: list[Tree] = []

    def total(self) -> TreeLoads:
        """Return the sum."""
        return TreeLoads(self.arc, self.injected, self.ejected, tuple(self.trees))

    def add(self, part: Messages, tree: Tree, rows: Ints, roots: Ints, share: float) -> Floats:
        """Add a share of some messages along a tree; return what each node as a root sends, [nodes].

        Parameters
        ----------
        rows, roots
            The messages and their roots, [rows].
        """
        self.trees.append(dataclasses.replace(tree, messages=rows, shares=np.full(len(rows), share)))
        at_root, far = (self.ejected, self.injected) if part.reverse else (self.injected, self.ejected)
        arcs, bit_sets, which = _groups(self.network, part, tree)
        met = share * _bytes_that_meet(part, rows, bit_sets)
        on_tree = arcs >= 0
        np.add.at(self.arc, arcs[on_tree], met[which[on_tree]])
        sent = np.zeros_like(at_root)
        if len(rows) and (roots == roots[0]).all():
            sent[roots[0]] = met[which[arcs == ROOT]].sum()
        else:
            members, amount = part.members[rows], share * part.bytes[rows]
            for mask in bit_sets[which[arcs == ROOT]]:
                sent += np.bincount(roots, amount * (members & mask).any(axis=1), len(sent))
        at_root += sent
        np.add.at(far, part.endpoints, np.where(tree.ends >= 0, met[which[arcs == MEMBER]], 0.0))
        return sent


def _groups(network: FlowNetwork, part: Messages, tree: Tree) -> tuple[Ints, Bits, Ints]:
    """Return the arc of each group of a tree, the distinct bit sets, and which of them each group is.

    Shapes are [groups], [sets, words] and [groups]. Groups of the root have arc ``ROOT``; one per endpoint
    follows, with arc ``MEMBER``.
    """
    # A group is a set of endpoints that one copy on an arc serves: the arc carries one copy of each message
    # that has a member in it. Nodes of the tree are numbered after their parents, so the loop from the last
    # to the first sees all groups below a node before the node. A node that can copy (or add) merges what is
    # below it into one group: one copy in, several out. A node that cannot needs a copy in for each out, so
    # it passes the groups up as they are. That holds for every message to any subset, so a tree is worked
    # out once for all messages that follow it.
    words = part.members.shape[1]
    far = network.tail if part.reverse else network.head
    below: list[list[int]] = [[] for _ in tree.arc]
    own: dict[int, int] = {}
    for bit, end in enumerate(tree.ends.tolist()):
        if end >= 0:
            own[end] = own.get(end, 0) | (1 << bit)
    for end, mask in own.items():
        below[end].append(mask)
    groups: list[tuple[int, int]] = []
    for node in range(len(tree.arc) - 1, -1, -1):
        masks, arc = below[node], int(tree.arc[node])
        if len(masks) > 1 and part.helps[tree.start if arc < 0 else far[arc]]:
            union = 0
            for mask in masks:
                union |= mask
            masks = [union]
        groups += [(arc if node else ROOT, mask) for mask in masks]
        if node:
            below[int(tree.parent[node])] += masks
    groups += [(MEMBER, 1 << bit) for bit in range(len(part.endpoints))]
    place: dict[int, int] = {}  # a chiplet and the channel that leads to it alone meet the same messages
    which = [place.setdefault(mask, len(place)) for _, mask in groups]
    packed = b"".join(mask.to_bytes(8 * words, "little") for mask in place)
    bit_sets = np.frombuffer(packed, dtype="<u8").astype(np.uint64).reshape(len(place), words)
    return np.array([arc for arc, _ in groups], np.int64), bit_sets, np.array(which, np.int64)


def _bytes_that_meet(part: Messages, rows: Ints, bit_sets: Bits) -> Floats:
    """Return the bytes of the messages that meet each of some bit sets, [sets]."""
    members, amount = part.members, part.bytes
    if len(part.root) < MANY:
        members, amount = members[rows], amount[rows]
        return np.array([float(amount[(members & mask).any(axis=1)].sum()) for mask in bit_sets])
    from noptoolkit.flow.trees import compiled_trees

    met = np.zeros(len(bit_sets))
    if members.shape[1] <= 2:
        masks = np.zeros((2, len(bit_sets)), np.uint64)
        masks[: members.shape[1]] = bit_sets.T
        compiled_trees.meet_narrow_sets(rows, members, amount, masks, met)
    else:
        holds = np.stack([membership(bit_sets, bit) for bit in range(64 * members.shape[1])])
        words = np.packbits(holds, axis=1, bitorder="little")
        words = np.pad(words, [(0, 0), (0, -words.shape[1] % 8)]).view("<u8").astype(np.uint64)
        compiled_trees.meet_wide_sets(rows, members, amount, words, met)
    return met
