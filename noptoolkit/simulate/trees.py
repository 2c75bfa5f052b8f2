"""Trees of multicasts and reductions as groups: the copies, or the partial sums, on each channel.

The model is that of `noptoolkit.flow.trees.message_loads`. A node of a tree that copies needs one packet for
all members below it; one that does not needs a packet for every packet that its children need. So each arc of
a tree carries *groups*, disjoint sets of members, and a message has one packet in each group that its set
meets. A packet of a multicast parts into the groups below its own; the packets of a reduction come together
in the group above theirs, where a switch adds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import RoutingError
from noptoolkit.routing.problem import Messages
from noptoolkit.routing.solution import Tree
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.planes import planes_of
from noptoolkit.simulate.ports import Ports

__all__ = ["Forest", "forest_of"]

MOST_BRANCHES = 62


@dataclass(frozen=True, eq=False)
class Forest:
    """The groups of all trees.

    Parameters
    ----------
    rows
        For the engine, [groups, 8].
    masks
        Members of each group as bits, [groups, words].
    out
        Output port of each group, -1 where it is injected, [groups].
    reverse
        Whether each group is of a reduction, [groups].
    first
        First group of each tree, and one past the last, [trees + 1].
    roots
        How many groups stand at the root of each tree, the first of it, [trees].
    leaf
        Group of each endpoint in each tree, -1 without, [trees, endpoints].
    planes
        For each tree that was given, those made of it, one for each plane of parallel channels, with its
        share.
    classes
        Classes of VCs that the groups need.
    """

    rows: Ints
    masks: Ints
    out: Ints
    reverse: Ints
    first: Ints
    roots: Ints
    leaf: Ints
    planes: tuple[tuple[tuple[int, float], ...], ...] = ()
    classes: int = 1

    @property
    def most_branches(self) -> int:
        """Most groups below one."""
        return int(self.rows[:, c.G_COUNT].max(initial=0))

    def pairs(self) -> tuple[Ints, Ints]:
        """Return the pairs of output ports that packets use one after the other."""
        below = np.flatnonzero(self.rows[:, c.G_PARENT] >= 0)
        above = self.rows[below, c.G_PARENT]
        below, above = (np.where(self.reverse[below], x, y) for x, y in ((above, below), (below, above)))
        holds, asks = self.out[above], self.out[below]
        both = (holds >= 0) & (asks >= 0)
        pairs = np.unique(np.stack([holds[both], asks[both]]), axis=1)
        return pairs[0], pairs[1]

    def with_classes(self, rank: Ints | None, arc_out: Ints) -> Forest:
        """Return the same with the class of VCs that each group takes under an order of channels."""
        rows = self.rows.copy()
        cls = np.zeros(len(rows), np.int64)
        inner = (self.out >= 0) & (arc_out[np.maximum(self.out, 0)] >= 0)
        parent = rows[:, c.G_PARENT]
        if rank is not None:
            for g in range(len(rows)):
                p = int(parent[g])
                if not self.reverse[g] and p >= 0 and inner[g]:
                    cls[g] = cls[p] + (inner[p] and rank[self.out[g]] <= rank[self.out[p]])
            for g in range(len(rows) - 1, -1, -1):
                p = int(parent[g])
                if self.reverse[g] and p >= 0 and inner[p]:
                    turn = inner[g] and rank[self.out[p]] <= rank[self.out[g]]
                    cls[p] = max(cls[p], cls[g] + turn)
        rows[:, c.G_CLASS] = np.where(inner, cls, c.ANY_CLASS)
        return replace(self, rows=rows, classes=int(cls.max(initial=0)) + 1)

    def with_all(self, every: int) -> Forest:
        """Return the same with the number of the class that stands for all."""
        rows = self.rows.copy()
        rows[rows[:, c.G_CLASS] == c.ANY_CLASS, c.G_CLASS] = every
        return replace(self, rows=rows)


class _Group:
    """A group on its way into the arrays."""

    def __init__(self, mask: int, below: list[_Group], out: int) -> None:
        self.mask, self.below, self.out = mask, below, out


def forest_of(ports: Ports, trees: Sequence[tuple[Tree, Messages, int]]) -> Forest:
    """Return the groups of trees, each with what travels along it and the endpoint that is its root.

    Raises
    ------
    RoutingError
        If a node has more than 62 groups below it.
    """
    count = len(ports.endpoints)
    words = -(-count // 64)
    rows: list[tuple[int, int, int, int, int]] = []
    masks: list[int] = []
    outs: list[int] = []
    reverse: list[bool] = []
    first, roots = [0], []
    first_out = np.r_[ports.first_out[ports.router_of_out], 0]
    planes: list[tuple[tuple[int, float], ...]] = []
    grown: list[tuple[list[_Group], Messages]] = []
    for tree, part, root in trees:
        at = len(grown)
        split = planes_of(ports, tree.arc[1:].tolist())
        grown += [(_grow(ports, tree, part, root, port), part) for port, _ in split]
        planes.append(tuple((at + k, float(share)) for k, (_, share) in enumerate(split)))
    leaf = np.full((len(grown), count), -1)
    for number, (top, part) in enumerate(grown):
        queue: list[tuple[_Group, int]] = [(group, -1) for group in top]
        roots.append(len(top))
        at = len(rows)
        following = at + len(top)
        for group, parent in queue:
            if len(group.below) > MOST_BRANCHES:
                raise RoutingError(
                    f"package {ports.network.package.name!r}: a multicast has {len(group.below)} copies at "
                    "one "
                    f"router, {MOST_BRANCHES} are the most; split it, or let more routers copy"
                )
            me = len(rows)
            local = group.out - int(first_out[group.out]) if group.out >= 0 else 0
            rows.append((local, following, len(group.below), parent, 0))
            masks.append(group.mask)
            outs.append(group.out)
            reverse.append(part.reverse)
            queue += [(child, me) for child in group.below]
            following += len(group.below)
            if not group.below:
                leaf[number, group.mask.bit_length() - 1] = me
        first.append(len(rows))
    flat = b"".join(mask.to_bytes(8 * words, "little") for mask in masks)
    table = np.zeros((len(rows), 8), np.int64)
    table[:, :5] = np.array(rows, np.int64).reshape(-1, 5)
    return Forest(
        rows=table,
        masks=np.frombuffer(flat, dtype="<i8").astype(np.int64).reshape(len(rows), words),
        out=np.array(outs, np.int64),
        reverse=np.array(reverse, np.int64),
        first=np.array(first, np.int64),
        roots=np.array(roots, np.int64),
        leaf=leaf,
        planes=tuple(planes),
    )


def _grow(ports: Ports, tree: Tree, part: Messages, root: int, port: dict[int, int]) -> list[_Group]:
    """Return the groups at the root of a tree, with those below, over given ports of its arcs."""
    network = ports.network
    far = network.tail if part.reverse else network.head
    below: list[list[_Group]] = [[] for _ in tree.arc]
    for bit, node in enumerate(tree.ends.tolist()):
        if node >= 0:
            below[node].append(_Group(1 << bit, [], -1 if part.reverse else int(ports.eject[bit])))
    for node in range(len(tree.arc) - 1, -1, -1):
        arc = int(tree.arc[node])
        vertex = int(far[arc]) if node else tree.start
        out = port[arc] if node else int(ports.eject[root]) if part.reverse else -1
        groups = below[node]
        if len(groups) > 1 and part.helps[vertex]:
            union = 0
            for group in groups:
                union |= group.mask
            groups = [_Group(union, groups, out)]
        else:
            groups = [_Group(group.mask, [group], out) for group in groups]
        if node == 0:
            return groups
        below[int(tree.parent[node])] += groups
    return []
