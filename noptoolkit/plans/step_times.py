"""How long a plan's costs take: the makespan of its pipeline, what is exposed, and what no order can beat.

The *bound* holds for every order of the same passes on the same ranks, in the same model: a rank's own work,
before it the shortest forward path to its first stage, behind it the update or the input parts of the stages
before; each dimension's communication of a rank at its own bound; one micro-batch through everything. It lets
everything else overlap. It does not range over placements or other plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from noptoolkit.plans.constants import StepConstants
from noptoolkit.plans.pipeline_formulas import FAST
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.pipeline_run import PipelineRun
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.step_costs import PlanCosts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["exposed_of", "makespan_of_costs", "run_of", "step_bound"]


def makespan_of_costs(plan: ParallelPlan, costs: PlanCosts) -> float:
    """Return the makespan of a plan's pipeline, in s."""
    order = plan.schedule or "1f1b"
    talk = costs.talk
    if order not in FAST:
        return run_of(plan, costs, layers=1).makespan
    from noptoolkit.plans.compiled_pipelines import makespan_of

    return makespan_of(
        order,
        costs.forward + talk[:, 0],
        costs.backward + talk[:, 1],
        costs.weight,
        costs.micro_batches,
        devices=plan.pp,
        chunks=plan.vpp,
        transfer=costs.transfer,
    )


def exposed_of(costs: PlanCosts, constants: StepConstants, makespan: float) -> float:
    """Return the exchange among replicas that nothing hides: what the pipeline has no time for at least."""
    spent = sum(costs.gradients.values())
    return max(constants.exposed_gradients * spent, spent - makespan)


def step_bound(plan: ParallelPlan, costs: PlanCosts) -> float:
    """Return what no order of a plan's passes can beat, in s; ``costs`` are those with bounds as times."""
    p, m = plan.pp, costs.micro_batches
    forward, backward, talk = costs.forward, costs.backward, costs.talk
    path = forward.sum() + (backward - costs.weight).sum() + talk.sum()  # no task waits for weight parts
    once = path + 2 * (len(forward) - 1) * (costs.transfer if p > 1 else 0.0)
    before = np.concatenate([[0.0], np.cumsum(forward + talk[:, 0])])
    back = np.concatenate([[0.0], np.cumsum(backward - costs.weight + talk[:, 1])])
    best = float(once)
    two_way = ORDERS[plan.schedule or "1f1b"].two_way
    ends = {name: part.sum(axis=1) for name, part in costs.network.items()}
    for r in range(p):
        own = [r, p - 1 - r] if two_way else list(range(r, len(forward), p))
        share = 0.5 if two_way else 1.0
        first = min(own)
        work = share * m * float((forward + backward)[own].sum())
        early = share * m * float((forward + backward - costs.weight)[own].sum())
        best = max(best, before[first] + work + costs.update, before[first] + early + back[first])
        best = max([best, *(share * m * float(part[own].sum()) for part in ends.values())])
    return float(max([best, *costs.gradients.values()]))


def run_of(
    plan: ParallelPlan, costs: PlanCosts, layers: int, kept: Sequence[float] | None = None
) -> PipelineRun:
    """Return the pipeline of a plan's costs as a schedule of tasks."""
    talk = costs.talk
    held = [1.0] * len(costs.forward) if kept is None else kept
    stages = [
        Stage(
            float(costs.forward[j]),
            float(costs.backward[j]),
            float(costs.weight[j]),
            forward_network=float(talk[j, 0]),
            backward_network=float(talk[j, 1]),
            activation=float(held[j]),
            layers=layers,
        )
        for j in range(len(costs.forward))
    ]
    return pipeline(
        plan.schedule or "1f1b",
        stages,
        costs.micro_batches,
        devices=plan.pp,
        chunks=plan.vpp,
        transfer=costs.transfer,
    )
