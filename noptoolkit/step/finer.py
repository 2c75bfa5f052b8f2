"""Steps cut finer: where a schedule stays away from its bound, smaller tasks may let others in between.

Nothing interrupts a task. A large slice of weights holds a link for long, and tokens that need it for a tenth
of that wait behind; a dispatch that is sent whole is waited for whole. Twice as many slices, or two parts of
a dispatch, are the same bytes on the same routes, with more places to begin. They make a graph of up to twice
as many tasks, so that they are tried only where there is something to gain, on the routing that was chosen.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from noptoolkit.errors import NopWarning, ScheduleError
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.parts import cut_step
from noptoolkit.step.policies import Policy
from noptoolkit.step.result import StepSchedule
from noptoolkit.step.routing_choice import FIXED, candidate_steps
from noptoolkit.step.step import MOST_SLICES, Step

__all__ = ["is_far", "ways_to_cut"]

FAR = 1.005
"""Makespan over the bound of its routes above which there is something to gain."""

TIMES = (2, 4)
"""As many slices as SRAM asks for that are tried."""

MOST_TASKS = 400_000
"""Of a schedule that is tried cut finer: larger ones take minutes."""


def is_far(plan: StepSchedule) -> bool:
    """Return whether a schedule is so far from the bound of its routes that a finer one is worth a try."""
    if len(plan.graph) > MOST_TASKS or plan.makespan <= plan.bounds.quick * FAR:
        return False
    return plan.makespan > plan.bound_of_routes * FAR


def ways_to_cut(plan: StepSchedule, asked: Policy) -> list[Callable[[StepSchedule], Step | None]]:
    """Return functions from a schedule to its step cut finer, or ``None`` where it cannot be.

    Parameters
    ----------
    plan
        Schedule of the step as its policy and SRAM ask for.
    asked
        The policy as given: what it says is kept.
    """
    ways: list[Callable[[StepSchedule], Step | None]] = []
    if not asked.cuts:
        return ways
    if asked.parts is None and plan.step.training and not plan.step.parts:
        ways.append(lambda plan: cut_step(plan.step, 2))
    fewest = max((_slices(plan.step)).values(), default=0)
    if plan.step.options.slices is None and fewest:
        ways += [partial(_sliced, count=fewest * times) for times in TIMES if fewest * times <= MOST_SLICES]
    return ways


def _slices(step: Step) -> Counter[tuple[int, str]]:
    """Return into how many slices each chiplet's experts are cut, by block and chiplet."""
    return Counter((i, part.chiplet) for i, block in enumerate(step.blocks) for part in block.experts)


def _sliced(plan: StepSchedule, count: int) -> Step | None:
    """Return a schedule's step with its experts in so many slices, on the same routing."""
    options = replace(plan.step.options, slices=count)
    routing = plan.routing if plan.routing in FIXED else options.routing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # said of the step that this one may replace
        try:
            unrouted = unrouted_step(plan.package, plan.workload, plan.step.allocation, options)
        except ScheduleError:
            return None
        for routed in candidate_steps(unrouted, routing):
            if routed.routing == plan.routing:
                return cut_step(routed, 1 + max(plan.step.parts.values(), default=0))
    return None
