"""The stages in order: package + workload -> allocation -> traffic -> congestion -> schedule.

Layouts are fitted on one half of the trace's tokens (of its documents, where they are known); C_T,
traffic and schedule are those of the other half, so no number profits from tokens that the layout has
seen. Dispatch and combine are those of one MoE layer (mean over the trace's layers) for all tokens of one
step, replicated and reduced where the network can.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit import traffic
from noptoolkit._names import resolve
from noptoolkit._seeds import generator_from
from noptoolkit.allocation import ALLOCATORS, Allocation, Allocator, allocate, package_time
from noptoolkit.allocation.allocating import Objective
from noptoolkit.flow import ROUTINGS, FlowResult, congestion
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.nodes import expert_work
from noptoolkit.package import Package
from noptoolkit.routing.rules import Routing
from noptoolkit.step import POLICIES, Policy, StepSchedule, check_computes, schedule
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic import Traffic
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Workload

__all__ = ["Progress", "Run", "dispatch_of_step", "halves", "plan_step", "run"]

Progress = Callable[[str], None]
"""Called with the name of each stage as it begins."""


@dataclass(frozen=True, eq=False)
class Run:
    """What one workload meets on one package.

    Parameters
    ----------
    package, workload
        What was run; the workload's trace is the held-out half.
    allocation
        Where each expert sits, fitted on the other half.
    dispatch, combine
        Congestion of one MoE layer's dispatch and combine, all tokens of one step.
    uniform
        Congestion of the same tokens as a uniform unicast all-to-all among the expert chiplets: each
        token's k copies go to expert chiplets with equal chance.
    plan
        The schedule of one step.
    degree
        Copies of a token, see `noptoolkit.traffic.dispatch`.
    """

    package: Package
    workload: Workload
    allocation: Allocation
    dispatch: FlowResult
    combine: FlowResult
    uniform: FlowResult
    plan: StepSchedule
    degree: Degree

    @property
    def trace(self) -> RoutingTrace:
        """The held-out half of the routing trace."""
        return self.workload.trace


def run(
    package: str | Path | Package,
    workload: str | Path | Workload,
    *,
    allocator: str | Allocator | Allocation = "auto",
    routing: str | Routing = "optimal",
    policy: str | Policy = "streaming",
    degree: Degree | None = None,
    objective: Objective = "time",
    tol: float = 0.01,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Run:
    """Run a workload on a package through every stage.

    Parameters
    ----------
    package, workload
        A preset's name, a file's path, or the thing itself.
    allocator, routing, policy
        Names in ``ALLOCATORS``, ``ROUTINGS`` and ``POLICIES``, or callables; an `Allocation` is taken as it
        is.
    degree
        Copies of a token: one for each expert (``copies``) or each chiplet (``chiplets``), or as few as the
        network's own replication and reduction need (``in-network``); as the policy says where ``None``.
    objective
        What the allocator ``auto`` minimises: the ``time`` of dispatch, experts and combine on this package,
        or ``c_t``.
    tol
        How far apart a congestion time and its bound may be, relative.
    rng
        Splits the trace and drives the allocator.
    progress
        Called with the name of each stage.

    Raises
    ------
    NopError
        As the stages raise it.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> result = nop.run("mozart-nop-tree", "olmoe-1b-7b", allocator="contiguous")
    >>> result.package.name, result.trace.origin
    ('mozart-nop-tree', 'synthetic')
    >>> result.dispatch.time_bound <= result.dispatch.time
    True
    """
    tell = progress or (lambda stage: None)
    place = load_topology(package)
    tell(f"{place.name}: routing trace")
    load = load_workload(workload)
    check_computes(place)
    chosen = resolve(policy, POLICIES, "policy")
    resolve(routing, ROUTINGS, "routing")  # a misspelt name is told before minutes are spent
    resolve(allocator, ALLOCATORS, "allocator")
    degree = degree or chosen.degree
    rng = generator_from(rng)
    fit, held_out = halves(load.trace, rng)
    tell(f"{place.name}: expert allocation")
    allocation = _layout(place, load, fit, allocator, objective, degree, rng)
    load = dataclasses.replace(load, routing=held_out)

    tell(f"{place.name}: dispatch and combine")
    asked = _messages_of(load, degree)
    solve: dict[str, Any] = {"routing": routing, "tol": tol, "report": tell}
    dispatch = congestion(place, traffic.dispatch(place, held_out, allocation, **asked), **solve)
    combine = congestion(place, traffic.combine(place, held_out, allocation, **asked), **solve)

    tell(f"{place.name}: uniform all-to-all")
    copies = load.batch.tokens * load.model.top_k * load.model.hidden * load.batch.bytes_per_value
    per_pair = copies / len(place.experts) ** 2
    even = traffic.all_to_all(place, per_pair, among="experts")
    uniform = congestion(place, even, **solve)

    tell(f"{place.name}: schedule of one step")
    plan = schedule(place, load, allocation, policy=chosen, degree=degree, routing=routing)
    return Run(place, load, allocation, dispatch, combine, uniform, plan, degree)


def dispatch_of_step(
    package: Package,
    workload: Workload,
    *,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> Traffic:
    """Return the dispatch of one layer alone: layout and traffic as `run` has them by default, unrouted.

    Parameters and errors are those of `run`.
    """
    tell = progress or (lambda stage: None)
    check_computes(package)
    chosen = resolve("streaming", POLICIES, "policy")
    rng = generator_from(rng)
    tell(f"{package.name}: expert allocation")
    fit, held_out = halves(workload.trace, rng)
    allocation = _layout(package, workload, fit, "auto", "time", chosen.degree, rng)
    return traffic.dispatch(package, held_out, allocation, **_messages_of(workload, chosen.degree))


def plan_step(
    package: Package,
    workload: Workload,
    *,
    allocator: str | Allocator | Allocation | None = None,
    policy: str | Policy = "streaming",
    routing: str | Routing = "optimal",
    micro_batches: int | None = None,
    objective: Objective = "time",
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> StepSchedule:
    """Return the schedule of one step alone: layout and schedule as in `run`, without the congestion study.

    Parameters and errors are those of `run` and `noptoolkit.step.schedule`; without an allocator the
    policy's own is asked.
    """
    tell = progress or (lambda stage: None)
    chosen = resolve(policy, POLICIES, "policy")
    if micro_batches is not None:
        chosen = dataclasses.replace(chosen, micro_batches=micro_batches)
    rng = generator_from(rng)
    tell(f"{package.name}: expert allocation")
    fit, held_out = halves(workload.trace, rng)
    allocation = _layout(package, workload, fit, allocator or chosen.layout, objective, chosen.degree, rng)
    tell(f"{package.name}: schedule of one step")
    judged = dataclasses.replace(workload, routing=held_out)
    return schedule(package, judged, allocation, policy=chosen, routing=routing)


def _messages_of(workload: Workload, degree: Degree) -> dict[str, Any]:
    return {
        "token_bytes": workload.model.hidden * workload.batch.bytes_per_value,
        "degree": degree,
        "tokens": workload.batch.tokens,  # the trace is a sample of the step's
    }


def _layout(
    package: Package,
    workload: Workload,
    fit: RoutingTrace,
    allocator: str | Allocator | Allocation,
    objective: Objective,
    degree: Degree,
    rng: np.random.Generator,
) -> Allocation:
    if isinstance(allocator, Allocation):
        allocator.check_fits(package)
        return allocator
    layer_time = package_time(
        package,
        token_bytes=workload.model.hidden * workload.batch.bytes_per_value,
        flops_per_choice=expert_work(workload.model, 1).flops,
        degree="in-network" if degree == "in-network" else "chiplets",
    )
    return allocate(fit, package, method=allocator, objective=objective, layer_time=layer_time, rng=rng)


def halves(trace: RoutingTrace, rng: np.random.Generator) -> tuple[RoutingTrace, RoutingTrace]:
    """Return tokens to fit a layout on and tokens to judge it on; whole documents where they are known."""
    if trace.num_tokens < 2:
        return trace, trace
    documents = trace.document is not None and len(np.unique(trace.document)) > 1
    [(fit, held_out)] = trace.split(rng=rng, by="document" if documents else "token")
    return fit, held_out
