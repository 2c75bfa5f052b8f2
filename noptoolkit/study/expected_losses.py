"""Expected time when every part fails by itself with some probability.

The number of lost parts is binomial. No loss and every single loss are worked out exactly; sets of two and
more are drawn, each with its own chance given that there are two or more, and their share of the expectation
has a confidence interval (stratified sampling: Cochran, Sampling Techniques, 1977, chapter 5). Times are
expected over the losses that leave the package working; the chance of that is given beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from noptoolkit._seeds import generator_from
from noptoolkit.errors import NopError
from noptoolkit.flow.result import FlowResult
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.study.loss_sets import interval_of_share, pool_of
from noptoolkit.study.losses import loss_times
from noptoolkit.study.rehoming import Move, with_spares
from noptoolkit.study.step_losses import _all_after
from noptoolkit.tables import Amount, Table
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["ExpectedTime", "expected_step", "expected_time"]

Z = 1.959964
"""Of a 95 % confidence interval."""

FEWEST = 5
"""Drawn sets that must work before their variance says anything, unless all of them do."""


@dataclass(frozen=True)
class ExpectedTime:
    """Expected time under a probability of loss.

    Parameters
    ----------
    what
        What takes the time: a traffic, or a step.
    package
        Name of the package.
    of, probability, parts
        Kind of the parts, the chance that one of them fails, and how many there are.
    intact
        Time without loss, in s.
    working, working_interval
        Chance that something that works is left, and its 95 % confidence interval.
    time, time_interval
        Expected time of what works, and its 95 % confidence interval, in s; NaN where too few of the drawn
        sets work (fewer than 5, and not all): there is no interval then, and `time` rests on the others.
    exact_share
        Chance of no loss or one, which are worked out exactly.
    drawn
        Number of sets of two and more losses that were drawn.
    completed
        Number of these that work.
    """

    what: str
    package: str
    of: str
    probability: float
    parts: int
    intact: float
    working: float
    working_interval: tuple[float, float]
    time: float
    time_interval: tuple[float, float]
    exact_share: float
    drawn: int
    completed: int = 0

    def __repr__(self) -> str:
        return (
            f"ExpectedTime({self.what} on {self.package!r}, each of {self.parts} {self.of} lost with "
            f"{self.probability:g}: works with {self.working:.4g}, then {format_quantity(self.time, 's')} "
            f"[{self._interval()}])"
        )

    def _interval(self) -> str:
        """Return what is known of how far the expected time is from the truth."""
        if not self.drawn:
            return "exact: nothing is drawn"
        if np.isnan(self.time_interval).any():
            return f"no interval: {self.completed} of {self.drawn} draws completed"
        low, high = (format_quantity(x, "s") for x in self.time_interval)
        return f"95 %: {low} to {high}"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the expectation as a table."""
        a, b = self.working_interval
        rows = [
            ("time without loss", Amount(self.intact, "s"), ""),
            ("chance that it works", Amount(self.working, form=".5g"), f"95 %: {a:.5g} to {b:.5g}"),
            (
                "expected time, if it works",
                Amount(self.time, "s"),
                self._interval(),
            ),
            ("chance of no loss or one", Amount(self.exact_share, form=".5g"), "worked out exactly"),
            ("sets of more losses", Amount(float(self.drawn), form=".0f"), f"drawn, {self.completed} work"),
        ]
        return Table(["quantity", "value", "remark"], rows, title=repr(self))


def expected_time(
    package: Package,
    traffic: Traffic,
    probability: float,
    *,
    of: str = "links",
    trials: int = 100,
    routing: str = "optimal",
    tol: float = 0.01,
    jobs: int = 1,
    rng: int | np.random.Generator | None = None,
    progress: Progress | None = None,
) -> ExpectedTime:
    """Return the expected time of a traffic if each part is lost with some probability.

    Traffic of lost chiplets is lost with them; `expected_step` re-homes what they do.

    Parameters
    ----------
    probability
        Chance that a part fails, from 0 to 1, each by itself.
    of
        Kind of the parts.
    trials
        Number of sets of two and more losses to draw.
    routing, tol, jobs
        As `noptoolkit.resilience` takes them.
    rng
        Seed or generator.

    Raises
    ------
    NopError
        If a number is out of range, or there are no such parts.

    Examples
    --------
    >>> from noptoolkit import topology, traffic
    >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
    >>> found = expected_time(ring, traffic.all_to_all(ring, "1 GB"), 0.1, trials=10, rng=0)
    >>> found.intact, round(found.time, 2)  # two lost links cut a ring in two
    (2.0, 2.62)
    >>> round(found.working, 4)  # .9^4 + 4 x .9^3 x .1
    0.9477
    """
    intact: list[FlowResult] = []

    def after(losses: Sequence[tuple[str, ...]]) -> list[float]:
        result, times, _ = loss_times(
            package, traffic, list(losses), routing=routing, tol=tol, jobs=jobs, report=progress
        )
        intact.append(result)
        return [float(t) for t in times]

    return _expected(
        after,
        lambda: intact[0].time,
        pool_of(package, of),
        probability,
        trials,
        rng,
        traffic.name or "traffic",
        package.name,
        of,
    )


def expected_step(
    run: Run,
    probability: float,
    *,
    of: str = "chiplets",
    trials: int = 30,
    move: Move = "lost",
    spares: int | Sequence[str] = 0,
    jobs: int = 1,
    rng: int | np.random.Generator | None = None,
    progress: Progress | None = None,
) -> ExpectedTime:
    """Return the expected step if each part is lost with some probability, re-homed and scheduled again.

    Parameters
    ----------
    run, of, move, spares, jobs
        As `noptoolkit.study.step_losses` takes them.
    probability, trials, rng
        As `expected_time` takes them.
    """
    whole = with_spares(run, spares)

    def after(losses: Sequence[tuple[str, ...]]) -> list[float]:
        return [one.step for one in _all_after(whole, losses, move, jobs, progress)]

    return _expected(
        after,
        lambda: whole.plan.makespan,
        pool_of(run.package, of),
        probability,
        trials,
        rng,
        f"step of {run.given.name}",
        run.package.name,
        of,
    )


def _expected(
    after: Callable[[Sequence[tuple[str, ...]]], list[float]],
    intact: Callable[[], float],
    pool: tuple[str, ...],
    probability: float,
    trials: int,
    rng: int | np.random.Generator | None,
    what: str,
    package: str,
    of: str,
) -> ExpectedTime:
    if not 0 <= probability <= 1:
        raise NopError(f"probability={probability!r} must be from 0 to 1")
    if not (isinstance(trials, int | np.integer) and trials >= 2):
        raise NopError(f"trials={trials!r} must be a whole number from 2 up")
    if not pool:
        raise NopError(f"package {package!r} has no {of} to lose")
    count = len(pool)
    chance = np.array(
        [comb(count, k) * probability**k * (1 - probability) ** (count - k) for k in range(count + 1)]
    )
    more = float(chance[2:].sum())
    generator = generator_from(rng)
    singles = [(name,) for name in pool]
    drawn: list[tuple[str, ...]] = []
    if more > 0:
        numbers = generator.choice(np.arange(2, count + 1), size=trials, p=chance[2:] / more)
        drawn = [tuple(str(name) for name in generator.choice(pool, int(k), replace=False)) for k in numbers]
    different = list(dict.fromkeys(tuple(sorted(lost)) for lost in drawn))
    times = after([*singles, *different])
    whole = intact()
    by_set = dict(zip(different, times[count:], strict=True))
    single = np.array(times[:count])
    fine = np.isfinite(single)
    works = chance[0] + chance[1] * fine.mean()
    spent = chance[0] * whole + chance[1] * float(np.where(fine, single, 0.0).sum()) / count
    low = high = works
    variance, completed = 0.0, 0
    if drawn:
        sample = np.array([by_set[tuple(sorted(lost))] for lost in drawn])
        alive = np.isfinite(sample)
        completed = int(alive.sum())
        a, b = interval_of_share(float(completed), len(sample))
        low, high = works + more * a, works + more * b
        works += more * float(alive.mean())
        spent += more * float(np.where(alive, sample, 0.0).mean())
        # of the ratio spent / works, by its linear part (delta method)
        mean = spent / works if works > 0 else np.inf
        parts = np.where(alive, np.where(alive, sample, 0.0) - mean, 0.0)
        variance = more**2 * float(parts.var(ddof=1)) / len(sample) / works**2 if works > 0 else 0.0
        if completed < min(FEWEST, len(sample)):
            variance = np.nan
    mean = spent / works if works > 0 else np.inf
    half = Z * float(np.sqrt(variance))
    return ExpectedTime(
        what,
        package,
        of,
        float(probability),
        count,
        float(whole),
        float(works),
        (float(low), float(high)),
        float(mean),
        (float(mean - half), float(mean + half)),
        float(chance[0] + chance[1]),
        len(drawn),
        completed,
    )
