"""What to try next: points proposed by a tree-structured Parzen estimator (optuna), one call after another.

The sampler (Bergstra et al., NeurIPS 24, 2011; several objectives: Ozaki et al., J. Artif. Intell. Res. 73,
2022) keeps no state but the points that it was told: its random numbers are drawn anew for each proposal from
the seed and the number of points known. So a search that goes on from a store proposes what it would have
proposed without a break.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import NopError
from noptoolkit.studies.parameters import applied
from noptoolkit.studies.quantities import as_number, is_rising
from noptoolkit.studies.space import Point, Range, Space

__all__ = ["Proposer"]

MOST_LISTED = 100_000
"""Points of a space that are listed, so that a proposal is the nearest one that is allowed and new."""

MOST_REFUSED = 400
"""Proposals in a row that conditions may refuse before the search gives up."""

FIRST = 10
"""Points that are drawn at random before the sampler learns."""


class Proposer:
    """Proposes points of a space.

    Parameters
    ----------
    space
        Parameters and their values; its conditions are kept.
    directions
        ``minimize`` or ``maximize`` for each goal.
    seed
        Seed of all draws.

    Raises
    ------
    NopError
        If optuna is missing, or no parameter varies.
    """

    def __init__(self, space: Space, directions: Sequence[str], seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise NopError("optimise needs optuna: pip install 'noptoolkit[search]'") from error
        if not space.axes:
            raise NopError("nothing to search: every parameter has one value")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna: Any = optuna
        self.space = space
        self.seed = seed
        self._study: Any = optuna.create_study(directions=list(directions))
        self._axes = {name: _axis(axis, optuna.distributions) for name, axis in space.axes.items()}
        self._seen: set[str] = set()
        self._told = 0
        self._listed: list[Point] | None = None
        self._places: Floats = np.zeros((0, len(self._axes)))
        self._open = np.zeros(0, bool)
        self._same: dict[str, list[int]] = {}
        if all(not _is_continuous(axis) for axis in space.axes.values()) and _count(space) <= MOST_LISTED:
            self._listed = [point for point in _all(space) if all(one.holds(point) for one in space.where)]
            if not self._listed:
                raise NopError(
                    f"the space is empty: none of its {_count(space):,} points meets its conditions"
                )
            self._places = np.array([self._place(point) for point in self._listed])
            self._open = np.ones(len(self._listed), bool)
            for i, point in enumerate(self._listed):
                self._same.setdefault(_marked(applied(point)), []).append(i)

    @property
    def exhausted(self) -> bool:
        """Whether every point of the space is known."""
        return self._listed is not None and not self._open.any()

    def holds(self, point: Point) -> bool:
        """Return whether a point is one of the space: others cannot be learnt from."""
        try:
            whole = self._whole(point)
            self._place(whole)
        except (ValueError, KeyError):
            return False
        return _marked(applied(whole)) == _marked(point)

    def tell(self, point: Point, values: Sequence[float] | None, excess: Mapping[str, float]) -> None:
        """Learn the goals' values at a point, ``None`` for a failure, and by how much limits are missed."""
        create, states = self._optuna.trial.create_trial, self._optuna.trial.TrialState
        distributions = {name: one[0] for name, one in self._axes.items()}
        whole = self._whole(point)
        params = {name: one[2](whole[name]) for name, one in self._axes.items()}
        if values is None:
            trial = create(state=states.FAIL, params=params, distributions=distributions)
        else:
            trial = create(
                values=list(values), params=params, distributions=distributions, constraints=dict(excess)
            )
        self._study.add_trial(trial)
        self._note(point)
        self._told += 1

    def propose(self, count: int = 1) -> list[Point]:
        """Return new points of the space, ``count`` or as many as there are; none is proposed twice."""
        found: list[Point] = []
        for number in range(count):
            if self.exhausted:
                break
            point = self._one(number)
            self._note(point)
            found.append(point)
        return found

    def _one(self, number: int) -> Point:
        for attempt in range(MOST_REFUSED):
            point = self._asked(number, attempt)
            if self._listed is not None:
                away = np.abs(self._places - np.array(self._place(point))).sum(axis=1)
                return self._listed[int(np.argmin(np.where(self._open, away, np.inf)))]
            if _marked(applied(point)) not in self._seen and all(
                one.holds(point) for one in self.space.where
            ):
                return point
        raise NopError(
            f"{MOST_REFUSED:,} proposals in a row broke the conditions of the space, or were known: write it "
            "so that more of it meets them, such as lists of values in place of ranges"
        )

    def _asked(self, number: int, attempt: int) -> Point:
        """Return what the sampler proposes, whether or not it is allowed."""
        drawn = np.random.default_rng([self.seed, self._told, number, attempt]).integers(2**31)
        samplers = self._optuna.samplers
        many = len(self._axes) > 1 and attempt < 100
        if attempt >= 100:  # the sampler is stuck where nothing is allowed
            self._study.sampler = samplers.RandomSampler(seed=int(drawn))
        else:
            self._study.sampler = samplers.TPESampler(
                seed=int(drawn), n_startup_trials=FIRST, multivariate=many, constant_liar=False
            )
        trial = self._study.ask({name: one[0] for name, one in self._axes.items()})
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        point = dict(self.space.fixed)
        for name, (_, value, _) in self._axes.items():
            point[name] = value(trial.params[name])
        return {name: point[name] for name in self.space.names}

    def _note(self, point: Point) -> None:
        marked = _marked(applied(point))
        self._seen.add(marked)
        for i in self._same.get(marked, ()):
            self._open[i] = False

    def _whole(self, point: Point) -> Point:
        """Return a point with the arguments that its builder does not take, at their first values."""
        ends = {}
        for (name, axis), one in zip(self.space.axes.items(), self._axes.values(), strict=True):
            ends[name] = one[1](math.ceil(as_number(axis.low) or 0) if _is_whole(axis) else 0)  # type: ignore[union-attr]
        return {**self.space.fixed, **ends, **point}

    def _place(self, point: Point) -> list[float]:
        """Return where a point is, a number for each axis; values of no order are far from each other."""
        found = []
        for name, axis in self.space.axes.items():
            share = self._axes[name][2](point[name])
            if isinstance(axis, Range):
                low, high = (as_number(end) or 0.0 for end in (axis.low, axis.high))
                found.append(float(share) / max(high - low, 1.0) if axis.whole else float(share))
            else:
                found.append(share / max(len(axis.values) - 1, 1) if is_rising(axis.values) else 10.0 * share)
        return found


def _axis(axis: Any, distributions: Any) -> tuple[Any, Any, Any]:
    """Return the distribution of an axis, the way from a parameter to a value, and back."""
    if isinstance(axis, Range):
        if axis.whole:
            low, high = math.ceil(as_number(axis.low) or 0), math.floor(as_number(axis.high) or 0)
            whole = distributions.IntDistribution(low, high, log=axis.log)
            return whole, int, lambda value: _within(int(value), low, high)
        return distributions.FloatDistribution(0.0, 1.0), axis.at, lambda value: _share(axis, value)
    values = list(axis.values)
    marks = [repr(value) for value in values]
    if is_rising(values):
        spread = distributions.IntDistribution(0, len(values) - 1)
    else:
        spread = distributions.CategoricalDistribution(list(range(len(values))))
    return spread, lambda place: values[place], lambda value: marks.index(repr(value))


def _share(axis: Range, value: Any) -> float:
    """Return the share of the way from low to high at which a value lies: the inverse of `Range.at`."""
    number, low, high = (as_number(one) for one in (value, axis.low, axis.high))
    if number is None or low is None or high is None:
        raise ValueError(f"{value!r} is no number")
    if high == low:
        share = 0.0
    elif axis.log:
        share = math.log(number / low) / math.log(high / low)
    else:
        share = (number - low) / (high - low)
    if not -1e-9 <= share <= 1 + 1e-9:
        raise ValueError(f"{value!r} is outside")
    return min(max(share, 0.0), 1.0)


def _within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"{value} is outside")
    return value


def _is_whole(axis: Any) -> bool:
    return isinstance(axis, Range) and axis.whole


def _is_continuous(axis: Any) -> bool:
    return isinstance(axis, Range) and not axis.whole


def _count(space: Space) -> int:
    return math.prod(
        len(_values(axis)) if not _huge(axis) else MOST_LISTED + 1 for axis in space.axes.values()
    )


def _huge(axis: Any) -> bool:
    return isinstance(axis, Range) and (as_number(axis.high) or 0) - (as_number(axis.low) or 0) > MOST_LISTED


def _values(axis: Any) -> list[Any]:
    if isinstance(axis, Range):
        return list(range(math.ceil(as_number(axis.low) or 0), math.floor(as_number(axis.high) or 0) + 1))
    return list(axis.values)


def _all(space: Space) -> list[Point]:
    lists = [_values(axis) for axis in space.axes.values()]
    found = []
    for chosen in itertools.product(*lists):
        point = space.fixed | dict(zip(space.axes, chosen, strict=True))
        found.append({name: point[name] for name in space.names})
    return found


def _marked(point: Point) -> str:
    return repr(sorted((name, repr(value)) for name, value in point.items()))
