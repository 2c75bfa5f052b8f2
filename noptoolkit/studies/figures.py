"""Any metric of a run as the figure that a search over structure makes small.

A package is a point like any other: evaluation, errors and the check from scratch are those of sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noptoolkit.allocation import Allocation
from noptoolkit.bounds import TopologyBound, TopologyClass, class_bound
from noptoolkit.errors import NopError
from noptoolkit.metrics import METRICS, OF_PLANS, Metric
from noptoolkit.package import Package
from noptoolkit.studies.evaluation import Task, evaluate
from noptoolkit.studies.memory import Memory
from noptoolkit.studies.parameters import check_parameters, run_of
from noptoolkit.studies.quantities import as_number
from noptoolkit.studies.space import Space
from noptoolkit.studies.sweeping import Row, metrics_of
from noptoolkit.studies.verifying import verify_row
from noptoolkit.tables import Missing
from noptoolkit.workload import Workload

__all__ = ["MetricFigure", "metric_figure"]


@dataclass(frozen=True, eq=False)
class MetricFigure:
    """A metric of a run, as a function of its package.

    Parameters
    ----------
    name, metric
        The metric.
    point
        All parameters of the run but its package.
    layout
        Layout of the experts on every package; each has its own by the point's allocator where ``None``.
    like
        Package on which the layout was made, if it is one for all.
    """

    name: str
    metric: Metric
    point: Mapping[str, Any]
    layout: Allocation | None = None
    like: Package | None = field(default=None, repr=False)
    memory: Memory = field(default_factory=Memory, repr=False)

    @property
    def title(self) -> str:
        """Heading of the metric."""
        return self.metric.title

    @property
    def unit(self) -> str:
        """Base unit of the metric."""
        return self.metric.unit

    @property
    def sign(self) -> float:
        """-1 where more of it is better: the figure is then its negative."""
        return -1.0 if self.metric.better == "higher" else 1.0

    def __call__(self, package: Package) -> float:
        """Return the metric of a package, negative where more is better.

        Raises
        ------
        NopError
            If the run has none.
        """
        point = {**self.point, "package": package}
        found = evaluate(Task("", point, {self.name: self.metric}, self.layout), self.memory)
        if found.error:
            raise NopError(found.error)
        number = as_number(found.values[self.name])
        if number is None or not math.isfinite(number):
            said = found.values[self.name]
            why = said.reason if isinstance(said, Missing) else said
            raise NopError(f"{self.title}: {why!r} is no number to be made small or large")
        return self.sign * number

    def check(self, package: Package, value: float) -> tuple[str, ...]:
        """Compute the metric again from scratch; flows and schedule verified by code of their own."""
        row = Row("", {**self.point, "package": package}, {self.name: self.sign * value})
        return (str(verify_row(row, [self.metric], layout=self.layout)),)

    def bounds(self, within: TopologyClass) -> tuple[TopologyBound, ...]:
        """Return bounds over a class that add up to one of dispatch + combine, where one layout is for all.

        Other metrics have none; nor have packages that are changed before they are evaluated, which the
        class does not hold.
        """
        changed = any(name.startswith(("edit.", "normalise")) for name in self.point)
        if self.metric is not METRICS["all_to_all"] or self.like is None or changed:
            return ()
        made = run_of({**self.point, "package": self.like}, self.memory, self.layout)
        return tuple(class_bound(one, within) for one in (made.dispatch_traffic, made.combine_traffic))

    def __repr__(self) -> str:
        layout = "own layouts" if self.layout is None else f"layout {self.layout.digest()[:12]}"
        given = {k: v.digest() if isinstance(v, Workload) else v for k, v in self.point.items()}
        return f"{self.name} of {given}, {layout}"


def metric_figure(
    metric: str | Metric,
    workload: str | Path | Workload,
    *,
    like: Package | None = None,
    **parameters: Any,
) -> MetricFigure:
    """Return a metric of a run as a figure for `noptoolkit.search.search`.

    Parameters
    ----------
    metric
        Name in `noptoolkit.metrics.METRICS` such as ``step``, or a `Metric`.
    workload
        The workload.
    like
        Package on which the experts are laid out once, for all packages; each has its own where ``None``.
    **parameters
        Further parameters of a study's point, such as ``allocator`` or ``policy``.

    Raises
    ------
    NopError
        If a name is not known, or the metric is of a parallel plan and no ``plan`` is given.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> figure = metric_figure("step", "stdlib-moe", allocator="contiguous")
    >>> slow, fast = (mesh(2, flops="1 TFLOP/s", link_bandwidth=wide) for wide in ("1 GB/s", "1 TB/s"))
    >>> figure.title, figure.unit, figure(slow) > figure(fast)
    ('step', 's', True)
    """
    [(name, chosen)] = metrics_of([metric]).items()
    point: dict[str, Any] = {"workload": workload, **parameters}
    check_parameters(Space({**point, "package": "mozart-nop-tree"}))
    if name in OF_PLANS and not any(key.partition(".")[0] == "plan" for key in point):
        raise NopError(f"metric {name!r} is of a parallel plan, and none is given: add plan = 'TP2 EP8', say")
    layout = None if like is None else run_of({**point, "package": like}, Memory()).allocation
    return MetricFigure(name, chosen, point, layout, like)
