"""The table of routings, each a function from a problem to flows.

Fixed routings forward by destination (`noptoolkit.flow.forwarding`, `noptoolkit.flow.grid`); ``optimal``
is the best that any routing can do, and proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import RoutingError
from noptoolkit.flow.forwarding import push, split_equally, take_first
from noptoolkit.flow.grid import dimension_order
from noptoolkit.flow.multicast import ForwardingRule, TreeLoads, tree_loads
from noptoolkit.flow.portfolio import route_best
from noptoolkit.flow.problem import RoutingProblem
from noptoolkit.flow.routed import CommodityFlow, Routed

__all__ = ["ROUTINGS", "Effort", "Routing"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Parameters
    ----------
    tol
        Gap at which to stop.
    time_limit
        In s; ``None`` is without limit.
    """

    tol: float = 0.01
    time_limit: float | None = None


Routing = Callable[[RoutingProblem, Effort], Routed]


def route_shortest(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route along one minimum-hop path per pair, the lowest channel index where several tie."""
    return _forward(problem, take_first, "shortest path")


def route_ecmp(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route by per-hop equal splitting over all minimum-hop paths."""
    return _forward(problem, split_equally, "ecmp")


def route_dor(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route X first, then Y, on a mesh or torus."""
    return _forward(problem, dimension_order, "dor")


def route_optimally(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route so that the busiest resource is done as early as any routing can have it done."""
    candidates = [route_ecmp(problem, effort)]
    try:
        candidates.append(route_dor(problem, effort))
    except RoutingError:
        candidates.append(route_shortest(problem, effort))
    trees = min((routed.trees for routed in candidates), key=lambda trees: _time(problem, trees))
    best = route_best(problem, trees, tol=effort.tol, time_limit=effort.time_limit)
    if best is not None:
        candidates.insert(0, best)
    bounds = tuple(bound for routed in candidates for bound in routed.bounds)
    winner = min(candidates, key=lambda routed: _time(problem, routed.trees, routed.arc_load))
    return replace(winner, bounds=bounds)


ROUTINGS: dict[str, Routing] = {
    "optimal": route_optimally,
    "shortest": route_shortest,
    "ecmp": route_ecmp,
    "dor": route_dor,
}


def _forward(problem: RoutingProblem, rule: ForwardingRule, method: str) -> Routed:
    network = problem.network
    destinations = problem.destinations
    flow = push(network, rule(network, destinations), problem.demand)
    everywhere = np.arange(network.num_vertices)
    proof = CommodityFlow(flow, np.arange(network.num_arcs), False, destinations, everywhere)
    return Routed(flow.sum(axis=0), tree_loads(problem, rule), method, proof=proof)


def _time(problem: RoutingProblem, trees: TreeLoads, arc_load: Floats | None = None) -> float:
    use = problem.ports + trees.use(problem.network)
    if arc_load is not None:
        use = use + problem.network.on_arcs @ arc_load
    return float(np.max(use / problem.network.capacity))
