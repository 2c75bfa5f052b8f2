"""What messages along trees put on a network, by counting.

The model. A vertex that replicates needs a message once if anything of its set lies below it; a vertex that
does not needs one copy for itself, if it is in the set, and every copy that its children need. So each arc
of a tree has *groups*, disjoint parts of what lies below it, and carries one copy for each group that the set
meets. A reduction is the same backwards, with vertices that add partial results.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.network import FlowNetwork
from noptoolkit.flow.problem import Messages, RoutingProblem, membership

__all__ = ["Branches", "LoadSum", "Tree", "TreeLoads"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROOT = -1  # stands for the root's own injection (or ejection) among the arcs of a tree
MEMBER = -2  # and this for each end point's, bit by bit
MANY = 20_000  # messages from which compiled loops pay for loading numba


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree that messages follow; its nodes are the paths of `noptoolkit.flow.trees.message_paths`.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    start
        Vertex of node 0: that of their root, or of a node between under ``valiant``.
    parent, arc
        The node before each, and the arc from there, -1 for node 0; parents first, [nodes].
    ends
        The node at which a copy for each end point ends, -1 without, [endpoints].
    messages
        Indices into the traffic's multicasts or reductions.
    shares
        The share of each that goes this way, [messages].
    """

    reverse: bool
    start: int
    parent: Ints
    arc: Ints
    ends: Ints
    messages: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shares: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class Branches:
    """The ways of some messages, one by one, or of shares of them.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    messages, shares
        Indices into the traffic's multicasts or reductions, and the share of each one's bytes, [ways].
    begins
        Where the arcs of each way begin, [ways + 1].
    arcs
        All their arcs; one that carries two copies stands twice.
    """

    reverse: bool
    messages: Ints
    shares: Floats
    begins: Ints
    arcs: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TreeLoads:
    """What messages along trees put on a network.

    Parameters
    ----------
    arc_load
        In B, [arcs].
    injected, ejected
        What each node sends and receives, in B, [nodes].
    trees
        That messages follow together; or
    branches
        The ways of single messages; ``None`` where they are too many to keep.
    """

    arc_load: Floats
    injected: Floats
    ejected: Floats
    trees: tuple[Tree, ...] = ()
    branches: tuple[Branches, ...] | None = ()

    def use(self, network: FlowNetwork) -> Floats:
        """Return what the messages use of each resource, in B, [resources]."""
        on_arcs = network.on_arcs @ self.arc_load
        use: Floats = on_arcs + network.on_injected @ self.injected + network.on_ejected @ self.ejected
        return use


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


def _groups(network: FlowNetwork, part: Messages, tree: Tree) -> tuple[Ints, NDArray[np.uint64], Ints]:
    """Return the arc of each group of a tree, the distinct bit sets, and which of them each group is.

    Shapes are [groups], [sets, words] and [groups]. Groups of the root have arc ``ROOT``; one per end point
    follows, with arc ``MEMBER``.
    """
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


def _bytes_that_meet(part: Messages, rows: Ints, bit_sets: NDArray[np.uint64]) -> Floats:
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
