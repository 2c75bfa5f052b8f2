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

from noptoolkit._arrays import Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import InfeasibleError, PlanError, UnknownNameError
from noptoolkit.package import Package, expect_package
from noptoolkit.plans.checks import faults_of_fixed
from noptoolkit.plans.constants import StepConstants, rates_of
from noptoolkit.plans.dispatching import Copies
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import RECOMPUTES, ParallelPlan, Recompute
from noptoolkit.plans.plan_search import Search, Searched
from noptoolkit.plans.plan_step import rooms_of_ranks
from noptoolkit.plans.planning import KEY, Planning
from noptoolkit.plans.routed_experts import RoutedTimes
from noptoolkit.plans.space import PlanSpace
from noptoolkit.trace import RoutingTrace
from noptoolkit.units import Quantity, format_quantity, parse_quantity
from noptoolkit.workload import Workload

__all__ = ["best_plans"]

FIXABLE = ("tp", "cp", "pp", "vpp", "ep", "etp", "dp", "micro_batches", "micro_batch")


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
    trace: RoutingTrace | None = None,
    copies: Copies = "experts",
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
    trace, copies
        Routing of tokens, such as ``workload.trace``, and what is sent of them, as in `plan_step`: all plans
        are compared under it, experts in consecutive runs, and all bounds are proved from it. Tokens are
        dealt evenly where None. Memory is that of even tokens.
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
    routed = None
    if trace is not None and workload.model.moe_layers:
        routed = RoutedTimes(workload.model, workload.batch, known, trace, copies)
    search = Search(space, rates_of(package), chosen, known, rooms_of_ranks(package, known), routed)
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
