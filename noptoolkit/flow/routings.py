"""The table of routings, each a function from a problem to loads.

Fixed routings forward by destination (`noptoolkit.routing`); ``optimal`` is the best that any routing can
do, and proves it (`noptoolkit.flow.optimal`, `noptoolkit.flow.trees`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import resolve
from noptoolkit.errors import RoutingError
from noptoolkit.flow.bounds.program import has_cycle
from noptoolkit.flow.optimal.portfolio import route_best
from noptoolkit.flow.trees.multicast import path_tree_loads, relayed_tree_loads, tree_loads
from noptoolkit.flow.trees.packing import pack_trees
from noptoolkit.routing.dimension_order_loads import dimension_order_load
from noptoolkit.routing.dimension_order_routing import dimension_order
from noptoolkit.routing.forwarding import (
    ForwardingRule,
    climb_then_descend,
    in_parts,
    push,
    split_equally,
    take_first,
    up_down_graph,
)
from noptoolkit.routing.given_paths import PathFunction, PathTable, path_flow, path_walker
from noptoolkit.routing.hop_loads import load_along_hops
from noptoolkit.routing.hops import plain_graph
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.rules import Routing, UpDown
from noptoolkit.routing.solution import Bound, CommodityFlow, Routed, TreeLoads

__all__ = [
    "ROUTINGS",
    "Effort",
    "Router",
    "along_paths",
    "router_of",
]


ROUNDING = 1e-9  # of a time that its bound equals


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        By ``time.perf_counter()``, in s: the one that all stages of a solve share.
    report
        Is told the progress of long solves, one line at a time.
    """

    tol: float = 0.01
    deadline: float = float("inf")
    report: Callable[[str], None] | None = None


Router = Callable[[RoutingProblem, Effort], Routed]


def route_shortest(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route along one minimum-hop path per pair, the lowest channel index where several tie."""
    load = load_along_hops(problem.network, plain_graph(problem.network), problem.demand, first_only=True)
    trees, bounds = tree_loads(problem, take_first), _hop_bounds(problem, load)
    return _by_destination(problem, load, take_first, trees, "shortest path", bounds)


def route_ecmp(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route by per-hop equal splitting over all minimum-hop paths."""
    load = load_along_hops(problem.network, plain_graph(problem.network), problem.demand)
    trees, bounds = tree_loads(problem, split_equally), _hop_bounds(problem, load)
    return _by_destination(problem, load, split_equally, trees, "ecmp", bounds)


def route_dor(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route X first, then Y, on a mesh, torus (folded or not), concentrated mesh or flattened butterfly."""
    load = dimension_order_load(problem.network, problem.demand)
    return _by_destination(problem, load, dimension_order, tree_loads(problem, dimension_order), "dor")


def route_up_down(problem: RoutingProblem, effort: Effort, *, root: str | None = None) -> Routed:
    """Route up towards the root of a spanning tree, then down: free of deadlock on any graph."""
    rule = partial(climb_then_descend, root=root)
    graph = up_down_graph(problem.network, problem.destinations, root)
    load = load_along_hops(problem.network, graph, problem.demand)
    trees, bounds = tree_loads(problem, rule), _hop_bounds(problem)
    return _by_destination(problem, load, rule, trees, "up*/down*", bounds)


def route_valiant(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route every packet by way of a random chiplet, by ecmp both times (Valiant and Brebner, 1981).

    A message to a set goes to the chiplet as one packet (as several, if that cannot copy), and on from there.
    """
    network, demand = problem.network, problem.demand
    middle = np.array([network.package.index[name] for name in network.package.terminals])
    there, onward = np.zeros_like(demand), np.zeros_like(demand)
    there[:, middle] = demand.sum(axis=1, keepdims=True) / len(middle)
    onward[middle, :] = demand.sum(axis=0, keepdims=True) / len(middle)
    carry = partial(load_along_hops, network, plain_graph(network))
    load = np.zeros(network.num_arcs)
    for phase in (there, onward):
        np.fill_diagonal(phase, 0.0)
        load += carry(phase)
    trees = relayed_tree_loads(problem, split_equally, middle, carry)
    return Routed(load, trees, "valiant", _hop_bounds(problem))


def route_optimally(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route so that the busiest resource is done as early as any routing can have it done."""
    if not has_cycle(problem.network):
        direct = route_best(problem, tree_loads(problem, take_first), tol=effort.tol)
        proved = max(bound.time for bound in direct.bounds)
        if _time(problem, direct.trees, direct.arc_load) <= proved * (1 + ROUNDING):
            return direct
        candidates = [direct]  # with messages that go out of their way to a node that copies, if that pays
    else:
        candidates = [route_ecmp(problem, effort)]
        try:
            candidates.append(route_dor(problem, effort))
        except RoutingError:
            candidates.append(route_shortest(problem, effort))
    if time.perf_counter() >= effort.deadline:
        return replace(_fastest(problem, candidates), limited=True)
    trees = min((routed.trees for routed in candidates), key=lambda trees: _time(problem, trees))
    best = route_best(problem, trees, tol=effort.tol, deadline=effort.deadline, report=effort.report)
    candidates.insert(0, best)
    bounds = best.bounds
    packed = None
    if problem.messages:
        packed = pack_trees(problem, tol=effort.tol, deadline=effort.deadline, report=effort.report)
    if packed is not None:
        candidates.insert(0, packed)
        bounds = (*bounds, *packed.bounds)
    elif problem.messages and effort.deadline < np.inf:
        best = replace(best, limited=True)
    limited = candidates[0].limited or best.limited or time.perf_counter() >= effort.deadline
    return replace(_fastest(problem, candidates), bounds=bounds, limited=limited)


ROUTINGS: dict[str, Router] = {
    "optimal": route_optimally,
    "shortest": route_shortest,
    "ecmp": route_ecmp,
    "dor": route_dor,
    "up-down": route_up_down,
    "valiant": route_valiant,
}


def router_of(routing: str | Routing) -> Router:
    """Return what routes a problem, of a routing's name or of what may stand for it."""
    if isinstance(routing, str):
        return resolve(routing, ROUTINGS, "routing")
    if isinstance(routing, UpDown):
        return partial(route_up_down, root=routing.root)
    return along_paths(routing)


def along_paths(paths: PathFunction | PathTable) -> Router:
    """Return the router that follows given paths; copies of a message part where its paths do."""

    def route_along_paths(problem: RoutingProblem, effort: Effort) -> Routed:
        flow = path_flow(problem, paths)
        proof = CommodityFlow(
            flow,
            np.arange(problem.network.num_arcs),
            True,
            problem.sources,
            np.arange(problem.network.num_vertices),
        )
        trees = path_tree_loads(problem, path_walker(problem.network, paths))
        bounds = _hop_bounds(problem)
        return Routed(flow.sum(axis=0), trees, "given paths", bounds, proof)

    return route_along_paths


def _by_destination(
    problem: RoutingProblem,
    load: Floats,
    rule: ForwardingRule,
    trees: TreeLoads,
    method: str,
    bounds: tuple[Bound, ...] = (),
) -> Routed:
    return Routed(load, trees, method, bounds, partial(_forwarded, problem, rule))


def _hop_bounds(problem: RoutingProblem, load: Floats | None = None) -> tuple[Bound, ...]:
    """Return what the number of hops proves: all channels together carry each byte that many times at least.

    Parameters
    ----------
    load
        Of some minimum-hop routing, if one is at hand, [arcs].
    """
    network = problem.network
    if network.num_arcs == 0:
        return ()
    if load is None:
        load = load_along_hops(network, plain_graph(network), problem.demand, first_only=True)
    prices = np.zeros(network.num_resources)
    prices[network.own] = 1 / network.capacity[np.unique(network.own)].sum()
    return (Bound(float(load.sum() * prices.max()), "hops over total bandwidth", prices),)


def _forwarded(problem: RoutingProblem, rule: ForwardingRule) -> CommodityFlow:
    """Return what a forwarding rule makes of the demand: the flow behind loads that were found otherwise."""
    network, destinations = problem.network, problem.destinations
    flow = np.zeros((len(destinations), network.num_arcs))
    for part, forwarding in in_parts(network, rule, destinations):
        flow[part] = push(network, forwarding, problem.demand)
    everywhere = np.arange(network.num_vertices)
    return CommodityFlow(flow, np.arange(network.num_arcs), False, destinations, everywhere)


def _fastest(problem: RoutingProblem, candidates: list[Routed]) -> Routed:
    return min(candidates, key=lambda routed: _time(problem, routed.trees, routed.arc_load))


def _time(problem: RoutingProblem, trees: TreeLoads, arc_load: Floats | None = None) -> float:
    use = problem.ports + trees.use(problem.network)
    if arc_load is not None:
        use = use + problem.network.on_arcs @ arc_load
    return float(np.max(use / problem.network.capacity))
