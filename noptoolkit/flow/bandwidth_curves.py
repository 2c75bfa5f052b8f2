"""Time over the bandwidth of some links, in exact pieces.

The throughput 1 / time is a concave, piecewise linear function of bandwidth along any line, so that time is
piecewise hyperbolic. `noptoolkit.flow.widths.sandwich` finds the corners exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported
from noptoolkit.errors import RoutingError
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.solving_again import evidence_for, solver_of
from noptoolkit.flow.widths.choices import Choices, choices_of, with_lane_bandwidths
from noptoolkit.flow.widths.evidence import Evidence, Plane
from noptoolkit.flow.widths.sandwich import Line, Piecewise, sandwich
from noptoolkit.package.edits import Links
from noptoolkit.routing.rules import Routing
from noptoolkit.tables import Column, Table
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["CLOSE", "NEAR", "BandwidthCurve", "Piece", "Ray", "bandwidth_curve", "binding", "named"]

FAR = 1e4
"""Times today's bandwidth that stands for any."""

NEAR = 1e-4
"""Share of today's bandwidth that stands for none."""

CLOSE = 1e-6


@dataclass(frozen=True)
class Piece:
    """A range of bandwidth in which the same resources limit.

    Parameters
    ----------
    low, high
        Bandwidth of the first chosen link where the range begins and ends, in B/s; ``high`` may be infinite.
    at_zero, slope
        Throughput there: 1 / time = at_zero + slope x bandwidth, in 1/s and 1/B.
    limited_by
        Resources with a price, the dearest first.
    """

    low: float
    high: float
    at_zero: float
    slope: float
    limited_by: tuple[str, ...]

    def time(self, bandwidth: float) -> float:
        """Return the time at a bandwidth of the piece, in s."""
        return 1.0 / (self.at_zero + self.slope * bandwidth)


@dataclass(frozen=True, eq=False, repr=False)
class BandwidthCurve(Reported):
    """Time of a traffic as a function of the bandwidth of some links.

    Parameters
    ----------
    flow
        Result that it starts from.
    links
        Names of the links that change: ``a->b`` in one direction, ``a<->b`` in both.
    today
        Bandwidth of the first of them today, in B/s.
    bandwidth
        Its bandwidth at each point, corners among them, in B/s, [points].
    time, time_bound
        Time achieved at each point and lower bound, in s, [points].
    pieces
        Ranges between the corners, each with its formula.
    """

    flow: FlowResult
    links: tuple[str, ...]
    today: float
    bandwidth: Floats = field(metadata={"unit": "B/s"})
    time: Floats = field(metadata={"unit": "s"})
    time_bound: Floats = field(metadata={"unit": "s"})
    pieces: tuple[Piece, ...]

    def __repr__(self) -> str:
        return (
            f"BandwidthCurve({named(self.links)} on {self.flow.package.name!r}: {self._ranges} "
            f"from {format_quantity(self.bandwidth[0], 'B/s')} to "
            f"{format_quantity(self.bandwidth[-1], 'B/s')}, "
            f"gap at most {self.gap:.2g})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def _ranges(self) -> str:
        return f"{len(self.pieces)} ranges" if len(self.pieces) > 1 else "one range"

    @property
    def gap(self) -> float:
        """Largest time / time_bound - 1 over the points."""
        return float(np.max(self.time / self.time_bound) - 1.0)

    def bound_at(self, bandwidth: float) -> float:
        """Return the lower bound on the time at a bandwidth, in s: exact where the gap is 0."""
        return max(piece.time(bandwidth) for piece in self.pieces)

    def table(self) -> Table:
        """Return the pieces as a table."""
        columns = [
            Column("from", unit="B/s", meaning="bandwidth at which the range begins"),
            Column("to", unit="B/s", meaning="bandwidth at which the next resource takes over"),
            Column("time_from", "time at the begin", unit="s"),
            Column("time_to", "time at the end", unit="s"),
            Column("limited_by", meaning="resources with a price in the range"),
        ]
        rows = [
            [p.low, p.high, p.time(p.low), p.time(min(p.high, self.bandwidth[-1])), named(p.limited_by)]
            for p in self.pieces
        ]
        return Table(columns, rows, title=repr(self), notes=self.notes())

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        kind = "exact" if self.gap <= CLOSE else f"within {self.gap:.2%} of its lower bound"
        lines = [
            f"{self.flow.traffic.name or 'traffic'}, {self.flow.routing}: in each range 1 / time is linear "
            f"in the bandwidth; the curve is {kind}"
        ]
        if len(self.links) > 1:
            lines.append(
                f"{len(self.links)} links change by the same amount; the bandwidth is that of {self.links[0]}"
            )
        return lines


def bandwidth_curve(
    flow: FlowResult,
    links: Links,
    low: Quantity | None = None,
    high: Quantity | None = None,
    *,
    routing: str | Routing | None = None,
) -> BandwidthCurve:
    """Return the time of a traffic over the bandwidth of some links, in exact pieces.

    Parameters
    ----------
    flow
        Result on the package as it is.
    links
        Links whose bandwidth varies, all by the same amount, as `Package.with_link_bandwidth` takes them.
    low, high
        Range of the first one's bandwidth, in B/s; from a quarter of today's to four times as much where
        ``None``.
    routing
        As `upgrade` takes it.

    Raises
    ------
    RoutingError
        If the range is empty or not above 0, or nothing is to be carried.

    Examples
    --------
    >>> from noptoolkit import congestion, topology, traffic
    >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
    >>> flow = congestion(ring, traffic.all_to_all(ring, "1 GB"))
    >>> curve = bandwidth_curve(flow, "d2d", "1 GB/s", "4 GB/s")
    >>> len(curve.pieces), curve.time.round(3).tolist()
    (1, [2.0, 0.5])
    """
    package = flow.package
    choices = choices_of(package, links, directions="each")
    chosen = np.flatnonzero(np.asarray(choices.lanes.sum(axis=1)).ravel() > 0)
    step = np.zeros(2 * len(package.links))
    now = package.link_bandwidths.ravel()
    step[chosen] = now[chosen[0]]
    ray = Ray(flow, choices, step, int(chosen[0]), routing)
    begin = parse_quantity(low, "B/s", "low") if low is not None else ray.today / 4
    end = parse_quantity(high, "B/s", "high") if high is not None else ray.today * 4
    if not 0 < begin < end < np.inf:
        raise RoutingError(f"a curve from {begin:g} B/s to {end:g} B/s is empty; give 0 < low < high")
    least = float(now[chosen].min())
    if least + begin - ray.today <= 0:
        raise RoutingError(
            f"at {format_quantity(begin, 'B/s')} nothing would be left of the narrowest chosen link: it has "
            f"{format_quantity(least, 'B/s')} where the first has {format_quantity(ray.today, 'B/s')}"
        )
    return ray.curve(ray.position(begin), ray.position(end))


def named(names: Sequence[str], most: int = 2) -> str:
    """Return the first of some names, and how many more there are.

    Examples
    --------
    >>> named(["a->b", "b->c", "c->d"]), named(["a->b"]), named([])
    ('a->b, b->c and 1 more', 'a->b', 'nothing')
    """
    if not names:
        return "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def binding(plane: Plane, capacity: Floats, names: Sequence[str]) -> tuple[str, ...]:
    """Return the resources that a plane prices, the dearest first; those below 1 in 1,000 are left out."""
    worth = plane.prices * capacity
    order = np.argsort(-worth, kind="stable")
    return tuple(names[r] for r in order.tolist() if worth[r] > 1e-3 * worth[order[0]])


class Ray:
    """Bandwidths along a straight line: today + t x step, t = 0 today."""

    def __init__(
        self, flow: FlowResult, choices: Choices, step: Floats, first: int, routing: str | Routing | None
    ) -> None:
        if not flow.time > 0:
            raise RoutingError(f"{flow!r} carries nothing: no bandwidth makes it faster")
        self.flow, self.choices, self.step = flow, choices, step
        self.links = choices_of(flow.package, choices.names).names
        self.lanes = flow.package.link_bandwidths.ravel()
        self.today, self.rate = float(self.lanes[first]), float(step[first])
        self.evidence: Evidence = evidence_for(flow, routing, choices)
        self._solve = solver_of(flow, routing)
        network = self.evidence.problem.network
        self.capacity = network.capacity
        self.names = network.names
        columns = choices.lanes.T @ step
        self.change: Floats = choices.on_resources @ columns
        self._told = 0
        if flow.gap > CLOSE and not self.evidence.fixed:
            self.evidence.learn(self._solve(flow.package))  # a range needs more than a first tolerance

    def bandwidth(self, t: float) -> float:
        """Return the first lane's bandwidth at t, in B/s."""
        return self.today + t * self.rate

    def position(self, bandwidth: float) -> float:
        """Return the t of a bandwidth of the first lane."""
        return (bandwidth - self.today) / self.rate

    def solve(self, t: float) -> FlowResult:
        """Solve the traffic again at t, and learn from it."""
        flow = self._solve(with_lane_bandwidths(self.flow.package, self.lanes + t * self.step))
        if not self.evidence.fixed:
            self.evidence.learn(flow)
        return flow

    def ask(self, t: float) -> tuple[float, list[Line]]:
        """Return throughput achieved at t, and the lines that are new."""
        if not self.evidence.fixed and t != 0.0:
            self.solve(t)
        capacity = self.capacity + t * self.change
        new = self.evidence.planes[self._told :]
        self._told = len(self.evidence.planes)
        lines = [
            Line(
                float(p.prices @ self.capacity) / p.cost,
                float(p.prices @ self.change) / p.cost,
                binding(p, capacity, self.names),
            )
            for p in new
        ]
        return 1.0 / self.evidence.time(capacity), lines

    def piecewise(self, low: float, high: float) -> Piecewise:
        """Return the throughput between two positions."""
        self._told = 0
        return sandwich(self.ask, low, high, tol=CLOSE)

    def curve(self, low: float, high: float) -> BandwidthCurve:
        """Return the curve between two positions."""
        found = self.piecewise(low, high)
        pieces = []
        for begin, end, line in found.pieces():
            slope = line.slope / self.rate
            pieces.append(
                Piece(
                    self.bandwidth(begin),
                    self.bandwidth(end),
                    line.at_zero - slope * self.today,
                    slope,
                    line.name,
                )
            )
        order = slice(None, None, 1 if self.rate > 0 else -1)
        if self.rate < 0:
            pieces = [Piece(p.high, p.low, p.at_zero, p.slope, p.limited_by) for p in reversed(pieces)]
        x = np.array([self.bandwidth(t) for t in found.x.tolist()])[order]
        return BandwidthCurve(
            self.flow,
            self.links,
            self.today,
            x,
            1.0 / found.value[order],
            np.minimum(1.0 / found.upper[order], 1.0 / found.value[order]),
            tuple(pieces),
        )

    def limits(self) -> tuple[float, float]:
        """Return the positions at which next to nothing is left of a lane, or far more than of any today."""
        up, down = self.step > 0, self.step < 0
        scale = float(np.min(self.lanes[up | down] / np.abs(self.step[up | down])))
        low, high = -FAR * scale, FAR * scale
        if up.any():
            low = -(1 - NEAR) * float(np.min(self.lanes[up] / self.step[up]))
        if down.any():
            high = (1 - NEAR) * float(np.min(self.lanes[down] / -self.step[down]))
        return low, high

    def range_of_price(self) -> tuple[Line, float, float, tuple[str, ...]]:
        """Return the line of the price just beyond today, the positions between which it holds, and the next.

        A range without end is infinite.
        """
        least, most = self.limits()
        pieces = self.piecewise(least, most).pieces()
        close = CLOSE * min(-least, most)
        index = next(i for i, (_, end, _) in enumerate(pieces) if end > close)
        begin, end, line = pieces[index]
        after = pieces[index + 1][2].name if index + 1 < len(pieces) else line.name
        if begin <= least and not (self.step > 0).any():
            begin = -np.inf
        if end >= most and not (self.step < 0).any():
            end = np.inf
        return line, begin, end, after
