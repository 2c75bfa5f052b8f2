"""Steps after losses: each loss re-homed, scheduled again, and counted by what it leaves."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._seeds import generator_from
from noptoolkit.errors import NopError, NopWarning
from noptoolkit.formats.results import replace_file, write_json
from noptoolkit.progress import Countdown, Progress
from noptoolkit.stages import Run
from noptoolkit.study.loss_sets import draw_sets
from noptoolkit.study.rehoming import Move, rehome, with_spares
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.units import format_quantity

__all__ = ["StepLosses", "step_after", "step_losses"]

FEW = 40
"""Losses up to which every step is bounded."""


@dataclass(frozen=True)
class StepAfter:
    """What a loss leaves of a step.

    Parameters
    ----------
    lost, cut_off
        Parts lost, and nodes that nothing joins to the rest any more.
    moved
        Experts that moved, over all layers.
    step, step_bound
        Makespan and its lower bound in s (0 if not asked for); infinite where there is no step any more.
    reason
        Why there is none, or ``""``.
    overfull
        Stacks and SRAM that hold more than fits and did not before.
    """

    lost: tuple[str, ...]
    cut_off: tuple[str, ...]
    moved: int
    step: float
    step_bound: float
    reason: str
    overfull: tuple[str, ...]


def step_after(run: Run, lost: Sequence[str], *, move: Move = "lost", bounds: bool = True) -> StepAfter:
    """Return what a loss leaves of a step: re-homed and scheduled again.

    Parameters
    ----------
    run, lost, move
        As `rehome` takes them.
    bounds
        Whether to bound each step for any routing and order, which takes as long as the schedule; without,
        ``step_bound`` is 0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        before = set(run.plan.step.ledger.overfull)
        after = rehome(run, lost, move=move)
        if after.run is None:
            return StepAfter(after.lost, after.cut_off, after.moved, np.inf, np.inf, after.reason, ())
        try:
            plan = after.run.plan
        except NopError as error:
            return StepAfter(after.lost, after.cut_off, after.moved, np.inf, np.inf, str(error), ())
        overfull = tuple(place for place in plan.step.ledger.overfull if place not in before)
        return StepAfter(
            after.lost,
            after.cut_off,
            after.moved,
            plan.makespan,
            plan.lower_bound if bounds else 0.0,
            "",
            overfull,
        )


@dataclass(frozen=True, eq=False, repr=False)
class StepLosses:
    """Steps after several losses.

    Parameters
    ----------
    run
        Run on the intact package (with its spare chiplets empty).
    of, failures
        Kind of the parts lost, and how many at a time.
    complete
        Whether these are all sets of so many parts: the worst of them is then the worst case.
    after
        What each loss leaves.
    """

    run: Run
    of: str
    failures: int
    complete: bool
    after: tuple[StepAfter, ...]

    def __repr__(self) -> str:
        stuck = int((~self.lasting).sum())
        left = f"{stuck} of {len(self.after)} losses leave no step" if stuck else "every loss leaves a step"
        most = ""
        if self.lasting.any():
            worst = self.worst
            assert worst is not None
            most = (
                f", the others at most {worst.step / self.intact:.3g} times as long"
                if stuck
                else (
                    f", at most {worst.step / self.intact:.3g} times as long, without {', '.join(worst.lost)}"
                )
            )
        return f"StepLosses({self.run.given.name} on {self.run.package.name}: {left}{most})"

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def intact(self) -> float:
        """Makespan without loss, in s."""
        return self.run.plan.makespan

    @property
    def step(self) -> Floats:
        """Makespan after each loss, infinite where no step is left, in s, [losses]."""
        return np.array([one.step for one in self.after])

    @property
    def lasting(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each loss leaves a step, [losses]."""
        return np.isfinite(self.step)

    @property
    def worst(self) -> StepAfter | None:
        """The loss that leaves the longest step; ``None`` where none leaves one."""
        if not self.lasting.any():
            return None
        return self.after[int(np.argmax(np.where(self.lasting, self.step, -1.0)))]

    def table(self, most: int | None = 8) -> Table:
        """Return the losses that leave no step, then those that leave the longest ones, as a table.

        Parameters
        ----------
        most
            Rows of each kind at most; all where ``None``.
        """
        columns = [
            Column("lost", meaning="names of the lost channels or nodes"),
            Column(
                "cut_off", meaning="nodes that are lost with them", shown=any(a.cut_off for a in self.after)
            ),
            Column("moved", "experts moved", form="d", meaning="over all layers"),
            Column("step", unit="s", meaning="makespan, scheduled again"),
            Column(
                "step_bound",
                "lower bound",
                unit="s",
                meaning="for any routing and any order",
                shown=any(a.step_bound > 0 for a in self.after if not a.reason),
            ),
            Column("slowdown", form=".3g x", meaning="step over that without loss"),
            Column("overfull", meaning="stacks that now hold more than fits"),
        ]
        rows, sections = [], []
        step = self.step
        kinds = (
            ("no step is left", np.flatnonzero(~self.lasting)),
            ("a step is left", np.flatnonzero(self.lasting)[np.argsort(-step[self.lasting], kind="stable")]),
        )
        for title, those in kinds:
            shown = those[:most].tolist()
            more = f", and {len(those) - len(shown)} more" if len(those) > len(shown) else ""
            for i in shown:
                one = self.after[i]
                left = np.isfinite(one.step)
                rows.append(
                    [
                        ", ".join(one.lost),
                        ", ".join(one.cut_off),
                        one.moved,
                        one.step if left else Missing(one.reason),
                        one.step_bound if left and one.step_bound > 0 else None,
                        one.step / self.intact if left else None,
                        ", ".join(one.overfull),
                    ]
                )
                sections.append(f"{title} after {len(those)} of {len(self.after)} losses{more}")
        return Table(columns, rows, title=repr(self), notes=self.notes(), sections=sections)

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        lines = [
            f"step without loss {format_quantity(self.intact, 's')}; {self.run.settings()}, "
            f"policy {self.run.policy_name}"
        ]
        lasting = self.step[self.lasting] / self.intact
        if len(lasting):
            lines.append(
                f"{len(lasting)} losses that leave a step: {lasting.mean():.3g} times as long on average, "
                f"at most {lasting.max():.3g}"
            )
        sets = f"sets of {self.failures} {self.of}" if self.failures > 1 else f"single {self.of}"
        if self.complete:
            lines.append(f"these are all {sets}: the longest step is the worst case")
        else:
            lines.append(f"these are {len(self.after)} different {sets}, each as likely as any other")
        full = sum(bool(one.overfull) for one in self.after)
        if full:
            lines.append(
                f"after {full} losses a stack holds more than fits: those steps are as if it did not"
            )
        return lines

    def to_csv(self, path: str | Path) -> None:
        """Write all losses as CSV; the step of a loss that leaves none is empty, with its reason."""
        replace_file(path, self.table(None).csv())

    def to_json(self, path: str | Path) -> None:
        """Write all losses as JSON."""
        write_json(path, self.table(None).as_json())


def step_losses(
    run: Run,
    failures: int = 1,
    *,
    of: str = "chiplets",
    trials: int | None = None,
    move: Move = "lost",
    spares: int | Sequence[str] = 0,
    jobs: int = 1,
    bounds: bool | None = None,
    rng: int | np.random.Generator | None = None,
    progress: Progress | None = None,
) -> StepLosses:
    """Return what is left of a step after the loss of some parts, re-homed and scheduled again.

    Parameters
    ----------
    run
        Run on the intact package.
    failures
        Number of parts lost at a time.
    of
        Kind of the parts lost: ``links``, ``chiplets``, ``switches`` or ``memories``.
    trials
        How many different random sets to lose; every set where ``None`` (or where there are no more).
    move
        Experts that move, see `rehome`.
    spares
        Expert chiplets kept empty to take over, or how many.
    jobs
        Losses at once, each in its own process; -1 is one per core.
    bounds
        Whether to bound each step for any routing and order; of up to 40 losses where ``None``.
    rng
        Seed or generator that draws the sets.
    progress
        Callable that is given a line for each loss.

    Raises
    ------
    RoutingError
        If fewer parts are there than are to fail, or a number is out of range.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> whole = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous", routing="shortest")
    >>> found = step_losses(whole, of="switches")
    >>> len(found.after), found.complete, found.after[0].cut_off
    (4, True, ('e0', 'e1', 'e2', 'e3', 'hbm0'))
    """
    if jobs == 0 or not isinstance(jobs, int):
        raise NopError(f"jobs={jobs!r}: give how many losses at once, or -1 for one per core")
    losses = draw_sets(run.package, of, failures, trials, generator_from(rng))
    whole = with_spares(run, spares)
    complete = len(losses) == len(draw_sets(run.package, of, failures, None, generator_from(0)))
    bounded = len(losses) <= FEW if bounds is None else bounds
    after = _all_after(whole, losses, move, jobs, progress, bounds=bounded)
    return StepLosses(whole, of, failures, complete, tuple(after))


def _all_after(
    run: Run,
    losses: Sequence[tuple[str, ...]],
    move: Move,
    jobs: int,
    progress: Progress | None,
    *,
    bounds: bool = False,
) -> list[StepAfter]:
    from joblib import Parallel, delayed

    run.plan  # noqa: B018, before it is sent to other processes
    quiet = dataclasses.replace(run, progress=None, report=None)
    quiet._done.update(run._done)
    count = Countdown(len(losses), "losses")
    found = []
    tasks = (delayed(step_after)(quiet, lost, move=move, bounds=bounds) for lost in losses)
    for one in Parallel(n_jobs=jobs, return_as="generator")(tasks):
        found.append(one)
        count.finish_one()
        if progress is not None:
            outcome = f"{one.step / run.plan.makespan:.3g} times as long" if not one.reason else one.reason
            progress(f"{count.finished()}: without {', '.join(one.lost)} {outcome}")
    return found
