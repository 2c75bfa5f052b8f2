"""The best plans of a search as a result: what each takes longer for, the proof, step against memory."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field
from functools import cached_property

from noptoolkit._pictures import Reported
from noptoolkit.package import Package
from noptoolkit.plans.constants import StepConstants, rates_of
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.plan_result import PlanStep
from noptoolkit.plans.plan_search import Planned, Search
from noptoolkit.plans.plan_step import plan_step
from noptoolkit.plans.rank_work import model_flops
from noptoolkit.plans.space import PlanSpace
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["KEY", "Planning"]

KEY = ("tp", "cp", "pp", "ep", "etp")
EXACT = 1e-9

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
            trace=self.search.routed,
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
            Column("why", meaning="what it takes longer for than the best, and what for it saves"),
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
            f"{self.certificate}; no plan of the space takes less than "
            f"{format_quantity(self.lower_bound, 's')}. (The bound of one plan that is shown is of "
            "its own: over all orders of its passes, on its placement.)",
            f"Opened {c['families']} of {c['all']} families ({c['families_oom']} out of memory) with "
            f"{c['mappings']} expert mappings ({c['mappings_oom']} out of memory); "
            f"of {c['variants']} variants "
            f"{', '.join(f'{c[name]} {word}' for name, word in CLASSES.items() if c[name])}; "
            f"{c['solved']} families of groups solved; {self.seconds:.1f} s.",
            f"Constants: {self.constants.source}.",
        ]
        if (routed := self.search.routed) is None:
            notes.append("Tokens are dealt evenly over the experts.")
        else:
            busiest = routed.busiest(first.plan.ep)
            notes.append(
                f"Tokens go where the trace sends them, once for each of their {routed.copies}; experts in "
                f"consecutive runs: the busiest member of the best plan's EP groups has {busiest:.3g} times "
                "the mean."
            )
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
    """Return what a plan spends more time on than the best, most of all, and what it saves by that."""
    if abs(found.time / best.time - 1.0) < LEVEL:
        return "level with the best"
    names = {*found.parts, *best.parts}
    differences = {name: found.parts.get(name, 0.0) - best.parts.get(name, 0.0) for name in names}
    order = sorted(differences, key=lambda name: (-differences[name], name))
    text = _more(order[0], differences[order[0]])
    if differences[order[-1]] < -1e-3 * best.time:
        text += f", {_more(order[-1], differences[order[-1]])}"
    return text


def _more(name: str, seconds: float) -> str:
    return f"{format_quantity(abs(seconds), 's')} {'more' if seconds >= 0 else 'less'} {name}"
