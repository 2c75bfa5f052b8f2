"""The schedule of a step: what it was made from, beside when every task runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from noptoolkit.errors import ScheduleError, raises_where_malformed
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.scheduling import Schedule
from noptoolkit.step.energy import StepEnergy
from noptoolkit.step.policies import Policy, overlapping, serial
from noptoolkit.step.routing_bound import RoutingBound, bound_of_routings, has_one_routing
from noptoolkit.step.step import Step
from noptoolkit.step.verification import StepVerification, verify_step
from noptoolkit.tables import Amount, Column, Missing, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["StepSchedule"]

WORTH_TELLING = 0.05  # share of the makespan


@dataclass(frozen=True, eq=False, repr=False)
class StepSchedule(Schedule):
    """A `Schedule` of one step of a workload on a package.

    Parameters
    ----------
    step
        The step in numbers, routed.
    policy
        How it was scheduled.
    energy
        Dynamic energy of the step.
    """

    step: Step
    policy: Policy
    energy: StepEnergy

    @cached_property
    def any_routing(self) -> RoutingBound:
        """The lower bound over all routings, split or not, and all orders of the same work."""
        return bound_of_routings(self.step, lambda step: self.policy.graph(step, self.policy))

    @property
    def lower_bound(self) -> float:
        """Lower bound on the makespan under any routing and any order of the same work, in s.

        The policy ``serial`` is part of the work: one stage comes after another, in any of its schedules.
        """
        if self._one_routing:
            return max(self.any_routing.value, self.bounds.value)
        return self.any_routing.value

    @property
    def orders(self) -> str:
        """Over which orders the bounds range, in words."""
        graph = self.policy.graph
        if graph is serial:
            return "one stage after another"
        return "any order" if graph is overlapping else f"any order that {graph.__name__} allows"

    @cached_property
    def _one_routing(self) -> bool:
        named = self.step.options.routing  # valiant, or a user's rule, may take detours even on a tree
        if not isinstance(named, str) or named == "valiant" or not has_one_routing(self.step):
            return False
        bundled = bool((flow_network(self.package).width > 1).any())
        return not bundled or all(sent.sharing == "by bandwidth" for sent in self.step.transfers())

    @property
    def bound_of_routes(self) -> float:
        """Lower bound on the makespan under these routes and any order, in s."""
        return self.bounds.up_to(self.makespan)

    def __repr__(self) -> str:
        what = f"{self.workload.name!r} on {self.package.name!r}, {format_quantity(self.makespan, 's')}"
        gap = 100 * self.gap
        within = f"within {gap:{'.2g' if gap < 99.5 else '.0f'}} % of the bound"
        return f"Schedule({what}, {len(self.graph)} tasks, {within})"

    @property
    def package(self) -> Package:
        """The package."""
        return self.step.package

    @property
    def workload(self) -> Workload:
        """The workload."""
        return self.step.workload

    @property
    def routing(self) -> str:
        """Name of the routing of everything that crosses the network."""
        return self.step.routing

    @cached_property
    def busy_by_kind(self) -> dict[str, dict[str, float]]:
        """How long each resource is held by each kind of task, in s; flows that share are left out."""
        graph = self.graph
        found: dict[str, dict[str, float]] = {}
        key = graph.need * len(graph.kinds) + graph.kind
        total = np.bincount(key, graph.duration, len(graph.needs) * len(graph.kinds))
        for place in np.flatnonzero(total > 0).tolist():
            need, kind = divmod(place, len(graph.kinds))
            for resource in graph.needs[need][0]:
                kinds = found.setdefault(graph.resources[resource], {})
                name = graph.kinds[kind]
                kinds[name] = kinds.get(name, 0.0) + float(total[place])
        return found

    def table_by_resource(self, busiest: int = 12) -> Table:
        """Return the busiest resources, a row each: how long each kind of task holds them.

        What limits a step is here a row that is busy all the time, or a column that one row alone has.
        """
        order = sorted(self.busy_by_kind.items(), key=lambda row: -sum(row[1].values()))[:busiest]
        kinds = list(dict.fromkeys(kind for _, held in order for kind in held))
        columns = [Column("resource"), *(Column(kind, unit="s") for kind in (*kinds, "busy"))]
        columns.append(Column("share", "of the makespan", form=".1f %"))
        rows = [
            (
                name,
                *(held.get(kind) for kind in kinds),
                sum(held.values()),
                sum(held.values()) / self.makespan,
            )
            for name, held in order
        ]
        return Table(columns, rows, title="Busiest resources by kind of task")

    def table(self, busiest: int = 8) -> Table:
        """Return the schedule as a table: times, energy, SRAM, busiest resources."""
        table = super().table(busiest)
        unknown = f"without {', '.join(self.energy.unknown)}" if self.energy.unknown else ""
        total = Amount(self.energy.total, "J") if self.energy.total else Missing("not given")
        rows = list(table.rows)
        first = [row[0] for row in rows].index("lower bound")
        rows[first : first + 1] = [
            (
                "lower bound",
                Amount(self.lower_bound, "s"),
                f"any routing, {self.orders}: {self.any_routing.method}",
            ),
            (
                "bound of these routes",
                Amount(self.bound_of_routes, "s"),
                f"{self.orders}: {self.bounds.method}",
            ),
        ]
        rows.insert(1 + [row[0] for row in rows].index("overlap"), ("dynamic energy", total, unknown))
        if (weights := self.step.options.weights) != "each":
            wanted = sum(self.step.loaded.values()) + sum(self.step.saved.values())
            told = f"of {format_quantity(wanted, 'B')} that chiplets want: {weights} for those of one stack"
            read = ("weights read", Amount(self.step.read, "B"), told)
            rows.insert(1 + [row[0] for row in rows].index("dynamic energy"), read)
        return replace(table, rows=tuple(rows))

    def notes(self) -> list[str]:
        """Return what must be said with the table, a line each."""
        lines = [
            *super().notes(),
            f"Policy: {self.policy.graph.__name__}, {self.policy}.",
            f"Network routing: {self.routing}.",
        ]
        lines += filter(None, [self.any_routing.price_in_words()])
        if self.step.parts:
            lines.append(
                f"Dispatches and combines are sent in {self.policy.parts} parts, by expert chiplet: some "
                "experts begin while tokens of others are on their way."
            )
        busy = self.busy_by_kind
        head = {name: kinds["head"] for name, kinds in busy.items() if "head" in kinds}
        if head and max(head.values()) > WORTH_TELLING * self.makespan:
            longest = max(head.values())
            computing = sum(node.flops is not None for node in self.package.chiplets)
            split = self.step.options.split_head
            spread = "" if split else "; split_head=True (--split-head) spreads it over the experts' own"
            share = f"{longest / self.makespan:.1%} of the makespan"
            lines.append(
                f"The head takes {format_quantity(longest, 's')}, {share}, on {len(head)} of {computing} "
                f"chiplets that compute{spread}."
            )
        if self.workload.trace.origin != "recorded":
            lines.append(f"Tokens to experts: {ORIGINS[self.workload.trace.origin]}.")
        return lines

    @raises_where_malformed(ScheduleError)
    def verify(self, *, tol: float = 1e-9, every_set: bool | None = None) -> StepVerification:
        """Check the schedule, the routes and both bounds again, with code that shares nothing with theirs.

        Parameters
        ----------
        tol : float
            What counts as equal, as a share of the makespan.
        every_set : bool, optional
            Whether the cheapest trees of all sets of messages of up to 8 members are found again, which may
            take minutes; a sample where ``False``, and where ``None`` all of them if that is quick.

        Returns
        -------
        StepVerification
            What was checked; true if nothing was left out.

        Raises
        ------
        ScheduleError
            With every kind of fault found.
        """
        return verify_step(self, tol=tol, every_set=every_set)

    def to_chrome_trace(self, path: str | Path) -> None:
        """Write the schedule as a trace that Perfetto and chrome://tracing open."""
        from noptoolkit.formats.trace_events import write_chrome_trace

        write_chrome_trace(self, path, self.package)
