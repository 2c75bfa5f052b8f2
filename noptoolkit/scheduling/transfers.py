"""How long a transfer occupies the network, and who waits for which part of it.

A traffic puts a load on every channel, the bytes that cross it. A channel of bandwidth w is occupied for
load / w; the two channels of a half-duplex link are one resource, and so are a chiplet's injection and
ejection and a node's crossbar where the package limits them. Alone on the network, a transfer takes as long
as its most occupied resource: the flow bound of its routing.

A receiver waits for every loaded channel that can lead to it, and a channel for every sender that can lead to
it, both along loaded channels: on a tree exactly its own path, on a mesh at worst the whole transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.package import Memory, Package
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["Transfer", "channels_towards", "resource_of_channel", "transfer", "tree_loads"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Transfer:
    """One traffic as the scheduler sees it.

    Parameters
    ----------
    size
        Bytes that are sent in all.
    uses
        How long it occupies each resource of the network, in s, by name.
    load
        Bytes per channel, [channels].
    """

    size: float
    uses: Mapping[str, float]
    load: Floats

    @property
    def time(self) -> float:
        """How long it takes alone, in s."""
        return max(self.uses.values(), default=0.0)


def transfer(package: Package, traffic: Traffic, efficiency: float = 1.0) -> Transfer:
    """Return what a traffic does to the network.

    Parameters
    ----------
    efficiency
        Share of their bandwidth that channels and ports reach.
    """
    load = tree_loads(package, traffic)
    size = float(traffic.demand.sum())
    for sets in (traffic.multicast, traffic.reduction):
        size += 0.0 if sets is None else float(sets.bytes.sum())
    return Transfer(size, occupancy(package, load, efficiency), load)


def occupancy(package: Package, load: Floats, efficiency: float = 1.0) -> dict[str, float]:
    """Return how long a load occupies each channel (or half-duplex link), in s, by name."""
    uses: dict[str, float] = {}
    for i in np.flatnonzero(load > 0):
        name = resource_of_channel(package, int(i))
        uses[name] = uses.get(name, 0.0) + load[i] / (package.channels[i].bandwidth * efficiency)
    return uses


def resource_of_channel(package: Package, index: int) -> str:
    """Return the name of what a channel occupies: itself, or its link if that is half duplex."""
    channel = package.channels[index]
    if not package.links[channel.link].half_duplex:
        return channel.name
    first = min(i for i, other in enumerate(package.channels) if other.link == channel.link)
    return package.channels[first].name.replace("->", "<->")


def tree_loads(package: Package, traffic: Traffic) -> Floats:
    """Return the bytes on each channel when every message follows its root's shortest-path tree.

    Paths are shortest in hops, the widest channel first on a tie. Multicasts are copied and reductions added
    where a node of the tree can, else at the root.
    """
    load = np.zeros(len(package.channels))
    ends = [package.index[name] for name in traffic.endpoints]
    trees: dict[tuple[int, bool], list[tuple[int, int, int]]] = {}

    def tree(root: int, backward: bool) -> list[tuple[int, int, int]]:
        if (root, backward) not in trees:
            trees[root, backward] = shortest_tree(package, ends[root], backward)
        return trees[root, backward]

    for source in map(int, np.flatnonzero(traffic.demand.any(axis=1))):
        wanted = np.zeros(len(package.nodes))
        np.add.at(wanted, ends, traffic.demand[source])
        for node, parent, channel in reversed(tree(source, False)):
            load[channel] += wanted[node]
            wanted[parent] += wanted[node]
    messages = ((traffic.multicast, "replicates", False), (traffic.reduction, "reduces", True))
    for sets, able, backward in messages:
        if sets is not None:
            for root in map(int, np.unique(sets.root)):
                chosen = sets.root == root
                _add_messages(load, package, sets, chosen, ends, tree(root, backward), able)
    return load


def _add_messages(
    load: Floats,
    package: Package,
    sets: DestinationSets,
    chosen: NDArray[np.bool_],
    ends: Sequence[int],
    tree: Sequence[tuple[int, int, int]],
    able: str,
) -> None:
    """Add the messages of one root: how many copies each channel of its tree carries."""
    copies = np.zeros((len(package.nodes), int(chosen.sum())))
    copies[ends] = sets.contains(len(ends))[chosen].T
    for node, parent, channel in reversed(tree):
        if getattr(package.nodes[node], able, False):
            copies[node] = np.minimum(copies[node], 1.0)
        load[channel] += float(copies[node] @ sets.bytes[chosen])
        copies[parent] += copies[node]


def shortest_tree(package: Package, root: int, backward: bool = False) -> list[tuple[int, int, int]]:
    """Return (node, parent, channel) in breadth-first order from a root; ``backward`` leads to the root."""
    steps: list[list[tuple[float, int, int]]] = [[] for _ in package.nodes]
    for i, channel in enumerate(package.channels):
        tail, head = package.index[channel.tail], package.index[channel.head]
        if backward:
            tail, head = head, tail
        steps[tail].append((-channel.bandwidth, i, head))
    depth = {root: 0}
    tree = []
    frontier = [root]
    for node in frontier:
        if node != root and isinstance(package.nodes[node], Memory):
            continue
        for _, channel_index, other in sorted(steps[node]):
            if other not in depth:
                depth[other] = depth[node] + 1
                tree.append((other, node, channel_index))
                frontier.append(other)
    return tree


def channels_towards(package: Package, load: Floats, end: str, *, backward: bool) -> NDArray[np.bool_]:
    """Return which loaded channels lead from a node along loaded channels, or to it, [channels]."""
    ahead: dict[str, list[tuple[int, str]]] = {}
    for i in map(int, np.flatnonzero(load > 0)):
        tail, head = package.channels[i].tail, package.channels[i].head
        ahead.setdefault(head if backward else tail, []).append((i, tail if backward else head))
    leads = np.zeros(len(package.channels), np.bool_)
    frontier, seen = [end], {end}
    for node in frontier:
        for i, other in ahead.get(node, []):
            leads[i] = True
            if other not in seen:
                seen.add(other)
                frontier.append(other)
    return leads
