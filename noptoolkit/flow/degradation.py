"""What is left of a package when links or chiplets are lost, as wafer-scale yield makes them be.

Each trial takes some links or nodes away and asks `congestion` again. Traffic of lost end points is lost
with them. A package that falls apart, or a demand without a path, takes for ever: that trial's time is
infinite.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import InfeasibleError, RoutingError, TopologyError, UnknownNameError
from noptoolkit.flow.measure import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.routings import Routing
from noptoolkit.package import Package
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["Resilience", "resilience"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resilience:
    """Congestion of a traffic after each of several losses.

    Parameters
    ----------
    intact
        The result without loss.
    lost
        Names of the channels (one direction stands for the link) or nodes of each trial.
    time, time_bound
        Of each trial, infinite where a demand has no path, in s, [trials].
    """

    intact: FlowResult
    lost: tuple[tuple[str, ...], ...]
    time: Floats = field(metadata={"unit": "s"})
    time_bound: Floats = field(metadata={"unit": "s"})

    @property
    def worst(self) -> tuple[str, ...]:
        """The loss that takes the longest."""
        return self.lost[int(np.argmax(self.time))]

    @property
    def slowdown(self) -> Floats:
        """Time over the intact time, [trials]."""
        return self.time / self.intact.time if self.intact.time > 0 else np.ones_like(self.time)


def resilience(
    package: Package,
    traffic: Traffic,
    failures: int = 1,
    *,
    of: str = "links",
    trials: int | None = None,
    routing: str | Routing = "optimal",
    tol: float = 0.01,
    rng: int | np.random.Generator | None = None,
) -> Resilience:
    """Return the congestion after losing some links or nodes.

    Parameters
    ----------
    failures
        How many are lost at a time.
    of
        ``links``, ``chiplets``, ``switches`` or ``memories``.
    trials
        How many random sets to lose; every set where ``None`` (or where there are no more).
    routing, tol
        Of `congestion`.

    Raises
    ------
    RoutingError
        If fewer are there than are to fail, or the routing does not apply to the intact package.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> from noptoolkit.traffic import from_matrix
    >>> ring = Package("ring", [Chiplet(n) for n in "abcd"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "cd", "da")])
    >>> after = resilience(ring, from_matrix(ring, [[1e9] * 4] * 4))
    >>> after.intact.time, after.time.round(3).tolist()
    (2.0, [4.0, 4.0, 4.0, 4.0])
    """
    kinds = {
        "links": _one_channel_per_link(package),
        "chiplets": package.terminals,
        "switches": tuple(node.name for node in package.switches),
        "memories": tuple(node.name for node in package.memories),
    }
    if of not in kinds:
        raise UnknownNameError(f"nothing to lose called {of!r}; known: {', '.join(kinds)}")
    pool = kinds[of]
    if not 1 <= failures <= len(pool):
        raise RoutingError(f"package {package.name!r} has {len(pool)} {of}: {failures} cannot fail")
    generator = np.random.default_rng(rng)
    if trials is None or trials >= comb(len(pool), failures):
        losses = list(combinations(pool, failures))
    else:
        losses = [
            tuple(str(name) for name in generator.choice(pool, failures, replace=False))
            for _ in range(trials)
        ]
    intact = congestion(package, traffic, routing=routing, tol=tol)
    time, bound = np.full(len(losses), np.inf), np.full(len(losses), np.inf)
    for i, lost in enumerate(losses):
        try:
            left = package.without(*lost)
            flow = congestion(left, _surviving(traffic, left), routing=routing, tol=tol)
        except (TopologyError, InfeasibleError):
            continue
        time[i], bound[i] = flow.time, flow.time_bound
    return Resilience(intact, tuple(losses), time, bound)


def _one_channel_per_link(package: Package) -> tuple[str, ...]:
    first: dict[int, str] = {}
    for channel in package.channels:
        first.setdefault(channel.link, channel.name)
    return tuple(first.values())


def _surviving(traffic: Traffic, package: Package) -> Traffic:
    """Return what is left of a traffic among the nodes of a package."""
    kept = [i for i, name in enumerate(traffic.endpoints) if name in package.index]
    if len(kept) == len(traffic.endpoints):
        return traffic
    return replace(
        traffic,
        endpoints=tuple(traffic.endpoints[i] for i in kept),
        demand=np.asarray(traffic.demand)[np.ix_(kept, kept)],
        multicast=_surviving_sets(traffic.multicast, kept),
        reduction=_surviving_sets(traffic.reduction, kept),
    )


def _surviving_sets(sets: DestinationSets | None, kept: list[int]) -> DestinationSets | None:
    if sets is None:
        return None
    place = {old: new for new, old in enumerate(kept)}
    rows = np.flatnonzero(np.isin(sets.root, kept))
    members = np.zeros((len(rows), -(-len(kept) // 64)), np.uint64)
    for old, new in place.items():
        held = sets.members[rows, old // 64] >> np.uint64(old % 64) & np.uint64(1)
        members[:, new // 64] |= held << np.uint64(new % 64)
    root = np.array([place[int(r)] for r in sets.root[rows]], np.int64)
    return DestinationSets(root, members, sets.bytes[rows])
