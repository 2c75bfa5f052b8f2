"""Zero-load latency: how long the first byte takes when nothing else is on the network.

The model. A packet crosses the router of its source, then for each channel on its path the link (with both
PHYs) and the router it enters; a memory stack counts with its access time. Where a routing splits, the
mean over its paths counts. Serialisation (size / bandwidth) and queueing are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.errors import RoutingError, UnknownNameError
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Package, expect_package
from noptoolkit.routing.forwarding import Forwarding, in_parts
from noptoolkit.routing.given_paths import PathFunction, PathTable, path_walker
from noptoolkit.routing.rules import Routing, method_of, rule_of
from noptoolkit.units import format_quantity

__all__ = ["Latency", "endpoints_of", "zero_load_latency"]


@dataclass(frozen=True, eq=False, repr=False)
class Latency:
    """Zero-load latencies between endpoints.

    Parameters
    ----------
    endpoints
        Names of rows (sources) and columns (destinations).
    per_pair : array of float
        Latency in s, [endpoints, endpoints]; 0 on the diagonal, NaN where the routing gives no path (as the
        split of a flow does for pairs without demand).
    mean, max : float
        Mean and largest over pairs of different endpoints that have a path, in s.
    """

    endpoints: tuple[str, ...]
    per_pair: Floats = field(metadata={"unit": "s"})
    mean: float = field(metadata={"unit": "s"})
    max: float = field(metadata={"unit": "s"})

    def __repr__(self) -> str:
        mean, most = format_quantity(self.mean, "s"), format_quantity(self.max, "s")
        return f"Latency({len(self.endpoints)} endpoints: {mean} on average, at most {most})"


def zero_load_latency(
    package: Package, *, routing: str | Routing = "shortest", among: str | Sequence[str] | None = None
) -> Latency:
    """Return the zero-load latency between every two endpoints.

    Parameters
    ----------
    routing : str or routing
        Routing by destination: shortest, ecmp, dor, up-down, `UpDown`, `NextHops`, a `RoutingMethod`; the
        split of a flow, as of ``congestion(...).forwarding()``; or a table or a function that gives the path
        of every pair.
    among
        Endpoints: ``experts``, ``terminals`` (all chiplets, also where ``None``), or names of nodes, memory
        stacks included.

    Raises
    ------
    RoutingError
        If the routing does not apply to the package, or there is no endpoint.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> star = Package("star", [Switch("hub", latency="5 ns"), Chiplet("a"), Chiplet("b", latency="1 ns")],
    ...                [Link("hub", "a", 1e9, latency="2 ns"), Link("hub", "b", 1e9, latency="2 ns")])
    >>> round(zero_load_latency(star).max * 1e9, 9)
    10.0
    """
    expect_package(package)
    network = flow_network(package)
    names = endpoints_of(package, among)
    router = np.array([node.latency for node in (*package.nodes, *package.memories)])
    of_link = np.array([link.latency for link in package.links])
    latency = np.repeat(of_link, 2)[package.link_bandwidths.ravel() > 0]
    nodes = np.array([package.index[name] for name in names])
    origin = network.origin[nodes]
    method = method_of(routing)
    share = network.shared(method.sharing).share_of_channel  # of each of parallel channels
    hop = np.bincount(network.arc_of_channel, share * latency, network.num_arcs) + router[network.head]
    if method.paths is not None:
        per_pair = _along_paths(network, method.paths, names, hop)
    else:
        per_pair = np.empty((len(nodes), len(nodes)))
        for part, forwarding in in_parts(network, rule_of(method), network.destination[nodes]):
            per_pair[:, part] = _by_destination(forwarding, hop, network.num_vertices)[:, origin].T
    per_pair += router[origin][:, None]
    np.fill_diagonal(per_pair, 0.0)
    apart = ~np.eye(len(nodes), dtype=bool) & np.isfinite(per_pair)
    if len(nodes) > 1 and not apart.any():
        raise RoutingError(f"routing {method.name!r} leads from none of {', '.join(names)} to another")
    values = per_pair[apart] if apart.any() else np.zeros(1)
    per_pair.flags.writeable = False
    return Latency(names, per_pair, float(values.mean()), float(values.max()))


def endpoints_of(package: Package, among: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of endpoints: ``experts``, ``terminals`` (also ``None``), or named nodes.

    Raises
    ------
    RoutingError
        If there is none, or one occurs twice.
    UnknownNameError
        If there is no such node.
    """
    if isinstance(among, str) and among not in ("experts", "terminals"):
        hint = did_you_mean(among, ["experts", "terminals"])
        raise UnknownNameError(f"no endpoints {among!r}; {hint} Or give a list of names")
    if among is None or among == "terminals":
        names = package.terminals
    elif among == "experts":
        names = package.experts
    elif isinstance(among, Sequence):
        names = tuple(among)
    else:
        raise RoutingError(f"among={among!r}: give 'experts', 'terminals' or a list of names of nodes")
    if not names or len(set(names)) < len(names):
        raise RoutingError(f"package {package.name!r}: among={among!r}: name one endpoint or more, each once")
    for name in names:
        package[name]
    return names


def _by_destination(forwarding: Forwarding, hop: Floats, vertices: int) -> Floats:
    """Return the mean latency ahead in every state, NaN without a next hop, [destinations, states].

    Parameters
    ----------
    hop
        Latency of crossing each arc and the router behind it, in s, [arcs].
    """
    states = forwarding.num_states
    ahead = np.full(len(forwarding.destinations) * states, np.nan)
    first = np.arange(len(forwarding.destinations)) * states + forwarding.destinations
    for layer in range(0, states, vertices):
        ahead[first + layer] = 0.0
    tail = forwarding.to * states + forwarding.tail
    head = forwarding.to * states + forwarding.head
    ahead[tail] = 0.0
    for step in forwarding.by_level():
        np.add.at(ahead, tail[step], forwarding.share[step] * (hop[forwarding.arc[step]] + ahead[head[step]]))
    return ahead.reshape(-1, states)


def _along_paths(
    network: FlowNetwork, paths: PathFunction | PathTable, names: tuple[str, ...], hop: Floats
) -> Floats:
    """Return the latency ahead between some nodes along given paths, [names, names]."""
    walk = path_walker(network, paths)
    ahead = np.zeros((len(names), len(names)))
    for (i, a), (j, b) in permutations(enumerate(names), 2):
        if a != b:
            ahead[i, j] = hop[walk(a, b)].sum()
    return ahead
