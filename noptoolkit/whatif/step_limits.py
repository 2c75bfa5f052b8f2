"""What limits a step, and what is next: each kind of part faster by itself, then the best one for good."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from noptoolkit._pictures import Reported
from noptoolkit.errors import NopError, NopWarning
from noptoolkit.package import Package
from noptoolkit.progress import Countdown, Progress
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.whatif.step_parts import PARTS, faster, schedule_on

__all__ = ["PartGain", "StepLimits", "StepRound", "what_limits"]

UNLIMITED = 1e3
"""Factor that stands for a part without limit."""

WORTH = 0.005
"""Share of the step below which a part is not said to limit."""


@dataclass(frozen=True)
class PartGain:
    """What one kind of part faster buys.

    Parameters
    ----------
    part
        Name of the part.
    step, step_bound
        Makespan with it faster by the factor, and its lower bound for any routing and order, in s.
    unlimited
        Makespan with it a thousand times as fast, in s.
    """

    part: str
    step: float
    step_bound: float
    unlimited: float


@dataclass(frozen=True, eq=False)
class StepRound:
    """Every part faster by itself, on a package that earlier rounds have made.

    Parameters
    ----------
    package
        The package at the begin of the round.
    step, step_bound
        Makespan and lower bound there, in s.
    gains
        One for each part, the largest gain first.
    """

    package: Package
    step: float
    step_bound: float
    gains: tuple[PartGain, ...]

    @property
    def limit(self) -> PartGain | None:
        """The part that limits most; ``None`` where none is worth 0.5 %."""
        best = self.gains[0] if self.gains else None
        return best if best is not None and best.step < self.step * (1 - WORTH) else None


@dataclass(frozen=True, eq=False, repr=False)
class StepLimits(Reported):
    """What limits a step and what is next.

    Parameters
    ----------
    run
        Run that it is of.
    factor
        Factor by which parts are made faster.
    rounds
        In each the part that pays most is made faster for good, and all are tried again.
    """

    run: Run
    factor: float
    rounds: tuple[StepRound, ...]

    def __repr__(self) -> str:
        said = [one.limit.part if one.limit else "no single part" for one in self.rounds]
        return f"StepLimits({self.run.given.name} on {self.run.package.name}: {', then '.join(said)})"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return a row per part and round: what limits the step, and what is next."""
        columns = [
            Column("part"),
            Column("step", f"step with it x {self.factor:g}", unit="s", meaning="scheduled again"),
            Column("step_bound", "lower bound", unit="s", meaning="for any routing and any order"),
            Column("saved", form=".1f %", meaning="share of the step of this round"),
            Column("unlimited", "step if unlimited", unit="s", meaning="with it a thousand times as fast"),
        ]
        rows, sections = [], []
        done: list[str] = []
        for one in self.rounds:
            after = f", after {' and '.join(done)}" if done else ""
            title = f"what limits{after}: {format_quantity(one.step, 's')}"
            for gain in one.gains:
                saved = 1 - gain.step / one.step
                rows.append([gain.part, gain.step, gain.step_bound, saved, gain.unlimited])
                sections.append(title)
            if one.limit is not None:
                done.append(f"{one.limit.part} x {self.factor:g}")
        return Table(columns, rows, title=repr(self), notes=self.notes(), sections=sections)

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        lines = [
            f"{self.run.settings()}, policy {self.run.policy_name}",
            "layout as today, every step scheduled again",
        ]
        last = self.rounds[-1]
        if last.limit is None:
            lines.append(
                f"then no single part is worth {WORTH:.1%}: several limit together, or one after the other"
            )
        if any(gain.step > one.step * (1 + 1e-9) for one in self.rounds for gain in one.gains):
            lines.append(
                "a part that is faster and a step that is longer: list schedules are not monotone "
                "(Graham, 1969); the lower bound is"
            )
        return lines


def what_limits(
    run: Run,
    *,
    factor: float = 2.0,
    rounds: int = 2,
    parts: Sequence[str] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> StepLimits:
    """Return what limits a step, and what is next once that is faster.

    Parameters
    ----------
    run
        Result of `noptoolkit.run`.
    factor
        Factor by which each part is made faster, above 1.
    rounds
        Number of rounds: after each, the part that pays most stays faster. Ends early where none pays.
    parts
        Names in `PARTS`, or of nodes or links; all kinds that the package has where ``None``.
    jobs
        Steps at once, each in its own process; -1 is one per core.
    progress
        Callable that is given a line for each step.

    Raises
    ------
    NopError
        If an option is out of range, or the package has none of the parts.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> step = nop.run("mesh-4x4", "stdlib-moe", allocator="contiguous", routing="shortest")
    >>> found = what_limits(step, rounds=1, parts=["links", "stacks"])
    >>> found.rounds[0].limit.part
    'links'
    """
    if not factor > 1:
        raise NopError(f"factor={factor!r} must be above 1: parts are made faster by it")
    if not (isinstance(rounds, int) and rounds >= 1):
        raise NopError(f"rounds={rounds!r} must be a whole number from 1 up")
    if jobs == 0 or not isinstance(jobs, int):
        raise NopError(f"jobs={jobs!r}: give how many steps at once, or -1 for one per core")
    for part in parts or ():
        if part not in PARTS:
            faster(run.package, part, factor)
    chosen = list(PARTS if parts is None else parts)
    package, now = run.package, (run.plan.makespan, run.plan.lower_bound)
    found: list[StepRound] = []
    for number in range(rounds):
        tries = [(part, faster(package, part, f)) for part in chosen for f in (factor, UNLIMITED)]
        there = [(part, one) for part, one in tries if one is not None]
        if not there:
            raise NopError(f"package {package.name!r} has none of the parts {', '.join(chosen)}")
        count = Countdown(len(there), "steps")
        plans = _plans(run, [one for _, one in there], jobs, count, progress, number + 1)
        gains = []
        for i in range(0, len(there), 2):
            (part, _), fast, free = there[i], plans[i], plans[i + 1]
            gains.append(PartGain(part, fast[0], fast[1], free[0]))
        gains.sort(key=lambda gain: gain.step)
        found.append(StepRound(package, *now, tuple(gains)))
        best = found[-1].limit
        if best is None:
            break
        following = faster(package, best.part, factor)
        assert following is not None
        package, now = following, (best.step, best.step_bound)
    return StepLimits(run, factor, tuple(found))


def _plans(
    run: Run,
    packages: Sequence[Package],
    jobs: int,
    count: Countdown,
    progress: Progress | None,
    number: int,
) -> list[tuple[float, float]]:
    """Return makespan and lower bound on each of some packages."""
    from joblib import Parallel, delayed

    run.allocation  # noqa: B018, before it is sent to other processes
    quiet = dataclasses.replace(run, progress=None, report=None)
    quiet._done.update({key: value for key, value in run._done.items() if key != "plan"})
    found = []
    for measured in Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_measured)(quiet, package) for package in packages
    ):
        found.append(measured)
        count.finish_one()
        if progress is not None:
            progress(f"what limits, round {number}: {count.finished()}")
    return found


def _measured(run: Run, package: Package) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # said once of the package as it is
        plan: StepSchedule = schedule_on(run, package)
        return plan.makespan, plan.lower_bound
