"""A package as the arrays that every flow solver sees: vertices, arcs and resources.

The model. A *vertex* is a node; a memory stack has two, one where its reads start and one where its
writes end, so that nothing ever passes through it. An *arc* is a channel, or the bundle of parallel
channels between the same two nodes, whose load is shared in proportion to bandwidth (no other split is
faster). A *resource* r is whatever has a capacity C_r in B/s, and its use is linear in the traffic::

    use = on_arcs @ load  +  on_injected @ injected  +  on_ejected @ ejected        (B)
    time = max over r of use_r / C_r                                                  (s)

==================  ===============================================================
resource            what uses it
==================  ===============================================================
channel             its arc (both directions where the link is half duplex)
node crossbar       every arc that enters the node: all that is not born there
chiplet injection   what the chiplet sends
chiplet ejection    what the chiplet receives
memory port         what the memory reads and writes, together
==================  ===============================================================

Prices y_r >= 0 on the resources give each arc a length ``on_arcs.T @ y``, and lengths bound the time from
below (see `noptoolkit.flow.certificate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from noptoolkit.package import Chiplet, Memory, Package

__all__ = ["FlowNetwork", "flow_network"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FlowNetwork:
    """The arrays of a package; see the module for the model.

    Parameters
    ----------
    package
        What they were made of.
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
        Of each resource, in B/s, [resources].
    names
        Of each resource: a channel, ``hub crossbar``, ``e3 injection``, ``hbm0 port``.
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
        """Nodes, plus one for each memory stack."""
        return len(self.origin) + len(self.package.memories)

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

    def node_of_vertex(self, vertex: int) -> str:
        """Return the name of the node that a vertex belongs to."""
        if vertex < len(self.origin):
            return self.package.nodes[vertex].name
        return self.package.memories[vertex - len(self.origin)].name

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
    index = package.index
    nodes = len(package.nodes)
    origin = np.arange(nodes)
    destination = origin.copy()
    for i, memory in enumerate(package.memories):
        destination[index[memory.name]] = nodes + i

    bundles: dict[tuple[int, int, bool], int] = {}
    first: list[int] = []  # channel of each bundle
    bundle: list[int] = []
    for i, channel in enumerate(package.channels):
        half = package.links[channel.link].half_duplex
        ends = (index[channel.tail], int(destination[index[channel.head]]), half)
        arc = bundles.setdefault(ends, len(bundles))
        if arc == len(first):
            first.append(i)
        bundle.append(arc)
    arc_of_channel = np.array(bundle, np.int64)
    bandwidth = np.array([channel.bandwidth for channel in package.channels])
    together = np.asarray(np.bincount(arc_of_channel, bandwidth, len(bundles)), dtype=float)
    uses: list[tuple[int, int]] = []  # resource, arc
    capacity: list[float] = []
    names: list[str] = []
    own: list[int] = []
    resource_of_link: dict[int, int] = {}  # half-duplex links, by the first link of the bundle
    for arc, ((_, _, half), total) in enumerate(zip(bundles, together.tolist(), strict=True)):
        channel = package.channels[first[arc]]
        if half and channel.link in resource_of_link:
            own.append(resource_of_link[channel.link])
        else:
            own.append(len(capacity))
            resource_of_link[channel.link] = len(capacity)
            capacity.append(total)
            names.append(channel.name)
        uses.append((own[-1], arc))

    entering: dict[int, list[int]] = {}
    for arc, (_, head, _) in enumerate(bundles):
        entering.setdefault(head, []).append(arc)
    for i, node in enumerate(package.nodes):
        if not isinstance(node, Memory) and node.crossbar_bandwidth is not None:
            uses += [(len(capacity), arc) for arc in entering.get(i, [])]
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
    tails_heads = np.array([key[:2] for key in bundles], np.int64).reshape(-1, 2)
    return FlowNetwork(
        package=package,
        origin=origin,
        destination=destination,
        tail=tails_heads[:, 0].copy(),
        head=tails_heads[:, 1].copy(),
        width=np.bincount(arc_of_channel, minlength=len(bundles)),
        own=np.array(own, np.int64),
        arc_of_channel=arc_of_channel,
        share_of_channel=bandwidth / together[arc_of_channel],
        capacity=np.array(capacity),
        names=tuple(names),
        on_arcs=_incidence(uses, len(capacity), len(bundles)),
        on_injected=_incidence(injected, len(capacity), nodes),
        on_ejected=_incidence(ejected, len(capacity), nodes),
    )


def _incidence(pairs: list[tuple[int, int]], rows: int, columns: int) -> csr_array[Any]:
    row, column = np.array(pairs, np.int64).reshape(-1, 2).T
    return csr_array((np.ones(len(pairs)), (row, column)), shape=(rows, columns))
