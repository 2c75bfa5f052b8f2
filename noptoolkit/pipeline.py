"""From a package and a workload to every result: `run` checks what it is given and returns a lazy `Run`.

The stages are in `noptoolkit.stages`.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from noptoolkit._names import did_you_mean, resolve
from noptoolkit._numbers import is_number
from noptoolkit._seeds import generator_from
from noptoolkit.allocation import ALLOCATORS, Allocation, Allocator
from noptoolkit.allocation.allocating import Objective, objective_of
from noptoolkit.allocation.problem import slots_of
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.package import Package
from noptoolkit.plans import ParallelPlan
from noptoolkit.plans.plan_names import plan_of
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.stages import Run, halves
from noptoolkit.step import POLICIES, Policy, StepOptions, StepSchedule
from noptoolkit.step.broadcasts import Weights
from noptoolkit.step.routing_choice import check_routing
from noptoolkit.traffic import Traffic
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Batch, Workload

__all__ = ["Progress", "Run", "dispatch_of_step", "halves", "plan_step", "run"]


OPTIONS = tuple(
    one.name
    for one in dataclasses.fields(StepOptions)
    if one.name not in ("degree", "micro_batches", "routing", "weights")  # of the run, or of the policy
)
"""Options of a step beside those that a run has of its own."""


def run(
    package: str | Path | Package,
    workload: str | Path | Workload,
    *,
    allocator: str | Allocator | Allocation | None = "auto",
    routing: str | Routing = "optimal",
    policy: str | Policy = "streaming",
    degree: Degree | None = None,
    weights: Weights | None = None,
    batch: int | Mapping[str, Any] | Batch | None = None,
    objective: Objective | None = None,
    step: Mapping[str, Any] | None = None,
    plan: str | ParallelPlan | None = None,
    tol: float = 0.01,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
    report: Progress | None = None,
) -> Run:
    """Return a workload's run on a package: at once, each stage being computed when it is first asked for.

    Parameters
    ----------
    package, workload
        Name of a preset, path of a file, or the value itself.
    allocator
        Name in ``ALLOCATORS`` or a callable; an `Allocation` is taken as it is. Where ``None``,
        ``auto`` if an objective is given, else the policy's own allocator.
    routing
        Name in ``ROUTINGS``, or whatever `noptoolkit.congestion` takes: the routing of all traffic, of
        dispatch and combine alone as of the step; or ``optimal-alone`` or ``optimal-split``, see
        `noptoolkit.step.schedule`.
    policy
        Name in ``POLICIES``, or a `Policy`.
    degree
        Copies of a token: one for each expert (``copies``) or each chiplet (``chiplets``), or as few as the
        network's own replication and reduction need (``in-network``); the policy's where ``None``.
    weights
        Who reads weights that several chiplets want from the same memory stacks: ``each`` of them, or one for
        all, copied by nodes that replicate (``multicast``) and by the chiplets themselves (``broadcast``);
        the policy's where ``None``, which is ``each`` unless it says otherwise.
    batch
        Batch in place of the workload's: a number of sequences, fields such as ``{"mode": "decode"}``, or a
        `Batch`.
    objective
        Objective of the allocator ``auto``: ``time`` (where ``None``) of dispatch, experts and combine on
        this package, ``c_t``, or ``step``: the layout by ``time`` or by ``c_t``, whichever gives the tokens
        that both are fitted to the shorter step. Where routing is not synthetic, ``time``, too, takes the
        layout by ``c_t`` if the run's own step is shorter with it.
    step
        Further options of the step, by name: ``slices``, ``recompute``, ``split_head``, ``hosts``,
        ``optimiser``, ``efficiency`` and others of `noptoolkit.step.StepOptions`.
    plan
        Parallel plan of `Run.parallel_step`, or its name such as ``"TP2 EP8"``.
    tol
        Relative gap between a congestion time and its bound at which the optimal routing may stop.
    rng
        Seed of the trace's split and of the allocator; a generator or ``None`` draws one, which the run
        records.
    progress
        Callable that is given the name of each stage as it begins.
    report
        Callable that is given the solvers' own words.

    Raises
    ------
    NopError
        At once, if a name is not known, a value has the wrong type or does not fit the package; later as
        the stages raise it.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> result = nop.run("mozart-nop-tree", "olmoe-1b-7b", allocator="contiguous")
    >>> result.package.name, result.trace.origin
    ('mozart-nop-tree', 'synthetic')
    >>> result.dispatch.time_bound <= result.dispatch.time
    True
    >>> result
    Run('olmoe-1b-7b' on 'mozart-nop-tree', layout by contiguous, ...; computed: allocation, dispatch)
    """
    place, load = load_topology(package), load_workload(workload).with_batch(batch)
    load.check_routed()
    chosen = resolve(policy, POLICIES, "policy")
    if not isinstance(chosen, Policy):
        raise NopError(f"policy {policy!r} is not a policy; give a name ({', '.join(POLICIES)}) or a Policy")
    if weights is not None:
        chosen = dataclasses.replace(chosen, weights=weights)
    check_routing(routing)
    if allocator is None:
        allocator = chosen.layout if objective is None else "auto"
    by = allocator
    if isinstance(by, Allocation):
        by.check_fits(place)
    elif not callable(resolve(by, ALLOCATORS, "allocator")):
        raise NopError(f"allocator {by!r} is not one: give a name, a callable or an Allocation")
    copies: Degree = chosen.degree if degree is None else degree
    if copies not in get_args(Degree):
        raise UnknownNameError(f"no degree {copies!r}; {did_you_mean(copies, get_args(Degree))}")
    aim = objective_of(objective, by)
    if not is_number(tol) or tol <= 0:
        raise NopError(f"tol {tol!r} must be a number above 0; write tol=0.01 for 1 %")
    for name, told in (("progress", progress), ("report", report)):
        if told is not None and not callable(told):
            raise NopError(f"{name}={told!r} is not callable; give a function of one line of text, or None")
    spread = plan_of(plan) if isinstance(plan, str) else plan
    if spread is not None and not isinstance(spread, ParallelPlan):
        raise NopError(f"plan {plan!r} is none: give a ParallelPlan, or its name such as 'TP2 EP8'")
    further = dict(step or {})
    for option in further:
        if option not in OPTIONS:
            raise UnknownNameError(f"no option {option!r} of a step; {did_you_mean(option, OPTIONS)}")
    StepOptions(**further)
    slots_of(place, load.model.experts)
    return Run(
        package=place,
        given=load,
        allocator=by,
        routing=routing,
        policy=chosen,
        policy_name=_name_of(policy, chosen),
        degree=copies,
        objective=aim,
        tol=float(tol),
        seed=_seed(rng),
        step_options=further,
        parallel_plan=spread,
        progress=progress,
        report=report,
    )


def _seed(rng: int | np.random.Generator | None) -> int:
    """Return a seed that a record can hold: the one given, or one drawn."""
    if isinstance(rng, bool):
        raise NopError(f"rng {rng!r} is not a seed: give a whole number from 0 up")
    if isinstance(rng, int | np.integer):
        generator_from(int(rng))
        return int(rng)
    return int(generator_from(rng).integers(2**63))


def _name_of(policy: str | Policy, chosen: Policy) -> str:
    if isinstance(policy, str):
        return policy
    return next((name for name, known in POLICIES.items() if known == chosen), str(chosen))


def plan_step(
    package: str | Path | Package,
    workload: str | Path | Workload,
    *,
    allocator: str | Allocator | Allocation | None = None,
    policy: str | Policy = "streaming",
    routing: str | Routing = "optimal",
    micro_batches: int | None = None,
    objective: Objective | None = None,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> StepSchedule:
    """Return ``run(...).plan``; deprecated, goes with noptoolkit 0.3."""
    _warn("plan_step", "run(...).plan")
    chosen = resolve(policy, POLICIES, "policy")
    if micro_batches is not None:
        chosen = dataclasses.replace(chosen, micro_batches=micro_batches)
    return run(
        package,
        workload,
        allocator=allocator,
        policy=chosen,
        routing=routing,
        objective=objective,
        rng=rng,
        progress=progress,
    ).plan


def dispatch_of_step(
    package: str | Path | Package,
    workload: str | Path | Workload,
    *,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Traffic:
    """Return ``run(...).dispatch_traffic``; deprecated, goes with noptoolkit 0.3."""
    _warn("dispatch_of_step", "run(...).dispatch_traffic")
    return run(package, workload, rng=rng, progress=progress).dispatch_traffic


def _warn(old: str, new: str) -> None:
    message = f"noptoolkit.pipeline.{old} is now {new}; the old name goes with noptoolkit 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
