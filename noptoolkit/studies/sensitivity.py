"""Which parameters a metric depends on: screening by Morris, shares of variance by Sobol (SALib, an extra).

Both draw a design of their own over the axes of a space, each axis being one dimension of the unit cube:

* *Morris* (Technometrics 33(2), 1991): from each of N starting points one parameter after the other is moved
  by two thirds of its range. ``mu`` is the mean change of the metric for the whole range of a parameter,
  ``mu_star`` the mean of its size (Campolongo et al., Environ. Model. Softw. 22(10), 2007), ``sigma`` its
  standard deviation: large where parameters act together, or not in proportion. N (D + 1) points.
* *Sobol* (Math. Comput. Simul. 55, 2001; the design of Saltelli, Computer Physics Communications 181(2),
  2010): shares of the metric's variance over the space, ``S1`` by a parameter alone, ``ST`` with all that it
  takes part in. N (D + 2) points; the estimates may leave 0 to 1 by about their interval.

They apply to parameters that vary independently: a space whose conditions leave out points of the design is
refused, and so is a design with a point that failed. Morris needs an order of the values, Sobol none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_whole
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.metrics import Metric
from noptoolkit.progress import Progress
from noptoolkit.studies.parameters import applied
from noptoolkit.studies.quantities import as_number, is_rising
from noptoolkit.studies.space import MOST_POINTS, Point, Points, Range, Space
from noptoolkit.studies.store import Store
from noptoolkit.studies.study import About, Study
from noptoolkit.studies.sweeping import LayoutMode, Row, sweep_all
from noptoolkit.tables import Amount, Column, Table

__all__ = ["Sensitivity", "design", "sensitivity"]

Method = Literal["morris", "sobol"]
LEVELS = 4
CONFIDENCE = 0.95
MEASURES: dict[str, tuple[str, ...]] = {
    "morris": ("mu_star", "mu", "sigma", "mu_star_conf"),
    "sobol": ("ST", "S1", "ST_conf", "S1_conf"),
}
"""What each method says of a parameter; the first one orders the table."""

MEANINGS = {
    "mu_star": "mean size of the change over the parameter's whole range",
    "mu": "mean change over the parameter's whole range",
    "sigma": "standard deviation of the change: large where parameters act together",
    "mu_star_conf": f"half width of the {CONFIDENCE:.0%} interval of mu*, bootstrapped",
    "ST": "share of the variance that the parameter takes part in",
    "S1": "share of the variance by the parameter alone",
    "ST_conf": f"half width of the {CONFIDENCE:.0%} interval of ST, bootstrapped",
    "S1_conf": f"half width of the {CONFIDENCE:.0%} interval of S1, bootstrapped",
}
TITLES = {"mu_star": "mu*", "mu_star_conf": "+-", "ST_conf": "+- of ST", "S1_conf": "+- of S1"}


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """How metrics depend on parameters.

    Parameters
    ----------
    method
        ``morris`` or ``sobol``.
    parameters
        Parameters that vary.
    metrics
        What the metrics are, by name.
    measures
        For each metric, each measure of the method as numbers, [parameters].
    rows
        Points of the design, in its order; a point that it has twice stands twice.
    samples
        Starting points (Morris) or base samples (Sobol).
    seed
        Seed of the design.
    """

    method: Method
    parameters: tuple[str, ...]
    metrics: Mapping[str, About]
    measures: Mapping[str, Mapping[str, Floats]]
    rows: tuple[Row, ...]
    samples: int
    seed: int

    def __repr__(self) -> str:
        return f"Sensitivity({self.method}, {', '.join(self.metrics)}, {len(self.rows)} points)"

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return a part for each metric, the most influential parameter first."""
        names = MEASURES[self.method]
        columns = [Column("parameter"), *(Column(n, TITLES.get(n, n), meaning=MEANINGS[n]) for n in names)]
        rows: list[list[Any]] = []
        sections: list[str] = []
        for metric, about in self.metrics.items():
            found = self.measures[metric]
            unit = about.unit if self.method == "morris" else ""
            for i in np.argsort(-found[names[0]], kind="stable"):
                name = self.parameters[i].removeprefix("params.")
                rows.append(
                    [name, *(Amount(float(found[one][i]), unit, ".3f" if not unit else "") for one in names)]
                )
                sections.append(f"{about.title}{self._spread(metric, about)}")
        notes = [f"{TITLES.get(one, one)}: {MEANINGS[one]}." for one in names]
        distinct = len({row.key for row in self.rows})
        what = "trajectories" if self.method == "morris" else "base samples"
        title = f"{self.method.capitalize()}: {self.samples} {what}, {distinct:,} points"
        return Table(columns, rows, title=title, notes=notes, sections=sections)

    def _spread(self, metric: str, about: About) -> str:
        values = np.array([as_number(row.values[metric]) for row in self.rows], float)
        if values.min() == values.max():
            return ": the same at all points"
        low, high = (
            Table(["x"], [[Amount(float(v), about.unit)]]).cells()[1][0][0]
            for v in (values.min(), values.max())
        )
        return f", {low} to {high}"


def sensitivity(
    space: Space | Mapping[str, Any],
    metrics: str | Metric | Sequence[str | Metric],
    *,
    method: Method = "morris",
    samples: int | None = None,
    seed: int = 0,
    store: str | Path | Store | None = None,
    study: str = "study",
    layout: LayoutMode = "own",
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Evaluate a design over a space and return how metrics depend on its parameters.

    Parameters
    ----------
    space
        Parameters and their values; of its sample only the axes count.
    metrics
        As `sweep` takes them; their values must be numbers.
    method
        ``morris`` (few points, which parameters matter) or ``sobol`` (shares of variance).
    samples
        Trajectories of Morris (10 where ``None``), base samples of Sobol (a power of two, 64 where ``None``).
    seed
        Seed of the design and of the bootstrap.
    store, study, layout, jobs, scheduler, progress
        As `sweep` takes them; points that are stored are not evaluated again.

    Raises
    ------
    NopError
        If SALib is missing, fewer than two parameters vary, the method does not apply to the space, or a
        point of the design failed or has no number.
    """
    if method not in get_args(Method):
        raise UnknownNameError(f"no method {method!r}; {did_you_mean(method, get_args(Method))}")
    chosen = space if isinstance(space, Space) else Space(space)
    asked = [metrics] if isinstance(metrics, str | Metric) else list(metrics)
    count = (10 if method == "morris" else 64) if samples is None else samples
    cube = design(chosen, method, count, seed)
    points = _points(chosen, cube)
    rows = sweep_all(
        Points(points),
        asked,
        store=store,
        study=study,
        layout=layout,
        jobs=jobs,
        scheduler=scheduler,
        progress=progress,
    )
    by_point = {repr(row.point): row for row in rows}
    found = tuple(by_point[repr(applied(point))] for point in points)
    known = Study.of(rows, [one for one in asked if isinstance(one, Metric)]).metrics
    measures = {name: _measured(chosen, method, cube, _numbers(found, name), seed) for name in known}
    return Sensitivity(method, tuple(chosen.axes), known, measures, found, count, seed)


def design(space: Space, method: Method, samples: int, seed: int) -> Floats:
    """Return the design of a method over the axes of a space, [points, axes], in the unit cube.

    Raises
    ------
    NopError
        If the method does not apply to the space, or the design is too large.
    """
    axes = space.axes
    if len(axes) < 2:
        raise NopError(f"sensitivity compares parameters: {len(axes)} of them vary, give two or more")
    if not is_whole(samples) or samples < 2:
        raise NopError(f"samples={samples!r} must be a whole number, 2 or more")
    if method == "sobol" and samples & (samples - 1):
        raise NopError(
            f"samples={samples}: a Sobol sequence is balanced in powers of two, give {_power(samples)}"
        )
    size = samples * (len(axes) + (1 if method == "morris" else 2))
    if size > MOST_POINTS:
        raise NopError(f"the design has {size:,} points, more than {MOST_POINTS:,}: take fewer samples")
    if method == "morris":
        for name, axis in axes.items():
            if not isinstance(axis, Range) and not is_rising(axis.values):
                raise NopError(
                    f"Morris moves a parameter up and down, but the values of {name!r} have no order: give "
                    "numbers that rise, or take method='sobol'"
                )
    try:
        from SALib.sample import morris, sobol
    except ImportError as error:
        raise NopError("sensitivity needs SALib: pip install 'noptoolkit[sensitivity]'") from error
    problem = _problem(space)
    if method == "morris":
        found = morris.sample(problem, samples, num_levels=LEVELS, seed=seed)
    else:
        found = sobol.sample(problem, samples, calc_second_order=False, seed=seed)
    return np.asarray(found, float)


def _points(space: Space, cube: Floats) -> list[Point]:
    points = [space.point_at(row) for row in cube]
    kept = sum(all(one.holds(point) for one in space.where) for point in points)
    if kept < len(points):
        raise NopError(
            f"the conditions of the space leave out {len(points) - kept:,} of the design's {len(points):,} "
            "points: sensitivity needs parameters that vary independently, so write the space without them"
        )
    return points


def _measured(space: Space, method: Method, cube: Floats, values: Floats, seed: int) -> dict[str, Floats]:
    from SALib.analyze import morris, sobol

    count = len(space.axes)
    if values.min() == values.max():  # no variance to share
        return {name: np.zeros(count) for name in MEASURES[method]}
    options: dict[str, Any] = {"conf_level": CONFIDENCE, "seed": seed}
    if method == "morris":
        found = morris.analyze(_problem(space), cube, values, num_levels=LEVELS, **options)
    else:
        found = sobol.analyze(_problem(space), values, calc_second_order=False, **options)
    return {name: np.asarray(np.ma.filled(found[name], math.nan), float) for name in MEASURES[method]}


def _problem(space: Space) -> dict[str, Any]:
    count = len(space.axes)
    return {"num_vars": count, "names": list(space.axes), "bounds": [[0.0, 1.0]] * count}


def _numbers(rows: Sequence[Row], name: str) -> Floats:
    found = []
    for row in rows:
        number = as_number(row.values.get(name)) if not row.error else None
        if number is None or not math.isfinite(number):
            said = ", ".join(f"{key.removeprefix('params.')}={value}" for key, value in row.point.items())
            raise NopError(
                f"metric {name!r} has no number at a point of the design ({said}): "
                f"{row.error or row.values.get(name)!s}"
            )
        found.append(number)
    return np.array(found)


def _power(samples: int) -> str:
    low = 1 << (samples.bit_length() - 1)
    return f"{low} or {2 * low}"
