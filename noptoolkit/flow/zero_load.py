"""Zero-load latency: how long the first byte takes when nothing else is on the network.

The model. A packet crosses the router of its source, then for each channel on its way the link (with both
PHYs) and the router it enters; a memory stack counts with its access time. Where a routing splits, the
mean over its paths counts. Serialisation (size / bandwidth) and queueing are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noptoolkit._names import resolve
from noptoolkit.flow.network import flow_network
from noptoolkit.flow.routings import FORWARDING
from noptoolkit.package import Package

__all__ = ["Latency", "zero_load_latency"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Latency:
    """Zero-load latencies between end points.

    Parameters
    ----------
    endpoints
        Names of rows (sources) and columns (destinations).
    per_pair
        In s, [endpoints, endpoints], 0 on the diagonal.
    mean, max
        Over pairs of different end points, in s.
    """

    endpoints: tuple[str, ...]
    per_pair: Floats = field(metadata={"unit": "s"})
    mean: float = field(metadata={"unit": "s"})
    max: float = field(metadata={"unit": "s"})


def zero_load_latency(
    package: Package, *, routing: str = "shortest", among: tuple[str, ...] | None = None
) -> Latency:
    """Return the zero-load latency between every two end points.

    Parameters
    ----------
    routing
        One that forwards by destination: shortest, ecmp, dor or up-down.
    among
        Names of nodes; ``package.terminals`` where ``None``.

    Raises
    ------
    RoutingError
        If the routing does not apply to the package.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> star = Package("star", [Switch("hub", latency="5 ns"), Chiplet("a"), Chiplet("b", latency="1 ns")],
    ...                [Link("hub", "a", 1e9, latency="2 ns"), Link("hub", "b", 1e9, latency="2 ns")])
    >>> round(zero_load_latency(star).max * 1e9, 9)
    10.0
    """
    network = flow_network(package)
    names = package.terminals if among is None else tuple(among)
    for name in names:
        package[name]
    nodes = np.array([package.index[name] for name in names])
    forwarding = resolve(routing, FORWARDING, "routing by destination")(network, network.destination[nodes])
    router = np.array([node.latency for node in (*package.nodes, *package.memories)])
    flight = np.full(network.num_arcs, np.inf)
    for channel, arc in zip(package.channels, network.arc_of_channel, strict=True):
        flight[arc] = min(flight[arc], package.links[channel.link].latency)
    states = forwarding.num_states
    ahead = np.zeros(len(nodes) * states)
    cost = flight[forwarding.arc] + router[forwarding.head % network.num_vertices]
    tail = forwarding.to * states + forwarding.tail
    head = forwarding.to * states + forwarding.head
    for step in forwarding.by_level():
        np.add.at(ahead, tail[step], forwarding.share[step] * (cost[step] + ahead[head[step]]))
    origin = network.origin[nodes]
    per_pair = ahead.reshape(len(nodes), states)[:, origin].T + router[origin][:, None]
    np.fill_diagonal(per_pair, 0.0)
    apart = ~np.eye(len(nodes), dtype=bool)
    values = per_pair[apart] if apart.any() else np.zeros(1)
    per_pair.flags.writeable = False
    return Latency(names, per_pair, float(values.mean()), float(values.max()))
