"""The schedule of collectives: trees, what each carries, and the physical paths of their hops.

A *tree* carries ``amount`` bytes between the members that it spans, in *hops*. A hop is a path of channels
from a node that holds the data to one that needs it; relays on the path only forward. Hops are listed in
an order in which they can be done:

* a spreading tree starts at its root: the sender of a hop has received the data in an earlier hop;
* a collecting tree ends at its root: a member sends once, after everything that it adds has arrived;
* an all-reduce is pairs of trees: the spreading tree ``after`` the collecting tree of the same bytes;
* an exchange is trees of a single hop.

All trees move at the same time, each at the rate amount / T, which keeps the load of every channel within T
times its bandwidth: that is the fluid time of the schedule. In chunks, time is added for filling and
draining (`noptoolkit.collectives.chunks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.network import FlowNetwork

__all__ = ["CollectiveSchedule", "Tree", "TreeRows", "join_schedules", "schedule_of_trees"]


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree of a schedule, by names.

    Parameters
    ----------
    request
        Index of the request that it serves.
    root
        Node at which it starts, or ends if it collects.
    collects
        Whether data flows to the root and is added on the way.
    amount
        Bytes that it carries, in B.
    part
        Member whose share these bytes are (for an exchange, the receiver); empty for an all-reduce.
    hops
        Nodes of each hop's path, in an order in which the hops can be done.
    after
        Index of the tree that must end before; -1 for none.
    """

    request: int
    root: str
    collects: bool
    amount: float = field(metadata={"unit": "B"})
    part: str
    hops: tuple[tuple[str, ...], ...]
    after: int = -1


@dataclass(frozen=True, eq=False, repr=False)
class CollectiveSchedule:
    """Trees in arrays; iterate over it for `Tree` values.

    Parameters
    ----------
    network
        Whose vertices and arcs the arrays count.
    request, root, part
        Index of the request, vertex of the root and vertex of the share's owner (-1 for none), [trees].
    collects
        Whether each tree collects, [trees].
    amount
        Bytes of each tree, in B, [trees].
    after
        Tree that must end before each, -1 for none, [trees].
    hop_start
        Where the hops of each tree begin, [trees + 1].
    path_start, arcs
        Where the arcs of each hop begin, [hops + 1]; arcs of the network, hop after hop.
    """

    network: FlowNetwork
    request: Ints
    root: Ints
    part: Ints
    collects: Bools
    amount: Floats = field(metadata={"unit": "B"})
    after: Ints
    hop_start: Ints
    path_start: Ints
    arcs: Ints

    def __repr__(self) -> str:
        return f"CollectiveSchedule({len(self)} trees, {len(self.path_start) - 1} hops)"

    def __len__(self) -> int:
        return len(self.amount)

    def __iter__(self) -> Iterator[Tree]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Tree:
        name = self.network.node_of_vertex
        hops = []
        for h in range(int(self.hop_start[i]), int(self.hop_start[i + 1])):
            arcs = self.arcs[self.path_start[h] : self.path_start[h + 1]]
            hops.append(
                (name(int(self.network.tail[arcs[0]])), *(name(int(self.network.head[a])) for a in arcs))
            )
        part = int(self.part[i])
        return Tree(
            request=int(self.request[i]),
            root=name(int(self.root[i])),
            collects=bool(self.collects[i]),
            amount=float(self.amount[i]),
            part=name(part) if part >= 0 else "",
            hops=tuple(hops),
            after=int(self.after[i]),
        )

    @property
    def tree_of_hop(self) -> Ints:
        """Tree of each hop, [hops]."""
        return np.repeat(np.arange(len(self)), np.diff(self.hop_start))

    @property
    def senders(self) -> Ints:
        """Vertex at which each hop starts, [hops]."""
        return np.asarray(self.network.tail[self.arcs[self.path_start[:-1]]])

    @property
    def receivers(self) -> Ints:
        """Vertex at which each hop ends, [hops]."""
        return np.asarray(self.network.head[self.arcs[self.path_start[1:] - 1]])

    def use(self) -> Floats:
        """Return what the schedule uses of each resource of the network, in B, [resources]."""
        network = self.network
        by_hop = self.amount[self.tree_of_hop]
        load = np.bincount(self.arcs, np.repeat(by_hop, np.diff(self.path_start)), network.num_arcs)
        nodes = len(network.origin)
        node_of = np.arange(network.num_vertices)
        node_of[network.destination] = np.arange(nodes)
        sent = np.bincount(node_of[self.senders], by_hop, nodes)
        received = np.bincount(node_of[self.receivers], by_hop, nodes)
        return np.asarray(network.on_arcs @ load + network.on_injected @ sent + network.on_ejected @ received)

    def arc_load(self) -> Floats:
        """Return the load of each arc of the network, in B, [arcs]."""
        by_hop = self.amount[self.tree_of_hop]
        lengths = np.diff(self.path_start)
        return np.bincount(self.arcs, np.repeat(by_hop, lengths), self.network.num_arcs).astype(float)

    def depths(self) -> Ints:
        """Return the largest number of channels between the root and a member of each tree, [trees]."""
        deepest = np.zeros(len(self), np.int64)
        senders, receivers, lengths = self.senders, self.receivers, np.diff(self.path_start)
        for i in range(len(self)):
            low, high = int(self.hop_start[i]), int(self.hop_start[i + 1])
            reached: dict[int, int] = {}
            for h in range(low, high):
                from_ = reached.get(int(senders[h]), 0)
                to = int(receivers[h])
                reached[to] = max(reached.get(to, 0), from_ + int(lengths[h]))
            deepest[i] = max(reached.values(), default=0)
        return deepest


@dataclass
class TreeRows:
    """Collects trees one by one; `schedule_of_trees` makes arrays of them."""

    request: list[int] = field(default_factory=list)
    root: list[int] = field(default_factory=list)
    part: list[int] = field(default_factory=list)
    collects: list[bool] = field(default_factory=list)
    amount: list[float] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    hops: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    arcs: list[int] = field(default_factory=list)

    def add(
        self,
        request: int,
        root: int,
        amount: float,
        paths: Iterable[Sequence[int]],
        *,
        collects: bool = False,
        part: int = -1,
        after: int = -1,
    ) -> int:
        """Add a tree of paths of arcs; return its index."""
        count = 0
        for path in paths:
            self.arcs.extend(path)
            self.lengths.append(len(path))
            count += 1
        self.hops.append(count)
        self.request.append(request)
        self.root.append(root)
        self.part.append(part)
        self.collects.append(collects)
        self.amount.append(amount)
        self.after.append(after)
        return len(self.amount) - 1


def schedule_of_trees(network: FlowNetwork, rows: TreeRows) -> CollectiveSchedule:
    """Return collected trees as a schedule."""
    arrays = {
        "request": np.array(rows.request, np.int64),
        "root": np.array(rows.root, np.int64),
        "part": np.array(rows.part, np.int64),
        "collects": np.array(rows.collects, bool),
        "amount": np.array(rows.amount, float),
        "after": np.array(rows.after, np.int64),
        "hop_start": np.r_[0, np.cumsum(np.array(rows.hops, np.int64))].astype(np.int64),
        "path_start": np.r_[0, np.cumsum(np.array(rows.lengths, np.int64))].astype(np.int64),
        "arcs": np.array(rows.arcs, np.int64),
    }
    for array in arrays.values():
        array.flags.writeable = False
    return CollectiveSchedule(network, **arrays)


def join_schedules(parts: Sequence[CollectiveSchedule]) -> CollectiveSchedule:
    """Return several schedules on one network as one, in order; ``after`` is counted anew."""
    trees = np.r_[0, np.cumsum([len(part) for part in parts])]
    hops = np.r_[0, np.cumsum([len(part.path_start) - 1 for part in parts])]
    arcs = np.r_[0, np.cumsum([len(part.arcs) for part in parts])]
    after = [np.where(p.after >= 0, p.after + t, -1) for p, t in zip(parts, trees, strict=False)]
    return CollectiveSchedule(
        parts[0].network,
        request=np.concatenate([part.request for part in parts]),
        root=np.concatenate([part.root for part in parts]),
        part=np.concatenate([part.part for part in parts]),
        collects=np.concatenate([part.collects for part in parts]),
        amount=np.concatenate([part.amount for part in parts]),
        after=np.concatenate(after),
        hop_start=np.r_[
            0, np.concatenate([p.hop_start[1:] + h for p, h in zip(parts, hops, strict=False)])
        ].astype(np.int64),
        path_start=np.r_[
            0, np.concatenate([p.path_start[1:] + a for p, a in zip(parts, arcs, strict=False)])
        ].astype(np.int64),
        arcs=np.concatenate([part.arcs for part in parts]),
    )
