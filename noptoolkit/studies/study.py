"""A stored study as a value: its points, what they were found to be, and columns of numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.studies.filters import filter_of
from noptoolkit.studies.quantities import as_number, base_unit
from noptoolkit.studies.reading import results_of, shown, study_name
from noptoolkit.studies.store import Store, stored_table
from noptoolkit.studies.sweeping import Row
from noptoolkit.tables import Column

__all__ = ["About", "Study", "about_metric", "read_study"]


@dataclass(frozen=True)
class About:
    """What the values of a parameter or metric are.

    Parameters
    ----------
    title
        Heading of its column.
    unit
        Base unit; empty for pure numbers and text.
    better
        Direction that is better, or ``""`` where neither is.
    meaning
        One sentence.
    """

    title: str
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    meaning: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """The finished points of a study.

    Parameters
    ----------
    name
        Name of the study.
    rows
        One for each point that was evaluated, also those that failed.
    metrics
        What the metrics are, by name.
    """

    name: str
    rows: tuple[Row, ...]
    metrics: Mapping[str, About]

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.rows)} points, {', '.join(self.metrics)})"

    @classmethod
    def of(cls, rows: Iterable[Row], metrics: Sequence[str | Metric] = (), name: str = "study") -> Study:
        """Return the study of the rows of a sweep.

        Parameters
        ----------
        rows
            As `sweep` yields them.
        metrics
            Records of metrics that are not in `noptoolkit.metrics.METRICS`.
        name
            What to call it.
        """
        held = tuple(rows)
        own = {one.key: about_metric(one) for one in metrics if isinstance(one, Metric)}
        names = dict.fromkeys(name for row in held for name in row.values)
        known = {one: about_metric(METRICS[one]) if one in METRICS else About(one) for one in names}
        return cls(name, held, {one: own.get(one, about) for one, about in known.items()})

    @cached_property
    def parameters(self) -> dict[str, About]:
        """What the parameters are, by name, in the order of the points."""
        found: dict[str, About] = {}
        for row in self.rows:
            for name, value in row.point.items():
                if name not in found or (not found[name].unit and isinstance(value, str)):
                    found[name] = About(name.removeprefix("params."), base_unit(value))
        return found

    @cached_property
    def known(self) -> dict[str, About]:
        """Parameters and metrics by name."""
        return {**self.parameters, **self.metrics}

    @property
    def units(self) -> dict[str, str]:
        """Base unit of each metric; empty for parameters, whose values bring their own."""
        return dict.fromkeys(self.parameters, "") | {name: one.unit for name, one in self.metrics.items()}

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """Parameters that have more than one value."""
        return tuple(
            name
            for name in self.parameters
            if len({json.dumps(shown(row.point.get(name))) for row in self.rows}) > 1
        )

    def values(self, name: str) -> list[Any]:
        """Return the value of a parameter or metric at each point; ``None`` where it has none."""
        if name in self.metrics:
            return [row.values.get(name) for row in self.rows]
        if name in self.parameters:
            return [row.point.get(name) for row in self.rows]
        raise UnknownNameError(
            f"no parameter or metric {name!r} in study {self.name!r}; {did_you_mean(name, self.known)}"
        )

    def numbers(self, name: str) -> Floats:
        """Return the values as numbers in the base unit, [points]; NaN for text, and where there is none."""
        found = [as_number(value) for value in self.values(name)]
        return np.array([math.nan if number is None else number for number in found])

    def row(self, key: str) -> Row:
        """Return the row of a point by its digest, or the first letters of it.

        Raises
        ------
        UnknownNameError
            If no point, or several, begin so.
        """
        found = [row for row in self.rows if row.key.startswith(key)] if key else []
        if len(found) == 1:
            return found[0]
        if not found:
            raise UnknownNameError(
                f"no point {key!r} in study {self.name!r}; "
                f"{did_you_mean(key, [row.key[:8] for row in self.rows])}"
            )
        raise UnknownNameError(
            f"{len(found)} points of study {self.name!r} begin with {key!r}: give more of it"
        )

    def columns(self, names: Iterable[str]) -> list[Column]:
        """Return the columns of a table of some parameters and metrics."""
        return [
            Column(name, self.known[name].title, self.known[name].unit, self.known[name].meaning)
            if name in self.metrics
            else Column(name, self.known[name].title, form="g")
            for name in names
        ]

    def cells(self, row: Row, names: Iterable[str]) -> list[Any]:
        """Return the cells of a point under `columns`."""
        return [
            row.values.get(name) if name in self.metrics else shown(row.point.get(name)) for name in names
        ]


def about_metric(metric: Metric) -> About:
    """Return what a metric's values are."""
    return About(metric.title, metric.unit, metric.better, metric.meaning)


def read_study(store: Store | str | Path, name: str | None = None, *, where: Sequence[str] = ()) -> Study:
    """Return the finished points of a stored study.

    Parameters
    ----------
    store
        Store, or its file.
    name
        Study; may be left out where there is one only.
    where
        Comparisons that a point must meet, as `study_table` takes them.

    Raises
    ------
    UnknownNameError
        If there is no such study, parameter or metric, with the nearest name.
    NopError
        If no point is finished.

    Examples
    --------
    >>> from noptoolkit.studies import Store, sweep_all
    >>> with Store(None) as store:
    ...     _ = sweep_all({"builder": "ring", "params.count": [4, 6], "workload": "stdlib-moe"}, ["links"],
    ...                   store=store)
    ...     study = read_study(store)
    >>> study.numbers("links").tolist(), study.varying
    ([4.0, 6.0], ('params.count',))
    """
    if not isinstance(store, Store):
        with Store(store, create=False) as opened:
            return read_study(opened, name, where=where)
    chosen = study_name(store, name)
    held = store.ask(
        """SELECT points.key, points.point, points.position, evaluations.error, evaluations.record,
        evaluations.status FROM points JOIN evaluations ON evaluations.key = points.key
        WHERE points.study = ? ORDER BY points.position""",
        (chosen,),
    )
    if not held:
        raise NopError(f"study {chosen!r} in {store.path or 'the store in memory'} has no finished point yet")
    results = results_of(store, [row[0] for row in held])
    rows = [
        Row(key, stored_table(point), results[key], error or "", stored_table(record), True, int(position))
        for key, point, position, error, record, _ in held
    ]
    names = dict.fromkeys(name for found in results.values() for name in found)
    about = {
        key: About(title, unit, cast(Any, better), meaning)
        for key, (title, unit, better, meaning) in store.metrics().items()
        if key in names
    }
    study = Study(chosen, tuple(rows), about)
    statuses = {row[0]: row[5] for row in held}
    for text in where:
        chosen_filter = filter_of(text, {"status": "", **study.units})
        kept = tuple(
            row
            for row in study.rows
            if chosen_filter.holds(
                statuses[row.key]
                if chosen_filter.name == "status"
                else {**row.point, **row.values}.get(chosen_filter.name)
            )
        )
        if not kept:
            raise NopError(f"no point of study {study.name!r} meets {text!r}, of {len(study.rows):,}")
        study = Study(study.name, kept, about)
    return study
