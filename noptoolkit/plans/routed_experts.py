"""What the routing of tokens makes of a plan's experts: unequal messages, and a busiest member.

`noptoolkit.plans.step_costs` deals tokens evenly. With a trace, the all-to-alls of an EP group carry what the
tokens of each member send to each member (`noptoolkit.plans.exchanges`), all groups at the same time,
certified on the package; and every layer waits for the member whose experts get most tokens. Times are means
over the layers of the trace: the stages of a pipeline are taken as alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.package import Package
from noptoolkit.plans.exchanges import Copies, dispatched_bytes, exchanges_of
from noptoolkit.plans.network_times import PlanNetwork
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, MoEModel

__all__ = ["RoutedExperts", "routed_experts"]

Passes = dict[str, tuple[float, float]]
"""Seconds or joules of a layer and micro-batch by dimension, forward and backward."""


@dataclass(frozen=True)
class RoutedExperts:
    """The experts of a layer under a trace.

    Parameters
    ----------
    reached, bound
        Communication of a layer and micro-batch at full bandwidth, ``ep`` and ``etp``, in s: of the schedule
        found, and what no schedule beats.
    busiest
        Tokens of the busiest member over the mean, the mean over the trace's layers.
    copies
        What is sent, see `noptoolkit.plans.dispatched_bytes`.
    joules
        Energy of a layer and micro-batch on the links, in all stages at once, in J.
    """

    reached: Passes
    bound: Passes
    busiest: float
    copies: Copies
    joules: Passes


def routed_experts(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    package: Package,
    chiplets: Sequence[str],
    *,
    trace: RoutingTrace,
    copies: Copies = "experts",
    owner: Sequence[int] | Ints | None = None,
) -> RoutedExperts:
    """Return what a trace makes of the experts of a plan.

    Parameters
    ----------
    plan, model, batch
        A plan that fits, with its replicas.
    package, chiplets
        Names of the chiplets of its ranks, [ranks].
    trace, copies, owner
        See `noptoolkit.plans.dispatched_bytes`.

    Raises
    ------
    PlanError
        If the trace or the owner does not fit the model and the plan.
    """
    chosen = dispatched_bytes(plan, model, batch, copies="experts", trace=trace, owner=owner).sum(axis=1)
    network = PlanNetwork(package)
    place = Placement(plan, package, tuple(chiplets), "by order")
    reached: Passes = {}
    bound: Passes = {}
    joules: Passes = {}
    for exchange in exchanges_of(plan, model, batch, copies=copies, trace=trace, owner=owner):
        if exchange.dimension not in ("ep", "etp"):
            continue
        way = int(exchange.direction == "backward")
        found = network.time(exchange, place)
        for passes, value in ((reached, found.time), (bound, found.bound), (joules, found.joules)):
            spent = list(passes.get(exchange.dimension, (0.0, 0.0)))
            spent[way] += exchange.times * value
            passes[exchange.dimension] = (spent[0], spent[1])
    busiest = float(np.mean(chosen.max(axis=1) / chosen.mean(axis=1)))
    return RoutedExperts(reached, bound, busiest, copies, joules)
