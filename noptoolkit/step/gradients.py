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

MOST_HOSTS = 64
"""Hosts up to which the all-reduce is priced under every price vector, beyond under its own only."""


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
        groups = groups_of(self.result.network, self.result.requests)
        small = len(self.result.requests[0].members) <= MOST_HOSTS
        own = [np.array_equal(y, self.result.prices) for y in prices]
        return self.scale * np.array(
            [groups.bounds(y)[1] if small or mine else 0.0 for y, mine in zip(prices, own, strict=True)]
        )


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
