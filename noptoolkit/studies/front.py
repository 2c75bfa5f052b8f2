"""The Pareto front of a study: points that no other one beats, and how far the others are from it.

A point is *dominated* if another one is at least as good in every goal and better in one. The distance of a
dominated point to the front is the binary epsilon indicator (Zitzler et al., IEEE Trans. Evol. Comput. 7(2),
2003) to its nearest point of the front: the least share by which that point's goals must be given up, all by
the same, so that the dominated one is as good. A distance of 5 % says: a point of the front exists that this
one misses by at most 5 % in every goal. Where a goal has values of 0 or below, a share of a value means
nothing; distances are then in shares of each goal's range over the study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.errors import NopError
from noptoolkit.studies.goals import Goal, goals_of
from noptoolkit.studies.study import Study
from noptoolkit.studies.sweeping import Row
from noptoolkit.tables import Column, Table

__all__ = ["Front", "on_front", "pareto_front"]

BLOCK = 4_000_000
"""Comparisons at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Front:
    """Points of a study as seen by some goals.

    Parameters
    ----------
    study
        Study whose points have a number for each goal.
    goals
        What is wanted.
    on_front
        Whether no other point dominates it, [points].
    distance
        To the front, 0 for its own points, [points].
    nearest
        Point of the front that the distance is to, [points].
    relative
        Whether distances are shares of values; of ranges otherwise.
    left_out
        Points that failed or lack a number.
    """

    study: Study
    goals: tuple[Goal, ...]
    on_front: Bools
    distance: Floats
    nearest: Ints
    relative: bool
    left_out: int

    def __repr__(self) -> str:
        return f"Front({len(self.rows)} of {len(self.study.rows)} points, {', '.join(map(str, self.goals))})"

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Points of the front, the best in the first goal first."""
        places = np.flatnonzero(self.on_front)
        return tuple(self.study.rows[i] for i in places[np.argsort(self._first[places], kind="stable")])

    @property
    def dominated(self) -> tuple[Row, ...]:
        """The other points, the nearest to the front first."""
        return tuple(self.study.rows[i] for i in self._others())

    @property
    def _first(self) -> Floats:
        return self.goals[0].sign * self.study.numbers(self.goals[0].name)

    def _others(self) -> Ints:
        places = np.flatnonzero(~self.on_front)
        found: Ints = places[np.argsort(self.distance[places], kind="stable")]
        return found

    def table(self, most: int | None = None) -> Table:
        """Return the front, then the dominated points by their distance; ``most`` rows, the front whole."""
        study = self.study
        front = np.flatnonzero(self.on_front)
        front = front[np.argsort(self._first[front], kind="stable")]
        others = self._others()
        if most is not None:
            others = others[: max(most - len(front), 0)]
        wanted = [goal.name for goal in self.goals]
        varying = [name for name in study.varying if name not in wanted]
        columns = [
            Column("point", "", "", "digest of the point"),
            *study.columns(wanted),
            Column("distance", "behind", form=".1f %", meaning=self._meaning()),
            *study.columns(varying),
            Column("nearest", "nearest on the front", meaning="point of the front that it is behind of"),
        ]
        body = []
        for i in [*front, *others]:
            row = study.rows[i]
            away, near = (None, None) if self.on_front[i] else (self.distance[i], self.nearest[i])
            cells = [*study.cells(row, wanted), away, *study.cells(row, varying)]
            body.append([row.key[:8], *cells, None if near is None else study.rows[near].key[:8]])
        notes = [f"Behind: {self._meaning()}."]
        if len(body) < len(study.rows):
            notes.append(f"{len(body):,} of {len(study.rows):,} points shown.")
        if self.left_out:
            notes.append(f"{self.left_out:,} points left out: they failed, or have no number for a goal.")
        said = ", ".join(map(str, self.goals))
        title = f"{study.name}: {len(front):,} of {len(study.rows):,} points on the front of {said}"
        return Table(columns, body, title=title, notes=notes)

    def _meaning(self) -> str:
        of = "of the value" if self.relative else "of the goal's range"
        return f"share {of} by which a point misses the nearest point of the front in its worst goal"


def pareto_front(study: Study, goals: str | Sequence[str]) -> Front:
    """Return which points no other one beats, and the distance of the others.

    Parameters
    ----------
    study
        Study, see `read_study`.
    goals
        Metrics or parameters: ``"step"`` where the metric says which way is better, else ``"min NAME"`` or
        ``"max NAME"``.

    Raises
    ------
    NopError
        If no point has a number for every goal.

    Examples
    --------
    >>> from noptoolkit.studies import sweep_all
    >>> space = {"builder": "ring", "params.count": [4, 6, 8], "workload": "stdlib-moe"}
    >>> study = Study.of(sweep_all(space, ["links", "total_bandwidth"]))
    >>> [row.point["params.count"] for row in pareto_front(study, ["links", "max params.count"]).rows]
    [4, 6, 8]
    """
    chosen = goals_of(goals, study.known)
    costs = np.stack([goal.sign * study.numbers(goal.name) for goal in chosen], axis=1)
    usable = np.isfinite(costs).all(axis=1) & np.array([not row.error for row in study.rows], bool)
    if not usable.any():
        raise NopError(f"no point of study {study.name!r} has a number for {', '.join(map(str, chosen))}")
    kept = Study(
        study.name, tuple(row for row, ok in zip(study.rows, usable, strict=True) if ok), study.metrics
    )
    costs = costs[usable]
    best = on_front(costs)
    signs = np.array([goal.sign for goal in chosen])
    relative = bool((signs * costs > 0).all())
    nearest, distance = _nearest(costs, signs, best, relative)
    return Front(kept, chosen, best, distance, nearest, relative, int((~usable).sum()))


def on_front(costs: Floats) -> Bools:
    """Return which points no other one dominates, [points]; ``costs`` [points, goals], less is better.

    Points in lexicographic order can be dominated by earlier ones only: those that are on the front.
    """
    order = np.lexsort(costs.T[::-1])
    held = costs[order]
    front = np.empty_like(held)
    count = 0
    found = np.zeros(len(costs), bool)
    for place, cost in zip(order, held, strict=True):
        known = front[:count]
        below = (known <= cost).all(axis=1)
        if not below.any() or not (known[below] < cost).any():
            found[place] = True
            front[count] = cost
            count += 1
    return found


def _nearest(costs: Floats, signs: Floats, best: Bools, relative: bool) -> tuple[Ints, Floats]:
    """Return the nearest point of the front to each point, and the distance to it."""
    places = np.flatnonzero(best)
    scaled = (signs * costs) ** signs if relative else costs / _range(costs)
    target = scaled[places]
    nearest = np.arange(len(costs))
    distance = np.zeros(len(costs))
    others = np.flatnonzero(~best)
    step = max(BLOCK // max(len(places) * costs.shape[1], 1), 1)
    for start in range(0, len(others), step):
        chunk = others[start : start + step]
        pairs = scaled[chunk, None, :], target[None, :, :]
        worst = (pairs[0] / pairs[1] - 1.0 if relative else pairs[0] - pairs[1]).max(axis=2)
        chosen = worst.argmin(axis=1)
        nearest[chunk] = places[chosen]
        distance[chunk] = worst[np.arange(len(chunk)), chosen]
    return nearest, distance


def _range(costs: Floats) -> Floats:
    spread: Floats = costs.max(axis=0) - costs.min(axis=0)
    spread[spread == 0] = 1.0
    return spread
