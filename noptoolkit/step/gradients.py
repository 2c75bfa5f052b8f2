"""All-reduce of gradients among the hosts of a step: its schedule's use of the network, and what bounds it.

Three hosts or more sum their gradients by an all-reduce along trees (`noptoolkit.collectives`): hosts add,
copy and forward, all other nodes pass bytes on. The trees are those of the best schedule found for the
all-reduce alone on the network, whatever the routing of the tokens. Loads are proportional to the size of the
buffer, so one schedule serves all sizes.

For a lower bound over all schedules of an all-reduce, in trees or not, prices y >= 0 on the resources give
the least cost of a byte (`noptoolkit.collectives.pricing`), and the time alone on the network is at least the
all-reduce's own bound, from a cut or from prices. Both leave out switches that add or copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives import CollectiveResult, collective
from noptoolkit.collectives.pricing import groups_of
from noptoolkit.package import Package

__all__ = ["GradientSum", "all_reduce_among"]

UNIT = 2.0**30
"""Bytes for which the all-reduce is solved."""

MOST_HOSTS = 16
"""Hosts up to which trees and parties price the all-reduce under all prices; beyond, under its own only."""


@dataclass(frozen=True, eq=False)
class GradientSum:
    """An all-reduce of some bytes.

    Parameters
    ----------
    result : CollectiveResult
        The all-reduce of another number of bytes among the same members.
    size : float
        Bytes of the buffer, in B.
    """

    result: CollectiveResult
    size: float

    @property
    def scale(self) -> float:
        """Bytes over those of the result."""
        return self.size / self.result.requests[0].size

    @property
    def use(self) -> Floats:
        """Use of each resource, in B, [resources]."""
        return self.scale * self.result.use

    @property
    def load(self) -> Floats:
        """Load of each channel, in B, [channels]."""
        return self.scale * self.result.load

    @property
    def time_bound(self) -> float:
        """Time that no schedule alone on the network undercuts, in s."""
        return self.scale * self.result.time_bound

    @property
    def sent(self) -> float:
        """Bytes that hosts send to each other along trees, into the root and out again, in B."""
        return 2.0 * (len(self.result.requests[0].members) - 1) * self.size

    def costs(self, prices: Floats) -> Floats:
        """Return the least cost of any schedule under prices with capacity @ prices = 1, in s, [prices].

        Parameters
        ----------
        prices : ndarray
            Price vectors, in s/B, [prices, resources].
        """
        network = self.result.network
        groups = groups_of(network, self.result.requests)
        small = len(groups.nodes) <= MOST_HOSTS
        return self.scale * np.array(
            [
                groups.bounds(y)[1] if small or np.array_equal(y, self.result.prices) else self._nearest(y)
                for y in prices
            ]
        )

    def _nearest(self, y: Floats) -> float:
        """Return what every host but one must pay: a byte out to its nearest host, and a byte in from one.

        In an arborescence every member but its root has an arc of its own.
        """
        from noptoolkit.flow.bounds.certificate import shortest_distances

        network, request = self.result.network, self.result.requests[0]
        nodes = np.array([network.package.index[name] for name in request.members])
        length = np.asarray(network.on_arcs.T @ y, dtype=float)
        far = shortest_distances(
            network.num_vertices, network.tail, network.head, length, network.origin[nodes]
        )[0][:, network.destination[nodes]]
        far = far + (network.on_injected.T @ y)[nodes, None] + (network.on_ejected.T @ y)[None, nodes]
        np.fill_diagonal(far, np.inf)
        each = far.min(axis=0) + far.min(axis=1)
        return float(each.sum() - each.max()) * request.size


def all_reduce_among(package: Package, hosts: Sequence[str]) -> CollectiveResult:
    """Return the best all-reduce found among some hosts, in which only they add and copy.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> mesh = topology.mesh(4, 4, link_bandwidth="1 GB/s")
    >>> GradientSum(all_reduce_among(mesh, mesh.experts), 1e9).time_bound
    0.625
    """
    return collective(package, "all-reduce", UNIT, among=tuple(hosts), in_network=False)
