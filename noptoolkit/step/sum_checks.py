"""A second look at the all-reduces of gradients of a step: schedule, loads, times and what prices say.

The schedule and its bound are those of `noptoolkit.collectives.verification`. Costs under prices are computed
again from networkx distances and by recursive contraction (`noptoolkit.collectives.bound_checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.bound_checks import least_cost
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["MOST_HOSTS", "sum_faults", "sum_price_faults"]

MOST_HOSTS = 8
"""Hosts up to which the cheapest schedule is found again; beyond, the one taken must cost no less."""


def sum_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    """Yield what is wrong with the schedule of an all-reduce, with its load or with its times."""
    assert sent.summed is not None
    result, network = sent.summed.result, flow_network(step.package)
    try:
        result.verify()
    except RoutingError as error:
        yield f"{name}: {error}"
    if set(result.requests[0].members) != set(step.hosts) or result.requests[0].kind != "all-reduce":
        yield f"{name}: not an all-reduce among the hosts"
    scale = sent.summed.size / result.requests[0].size
    if not np.allclose(scale * result.load, sent.load, rtol=1e-9, atol=1e-6):
        yield f"{name}: the loads of its channels are not those of its trees"
    rate = network.capacity * step.options.efficiency.network
    for resource, time in zip(network.names, scale * result.use / rate, strict=True):
        if abs(sent.uses.get(resource, 0.0) - time) > 1e-9 * max(time, sent.time):
            yield f"{name}: {resource} takes {sent.uses.get(resource, 0.0):.6g} s, not {time:.6g} s"


def sum_price_faults(
    step: Step, sent: Transfer, priced: Transfer, prices: Floats, cost: Callable[[Pair], Floats]
) -> Iterator[str]:
    """Yield where an all-reduce costs more under prices, or alone on the network, than is proved.

    Parameters
    ----------
    prices : ndarray
        Price vectors, in s/B, [prices, resources].
    cost : callable
        Gives what a byte of a pair costs under each of them, [prices].
    """
    assert sent.summed is not None
    name, efficiency = f"{sent.kind} {sent.index}", step.options.efficiency.network
    (request,) = sent.summed.result.requests
    members = request.members
    known = range(len(members) if len(members) <= MOST_HOSTS else 0)
    pairs = [(i, j) for i in known for j in known if i != j]
    costs = {pair: cost((members[pair[0]], members[pair[1]])) for pair in pairs}
    for k, y in enumerate(prices):
        if len(members) <= MOST_HOSTS:
            least = least_cost(request, {pair: float(costs[pair][k]) for pair in pairs})
        else:
            least = float(y @ sent.summed.result.use)
        least *= sent.summed.size / request.size
        claimed = priced.uses.get(f"price {k}", 0.0) * efficiency
        if claimed > least * (1 + 1e-6) + 1e-15:
            yield f"{name}: costs {claimed:.6g} under price {k}, a schedule {least:.6g}"
    proved = sent.summed.result.time_bound * sent.summed.size / request.size / efficiency
    if max(lane.least for lane in priced.parts.values()) > proved * (1 + 1e-9):
        yield f"{name}: takes longer alone than its bound of {proved:.6g} s"
