"""What a search found, and how far it can be from the best of its class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from noptoolkit.bounds import TopologyBound, TopologyClass
from noptoolkit.errors import RoutingError, raise_collected
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.search.graphs import Edges, fits
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity

__all__ = ["SearchResult"]


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """Result of `search`.

    Parameters
    ----------
    within
        Class that was searched.
    edges
        The best graph: pairs of chiplets, and the number of links between them.
    flow
        Traffic on its package, solved by `noptoolkit.congestion`.
    bound
        Bound over all topologies of the class.
    how
        ``every graph`` (all were looked at: nothing of the class is faster), ``design`` (widths split freely:
        the design program's own), or ``search``.
    solves, screens, rejected
        Graphs solved, graphs screened by compiled code, and graphs that prices ruled out unsolved.
    history
        Solves so far and time of each improvement, in s.
    """

    within: TopologyClass
    edges: Edges = field(repr=False)
    flow: FlowResult = field(repr=False)
    bound: TopologyBound = field(repr=False)
    how: Literal["every graph", "design", "search"]
    solves: int
    screens: int
    rejected: int
    history: tuple[tuple[int, float], ...]

    def __repr__(self) -> str:
        return (
            f"SearchResult({self.package.name!r}: {format_quantity(self.time, 's')}, at least "
            f"{format_quantity(self.time_bound, 's')} on any of the class, {self.status})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def package(self) -> Package:
        """The best package found."""
        return self.flow.package

    @property
    def time(self) -> float:
        """Time of the traffic on it, in s."""
        return self.flow.time

    @property
    def time_bound(self) -> float:
        """Time below which no topology of the class is: its own where all were looked at, in s."""
        return self.flow.time_bound if self.how == "every graph" else min(self.bound.time, self.time)

    @property
    def gap(self) -> float:
        """Largest distance to the best of the class: time / time_bound - 1."""
        return self.time / self.time_bound - 1.0

    @property
    def status(self) -> str:
        """``optimal`` (within 1e-3 of what no topology of the class beats) or ``found``."""
        return "optimal" if self.gap <= 1e-3 else "found"

    def table(self) -> Table:
        """Return the result as a table of one row."""
        columns = [
            Column("package"),
            Column("links"),
            Column("time", unit="s"),
            Column("bound", "at least", unit="s", meaning="on any topology of the class"),
            Column("gap", "over it", form=".2f %"),
            Column("status"),
            Column("solves", "graphs solved"),
            Column("screens", "screened"),
            Column("rejected", "ruled out by prices"),
        ]
        row = [
            self.package.name,
            len(self.package.links),
            self.time,
            self.time_bound,
            self.gap,
            self.status,
            self.solves,
            self.screens,
            self.rejected,
        ]
        how = {
            "every graph": "every graph of the class was looked at",
            "design": "bandwidth may be split freely: the design program's own package",
            "search": f"bound: {self.bound.theorem}",
        }
        return Table(columns, [row], title="Search", notes=[self.within.text(), how[self.how]])

    def verify(self) -> bool:
        """Check flow, bound and the rules of the class by code that shares nothing with the search.

        Raises
        ------
        RoutingError
            If one does not hold.
        """
        self.flow.verify()
        self.bound.verify()
        if self.within.links != "split" and not fits(self.within, self.edges):
            raise_collected(RoutingError, f"{self!r} does not hold", ["its links break a rule of the class"])
        return True
