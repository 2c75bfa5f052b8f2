"""A point computed again from scratch, its results checked by code that shares nothing with the solvers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError
from noptoolkit.metrics import Metric
from noptoolkit.studies.evaluation import Value, plain
from noptoolkit.studies.memory import Memory
from noptoolkit.studies.parameters import run_of
from noptoolkit.studies.sweeping import Row, metrics_of

__all__ = ["Check", "verify_row"]


@dataclass(frozen=True)
class Check:
    """What was checked of a point.

    Parameters
    ----------
    row
        The point.
    values
        Its metrics, computed again; equal to those of the row.
    stages
        Stages whose results were checked by `FlowResult.verify` or `StepSchedule.verify`.
    """

    row: Row
    values: Mapping[str, Value]
    stages: tuple[str, ...]

    def __str__(self) -> str:
        said = f"{len(self.values)} metrics equal"
        return f"{said}, {', '.join(self.stages)} verified" if self.stages else said


def verify_row(
    row: Row, metrics: Sequence[str | Metric] | None = None, *, layout: Allocation | None = None
) -> Check:
    """Compute a point again, with nothing taken from a store or from other points, and check it.

    Parameters
    ----------
    row
        Point with its metrics.
    metrics
        As `sweep` takes them; those of the row where ``None``.
    layout
        Layout of the point's study, where it has one for all points.

    Raises
    ------
    NopError
        If a metric or a digest comes out otherwise, or a check of flow or schedule finds a fault.

    Examples
    --------
    >>> from noptoolkit.studies import sweep_all
    >>> [row] = sweep_all({"builder": "ring", "params.count": 4, "workload": "stdlib-moe"}, ["links"])
    >>> print(verify_row(row))
    1 metrics equal
    """
    chosen = metrics_of(list(row.values) if metrics is None else metrics)
    made = run_of(row.point, Memory(), layout)
    values = {name: plain(metric.value(made)) for name, metric in chosen.items() if name in row.values}
    for name, value in values.items():
        if not _same(value, row.values[name]):
            raise NopError(f"point {row.key[:8]}: {name} was {row.values[name]}, computed again {value}")
    record = made.record()
    for name in ("package_digest", "workload_digest", "allocation_digest"):
        before = row.record.get(name)
        if before is not None and record[name] is not None and before != record[name]:
            raise NopError(f"point {row.key[:8]}: {name.replace('_', ' ')} is another one than before")
    checked: list[str] = []
    for stage in ("dispatch", "combine", "uniform"):
        if stage in made.computed:
            getattr(made, stage).verify()
            checked.append(stage)
    if "plan" in made.computed:
        made.plan.verify(every_set=False)
        checked.append("step")
    return Check(row, values, tuple(checked))


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
