"""What the dimensions of a plan lose to each other where they meet on the same links.

Within a micro-batch the collectives of a layer wait for each other, and all groups of all stages are timed
at the same time (`noptoolkit.plans.group_times`). Messages between stages wait for nothing: they are on
their way while the stages already run the next pass. Here each of a layer's collectives runs together with
a message that would take as long (`PlanNetwork.together`, certified): the share of the message's time that
is left over when the collective is done is what the links cannot hide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from noptoolkit.plans.exchanges import exchanges_of
from noptoolkit.plans.network_times import PlanNetwork
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.step_costs import PlanCosts
from noptoolkit.plans.step_times import makespan_of_costs
from noptoolkit.workload import Batch, MoEModel

__all__ = ["Contention", "contention_of"]

MOST_CERTIFIED = 64
"""Ranks up to which a package without two levels is solved; beyond, shortest paths bound it from above."""


class Contention(NamedTuple):
    """What messages between stages lose at most, and make a step longer.

    Parameters
    ----------
    share
        Of a message's time, what the worst of the layers' collectives does not hide, from 0 to 1.
    met
        Name of that collective; empty where there is none.
    time
        How much longer the pipeline takes if every message meets it, in s.
    """

    share: float
    met: str
    time: float


def contention_of(place: Placement, model: MoEModel, batch: Batch, costs: PlanCosts) -> Contention:
    """Return what messages between stages lose at most to the collectives of layers.

    Parameters
    ----------
    place
        The plan on its chiplets.
    model, batch, costs
        What it spreads, and what that costs.
    """
    plan = place.plan
    if plan.pp == 1:
        return Contention(0.0, "", 0.0)
    network = PlanNetwork(place.package, time_limit=5.0)
    if network.levels is None and plan.world > MOST_CERTIFIED:
        network = PlanNetwork(place.package, effort="quick")
    found = [each for each in exchanges_of(plan, model, batch) if each.direction == "forward"]
    message = next(each for each in found if each.dimension == "next stage")
    alone = network.time(message, place)
    share, met = 0.0, ""
    for exchange in found:
        if not exchange.where.endswith("layer"):
            continue
        took = network.time(exchange, place)
        often = alone.time / took.time
        both = network.together([message, replace(exchange, times=often)], place)
        left = (both.time - often * took.bound) / alone.bound
        if left > share + 1e-9:
            share, met = min(left, 1.0), exchange.name
    waits = np.full((len(costs.forward), 2), share * costs.transfer)
    waits[-1, 0] = waits[0, 1] = 0.0  # the last stage sends nothing on, the first nothing back
    if batch.mode != "training":
        waits[:, 1] = 0.0
    longer = replace(costs, network={**costs.network, "contention": waits})
    return Contention(share, met, makespan_of_costs(plan, longer) - makespan_of_costs(plan, costs))
