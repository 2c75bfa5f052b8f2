"""From a package, a workload and an allocation to a schedule."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean, resolve
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import ScheduleError, UnknownNameError, WorkloadError
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Package, expect_package
from noptoolkit.routing.rules import Routing
from noptoolkit.scheduling import TaskGraph
from noptoolkit.scheduling.list_scheduling import (
    REACHED,
    Priority,
    Timeline,
    list_schedule,
    longest_tail,
    priority_of,
)
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.energy import energy_of
from noptoolkit.step.finer import is_far, ways_to_cut
from noptoolkit.step.parts import cut_step
from noptoolkit.step.policies import POLICIES, Policy
from noptoolkit.step.result import StepSchedule
from noptoolkit.step.routing_choice import FIXED, candidate_steps, check_routing
from noptoolkit.step.step import ExpertLoads, Step, StepOptions
from noptoolkit.units import Quantity
from noptoolkit.workload import Workload

__all__ = ["results_first", "schedule"]

WORTH_CUTTING = 1e-9
"""Share of the makespan that sending tokens in parts must gain: what is less is rounding."""

WORTH_SLICING = 1e-3
"""Share of the makespan that twice as many slices must gain for four times as many to be tried."""

RIVALS = 50_000
"""Tasks up to which steps of fixed routings are cut finer, too, so that none is shorter than the best."""


def schedule(
    package: Package,
    workload: Workload,
    allocation: Allocation | None = None,
    *,
    policy: str | Policy = "streaming",
    priority: str | Priority | None = None,
    efficiency: Efficiency | None = None,
    routing: str | Routing = "optimal",
    slices: int | Literal["stream"] | None = None,
    optimiser: str = "sgd",
    weights_on_network: bool = True,
    hosts: Literal["experts", "all"] | tuple[str, ...] | None = None,
    split_head: bool = False,
    recompute: bool = False,
    experts: ExpertLoads = "used",
    number: int = 0,
    resident: Literal["none", "pinned", "recent"] = "none",
    resident_share: float = 0.5,
    cache: Literal["hosts", "sequences", "heads"] = "hosts",
    attention: Literal["data", "tensor"] = "data",
    energy_per_flop: Quantity | None = None,
    **changes: Any,
) -> StepSchedule:
    """Return the schedule of one step of a workload on a package.

    Parameters
    ----------
    allocation
        Where the experts are; ``None`` asks the policy's own allocator.
    policy
        A name in `POLICIES` or a `Policy`.
    priority
        Which ready task starts first, see `list_schedule`. ``None`` is ``tail``, and in training with
        tokens on several chiplets also `results_first`: the shorter schedule is kept.
    routing
        Routing of everything that crosses the network: ``optimal`` for the best of the routings that are
        chosen for all traffic together and of shortest, dor and ecmp, one path per transfer;
        ``optimal-split`` if transfers may be split over paths; ``optimal-alone`` for the best routes of each
        transfer alone; or a routing of `noptoolkit.flow.ROUTINGS` or of your own.
    efficiency, slices, optimiser, weights_on_network, hosts, split_head, recompute
        See `StepOptions`. If the schedule ends more than 0.5 % above the bound of its routes, it is tried cut
        finer, and the shortest is kept: with two and four times as many slices where ``slices`` is ``None``,
        in training with dispatches and combines in two parts where the policy names no number.
    experts, number, resident, resident_share, cache, attention
        See `StepOptions`; of prefill and decode.
    energy_per_flop
        In J, see `energy_of`.
    changes
        Fields of the policy to change: ``degree``, ``weights``, ``prefetch``, ``order``, ``micro_batches``...

    Raises
    ------
    UnknownNameError
        If there is no such policy, or it has no such field.
    WorkloadError, ScheduleError
        See `step_of`.
    """
    expect_package(package)
    if not isinstance(workload, Workload):
        raise WorkloadError(
            f"{workload!r} is not a Workload; use load_workload() to build one from a name or a file"
        )
    chosen = resolve(policy, POLICIES, "policy")
    if not isinstance(chosen, Policy):
        raise ScheduleError(
            f"policy {policy!r} is not a policy; give a name ({', '.join(POLICIES)}) or a Policy"
        )
    if priority is not None:
        priority_of(priority)
    fields = [field.name for field in dataclasses.fields(Policy)]
    for key in changes:
        if key not in fields:
            known = (*inspect.signature(schedule).parameters, *fields)
            raise UnknownNameError(f"schedule has no option {key!r}; {did_you_mean(key, known)}")
    chosen = dataclasses.replace(chosen, **changes)
    if allocation is None:
        allocation = allocate(workload.trace, package, method=chosen.layout)
    check_routing(routing)
    options = StepOptions(
        degree=chosen.degree,
        slices=slices,
        routing=routing,
        efficiency=Efficiency() if efficiency is None else efficiency,
        optimiser=optimiser,
        weights_on_network=weights_on_network,
        hosts=hosts,
        split_head=split_head,
        recompute=recompute,
        experts=experts,
        number=number,
        resident=resident,
        resident_share=resident_share,
        cache=cache,
        attention=attention,
        weights=chosen.weights,
    )
    best: StepSchedule | None = None
    fixed: dict[str, StepSchedule] = {}  # the shortest of each fixed routing
    steps: dict[int, tuple[Step, ...]] = {}
    for prefetch, order, count in chosen.candidates(workload.batch):
        if count not in steps:
            counted = dataclasses.replace(options, micro_batches=count)
            unrouted = unrouted_step(package, workload, allocation, counted)
            steps[count] = tuple(
                cut for step in candidate_steps(unrouted, routing) for cut in _cuts(step, chosen)
            )
        tried = dataclasses.replace(
            chosen,
            layout=allocation.method.partition(":")[0],
            prefetch=prefetch,
            order=order,
            micro_batches=count,
        )
        winners: dict[str, tuple[float, Step]] = {}  # of all, and of each fixed routing
        for step in steps[count]:
            found = _planned(step, tried, priority, energy_per_flop)
            worth = 1 - WORTH_CUTTING if step.parts else 1.0
            rival = step.routing in FIXED and len(found.graph) <= RIVALS
            for kind in ("", step.routing) if rival else ("",):
                if kind not in winners or found.makespan < winners[kind][0] * worth:
                    winners[kind] = found.makespan, step
            if best is None or found.makespan < best.makespan * worth:
                best = found
            if rival:
                before = fixed.setdefault(step.routing, found)
                fixed[step.routing] = found if found.makespan < before.makespan * worth else before
        # routing and parts are chosen once; those of fixed routings may suit other orders better
        steps[count] = tuple({id(step): step for _, step in winners.values()}.values())
    assert best is not None  # candidates are never empty
    rivals = [plan for plan in fixed.values() if plan is not best]
    best = _cut_finer(best, chosen, priority, energy_per_flop)
    for plan in rivals:
        if plan.bounds.load < best.makespan:  # other bounds may fall where a step is cut finer
            finer = _cut_finer(plan, chosen, priority, energy_per_flop)
            best = min(best, finer, key=lambda plan: plan.makespan)
    return best


def _planned(
    step: Step, policy: Policy, priority: str | Priority | None, energy_per_flop: Quantity | None
) -> StepSchedule:
    graph = policy.graph(step, policy)
    timeline = _timeline(graph, step, policy, priority)
    parts = 1 + max(step.parts.values(), default=0)
    energy = energy_of(step, energy_per_flop)
    times = (timeline.start, timeline.end, timeline.bounds)
    return StepSchedule(graph, *times, step, dataclasses.replace(policy, parts=parts), energy)


def _cut_finer(
    plan: StepSchedule, asked: Policy, priority: str | Priority | None, energy_per_flop: Quantity | None
) -> StepSchedule:
    """Return a schedule, or a shorter one of its step cut finer, if it is far from its routes' bound."""
    for way in ways_to_cut(plan, asked):
        step = way(plan) if is_far(plan) else None
        if step is None:
            continue
        try:
            finer = _planned(step, plan.policy, priority, energy_per_flop)
        except ScheduleError:  # finer slices may block a buffer where larger ones did not
            continue
        sliced, gained = step.options.slices != plan.step.options.slices, 1 - finer.makespan / plan.makespan
        plan = finer if gained > WORTH_CUTTING else plan
        if sliced and gained < WORTH_SLICING:
            break  # still finer ones would gain less
    return plan


def results_first(graph: TaskGraph) -> Floats:
    """Return urgencies that let results of experts go back before all else, then those of ``tail``, [tasks].

    Longest paths to the end lead over stacks and SRAM; what a combine holds up, attention of the next block
    on all hosts, is not seen there.
    """
    urgency = longest_tail(graph)
    results = np.array([kind == "combine" for kind in graph.kinds], np.bool_)
    urgency[results[graph.kind]] += urgency.max(initial=0.0)
    return urgency


def _timeline(graph: TaskGraph, step: Step, policy: Policy, priority: str | Priority | None) -> Timeline:
    """Return when each task runs, under the priority asked for or the better of those that are tried."""
    found = list_schedule(graph, priority=priority or "tail", rounds=policy.rounds)
    several = step.training and len(step.hosts) > 1
    if priority is not None or not several or found.makespan <= found.bounds.quick * REACHED:
        return found
    other = list_schedule(graph, priority=results_first, rounds=policy.rounds)
    return min(found, other, key=lambda timeline: timeline.makespan)


def _cuts(step: Step, policy: Policy) -> Iterator[Step]:
    """Yield a routed step with its tokens sent in each number of parts that a policy tries.

    Raises
    ------
    ScheduleError
        If one number above 1 is asked for, and the step cannot be cut.
    """
    tried = policy.parts_of(step)
    found = [cut for count in tried if (cut := cut_step(step, count)) is not None]
    if not found and isinstance(policy.parts, int):
        raise ScheduleError(
            f"parts={policy.parts}: dispatches and combines are not cut where messages to sets are sent "
            "(degree='chiplets' sends none) or routing is no table of paths; leave parts out"
        )
    yield from found or [step]
