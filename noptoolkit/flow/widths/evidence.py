"""What solved flows say about other bandwidths: prices bound every widening, loads can be had under any.

A solve at capacities C gives two things that do not depend on C. Prices y >= 0 with the cost K(y) that every
routing pays under them (`noptoolkit.flow.bounds.certificate`), so that for any capacities c::

    time(c) >= K(y) / (y . c)                                                                       (plane)

and the use u of each resource by a flow that carries everything, so that::

    time(c) <= max over r of u_r / c_r,   also for every convex combination of uses                 (use)

In the reciprocal, the throughput 1 / time, planes are linear in c and bound a concave function from above;
uses bound it from below. All that this folder finds out about bandwidths is made of these two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow.bounds.certificate import price_bound
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.network import flow_network
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.method import RoutingMethod
from noptoolkit.routing.problem import RoutingProblem, routing_problem

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Evidence", "Plane", "evidence_of"]


@dataclass(frozen=True, eq=False)
class Plane:
    """A lower bound on the time under any capacities c: cost / (prices . c).

    Parameters
    ----------
    prices
        Price of each resource, at least 0, [resources].
    cost
        What every routing (of a fixed routing: this one) pays under them.
    method
        Name of the method that found them.
    flow
        Result that holds the proof, ``None`` where the cost is recounted by shortest paths.
    """

    prices: Floats
    cost: float
    method: str
    flow: FlowResult | None = None


@dataclass(eq=False)
class Evidence:
    """All planes and uses that are known of one traffic under one routing.

    Parameters
    ----------
    problem
        Traffic on the network, of the package as it is today.
    efficiency
        Share of its bandwidth that a router sustains.
    fixed
        Whether the routing does not choose: its use is the same under any bandwidth, and its planes, one for
        each resource, are all that there are.
    planes, uses
        See the module.
    """

    problem: RoutingProblem
    efficiency: float
    fixed: bool
    planes: list[Plane] = field(default_factory=list)
    uses: list[Floats] = field(default_factory=list)

    def learn(self, flow: FlowResult) -> None:
        """Add the prices and the use of a result, of this package or a widened one."""
        as_shared = flow_network(flow.package).capacity / flow.network.capacity  # of parallel channels
        self.uses.append(np.asarray(flow.use) * as_shared / self.efficiency)
        if self.fixed:
            return
        scale = float(flow.network.capacity @ flow.prices)
        cost = flow.time_bound * (scale if scale > 0 else 1.0)
        if cost > 0:
            self.planes.append(Plane(flow.prices, cost, flow.bound_method, flow))

    def learn_prices(self, prices: Floats, method: str) -> Plane:
        """Add prices; what they cost is counted by shortest paths, whoever found them."""
        bound = price_bound(self.problem, prices, method)
        plane = Plane(bound.prices, bound.time / self.efficiency, method)
        if plane.cost > 0:
            self.planes.append(plane)
        return plane

    def learn_forced(self) -> None:
        """Add what every routing puts on each channel alone, and through all channels round each vertex."""
        network = self.problem.network
        channels = np.unique(network.own)
        trials = [channels[[k]] for k in range(len(channels))]
        for ends in (network.tail, network.head):
            trials += [np.unique(network.own[ends == vertex]) for vertex in np.unique(ends)]
        for some in trials:
            prices = np.zeros(network.num_resources)
            prices[some] = 1.0
            self.learn_prices(prices, "forced load")

    def learn_use(self, use: Floats) -> None:
        """Add the use of each resource, in B, by a flow that carries everything."""
        self.uses.append(use / self.efficiency)

    def bound(self, capacity: Floats) -> float:
        """Return the best lower bound on the time under some capacities, in s."""
        return max((plane.cost / float(plane.prices @ capacity) for plane in self.planes), default=0.0)

    def time(self, capacity: Floats) -> float:
        """Return the time of the best single flow that is known, in s."""
        return min(float((use / capacity).max(initial=0.0)) for use in self.uses)


def evidence_of(flow: FlowResult, method: RoutingMethod) -> Evidence:
    """Return what a result says about other bandwidths.

    Of an optimal routing: its prices, and that forced loads (ports, links that every path crosses) stay.
    """
    problem = routing_problem(flow.package, flow.traffic)
    fixed = not method.searches
    evidence = Evidence(problem, flow.efficiency, fixed)
    evidence.learn(flow)
    network = problem.network
    if fixed:
        least = evidence.uses[0] * flow.efficiency
    else:
        peeled = peel(problem, tree_loads(problem, take_first))
        least = problem.ports + network.on_arcs @ peeled.forced
        if not problem.messages and peeled.program is None and not peeled.has_choice:
            evidence.fixed = True  # every path is the only one
    for resource in np.flatnonzero(least > 0).tolist():
        prices = np.zeros(network.num_resources)
        prices[resource] = 1.0
        name = "load of this routing" if fixed else "forced load"
        evidence.planes.append(Plane(prices, float(least[resource]) / flow.efficiency, name))
    return evidence
