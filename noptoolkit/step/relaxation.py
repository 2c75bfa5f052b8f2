"""The work of a step with no routing: the graph whose lower bound holds for all routings and all orders.

Every transfer becomes tasks that no routing can shorten: for each chiplet that receives (of a dispatch) or
sends (of a combine) one lane, and one task for each movement of memory. A task takes at least the time of its
largest pair alone, bytes over the maximum flow between source and sink, and it loads each price vector
(`noptoolkit.step.prices`), a resource of capacity 1 that no routing relieves, by its cost. A chiplet waits
for its own lane only. Messages to sets are one more lane, which the block's end waits for, since their bytes
cannot be told apart by member. Stacks keep their ports. Everything else is the same work: slices,
micro-batches, SRAM, prefetch and the order of loads. Another number of slices or micro-batches, or another
prefetch depth, is other work, which may beat the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.nodes import memory_time
from noptoolkit.package import Memory
from noptoolkit.routing.problem import membership
from noptoolkit.step.prices import PriceCosts
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Lane, Pair, Transfer, add_up

__all__ = ["relaxed_step"]


def relaxed_step(step: Step, costs: PriceCosts) -> Step:
    """Return a step whose transfers are lower bounds over all routings, for bounds only."""
    network = flow_network(step.package)
    alone = _Alone(network, step.options.efficiency.network)
    relaxed = step.with_transfers(lambda sent: _relaxed(step, sent, costs, alone))
    return replace(relaxed, routing="", relaxed=True)


@dataclass(eq=False)
class _Alone:
    """Least time per byte of a pair with the network to itself, in s/B, worked out once for each."""

    network: FlowNetwork
    efficiency: float

    def __post_init__(self) -> None:
        from scipy.sparse import csr_array

        network = self.network
        self.known: dict[tuple[int, int], float] = {}
        self.unit = float(network.arc_capacity.max(initial=1.0)) / 2**24
        whole = np.ceil(network.arc_capacity / self.unit).astype(np.int32)  # rounded up: flows are no smaller
        shape = (network.num_vertices, network.num_vertices)
        self.graph = csr_array((whole, (network.tail, network.head)), shape=shape)
        self.graph.sum_duplicates()

    def time(self, ends: Pair) -> float:
        index = self.network.package.index
        key = (int(self.network.origin[index[ends[0]]]), int(self.network.destination[index[ends[1]]]))
        if key not in self.known:
            from scipy.sparse.csgraph import maximum_flow

            flow = (
                float(maximum_flow(self.graph, *key).flow_value) * self.unit if key[0] != key[1] else np.inf
            )
            self.known[key] = 1 / flow / self.efficiency if flow > 0 else 0.0
        return self.known[key]


def _relaxed(step: Step, sent: Transfer, costs: PriceCosts, alone: _Alone) -> Transfer:
    efficiency = step.options.efficiency.network

    def named(cost: Floats) -> dict[str, float]:
        return {f"price {k}": float(cost[k]) / efficiency for k in np.flatnonzero(cost > 0).tolist()}

    if sent.of_memory:
        ports = _ports(step, sent, alone.network)
        if not step.options.weights_on_network:
            least = max(ports.values(), default=0.0)
            return replace(sent, ports=ports, uses={}, paths=None, trees=None, least=least)
        cost = np.sum([size * costs.pairs[ends] for ends, size in sent.pairs.items()], axis=0)
        cost = np.atleast_1d(cost + costs.messages.get(sent.index, 0.0))
        arriving = [*sent.pairs.items(), *_message_pairs(alone.network, sent).items()]
        least = max((size * alone.time(ends) for ends, size in arriving), default=0.0)
        return replace(sent, ports=ports, uses=named(cost), paths=None, trees=None, least=least)
    side, word = (0, "from") if sent.kind == "combine" else (1, "to")
    amount: dict[str, Floats] = {}
    alike: dict[Pair, float] = dict(sent.pairs)
    for ends, size in sent.pairs.items():
        name = "all" if sent.kind == "exchange" else f"{word} {ends[side]}"
        amount[name] = amount.get(name, 0.0) + size * costs.pairs[ends]
    for ends, size in _message_pairs(alone.network, sent).items():
        alike[ends] = alike.get(ends, 0.0) + size
    if sent.index in costs.messages:
        amount["all"] = amount.get("all", 0.0) + costs.messages[sent.index]
    longest: dict[str, float] = {}
    if sent.summed is not None:
        longest["all"] = sent.summed.time_bound / efficiency
    for ends, size in alike.items():
        name = "all" if sent.kind == "exchange" else f"{word} {ends[side]}"
        longest[name] = max(longest.get(name, 0.0), size * alone.time(ends))
    none = np.zeros(len(costs.prices))
    lanes = {
        name: Lane(named(amount.get(name, none)), longest.get(name, 0.0)) for name in {**amount, **longest}
    }
    uses = add_up(lane.uses for lane in lanes.values())
    return replace(sent, uses=uses, lanes=lanes, paths=None, trees=None)


def _message_pairs(network: FlowNetwork, sent: Transfer) -> Mapping[Pair, float]:
    """Return the bytes of messages that each member receives from each root, or sends to it."""
    found: dict[Pair, float] = {}
    nodes = network.package.nodes
    for part in () if sent.problem is None else sent.problem.messages:
        for bit, node in enumerate(part.endpoints.tolist()):
            chosen = membership(part.members, bit) & (part.root != node)
            amount = np.bincount(part.root[chosen], part.bytes[chosen], len(nodes))
            for root in np.flatnonzero(amount > 0).tolist():
                ends = (nodes[node].name, nodes[root].name)
                ends = ends if part.reverse else ends[::-1]
                found[ends] = found.get(ends, 0.0) + float(amount[root])
    return found


def _ports(step: Step, sent: Transfer, network: FlowNetwork) -> dict[str, float]:
    """Return the least time on each stack's port: its own, or that of all its links in one direction.

    A message leaves its stack once at least.
    """
    package, efficiency = step.package, step.options.efficiency
    ports: dict[str, float] = {}
    once = {}
    for (source, sink), size in _message_pairs(network, sent).items():
        once[source] = ((source, sink), size)
    for ends, size in (*sent.pairs.items(), *once.values()):
        sides = ((ends[0], network.tail, network.origin), (ends[1], network.head, network.destination))
        for end, other, vertices in sides:
            memory = package[end]
            if isinstance(memory, Memory):
                own = np.unique(network.own[other == vertices[package.index[end]]])
                narrowest = max(float(network.capacity[own].sum()), 1e-300)
                port = size / memory.bandwidth / efficiency.network
                link = size / narrowest / efficiency.network
                time = max(memory_time(memory, size, efficiency.memory), port, link)
                ports[end] = ports.get(end, 0.0) + time
    return ports
