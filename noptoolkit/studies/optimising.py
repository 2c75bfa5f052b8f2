"""`optimise`: search over the parameters of a space, resumed from the store, its best computed again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from noptoolkit._numbers import is_whole
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.progress import Countdown, Progress
from noptoolkit.studies.best import best_points
from noptoolkit.studies.executors import Executor, executor_of
from noptoolkit.studies.filters import Filter, filter_of
from noptoolkit.studies.front import pareto_front
from noptoolkit.studies.goals import Goal, goals_of
from noptoolkit.studies.memory import Memory
from noptoolkit.studies.parameters import check_parameters, run_of
from noptoolkit.studies.proposing import Proposer
from noptoolkit.studies.space import Point, Points, Space
from noptoolkit.studies.store import Store
from noptoolkit.studies.study import About, Study, about_metric, read_study
from noptoolkit.studies.sweeping import LayoutMode, Row, Sweeping, keyed, metrics_of
from noptoolkit.studies.verifying import Check, verify_row
from noptoolkit.tables import Column, Table

__all__ = ["Optimum", "optimise"]


@dataclass(frozen=True, eq=False, repr=False)
class Optimum:
    """What a search found.

    Parameters
    ----------
    study
        All points of the search, those that failed among them.
    goals, limits
        What was wanted.
    best
        The best point that keeps to the limits; with several goals the Pareto front, the best in the first
        goal first.
    checks
        What was checked of each of them, computed again from scratch; empty where that was not asked for.
    computed
        Points that this call evaluated; the others were in the store.
    exhausted
        Whether every point of the space is known: the best is that of the whole space.
    """

    study: Study
    goals: tuple[Goal, ...]
    limits: tuple[Filter, ...]
    best: tuple[Row, ...]
    checks: tuple[Check, ...]
    computed: int
    exhausted: bool

    def __repr__(self) -> str:
        return f"Optimum({', '.join(map(str, self.goals))}: {len(self.study.rows)} points)"

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def row(self) -> Row:
        """The best point; with several goals the best one in the first of them."""
        return self.best[0]

    def table(self, most: int | None = None) -> Table:
        """Return the best points and what was checked of them."""
        study = self.study
        wanted = [goal.name for goal in self.goals]
        names = [*wanted, *(name for name in [*study.metrics, *study.varying] if name not in wanted)]
        columns = [
            Column("point", "", "", "digest of the point"),
            *study.columns(names),
            Column("checked", meaning="what was found when the point was computed again from scratch"),
        ]
        said = {check.row.key: str(check) for check in self.checks}
        rows = [[row.key[:8], *study.cells(row, names), said.get(row.key, "no")] for row in self.best[:most]]
        failed = sum(bool(row.error) for row in study.rows)
        limits = "".join(f", {limit.text}" for limit in self.limits)
        title = f"{study.name}: {', '.join(map(str, self.goals))}{limits}"
        what = "all of the space" if self.exhausted else "the best of those tried, not of the whole space"
        notes = [f"{len(study.rows):,} points, {self.computed:,} computed now, {failed:,} failed: {what}."]
        if self.checks:
            stages = sorted({stage for check in self.checks for stage in check.stages})
            verified = f"; {', '.join(stages)} verified" if stages else ""
            count = len(self.checks)
            which = "The best" if count == 1 else f"The {count} best"
            notes.append(f"{which}, computed again from scratch: all metrics and digests equal{verified}.")
        return Table(columns, rows, title=title, notes=notes)


def optimise(
    space: Space | Mapping[str, Any],
    objective: str | Metric | Sequence[str | Metric],
    budget: int,
    rng: int = 0,
    *,
    limits: str | Sequence[str] = (),
    metrics: Sequence[str | Metric] = (),
    store: str | Path | Store | None = None,
    study: str = "search",
    warm: str | None = None,
    layout: LayoutMode = "own",
    jobs: int = 1,
    scheduler: str | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> Optimum:
    """Search the space for points that are good in one or several goals; the same call again goes on.

    Points are proposed by a tree-structured Parzen estimator that learns from all points before (optuna).
    Where every parameter has a list of values, or whole numbers, no point is tried twice and the search ends
    with the space. With ``jobs=1`` a search that was stopped and goes on finds, bit for bit, what it would
    have found at once.

    Parameters
    ----------
    space
        Parameters and their values; of its sample only the axes and the conditions count.
    objective
        Metrics or parameters: ``"step"``, ``"min links"``, ``"max params.count"``, or `Metric` records.
    budget
        Points of the study in all, also those that fail; points of ``warm`` do not count.
    rng
        Seed.
    limits
        Comparisons that the best must meet, such as ``"links <= 40"``, of metrics or parameters.
    metrics
        Further metrics to compute of each point.
    store, study
        Where points are kept, and under what name; in memory where ``None``.
    warm
        Another study of the same store whose points are learnt from, and are candidates.
    layout, jobs, scheduler
        As `sweep` takes them; with several jobs as many points are proposed at once.
    verify
        Whether the best points are computed again from scratch and checked, see `verify_row`.
    progress
        Callable that is given how many points are done, the time left, and the best so far.

    Raises
    ------
    NopError
        If optuna is missing, a name is not known, or no point keeps to the limits; finished points stay.

    Examples
    --------
    >>> space = {"builder": "mesh", "params.rows": [2, 3, 4], "params.columns": [2, 3, 4],
    ...          "workload": "stdlib-moe"}
    >>> found = optimise(space, "max links", 6, limits="links < 15")
    >>> found.row.values, str(found.checks[0])
    ({'links': 12}, '1 metrics equal')
    """
    chosen = space if isinstance(space, Space) else Space(space)
    asked = [objective] if isinstance(objective, str | Metric) else list(objective)
    texts = [limits] if isinstance(limits, str) else list(limits)
    if not is_whole(budget) or budget < 1:
        raise NopError(f"budget={budget!r} must be a whole number of points, 1 or more")
    if not is_whole(rng) or rng < 0:
        raise NopError(f"rng={rng!r}: give a seed, a whole number from 0 up")
    wanted, goals, filters = _wanted(chosen, asked, texts, metrics)
    check_parameters(chosen)
    proposer = Proposer(chosen, ["minimize" if goal.way == "min" else "maximize" for goal in goals], int(rng))
    executor = executor_of(jobs, scheduler)
    kept = store if isinstance(store, Store) else Store(store)
    try:
        fixed: LayoutMode | Allocation = layout
        if layout == "fixed":
            [first] = proposer.propose()
            proposer = Proposer(
                chosen, ["minimize" if g.way == "min" else "maximize" for g in goals], int(rng)
            )
            fixed = run_of(first, Memory()).allocation
        search = _Search(kept, study, wanted, goals, filters, fixed, executor, proposer)
        computed = search.run(int(budget), warm, progress)
        found = Study.of(search.rows.values(), list(wanted.values()), study)
    finally:
        executor.close()
        if kept is not store:
            kept.close()
    best = _best(found, goals, filters)
    given = fixed if isinstance(fixed, Allocation) else None
    checks = [verify_row(row, list(wanted.values()), layout=given) for row in best] if verify else []
    return Optimum(found, goals, filters, best, tuple(checks), computed, proposer.exhausted)


@dataclass
class _Search:
    """The state of one search."""

    store: Store
    study: str
    metrics: dict[str, Metric]
    goals: tuple[Goal, ...]
    limits: tuple[Filter, ...]
    layout: LayoutMode | Allocation
    executor: Executor
    proposer: Proposer

    def __post_init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.token = uuid4().hex
        self.memory = Memory()

    def run(self, budget: int, warm: str | None, progress: Progress | None) -> int:
        """Evaluate points until the budget is spent; return how many this call evaluated."""
        self._learn_warm(warm)
        before = len(self.rows)
        self._learn_stored()
        done = len(self.rows) - before
        count = Countdown(max(budget - done, 0), "points")
        computed = 0
        while done < budget:
            points = self.proposer.propose(min(self.executor.width, budget - done))
            if not points:
                break
            for row in self._evaluated(points):
                self._learn(row)
                done += 1
                computed += not row.stored
                count.finish_one()
                if progress is not None:
                    progress(f"{count.finished()}{self._so_far()}")
        return computed

    def _evaluated(self, points: Sequence[Point]) -> list[Row]:
        """Return the rows of some points in their order, kept in the store."""
        held = keyed(Points(points), self.layout, self.memory)
        self.store.add_points(self.study, held.items())
        sweeping = Sweeping(
            self.store,
            held,
            self.metrics,
            self.layout,
            (),
            self.executor,
            None,
            token=self.token,
            ahead=False,
        )
        sweeping.look(retry=False)
        return sorted(sweeping.rows(), key=lambda row: row.position)

    def _learn_stored(self) -> None:
        """Learn from the points of this search that an earlier call finished, in their order."""
        if self.study not in self.store.studies():
            return
        rows = self.store.ask("SELECT key FROM points WHERE study = ? ORDER BY position", (self.study,))
        finished = {row.key: row for row in self._read(self.study)}
        points = [finished[key].point for (key,) in rows if key in finished and key not in self.rows]
        alike = [point for point in points if self.proposer.holds(point)]
        if len(alike) < len(points):
            raise NopError(
                f"study {self.study!r} in {self.store!r} has points of another space: name another study, or "
                f"learn from it (warm={self.study!r})"
            )
        for row in self._evaluated(alike) if alike else ():
            self._learn(row)

    def _learn_warm(self, warm: str | None) -> None:
        if warm is None:
            return
        names = {*self.metrics}
        for row in self._read(warm):
            if self.proposer.holds(row.point) and (row.error or names <= set(row.values)):
                [(key, point)] = keyed(Points([row.point]), self.layout, self.memory).items()
                if key == row.key:
                    self.store.add_points(self.study, [(key, point)])
                    self._learn(row)

    def _read(self, study: str) -> tuple[Row, ...]:
        try:
            return read_study(self.store, study).rows
        except NopError:
            if study not in self.store.studies():
                raise
            return ()

    def _learn(self, row: Row) -> None:
        self.rows[row.key] = row
        known = {**row.point, **row.values}
        costs = [goal.sign * goal.cost(known) for goal in self.goals]
        excess = {limit.text: _excess(limit, known) for limit in self.limits}
        failed = row.error or not all(map(math.isfinite, [*costs, *excess.values()]))
        self.proposer.tell(row.point, None if failed else costs, excess)

    def _so_far(self) -> str:
        rows = [row for row in self.rows.values() if not row.error]
        held = [{**row.point, **row.values} for row in rows]
        inside = [one for one in held if all(limit.holds(one.get(limit.name)) for limit in self.limits)]
        goal = self.goals[0]
        costs = [cost for one in inside if math.isfinite(cost := goal.cost(one))]
        return f"; best {goal.title} {goal.text(goal.sign * min(costs))}" if costs else "; none within limits"


def _wanted(
    space: Space, objective: Sequence[str | Metric], limits: Sequence[str], metrics: Sequence[str | Metric]
) -> tuple[dict[str, Metric], tuple[Goal, ...], tuple[Filter, ...]]:
    """Return the metrics to compute, the goals and the limits."""
    own = (
        metrics_of([*objective, *metrics])
        if any(isinstance(o, Metric) for o in (*objective, *metrics))
        else {}
    )
    own = {name: metric for name, metric in own.items() if METRICS.get(name) is not metric}
    every = {**METRICS, **own}
    known = {name: About(name.removeprefix("params.")) for name in space.names}
    known |= {name: about_metric(metric) for name, metric in every.items()}
    texts = [one if isinstance(one, str) else one.key for one in objective]
    goals = goals_of(texts, known)
    units = {name: about.unit for name, about in known.items()}
    filters = tuple(filter_of(text, units, "of the space or the toolkit") for text in limits)
    names = [goal.name for goal in goals] + [limit.name for limit in filters]
    named = [every[name] if name in own else name for name in dict.fromkeys(names) if name in every]
    found = metrics_of([*named, *metrics]) if named or metrics else {}
    if not found:
        raise NopError("no metric among goals and limits: a search needs one, such as 'step'")
    return found, goals, filters


def _best(study: Study, goals: tuple[Goal, ...], limits: tuple[Filter, ...]) -> tuple[Row, ...]:
    if all(row.error for row in study.rows):
        raise NopError(
            f"all {len(study.rows):,} points of the search failed, the first: {study.rows[0].error}"
        )
    inside = best_points(study, str(goals[0]), [limit.text for limit in limits])
    if len(goals) == 1:
        return inside.rows[:1]
    kept = Study(study.name, inside.rows, study.metrics)
    return pareto_front(kept, [str(goal) for goal in goals]).rows


def _excess(limit: Filter, known: Mapping[str, Any]) -> float:
    """Return by how much of its own size a limit is missed; 0 or less where it is met."""
    value = known.get(limit.name)
    if not isinstance(limit.value, float):
        return 0.0 if limit.holds(value) else 1.0
    if limit.sign == "!=":
        return 0.0 if limit.holds(value) else 1.0
    away = limit.excess(value)
    if away is None:
        return math.nan
    scaled = away / abs(limit.value) if limit.value else away
    tiny = 1e-12 if not limit.holds(value) else 0.0  # 'links < 40' is missed by 40
    return max(scaled, tiny) if tiny else min(scaled, 0.0)
