"""The bisection of a package with a routing as its proof.

If every chiplet sends r B/s to every other at the same time, r a b B/s cross any two halves of a and b
chiplets, so no bisection is below that. The routing that does it is a certificate which anybody can check:
rows then columns on a grid, equal splitting over shortest paths, or the optimal one, whichever first reaches
the cut that was found. Limits of nodes (injection, ejection, crossbars) do not count here, as they do not in
a cut of links.
"""

from __future__ import annotations

import dataclasses

from noptoolkit.errors import RoutingError
from noptoolkit.flow.evaluation import congestion
from noptoolkit.package import Chiplet, Package, Switch
from noptoolkit.structure.bisection_bandwidth import Bisection, bisection
from noptoolkit.traffic import all_to_all

__all__ = ["proved_bisection"]

FINEST = 1e-3
"""Gap between flow and bound at which the best routing may stop."""

MOST_LOADS = 20_000_000
"""Channels x chiplets up to which the best routing is asked: beyond, its first interval alone takes long."""


def proved_bisection(package: Package, *, time_limit: float | None = 2.0, rng: int | None = 0) -> Bisection:
    """Return the least bandwidth between two halves of the chiplets, proved by routings where that helps.

    Parameters
    ----------
    package
        Package with at least two chiplets.
    time_limit
        Time limit of the optimal routing, in s; the bound reached by then is used.
    rng
        Seed or generator of the search for cuts.

    Raises
    ------
    TopologyError
        If there are fewer than two chiplets.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> cut = proved_bisection(mesh(8, link_bandwidth=1.0))
    >>> cut.bandwidth, cut.status, cut.proof
    (8.0, 'exact', 'uniform throughput by dor')
    """
    found = bisection(package, rng=rng)
    if found.status == "exact":
        return found
    bare = _without_ports(package)
    traffic = all_to_all(bare, 1.0, among="terminals")
    for routing in ("dor", "ecmp", "optimal"):
        if routing == "optimal" and len(bare.channels) * len(bare.terminals) > MOST_LOADS:
            break
        try:
            flow = congestion(bare, traffic, routing=routing, tol=FINEST, time_limit=time_limit)
        except RoutingError:  # no grid
            continue
        better = bisection(package, exact=False, throughput=1 / flow.time, rng=rng)
        if better.bound > found.bound:
            proof = f"{better.proof} by {routing}"
            found = dataclasses.replace(better, proof=proof)
        if found.status == "exact":
            break
    return found


def _without_ports(package: Package) -> Package:
    """Return a package whose nodes forward and receive at the rate of their links."""
    nodes = []
    for node in package.nodes:
        if isinstance(node, Chiplet):
            node = dataclasses.replace(
                node, injection_bandwidth=None, ejection_bandwidth=None, crossbar_bandwidth=None
            )
        elif isinstance(node, Switch):
            node = dataclasses.replace(node, crossbar_bandwidth=None)
        nodes.append(node)
    return package.replace(nodes=nodes)
