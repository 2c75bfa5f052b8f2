"""What several results bring to one page, until it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.report.maps import MapRun, View
from noptoolkit.report.page import Chart
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["EXACT", "Parts", "left_over"]

EXACT = 1e-6
"""Relative gap up to which a value is said to equal its bound."""


@dataclass
class Parts:
    """What several results bring to one page.

    Parameters
    ----------
    subtitle
        What was computed, in a line.
    sentences, tables, charts, matrices, schedules
        Of the verdict, the figures, their curves, the traffic, the Gantt charts.
    map_runs
        What is shown on packages.
    flows, plans
        What has a certificate: workload, package and result.
    packages, workloads, runs
        What the results came from.
    changed
        Whether some of them are of a package that is changed, beside the package as it is.
    """

    subtitle: str = ""
    sentences: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    matrices: list[Chart] = field(default_factory=list)
    schedules: list[Chart] = field(default_factory=list)
    map_runs: list[MapRun] = field(default_factory=list)
    flows: list[tuple[str, str, FlowResult]] = field(default_factory=list)
    plans: list[tuple[str, str, StepSchedule]] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    changed: bool = False

    def key(self, what: str) -> str:
        """Return an id that no chart of the page has."""
        return f"{what}-{len(self.charts) + len(self.matrices) + len(self.schedules)}"

    def show_on_map(
        self,
        package: Package,
        views: Mapping[str, View],
        *,
        workload: str = "",
        charts: Mapping[str, str] | None = None,
        label: str = "",
    ) -> None:
        """Add views of a package to the map; of the very same that are there, their workload and chart.

        Parameters
        ----------
        package, views, workload, charts, label
            As `MapRun` has them.
        """
        charts = charts or {}
        new: dict[str, View] = {}
        for name, view in views.items():
            place = self._place_of(view)
            if place is None:
                new[name] = view
                continue
            at, there = place
            known = self.map_runs[at]
            held = {**known.charts, there: charts[name]} if name in charts else known.charts
            self.map_runs[at] = known._replace(workload=known.workload or workload, charts=held)
        if new:
            held = {name: key for name, key in charts.items() if name in new}
            self.map_runs.append(MapRun(workload, package, new, held, label))

    def certify(self, flow: FlowResult, *, workload: str = "", label: str = "") -> None:
        """Add a flow to what has a certificate, once."""
        package = label or flow.package.name
        for i, (known, place, one) in enumerate(self.flows):
            if one is flow:
                self.flows[i] = (known or workload, place, one)
                return
        self.flows.append((workload, package, flow))

    def name_of_view(self, view: View) -> str | None:
        """Return the name under which the map has a view, None where it has not."""
        place = self._place_of(view)
        return None if place is None else place[1]

    def _place_of(self, view: View) -> tuple[int, str] | None:
        for i, run in enumerate(self.map_runs):
            for name, one in run.views.items():
                if one is view:
                    return i, name
        return None

    def joined_views(self) -> list[MapRun]:
        """Return the views of one workload and package as one; those of no workload join the only one."""
        named = list(dict.fromkeys(run.workload for run in self.map_runs if run.workload))
        found: dict[tuple[str, Package], MapRun] = {}
        for run in self.map_runs:
            workload = run.workload or (named[0] if len(named) == 1 else "")
            known = found.get((workload, run.package), MapRun(workload, run.package, {}, {}, run.label))
            renamed = {name: name if name not in known.views else f"{name}, again" for name in run.views}
            found[workload, run.package] = MapRun(
                workload,
                run.package,
                {**known.views, **{renamed[name]: view for name, view in run.views.items()}},
                {**known.charts, **{renamed[name]: key for name, key in run.charts.items()}},
                known.label,
            )
        return list(found.values())


def left_over(time: float, bound: float, what: str) -> str:
    """Return how much less than a time its lower bound leaves open, as a sentence.

    Examples
    --------
    >>> left_over(1e-3, 1e-3, "routing")
    'No routing is faster: the time equals its lower bound.'
    >>> left_over(1.1e-3, 1e-3, "routing")
    'No routing takes less than 1 ms: the time is at most 10.00% above the least possible.'
    """
    if bound <= 0.0:
        return ""
    gap = time / bound - 1
    if gap <= EXACT:
        return f"No {what} is faster: the time equals its lower bound."
    return (
        f"No {what} takes less than {format_quantity(bound, 's', 4)}: "
        f"the time is at most {gap:.2%} above the least possible."
    )
