"""What changed the verdict between two points: which inputs differ, which metric moved, and by which input.

Each input that differs is changed alone on the first point, and left alone unchanged on the second: two
one-at-a-time effects, equal where inputs do not act together. Where few inputs differ, every mixture of the
two points is evaluated and each input gets its mean effect over all orders in which the inputs can be
changed, the Shapley value (Shapley, Contributions to the Theory of Games II, 1953): these shares add up to
the whole change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import NopError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.progress import Progress
from noptoolkit.studies.reading import shown
from noptoolkit.studies.space import Point, Points
from noptoolkit.studies.store import Store
from noptoolkit.studies.study import About, Study
from noptoolkit.studies.sweeping import Row, sweep_all
from noptoolkit.tables import Amount, Column, Missing, Table

__all__ = ["MIXED", "Difference", "Input", "difference", "inputs_between"]

MIXED = 4
"""Inputs up to which all mixtures of two points are evaluated: 16 points."""

WORKING = ".differences"
"""Study of the mixtures in a store; names that begin with a dot are not listed."""

TOGETHER = (
    ("builder", "package", "params."),
    ("policy", "policy."),
    ("plan", "plan."),
    ("normalise", "normalise_to"),
)
"""Parameters that are changed as one where the first of them (or package) differs."""


@dataclass(frozen=True)
class Input:
    """What differs between two points and is changed as one.

    Parameters
    ----------
    name
        Parameter; several where one has no meaning without the others, as the arguments of a builder.
    names
        Their names.
    first, second
        What each point has, as text.
    """

    name: str
    names: tuple[str, ...]
    first: str
    second: str


@dataclass(frozen=True, eq=False, repr=False)
class Difference:
    """Two points, what differs between them and what each difference does.

    Parameters
    ----------
    first, second
        The points.
    metrics
        What the metrics are that have a number at both points, by name.
    inputs
        What differs.
    alone
        Change of each metric if one input alone is changed on the first point, [inputs, metrics]; NaN where
        that point failed.
    last
        Change of each metric by one input if all others are changed before it, [inputs, metrics].
    share
        Mean change by each input over all orders, [inputs, metrics]; ``None`` where too many inputs differ.
    failed
        Errors of mixtures that failed, by what was changed on the first point.
    words
        Metrics that are text, with both values where they differ.
    """

    first: Row
    second: Row
    metrics: Mapping[str, About]
    inputs: tuple[Input, ...]
    alone: Floats
    last: Floats
    share: Floats | None
    failed: Mapping[str, str]
    words: Mapping[str, tuple[Any, Any]]

    def __repr__(self) -> str:
        return f"Difference({self.first.key[:8]} to {self.second.key[:8]}, {len(self.inputs)} inputs)"

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def change(self, metric: str) -> float:
        """Return by how much a metric is larger at the second point."""
        return float(self.second.values[metric]) - float(self.first.values[metric])  # type: ignore[arg-type]

    def table(self) -> Table:
        """Return a part for each metric: a row for each input, and the whole change below."""
        columns = [
            Column("input"),
            Column("first", self.first.key[:8]),
            Column("second", self.second.key[:8]),
            Column("alone", meaning="change if this input alone is changed on the first point"),
            Column("last", meaning="change by this input if all others are changed before it"),
            Column("share", "share", meaning="mean change over all orders; shares add up to the whole"),
            Column("part", "of the change", form=".0f %", meaning="share over the whole change"),
        ]
        rows: list[list[Any]] = []
        sections: list[str] = []
        for j, (name, about) in enumerate(self.metrics.items()):
            whole = self.change(name)
            order = np.argsort(
                -np.abs(np.nan_to_num((self.alone if self.share is None else self.share)[:, j]))
            )
            for i in order if whole or self._moves(j) else ():
                part = self.share[i, j] if self.share is not None else math.nan
                cells = [_amount(x, about.unit) for x in (self.alone[i, j], self.last[i, j], part)]
                if self.share is None:
                    cells[2] = Missing("too many inputs")
                known = whole and self.share is not None and math.isfinite(part)
                one = self.inputs[i]
                rows.append([one.name, *_short(one), *cells, part / whole if known else None])
            ends = [Amount(float(row.values[name]), about.unit) for row in (self.first, self.second)]  # type: ignore[arg-type]
            rows.append(["all", *ends, None, None, Amount(whole, about.unit), 1.0 if whole else None])
            sections += [about.title] * (len(rows) - len(sections))
        notes = [f"{one.name}: {one.first}; then {one.second}" for one in self.inputs if len(one.names) > 1]
        notes += [f"{name}: {before}, then {after}" for name, (before, after) in self.words.items()]
        notes += [f"with {what} changed: {error}" for what, error in self.failed.items()]
        if self.share is None:
            notes.append(
                f"more than {MIXED} inputs differ: effects one at a time only, which need not add up"
            )
        if not self.metrics:
            notes.append("no metric has a number at both points")
        count = len(self.inputs)
        differ = "1 input differs" if count == 1 else f"{count} inputs differ"
        title = f"{self.first.key[:8]} to {self.second.key[:8]}: {differ}"
        return Table(columns, rows, title=title, notes=notes, sections=sections)

    def _moves(self, j: int) -> bool:
        return bool(np.nan_to_num(self.alone[:, j]).any() or np.nan_to_num(self.last[:, j]).any())


def difference(
    first: Row,
    second: Row,
    metrics: Sequence[str | Metric] | None = None,
    *,
    store: str | Path | Store | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Difference:
    """Return which inputs of two points differ, and what each of them does to the metrics.

    Parameters
    ----------
    first, second
        Points of a study, see `Study.row`.
    metrics
        As `sweep` takes them; those that are known of both where ``None``.
    store
        Where the points between the two are kept, and the layout that all points of the study share;
        evaluated again each time where ``None``.
    jobs, progress
        As `sweep` takes them.

    Raises
    ------
    NopError
        If nothing differs, a metric is not in `noptoolkit.metrics.METRICS`, or the points have layouts of
        different kinds.

    Examples
    --------
    >>> space = {"builder": "mesh", "params.rows": [2, 3], "params.link_bandwidth": ["1 GB/s", "2 GB/s"],
    ...          "workload": "stdlib-moe"}
    >>> rows = sweep_all(space, ["links", "total_bandwidth"])
    >>> found = difference(rows[0], rows[-1])
    >>> [(one.name, one.first, one.second) for one in found.inputs]
    [('params.rows', '2', '3'), ('params.link_bandwidth', '1 GB/s', '2 GB/s')]
    >>> found.share.sum(axis=0).tolist() == [found.change("links"), found.change("total_bandwidth")]
    True
    """
    inputs = inputs_between(first.point, second.point)
    if not inputs:
        raise NopError(f"points {first.key[:8]} and {second.key[:8]} have the same inputs")
    if metrics is None:
        metrics = [name for name in first.values if name in second.values]
        for name in metrics:
            if name not in METRICS:
                raise NopError(f"metric {name!r} is not one of the toolkit: give its record in metrics=")
    every = tuple(range(len(inputs)))
    if len(inputs) <= MIXED:
        chosen = [set(c) for size in range(len(inputs) + 1) for c in itertools.combinations(every, size)]
    else:
        chosen = [set[int](), *({i} for i in every), *(set(every) - {i} for i in every), set(every)]
    points = [_mixture(first.point, second.point, [inputs[i] for i in one]) for one in chosen]
    kept = store if isinstance(store, Store) or store is None else Store(store)
    try:
        rows = sweep_all(
            Points(points),
            metrics,
            store=kept,
            study=WORKING,
            layout=_layout(kept, first, second),
            jobs=jobs,
            progress=progress,
        )
    finally:
        if kept is not None and kept is not store:
            kept.close()
    by_point = {_marked(row.point): row for row in rows}
    found = {frozenset(one): by_point[_marked(point)] for one, point in zip(chosen, points, strict=True)}
    return _attributed(inputs, found, metrics)


def inputs_between(first: Point, second: Point) -> tuple[Input, ...]:
    """Return what differs between two points, in units that can be changed alone."""
    names = [*first, *(name for name in second if name not in first)]
    differ = [name for name in names if _marked(first.get(name)) != _marked(second.get(name))]
    found: list[Input] = []
    taken: set[str] = set()
    for name in differ:
        if name in taken:
            continue
        group = [name]
        for members in TOGETHER:
            heads = [member for member in members if not member.endswith(".")]
            if any(head in differ for head in heads) and _belongs(name, members):
                group = [other for other in differ if _belongs(other, members)]
        taken |= set(group)
        said = [_said(point, group) for point in (first, second)]
        found.append(Input(group[0], tuple(group), *said))
    return tuple(found)


def _attributed(
    inputs: tuple[Input, ...], found: Mapping[frozenset[int], Row], metrics: Sequence[str | Metric]
) -> Difference:
    every = frozenset(range(len(inputs)))
    first, second = found[frozenset()], found[every]
    about = Study.of([first, second], metrics).metrics
    known = {name: one for name, one in about.items() if _real(first, name) and _real(second, name)}

    def numbers(chosen: Iterable[int]) -> Floats:
        row = found[frozenset(chosen)]
        return np.array([float(row.values[n]) if _real(row, n) else math.nan for n in known])  # type: ignore[arg-type]

    alone = np.array([numbers({i}) - numbers(()) for i in every])
    last = np.array([numbers(every) - numbers(every - {i}) for i in every])
    share = None
    if len(inputs) <= MIXED:
        count = len(inputs)
        share = np.zeros((count, len(known)))
        for i in every:
            for size in range(count):
                weight = math.factorial(size) * math.factorial(count - 1 - size) / math.factorial(count)
                for before in itertools.combinations(every - {i}, size):
                    share[i] += weight * (numbers({*before, i}) - numbers(before))
    failed = {
        ", ".join(inputs[i].name for i in sorted(chosen)) or "nothing": row.error
        for chosen, row in found.items()
        if row.error
    }
    words = {
        name: (first.values[name], second.values[name])
        for name in about
        if isinstance(first.values.get(name), str) and first.values[name] != second.values.get(name)
    }
    return Difference(first, second, known, inputs, alone, last, share, failed, words)


def _mixture(first: Point, second: Point, changed: Sequence[Input]) -> Point:
    """Return the first point with some inputs of the second."""
    of_second = {name for one in changed for name in one.names}
    names = [*first, *(name for name in second if name not in first)]
    return {
        name: (second if name in of_second else first)[name]
        for name in names
        if name in (second if name in of_second else first)
    }


def _layout(store: Store | None, first: Row, second: Row) -> Any:
    """Return the layout of both points where the study has one for all, else ``own``."""
    notes = [store.layout_note(row.key) if store is not None else "" for row in (first, second)]
    fixed = [note.startswith("fixed") for note in notes]
    if not any(fixed):
        return "own"
    digests = {row.record.get("allocation_digest") for row in (first, second)}
    if not all(fixed) or len(digests) > 1:
        raise NopError("the points have layouts of different kinds (own, fixed): their sweeps differ in it")
    assert store is not None
    for layout in store.fixed_layouts():
        if layout.digest() in digests:
            return layout
    raise NopError("the layout that the points share is not in the store")


def _belongs(name: str, members: Sequence[str]) -> bool:
    return any(name.startswith(one) if one.endswith(".") else name == one for one in members)


def _said(point: Point, names: Sequence[str]) -> str:
    if len(names) == 1:
        return _text(point.get(names[0]))
    held = [f"{name.removeprefix('params.')}={_text(point[name])}" for name in names[1:] if name in point]
    head = [_text(point[names[0]])] if names[0] in point else []
    return ", ".join([*head, *held])


def _text(value: Any) -> str:
    found = shown(value)
    return "" if found is None else f"{found:g}" if isinstance(found, float) else str(found)


def _marked(value: Any) -> str:
    if isinstance(value, Mapping):
        return repr(sorted((name, repr(one)) for name, one in value.items()))
    return repr(value)


def _short(one: Input) -> list[str]:
    """Return what each point has, of several parameters the first."""
    if len(one.names) == 1:
        return [one.first, one.second]
    return [f"{text.partition(',')[0]} ..." for text in (one.first, one.second)]


def _real(row: Row, name: str) -> bool:
    value = row.values.get(name)
    return not row.error and isinstance(value, int | float) and math.isfinite(value)


def _amount(value: float, unit: str) -> Amount | Missing:
    return Amount(float(value), unit) if math.isfinite(value) else Missing("failed")
