"""A lower bound on a step over all routings, split or not, and all orders of the same work.

It is the lower bound of the step's task graph in which transfers are priced instead of routed
(`noptoolkit.step.prices`, `noptoolkit.step.relaxation`). The certificate are the prices, the relaxed graph
and the stages between which the load must fit; `noptoolkit.step.verification` checks it with code of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow.bounds.program import has_cycle
from noptoolkit.flow.routings import route
from noptoolkit.network import flow_network
from noptoolkit.routing.method import Effort
from noptoolkit.routing.rules import method_of
from noptoolkit.scheduling import LowerBound, TaskGraph
from noptoolkit.scheduling.list_scheduling import bounds_of
from noptoolkit.step.joint_trees import with_trees
from noptoolkit.step.path_program import PathPool
from noptoolkit.step.phases import phases_of
from noptoolkit.step.prices import PriceCosts, prices_of
from noptoolkit.step.relaxation import relaxed_step
from noptoolkit.step.step import Step

__all__ = ["RoutingBound", "bound_of_routings", "has_one_routing"]


@dataclass(frozen=True, eq=False, repr=False)
class RoutingBound:
    """A lower bound over all routings and orders, with its certificate.

    Parameters
    ----------
    bounds : LowerBound
        Lower bounds of the relaxed graph; ``bounds.value`` is the bound in s.
    prices : ndarray
        Price vectors with capacity @ prices = 1, in s/B, [prices, resources of the network].
    graph : TaskGraph
        The work with priced transfers; its resource ``price k`` is price vector k.
    step : Step
        The step whose transfers are priced.
    """

    bounds: LowerBound
    prices: Floats
    graph: TaskGraph
    step: Step

    def __repr__(self) -> str:
        return f"RoutingBound({self.value:.6g} s, {len(self.prices)} price vectors, {self.method})"

    @property
    def value(self) -> float:
        """The bound, in s."""
        return self.bounds.value

    @property
    def method(self) -> str:
        """Argument that gives the bound."""
        return self.bounds.method

    def price_in_words(self, most: int = 4) -> str:
        """Return what the price that the method names is of; empty where it names none."""
        named = re.search(r"price (\d+)", self.method)
        if named is None:
            return ""
        network = flow_network(self.step.package)
        share = self.prices[int(named[1])] * network.capacity  # 1 in all
        order = np.argsort(-share, kind="stable")[: int((share > 0.005).sum())].tolist()
        told = ", ".join(f"{network.names[r]} {share[r]:.0%}" for r in order[:most])
        more = f" and {len(order) - most} more" if len(order) > most else ""
        what = "is a mean over the load of resources that no routing lowers"
        return f"{named[0].capitalize()} {what}: {told}{more}."


def bound_of_routings(
    step: Step, graph_of: Callable[[Step], TaskGraph], pool: PathPool | None = None
) -> RoutingBound:
    """Return a lower bound on the makespan of a step over all routings and all orders.

    Parameters
    ----------
    step : Step
        A routed step; its routes only give what messages use, from which good prices come.
    graph_of : callable
        Makes the task graph of a step.
    pool : PathPool, optional
        Paths known so far; it grows.
    """
    network, phases = flow_network(step.package), phases_of(_along_shortest_trees(step))
    if pool is None:
        pool = PathPool(network, phases.pairs)
    sums = {
        id(sent.summed.result): sent.summed.result for sent in step.transfers() if sent.summed is not None
    }
    prices = np.vstack([prices_of(pool, phases), *(result.prices for result in sums.values())])
    costs = PriceCosts.of(network, prices, phases.pairs, step.transfers())
    relaxed = relaxed_step(step, costs)
    graph = graph_of(relaxed)
    return RoutingBound(bounds_of(graph), costs.prices, graph, relaxed)


def _along_shortest_trees(step: Step) -> Step:
    """Return a step for the prices, which are then the same whichever trees were chosen with the paths."""
    trees = {}
    for sent in step.transfers():
        if sent.trees is not None:
            trees[sent.index] = sent.trees
            if sent.paths is not None and sent.problem is not None:
                trees[sent.index] = route(method_of("shortest"), sent.problem, Effort()).trees
    return with_trees(step, trees)


def has_one_routing(step: Step) -> bool:
    """Return whether every transfer has one path only: no cycle, no all-reduce, all nodes copy and add.

    Where some nodes copy and others do not, a message may pass a node twice, even on a tree.
    """
    network = flow_network(step.package)
    if has_cycle(network) or any(sent.summed is not None for sent in step.transfers()):
        return False
    onward = np.isin(network.head, network.origin)  # nothing passes through a memory stack
    between = np.bincount(network.tail[onward], minlength=network.num_vertices) > 1
    problems = [sent.problem for sent in step.transfers() if sent.problem is not None]
    return all(part.helps[between].all() for problem in problems for part in problem.messages)
