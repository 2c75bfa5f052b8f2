"""What endpoints must send and receive, whatever network carries it.

With copying anywhere, a message to a set leaves its root once and enters each member once; without, its root
sends one message for each member. Reductions are the same backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import WorkloadError
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["Needs", "needs_of"]

CHUNK = 1 << 16
"""Messages that are spread out at a time."""


@dataclass(frozen=True, eq=False)
class Needs:
    """The least that a traffic asks of its endpoints.

    Parameters
    ----------
    traffic
        Traffic that it is of.
    copies
        Whether the network may copy messages to sets, and add reductions.
    demand
        Bytes that go from one endpoint to another as they are, [endpoints, endpoints].
    sent, received
        Bytes that each endpoint sends and receives at least, sets included, in B, [endpoints].
    entered
        Bytes of messages to sets that members are entered by (or that leave them): a hop each at least, in B.
    """

    traffic: Traffic
    copies: bool
    demand: Floats
    sent: Floats
    received: Floats
    entered: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the endpoints."""
        return self.traffic.endpoints

    @property
    def busier_way(self) -> Floats:
        """Bytes in each endpoint's busier direction, [endpoints]."""
        return np.maximum(self.sent, self.received)

    @property
    def uniform(self) -> float | None:
        """Bytes of every pair, where all pairs of endpoints have the same and there are no sets."""
        if self.entered or len(self.demand) < 2:
            return None
        first = float(self.demand[0, 1])
        size = len(self.demand)
        if not first > 0 or float(self.demand.max()) > first:
            return None
        whole = first * size * (size - 1)  # no entry is above the first: all are as large if the sum is
        return first if abs(float(self.sent.sum()) - whole) <= 1e-12 * whole else None


def needs_of(traffic: Traffic, *, copies: bool = True) -> Needs:
    """Return what a traffic asks of its endpoints.

    Raises
    ------
    WorkloadError
        If nothing is to be carried.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> needs_of(all_to_all(mesh(2), "1 MB")).sent.tolist()
    [3000000.0, 3000000.0, 3000000.0, 3000000.0]
    """
    size = len(traffic.endpoints)
    demand: Floats = traffic.demand
    at_root, at_members = np.zeros((2, size)), np.zeros((2, size))
    entered = 0.0
    for part, backwards in ((traffic.multicast, 0), (traffic.reduction, 1)):
        if part is None or not len(part):
            continue
        once, each, pairs = _ends(part, size)
        if copies:
            at_root[backwards] += once
            at_members[backwards] += each
            entered += float(each.sum())
        else:
            demand = demand + (pairs.T if backwards else pairs)
    sent = demand.sum(axis=1) + at_root[0] + at_members[1]
    received = demand.sum(axis=0) + at_members[0] + at_root[1]
    if not (sent.any() or received.any()):
        raise WorkloadError(f"traffic {traffic.name!r} carries nothing: there is no time to bound")
    return Needs(traffic, copies, demand, sent, received, entered)


def _ends(part: DestinationSets, size: int) -> tuple[Floats, Floats, Floats]:
    """Return bytes at the roots, at the members, and from root to member if nothing is copied."""
    once, pairs = np.zeros(size), np.zeros((size, size))
    for begin in range(0, len(part), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        some = DestinationSets(part.root[chunk].copy(), part.members[chunk].copy(), part.bytes[chunk].copy())
        inside = some.contains(size)
        inside[np.arange(len(some)), some.root] = False  # what stays at home crosses nothing
        reached = inside.any(axis=1)
        once += np.bincount(some.root[reached], some.bytes[reached], size)
        for root in np.unique(some.root).tolist():
            mine = some.root == root
            pairs[root] += some.bytes[mine] @ inside[mine]
    return once, pairs.sum(axis=0), pairs
