"""The best points of a study that keep to some limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit.errors import NopError
from noptoolkit.studies.filters import Filter, filter_of
from noptoolkit.studies.goals import Goal, goal_of
from noptoolkit.studies.study import Study
from noptoolkit.studies.sweeping import Row
from noptoolkit.tables import Column, Table, value_text

__all__ = ["Best", "best_points"]


@dataclass(frozen=True, eq=False, repr=False)
class Best:
    """Points that keep to some limits, by a goal.

    Parameters
    ----------
    study
        Study that they are of.
    goal
        What is wanted.
    limits
        What they keep to.
    rows
        The best first; equal ones in the order of the study.
    kept
        Points that meet each limit alone.
    """

    study: Study
    goal: Goal
    limits: tuple[Filter, ...]
    rows: tuple[Row, ...]
    kept: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Best({self.goal}, {len(self.rows)} of {len(self.study.rows)} points)"

    def __str__(self) -> str:
        return self.table(10).text()

    def _repr_html_(self) -> str:
        return self.table(10).html()

    @property
    def row(self) -> Row:
        """The best point."""
        return self.rows[0]

    def table(self, most: int | None = None) -> Table:
        """Return the best points, ``most`` of them, with how far each is behind the first."""
        others = [*self.study.metrics, *self.study.varying]
        names = [self.goal.name, *(name for name in others if name != self.goal.name)]
        first = self.goal.cost({**self.row.point, **self.row.values})
        body = []
        for row in self.rows[:most]:
            cost = self.goal.cost({**row.point, **row.values})
            behind = (cost - first) / abs(first) if first else None
            cells = self.study.cells(row, names)
            body.append([row.key[:8], cells[0], behind, *cells[1:]])
        columns = [
            Column("point", "", "", "digest of the point"),
            *self.study.columns(names[:1]),
            Column("behind", form=".1f %", meaning="behind the best point in the goal, share of its value"),
            *self.study.columns(names[1:]),
        ]
        said = "".join(f", {limit.text}" for limit in self.limits)
        title = f"{self.study.name}: {self.goal}{said}: {len(self.rows):,} of {len(self.study.rows):,} points"
        notes = [
            f"{limit.text}: met by {count:,} of {len(self.study.rows):,} points."
            for limit, count in zip(self.limits, self.kept, strict=True)
        ]
        return Table(columns, body, title=title, notes=notes)


def best_points(study: Study, goal: str, limits: str | Sequence[str] = ()) -> Best:
    """Return the points that keep to limits, the best first.

    Parameters
    ----------
    study
        Study, see `read_study`.
    goal
        Metric or parameter, see `pareto_front`.
    limits
        Comparisons such as ``"links <= 40"`` or ``"params.link_bandwidth < 128 GB/s"``.

    Raises
    ------
    NopError
        If no point keeps to all, with how many meet each limit and how near the others come.

    Examples
    --------
    >>> from noptoolkit.studies import sweep_all
    >>> space = {"builder": "ring", "params.count": [4, 6, 8], "workload": "stdlib-moe"}
    >>> study = Study.of(sweep_all(space, ["links"]))
    >>> best_points(study, "max links", "links < 8").row.values
    {'links': 6}
    """
    chosen = goal_of(goal, study.known)
    texts = [limits] if isinstance(limits, str) else list(limits)
    asked = tuple(filter_of(text, study.units) for text in texts)
    costs = np.array([chosen.cost({**row.point, **row.values}) for row in study.rows])
    usable = np.isfinite(costs) & np.array([not row.error for row in study.rows], bool)
    if not usable.any():
        raise NopError(f"no point of study {study.name!r} has a number for {chosen.name!r}")
    met = [np.array([limit.holds(v) for v in study.values(limit.name)], bool) & usable for limit in asked]
    inside = usable & np.logical_and.reduce(met) if met else usable
    if not inside.any():
        told = [_miss(study, limit, one, usable) for limit, one in zip(asked, met, strict=True)]
        raise NopError(f"no point of study {study.name!r} keeps to all limits: {'; '.join(told)}")
    places = np.flatnonzero(inside)
    order = places[np.argsort(costs[places], kind="stable")]
    kept = tuple(int(one.sum()) for one in met)
    return Best(study, chosen, asked, tuple(study.rows[i] for i in order), kept)


def _miss(study: Study, limit: Filter, met: np.ndarray, usable: np.ndarray) -> str:
    """Return how many points meet a limit, and the value of that which misses it least."""
    said = f"{limit.text} is met by {int(met.sum()):,} of {int(usable.sum()):,}"
    if met.any():
        return said
    values = study.values(limit.name)
    away = [(limit.excess(value), i) for i, value in enumerate(values) if usable[i]]
    near = min(((d, i) for d, i in away if d is not None), default=None)
    if near is None:
        return said
    value = study.numbers(limit.name)[near[1]]
    return f"{said}, nearest {value_text(float(value), study.known[limit.name].unit)}"
