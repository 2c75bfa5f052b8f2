"""What a search found, and how far it can be from the best of its class."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isclose
from typing import Literal

from noptoolkit.bounds import TopologyBound, TopologyClass
from noptoolkit.bounds.belonging import not_of, same_traffic
from noptoolkit.errors import RoutingError, raise_collected, raises_where_malformed
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.search.graphs import Edges
from noptoolkit.search.objective import Figure
from noptoolkit.search.structure import Structure, broken_rules, build, keeps_rules
from noptoolkit.tables import Column, Missing, Table, value_text
from noptoolkit.traffic import Traffic

__all__ = ["SearchResult"]


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """Result of `search`.

    Parameters
    ----------
    within
        Class that was searched.
    structure
        The best structure: links, places, copying nodes.
    package
        The best package.
    figure
        What was made small: its ``title``, ``unit`` and ``sign``.
    cost
        Its value; ``sign * cost`` is what is shown.
    flows
        Each traffic on the package, solved by `noptoolkit.congestion`; empty where the figure is not the time
        of traffic.
    bounds
        A bound of each traffic over all topologies of the class.
    how
        ``every graph`` (all were looked at: nothing of the class is better), ``design`` (widths split freely:
        the design program's own), or ``search``.
    solves, screens, rejected
        Packages solved, graphs screened by compiled code, and those that bounds ruled out unsolved.
    history
        Solves so far and cost of each improvement.
    """

    within: TopologyClass
    structure: Structure = field(repr=False)
    package: Package
    figure: Figure = field(repr=False)
    cost: float
    flows: tuple[FlowResult, ...] = field(repr=False)
    bounds: tuple[TopologyBound, ...] = field(repr=False)
    how: Literal["every graph", "design", "search"]
    solves: int
    screens: int
    rejected: int
    history: tuple[tuple[int, float], ...]

    def __repr__(self) -> str:
        figure, least = self.figure, self.cost_bound
        value = value_text(figure.sign * self.cost, figure.unit)
        beside = "" if least is None else f", at least {value_text(least, figure.unit)} on any of the class"
        return f"SearchResult({self.package.name!r}: {figure.title} {value}{beside}, {self.status})"

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def edges(self) -> Edges:
        """Pairs of nodes of the best, and the number of links between them."""
        return self.structure.edges

    @property
    def time(self) -> float:
        """The cost, where it is the time of traffic: in s."""
        return self.cost

    @property
    def flow(self) -> FlowResult:
        """The first traffic on the best package."""
        return self.flows[0]

    @property
    def bound(self) -> TopologyBound:
        """Bound of the first traffic over the class."""
        return self.bounds[0]

    @property
    def cost_bound(self) -> float | None:
        """Cost below which nothing of the class is: its own if all were looked at; ``None`` if unknown."""
        if self.how == "every graph":
            return sum(flow.time_bound for flow in self.flows) if self.flows else self.cost
        return min(sum(one.time for one in self.bounds), self.cost) if self.bounds else None

    @property
    def time_bound(self) -> float:
        """`cost_bound`, where it is the time of traffic: in s."""
        return self.cost_bound or 0.0

    @property
    def gap(self) -> float:
        """Largest distance to the best of the class: cost / cost_bound - 1; infinite without a bound."""
        least = self.cost_bound
        if least is None or (not least > 0 and self.cost > least):
            return float("inf")
        return self.cost / least - 1.0 if least else 0.0

    @property
    def status(self) -> str:
        """``optimal`` (within 1e-3 of what no topology of the class beats) or ``found``."""
        return "optimal" if self.gap <= 1e-3 else "found"

    def table(self) -> Table:
        """Return the result as a table of one row."""
        figure, least = self.figure, self.cost_bound
        name = "time" if self.flows else "value"
        columns = [
            Column("package"),
            Column("links"),
            Column(name, figure.title, unit=figure.unit),
            Column("bound", "at least", unit=figure.unit, meaning="on any topology of the class"),
            Column("gap", "over it", form=".2f %"),
            Column("status"),
            Column("solves", "solved", meaning="packages solved"),
            Column("screens", "screened", meaning="graphs looked at by compiled code"),
            Column("rejected", "ruled out", meaning="by prices or bounds, unsolved"),
        ]
        none = Missing("-")
        row = [
            self.package.name,
            len(self.package.links),
            figure.sign * self.cost,
            none if least is None else figure.sign * least,
            none if least is None else self.gap,
            self.status,
            self.solves,
            self.screens,
            self.rejected,
        ]
        theorem = "; ".join(dict.fromkeys(one.theorem for one in self.bounds))
        how = {
            "every graph": "every graph of the class was looked at",
            "design": "bandwidth may be split freely: the design program's own package",
            "search": f"bound: {theorem}" if theorem else "the best of those tried, not of the class",
        }
        notes = [self.within.text(), how[self.how]]
        if least is None:
            notes.append(f"no bound of {figure.title} over a class is known")
        return Table(columns, [row], title="Search", notes=notes)

    @raises_where_malformed(RoutingError)
    def verify(self) -> bool:
        """Check flows, bounds and the rules of the class by code that shares nothing with the search.

        True if all was checked. Assumed of a metric's bounds: that their traffic is the metric's.

        Raises
        ------
        NopError
            If one does not hold.
        """
        checked = [bool(flow.verify()) for flow in self.flows]
        for bound in self.bounds:
            bound.verify()
        if not self.flows:
            self.figure.check(self.package, self.cost)
        faults = self._of_others()
        if self.flows and not isclose(self.cost, sum(flow.time for flow in self.flows), rel_tol=1e-9):
            faults.append("its cost is not what its flows take")
        same = self.package.digest()
        if any(flow.package.digest() != same for flow in self.flows):
            faults.append("a flow is of another package")
        if self.within.links != "split":
            if not keeps_rules(self.within, self.structure):
                faults.append("its links break a rule of the class")
            elif build(self.within, self.structure, self.package.name).digest() != same:
                faults.append("its package is not that of its structure")
        faults += broken_rules(self.within, self.package)
        raise_collected(RoutingError, f"{self!r} does not hold", faults)
        return all(checked)

    def _of_others(self) -> list[str]:
        """Return which flows and bounds are of another traffic, package or class than was searched."""
        traffics: tuple[Traffic, ...] = getattr(self.figure, "traffics", ())
        if not traffics:
            return []
        if not len(traffics) == len(self.flows) == len(self.bounds):
            return [f"{len(traffics)} traffics have {len(self.flows)} flows and {len(self.bounds)} bounds"]
        faults = []
        for traffic, flow, bound in zip(traffics, self.flows, self.bounds, strict=True):
            faults += not_of(bound, traffic, self.within)
            if not same_traffic(flow.traffic, traffic):
                faults.append("a flow is of another traffic")
        return faults
