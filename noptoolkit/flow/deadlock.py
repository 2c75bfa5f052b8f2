"""Whether a routing can deadlock: the channel dependency graph, and a cycle in it by name.

The model (Dally and Seitz, 1987). A packet that holds channel a and may ask for channel b next makes b
depend on a. A routing whose dependencies have no cycle cannot deadlock under wormhole or virtual
cut-through switching; one with a cycle can. Splitting a channel into virtual channels splits its
dependencies: ``datelines`` gives each ring of a torus two, the packet changing from the first to the
second at the wrap link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit._names import resolve
from noptoolkit.flow.forwarding import Forwarding
from noptoolkit.flow.network import flow_network
from noptoolkit.flow.routings import FORWARDING
from noptoolkit.package import Package

__all__ = ["Deadlock", "check_deadlock"]


@dataclass(frozen=True)
class Deadlock:
    """What the channel dependency graph of a routing says.

    Parameters
    ----------
    free
        Whether it has no cycle.
    cycle
        Names of channels that wait for each other in turn, empty where free; with ``@1`` on the second
        virtual channel.
    dependencies
        Number of ordered pairs of channels.
    """

    free: bool
    cycle: tuple[str, ...]
    dependencies: int


def check_deadlock(package: Package, *, routing: str = "dor", datelines: bool = False) -> Deadlock:
    """Return whether a routing between all chiplets of a package can deadlock.

    Parameters
    ----------
    routing
        One that forwards by destination: shortest, ecmp, dor or up-down.
    datelines
        Whether channels in the rings of a torus have two virtual channels each.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> ring = Package("ring", [Chiplet(f"c{i}") for i in range(5)],
    ...                [Link(f"c{i}", f"c{(i + 1) % 5}", "1 GB/s") for i in range(5)])
    >>> check_deadlock(ring, routing="shortest").cycle
    ('c0->c1', 'c1->c2', 'c2->c3', 'c3->c4', 'c4->c0')
    >>> check_deadlock(ring, routing="up-down").free
    True
    """
    import networkx as nx

    network = flow_network(package)
    ends = np.array([package.index[name] for name in package.terminals])
    forwarding = resolve(routing, FORWARDING, "routing by destination")(network, network.destination[ends])
    layer = forwarding.virtual_channel if datelines else np.zeros(len(forwarding.to), np.int64)
    channel = forwarding.arc * 2 + layer
    pairs = _dependencies(forwarding, channel, network.origin[ends])
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_edges_from(map(tuple, pairs.tolist()))
    first_of_arc = {int(arc): i for i, arc in reversed(list(enumerate(network.arc_of_channel)))}
    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return Deadlock(True, (), len(pairs))
    at = [edge[0] for edge in edges]
    start = at.index(min(at))
    names = [
        package.channels[first_of_arc[c // 2]].name + ("@1" if c % 2 else "") for c in at[start:] + at[:start]
    ]
    return Deadlock(False, tuple(names), len(pairs))


def _dependencies(
    forwarding: Forwarding, channel: NDArray[np.int64], origins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the ordered pairs of channels that some packet uses one after the other, [pairs, 2]."""
    states = forwarding.num_states
    used = np.zeros(len(forwarding.destinations) * states, bool)
    for to in range(len(forwarding.destinations)):
        used[to * states + origins] = True
    tail = forwarding.to * states + forwarding.tail
    head = forwarding.to * states + forwarding.head
    for step in reversed(forwarding.by_level()):
        used[head[step[used[tail[step]]]]] = True
    entries = np.flatnonzero(used[tail])
    by_tail = entries[np.argsort(tail[entries], kind="stable")]
    begin = np.searchsorted(tail[by_tail], head[entries], side="left")
    count = np.searchsorted(tail[by_tail], head[entries], side="right") - begin
    before = np.repeat(entries, count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    after = by_tail[np.repeat(begin, count) + offset]
    return np.unique(np.stack([channel[before], channel[after]], axis=1), axis=0)
