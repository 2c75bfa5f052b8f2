"""An independent check of a `FlowResult`: plain numpy, scipy and networkx, and none of the solvers' code.

From the package and the traffic alone it asks:

* Does the kept flow carry the demand? At every vertex but a commodity's own, inflow >= outflow + demand;
  where trees were stripped, that they are trees, hang on one vertex each, and carry what crosses them.
* Does every message reach all its members, as a whole, with no copy made but where a node can?
* Are the channel loads, the use of every channel, half-duplex link, crossbar and port, and ``time`` what
  follows?
* Do the prices, none negative, prove ``time_bound``, by shortest paths under strictly positive lengths,
  the cheapest trees of small sets, and cuts for large ones?

What is too much to follow or to price again is named in the `Verification`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import RoutingError, raise_collected
from noptoolkit.flow.verification_messages import MessageFollower
from noptoolkit.flow.verification_prices import PricedMessages
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Verification", "verify_flow"]

Floats = NDArray[np.float64]
Vertex = tuple[str, str]  # node and "out" (where traffic starts) or "in" (where it ends)


@dataclass(frozen=True)
class Verification:
    """What was checked of a `FlowResult`; true.

    Parameters
    ----------
    messages
        Messages to sets that were followed to every member.
    unchecked
        What was too much to check, one sentence each; empty where everything was.
    """

    messages: int
    unchecked: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return True


def verify_flow(result: FlowResult, tolerance: float = 1e-7) -> Verification:
    """Raise where a result does not prove what it claims; return what was checked.

    Parameters
    ----------
    tolerance
        Relative to the largest value compared.

    Raises
    ------
    RoutingError
        With every fault found.
    """
    check = _Check(result, tolerance)
    check.flow_carries_demand()
    check.messages_arrive()
    check.uses_add_up()
    check.prices_prove_bound()
    raise_collected(RoutingError, f"{result!r} does not hold", check.faults)
    return Verification(check.followed, tuple(check.unchecked))


def _copies(sets: DestinationSets | None, endpoints: tuple[str, ...], reverse: bool) -> Floats:
    matrix = np.zeros((len(endpoints), len(endpoints)))
    if sets is not None:
        for root, words, amount in zip(sets.root, sets.members, sets.bytes, strict=True):
            members = [i for i in range(len(endpoints)) if int(words[i // 64]) >> (i % 64) & 1]
            for member in members:
                if member != root:
                    matrix[(member, root) if reverse else (root, member)] += amount
    return matrix


class _Check:
    """The package and traffic of a result as dictionaries, and the faults found so far."""

    def __init__(self, result: FlowResult, tolerance: float) -> None:
        self.result, self.tolerance = result, tolerance
        self.package: Package = result.package
        self.faults: list[str] = []
        self.unchecked: list[str] = []
        self.followed = 0
        self.rough = 0
        self.single = False  # whether no message has but one tree
        self.carried: dict[bool, tuple[Floats, Floats, Floats]] = {}
        traffic = result.traffic
        self.memory = {stack.name for stack in self.package.memories}
        self.vertices: list[Vertex] = [(node.name, "out") for node in self.package.nodes]
        self.vertices += [(stack.name, "in") for stack in self.package.memories]
        self.index = {vertex: i for i, vertex in enumerate(self.vertices)}
        self.unicast = np.array(traffic.demand, dtype=float)
        self.parts: list[tuple[DestinationSets, bool]] = []
        for sets, capable, reverse in (
            (traffic.multicast, "replicates", False),
            (traffic.reduction, "reduces", True),
        ):
            if sets is None or len(sets.root) == 0:
                continue
            if any(getattr(node, capable, False) for node in self.package.nodes):
                self.parts.append((sets, reverse))
            else:
                self.unicast += _copies(sets, traffic.endpoints, reverse)
        np.fill_diagonal(self.unicast, 0.0)
        size = len(self.vertices)
        self.demand = np.zeros((size, size))
        for i, a in enumerate(traffic.endpoints):
            for j in np.flatnonzero(self.unicast[i]):
                self.demand[self.start(a), self.end(traffic.endpoints[j])] += self.unicast[i, j]
        self.tail = np.array([self.start(channel.tail) for channel in self.package.channels])
        self.head = np.array([self.end(channel.head) for channel in self.package.channels])
        self.sent = self._by_node(self.unicast.sum(axis=1))
        self.received = self._by_node(self.unicast.sum(axis=0))

    def start(self, name: str) -> int:
        return self.index[name, "out"]

    def end(self, name: str) -> int:
        return self.index[name, "in" if name in self.memory else "out"]

    def _by_node(self, values: Floats) -> dict[str, float]:
        total = dict.fromkeys((node.name for node in self.package.nodes), 0.0)
        for name, value in zip(self.result.traffic.endpoints, values, strict=True):
            total[name] += float(value)
        return total

    def differ(self, a: Any, b: Any, scale: float | None = None) -> bool:
        """Return whether two values differ by more than the tolerance of the larger."""
        size = max(float(np.max(np.abs(a), initial=0)), float(np.max(np.abs(b), initial=0)), scale or 0.0)
        return bool(np.max(np.abs(np.asarray(a) - b), initial=0) > self.tolerance * size)

    def flow_carries_demand(self) -> None:
        """Check conservation of the kept flow and the loads of stripped trees."""
        proof = self.result.routed.commodity_flow()
        if proof is None:
            return
        arc_of_channel = self.result.network.arc_of_channel
        arcs = int(arc_of_channel.max()) + 1
        tail, head = np.full(arcs, -1), np.full(arcs, -1)
        tail[arc_of_channel], head[arc_of_channel] = self.tail, self.head
        if (tail[arc_of_channel] != self.tail).any() or (head[arc_of_channel] != self.head).any():
            self.faults.append("channels of different ends were bundled")
            return
        load = np.zeros(arcs)
        if not np.array_equal(proof.anchor, np.arange(len(self.vertices))):
            load = self._stripped_load(tail, head, proof.arcs, proof.anchor)
        contracted = np.zeros_like(self.demand)
        np.add.at(contracted, np.ix_(proof.anchor, proof.anchor), self.demand)
        np.fill_diagonal(contracted, 0.0)
        wanted = contracted if proof.by_source else contracted.T
        begin, finish = (tail, head) if proof.by_source else (head, tail)
        begin, finish = begin[proof.arcs], finish[proof.arcs]
        missing = np.setdiff1d(np.flatnonzero(wanted.any(axis=1)), proof.ends)
        if len(missing):
            self.faults.append(f"{self.vertices[missing[0]][0]!r} sends or receives, but has no flow")
        largest = float(wanted.max(initial=0.0))
        for end, flow in zip(proof.ends, proof.flow, strict=True):
            gained = np.bincount(finish, flow, len(self.vertices))
            lost = np.bincount(begin, flow, len(self.vertices))
            short = wanted[end] - (gained - lost)
            short[end] = 0.0
            worst = int(np.argmax(short))
            allowed = self.tolerance * max(largest, float(gained[worst]))
            if flow.min(initial=0.0) < 0 or short[worst] > allowed:
                name, far = self.vertices[end][0], self.vertices[worst][0]
                self.faults.append(f"flow of {name!r}: {far!r} is {short[worst]:.6g} B short")
                break
        load[proof.arcs] += proof.flow.sum(axis=0)
        if self.differ(load, self.result.routed.arc_load):
            self.faults.append("the flows do not add up to the loads")

    def _stripped_load(
        self, tail: NDArray[np.int64], head: NDArray[np.int64], kept: NDArray[np.int64], anchor: Any
    ) -> Floats:
        """Return what crosses each stripped arc, having checked that all of it must."""
        import networkx as nx

        stripped = np.setdiff1d(np.arange(len(tail)), kept)
        forest: nx.Graph[int] = nx.Graph()
        forest.add_nodes_from(range(len(self.vertices)))
        forest.add_edges_from(zip(tail[stripped].tolist(), head[stripped].tolist(), strict=True))
        ends = list(zip(tail[stripped].tolist(), head[stripped].tolist(), strict=True))
        if not nx.is_forest(forest) or len(set(ends)) < len(ends):
            self.faults.append("what was stripped is no tree")
        core = set(tail[kept].tolist()) | set(head[kept].tolist())
        load = np.zeros(len(tail))
        arc = {pair: int(i) for pair, i in zip(ends, stripped, strict=True)}
        for component in nx.connected_components(forest):
            if len(component) == 1:
                continue
            at = {int(anchor[v]) for v in component}
            if len(at) != 1 or not component & core <= at:
                self.faults.append("a stripped tree hangs on more than one node")
                continue
            (root,) = at
            for v, parent in nx.bfs_predecessors(forest, root):
                below = np.zeros(len(self.vertices), bool)
                below[list(nx.node_connected_component(nx.restricted_view(forest, [parent], []), v))] = True
                if (v, parent) in arc:
                    load[arc[v, parent]] = self.demand[below].sum() - self.demand[np.ix_(below, below)].sum()
                if (parent, v) in arc:
                    inner = self.demand[np.ix_(below, below)].sum()
                    load[arc[parent, v]] = self.demand[:, below].sum() - inner
        return load

    def messages_arrive(self) -> None:
        """Follow every message along its tree, copy by copy."""
        import networkx as nx

        result = self.result
        trees = result.routed.trees
        if not self.parts:
            if trees.arc_load.any():
                self.faults.append("loads of messages, but there is none")
            return
        if trees.branches is None:
            total = sum(len(sets) for sets, _ in self.parts)
            self.unchecked.append(f"the ways of {total} messages: too many to keep")
            for name, out, into in zip(self.package.index, trees.injected, trees.ejected, strict=True):
                self.sent[name] += float(out)
                self.received[name] += float(into)
            return
        load = np.zeros_like(trees.arc_load)
        self.single = not trees.branches and nx.is_forest(nx.Graph(self.package.graph.to_undirected()))
        for sets, reverse in self.parts:
            follower = MessageFollower(result, sets, reverse=reverse)
            follower.follow(trees.trees, trees.branches)
            self.faults += follower.faults
            self.followed += len(sets)
            load += follower.load
            self.carried[reverse] = follower.load, follower.from_root, follower.at_members
            at_root, far = (self.received, self.sent) if reverse else (self.sent, self.received)
            for name, near, there in zip(
                self.package.index, follower.from_root, follower.at_members, strict=True
            ):
                at_root[name] += float(near)
                far[name] += float(there)
        if self.differ(load, trees.arc_load):
            self.faults.append("the messages do not add up to their loads")

    def uses_add_up(self) -> None:
        """Check channel loads, the time of every resource, and the bottleneck."""
        result, package = self.result, self.package
        network = result.network
        arc_load = result.routed.arc_load + result.routed.trees.arc_load
        load = arc_load[network.arc_of_channel] * network.share_of_channel
        if self.differ(load, result.load):
            self.faults.append("the loads of the channels are not those of the flow")
        times: dict[str, float] = {}
        by_link: dict[int, float] = {}
        entering = dict.fromkeys((node.name for node in package.nodes), 0.0)
        for channel, amount in zip(package.channels, result.load, strict=True):
            entering[channel.head] += float(amount)
            if package.links[channel.link].half_duplex:
                by_link[channel.link] = by_link.get(channel.link, 0.0) + float(amount)
                times[channel.name] = by_link[channel.link] / channel.bandwidth
            else:
                times[channel.name] = float(amount) / channel.bandwidth
        for node in package.nodes:
            sent, received = self.sent[node.name], self.received[node.name]
            if isinstance(node, Memory):
                times[f"{node.name} port"] = (sent + received) / node.bandwidth
                continue
            if node.crossbar_bandwidth is not None:
                times[f"{node.name} crossbar"] = entering[node.name] / node.crossbar_bandwidth
            if isinstance(node, Chiplet) and node.injection_bandwidth is not None:
                times[f"{node.name} injection"] = sent / node.injection_bandwidth
            if isinstance(node, Chiplet) and node.ejection_bandwidth is not None:
                times[f"{node.name} ejection"] = received / node.ejection_bandwidth
        worst = max(times.values(), default=0.0) / result.efficiency
        if self.differ(worst, result.time):
            self.faults.append(f"the busiest resource takes {worst:.9g} s, not {result.time:.9g} s")

    def prices_prove_bound(self) -> None:
        """Recompute the bound from the prices."""
        result = self.result
        network, prices = result.network, result.prices
        if result.time_bound > result.time * (1 + self.tolerance):
            self.faults.append("time_bound is above time: one of them is wrong")
        if result.time_bound == 0:
            return
        if not np.isfinite(prices).all() or prices.min() < 0:
            self.faults.append("a price is negative")
            return
        # whatever is at least 0 proves something: a sliver on top keeps lengths from vanishing
        prices = prices + 1e-13 / (network.capacity * len(prices))
        bound = self._priced(prices) / float(prices @ network.capacity) / result.efficiency
        if bound >= result.time_bound * (1 - self.tolerance):
            return
        if self.rough:
            self.unchecked.append(
                f"time_bound: {self.rough} messages have too many subsets to be priced again; "
                f"without, {bound:.6g} s is proved"
            )
        else:
            self.faults.append(f"the prices prove {bound:.9g} s, not {result.time_bound:.9g} s")

    def _priced(self, prices: Floats) -> float:
        """Return what the traffic costs at least under prices on the resources of the package."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        network, package = self.result.network, self.package
        price = dict(zip(network.names, prices.tolist(), strict=True))
        capacity = dict(zip(network.names, network.capacity.tolist(), strict=True))
        real: dict[str, float] = {}
        first: dict[object, tuple[str, str]] = {}  # parallel channels go by the first one's name
        length = np.full((len(self.vertices), len(self.vertices)), np.inf)
        for channel, tail, head in zip(package.channels, self.tail, self.head, strict=True):
            half = package.links[channel.link].half_duplex
            key = frozenset((channel.tail, channel.head)) if half else (channel.tail, channel.head)
            name, its_tail = first.setdefault(key, (channel.name, channel.tail))
            if channel.tail == its_tail:
                real[name] = real.get(name, 0.0) + channel.bandwidth
            cost = price[name] + price.get(f"{channel.head} crossbar", 0.0)
            length[tail, head] = min(length[tail, head], cost)
        for node in package.nodes:
            if isinstance(node, Memory):
                real[f"{node.name} port"] = node.bandwidth
            else:
                for field in ("crossbar", "injection", "ejection"):
                    limit = getattr(node, f"{field}_bandwidth", None)
                    if limit is not None:
                        real[f"{node.name} {field}"] = limit
        if real != capacity and (real.keys() != capacity.keys() or self._far(real, capacity)):
            self.faults.append("the priced capacities are not those of the package")
        tail, head = np.nonzero(np.isfinite(length))
        graph: Any = csr_array((length[tail, head], (tail, head)), shape=length.shape)
        distance = dijkstra(graph)  # sparse: of a dense one, scipy drops every length below 1e-8
        total = float(np.sum(self.demand * np.where(self.demand > 0, distance, 0.0)))
        per_copy = {
            node.name: (
                price.get(f"{node.name} injection", price.get(f"{node.name} port", 0.0)),
                price.get(f"{node.name} ejection", price.get(f"{node.name} port", 0.0)),
            )
            for node in package.nodes
        }
        total += self._message_cost(distance, per_copy)
        for amounts, port in ((self.sent_once, 0), (self.received_once, 1)):
            for name, amount in amounts.items():
                total += amount * per_copy[name][port]
        return total

    def _far(self, a: dict[str, float], b: dict[str, float]) -> bool:
        return any(abs(a[name] - b[name]) > 1e-9 * a[name] for name in a)

    def _message_cost(self, distance: Floats, per_copy: dict[str, tuple[float, float]]) -> float:
        """Return the least that the messages cost; what members send or receive is counted by the caller."""
        self.sent_once = self._by_node(self.unicast.sum(axis=1))
        self.received_once = self._by_node(self.unicast.sum(axis=0))
        cost = 0.0
        for sets, reverse in self.parts:
            at_root = np.array([per_copy[node.name][1 if reverse else 0] for node in self.package.nodes])
            if self.single:
                network = self.result.network
                load, from_root, at_members = self.carried[reverse]
                cost += float(load @ distance[network.tail, network.head] + from_root @ at_root)
            else:
                priced = PricedMessages(self.result, sets, distance, at_root, reverse=reverse)
                cost += priced.cost()
                self.rough += priced.rough
                self.faults += priced.faults
                at_members = priced.at_members
            far = self.sent_once if reverse else self.received_once
            for name, amount in zip(self.package.index, at_members, strict=True):
                far[name] += float(amount)
        return cost
