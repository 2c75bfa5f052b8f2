"""What any package could do that has as much of something as a given one: its ports, edge or wire.

Two conventions of edge. *Chiplet edge* counts the ends of links at chiplets, as ``--normalise beachfront``
does: switches are free, which favours trees and hubs. *All edge* counts both ends of every link, which is the
bandwidth of all links, as ``--normalise bandwidth`` does: a switch pays for its ends, which favours packages
without. Links to memory stacks count in neither.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._names import resolve
from noptoolkit.bounds.edges import Counted, edge_bound
from noptoolkit.bounds.port_counts import ports_of
from noptoolkit.bounds.ports import ports_bound
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.bounds.wires import wire_bound
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Package
from noptoolkit.traffic import Traffic

__all__ = ["LIKE", "any_package"]


def _ports(package: Package, traffic: Traffic) -> TopologyBound:
    return ports_bound(traffic, ports_of(package, traffic))


def _chiplet_edge(package: Package, traffic: Traffic) -> TopologyBound:
    chiplet = np.array([isinstance(node, Chiplet) for node in package.nodes], dtype=bool)
    ends = chiplet[package.link_ends].sum(axis=1)
    return _of_edge(package, traffic, ends, "chiplet ends")


def _all_edge(package: Package, traffic: Traffic) -> TopologyBound:
    return _of_edge(package, traffic, np.full(len(package.links), 2), "all dies")


LIKE: dict[str, Callable[[Package, Traffic], TopologyBound]] = {
    "ports": _ports,
    "chiplet edge": _chiplet_edge,
    "all edge": _all_edge,
    "wire": wire_bound,
}
"""What the other packages have as much of: name to function of a package and a traffic."""


def any_package(package: Package, traffic: Traffic, like: str = "chiplet edge") -> TopologyBound:
    """Return a bound over all packages that have as much of something as this one.

    Parameters
    ----------
    package, traffic
        The package, and a traffic between its chiplets.
    like
        Name in `LIKE`: ``ports`` (each node's, with their bandwidth, wired in any way), ``chiplet edge`` or
        ``all edge`` (split in any way), or ``wire`` (between these dies where they lie).

    Raises
    ------
    TopologyError
        If there is none of it, or a memory stack sends or receives.

    Examples
    --------
    >>> from noptoolkit import congestion
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> grid = mesh(4, link_bandwidth="1 GB/s")
    >>> demand = all_to_all(grid, "1 GB")
    >>> congestion(grid, demand).time, [round(any_package(grid, demand, like).time, 2) for like in LIKE]
    (16.0, [10.08, 5.0, 5.0, 13.33])
    """
    return resolve(like, LIKE, "budget")(package, traffic)


def _of_edge(package: Package, traffic: Traffic, ends: Ints, counted: Counted) -> TopologyBound:
    stacks = {memory.name for memory in package.memories}
    for name in traffic.endpoints:
        if name in stacks:
            raise TopologyError(f"memory stack {name!r} is an endpoint: only the edge of chiplets is counted")
    carries = [i for i, link in enumerate(package.links) if not {link.a, link.b} & stacks]
    equal = all(not package.links[i].half_duplex and np.ptp(package.link_bandwidths[i]) == 0 for i in carries)
    edge = float((package.link_totals * ends)[carries].sum())
    return edge_bound(
        traffic,
        edge,
        counted=counted,
        equal_ways=equal,
    )
