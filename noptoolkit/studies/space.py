"""Spaces of points: which parameters take which values, and which combinations count.

A point is a mapping from parameter to value. A parameter with one value is fixed; one with several values, or
a `Range`, is an axis. A grid takes every combination; a sample draws some: at random, as a Latin hypercube,
or as a scrambled Sobol sequence (scipy.stats.qmc), each axis being one dimension of the unit cube.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_whole
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.studies.conditions import Condition, condition
from noptoolkit.studies.quantities import as_number, split_quantity

__all__ = ["MOST_POINTS", "Point", "Points", "Range", "Sample", "Space"]

Point = dict[str, Any]
"""Value of each parameter."""

Sample = Literal["grid", "random", "lhs", "sobol"]

MOST_POINTS = 1_000_000
"""Points of one study; a larger space wants a sample."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included.

    Parameters
    ----------
    low, high
        Ends: numbers, or texts of one unit such as ``"64 GB/s"``.
    count
        Values of a grid, evenly spaced; a grid needs it, a sample does not look at it.
    log
        Whether values are spaced by equal factors instead of equal steps.
    whole
        Whether values are rounded to whole numbers.

    Raises
    ------
    NopError
        If the ends are not numbers of one unit, or are in the wrong order.

    Examples
    --------
    >>> Range("64 GB/s", "256 GB/s", count=3, log=True).values()
    ['64 GB/s', '128 GB/s', '256 GB/s']
    >>> Range(1, 9, count=3, whole=True).values()
    [1, 5, 9]
    """

    low: float | str
    high: float | str
    count: int | None = None
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        said = f"range {self.low!r} to {self.high!r}"
        (low, unit), (high, other) = split_quantity(self.low), split_quantity(self.high)
        for name in ("log", "whole"):
            if not isinstance(getattr(self, name), bool):
                raise NopError(f"{said}: {name}={getattr(self, name)!r} must be true or false")
        if low is None or high is None:
            raise NopError(f"{said}: ends are numbers, or texts such as '64 GB/s'")
        if unit.lstrip("kMGT") != other.lstrip("kMGT"):
            raise NopError(f"{said}: one end is in {unit or 'no unit'}, the other in {other or 'no unit'}")
        low, high = as_number(self.low) or 0.0, as_number(self.high) or 0.0
        if not low <= high:
            raise NopError(f"{said}: the lower end comes first")
        if self.log and low <= 0:
            raise NopError(f"{said}: equal factors need ends above 0")
        if self.count is not None and (not is_whole(self.count) or self.count < 1):
            raise NopError(f"{said}: count={self.count!r} must be a whole number above 0")
        if self.whole and (math.ceil(low) > math.floor(high) or unit):
            raise NopError(f"{said}: no whole number lies between, or the ends have a unit")

    def at(self, share: float) -> float | int | str:
        """Return the value at a share of the way from low to high, 0 to 1."""
        written, unit = split_quantity(self.low)
        base = as_number(self.low) or 0.0
        factor = base / written if unit and written else 1.0
        low, high = base / factor, (as_number(self.high) or 0.0) / factor
        if self.whole:  # every whole number has an equal part of the way
            least, most = math.ceil(low), math.floor(high)
            if self.log:
                value = least * (most / least) ** share if least > 0 else share
                return min(max(round(value), least), most)
            if self.count is not None and share in (0.0, 1.0):
                return most if share else least
            return min(least + int(share * (most - least + 1)), most)
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        value = float(f"{value:.12g}")
        return f"{value:.12g} {unit}" if unit else value

    def values(self) -> list[float | int | str]:
        """Return the values of a grid, each once."""
        if self.count is None:
            raise NopError(f"range {self.low!r} to {self.high!r}: a grid needs a count")
        if self.count == 1:
            return [self.at(0.0)]
        if self.whole and not self.log:
            low, high = math.ceil(as_number(self.low) or 0), math.floor(as_number(self.high) or 0)
            steps: list[float | int | str] = [round(x) for x in np.linspace(low, high, self.count)]
            return list(dict.fromkeys(steps))
        return list(dict.fromkeys(self.at(i / (self.count - 1)) for i in range(self.count)))


@dataclass(frozen=True, init=False)
class Space:
    """Parameters and their values.

    Parameters
    ----------
    parameters
        Value, list of values, or `Range`, by name of the parameter (`noptoolkit.studies.PARAMETERS`).
    where
        Conditions that a point must meet: texts such as ``"params.groups * params.experts_per_group == 16"``
        (comparisons, arithmetic, ``and``, ``or``, ``not``, ``in``; nothing is executed), or functions of a
        point.
    sample
        ``grid``, ``random``, ``lhs`` (Latin hypercube) or ``sobol``.
    points
        Points that a sample draws, before the conditions; not for a grid.
    seed
        Seed of a sample.

    Raises
    ------
    NopError
        If a list is empty, or sample and points do not go together.

    Examples
    --------
    >>> space = Space({"builder": "mesh", "params.rows": [2, 3, 4], "params.columns": [2, 3, 4]},
    ...               where="params.rows <= params.columns")
    >>> space.size, len(list(space)), next(iter(space))
    (9, 6, {'builder': 'mesh', 'params.rows': 2, 'params.columns': 2})
    """

    parameters: tuple[tuple[str, Any], ...]
    where: tuple[Condition, ...]
    sample: Sample
    points: int | None
    seed: int

    def __init__(
        self,
        parameters: Mapping[str, Any],
        where: str | Callable[[Point], bool] | Sequence[str | Callable[[Point], bool]] = (),
        sample: Sample = "grid",
        points: int | None = None,
        seed: int = 0,
    ) -> None:
        if sample not in get_args(Sample):
            raise UnknownNameError(f"no sample {sample!r}; {did_you_mean(sample, get_args(Sample))}")
        if (sample == "grid") != (points is None):
            raise NopError("a grid takes no points=, a sample needs it: how many to draw")
        if points is not None and (not is_whole(points) or points < 1):
            raise NopError(f"points={points!r} must be a whole number above 0")
        if not is_whole(seed) or seed < 0:
            raise NopError(f"seed={seed!r} must be a whole number, 0 or more")
        if not parameters:
            raise NopError("the space is empty: it has no parameters")
        held = []
        for name, value in parameters.items():
            if isinstance(value, list) and not value:
                raise NopError(f"the space is empty: parameter {name!r} has no values")
            held.append((name, _Values(value) if isinstance(value, list) else value))
        asked = [where] if isinstance(where, str) or callable(where) else list(where)
        object.__setattr__(self, "parameters", tuple(held))
        object.__setattr__(self, "where", tuple(condition(one, tuple(parameters)) for one in asked))
        object.__setattr__(self, "sample", sample)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "seed", seed)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(name for name, _ in self.parameters)

    @property
    def axes(self) -> dict[str, _Values | Range]:
        """Parameters that take several values, with what they take."""
        return {name: value for name, value in self.parameters if isinstance(value, _Values | Range)}

    @property
    def fixed(self) -> Point:
        """Parameters that take one value."""
        return {name: value for name, value in self.parameters if name not in self.axes}

    @property
    def size(self) -> int:
        """Number of points before the conditions; found without making one."""
        if self.points is not None:
            return self.points
        return math.prod(
            (axis.count or _no_count(name)) if isinstance(axis, Range) else len(axis.values)
            for name, axis in self.axes.items()
        )

    def describe(self) -> str:
        """Return the size in words: the factors of a grid, the points of a sample."""
        if self.points is not None:
            return f"{self.points:,} points by {self.sample} over {len(self.axes)} parameters"
        factors = [
            f"{axis.count if isinstance(axis, Range) else len(axis.values)} {name}"
            for name, axis in self.axes.items()
        ]
        size = self.size
        told = f"{size:,}" if size < 10**15 else f"about 10^{len(str(size)) - 1}"
        return f"{told} points" + (f" ({' x '.join(factors)})" if factors else "")

    def check_size(self) -> None:
        """Raise NopError if the space is too large to run through."""
        if self.size > MOST_POINTS:
            raise NopError(
                f"the space has {self.describe()}, more than {MOST_POINTS:,}: draw a sample of it "
                "(sample='sobol', points=1000), or give fewer values"
            )

    def __iter__(self) -> Iterator[Point]:
        """Yield each point that meets the conditions, once."""
        self.check_size()
        points = self._grid() if self.sample == "grid" else self._drawn()
        found = False
        for point in points:
            if all(one.holds(point) for one in self.where):
                found = True
                yield point
        if not found:
            raise NopError(f"the space is empty: none of its {self.describe()} meets its conditions")

    def example(self) -> Point:
        """Return the point of the first value of each axis; conditions are not asked."""
        return self.point_at([0.0] * len(self.axes))

    def point_at(self, shares: Sequence[float]) -> Point:
        """Return the point at a place in the unit cube, a share of each axis; conditions are not asked."""
        point = self.fixed
        for (name, axis), share in zip(self.axes.items(), shares, strict=True):
            if isinstance(axis, Range):
                point[name] = axis.at(float(share))
            else:
                point[name] = axis.values[min(int(share * len(axis.values)), len(axis.values) - 1)]
        return {name: point[name] for name in self.names}

    def _grid(self) -> Iterator[Point]:
        lists = [
            axis.values() if isinstance(axis, Range) else list(axis.values) for axis in self.axes.values()
        ]
        for chosen in itertools.product(*lists):
            point = self.fixed | dict(zip(self.axes, chosen, strict=True))
            yield {name: point[name] for name in self.names}

    def _drawn(self) -> Iterator[Point]:
        seen = set()
        for row in self._cube():
            point = self.point_at(row)
            marked = repr(point)
            if marked not in seen:  # axes of few values give a point again
                seen.add(marked)
                yield point

    def _cube(self) -> Floats:
        from scipy.stats import qmc

        count, dimensions = self.points or 0, len(self.axes)
        if not dimensions:
            raise NopError("nothing to draw: every parameter has one value")
        rng = np.random.default_rng(self.seed)
        if self.sample == "random":
            return rng.random((count, dimensions))
        if self.sample == "lhs":
            return np.asarray(qmc.LatinHypercube(dimensions, seed=rng).random(count))
        power = max(math.ceil(math.log2(count)), 0)  # a Sobol sequence is balanced in powers of two
        return np.asarray(qmc.Sobol(dimensions, seed=rng).random_base2(power))[:count]


@dataclass(frozen=True, init=False)
class Points:
    """Points given one by one, in place of a space.

    Parameters
    ----------
    points
        Value of each parameter; points may have different parameters.

    Raises
    ------
    NopError
        If there is no point.

    Examples
    --------
    >>> points = Points([{"builder": "mesh", "params.rows": 2}, {"builder": "ring", "params.count": 4}])
    >>> points.size, points.names
    (2, ('builder', 'params.rows', 'params.count'))
    """

    points: tuple[Point, ...]

    def __init__(self, points: Iterable[Point]) -> None:
        object.__setattr__(self, "points", tuple(dict(point) for point in points))
        if not self.points:
            raise NopError("the space is empty: no point is given")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(dict.fromkeys(name for point in self.points for name in point))

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        """Parameters with the values that they take."""
        taken: dict[str, dict[str, Any]] = {}
        for point in self.points:
            for name, value in point.items():
                taken.setdefault(name, {})[repr(value)] = value
        return tuple((name, _Values(list(values.values()))) for name, values in taken.items())

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.points)

    def example(self) -> Point:
        """Return the first point."""
        return self.points[0]

    def describe(self) -> str:
        """Return the size in words."""
        return f"{self.size:,} points given"

    def check_size(self) -> None:
        """Raise NopError if there are too many points."""
        if self.size > MOST_POINTS:
            raise NopError(f"{self.describe()}, more than {MOST_POINTS:,}")

    def __iter__(self) -> Iterator[Point]:
        """Yield each point."""
        yield from self.points


@dataclass(frozen=True, init=False)
class _Values:
    """Values of an axis; numbers of the toolkit itself (a position, say) stay lists inside."""

    values: tuple[Any, ...]

    def __init__(self, values: Sequence[Any]) -> None:
        object.__setattr__(self, "values", tuple(values))


def _no_count(name: str) -> int:
    raise NopError(f"parameter {name!r}: the range of a grid needs a count; or draw a sample (sample='lhs')")
