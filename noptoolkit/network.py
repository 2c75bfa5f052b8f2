"""A package as the arrays that every flow solver sees: vertices, arcs and resources.

The model. A *vertex* is a node; a memory stack has two, one where its reads start and one where its
writes end, so that nothing ever passes through it. An *arc* is a channel, or the bundle of parallel
channels between the same two nodes. Their load is shared in proportion to bandwidth where a routing may
choose (no other split is faster); fixed routings share it equally, or load the first channel alone
(`FlowNetwork.shared`), and the bundle is as fast as that allows. A *resource* r is anything with a capacity
C_r in B/s, and its use is linear in the traffic::

    use = on_arcs @ load  +  on_injected @ injected  +  on_ejected @ ejected        (B)
    time = max over r of use_r / C_r                                                  (s)

==================  ===============================================================
resource            what uses it
==================  ===============================================================
channel             its arc (both directions where the link is half duplex)
node crossbar       every arc that enters the node: all traffic that does not start there
chiplet injection   what the chiplet sends
chiplet ejection    what the chiplet receives
memory port         what the memory reads and writes, together
==================  ===============================================================

Prices y_r >= 0 on the resources give each arc a length ``on_arcs.T @ y``, and lengths bound the time from
below (see `noptoolkit.flow.bounds.certificate`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from noptoolkit._arrays import Floats, Ints
from noptoolkit.package import Chiplet, Memory, Package

__all__ = ["FlowNetwork", "Sharing", "flow_network"]

Sharing = Literal["by bandwidth", "equally", "first"]
"""How parallel channels share the load of their arc."""


@dataclass(frozen=True, eq=False)
class FlowNetwork:
    """The arrays of a package; see the module for the model.

    Parameters
    ----------
    package
        Package that the arrays describe.
    origin, destination
        Vertex where the traffic of each node starts and where it ends, [nodes].
    tail, head
        Vertices of each arc, [arcs].
    width
        Number of parallel channels in each arc, [arcs].
    own
        Index of each arc's channel resource, [arcs]; both arcs of a half-duplex link have the same one.
    arc_of_channel, share_of_channel
        The arc of each channel and the share of the arc's load that it carries, [channels].
    capacity
        Capacity of each resource, in B/s, [resources].
    names
        Name of each resource: a channel, ``hub crossbar``, ``e3 injection``, ``hbm0 port``.
    on_arcs
        Which arcs use which resource, [resources, arcs].
    on_injected, on_ejected
        Which nodes use which resource by what they send and receive, [resources, nodes].
    """

    package: Package
    origin: Ints
    destination: Ints
    tail: Ints
    head: Ints
    width: Ints
    own: Ints
    arc_of_channel: Ints
    share_of_channel: Floats
    capacity: Floats
    names: tuple[str, ...]
    on_arcs: csr_array[Any]
    on_injected: csr_array[Any]
    on_ejected: csr_array[Any]

    @property
    def num_vertices(self) -> int:
        """Nodes, plus one for each that nothing passes (memory stacks)."""
        return int(max(len(self.origin), self.destination.max(initial=-1) + 1))

    @property
    def num_arcs(self) -> int:
        """Channels, parallel ones counted once."""
        return len(self.tail)

    @property
    def num_resources(self) -> int:
        """Channel resources, crossbars, injection, ejection and memory ports, in this order."""
        return len(self.capacity)

    @property
    def arc_capacity(self) -> Floats:
        """Bandwidth of the channel resource of each arc, in B/s, [arcs]."""
        return self.capacity[self.own]

    @cached_property
    def connected(self) -> bool:
        """Whether all nodes but the memory stacks reach each other."""
        from scipy.sparse.csgraph import connected_components

        size = self.num_vertices
        graph = csr_array((np.ones(self.num_arcs), (self.tail, self.head)), shape=(size, size))
        _, strong = connected_components(graph, connection="strong")
        passing = [i for i, node in enumerate(self.package.nodes) if not isinstance(node, Memory)]
        return len(np.unique(strong[passing])) == 1

    def node_of_vertex(self, vertex: int) -> str:
        """Return the name of the node that a vertex belongs to."""
        if vertex < len(self.origin):
            return self.package.nodes[vertex].name
        return self.package.nodes[int(np.flatnonzero(self.destination == vertex)[0])].name

    @property
    def closed_chiplets(self) -> tuple[str, ...]:
        """Names of the chiplets that let nothing pass."""
        if len(self.destination) + len(self.package.memories) == self.num_vertices:
            return ()
        closed = np.flatnonzero(self.destination != self.origin).tolist()
        nodes = [self.package.nodes[i] for i in closed]
        return tuple(node.name for node in nodes if isinstance(node, Chiplet))

    def ending_at(self, nodes: Ints) -> FlowNetwork:
        """Return the network in which some nodes let nothing pass: what enters them ends there.

        Parameters
        ----------
        nodes
            Places in ``package.nodes``.

        Examples
        --------
        >>> from noptoolkit import Chiplet, Link
        >>> chain = Package("chain", [Chiplet("a"), Chiplet("b"), Chiplet("c")],
        ...                 [Link("a", "b", 1.0), Link("b", "c", 1.0)])
        >>> network = flow_network(chain).ending_at(np.array([1]))
        >>> network.num_vertices, network.head.tolist(), network.destination.tolist()
        (4, [3, 0, 2, 3], [0, 3, 2])
        """
        closed = np.asarray(nodes, np.int64)
        closed = closed[self.origin[closed] == self.destination[closed]]
        destination = self.destination.copy()
        destination[closed] = self.num_vertices + np.arange(len(closed))
        ends = np.arange(self.num_vertices)
        ends[closed] = destination[closed]
        return replace(self, destination=destination, head=ends[self.head])

    def shared(self, sharing: Sharing) -> FlowNetwork:
        """Return the network with parallel channels that share their load in a fixed way.

        The capacity of a bundle is then that at which its busiest channel is full: n times the slowest of n
        channels if they share equally, that of the first channel if it carries everything.

        Parameters
        ----------
        sharing : {"by bandwidth", "equally", "first"}
            Split in proportion to bandwidth, in equal parts, or all on the channel of the lowest index.

        Examples
        --------
        >>> from noptoolkit import Chiplet, Link
        >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 3.0), Link("a", "b", 1.0)])
        >>> ways = ("by bandwidth", "equally", "first")
        >>> [flow_network(pair).shared(how).capacity[0].item() for how in ways]
        [4.0, 2.0, 3.0]
        """
        if sharing == "by bandwidth" or len(self.arc_of_channel) == self.num_arcs:
            return self
        arc = self.arc_of_channel
        bandwidth = np.array([channel.bandwidth for channel in self.package.channels])
        share = 1.0 / self.width[arc]
        if sharing == "first":
            first = np.full(self.num_arcs, -1)
            first[arc[::-1]] = np.arange(len(arc))[::-1]
            share = (first[arc] == np.arange(len(arc))).astype(float)
        room = np.full(self.num_arcs, np.inf)
        with np.errstate(divide="ignore"):
            np.minimum.at(room, arc, bandwidth / share)
        capacity = self.capacity.copy()
        capacity[self.own] = room
        return replace(self, share_of_channel=share, capacity=capacity)

    def channel_load(self, arc_load: Floats) -> Floats:
        """Return the load of each channel, in B, from the load of each arc."""
        return arc_load[self.arc_of_channel] * self.share_of_channel


@lru_cache(maxsize=32)
def flow_network(package: Package) -> FlowNetwork:
    """Return the arrays of a package, made once for each package.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> star = Package("star", [Switch("hub", crossbar_bandwidth="2 GB/s"), Chiplet("a"), Chiplet("b")],
    ...                [Link("hub", "a", "1 GB/s"), Link("hub", "b", "1 GB/s")])
    >>> network = flow_network(star)
    >>> network.num_arcs, network.names[-1], network.on_arcs.toarray()[-1]
    (4, 'hub crossbar', array([0., 1., 0., 1.]))
    """
    # Bundling parallel channels loses no routing: a load shared in proportion to bandwidth makes all of them
    # take equally long, and any other split makes one of them take longer. Half- and full-duplex channels
    # between the same nodes stay apart (`keys` ends in that bit), for their capacities count differently.
    # Both directions of a half-duplex bundle get one resource by the first link of each: the two bundles
    # hold the same links, so these are the same. All numbering is by first appearance, so indices of arcs
    # and resources follow the order of the package's channels, which users see.
    index = package.index
    nodes = len(package.nodes)
    origin = np.arange(nodes)
    destination = origin.copy()
    for i, memory in enumerate(package.memories):
        destination[index[memory.name]] = nodes + i

    bandwidth = package.link_bandwidths.ravel()
    there = bandwidth > 0
    bandwidth = bandwidth[there]
    tails = package.link_ends.ravel()[there]
    heads = destination[package.link_ends[:, ::-1].ravel()[there]]
    halves = np.repeat(np.array([link.half_duplex for link in package.links], dtype=bool), 2)[there]
    keys = (tails * (nodes + len(package.memories)) + heads) * 2 + halves
    first, arc_of_channel = _by_first(keys)  # parallel channels are one arc
    together = np.asarray(np.bincount(arc_of_channel, bandwidth, len(first)), dtype=float)
    tail, head, half = tails[first], heads[first], halves[first]
    link = np.repeat(np.arange(len(package.links)), 2)[there][first]
    alone = -1 - np.arange(len(first))
    lead, own = _by_first(np.where(half, link, alone))  # both ways of a half-duplex link are one resource
    capacity: list[float] = together[lead].tolist()
    names = [package.channel_names[channel] for channel in first[lead].tolist()]
    uses: list[tuple[int, int]] = list(zip(own.tolist(), range(len(first)), strict=True))  # resource, arc

    by_head = np.argsort(head, kind="stable")
    start = np.searchsorted(head[by_head], np.arange(nodes + 1)).tolist()
    for i, node in enumerate(package.nodes):
        if not isinstance(node, Memory) and node.crossbar_bandwidth is not None:
            uses += [(len(capacity), arc) for arc in by_head[start[i] : start[i + 1]].tolist()]
            capacity.append(node.crossbar_bandwidth)
            names.append(f"{node.name} crossbar")
    injected: list[tuple[int, int]] = []  # resource, node
    ejected: list[tuple[int, int]] = []
    for i, node in enumerate(package.nodes):
        if isinstance(node, Memory):
            injected.append((len(capacity), i))
            ejected.append((len(capacity), i))
            capacity.append(node.bandwidth)
            names.append(f"{node.name} port")
        elif isinstance(node, Chiplet):
            for label, limit, users in (
                ("injection", node.injection_bandwidth, injected),
                ("ejection", node.ejection_bandwidth, ejected),
            ):
                if limit is not None:
                    users.append((len(capacity), i))
                    capacity.append(limit)
                    names.append(f"{node.name} {label}")
    return FlowNetwork(
        package=package,
        origin=origin,
        destination=destination,
        tail=tail,
        head=head,
        width=np.bincount(arc_of_channel, minlength=len(first)),
        own=own,
        arc_of_channel=arc_of_channel,
        share_of_channel=bandwidth / together[arc_of_channel],
        capacity=np.array(capacity),
        names=tuple(names),
        on_arcs=_incidence(uses, len(capacity), len(first)),
        on_injected=_incidence(injected, len(capacity), nodes),
        on_ejected=_incidence(ejected, len(capacity), nodes),
    )


def _by_first(keys: Ints) -> tuple[Ints, Ints]:
    """Return where each different key stands first, in that order, and the place therein of every key."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _incidence(pairs: list[tuple[int, int]], rows: int, columns: int) -> csr_array[Any]:
    row, column = np.array(pairs, np.int64).reshape(-1, 2).T
    return csr_array((np.ones(len(pairs)), (row, column)), shape=(rows, columns))
