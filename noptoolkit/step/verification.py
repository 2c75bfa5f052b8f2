"""An independent check of a step's schedule, routes and bounds.

* schedule: precedence, capacities, buffers (`noptoolkit.scheduling.verify_schedule`);
* both bounds: computed again from their task graphs and stages (`noptoolkit.scheduling.verify_bounds`), and
  never above the schedule;
* routes and their times: `noptoolkit.step.route_checks`. Transfers that a routing by name routed as a whole
  are routed again and checked by ``FlowResult.verify()``, all-reduces of gradients by
  ``CollectiveResult.verify()``;
* work, tasks and energy: `noptoolkit.step.work_checks`, and weights that several chiplets read at once:
  `noptoolkit.step.reading_checks`. What is counted, not searched, is counted again;
* prices, and what every transfer costs under them at least: `noptoolkit.step.price_checks`.

What is assumed, and not derived again: package, workload, layout, policy, options and the energies of bits
and flops are those that were meant; what one kind of block costs (`noptoolkit.nodes.operations`, from which
slices and transfers are counted again, and `noptoolkit.step.ledger`); that ``Policy.graph`` gives the tasks
and precedences that the policy promises (it is asked again, and what each resource does is added up beside
it); and that a relaxed step, whose transfers cost no more than under the prices, bounds every routing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from noptoolkit.errors import ScheduleError, raise_collected
from noptoolkit.scheduling.verify import verify_schedule
from noptoolkit.scheduling.verify_bounds import verify_bounds
from noptoolkit.step.price_checks import PriceCheck
from noptoolkit.step.reading_checks import reading_faults
from noptoolkit.step.route_checks import route_faults
from noptoolkit.step.step import Step
from noptoolkit.step.sum_checks import unchecked_sums
from noptoolkit.step.work_checks import energy_faults, graph_faults, task_faults, work_faults

if TYPE_CHECKING:
    from noptoolkit.step.result import StepSchedule

__all__ = ["StepVerification", "verify_step"]


@dataclass(frozen=True)
class StepVerification:
    """What was checked of a step's schedule; true if nothing was left out.

    Parameters
    ----------
    checked, unchecked : tuple of str
        Names of what was checked, and of what was not, with the reason.
    """

    checked: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that the schedule claims was checked."""
        return not self.unchecked

    def __bool__(self) -> bool:
        return self.complete


def verify_step(plan: StepSchedule, *, tol: float = 1e-9, every_set: bool | None = None) -> StepVerification:
    """Check a schedule of a step again; see the module, and `StepSchedule.verify` for the parameters.

    Raises
    ------
    ScheduleError
        With every kind of fault found.
    """
    step, proof, policy = plan.step, plan.any_routing, plan.policy
    checked, unchecked = ["schedule", "bound of the routes", "bound over all routings"], []
    faults = _raised(verify_schedule, plan.graph, plan.start, plan.end, tol=tol)
    faults += _raised(verify_bounds, plan.graph, plan.bounds, tol=tol)
    faults += _raised(verify_bounds, proof.graph, proof.bounds, tol=tol)
    faults += _bound_faults(plan, tol)
    faults += itertools.islice(work_faults(step, proof.step), 8)
    faults += itertools.islice(reading_faults(step), 8)
    faults += graph_faults(plan.graph, partial(policy.graph, step, policy), "the schedule")
    faults += graph_faults(
        proof.graph, partial(policy.graph, proof.step, policy), "the bound over all routings"
    )
    faults += energy_faults(plan)
    checked += ["work", "tasks", "energy"]
    faults += itertools.islice(route_faults(step), 8)
    checked.append("routes")
    faults += itertools.islice(task_faults(plan, tol), 8)
    if policy.contention != "factor":
        unchecked.append(f"tasks of transfers: contention {policy.contention} is checked by rates only")
    prices = PriceCheck(step, proof.step, proof.prices, every_set)
    faults += itertools.islice(prices.faults(), 8)
    checked.append("prices")
    unchecked += prices.unchecked
    unchecked += unchecked_sums(step)
    raise_collected(ScheduleError, "step", faults)
    return StepVerification(tuple(checked), tuple(unchecked))


def _raised(check: Callable[..., None], *values: Any, **options: Any) -> list[str]:
    try:
        check(*values, **options)
    except ScheduleError as error:
        return [str(error)]
    return []


def _bound_faults(plan: StepSchedule, tol: float) -> list[str]:
    """Hold the bounds against the schedule, and what is claimed to be theirs."""
    faults = []
    for name, value in (("lower bound", plan.lower_bound), ("bound of the routes", plan.bound_of_routes)):
        if not 0 <= value <= plan.makespan * (1 + tol) + tol:
            faults.append(f"the {name} is {value:.9g} s, the schedule {plan.makespan:.9g} s")
    if plan.lower_bound > plan.any_routing.value * (1 + tol) and not _has_one_routing(plan.step):
        faults.append("the lower bound is that of the routes, but there are others")
    return faults


def _has_one_routing(step: Step) -> bool:
    """Return whether any two nodes are joined by one path, and its cables are shared at their best."""
    import networkx as nx

    links = step.package.links
    graph = nx.Graph((link.a, link.b) for link in links)
    bundled = len(links) > graph.number_of_edges()
    best = all(sent.sharing == "by bandwidth" for sent in step.transfers())
    return (best or not bundled) and (not len(graph) or nx.is_forest(graph))
