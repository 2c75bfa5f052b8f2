"""`sweep`: every point of a space, nothing computed twice, finished points kept whatever happens."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from noptoolkit._digests import digest
from noptoolkit._names import did_you_mean, resolve
from noptoolkit._numbers import is_whole
from noptoolkit._version import __version__
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError, NopWarning, UnknownNameError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.progress import Countdown, Progress
from noptoolkit.studies.evaluation import ARTEFACTS, Evaluation, Task, Value, evaluate_chunk
from noptoolkit.studies.executors import Executor, executor_of
from noptoolkit.studies.memory import Memory, layout_digest, memory_of
from noptoolkit.studies.parameters import applied, check_parameters, content_of_point, run_of
from noptoolkit.studies.space import Point, Points, Space
from noptoolkit.studies.store import Store

__all__ = ["LayoutMode", "Row", "Sweeping", "keyed", "metrics_of", "sweep", "sweep_all"]

LayoutMode = Literal["own", "fixed"]
LAYOUTS: tuple[str, ...] = ("own", "fixed")
FIXED = "fixed: that of the first point"
PAUSE = 0.1
"""Between two looks at what another process is doing, in s."""


@dataclass(frozen=True)
class Row:
    """One point and what was found.

    Parameters
    ----------
    key
        Digest of the point.
    point
        Value of each parameter.
    values
        Value of each metric, in its base unit.
    error
        What went wrong, or empty.
    record
        What the values came from: digests, options, seed, version.
    stored
        Whether it was in the store before.
    position
        Of the point in the space.
    """

    key: str
    point: Point
    values: dict[str, Value]
    error: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    stored: bool = False
    position: int = 0


def sweep(
    space: Space | Points | Mapping[str, Any],
    metrics: Sequence[str | Metric] = ("all_to_all", "links"),
    *,
    store: str | Path | Store | None = None,
    study: str = "study",
    layout: LayoutMode | Allocation = "own",
    jobs: int = 1,
    scheduler: str | None = None,
    artefacts: Sequence[str] = (),
    retry: bool = False,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Yield a row for each point as it is finished; points of the store come first.

    Everything is checked before this returns; points are evaluated as the rows are asked for.

    Parameters
    ----------
    space
        Parameters and their values; or single `Points`.
    metrics
        Names in `noptoolkit.metrics.METRICS` or `Metric` records. Only the stages that they need are
        computed; of stored points, only metrics that are missing.
    store
        File of the store, or a `Store`; in memory where ``None``. The same call goes on where it was stopped.
    study
        Name of the study in the store.
    layout
        ``own``: each point has the layout that its allocator finds; points that ask the allocator the same
        share it. ``fixed``: the layout of the first point, for all. Or the layout itself, for all.
    jobs
        Processes at once; -1 for one per core.
    scheduler
        Address of a Dask scheduler (``tcp://...``), whose workers evaluate the points; needs the extra
        ``distributed``.
    artefacts
        What to keep besides the metrics: ``layout``, ``loads``, ``schedule``.
    retry
        Whether points that failed before are tried again.
    progress
        Callable that is given how many points are done, the time left, and the best so far.

    Raises
    ------
    NopError
        If the space is empty or too large, a name is not known, the store cannot be used, or it holds
        points of another version of the toolkit.

    Examples
    --------
    >>> space = {"builder": "mesh", "params.rows": [2, 3], "params.flops": "1 TFLOP/s",
    ...          "workload": "stdlib-moe"}
    >>> rows = sweep(space, ["links"])
    >>> [(row.point["params.rows"], row.values["links"]) for row in rows]
    [(2, 4), (3, 12)]
    """
    chosen = space if isinstance(space, Space | Points) else Space(space)
    wanted = metrics_of(metrics)
    if not isinstance(layout, Allocation) and layout not in LAYOUTS:
        raise UnknownNameError(f"no layout {layout!r}; {did_you_mean(layout, LAYOUTS)}")
    for name in artefacts:
        resolve(name, ARTEFACTS, "artefact")
    if not is_whole(jobs) or (jobs < 1 and jobs != -1):
        raise NopError(f"jobs={jobs!r}: give how many processes at once, or -1 for one per core")
    chosen.check_size()
    check_parameters(chosen)
    memory = Memory()
    points = keyed(chosen, layout, memory)
    run = executor_of(jobs, scheduler)
    kept = store if isinstance(store, Store) else Store(store)
    try:
        kept.add_points(study, points.items())
        others = kept.studies().get(study, 0) - len(points)
        if others > 0:
            warnings.warn(
                f"{kept!r} holds {others} points of {study!r} that are not in this space: they are kept and "
                "shown with it; a study that was corrected needs another name",
                NopWarning,
                stacklevel=2,
            )
        sweeping = Sweeping(kept, points, wanted, layout, tuple(artefacts), run, progress)
        sweeping.look(retry=retry)
    except BaseException:
        run.close()
        if kept is not store:
            kept.close()
        raise
    return _rows(sweeping, kept, own=kept is not store)


def _rows(sweeping: Sweeping, store: Store, *, own: bool) -> Iterator[Row]:
    try:
        yield from sweeping.rows()
    finally:
        sweeping.executor.close()
        if own:
            store.close()
        else:
            store.release(sweeping.points)


def sweep_all(*given: Any, **options: Any) -> list[Row]:
    """Return the rows of `sweep` in the order of the space.

    Examples
    --------
    >>> space = {"builder": "ring", "params.count": [4, 6], "params.flops": "1 TFLOP/s",
    ...          "workload": "stdlib-moe"}
    >>> [row.values["links"] for row in sweep_all(space, ["links"])]
    [4, 6]
    """
    return sorted(sweep(*given, **options), key=lambda row: row.position)


@dataclass
class Sweeping:
    """The state of one sweep.

    ``ahead``: whether the first point is evaluated here, before the others are sent to other processes: it
    tells what the metrics need.
    """

    store: Store
    points: dict[str, Point]
    metrics: dict[str, Metric]
    layout: LayoutMode | Allocation
    artefacts: tuple[str, ...]
    executor: Executor
    progress: Progress | None
    token: str = field(default_factory=lambda: uuid4().hex)
    stored: list[str] = field(default_factory=list)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    layout_keys: dict[str, str] = field(default_factory=dict)
    fixed: Allocation | None = None
    best: Row | None = None
    ahead: bool = True

    def __post_init__(self) -> None:
        self.positions = {key: i for i, key in enumerate(self.points)}

    def look(self, *, retry: bool) -> None:
        """Find what is stored already, and what is not."""
        self.store.release_abandoned()
        known = self.store.known(self.points)
        for key in self.points:
            status, version, layout_key, names = known.get(key, ("", __version__, "", frozenset()))
            if version != __version__:
                raise NopError(
                    f"{self.store!r} holds points of this study that noptoolkit {version} computed, this is "
                    f"{__version__}; its points are kept: take another store for the new version's"
                )
            lacking = tuple(name for name in self.metrics if name not in names)
            if (status and not lacking) or (status == "failed" and not retry):
                self.stored.append(key)
            else:
                self.missing[key] = lacking or tuple(self.metrics)
                self.layout_keys[key] = layout_key

    def rows(self) -> Iterator[Row]:
        """Yield the stored rows, then the others as they are finished."""
        for key in self.stored:
            yield self._note(self._stored_row(key))
        if not self.missing:
            return
        self._prepare()
        count = Countdown(len(self.missing), "points")
        for row in self._all_rows():
            count.finish_one()
            self._note(row)
            self._tell(count)
            yield row

    def _all_rows(self) -> Iterator[Row]:
        """Yield the rows that are not stored: the first one here, which tells what the metrics need."""
        first = next(iter(self.missing))
        if self.ahead and self.store.claim([first]):
            found, layouts = evaluate_chunk(self.token, [self._task(first)])
            yield from self._taken_in(found, layouts)
            if "allocation" in found[0].stages and self.executor.apart and self.layout == "own":
                yield from self._round(self._representatives())
        while self.missing:
            yield from self._round(list(self.missing))
            for key in self._finished_elsewhere():
                del self.missing[key]
                yield self._stored_row(key)
            if self.missing:  # another process is at them: wait until it is done, or no more
                time.sleep(PAUSE)
                self.store.release_abandoned()

    def _prepare(self) -> None:
        """Find the layout that all points share, or take over the layouts that are stored."""
        memory = memory_of(self.token)
        if isinstance(self.layout, Allocation):
            self.fixed = self.layout
            self.store.save_layouts({f"fixed {self.layout.digest()}": self.layout})
        elif self.layout == "fixed":
            first = next(iter(self.points))
            made = run_of(self.points[first], memory)
            key = f"fixed {digest('reference', [first])}"
            known = self.store.layouts([key])
            self.fixed = known.get(key)
            if self.fixed is None:
                self.fixed = made.allocation
                self.store.save_layouts({key: self.fixed})
        else:
            memory.layouts.held.update(self.store.layouts(key for key in self.layout_keys.values() if key))

    def _representatives(self) -> list[str]:
        """Return one point for each layout that is not known yet, where several points share one."""
        memory = memory_of(self.token)
        points_of: dict[str, list[str]] = {}
        for key in self.missing:
            if self.layout_keys[key]:
                continue
            try:
                made = run_of(self.points[key], memory)
                if made.allocator == "auto" and made.objective != "c_t":
                    continue  # the time model of nearly every package is its own
                self.layout_keys[key] = layout_digest(made.layout_key())
            except NopError:
                continue  # its evaluation says what is wrong
            points_of.setdefault(self.layout_keys[key], []).append(key)
        return [keys[0] for layout, keys in points_of.items() if layout not in memory.layouts.held]

    def _round(self, keys: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of those points that no other process is at."""
        taken: list[str] = []

        def tasks() -> Iterator[Task]:
            for key in keys:
                if key in self.missing and self.store.claim([key]):
                    taken.append(key)
                    yield self._task(key)

        for found, layouts in self.executor.run(self.token, tasks()):
            yield from self._taken_in(found, layouts)
        self.store.release(taken)

    def _taken_in(self, found: Sequence[Evaluation], layouts: Mapping[str, Allocation]) -> Iterator[Row]:
        if layouts:
            self.store.save_layouts(layouts)
            memory_of(self.token).layouts.held.update(layouts)
        for one in found:
            self._save(one, self.missing.pop(one.key))
            yield self._row(one)

    def _task(self, key: str) -> Task:
        metrics = {
            name: None if METRICS.get(name) is self.metrics[name] else self.metrics[name]
            for name in self.missing[key]
        }
        held, own = memory_of(self.token).layouts.held, self.layout_keys[key]
        known = {own: held[own]} if own in held else {}
        return Task(key, self.points[key], metrics, self.fixed, self.artefacts, known)

    def _save(self, found: Evaluation, lacking: Sequence[str]) -> None:
        note = FIXED if self.layout == "fixed" else "fixed: given" if self.fixed else _shared_by(found)
        self.store.save(found, {name: self.metrics[name] for name in lacking}, note)

    def _row(self, found: Evaluation) -> Row:
        values = self.store.values(found.key)
        return Row(
            found.key,
            self.points[found.key],
            {name: values[name] for name in self.metrics if name in values},
            found.error,
            found.record,
            position=self.positions[found.key],
        )

    def _stored_row(self, key: str) -> Row:
        values = self.store.values(key)
        error, record = self.store.outcome(key)
        kept = {name: values[name] for name in self.metrics if name in values}
        place = self.positions[key]
        return Row(key, self.points[key], kept, error, record, stored=True, position=place)

    def _finished_elsewhere(self) -> list[str]:
        known = self.store.known(self.missing)
        return [
            key
            for key, lacking in self.missing.items()
            if key in known and (known[key][0] == "failed" or known[key][3].issuperset(lacking))
        ]

    def _note(self, row: Row) -> Row:
        name, metric = next(iter(self.metrics.items()))
        value = row.values.get(name)
        if isinstance(value, int | float) and metric.better and not row.error:
            before = None if self.best is None else self.best.values[name]
            sign = 1 if metric.better == "lower" else -1
            if before is None or sign * value < sign * float(before):  # type: ignore[arg-type]
                self.best = row
        return row

    def _tell(self, count: Countdown) -> None:
        if self.progress is None:
            return
        said = count.finished()
        if self.best is not None:
            name, metric = next(iter(self.metrics.items()))
            said += f"; best {metric.title} {metric.text(self.best.values[name])}"
        self.progress(said)


def _shared_by(found: Evaluation) -> str:
    """Return in words which points share a layout."""
    if not found.layout_key:
        return ""
    if found.record.get("allocator") != "auto":
        return "own: shared by points of equal slots and groups"
    if found.record.get("objective") == "time" and found.record.get("origin") == "synthetic":
        return "own: shared by points of one time model"
    if found.record.get("objective") in ("time", "step"):
        return "own: shared by points of one package, policy and routing"
    return "own: shared by points of equal slots and groups"


def metrics_of(metrics: Sequence[str | Metric]) -> dict[str, Metric]:
    """Return metrics by name.

    Raises
    ------
    NopError
        If there is none, or one is no metric.
    """
    chosen: dict[str, Metric] = {}
    for asked in [metrics] if isinstance(metrics, str | Metric) else metrics:
        metric = resolve(asked, METRICS, "metric")
        if not isinstance(metric, Metric):
            raise NopError(f"metric {asked!r} is not one: give a name or a noptoolkit.metrics.Metric")
        chosen[asked if isinstance(asked, str) else metric.key] = metric
    if not chosen:
        raise NopError("no metrics: name at least one, such as 'all_to_all'")
    return chosen


def keyed(space: Space | Points, layout: LayoutMode | Allocation, memory: Memory) -> dict[str, Point]:
    """Return the points by the digest of what their results depend on; equal points once."""
    found: dict[str, Point] = {}
    reference = layout.digest() if isinstance(layout, Allocation) else ""
    for given in space:
        point = applied(given)
        content = content_of_point(point, memory)
        if layout != "own":
            reference = reference or digest("point", content)
            content = {**content, "layout of": reference}
        found.setdefault(digest("point", content), point)
    return found
