"""How the transfers of a step are routed: from bytes between pairs to the time that resources are occupied.

A `StepRouting` gives the share of a pair's bytes on each arc, transfer by transfer, and the trees of its
messages. Parallel channels share as the routing says (`noptoolkit.network.Sharing`). A memory stack's port
and its own links are one resource, named after the stack: a movement holds it for the longer of the two
times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.routings import route
from noptoolkit.network import FlowNetwork, Sharing, flow_network
from noptoolkit.nodes import memory_time
from noptoolkit.package import Memory, Package
from noptoolkit.routing.method import Effort, RoutingMethod
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Pair, Transfer
from noptoolkit.traffic import from_matrix

__all__ = ["ALONE", "StepRouting", "named_routing", "own_resources", "pair_use", "routed_step"]

ALONE = "optimal-alone"
"""Name of the routing that routes each transfer as if it were alone on the package."""


@dataclass(frozen=True, eq=False)
class StepRouting:
    """A routing of all transfers of a step.

    Parameters
    ----------
    name
        Name that results give.
    pair
        Called with a transfer, a pair and its bytes; returns the share of them on each arc, [arcs].
    trees
        Called with a transfer; returns what its messages put on the network.
    whole
        Routing of the whole problem of a transfer, used instead of the other two for all but movements of
        memory; ``None`` where each pair has its own paths.
    sharing
        How parallel channels share what pairs and messages send; that of ``whole`` is its own.
    """

    name: str
    pair: Callable[[Transfer, Pair, float], Floats]
    trees: Callable[[Transfer], TreeLoads] | None = None
    whole: RoutingMethod | None = None
    sharing: Sharing = "by bandwidth"


def named_routing(package: Package, routing: str | Routing) -> StepRouting:
    """Return a routing by name (or a user's) as a routing of steps.

    Parameters
    ----------
    routing
        A name in `noptoolkit.flow.ROUTINGS`, such a routing, or ``optimal-alone``: the best routes of each
        transfer alone, and shortest paths for memory.
    """
    whole = method_of("optimal" if routing == ALONE else routing)
    single = method_of("shortest") if routing == ALONE else whole
    known = _paths_of(package, single.name) if isinstance(routing, str) else {}

    def trees(transfer: Transfer) -> TreeLoads:  # of readings: the rest is routed as a whole
        assert transfer.problem is not None
        return route(single, transfer.problem, Effort()).trees

    def pair(transfer: Transfer, ends: Pair, size: float) -> Floats:
        if ends not in known:
            one = from_matrix(package, [[0.0, 1.0], [0.0, 0.0]], endpoints=ends)
            known[ends] = route(single, routing_problem(package, one), Effort()).arc_load
        return known[ends]

    name = ALONE if routing == ALONE else whole.name
    return StepRouting(name, pair, trees, whole, single.sharing)


@lru_cache(maxsize=16)
def _paths_of(package: Package, routing: str) -> dict[Pair, Floats]:
    """Return the shares of pairs on the arcs of a package under a routing by name, as far as asked for."""
    return {}


def routed_step(step: Step, routing: StepRouting) -> Step:
    """Return a step whose transfers follow a routing."""
    costs = _Costs(step, routing)
    routed = step.with_transfers(lambda sent: _routed(step, sent, routing, costs))
    return replace(routed, routing=routing.name)


def pair_use(network: FlowNetwork, ends: Pair, arcs: Floats) -> Floats:
    """Return what each byte of a pair uses of each resource, in B/B, [resources].

    Parameters
    ----------
    arcs
        Share of the bytes on each arc, [arcs].
    """
    index = network.package.index
    sends, receives = np.zeros(len(index)), np.zeros(len(index))
    sends[index[ends[0]]] = receives[index[ends[1]]] = 1.0
    use: Floats = network.on_arcs @ arcs + network.on_injected @ sends + network.on_ejected @ receives
    return use


def own_resources(network: FlowNetwork) -> dict[str, Ints]:
    """Return the port and the links' resources of each memory stack, by its name."""
    package, found = network.package, {}
    for memory in package.memories:
        ends = (network.origin[package.index[memory.name]], network.destination[package.index[memory.name]])
        links = network.own[(network.tail == ends[0]) | (network.head == ends[1])]
        found[memory.name] = np.unique(np.r_[links, network.names.index(f"{memory.name} port")])
    return found


class _Costs:
    """Times per byte of paths, worked out once for each."""

    def __init__(self, step: Step, routing: StepRouting) -> None:
        self.efficiency = step.options.efficiency
        self.network = flow_network(step.package).shared(routing.sharing)
        self.rate = self.rate_of(self.network)
        self.own = own_resources(self.network)
        self.known: dict[tuple[Pair, int], tuple[Floats, Floats]] = {}
        self.moved: dict[Any, Transfer] = {}  # movements of memory, by their bytes and paths

    def rate_of(self, network: FlowNetwork) -> Floats:
        """Return the time that each byte occupies each resource, in s/B, [resources]."""
        rate: Floats = 1 / (network.capacity * self.efficiency.network)
        return rate

    def per_byte(self, ends: Pair, arcs: Floats) -> Floats:
        """Return the time that each byte occupies each resource, in s/B, [resources]."""
        key = (ends, id(arcs))
        if key not in self.known or self.known[key][0] is not arcs:
            self.known[key] = (arcs, pair_use(self.network, ends, arcs) * self.rate)
        return self.known[key][1]


def _routed(step: Step, sent: Transfer, routing: StepRouting, costs: _Costs) -> Transfer:
    if sent.summed is not None:
        network = flow_network(step.package)
        time = sent.summed.use * costs.rate_of(network)
        return replace(sent, uses=_named(network, time), load=sent.summed.load, sharing="by bandwidth")
    if sent.problem is not None and routing.whole is not None and not sent.of_memory:
        sharing = routing.whole.sharing
        network = sent.problem.network.shared(sharing)
        routed = route(routing.whole, sent.problem, Effort())
        time = routed.use(network, sent.problem.ports) * costs.rate_of(network)
        load = network.channel_load(routed.arc_load + routed.trees.arc_load)
        return replace(sent, uses=_named(network, time), load=load, trees=routed.trees, sharing=sharing)
    network = costs.network
    time, load = np.zeros(network.num_resources), np.zeros(network.num_arcs)
    ports: dict[str, float] = {}
    paths = {ends: routing.pair(sent, ends, size) for ends, size in sent.pairs.items()}
    moved = (tuple(sent.pairs.items()), *map(id, paths.values()))
    if sent.problem is None and (like := costs.moved.get(moved)) is not None:
        return replace(like, index=sent.index, kind=sent.kind)  # most slices are alike
    for ends, size in sent.pairs.items():
        arcs = paths[ends]
        load += size * arcs
        takes = size * costs.per_byte(ends, arcs)
        memory = _memory_of(step.package, ends)
        if memory is not None:
            own = costs.own[memory.name]
            port = memory_time(memory, size, costs.efficiency.memory)
            ports[memory.name] = ports.get(memory.name, 0.0) + max(port, float(takes[own].max()))
            takes[own] = 0.0
            if not step.options.weights_on_network:
                continue
        time += takes
    trees = None
    if sent.problem is not None and sent.problem.messages:
        assert routing.trees is not None  # a routing without trees routes whole problems
        trees = routing.trees(sent)
        load += trees.arc_load
        takes = trees.use(network) * costs.rate
        for memory in step.package.memories if sent.of_memory else ():
            own, size = costs.own[memory.name], float(trees.injected[step.package.index[memory.name]])
            if size > 0:
                port = memory_time(memory, size, costs.efficiency.memory)
                ports[memory.name] = ports.get(memory.name, 0.0) + max(port, float(takes[own].max()))
            takes[own] = 0.0
        if step.options.weights_on_network or not sent.of_memory:
            time += takes
    uses = _named(network, time)
    found = replace(
        sent,
        ports=ports,
        uses=uses,
        load=network.channel_load(load),
        paths=paths,
        trees=trees,
        sharing=routing.sharing,
    )
    if sent.problem is None:
        costs.moved[moved] = found  # it keeps the paths, whose ids stay theirs
    return found


def _memory_of(package: Package, ends: Pair) -> Memory | None:
    nodes = (package[ends[0]], package[ends[1]])
    return next((node for node in nodes if isinstance(node, Memory)), None)


def _named(network: FlowNetwork, time: Floats) -> Mapping[str, float]:
    return {network.names[r]: float(time[r]) for r in np.flatnonzero(time > 0)}
