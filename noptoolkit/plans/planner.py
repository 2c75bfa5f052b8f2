"""The best plans of a model on a package, found by branch and bound: a plan is dropped only by proof.

The tree: families of plans (TP, CP, PP, micro-batches; `noptoolkit.plans.space`), their expert mappings (EP,
ETP), their variants (schedule, chunks, recomputation, ZeRO stage). Each node has a bound that none of its
plans can beat; the node of the smallest bound is opened next. A variant that does not fit in memory is
dropped; one whose collectives have no known time yet waits with the time that their bounds give, and is
solved only when its turn comes. The search ends when no bound lies below the best times found.

The certificate: ``lower_bound`` is the smallest bound of anything that was not dropped, so that the best plan
found is within `Planning.gap` of the best plan there is, under this model of a step
(`noptoolkit.plans.plan_step`), on this placement, of the plans in the space searched. After a time limit it
is what was reached by then, and ``undecided`` counts the plans that are neither dropped nor known.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from noptoolkit._arrays import Ints
from noptoolkit._names import did_you_mean
from noptoolkit._pictures import Reported
from noptoolkit.errors import InfeasibleError, PlanError, UnknownNameError
from noptoolkit.package import Package, expect_package
from noptoolkit.plans.checks import faults_of_fixed
from noptoolkit.plans.constants import StepConstants, rates_of
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import RECOMPUTES, ParallelPlan, Recompute
from noptoolkit.plans.plan_search import Planned, Search, Searched
from noptoolkit.plans.plan_step import PlanStep, plan_step, rooms_of_ranks
from noptoolkit.plans.rank_work import model_flops
from noptoolkit.plans.space import PlanSpace
from noptoolkit.tables import Column, Table
from noptoolkit.units import Quantity, format_quantity, parse_quantity
from noptoolkit.workload import Workload

__all__ = ["Planned", "Planning", "best_plans"]

KEY = ("tp", "cp", "pp", "ep", "etp")
EXACT = 1e-9

FIXABLE = ("tp", "cp", "pp", "vpp", "ep", "etp", "dp", "micro_batches", "micro_batch")

LEVEL = 5e-4
"""Share of the best time within which a plan is level with it: what the table prints as 0.0 %."""

CLASSES = {
    "priced": "priced",
    "oom": "out of memory",
    "slower": "slower by their bound",
    "broken": "against a rule",
    "waiting": "undecided",
}
"""What `VARIANT_CLASSES` are called in print."""

MOST_PARETO = 12
"""Plans of a Pareto front that are searched."""


@dataclass(frozen=True, eq=False, repr=False)
class Planning(Reported):
    """The best plans and the proof that there is no better one.

    Parameters
    ----------
    workload, package
        What was asked.
    best
        The best plans of different keys, best first.
    lower_bound
        What no plan of the space can beat, in s.
    space
        The plans searched.
    counts
        Families, expert mappings and variants opened, and what became of them; see `Searched`.
    undecided
        Plans that are neither dropped by proof nor known, if time ran out.
    seconds
        Time that the search took.
    constants, tol, time_limit, search
        What was asked, and the state of the search.
    """

    workload: Workload
    package: Package
    best: tuple[Planned, ...]
    lower_bound: float
    space: PlanSpace
    counts: dict[str, int]
    undecided: int
    seconds: float
    constants: StepConstants
    tol: float
    time_limit: float
    search: Search = field(repr=False)

    def __repr__(self) -> str:
        first = self.best[0]
        return (
            f"Planning({self.workload.name} on {self.package.name}: {first.plan}, "
            f"{format_quantity(first.time, 's')}, {self.certificate})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def gap(self) -> float:
        """Upper bound on how much slower the best plan found is than the best there is, as a share."""
        return max(self.best[0].time / self.lower_bound - 1.0, 0.0) if self.lower_bound > 0 else 0.0

    @property
    def certificate(self) -> str:
        """One line: how good the best plan found is."""
        if self.gap <= EXACT:
            return "no plan in the space is faster under this model"
        return f"within {100 * self.gap:.2g} % of the best plan under this model"

    @cached_property
    def step(self) -> PlanStep:
        """The step of the best plan."""
        return self.step_of(0)

    def step_of(self, rank: int) -> PlanStep:
        """Return the step of the plan of a rank, 0 for the best."""
        return plan_step(
            self.best[rank].plan,
            self.workload,
            self.package,
            constants=self.constants,
            times=self.search.times,
        )

    def rank_of(self, **fields: int) -> int | None:
        """Return the place, from 1, of the first plan kept with these fields; None if there is none.

        Examples
        --------
        ``planning.rank_of(tp=2, ep=8, pp=8, etp=1)``
        """
        for i, found in enumerate(self.best):
            if all(getattr(found.plan, name) == value for name, value in fields.items()):
                return i + 1
        return None

    @cached_property
    def pareto(self) -> tuple[Planned, ...]:
        """The fastest plan for every smaller memory, fastest first, each by a search of its own.

        Where collectives have closed forms no plan of the space is both faster and smaller than one of these,
        under this model; elsewhere each is within `tol` or so. At most `MOST_PARETO`; a search that the time
        limit ends is left out.
        """
        found = [self.best[0]]
        self.search.deadline = clock.perf_counter() + max(self.time_limit, 1.0)
        self.search.times.deadline = self.search.deadline
        while len(found) < MOST_PARETO:
            smaller = self.search.run(1, KEY, budget=found[-1].memory * (1 - 1e-9), tol=self.tol)
            if not smaller.best or smaller.undecided:
                break
            if smaller.best[0].time <= found[-1].time:  # as fast with less memory
                found.pop()
            found.append(smaller.best[0])
        self.search.times.deadline = None
        return tuple(found)

    def pareto_table(self) -> Table:
        """Return step against memory as a table."""
        columns = [
            Column("plan"),
            Column("variant", meaning="schedule, micro-batches, recomputation, ZeRO stage"),
            Column("step", unit="s"),
            Column("behind", form="+.1f %", meaning="over the fastest"),
            Column("memory", unit="B", meaning="bytes on the fullest rank"),
        ]
        first = self.pareto[0]
        rows = [
            [str(one.plan), variant_of(one.plan), one.time, one.time / first.time - 1.0, one.memory]
            for one in self.pareto
        ]
        notes = [
            f"The first: {self.certificate}.",
            "The others: the fastest found for less memory than above.",
        ]
        if len(rows) == MOST_PARETO:
            notes.append(f"Only the {MOST_PARETO} fastest are listed.")
        return Table(columns, rows, title=f"step against memory: {self!r}", notes=notes)

    def table(self) -> Table:
        """Return the best plans, what each takes longer for, and the certificate."""
        first = self.best[0]
        columns = [
            Column("rank"),
            Column("plan"),
            Column("variant", meaning="schedule, chunks, micro-batches, recomputation, ZeRO stage"),
            Column("step", unit="s", meaning="time of a step"),
            Column("behind", form="+.1f %", meaning="over the best"),
            Column("memory", unit="B", meaning="bytes on the fullest rank"),
            Column("mfu", "MFU", form=".1f %"),
            Column("why", meaning="what it takes longer for than the best"),
        ]
        peak = rates_of(self.package).flops * self.space.world
        flops = model_flops(self.space.model, self.space.batch)
        rows = [
            [
                i + 1,
                str(found.plan),
                variant_of(found.plan),
                found.time,
                found.time / first.time - 1.0,
                found.memory,
                flops / (found.time * peak),
                "" if i == 0 else ("" if found.solved else "at least: ") + why(found, first),
            ]
            for i, found in enumerate(self.best)
        ]
        c = self.counts
        notes = [
            f"{self.certificate}; lower bound {format_quantity(self.lower_bound, 's')}.",
            f"Opened {c['families']} of {c['all']} families ({c['families_oom']} out of memory) with "
            f"{c['mappings']} expert mappings ({c['mappings_oom']} out of memory); "
            f"of {c['variants']} variants "
            f"{', '.join(f'{c[name]} {word}' for name, word in CLASSES.items() if c[name])}; "
            f"{c['solved']} families of groups solved; {self.seconds:.1f} s.",
            f"Constants: {self.constants.source}.",
        ]
        if self.search.rooms is None:
            notes.append("Memory was not checked: the package has none; give the builder memory=True.")
        if self.undecided:
            first_place = self.best[0].time <= self.lower_bound * (1 + EXACT)
            which = " for the places after the first" if first_place else ""
            notes.insert(1, f"Time ran out: at most {self.undecided} plans are undecided{which}.")
        return Table(columns, rows, title=repr(self), notes=notes)


def variant_of(chosen: ParallelPlan) -> str:
    """Return what a plan's name does not say, in words."""
    again = "" if chosen.recompute == "selective" else f", recompute {chosen.recompute}"
    return f"{chosen.schedule}, {chosen.micro_batches} micro-batches{again}, ZeRO {chosen.zero}"


def why(found: Planned, best: Planned) -> str:
    """Return what a plan spends more time on than the best: the largest difference, and what it gains."""
    if abs(found.time / best.time - 1.0) < LEVEL:
        return "level with the best"
    names = {*found.parts, *best.parts}
    differences = {name: found.parts.get(name, 0.0) - best.parts.get(name, 0.0) for name in names}
    order = sorted(differences, key=lambda name: (-differences[name], name))
    text = f"{order[0]} {_signed(differences[order[0]])}"
    if differences[order[-1]] < -1e-3 * best.time:
        text += f", {order[-1]} {_signed(differences[order[-1]])}"
    return text


def _signed(seconds: float) -> str:
    sign = "+" if seconds >= 0 else "-"
    return f"{sign}{format_quantity(abs(seconds), 's')}"


def best_plans(
    workload: Workload,
    package: Package,
    *,
    objective: str = "step",
    budget: Quantity | None = None,
    keep: int = 5,
    key: tuple[str, ...] = KEY,
    schedules: tuple[str, ...] = ("1f1b", "interleaved"),
    recomputes: tuple[Recompute, ...] = ("selective", "full"),
    zeros: tuple[int, ...] = (1,),
    folded: bool = True,
    fixed: dict[str, int] | None = None,
    constants: StepConstants | None = None,
    placement: Placement | Ints | None = None,
    tol: float = 0.01,
    time_limit: float = 60.0,
    times: GroupTimes | None = None,
    report: Callable[[str], None] | None = None,
) -> Planning:
    """Return the best plans of a workload on a package, with the proof.

    Parameters
    ----------
    workload
        Model and batch, in training or prefill.
    package
        Its expert chiplets are the ranks (all chiplets where it has none).
    objective
        ``step``: the shortest step. ``memory``: the least memory on the fullest rank.
    budget
        Memory that a rank may use, such as ``"72 GB"``; all of its chiplet's where None.
    keep, key
        How many plans to keep, and the fields in which they must differ.
    schedules, recomputes, zeros, folded, fixed
        What the search may choose from; see `noptoolkit.plans.space.PlanSpace`.
    constants
        What the machine reaches of its peaks; all of them where None.
    placement
        A `Placement`, or the chiplet of each rank by index, [ranks]; their order where None.
    tol
        Gap within which collectives of another plan are not solved any more. The best plan is exact where
        their times are known in closed form.
    time_limit
        In s; what is undecided then is counted.
    times
        Times of collectives on this package and placement that are known already.
    report
        Called with a line of progress.

    Raises
    ------
    InfeasibleError
        If no plan fits in memory; the message names the least that one needs.
    PlanError
        If an argument makes no sense.
    UnknownNameError
        If a schedule, a field or the objective is unknown.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> package = nop.topology.mesh(2, 4, flops="74 TFLOP/s", memory=True, memory_capacity="64 GB")
    >>> found = best_plans(nop.load_workload("olmoe-1b-7b"), package)
    >>> found.certificate
    'no plan in the space is faster under this model'
    """
    begun = clock.perf_counter()
    expect_package(package)
    _check(workload, objective, keep, key, schedules, recomputes, zeros, tol, time_limit)
    chosen = constants or StepConstants()
    known = times if times is not None else GroupTimes(package, placement)
    space = PlanSpace(
        workload.model,
        workload.batch,
        known.world,
        tuple(schedules),
        tuple(recomputes),
        tuple(zeros),
        folded,
        fixed=dict(fixed or {}),
    )
    search = Search(space, rates_of(package), chosen, known, rooms_of_ranks(package, known))
    search.deadline = known.deadline = begun + time_limit
    room = None if budget is None else parse_quantity(budget, "B", "budget")
    if room is not None and not room > 0:
        raise PlanError(f"budget {budget!r} is not above 0 B; leave it out for all of a rank's memory")
    for name in fixed or {}:
        if name not in FIXABLE:
            raise UnknownNameError(f"no number {name!r} of a plan to fix; {did_you_mean(name, FIXABLE)}")
        if not space.fixed[name] >= 1:
            raise PlanError(f"fixed {name} = {space.fixed[name]}: a number of a plan is 1 or more")
    found = search.run(keep, key, budget=room, tol=tol, report=report)
    if not found.best:
        raise InfeasibleError(_nothing_fits(workload, package, search, found, room))
    if objective == "memory":
        while True:
            smaller = search.run(
                keep, key, budget=found.best[0].memory * (1 - 1e-12) - 1.0, tol=tol, report=report
            )
            if not smaller.best:
                break
            found = smaller
    known.deadline = None
    return Planning(
        workload,
        package,
        found.best,
        found.lower_bound,
        space,
        found.counts,
        found.undecided,
        clock.perf_counter() - begun,
        chosen,
        tol,
        time_limit,
        search,
    )


def _check(
    workload: Workload,
    objective: str,
    keep: int,
    key: tuple[str, ...],
    schedules: tuple[str, ...],
    recomputes: tuple[Recompute, ...],
    zeros: tuple[int, ...],
    tol: float,
    time_limit: float,
) -> None:
    if objective not in ("step", "memory"):
        raise UnknownNameError(
            f"no objective named {objective!r}; {did_you_mean(objective, ('step', 'memory'))}"
        )
    if workload.batch.mode == "decode":
        raise PlanError(
            f"workload {workload.name!r}: plans are searched for training and prefill, not decode"
        )
    if not isinstance(keep, int) or keep < 1:
        raise PlanError(f"keep = {keep!r} must be a whole number above 0")
    if not 0 <= tol < 1:
        raise PlanError(f"tol = {tol!r} must be a share from 0 to 1; write tol=0.01 for 1 %")
    if not time_limit > 0:
        raise PlanError(f"time_limit = {time_limit!r} must be above 0 s")
    known = tuple(ParallelPlan.__dataclass_fields__)
    for what, names, table in (
        ("field of a plan", key, known),
        ("pipeline schedule", schedules, tuple(ORDERS)),
        ("recomputation", recomputes, RECOMPUTES),
    ):
        if isinstance(names, str) or not names:
            raise PlanError(f"{what}: {names!r} is not a list of names")
        for name in names:
            if name not in table:
                raise UnknownNameError(f"no {what} named {name!r}; {did_you_mean(str(name), table)}")
    if not zeros or any(zero not in (0, 1, 2, 3) for zero in zeros):
        raise PlanError(f"zeros = {zeros!r}: the stages of ZeRO are 0, 1, 2 and 3")


def _nothing_fits(
    workload: Workload, package: Package, search: Search, found: Searched, budget: float | None
) -> str:
    place = f"{workload.name} on {package.name}, {search.space.world} ranks"
    if found.undecided:
        return f"{place}: no plan found within the time limit; {found.undecided} plans are undecided"
    room = min(search.room, budget if budget is not None else float("inf"))
    fixed = search.space.fixed
    numbers = " ".join(f"{name.upper()}{value}" for name, value in fixed.items())
    faults = faults_of_fixed(fixed, search.space.model, search.space.batch, search.space.world)
    if faults:
        return f"{place}: no plan has the fixed {numbers}: {'; '.join(faults)}"
    if found.least_memory is None and (found.counts["families_oom"] or found.counts["mappings_oom"]):
        least = min(search.bounds.memory(family) for family in search.space.families())
        return (
            f"{place}: out of memory: no plan fits in {format_quantity(room, 'B')} a rank; weights, "
            f"gradients and the optimiser's state alone need {format_quantity(least, 'B')}"
        )
    if found.least_memory is None and fixed:
        return f"{place}: no plan of the space has the fixed {numbers} together; fix fewer numbers"
    if found.least_memory is None:
        return f"{place}: no plan divides the model, the batch and the ranks; change the batch or the ranks"
    least, plan_ = found.least_memory
    return (
        f"{place}: out of memory: no plan fits in {format_quantity(room, 'B')} a rank; the least is "
        f"{format_quantity(least, 'B')}, by {plan_}"
    )
