"""The table of routings, each a function from a problem to flows.

Fixed routings forward by destination (`noptoolkit.flow.forwarding`, `noptoolkit.flow.grid`); ``optimal``
is the best that any routing can do, and proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noptoolkit.errors import RoutingError
from noptoolkit.flow.forwarding import push, split_equally, take_first
from noptoolkit.flow.grid import dimension_order
from noptoolkit.flow.linear_program import solve_linear_program
from noptoolkit.flow.multicast import ForwardingRule, TreeLoads, tree_loads
from noptoolkit.flow.problem import RoutingProblem
from noptoolkit.flow.routed import Routed

__all__ = ["ROUTINGS", "Effort", "Routing"]


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
    if has_unique_paths(problem):
        return _forward(problem, take_first, "unique paths")
    candidates = [route_ecmp(problem, effort)]
    try:
        candidates.append(route_dor(problem, effort))
    except RoutingError:
        candidates.append(route_shortest(problem, effort))
    trees = min((routed.trees for routed in candidates), key=lambda trees: _time(problem, trees))
    if problem.demand.any():
        best = solve_linear_program(problem, trees, time_limit=effort.time_limit)
        if best is not None:
            candidates.append(best)
    return min(candidates, key=lambda routed: _time(problem, routed.trees, routed))


ROUTINGS: dict[str, Routing] = {
    "optimal": route_optimally,
    "shortest": route_shortest,
    "ecmp": route_ecmp,
    "dor": route_dor,
}


def has_unique_paths(problem: RoutingProblem) -> bool:
    """Return whether the network has no cycle, parallel channels and directions aside."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    network = problem.network
    size = network.num_vertices
    low, high = np.minimum(network.tail, network.head), np.maximum(network.tail, network.head)
    edges = np.unique(low * size + high)
    if len(np.unique(network.tail * size + network.head)) < network.num_arcs:
        return False
    graph = csr_array((np.ones(len(edges)), (edges // size, edges % size)), shape=(size, size))
    return bool(len(edges) == size - connected_components(graph, directed=False)[0])


def _forward(problem: RoutingProblem, rule: ForwardingRule, method: str) -> Routed:
    network = problem.network
    destinations = problem.destinations
    flow = push(network, rule(network, destinations), problem.demand)
    return Routed(flow, False, destinations, tree_loads(problem, rule), method)


def _time(problem: RoutingProblem, trees: TreeLoads, routed: Routed | None = None) -> float:
    use = problem.ports + trees.use(problem.network)
    if routed is not None:
        use = use + problem.network.on_arcs @ routed.flow.sum(axis=0)
    return float(np.max(use / problem.network.capacity))
