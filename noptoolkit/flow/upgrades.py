"""What other bandwidths of some links would do: the price's forecast, how far it holds, and the truth.

A price is the slope of today's piece of the throughput over bandwidth; it says nothing beyond the next
corner, where another resource takes over (`noptoolkit.flow.bandwidth_curves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported
from noptoolkit.errors import RoutingError, TopologyError, raise_collected, raises_where_malformed
from noptoolkit.flow.bandwidth_curves import CLOSE, NEAR, BandwidthCurve, Ray, named
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.widths.choices import choices_of
from noptoolkit.package.edits import Links
from noptoolkit.routing.rules import Routing
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["Upgrade", "upgrade", "upgrade_table"]


@dataclass(frozen=True, eq=False, repr=False)
class Upgrade(Reported):
    """What other bandwidths of some links do.

    Parameters
    ----------
    before, after
        Results on the package as it is, and solved again with the other bandwidths.
    links
        Names of the links that change: ``a->b`` in one direction, ``a<->b`` in both.
    old, new
        Bandwidths of their channels, in B/s, [channels].
    forecast
        Time that the price of the links forecasts, in s: 1 / time is a straight line from today. Equal to
        the time solved again within the range, below it outside: a lower bound for any routing.
    low, high
        Range of the first link's bandwidth in which the price holds, in B/s.
    held_forecast
        Time at the end of that range, or at the new bandwidth if it comes first, in s.
    next_limit
        What limits beyond the range, on the side of the new bandwidth.
    curve
        Time over the bandwidth, from the lower end of the range to beyond the new bandwidth.
    """

    before: FlowResult
    after: FlowResult
    links: tuple[str, ...]
    old: Floats = field(metadata={"unit": "B/s"})
    new: Floats = field(metadata={"unit": "B/s"})
    forecast: float = field(metadata={"unit": "s"})
    low: float = field(metadata={"unit": "B/s"})
    high: float = field(metadata={"unit": "B/s"})
    held_forecast: float = field(metadata={"unit": "s"})
    next_limit: tuple[str, ...]
    curve: BandwidthCurve

    def __repr__(self) -> str:
        return (
            f"Upgrade({named(self.links)} to {format_quantity(float(self.new[0]), 'B/s')} on "
            f"{self.before.package.name!r}: {format_quantity(self.before.time, 's')} becomes "
            f"{format_quantity(self.after.time, 's')}, {self.after.status})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def gain(self) -> float:
        """Share of the time that is saved, below 0 where more is needed."""
        return 1.0 - self.after.time / self.before.time if self.before.time > 0 else 0.0

    @property
    def is_downgrade(self) -> bool:
        """Whether some link gets less bandwidth than it has."""
        return bool((self.new < self.old).any())

    def table(self) -> Table:
        """Return forecast, range and truth as a table of one row."""
        return upgrade_table([self])

    @raises_where_malformed(RoutingError)
    def verify(self) -> bool:
        """Check both results by code that shares nothing with the solvers; return whether all was checked.

        The second one must be of the same traffic, on the same package but for the bandwidths of ``new``, and
        no faster than the forecast; within the range of the price it takes what was forecast. Assumed: that
        range, what is forecast at its end, ``next_limit`` and the curve.

        Raises
        ------
        RoutingError
            If something does not hold; the message lists every fault.
        """
        from noptoolkit.flow.verification.changes import other_traffic, widening_faults

        today, then = (one.package.link_bandwidths for one in (self.before, self.after))
        pairs = {(a, b) for a, b in zip(self.old.tolist(), self.new.tolist(), strict=True) if a != b}
        faults = widening_faults(self.before.package, self.after.package, then)
        if not faults and {(a, b) for a, b in zip(today.flat, then.flat, strict=True) if a != b} != pairs:
            faults.append("the bandwidths that changed are not those that are named")
        if other_traffic(self.before.traffic, self.after.traffic):
            faults.append("the traffic that was solved again is another one")
        if not self.forecast <= self.after.time * (1 + CLOSE + self.before.gap):
            faults.append(f"{self.forecast:.9g} s was forecast at least, {self.after.time:.9g} s came")
        slack = self.after.time * (CLOSE + self.before.gap + self.after.gap)
        if self.low <= self.new[0] <= self.high:
            for told in (self.forecast, self.held_forecast):
                if not abs(told - self.after.time) <= slack:
                    faults.append(
                        f"{told:.9g} s was forecast where the price holds, {self.after.time:.9g} s came"
                    )
        raise_collected(RoutingError, f"{self!r} does not hold", faults)
        return bool(self.before.verify()) and bool(self.after.verify())


def upgrade_table(upgrades: Sequence[Upgrade]) -> Table:
    """Return several upgrades of one result as a table: forecast and range beside the truth."""
    exact = all(one.after.gap <= CLOSE for one in upgrades)
    columns = [
        Column("links", meaning="a->b one direction, a<->b both"),
        Column("old", "from", unit="B/s", meaning="bandwidth today"),
        Column("new", "to", unit="B/s", meaning="bandwidth asked for"),
        Column(
            "forecast",
            "price says",
            unit="s",
            meaning="1 / time on the straight line of the price, whatever its range",
        ),
        Column("high", "holds up to", unit="B/s", meaning="bandwidth up to which the price holds"),
        Column("low", "holds from", unit="B/s", meaning="bandwidth from which on it holds", shown=False),
        Column("held", "there", unit="s", meaning="time at the end of the range, or at the new bandwidth"),
        Column("time", "solved again", unit="s", meaning="time with the new bandwidth"),
        Column("time_bound", "lower bound", unit="s", meaning="for any routing", shown=not exact),
        Column("gain", "saved", form=".1f %", meaning="share of today's time"),
        Column("next", "then limited by", meaning="resources with a price beyond the range", shown=False),
    ]
    rows = []
    for one in upgrades:
        high: float | Missing = one.high if np.isfinite(one.high) else Missing("any")
        rows.append(
            [
                named(one.links),
                float(one.old[0]),
                float(one.new[0]),
                one.forecast,
                high,
                one.low,
                one.held_forecast,
                one.after.time,
                one.after.time_bound,
                one.gain,
                named(one.next_limit),
            ]
        )
    first = upgrades[0].before
    notes = [
        f"{first.traffic.name or 'traffic'}, {first.routing}: {format_quantity(first.time, 's')} today, "
        f"limited by {named(_limits_today(first), 1)}"
    ]
    if exact:
        notes.append("times solved again are exact: no routing is faster")
    for one in upgrades:
        less = one.new[0] < one.old[0]
        end = one.low if less else one.high
        if np.isfinite(end) and end > 2 * NEAR * one.old[0]:
            where = f"{'below' if less else 'above'} {format_quantity(float(end), 'B/s')}"
            notes.append(f"{where} on {named(one.links)} the limit is {named(one.next_limit)}")
    if any(one.is_downgrade for one in upgrades):
        notes.append("some links get less bandwidth than they have today")
    return Table(columns, rows, title=f"What if, on {first.package.name}", notes=notes)


def upgrade(
    flow: FlowResult,
    links: Links,
    *,
    to: Quantity | None = None,
    by: Quantity | None = None,
    routing: str | Routing | None = None,
) -> Upgrade:
    """Return what other bandwidths of some links do, with the range in which their price holds.

    Parameters
    ----------
    flow
        Result on the package as it is.
    links
        Links to change, as `Package.with_link_bandwidth` takes them.
    to, by
        New bandwidth of each, or what is added to it (below 0: taken away), in B/s per direction; one of the
        two.
    routing
        Routing to solve again with; only needed where the result's is not a name in ``ROUTINGS``.

    Raises
    ------
    RoutingError
        If neither or both of ``to`` and ``by`` are given, or nothing is to be carried.
    TopologyError
        If nothing would be left of a bandwidth.
    UnknownNameError
        If no link has a name that was given.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package, Switch, congestion
    >>> from noptoolkit.traffic import from_matrix
    >>> star = Package("star", [Switch("hub"), *(Chiplet(n) for n in "abc")],
    ...                [Link("hub", n, width) for n, width in zip("abc", ("1 GB/s", "1 GB/s", "4 GB/s"))])
    >>> flow = congestion(star, from_matrix(star, [[0, 9e9, 0], [8e9, 0, 0], [0, 0, 0]]))
    >>> found = upgrade(flow, "hub<->b", to="2 GB/s")
    >>> found.before.time, found.forecast, found.after.time, found.high  # a->hub carries as much
    (9.0, 9.0, 9.0, inf)
    """
    if (to is None) == (by is None):
        raise RoutingError("give one of to= (the new bandwidth) and by= (what is added)")
    package = flow.package
    choices = choices_of(package, links, directions="each")
    today = package.link_bandwidths.ravel()
    chosen = np.flatnonzero(np.asarray(choices.lanes.sum(axis=1)).ravel() > 0)
    name, given = ("to", to) if to is not None else ("by", by)
    assert given is not None
    amount = parse_quantity(given, "B/s", name)
    new = np.full(len(chosen), amount) if to is not None else today[chosen] + amount
    if not np.isfinite(new).all() or (new <= 0).any():
        short = choices.names[int(np.argmin(new))]
        raise TopologyError(
            f"{short} would have {float(new.min()):g} B/s; give more than 0: package.without() removes a link"
        )
    step = np.zeros(len(today))
    step[chosen] = new - today[chosen]
    if not step.any():
        step[chosen] = 1.0 if to is None else today[chosen]
    same = bool((new == today[chosen]).all())
    ray = Ray(flow, choices, step, int(chosen[0]), routing)
    line, begin, end, beyond = ray.range_of_price()
    reach = 0.0 if same else 1.0
    after = flow if same else ray.solve(1.0)
    least, most = ray.limits()
    shown = max(0.5 * least, -1.0), min(1.3 * max(1.0, min(end, 3.0)), 0.5 + 0.5 * most)
    low, high = sorted((ray.bandwidth(begin), ray.bandwidth(end)))
    return Upgrade(
        before=flow,
        after=after,
        links=ray.links,
        old=today[chosen],
        new=new,
        forecast=float(1.0 / line(reach)),
        low=max(low, 0.0) if begin > least or ray.rate < 0 else 0.0,
        high=high,
        held_forecast=float(1.0 / line(min(reach, end))),
        next_limit=beyond,
        curve=ray.curve(*shown),
    )


def _limits_today(flow: FlowResult) -> tuple[str, ...]:
    """Return what sets the time, the bottleneck first: what is full and, where the time is exact, priced."""
    capacity = flow.network.capacity
    limits = flow.use >= flow.time * (1 - CLOSE) * capacity
    worth = flow.prices * capacity
    if flow.gap <= CLOSE and worth.any():
        limits &= worth > 1e-3 * worth.max()
    names = [flow.network.names[r] for r in np.flatnonzero(limits).tolist()]
    first = str(flow.bottleneck)
    return (first, *(name for name in names if name != first)) if first else tuple(names)
