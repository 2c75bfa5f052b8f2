"""What a search makes least: the time of some traffic, or any figure of a package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from noptoolkit.bounds import TopologyBound, TopologyClass, class_bound
from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import NopError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.package import Package
from noptoolkit.search.graphs import Edges
from noptoolkit.search.structure import distances
from noptoolkit.traffic import Traffic

__all__ = ["Figure", "Objective", "TrafficTime", "bounds_of", "figure_of"]


@runtime_checkable
class Figure(Protocol):
    """A figure of a package that is to be small."""

    @property
    def title(self) -> str:
        """What it is."""
        ...

    @property
    def unit(self) -> str:
        """Its base unit."""
        ...

    @property
    def sign(self) -> float:
        """-1 where it is the negative of what is shown."""
        ...

    def __call__(self, package: Package) -> float:
        """Return the figure; infinite where the package has none."""
        ...

    def check(self, package: Package, value: float) -> tuple[str, ...]:
        """Compute it again from scratch; return what was checked, or raise."""
        ...


Objective = Traffic | Sequence[Traffic] | Figure | Callable[[Package], float]
"""Traffic; several, one after the other; or a function of a package whose value is to be small."""


@dataclass(frozen=True, eq=False)
class TrafficTime:
    """The time of some traffic, one after the other.

    Parameters
    ----------
    traffics
        What is carried.
    time_limit
        Of one solve, in s: what is reached by then counts. (Where few nodes copy, the last hundredths of a
        routing of many sets take long.)
    """

    traffics: tuple[Traffic, ...]
    time_limit: float = 60.0
    title: str = "time"
    unit: str = "s"
    sign: float = 1.0

    def __post_init__(self) -> None:
        if not self.traffics:
            raise NopError("no traffic is given to search for")

    def __call__(self, package: Package) -> float:
        """Return the time, in s."""
        return sum(flow.time for flow in self.flows(package))

    def flows(self, package: Package, tol: float = 1e-2, patience: float = 1.0) -> tuple[FlowResult, ...]:
        """Return each traffic on a package."""
        limit = patience * self.time_limit
        return tuple(congestion(package, one.on(package), tol=tol, time_limit=limit) for one in self.traffics)

    def bounds(self, within: TopologyClass) -> tuple[TopologyBound, ...]:
        """Return a bound of each traffic over a class."""
        return tuple(class_bound(one, within) for one in self.traffics)

    def floor(self, within: TopologyClass, edges: Edges) -> float:
        """Return a lower bound on the time of one graph: byte-hops over its bandwidth, and its ports.

        A message to a set crosses as many links as it has members, and as many as to the farthest of them.
        """
        hops = distances(within, edges)
        used = np.zeros(len(within.nodes))
        for a, b, count in edges:
            used[[a, b]] += count
        number = {name: i for i, name in enumerate(within.nodes)}
        total = 0.0
        for one in self.traffics:
            needs = needs_of(one, copies=within.copies)
            at = [number[name] for name in one.endpoints]
            near = hops[np.ix_(at, at)]
            crossed = float((needs.demand * np.where(needs.demand > 0, near, 0.0)).sum())
            for part in (one.multicast, one.reduction) if within.copies else ():
                if part is not None and len(part):
                    inside = part.contains(len(at))
                    inside[np.arange(len(part)), part.root] = False
                    far = np.where(inside, near[part.root], 0.0).max(axis=1)
                    crossed += float(part.bytes @ np.maximum(far, inside.sum(axis=1)))
            at_ports = float((needs.busier_way / np.maximum(used[at], 1e-9)).max())
            total += max(crossed / float(used.sum()), at_ports) / within.bandwidth
        return total

    def check(self, package: Package, value: float) -> tuple[str, ...]:
        """Solve and verify the traffic again."""
        for flow in self.flows(package):
            flow.verify()
        return ("flows",)

    def __repr__(self) -> str:
        return "; ".join(repr(one) for one in self.traffics)


@dataclass(frozen=True, eq=False)
class _Plain:
    """Any function of a package, as a figure."""

    function: Callable[[Package], float]
    title: str
    unit: str = ""
    sign: float = 1.0

    def __call__(self, package: Package) -> float:
        return float(self.function(package))

    def check(self, package: Package, value: float) -> tuple[str, ...]:
        again = self(package)
        if not abs(again - value) <= 1e-9 * abs(value):
            raise NopError(f"{self.title} was {value:g}, computed again {again:g}")
        return (f"{self.title} computed again",)

    def __repr__(self) -> str:
        return self.title


def bounds_of(figure: Figure, within: TopologyClass) -> tuple[TopologyBound, ...]:
    """Return bounds over a class that add up to one of a figure; none where the figure knows none."""
    known = getattr(figure, "bounds", None)
    found: tuple[TopologyBound, ...] = () if known is None else known(within)
    return found


def figure_of(objective: Objective) -> Figure:
    """Return an objective as a figure.

    Raises
    ------
    NopError
        If it is nothing that a search can make small.
    """
    if isinstance(objective, Traffic):
        return TrafficTime((objective,))
    if isinstance(objective, Figure):
        return objective
    if callable(objective):
        return _Plain(objective, getattr(objective, "__name__", "objective"))
    if isinstance(objective, Sequence) and all(isinstance(one, Traffic) for one in objective):
        return TrafficTime(tuple(objective))
    raise NopError(f"{objective!r} is no objective: give a Traffic, several, or a function of a package")
