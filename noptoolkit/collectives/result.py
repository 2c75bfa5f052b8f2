"""How long collectives take on a package, by which trees, and the proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported, picture_of
from noptoolkit.collectives.values.answers import CollectiveCut
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule
from noptoolkit.errors import RoutingError, raises_where_malformed
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Package
from noptoolkit.routing.busiest import busiest_resources
from noptoolkit.routing.solution import gap_between
from noptoolkit.tables import Table
from noptoolkit.units import format_quantity

if TYPE_CHECKING:
    from noptoolkit.collectives.verification import CollectiveVerification

__all__ = ["CollectiveResult", "CollectiveStatus"]

CollectiveStatus = Literal[
    "exact", "certified", "certified in trees", "bounded", "time limit", "fixed algorithm"
]


@dataclass(frozen=True, eq=False, repr=False)
class CollectiveResult(Reported):
    """The answer of `collective`: a schedule, its time, and a time that no schedule can undercut.

    Parameters
    ----------
    package, requests, algorithm
        What was asked.
    time
        Fluid time of the schedule: the largest use / capacity over channels, crossbars and ports, in s.
    time_bound
        Time that no schedule (without coding across elements) undercuts, in s.
    time_bound_trees
        Time that no schedule in trees undercuts, in s; at least ``time_bound``.
    status
        ``exact`` (gap within 1e-6), ``certified`` (within ``tol``), ``certified in trees`` (within ``tol`` of
        ``time_bound_trees`` alone: whether another kind of schedule is faster is open), ``bounded``
        (farther apart), ``time limit`` or ``fixed algorithm``.
    method, bound_method
        Names of the methods that found the schedule and the bound.
    theorem
        Statement by which time and bound meet, or why they need not.
    load
        Load of each of ``package.channels``, in B, [channels].
    bottleneck
        What sets ``time``: a channel, a crossbar or a port; empty without bytes.
    cut
        Cut that proves ``time_bound``; ``None`` where prices do.
    prices
        Prices that prove ``time_bound``, scaled so that capacity @ prices = 1, in s/B, [resources]; of a
        cut, the same on all its channels.
    use
        Use of each resource of ``network``, in B, [resources].
    schedule
        Trees with their amounts and paths; ``None`` where they are not kept.
    network
        The arrays behind it.
    seconds
        Time spent, in s.
    remarks
        What a reader must know besides.
    left_out
        Why no relay adds and copies, though some can: time and bound are of schedules where members alone do.
        Empty where nothing is left out.
    steps
        Number of synchronous steps of an algorithm of today, whose times add up to ``time``; ``None`` where
        trees move at the same time.
    computing
        Names of the relays that add and copy in the schedule.
    tol
        Gap that was asked for: what ``certified`` means.
    prices_trees
        Prices that prove ``time_bound_trees``, scaled alike, in s/B, [resources].
    non_forwarding
        Names of the chiplets through which nothing passes and which send only what is their own.
    """

    package: Package
    requests: tuple[Request, ...]
    algorithm: str
    time: float = field(metadata={"unit": "s"})
    time_bound: float = field(metadata={"unit": "s"})
    time_bound_trees: float = field(metadata={"unit": "s"})
    status: CollectiveStatus
    method: str
    bound_method: str
    theorem: str
    load: Floats = field(metadata={"unit": "B"})
    bottleneck: str
    cut: CollectiveCut | None
    prices: Floats = field(metadata={"unit": "s/B"})
    use: Floats = field(metadata={"unit": "B"})
    schedule: CollectiveSchedule | None
    network: FlowNetwork
    seconds: float = field(metadata={"unit": "s"})
    remarks: tuple[str, ...] = ()
    left_out: str = ""
    steps: int | None = None
    computing: tuple[str, ...] = ()
    tol: float = 0.01
    prices_trees: Floats | None = field(default=None, metadata={"unit": "s/B"})
    non_forwarding: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"CollectiveResult({self.title} on {self.package.name!r}, {self.algorithm}: "
            f"{format_quantity(self.time, 's')}, lower bound {format_quantity(self.time_bound, 's')}, "
            f"{self.status}{', relays left out' if self.left_out else ''})"
        )

    def _repr_svg_(self) -> str | None:
        return picture_of(self)

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def title(self) -> str:
        """What was asked, in a few words."""
        if len(self.requests) == 1:
            return str(self.requests[0])
        kinds = list(dict.fromkeys(request.kind for request in self.requests))
        return f"{' and '.join(kinds)} in {len(self.requests)} groups"

    @property
    def gap(self) -> float:
        """Upper bound on the distance to the optimum: time / time_bound - 1."""
        return gap_between(self.time, self.time_bound)

    @property
    def bandwidth(self) -> float:
        """Algorithmic bandwidth of a single request: size / time, in B/s."""
        size = max(request.size for request in self.requests)
        return size / self.time if self.time > 0 else float("inf")

    @property
    def utilisation(self) -> Floats:
        """Load / (bandwidth x time) of each channel, [channels]; 0 without bytes."""
        bandwidth = np.array([channel.bandwidth for channel in self.package.channels])
        return self.load / (bandwidth * self.time) if self.time > 0 else np.zeros_like(self.load)

    def table(self, busiest: int | None = 8) -> Table:
        """Return the busiest channels, crossbars and ports (all of them where ``None``) as a table."""
        return busiest_resources(
            self.network, self.use, self.time, what="schedule", title=repr(self), notes=self.notes(),
            most=busiest,
        )  # fmt: skip

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        bound = format_quantity(self.time_bound, "s")
        alone = " where members alone add and copy" if self.left_out else ""
        lines = [
            f"{self.algorithm}: {format_quantity(self.time, 's')} by {self.method}",
            f"no schedule{alone} is faster than {bound} ({self.bound_method}): gap {self.gap:.2%}, "
            f"{self.status}",
        ]
        if self.time_bound_trees > self.time_bound * (1 + 1e-6):
            trees = format_quantity(self.time_bound_trees, "s")
            lines.append(f"no schedule in trees is faster than {trees}")
        if self.cut is not None:
            lines.append(str(self.cut))
        lines += [*([self.theorem] if self.theorem else []), *self.remarks]
        if self.left_out:
            lines.append(f"some relays add and copy, which time and bound leave out: {self.left_out}")
        return lines

    @raises_where_malformed(RoutingError)
    def verify(self) -> CollectiveVerification:
        """Check the result by code that shares nothing with the solvers; return what was checked.

        See `noptoolkit.collectives.verification`.

        Raises
        ------
        RoutingError
            If something does not hold, with every fault.
        """
        from noptoolkit.collectives.verification import verify_collective

        return verify_collective(self)
