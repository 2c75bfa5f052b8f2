"""A second look at the all-reduces of gradients of a step: schedule, loads, times and what prices say.

The schedule and its bound are those of `noptoolkit.collectives.verification`. Costs under prices are computed
again from networkx distances and by recursive contraction (`collectives.verification.bound_checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.verification.bound_checks import least_cost
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["sum_faults", "sum_price_faults", "unchecked_sums"]

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
    scale = sent.summed.size / result.requests[0].size
    found = {frozenset(one.members): scale * one.size for one in result.requests}
    if any(one.kind != "all-reduce" for one in result.requests) or len(found) < len(result.requests):
        yield f"{name}: a group adds up something else, or twice"
    for wanted in _groups(step, sent):
        if set(found) != set(wanted) or any(abs(found[key] - x) > 1e-9 * x for key, x in wanted.items()):
            yield f"{name}: not an all-reduce among all that hold the same weights"
    if not np.allclose(scale * result.load, sent.load, rtol=1e-9, atol=1e-6):
        yield f"{name}: the loads of its channels are not those of its trees"
    rate = network.capacity * step.options.efficiency.network
    for resource, time in zip(network.names, scale * result.use / rate, strict=True):
        if abs(sent.uses.get(resource, 0.0) - time) > 1e-9 * max(time, sent.time):
            yield f"{name}: {resource} takes {sent.uses.get(resource, 0.0):.6g} s, not {time:.6g} s"


def _groups(step: Step, sent: Transfer) -> Iterator[dict[frozenset[str], float]]:
    """Yield the bytes of each group that a transfer must add up, wherever the step uses it."""
    model, width = step.workload.model, step.workload.batch.bytes_per_value
    rows = step.workload.trace.num_layers
    experts = [layer for layer, dense in enumerate(model.is_dense) if not dense]
    for number, block in enumerate((*step.blocks, step.head)):
        for kind in (kind for kind, other in block.exchange.items() if other.index == sent.index):
            if kind != "expert":
                size = next(part.size for part in block.slices if part.kind == kind)
                yield {frozenset(step.hosts): size}
                continue
            layer = step.layers.index(number)
            row = layer if rows == model.layers else experts.index(layer) % rows
            layout = step.allocation.layer(row)
            groups: dict[frozenset[str], float] = {}
            for expert in range(layout.num_experts):
                names = [name for i, name in enumerate(layout.experts) if layout.holds[0, i, expert]]
                if len(names) > 1:
                    key = frozenset(names)
                    groups[key] = groups.get(key, 0.0) + model.expert_parameters * width
            yield groups


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
    requests = sent.summed.result.requests
    scale = sent.summed.size / requests[0].size
    few = max(len(request.members) for request in requests) <= MOST_HOSTS
    costs = [
        {
            (i, j): cost((one, other))
            for i, one in enumerate(request.members if few else ())
            for j, other in enumerate(request.members)
            if i != j
        }
        for request in requests
    ]
    for k, y in enumerate(prices):
        least = scale * float(y @ sent.summed.result.use)
        if few:
            least = scale * sum(
                least_cost(request, {pair: float(each[k]) for pair, each in known.items()})
                for request, known in zip(requests, costs, strict=True)
            )
        claimed = priced.uses.get(f"price {k}", 0.0) * efficiency
        if claimed > least * (1 + 1e-6) + 1e-15:
            yield f"{name}: costs {claimed:.6g} under price {k}, a schedule {least:.6g}"
    proved = sent.summed.result.time_bound * scale / efficiency
    if max(lane.least for lane in priced.parts.values()) > proved * (1 + 1e-9):
        yield f"{name}: takes longer alone than its bound of {proved:.6g} s"


def unchecked_sums(step: Step) -> list[str]:
    """Return what of the all-reduces is too much to check, one sentence each."""
    results = [sent.summed.result for sent in step.transfers() if sent.summed is not None]
    left = []
    if any(len(request.members) > MOST_HOSTS for result in results for request in result.requests):
        left.append(
            f"costs of all-reduces among more than {MOST_HOSTS} hosts: held against the schedule taken only"
        )
    if any(result.schedule is None for result in results):
        left.append("trees of all-reduces of which only the loads are kept")
    return left
