"""How long a transfer occupies the network, and who waits for which part of it.

A routing (`noptoolkit.flow.ROUTINGS`) turns a traffic into a use of every resource of the network, in bytes:
channels, half-duplex links, crossbars, injection and ejection. A resource of capacity C is busy for use / C.
Alone on the network, a transfer takes as long as its most occupied resource: the flow bound of its routing.

A receiver waits for every loaded resource that can lead to it, and a resource for every sender that can
lead to it, both along loaded channels: on a tree exactly its own path, on a mesh at worst all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow import congestion
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.routing.rules import Routing
from noptoolkit.traffic import Traffic

__all__ = ["Transfer", "network_resources", "transfer", "used_towards"]


@dataclass(frozen=True, eq=False)
class Transfer:
    """One traffic as the scheduler sees it.

    Parameters
    ----------
    size
        Bytes that are sent in all.
    uses
        How long it occupies each resource of the network that it uses, in s, by name.
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


def transfer(
    package: Package, traffic: Traffic, *, routing: str | Routing = "optimal", efficiency: float = 1.0
) -> Transfer:
    """Return what a traffic does to the network.

    Parameters
    ----------
    routing
        A name in `noptoolkit.flow.ROUTINGS`, or such a function.
    efficiency
        Share of their bandwidth that channels and ports reach.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> from noptoolkit.traffic import from_matrix
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> transfer(pair, from_matrix(pair, [[0, 2e9], [1e9, 0]])).uses
    {'a->b': 2.0, 'b->a': 1.0}
    """
    flow = congestion(package, traffic, routing=routing, efficiency=efficiency)
    network = flow.network
    time = flow.use / network.capacity / efficiency
    size = float(traffic.demand.sum())
    for sets in (traffic.multicast, traffic.reduction):
        size += 0.0 if sets is None else float(sets.bytes.sum())
    uses = {network.names[r]: float(time[r]) for r in np.flatnonzero(time > 0)}
    return Transfer(size, uses, flow.load)


def network_resources(package: Package) -> tuple[str, ...]:
    """Return the names of all resources of the network, memory ports included."""
    return flow_network(package).names


def used_towards(package: Package, load: Floats, end: str, *, backward: bool) -> frozenset[str]:
    """Return the names of the resources between a node and those that it can reach along loaded channels.

    Parameters
    ----------
    load
        Bytes per channel, [channels].
    end
        The node.
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
