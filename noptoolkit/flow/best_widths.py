"""The best use of a budget of bandwidth over several links, with its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._numbers import is_number, is_whole
from noptoolkit._pictures import Reported
from noptoolkit.errors import RoutingError, raise_collected, raises_where_malformed
from noptoolkit.flow.evaluation import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.solving_again import TOL, evidence_for, solver_of
from noptoolkit.flow.widths.choices import SLIVER, Choices, Directions, choices_of
from noptoolkit.flow.widths.evidence import Evidence
from noptoolkit.flow.widths.masters import Outer, proved_time
from noptoolkit.flow.widths.search import Answer, WidthSearch
from noptoolkit.package import Package
from noptoolkit.package.edits import Links
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.routing.solution import Status, gap_between
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import Traffic
from noptoolkit.units import LARGEST, Quantity, format_quantity, parse_quantity

if TYPE_CHECKING:
    from noptoolkit.flow.verification import Verification

__all__ = ["BestWidths", "best_widths", "search_of"]


@dataclass(frozen=True, eq=False, repr=False)
class BestWidths(Reported):
    """Result of `best_widths`: where a budget goes, the time that it buys, and a bound on what any use buys.

    Parameters
    ----------
    before, after
        Results on the package as it is and as widened, one for each traffic.
    weights
        Weight of each traffic's time in the sum, [traffics].
    package
        The widened package.
    choices
        Links that could be widened, and what a B/s of each costs.
    extra
        Extra bandwidth of each choice, in B/s, [choices].
    budget
        What could be spent, in the budget's unit.
    unit
        Unit of the budget: ``B/s``, ``m`` of die edge, or empty for money.
    evidence
        Planes whose mixture proves ``time_bound``.
    outer
        The mixture.
    solves
        Number of solves that it took.
    worst
        Whether the longest of the times counts, and not their weighted sum.
    """

    before: tuple[FlowResult, ...]
    after: tuple[FlowResult, ...]
    weights: Floats
    package: Package
    choices: Choices
    extra: Floats
    budget: float
    unit: str
    evidence: tuple[Evidence, ...] = field(repr=False)
    outer: Outer = field(repr=False)
    solves: int = 0
    worst: bool = False

    def __repr__(self) -> str:
        return (
            f"BestWidths({self.package.name!r}, {self._amount(self.budget)}: "
            f"{format_quantity(self.today, 's')} becomes {format_quantity(self.time, 's')}, "
            f"no use of it beats {format_quantity(self.time_bound, 's')}, {self.status})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def _amount(self, value: float) -> str:
        return format_quantity(value, self.unit) if self.unit else f"cost {value:.4g}"

    @property
    def today(self) -> float:
        """Weighted sum of times (the longest if ``worst``) on the package as it is, in s."""
        return self._score(self.before)

    @property
    def time(self) -> float:
        """Weighted sum of times (the longest if ``worst``) on the widened package, solved again, in s."""
        return self._score(self.after)

    def _score(self, flows: tuple[FlowResult, ...]) -> float:
        times = [flow.time for flow in flows]
        return max(times) if self.worst else float(self.weights @ times)

    @property
    def time_bound(self) -> float:
        """Lower bound on that sum under every use of the budget: any routing, or the fixed one, in s."""
        return min(self.outer.bound, self.time)

    @property
    def gap(self) -> float:
        """Largest distance of ``time`` to the best use of the budget: time / time_bound - 1."""
        return gap_between(self.time, self.time_bound)

    @property
    def status(self) -> Status:
        """``exact`` (gap within 1e-6), ``certified`` (within 1 %) or ``bounded``."""
        return "exact" if self.gap <= 1e-6 else "certified" if self.gap <= 0.01 else "bounded"

    @property
    def spent(self) -> float:
        """What the widths cost, in the budget's unit."""
        return float(self.choices.price @ self.extra)

    def table(self, most: int | None = 12) -> Table:
        """Return the links that are widened most, as a table."""
        there = np.flatnonzero(self.extra > 1e-6 * max(float(self.extra.max(initial=0.0)), 1e-300))
        order = there[np.argsort(-self.extra[there], kind="stable")]
        lanes = self.choices.lanes.tocsc()
        starts = [int(lanes.indices[lanes.indptr[j]]) for j in range(len(self.extra))]
        old = self.choices.start
        rows = [
            [
                self.choices.names[j],
                old[starts[j]],
                old[starts[j]] + self.extra[j],
                self.choices.price[j] * self.extra[j],
                self.choices.price[j] * self.extra[j] / self.budget if self.budget else 0.0,
            ]
            for j in order[:most].tolist()
        ]
        columns = [
            Column("link", meaning="a->b one direction, a<->b both alike"),
            Column("from", unit="B/s", meaning="bandwidth per direction before"),
            Column("to", unit="B/s", meaning="bandwidth per direction"),
            Column("spent", unit=self.unit, form="" if self.unit else ".4g", meaning="share of the budget"),
            Column("share", "of the budget", form=".1f %"),
        ]
        notes = self.notes()
        if most is not None and len(order) > most:
            notes.append(f"and {len(order) - most} more links")
        return Table(columns, rows, title=repr(self), notes=notes)

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        routing = self.before[0].routing
        over = f"under {routing}" if self.evidence[0].fixed and routing != "optimal" else "under any routing"
        names = [flow.traffic.name or "traffic" for flow in self.before]
        lines = [
            f"{' + '.join(names)}, {routing}: {format_quantity(self.today, 's')} today, "
            f"{format_quantity(self.time, 's')} with it, solved again ({self.after[0].status})",
            f"no use of the budget on these links is faster than {format_quantity(self.time_bound, 's')} "
            f"{over}: gap {self.gap:.2%}, {self.solves} solves",
        ]
        if self.unit == "B/s":
            lines.append("each direction of a link counts towards the budget, half duplex once")
        if self.spent < 0.999 * self.budget:
            lines.append(
                f"{self._amount(self.budget - self.spent)} is left over: "
                "what limits now are not the links that may be widened"
            )
        return lines

    @raises_where_malformed(RoutingError)
    def verify(self) -> Verification:
        """Check flows, prices and the bound over all uses by code that shares nothing with the solvers.

        The results must be of the same traffics, before and after, and of the package with the widths that
        are claimed. Assumed: ``choices`` (which links may be widened, what they cost), and the sum that makes
        one bound of the planes' costs, which is the search's own.

        Raises
        ------
        RoutingError
            With every fault found.
        """
        from noptoolkit.flow.verification import Verification, bound_faults, verify_flow
        from noptoolkit.flow.verification.changes import other_traffic, widening_faults

        faults: list[str] = []
        unchecked: list[str] = []
        messages = 0
        for flow in (*self.before, *self.after):
            found = verify_flow(flow)
            messages += found.messages
            unchecked += found.unchecked
        for flow, one, shares in zip(self.before, self.evidence, self.outer.multipliers, strict=True):
            for plane, share in zip(one.planes, shares.tolist(), strict=True):
                if share <= 0 or plane.method == "load of this routing":
                    continue  # the loads of a fixed routing are checked with its result
                source = plane.flow or flow
                room = float(source.network.capacity @ plane.prices)
                claimed = replace(
                    source, prices=plane.prices / room, time_bound=plane.cost / room, time=np.inf
                )
                mine, left = bound_faults(claimed)
                faults += mine
                unchecked += left
        for old, new in zip(self.before, self.after, strict=True):
            if old.package != self.choices.package or new.package != self.package:
                faults.append("a result is of another package")
            if other_traffic(old.traffic, new.traffic):
                faults.append("the traffic that was solved again is another one")
        spent, extra = float(self.choices.price @ self.extra), self.extra
        lanes = (self.choices.start + self.choices.lanes @ extra).reshape(-1, 2)
        shared = np.array([link.half_duplex for link in self.choices.package.links], dtype=bool)
        lanes[shared, 1] = lanes[shared, 0]  # both directions of such a link are one bandwidth
        lanes = np.maximum(lanes, SLIVER * self.choices.package.link_bandwidths)  # which keeps the links
        faults += widening_faults(self.choices.package, self.package, lanes)
        if not spent <= self.budget * (1 + 1e-7) or (extra < 0).any():
            faults.append(f"the widths cost {spent:g}, more than the budget of {self.budget:g}")
        bound = proved_time(
            self.evidence,
            self.weights,
            self.choices,
            self.choices.capacity,
            self.budget,
            self.outer.multipliers,
            self.outer.rates,
            worst=self.worst,
        )
        if not bound >= self.time_bound * (1 - 1e-7):
            faults.append(f"the planes prove {bound:g} s, not {self.time_bound:g} s")
        raise_collected(RoutingError, f"{self!r} does not hold", faults)
        return Verification(messages, tuple(dict.fromkeys(unchecked)))


def best_widths(
    package: Package,
    traffic: Traffic | Sequence[Traffic],
    budget: Quantity,
    *,
    links: Links = "d2d",
    directions: Directions = "both",
    weights: Sequence[float] | None = None,
    worst: bool = False,
    price: Sequence[float] | Floats | None = None,
    unit: str = "B/s",
    floor: float = 1.0,
    routing: str | Routing = "optimal",
    efficiency: float = 1.0,
    tol: float = 1e-3,
    most: int = 40,
    solve_tol: float = TOL,
    ascent: int = 0,
    progress: Progress | None = None,
) -> BestWidths:
    """Return the best use of extra bandwidth on the links of a package, with its certificate.

    Parameters
    ----------
    traffic
        Traffic, or several: the weighted sum of their times, one after the other, is made least.
    budget
        What may be spent: text or a number in ``unit``.
    links
        Links that may be widened, as `Package.with_link_bandwidth` takes them.
    directions
        Whether a link is widened in ``both`` directions alike, or ``each`` by itself.
    weights
        Weight of each traffic's time; 1 each where ``None``.
    worst
        Make the longest of the times least, and not their weighted sum.
    price
        Units of the budget per B/s of each link, each direction counted, [links]; 1 where ``None``: the
        budget is bandwidth, as `Package.total_bandwidth` counts it.
    unit
        Base unit of the budget.
    floor
        Share of today's bandwidth that the links keep in any case: 1 adds bandwidth, 0 lets the budget be
        spread anew.
    routing, efficiency
        As `congestion` takes them.
    tol
        Relative gap between time and bound at which to stop.
    most
        Number of solves after which to stop; the interval reached by then is returned.
    solve_tol
        Relative gap of each solve: loose ones are quick, and bounds stay bounds.
    ascent
        Steps of mirror ascent that come first where ``floor`` is 0: they help where many links share the
        load.
    progress
        Callable that is given a line for each round.

    Raises
    ------
    RoutingError
        If nothing is to be carried, the budget is negative, or the routing cannot be asked.
    UnknownNameError
        If no link has a name that was given.

    Examples
    --------
    >>> from noptoolkit import topology, traffic
    >>> tree = topology.nop_tree(2, 2, link_bandwidth="1 GB/s")
    >>> demand = traffic.all_to_all(tree, "1 GB", among="experts")
    >>> found = best_widths(tree, demand, "4 GB/s", directions="each")
    >>> round(found.today, 6), round(found.time, 6), found.status, bool(found.verify())
    (4.0, 2.5, 'exact', True)
    """
    if not (is_number(tol) and tol > 0 and all(is_whole(n) and n >= 0 for n in (most, ascent))):
        raise RoutingError(f"tol={tol!r} must be above 0; most={most!r} and ascent={ascent!r} whole numbers")
    traffics = [traffic] if isinstance(traffic, Traffic) else list(traffic)
    flows = tuple(
        congestion(package, one, routing=routing, tol=solve_tol, efficiency=efficiency) for one in traffics
    )
    amount = parse_quantity(budget, unit, "budget") if unit else float(budget)
    choices = choices_of(
        package,
        links,
        directions=directions,
        price=None if price is None else np.asarray(price, dtype=float),
        floor=floor,
    )
    search = search_of(
        flows, choices, routing=routing, weights=weights, progress=progress, solve_tol=solve_tol
    )
    search.worst = worst
    if not (amount >= 0 and np.isfinite(amount)):
        raise RoutingError(f"a budget of {amount:g} cannot be spent; give 0 or more")
    if floor < 1:
        for one in search.evidence:
            if not one.fixed:
                one.learn_forced()
    if ascent:
        first = search.best(amount, tol=tol, most=0)
        if first.time > first.bound * (1 + tol):
            search.ascend(amount, ascent)
    answer = search.best(amount, tol=tol, most=most)
    return _result(search, flows, answer, unit, tol, most)


def search_of(
    flows: Sequence[FlowResult],
    choices: Choices,
    *,
    routing: str | Routing | None = None,
    weights: Sequence[float] | None = None,
    progress: Progress | None = None,
    solve_tol: float = TOL,
) -> WidthSearch:
    """Return a search over the widths of the chosen links that starts from solved results."""
    if not flows:
        raise RoutingError("no traffic is given")
    for flow in flows:
        if not flow.time > 0:
            raise RoutingError(f"{flow!r} carries nothing: no bandwidth makes it faster")
    weighed = np.ones(len(flows)) if weights is None else np.asarray(list(weights), dtype=float)
    if len(weighed) != len(flows) or not ((weighed > 0) & (weighed <= LARGEST)).all():
        raise RoutingError(f"weights={weights!r}: give a number above 0 for each of {len(flows)} traffics")
    solvers = [solver_of(flow, routing, tol=solve_tol) for flow in flows]
    evidence = [evidence_for(flow, routing, choices) for flow in flows]
    return WidthSearch(choices, evidence, weighed, lambda package, i: solvers[i](package), progress)


def _result(
    search: WidthSearch, flows: tuple[FlowResult, ...], answer: Answer, unit: str, tol: float, most: int
) -> BestWidths:
    """Return the answer with its truth: every traffic solved again on the widened package."""
    choices = search.choices
    best: tuple[float, Answer, Package, tuple[FlowResult, ...]] | None = None
    for _ in range(4):
        package = choices.widened(answer.extra)
        after = tuple(search.try_at(package))
        time = search.score(np.array([flow.time for flow in after]))
        if best is None or time < best[0]:
            best = (time, answer, package, after)
        if time <= answer.bound * (1 + tol):
            break
        answer = search.best(answer.budget, tol=tol, most=most)  # what was just learned may show better
    assert best is not None
    _, answer, package, after = best
    extra = np.maximum(answer.extra, 0.0)
    spent = float(choices.price @ extra)
    if spent > answer.budget:
        extra = extra * (answer.budget / spent)
    return BestWidths(
        before=flows,
        after=after,
        weights=search.weights,
        package=package,
        choices=choices,
        extra=extra,
        budget=answer.budget,
        unit=unit,
        evidence=tuple(
            replace(one, planes=one.planes[: len(shares)])  # those that the mixture is of
            for one, shares in zip(search.evidence, answer.outer.multipliers, strict=True)
        ),
        outer=answer.outer,
        solves=search.solves,
        worst=search.worst,
    )
