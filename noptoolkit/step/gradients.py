"""All-reduces of gradients among the chiplets of a step: what they use of the network, and what bounds them.

Three hosts or more sum their gradients by an all-reduce along trees (`noptoolkit.collectives`): hosts add,
copy and forward, all other nodes pass bytes on. So do the holders of copies of an expert, each different set
of holders a group of its own, all groups at the same time. The trees are those of the best schedule found for
these all-reduces alone on the network, whatever the routing of the tokens. Loads are proportional to the size
of the buffers, so one schedule serves all sizes.

For a lower bound over all schedules of an all-reduce, in trees or not, prices y >= 0 on the resources give
the least cost of a byte (`noptoolkit.collectives.prices.pricing`), and the time alone on the network is at
least the bound of the all-reduces themselves, from a cut or from prices. Both leave out switches that
add or copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.allocation import Allocation
from noptoolkit.collectives import CollectiveResult, Request, collective
from noptoolkit.collectives.prices.pricing import groups_of
from noptoolkit.package import Package

__all__ = ["GradientSum", "all_reduce_among", "all_reduce_of_copies", "holders_of"]

UNIT = 2.0**30
"""Bytes for which an all-reduce is solved; of copies, bytes of one expert."""

MOST_HOSTS = 16
"""Hosts up to which trees and parties price the all-reduce under all prices; beyond, under its own only."""


@dataclass(frozen=True, eq=False)
class GradientSum:
    """An all-reduce of some bytes, or several at the same time.

    Parameters
    ----------
    result : CollectiveResult
        The all-reduces of other numbers of bytes among the same members.
    size : float
        Bytes of the buffer of the first group, in B; those of others are in proportion.
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
        """Bytes that members send to each other along trees, into the root and out again, in B."""
        return self.scale * sum(2.0 * (len(one.members) - 1) * one.size for one in self.result.requests)

    def costs(self, prices: Floats) -> Floats:
        """Return the least cost of any schedule under prices with capacity @ prices = 1, in s, [prices].

        Parameters
        ----------
        prices : ndarray
            Price vectors, in s/B, [prices, resources].
        """
        network = self.result.network
        groups = groups_of(network, self.result.requests)
        small = int(groups.sizes.max()) <= MOST_HOSTS
        return self.scale * np.array(
            [
                groups.bounds(y)[1] if small or np.array_equal(y, self.result.prices) else self._nearest(y)
                for y in prices
            ]
        )

    def _nearest(self, y: Floats) -> float:
        """Return what every member but one must pay: a byte out to its nearest, and a byte in from one.

        In an arborescence every member but its root has an arc of its own.
        """
        from noptoolkit.flow.bounds.certificate import shortest_distances

        network, index = self.result.network, self.result.network.package.index
        length = np.asarray(network.on_arcs.T @ y, dtype=float)
        inject, eject = network.on_injected.T @ y, network.on_ejected.T @ y
        total = 0.0
        for request in self.result.requests:
            nodes = np.array([index[name] for name in request.members])
            far = shortest_distances(
                network.num_vertices, network.tail, network.head, length, network.origin[nodes]
            )[0][:, network.destination[nodes]]
            far = far + inject[nodes, None] + eject[None, nodes]
            np.fill_diagonal(far, np.inf)
            each = far.min(axis=0) + far.min(axis=1)
            total += float(each.sum() - each.max()) * request.size
        return total


def all_reduce_among(package: Package, hosts: Sequence[str]) -> CollectiveResult:
    """Return the best all-reduce found among some hosts, in which only they add and copy.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> mesh = topology.mesh(4, 4, link_bandwidth="1 GB/s")
    >>> GradientSum(all_reduce_among(mesh, mesh.experts), 1e9).time_bound
    0.625
    """
    return _solved(package, (Request("all-reduce", UNIT, tuple(hosts)),))


def holders_of(layout: Allocation) -> dict[tuple[str, ...], int]:
    """Return each set of two chiplets or more that hold copies of the same experts, and of how many.

    Examples
    --------
    >>> holders_of(Allocation(("a", "b", "c"), [0, 1, 2, 2], replicas=[[(0, 1), (1, 0)]]))
    {('a', 'b'): 2}
    """
    holds = layout.holds[0]
    sets = (tuple(layout.experts[i] for i in np.flatnonzero(column)) for column in holds.T)
    return dict(Counter(names for names in sets if len(names) > 1))


def all_reduce_of_copies(package: Package, layout: Allocation) -> CollectiveResult:
    """Return the best all-reduces found among the holders of copies of experts, all sets at once.

    Each set sums the gradients of all experts of which it holds the copies, UNIT bytes for each expert.
    """
    held = holders_of(layout).items()
    return _solved(package, tuple(Request("all-reduce", UNIT * count, names) for names, count in held))


@lru_cache(maxsize=64)
def _solved(package: Package, requests: tuple[Request, ...]) -> CollectiveResult:
    return collective(package, groups=requests, in_network=False)
