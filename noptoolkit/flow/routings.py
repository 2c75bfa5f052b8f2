"""Loads under a routing: the record of a routing (`noptoolkit.routing.RoutingMethod`) put to use.

Fixed routings follow their rule or paths; a routing that searches without a function of its own is the
certified optimum (`noptoolkit.flow.optimal`, `noptoolkit.flow.trees`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from noptoolkit import _moved
from noptoolkit._arrays import Floats
from noptoolkit.errors import RoutingError
from noptoolkit.flow.bounds.program import has_cycle
from noptoolkit.flow.optimal.portfolio import route_best
from noptoolkit.flow.trees.multicast import path_tree_loads, relayed_tree_loads, tree_loads
from noptoolkit.flow.trees.packing import pack_trees
from noptoolkit.routing.forwarding import ForwardingRule, in_parts, push, split_equally, take_first
from noptoolkit.routing.given_paths import PathFunction, PathTable, path_flow, path_rule, path_walker
from noptoolkit.routing.hop_loads import shortest_path_load
from noptoolkit.routing.method import Effort, RoutingMethod
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.rules import ROUTINGS, rule_of
from noptoolkit.routing.solution import Bound, CommodityFlow, Routed, TreeLoads, TwoTrips

__all__ = ["route"]


ROUNDING = 1e-9  # of a time that its bound equals


def route(method: RoutingMethod, problem: RoutingProblem, effort: Effort) -> Routed:
    """Return the loads of a problem under a routing, whichever kind it is."""
    if method.route is not None:
        return method.route(problem, effort)
    if method.searches:
        return route_optimally(problem, effort)
    if method.relayed:
        return _by_two_trips(method, problem)
    if method.paths is not None:
        return _along_paths(method, method.paths, problem)
    return _by_rule(method, rule_of(method), problem)


def _by_rule(method: RoutingMethod, rule: ForwardingRule, problem: RoutingProblem) -> Routed:
    network, demand = problem.network, problem.demand
    if method.load is not None:
        load = method.load(network, demand)
    else:
        load = np.zeros(network.num_arcs)
        for _, forwarding in in_parts(network, rule, problem.destinations):
            load += push(network, forwarding, demand).sum(axis=0)
    trees, bounds = tree_loads(problem, rule), _hop_bounds(problem, load if method.minimal else None)
    proof, forward = partial(_forwarded, problem, rule), partial(rule, network, problem.destinations)
    return Routed(load, trees, method.title or method.name, bounds, proof, rule=forward)


def _by_two_trips(method: RoutingMethod, problem: RoutingProblem) -> Routed:
    """Route every packet via a random chiplet, by ecmp on both trips.

    A message to a set goes to the chiplet as one packet (as several, if that cannot copy), and on from there.
    """
    network, demand = problem.network, problem.demand
    middle = np.array([network.package.index[name] for name in network.package.terminals])
    there, onward = np.zeros_like(demand), np.zeros_like(demand)
    there[:, middle] = demand.sum(axis=1, keepdims=True) / len(middle)
    onward[middle, :] = demand.sum(axis=0, keepdims=True) / len(middle)
    carry = partial(shortest_path_load, network)
    load = np.zeros(network.num_arcs)
    for phase in (there, onward):
        np.fill_diagonal(phase, 0.0)
        load += carry(phase)
    trees = relayed_tree_loads(problem, split_equally, middle, carry)
    return Routed(load, trees, method.title or method.name, _hop_bounds(problem), TwoTrips(middle))


def _along_paths(method: RoutingMethod, paths: PathFunction | PathTable, problem: RoutingProblem) -> Routed:
    """Route along given paths; copies of a message part where its paths do."""
    flow = path_flow(problem, paths)
    everywhere = np.arange(problem.network.num_vertices)
    proof = CommodityFlow(flow, np.arange(problem.network.num_arcs), True, problem.sources, everywhere)
    trees = path_tree_loads(problem, path_walker(problem.network, paths))
    rule = partial(path_rule, problem.network, paths, problem.demand)
    title, load = method.title or method.name, flow.sum(axis=0)
    return Routed(load, trees, title, _hop_bounds(problem), proof, rule=rule)


def route_optimally(problem: RoutingProblem, effort: Effort) -> Routed:
    """Route so that the busiest resource is done as early as any routing can have it done."""
    if not has_cycle(problem.network):
        direct = route_best(problem, tree_loads(problem, take_first), tol=effort.tol)
        proved = max(bound.time for bound in direct.bounds)
        if _time(problem, direct.trees, direct.arc_load) <= proved * (1 + ROUNDING):
            return direct
        candidates = [direct]  # with messages that go out of their way to a node that copies, if that pays
    else:
        candidates = [route(ROUTINGS["ecmp"], problem, effort)]
        try:
            candidates.append(route(ROUTINGS["dor"], problem, effort))
        except RoutingError:
            candidates.append(route(ROUTINGS["shortest"], problem, effort))
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


def _hop_bounds(problem: RoutingProblem, load: Floats | None = None) -> tuple[Bound, ...]:
    """Return the bound by hops: all channels together carry each byte at least once for each hop.

    Parameters
    ----------
    load
        Load of some minimum-hop routing if known, [arcs].
    """
    network = problem.network
    if network.num_arcs == 0:
        return ()
    if load is None:
        load = shortest_path_load(network, problem.demand, first_only=True)
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


def __getattr__(name: str) -> Any:
    return _moved.attribute(__name__, name)
