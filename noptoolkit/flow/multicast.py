"""Multicast and in-network reduction along trees: exact loads, and a bound that holds for every tree.

The model. A multicast from root r to a set M follows a tree rooted at r. A vertex that replicates needs
the message once if anything of M lies below it; a vertex that does not needs one copy for itself, if it
is in M, and every copy that its children need. So each arc of the tree has *groups*, disjoint parts of
what lies below it, and carries one copy for each group that M meets. A reduction is the same backwards,
with vertices that add partial results.

Whatever the trees, prices y cost a message at least its farthest member's distance, so the bound of
`noptoolkit.flow.certificate` counts that; on a network without cycles the tree is unique and its exact
cost counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.forwarding import Forwarding, ForwardingRule
from noptoolkit.flow.network import FlowNetwork
from noptoolkit.flow.problem import Messages, RoutingProblem, membership

__all__ = ["Branches", "Tree", "TreeLoads", "farthest_member_cost", "tree_loads"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROOT = -1  # stands for the root's own injection (or ejection) among the arcs of a tree
MEMBER = -2  # and this for each end point's, bit by bit
MANY = 20_000  # messages from which compiled loops pay for loading numba


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree that messages of one root follow.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    parent_arc
        The arc that ties each vertex to the tree, on the side of the root, -1 without, [vertices].
    messages
        Indices into the traffic's multicasts or reductions.
    shares
        The share of each that goes this way, [messages].
    """

    reverse: bool
    parent_arc: Ints
    messages: Ints
    shares: Floats


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
        That all messages of a root follow; or
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


def tree_loads(problem: RoutingProblem, rule: ForwardingRule) -> TreeLoads:
    """Return the loads of all messages of a problem along the trees of a forwarding rule.

    A tree is the union of the rule's paths between its root and the end points; where several arcs share, the
    one with the largest share is taken (the lowest channel index on a tie).
    """
    network = problem.network
    load = np.zeros(network.num_arcs)
    nodes = len(network.origin)
    injected, ejected = np.zeros(nodes), np.zeros(nodes)
    trees = []
    for part in problem.messages:
        for root, rows, parent_arc, order in _trees(network, part, rule):
            trees.append(Tree(part.reverse, parent_arc, rows, np.ones(len(rows))))
            at_root, far = (ejected, injected) if part.reverse else (injected, ejected)
            arcs, bit_sets, which = _groups(network, part, root, parent_arc, order)
            met = _bytes_that_meet(part, rows, bit_sets)[which]
            on_tree = arcs >= 0
            np.add.at(load, arcs[on_tree], met[on_tree])
            at_root[root] += met[arcs == ROOT].sum()
            np.add.at(far, part.endpoints, np.where(part.endpoints == root, 0.0, met[arcs == MEMBER]))
    return TreeLoads(load, injected, ejected, tuple(trees))


def _trees(
    network: FlowNetwork, part: Messages, rule: ForwardingRule
) -> Iterator[tuple[int, Ints, Ints, Ints]]:
    """Yield each root, its messages, the arc that ties each vertex to the tree, vertices far first."""
    count = np.bincount(part.root)
    roots = np.flatnonzero(count)
    narrow = np.min_scalar_type(len(count))  # short integers are sorted by radix, far faster
    by_root = np.split(np.argsort(part.root.astype(narrow), kind="stable"), np.cumsum(count[roots])[:-1])
    if part.reverse:
        targets = network.destination[roots]
    else:
        targets = network.destination[part.endpoints]
    choice = _largest_share(network, rule(network, targets))
    for i, root in enumerate(roots):
        if part.reverse:
            parent_arc, hops = _in_tree(network, choice[i], int(targets[i]))
        else:
            parent_arc, hops = _out_tree(network, choice, int(network.origin[root]))
        order = np.argsort(-hops, kind="stable")
        yield int(root), by_root[i], parent_arc, order[hops[order] > 0]


def _largest_share(network: FlowNetwork, forwarding: Forwarding) -> Ints:
    """Return the arc that each vertex takes to each destination, -1 without, [destinations, vertices]."""
    choice = np.full((len(forwarding.destinations), network.num_vertices), -1)
    best = np.lexsort((-forwarding.arc, forwarding.share))  # the last one written stays
    best = best[forwarding.tail[best] < network.num_vertices]
    choice[forwarding.to[best], forwarding.tail[best]] = forwarding.arc[best]
    return choice


def _out_tree(network: FlowNetwork, choice: Ints, origin: int) -> tuple[Ints, Ints]:
    parent_arc = np.full(network.num_vertices, -1)
    hops = np.zeros(network.num_vertices, np.int64)
    here = np.full(len(choice), origin)
    walking = np.arange(len(choice))
    for step in range(1, network.num_vertices + 1):
        arcs = choice[walking, here[walking]]
        walking, arcs = walking[arcs >= 0], arcs[arcs >= 0]
        if len(walking) == 0:
            break
        heads = network.head[arcs]
        fresh = (parent_arc[heads] < 0) & (heads != origin)
        vertices, first = np.unique(heads[fresh], return_index=True)
        parent_arc[vertices] = arcs[fresh][first]
        hops[vertices] = step
        here[walking] = heads
    return parent_arc, hops


def _in_tree(network: FlowNetwork, choice: Ints, destination: int) -> tuple[Ints, Ints]:
    hops = np.zeros(network.num_vertices, np.int64)
    here = np.arange(network.num_vertices)
    while True:
        arcs = choice[here]
        moving = (arcs >= 0) & (here != destination)
        if not moving.any():
            break
        hops[moving] += 1
        here[moving] = network.head[arcs[moving]]
    hops[here != destination] = 0
    return choice, hops


def _groups(
    network: FlowNetwork, part: Messages, root: int, parent_arc: Ints, order: Ints
) -> tuple[Ints, NDArray[np.uint64], Ints]:
    """Return the arc of each group of a tree, the distinct bit sets, and which of them each group is.

    Shapes are [groups], [sets, words] and [groups]. Groups of the root have arc ``ROOT``; one per end point
    follows, with arc ``MEMBER``.
    """
    words = part.members.shape[1]
    near = network.head if part.reverse else network.tail
    own: dict[int, int] = {}
    for bit, node in enumerate(part.endpoints):
        vertex = int((network.origin if part.reverse else network.destination)[node])
        if node != root:
            own[vertex] = own.get(vertex, 0) | (1 << bit)
    below: dict[int, list[int]] = {vertex: [mask] for vertex, mask in own.items()}
    groups: list[tuple[int, int]] = []
    root_vertex = int((network.destination if part.reverse else network.origin)[root])
    for vertex in [*order.tolist(), root_vertex]:
        masks = below.get(vertex, [])
        if part.helps[vertex] and len(masks) > 1:
            union = 0
            for mask in masks:
                union |= mask
            masks = [union]
        arc = ROOT if vertex == root_vertex else int(parent_arc[vertex])
        groups += [(arc, mask) for mask in masks]
        if arc != ROOT:
            below.setdefault(int(near[arc]), []).extend(masks)
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
    from noptoolkit.flow import compiled_trees

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


def farthest_member_cost(problem: RoutingProblem, distance_from: Callable[[Ints, bool], Floats]) -> float:
    """Return the sum over messages of bytes times the distance of the farthest member.

    Parameters
    ----------
    distance_from
        Gives distances [roots, vertices] from some vertices, or (second argument true) to them.
    """
    network = problem.network
    total = 0.0
    for part in problem.messages:
        roots, row = np.unique(part.root, return_inverse=True)
        ends = (network.destination if part.reverse else network.origin)[roots]
        others = (network.origin if part.reverse else network.destination)[part.endpoints]
        distance = distance_from(ends, part.reverse)[:, others]
        distance[roots[:, None] == part.endpoints[None, :]] = 0.0
        farthest = np.zeros(len(row))
        for bit in range(len(part.endpoints)):
            reach = np.where(membership(part.members, bit), distance[row, bit], 0.0)
            np.maximum(farthest, reach, out=farthest)
        total += float(part.bytes @ farthest)
    return total
