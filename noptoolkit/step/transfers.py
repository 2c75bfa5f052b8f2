"""What crosses the network at once, what it occupies, and which chiplets wait for which part of it.

Tokens, gradients, weights and caches are all transfers: bytes from sources to sinks, and messages to (or
from) sets of chiplets. A routing (`noptoolkit.step.routes`) turns a transfer into a use of every resource of
the network, in bytes: channels, half-duplex links, crossbars, injection and ejection. A resource of capacity
C is busy for use / C; alone on the network, a transfer takes as long as its most occupied resource.

A receiver waits for every loaded resource that can lead to it, and a resource for every sender that can lead
to it, both along loaded channels: on a tree exactly its own path, on a mesh possibly all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import Sharing, flow_network
from noptoolkit.package import Package
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.gradients import GradientSum

__all__ = ["Lane", "Pair", "Transfer", "add_up", "lane_of", "pairs_of", "used_towards"]

Pair = tuple[str, str]
"""Names of source and sink."""


@dataclass(frozen=True)
class Lane:
    """A part of a transfer that chiplets wait for as one.

    Parameters
    ----------
    uses
        Time that it occupies each resource, in s, by name.
    least
        Time that it takes at least, in s.
    """

    uses: Mapping[str, float]
    least: float = 0.0


@dataclass(frozen=True, eq=False)
class Transfer:
    """Bytes that cross the network together; unrouted until `noptoolkit.step.routes` fills the second half.

    Parameters
    ----------
    index
        Number of the transfer in its step.
    kind
        ``dispatch``, ``combine``, ``exchange``, ``load`` or ``store``.
    pairs
        Bytes by source and sink, messages apart.
    problem
        The same as a routing sees it, with the messages; ``None`` for sums and for movements of memory, but
        for readings that go to several chiplets (`noptoolkit.step.broadcasts`).
    summed
        All-reduce that the transfer is, along trees of its own instead of between pairs; ``None`` for others.
    ports
        Time that it occupies each memory stack's port, which the stack's own link may narrow, in s, by stack.
    uses
        Time that it occupies each resource of the network, in s, by name.
    load
        Bytes on each channel, [channels].
    paths
        Share of each pair's bytes on each arc, [arcs] by pair; ``None`` where the routing gives loads only.
    trees
        What messages put on the network; ``None`` without messages.
    lanes
        Parts that chiplets wait for apart from each other, by name; ``None``: each resource is one. Where
        dispatches and combines are cut (`noptoolkit.step.parts`), each resource in each part.
    least
        Time that a relaxed movement of memory takes at least, in s; ``None`` for a routed transfer.
    sharing
        How parallel channels share the load of their arc.
    """

    index: int
    kind: str
    pairs: Mapping[Pair, float]
    problem: RoutingProblem | None = None
    summed: GradientSum | None = None
    ports: Mapping[str, float] = field(default_factory=dict)
    uses: Mapping[str, float] = field(default_factory=dict)
    load: Floats = field(default_factory=lambda: np.zeros(0))
    paths: Mapping[Pair, Floats] | None = None
    trees: TreeLoads | None = None
    lanes: Mapping[str, Lane] | None = None
    least: float | None = None
    sharing: Sharing = "by bandwidth"

    @property
    def of_memory(self) -> bool:
        """Whether it is a movement between memory stacks and chiplets."""
        return self.kind in ("load", "store")

    @property
    def size(self) -> float:
        """Bytes that are sent in all; those of a message once."""
        if self.summed is not None:
            return self.summed.sent
        messages = () if self.problem is None else self.problem.messages
        return sum(self.pairs.values()) + sum(float(part.bytes.sum()) for part in messages)

    @property
    def time(self) -> float:
        """Time that it takes alone on the network, in s."""
        return max(self.uses.values(), default=0.0)

    @property
    def occupied(self) -> Mapping[str, float]:
        """Time that it occupies each port and each resource of the network, in s, by name."""
        return {**self.ports, **self.uses}

    @cached_property
    def parts(self) -> Mapping[str, Lane]:
        """Its lanes."""
        if self.lanes is not None:
            return self.lanes
        return {name: Lane({name: time}, time) for name, time in self.uses.items()}


def lane_of(resource: str, part: int) -> str:
    """Return the name of what a resource carries of one part of a transfer.

    Examples
    --------
    >>> lane_of("sw0->e1", 1)
    'sw0->e1, part 1'
    """
    return f"{resource}, part {part}"


def used_towards(package: Package, load: Floats, end: str, *, backward: bool) -> frozenset[str]:
    """Return the names of the resources between a node and those that it can reach along loaded channels.

    Parameters
    ----------
    load
        Bytes per channel, [channels].
    end
        Name of the node.
    backward
        Whether what leads to the node is meant, instead of what leads from it.
    """
    network = flow_network(package)
    ahead: dict[str, list[tuple[int, str]]] = {}
    for i in map(int, np.flatnonzero(load > 0)):
        tail, head = package.channels[i].tail, package.channels[i].head
        ahead.setdefault(head if backward else tail, []).append((i, tail if backward else head))
    arcs = np.zeros(network.num_arcs)
    frontier, seen = [end], {end}
    for node in frontier:
        for i, other in ahead.get(node, []):
            arcs[network.arc_of_channel[i]] = 1.0
            if other not in seen:
                seen.add(other)
                frontier.append(other)
    others, own = np.zeros(len(package.nodes)), np.zeros(len(package.nodes))
    others[[package.index[name] for name in seen]] = 1.0
    own[package.index[end]] = 1.0
    sends, receives = (others, own) if backward else (own, others)
    between = network.on_arcs @ arcs + network.on_injected @ sends + network.on_ejected @ receives
    return frozenset(network.names[r] for r in np.flatnonzero(between > 0))


def add_up(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of occupations by resource.

    Examples
    --------
    >>> add_up([{"hbm0": 1.0}, {"hbm0": 2.0, "sw0->e1": 0.5}])
    {'hbm0': 3.0, 'sw0->e1': 0.5}
    """
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + float(value)
    return total


def pairs_of(problem: RoutingProblem) -> dict[Pair, float]:
    """Return the bytes of a problem's demand by source and sink."""
    network, demand = problem.network, problem.demand
    return {
        (network.node_of_vertex(i), network.node_of_vertex(j)): float(demand[i, j])
        for i, j in np.argwhere(demand > 0).tolist()
    }
