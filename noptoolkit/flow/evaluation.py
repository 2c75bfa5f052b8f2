"""Time of a traffic on a package under a routing, with a lower bound over all routings."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import cast

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._numbers import is_number
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.flow.bounds.certificate import node_cut_bounds, price_bound
from noptoolkit.flow.bounds.level_cuts import level_cut_bound
from noptoolkit.flow.result import Bottleneck, FlowResult, ResourceKind
from noptoolkit.flow.routings import route
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Package, expect_package
from noptoolkit.progress import Progress
from noptoolkit.routing.method import Effort, RoutingMethod
from noptoolkit.routing.problem import RoutingProblem, routing_problem
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.routing.solution import Bound, CommodityFlow, Routed, Status, TreeLoads, gap_between
from noptoolkit.traffic import Traffic

__all__ = ["congestion", "name_of"]


EXACT = 1e-6
ALIKE = 1e-12
SMALL = 200  # vertices up to which a fixed routing's own congestion is priced for a better bound


def congestion(
    package: Package,
    traffic: Traffic,
    *,
    routing: str | Routing = "optimal",
    tol: float = 0.01,
    time_limit: float | None = None,
    efficiency: float = 1.0,
    report: Progress | None = None,
) -> FlowResult:
    """Return the time of a traffic on a package, the load of every channel, and a lower bound on the time.

    Parameters
    ----------
    package
        The graph; its channels, crossbars, injection, ejection and memory ports are the capacities.
    traffic
        Demands in bytes and messages to sets.
    routing
        A name in ``ROUTINGS``; the path of every pair, as a table ``{(source, destination): nodes}`` or a
        function ``(source, destination) -> nodes``; `noptoolkit.routing.NextHops`, for a rule that splits;
        `noptoolkit.routing.UpDown` with a root; the `noptoolkit.routing.Forwarding` of another flow; or a
        `noptoolkit.routing.RoutingMethod`. ``optimal`` is the best of all, with proof.
    tol
        Gap between time and bound at which ``optimal`` may stop.
    time_limit
        Time limit in s, for everything together; the interval reached by then is returned. An initial
        interval (ecmp, single-node cuts) is always returned, whatever the limit.
    efficiency
        Share of its bandwidth that a real router sustains, in (0, 1]; divides time and bound.
    report
        Function that receives the progress of long solves, one line at a time, such as ``print``.

    Raises
    ------
    InfeasibleError
        If a demand has no path.
    RoutingError
        If the routing does not apply to the package, or an option is out of range.
    UnknownNameError
        If there is no routing of that name.
    WorkloadError
        If the traffic is negative, NaN, infinite or not of this package.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> from noptoolkit.traffic import from_matrix
    >>> star = Package("star-4", [Switch("hub"), *(Chiplet(f"e{i}", role="expert") for i in range(4))],
    ...                [Link("hub", f"e{i}", "1 GB/s") for i in range(4)])
    >>> flow = congestion(star, from_matrix(star, [[1e9] * 4] * 4))
    >>> flow.time, flow.time_bound, flow.status
    (3.0, 3.0, 'exact')
    """
    expect_package(package)
    if not isinstance(traffic, Traffic):
        raise WorkloadError(f"{traffic!r} is not a Traffic; use noptoolkit.traffic to make one")
    if (tol != math.inf and not is_number(tol)) or tol <= 0:
        raise RoutingError(f"tol {tol!r} must be above 0; write tol=0.01 for 1 %")
    if not is_number(efficiency) or not 0 < efficiency <= 1:
        raise RoutingError(f"efficiency {efficiency!r} is a share of the bandwidth; give it in (0, 1]")
    if time_limit is not None and time_limit != math.inf and not (is_number(time_limit) and time_limit > 0):
        raise RoutingError(f"time_limit {time_limit!r} must be above 0 s; leave it out for none")
    if report is not None and not callable(report):
        raise RoutingError(f"report={report!r} is not callable; give a function of one line, such as print")
    start = time.perf_counter()
    method = method_of(routing)
    problem = routing_problem(package, traffic)
    effort = Effort(tol, start + time_limit if time_limit is not None else math.inf, report)
    routed = route(method, problem, effort) if problem.network.num_arcs else _nothing(problem)
    seconds = time.perf_counter() - start
    return _assemble(problem, routed, method, effort, efficiency, seconds)


def name_of(routing: str | Routing) -> str:
    """Return the name of a routing in results."""
    return routing if isinstance(routing, str) else method_of(routing).name


def _nothing(problem: RoutingProblem) -> Routed:
    """Return what a package without channels carries."""
    nodes, vertices = len(problem.network.origin), problem.network.num_vertices
    none, no_arcs = np.zeros(0, np.int64), np.zeros((0, 0))
    proof = CommodityFlow(no_arcs, none, True, none, np.arange(vertices))
    trees = TreeLoads(np.zeros(0), np.zeros(nodes), np.zeros(nodes))
    return Routed(np.zeros(0), trees, "nothing to carry", proof=proof)


def _assemble(
    problem: RoutingProblem,
    routed: Routed,
    method: RoutingMethod,
    effort: Effort,
    efficiency: float,
    seconds: float,
) -> FlowResult:
    network = problem.network.shared(method.sharing)
    use = routed.use(network, problem.ports)
    ratio = use / network.capacity
    achieved = float(ratio.max(initial=0.0))
    tied = np.flatnonzero(ratio >= achieved * (1 - ALIKE))  # of those that tie but for rounding, the first
    load = network.channel_load(routed.arc_load + routed.trees.arc_load)
    bound = best_bound(problem, routed, ratio)
    if math.isclose(bound.time, achieved, rel_tol=ALIKE):
        bound = dataclasses.replace(bound, time=achieved)
    gap = gap_between(achieved, bound.time)
    if gap <= EXACT:
        status: Status = "exact"
    elif not method.searches:
        status = "fixed routing"
    else:
        status = "certified" if gap <= effort.tol else "time limit" if routed.limited else "bounded"
    for array in (load, use, bound.prices):
        array.flags.writeable = False
    return FlowResult(
        package=network.package,
        traffic=problem.traffic,
        routing=method.name,
        efficiency=efficiency,
        load=load,
        time=achieved / efficiency,
        time_bound=bound.time / efficiency,
        bottleneck=_bottleneck(network, int(tied[0]), load) if achieved > 0 else Bottleneck(),
        status=status,
        method=routed.method,
        bound_method=bound.method,
        seconds=seconds,
        use=use,
        prices=bound.prices,
        packings=bound.packings,
        network=network,
        routed=routed,
    )


def best_bound(problem: RoutingProblem, routed: Routed, ratio: Floats) -> Bound:
    """Return the best bound that a routing, a cut or (in small packages) congestion prices prove.

    Parameters
    ----------
    ratio : array of float
        Time that the routing keeps each resource busy, in s, [resources].
    """
    network = problem.network
    bounds = [*routed.bounds] if problem.messages else [*node_cut_bounds(problem), *routed.bounds]
    bounds.append(Bound(0.0, "nothing to carry", np.zeros(network.num_resources)))
    peak = float(ratio.max(initial=0.0))
    best = max(bounds, key=lambda bound: bound.time)
    if problem.messages and peak > best.time * (1 + EXACT):  # millions of messages take their time
        bounds += node_cut_bounds(problem)
        best = max(bounds, key=lambda bound: bound.time)
    if peak > best.time * (1 + EXACT):
        busy = np.bincount(network.own, minlength=network.num_resources) > 0
        worst = int(np.argmax(np.where(busy, ratio, -1.0)))
        bounds.append(level_cut_bound(problem, int(np.flatnonzero(network.own == worst)[0])))
        best = max(bounds, key=lambda bound: bound.time)
    if network.num_vertices <= SMALL and peak > best.time * (1 + EXACT):
        busiest = np.zeros(network.num_resources)
        busiest[int(np.argmax(ratio))] = 1.0
        bounds.append(price_bound(problem, busiest, "the busiest resource"))
        for steep in (20.0, 80.0):
            prices = np.exp(steep * (ratio / peak - 1)) / network.capacity
            bounds.append(price_bound(problem, prices, "congestion prices"))
    return max(bounds, key=lambda bound: bound.time)


def _bottleneck(network: FlowNetwork, worst: int, load: Floats) -> Bottleneck:
    """Return the resource as data; of a link both ways or several, the channel that takes the longest."""
    mine = np.flatnonzero(network.own[network.arc_of_channel] == worst)
    if len(mine) == 0:
        node, _, kind = network.names[worst].rpartition(" ")  # a kind is one word, a node may be several
        return Bottleneck(cast(ResourceKind, kind), node)
    bandwidth = np.array([network.package.channels[i].bandwidth for i in mine.tolist()])
    busier = int(mine[np.argmax(load[mine] / bandwidth)])
    return Bottleneck("channel", network.package.channels[busier].name)
