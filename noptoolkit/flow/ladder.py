"""The ladder of bottlenecks: which links limit after which, what each step costs and what it buys.

With the best use of every budget B of extra bandwidth, the throughput 1 / time is a concave, piecewise linear
function of B. Its corners are the rungs: between two of them the same links limit and are widened together;
at a corner the next ones join, or take over. On a fixed routing this is filling up: the busiest links are
widened until the next busiest is as busy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported
from noptoolkit.errors import RoutingError, raises_where_malformed
from noptoolkit.flow.bandwidth_curves import binding, named
from noptoolkit.flow.best_widths import search_of
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.widths.choices import Directions, choices_of
from noptoolkit.flow.widths.evidence import Plane
from noptoolkit.flow.widths.sandwich import Line, sandwich
from noptoolkit.flow.widths.search import Answer, WidthSearch
from noptoolkit.package import Package
from noptoolkit.package.edits import Links
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.units import format_quantity

__all__ = ["Ladder", "Rung", "ladder"]

EXACT = 1e-6
CORNER = 1e-5
"""Relative difference from which on a corner is one."""

FAR = 1e3
"""Times today's bandwidth that stands for any budget."""

CLOSE = 1e-4
"""Relative difference from which on what is solved again is another time."""


@dataclass(frozen=True, eq=False)
class Rung:
    """One step of a ladder: a range of the budget in which the same links limit.

    Parameters
    ----------
    start, end
        Budget spent when it begins and ends, in the budget's unit.
    time, time_after
        Time at its begin and at its end, in s.
    limited_by
        Resources that limit in it, those that join first.
    joined
        How many of them did not limit in the steps before.
    links
        Links that are widened from its begin to its end.
    extra
        Extra bandwidth of each choice at its end, in B/s, [choices].
    """

    start: float
    end: float
    time: float
    time_after: float
    limited_by: tuple[str, ...]
    joined: int
    links: tuple[str, ...]
    extra: Floats

    @property
    def cost(self) -> float:
        """What the step costs, in the budget's unit."""
        return self.end - self.start

    @property
    def saved(self) -> float:
        """What it buys, in s."""
        return self.time - self.time_after


@dataclass(frozen=True, eq=False, repr=False)
class Ladder(Reported):
    """Bottlenecks in the order in which they bind, each removed in the cheapest way.

    Parameters
    ----------
    flow
        Result that it starts from.
    rungs
        The steps.
    search
        Evidence that proves them, and the links that may be widened.
    unit
        Unit of the budget.
    gap
        Largest time / bound - 1 over the corners; 0 but for rounding where the ladder is exact.
    finished
        Whether there are no more rungs: the last one goes on, its end being only where the table stops, or
        ``stuck`` takes over.
    stuck
        Resources that limit in the end and that no chosen link relieves; empty where there are none.
    """

    flow: FlowResult
    rungs: tuple[Rung, ...]
    search: WidthSearch
    unit: str
    gap: float
    finished: bool
    stuck: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if not self.rungs:
            return f"Ladder(no rungs on {self.flow.package.name!r}: {named(self.stuck)} limits)"
        last = self.rungs[-1]
        return (
            f"Ladder({self.flow.traffic.name or 'traffic'} on {self.flow.package.name!r}: {len(self.rungs)} "
            f"rungs, {format_quantity(self.flow.time, 's')} to {format_quantity(last.time_after, 's')} for "
            f"{self._amount(last.end)})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def _amount(self, value: float) -> str:
        return format_quantity(value, self.unit) if self.unit else f"cost {value:.4g}"

    def package(self, rung: int) -> Package:
        """Return the package as it is at the end of a rung, counted from 0."""
        return self.search.choices.widened(self.rungs[rung].extra)

    def table(self) -> Table:
        """Return the rungs as a table."""
        form = "" if self.unit else ".4g"
        columns = [
            Column("rung", form="d"),
            Column("joined", "limits now", meaning="resources that join those of the steps before"),
            Column("count", "together", form="d", meaning="number of resources that limit together"),
            Column("time", unit="s", meaning="time at the begin of the step"),
            Column(
                "cost", unit=self.unit, form=form, meaning="extra bandwidth until the next resource limits"
            ),
            Column("time_after", "then", unit="s", meaning="time at the end of the step"),
            Column("saved", form=".1f %", meaning="share of the time at the begin"),
            Column("total", "spent so far", unit=self.unit, form=form),
        ]
        endless = self.finished and not self.stuck
        rows = [
            [
                i + 1,
                named(rung.limited_by[: rung.joined], 1) if rung.joined else "fewer of these",
                len(rung.limited_by),
                rung.time,
                Missing("any") if endless and i == len(self.rungs) - 1 else rung.cost,
                rung.time_after,
                rung.saved / rung.time,
                rung.end,
            ]
            for i, rung in enumerate(self.rungs)
        ]
        return Table(columns, rows, title=repr(self), notes=self.notes())

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        kind = "exact" if self.gap <= EXACT else f"each time is within {self.gap:.2%} of its lower bound"
        fixed = self.search.evidence[0].fixed and self.flow.routing != "optimal"
        over = f"under {self.flow.routing}" if fixed else "under any routing"
        lines = [f"each step is the cheapest way to remove its bottleneck {over}; {kind}"]
        if self.stuck and not self.rungs:
            return [f"no bandwidth of the chosen links helps: {named(self.stuck)} limits"]
        if self.stuck:
            lines.append(f"then no bandwidth of the chosen links helps: {named(self.stuck)} limits")
        elif self.finished:
            lines.append("from the last step on the same links limit whatever is spent")
        return lines

    @raises_where_malformed(RoutingError)
    def verify(self) -> bool:
        """Solve the end of every rung again and compare; return whether all of it was checked.

        Each rung must begin where the one before ends, in time and budget, and cost what its widths cost.
        Assumed: that no cheaper step removes a bottleneck, and which resources limit in it.

        Raises
        ------
        RoutingError
            If a time or a budget is not what the ladder says.
        """
        complete = bool(self.flow.verify())
        time, spent = self.flow.time, 0.0
        for i, rung in enumerate(self.rungs):
            cost = float(self.search.choices.price @ rung.extra)
            room = CLOSE * max(cost, rung.end)
            if not (abs(rung.start - spent) <= room and abs(rung.end - cost) <= room):
                raise RoutingError(
                    f"{self!r}: rung {i + 1} is from {rung.start:.6g} to {rung.end:.6g}, the widths cost "
                    f"{spent:.6g} and {cost:.6g}"
                )
            if not abs(rung.time - time) <= (self.gap + CLOSE) * time:
                raise RoutingError(f"{self!r}: rung {i + 1} begins at {rung.time:.6g} s, not {time:.6g} s")
            time, spent = rung.time_after, rung.end
        for i, rung in enumerate(self.rungs):
            flow = self.search.resolve(self.package(i), 0)
            complete &= bool(flow.verify())
            low = rung.time_after * (1 - self.gap - CLOSE)
            if not low <= flow.time <= rung.time_after * (1 + self.gap + CLOSE):
                raise RoutingError(
                    f"{self!r}: rung {i + 1} ends at {flow.time:.6g} s, not {rung.time_after:.6g} s"
                )
        return complete


def ladder(
    flow: FlowResult,
    steps: int = 10,
    *,
    links: Links = "d2d",
    directions: Directions = "both",
    price: Floats | None = None,
    unit: str = "B/s",
    routing: str | Routing | None = None,
    progress: Progress | None = None,
) -> Ladder:
    """Return which links limit after which, what each step costs and what it buys.

    Parameters
    ----------
    flow
        Result on the package as it is.
    steps
        Number of rungs at most.
    links, directions, price, unit
        Links that may be widened, and what it costs, as `best_widths` takes them.
    routing
        As `upgrade` takes it.
    progress
        Callable that is given a line for each round.

    Raises
    ------
    RoutingError
        If nothing is to be carried, or a number is out of range.

    Examples
    --------
    >>> from noptoolkit import congestion, topology, traffic
    >>> mesh = topology.mesh(4, link_bandwidth="1 GB/s")
    >>> found = ladder(congestion(mesh, traffic.all_to_all(mesh, "1 GB")))
    >>> [(round(rung.time, 2), len(rung.limited_by)) for rung in found.rungs]  # middle cuts, then all
    [(16.0, 16), (12.0, 48)]
    """
    if not (isinstance(steps, int | np.integer) and steps >= 1):
        raise RoutingError(f"steps={steps!r} must be a whole number from 1 up")
    choices = choices_of(flow.package, links, directions=directions, price=price)
    search = search_of([flow], choices, routing=routing, progress=progress)
    firsts = choices.lanes.tocsc()
    now = choices.start[[int(firsts.indices[firsts.indptr[j]]) for j in range(len(choices.names))]]
    today = float(choices.price @ now)
    answers: dict[float, Answer] = {}
    exact = 1e-7 if search.evidence[0].fixed or not search.evidence[0].problem.messages else 1e-4

    def ask(budget: float) -> tuple[float, list[Line]]:
        answer = search.best(budget, tol=exact, most=12)
        answers[budget] = answer
        mixed = _mixture(search, answer)
        slope = float(np.max((choices.on_resources.T @ mixed.prices) / choices.price)) / mixed.cost
        name = binding(mixed, search.capacity + choices.on_resources @ answer.extra, flow.network.names)
        return 1.0 / answer.time, [Line(float(mixed.prices @ search.capacity) / mixed.cost, slope, name)]

    found = sandwich(ask, 0.0, FAR * today, corners=steps, tol=CORNER)
    pieces = found.pieces(CORNER)
    finished = len(pieces) <= steps
    rungs: list[Rung] = []
    before, known, worst = np.zeros(len(choices.names)), set[str](), 0.0
    for i, (start, end, line) in enumerate(pieces[:steps]):
        if finished and i == len(pieces) - 1:
            end = max(2 * start, today)
            if line(end) < (1 + EXACT) * line(start):
                break  # nothing that can be widened limits any more
            ask(end)
            if not float(choices.price @ answers[end].extra) > EXACT * end:
                break  # nor is anything bought: what the price says is rounding
        at = min(answers, key=lambda b: abs(b - end))
        if abs(at - end) > EXACT * end:  # budgets are far apart, and the corner was placed without asking
            at = end
            ask(at)
        answer = answers[at]
        if rungs:
            start = rungs[-1].end
        spent = float(choices.price @ answer.extra)
        if start < spent < end * (1 - EXACT):  # the corner lies within the gap beyond what is worth buying
            end = spent
        worst = max(worst, answer.time * line(at) - 1.0)
        grown = answer.extra - before > 1e-6 * max(float(answer.extra.max(initial=0.0)), 1e-300)
        joined = [name for name in line.name if name not in known]
        rungs.append(
            Rung(
                start,
                end,
                1.0 / line(start),
                1.0 / line(end),
                (*joined, *(name for name in line.name if name in known)),
                len(joined),
                tuple(choices.names[j] for j in np.flatnonzero(grown).tolist()),
                answer.extra,
            )
        )
        before, known = answer.extra, known | set(line.name)
    last = pieces[len(rungs)][2].name if finished and len(rungs) < len(pieces) else ()
    return Ladder(flow, tuple(rungs), search, unit, max(worst, 0.0), finished, last)


def _mixture(search: WidthSearch, answer: Answer) -> Plane:
    """Return the planes of an answer mixed into one."""
    shares = answer.outer.multipliers[0]
    planes = search.evidence[0].planes[: len(shares)]
    mixed = sum(
        share * plane.prices / plane.cost
        for share, plane in zip(shares.tolist(), planes, strict=True)
        if share
    )
    return Plane(np.asarray(mixed, dtype=float), 1.0, "mixture")
