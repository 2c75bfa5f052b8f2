"""The flow of the demand checked again; see `noptoolkit.flow.verification`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.flow.verification.hops import load_by_equal_splits
from noptoolkit.package import Package
from noptoolkit.routing.solution import TwoTrips
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["FlowCheck", "Given", "split_load"]

Vertex = tuple[str, str]  # node and "out" (where traffic starts) or "in" (where it ends)


class Given:
    """The package and traffic of a result as plain arrays and dictionaries."""

    def __init__(self, result: FlowResult, tolerance: float) -> None:
        self.result, self.tolerance = result, tolerance
        self.package: Package = result.package
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
            several = np.zeros(len(sets), bool)
            if any(getattr(node, capable, False) for node in self.package.nodes):
                several = _many_members(sets, traffic.endpoints)
            alone = DestinationSets(sets.root[~several], sets.members[~several], sets.bytes[~several])
            self.unicast += _copies(alone, len(traffic.endpoints), reverse)
            if several.any():
                kept = np.where(several[:, None], sets.members, np.uint64(0))
                self.parts.append((DestinationSets(sets.root, kept, sets.bytes), reverse))
        np.fill_diagonal(self.unicast, 0.0)
        size = len(self.vertices)
        self.demand = np.zeros((size, size))
        for i, a in enumerate(traffic.endpoints):
            for j in np.flatnonzero(self.unicast[i]):
                self.demand[self.start(a), self.end(traffic.endpoints[j])] += self.unicast[i, j]
        self.tail = np.array([self.start(channel.tail) for channel in self.package.channels])
        self.head = np.array([self.end(channel.head) for channel in self.package.channels])

    def start(self, name: str) -> int:
        """Return the vertex at which the traffic of a node starts."""
        return self.index[name, "out"]

    def end(self, name: str) -> int:
        """Return the vertex at which the traffic for a node ends."""
        return self.index[name, "in" if name in self.memory else "out"]

    def by_node(self, values: Floats) -> dict[str, float]:
        """Return values of the endpoints as a sum for each node."""
        total = dict.fromkeys((node.name for node in self.package.nodes), 0.0)
        for name, value in zip(self.result.traffic.endpoints, values, strict=True):
            total[name] += float(value)
        return total

    def differ(self, a: Any, b: Any, scale: float | None = None) -> bool:
        """Return whether two values differ by more than the tolerance of the larger, or one is no number."""
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return True
        size = max(float(np.max(np.abs(a), initial=0)), float(np.max(np.abs(b), initial=0)), scale or 0.0)
        return bool(np.max(np.abs(np.asarray(a) - b), initial=0) > self.tolerance * size)


class FlowCheck:
    """Whether the flow behind the loads carries the demand; notes what is wrong, and what is not kept."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.faults: list[str] = []
        self.unchecked: list[str] = []

    def check(self) -> None:
        """Check conservation of the kept flow and the loads of stripped trees."""
        trips = self.given.result.routed.proof
        if isinstance(trips, TwoTrips):
            if self.given.differ(self._load_of_trips(trips.middle), self.given.result.routed.arc_load):
                self.faults.append("the loads are not those of two trips via any chiplet")
            return
        proof = self.given.result.routed.commodity_flow()
        if proof is None:
            self.unchecked.append("the flow behind the loads: too large to keep")
            return
        arc_of_channel = self.given.result.network.arc_of_channel
        arcs = int(arc_of_channel.max(initial=-1)) + 1
        tail, head = np.full(arcs, -1), np.full(arcs, -1)
        tail[arc_of_channel], head[arc_of_channel] = self.given.tail, self.given.head
        if (tail[arc_of_channel] != self.given.tail).any() or (head[arc_of_channel] != self.given.head).any():
            self.faults.append("channels of different ends were bundled")
            return
        load = np.zeros(arcs)
        if not np.array_equal(proof.anchor, np.arange(len(self.given.vertices))):
            load = self._stripped_load(tail, head, proof.arcs, proof.anchor)
        contracted = np.zeros_like(self.given.demand)
        np.add.at(contracted, np.ix_(proof.anchor, proof.anchor), self.given.demand)
        np.fill_diagonal(contracted, 0.0)
        wanted = contracted if proof.by_source else contracted.T
        begin, finish = (tail, head) if proof.by_source else (head, tail)
        begin, finish = begin[proof.arcs], finish[proof.arcs]
        missing = np.setdiff1d(np.flatnonzero(wanted.any(axis=1)), proof.ends)
        if len(missing):
            self.faults.append(f"{self.given.vertices[missing[0]][0]!r} sends or receives, but has no flow")
        largest = float(wanted.max(initial=0.0))
        for end, flow in zip(proof.ends, proof.flow, strict=True):
            gained = np.bincount(finish, flow, len(self.given.vertices))
            lost = np.bincount(begin, flow, len(self.given.vertices))
            short = wanted[end] - (gained - lost)
            short[end] = 0.0
            worst = int(np.argmax(short))
            allowed = self.given.tolerance * max(largest, float(gained[worst]))
            if flow.min(initial=0.0) < 0 or short[worst] > allowed:
                name, far = self.given.vertices[end][0], self.given.vertices[worst][0]
                self.faults.append(f"flow of {name!r}: {far!r} is {short[worst]:.6g} B short")
                break
        load[proof.arcs] += proof.flow.sum(axis=0)
        if self.given.differ(load, self.given.result.routed.arc_load):
            self.faults.append("the flows do not add up to the loads")

    def _load_of_trips(self, between: Ints) -> Floats:
        """Return the load of each arc via some nodes, all with the same probability, by ecmp twice."""
        there, onward = np.zeros_like(self.given.demand), np.zeros_like(self.given.demand)
        there[:, between] = self.given.demand.sum(axis=1)[:, None] / len(between)
        onward[between] = self.given.demand.sum(axis=0)[None, :] / len(between)
        return split_load(self.given, there) + split_load(self.given, onward)

    def _stripped_load(self, tail: Ints, head: Ints, kept: Ints, anchor: Any) -> Floats:
        """Return what crosses each stripped arc, having checked that all of it must."""
        import networkx as nx

        stripped = np.setdiff1d(np.arange(len(tail)), kept)
        forest: nx.Graph[int] = nx.Graph()
        forest.add_nodes_from(range(len(self.given.vertices)))
        forest.add_edges_from(zip(tail[stripped].tolist(), head[stripped].tolist(), strict=True))
        ends = list(zip(tail[stripped].tolist(), head[stripped].tolist(), strict=True))
        if not nx.is_forest(forest) or len(set(ends)) < len(ends):
            self.faults.append("what was stripped is not a tree")
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
                below = np.zeros(len(self.given.vertices), bool)
                below[list(nx.node_connected_component(nx.restricted_view(forest, [parent], []), v))] = True
                if (v, parent) in arc:
                    load[arc[v, parent]] = (
                        self.given.demand[below].sum() - self.given.demand[np.ix_(below, below)].sum()
                    )
                if (parent, v) in arc:
                    inner = self.given.demand[np.ix_(below, below)].sum()
                    load[arc[parent, v]] = self.given.demand[:, below].sum() - inner
        return load


def split_load(given: Given, demand: Floats) -> Floats:
    """Return the load of each arc under equal splitting; what stays where it is loads nothing."""
    away = demand * ~np.eye(len(demand), dtype=bool)
    load = load_by_equal_splits(given.tail, given.head, away)
    network = given.result.network
    on_arcs = np.zeros(network.num_arcs)
    np.add.at(on_arcs, network.arc_of_channel, load)
    return on_arcs


def _many_members(sets: DestinationSets, endpoints: tuple[str, ...]) -> Bools:
    """Return which messages have something for several members: a message to one is unicast."""
    many = np.zeros(len(sets), bool)
    names = np.array(endpoints)
    step = max(1, 8_000_000 // len(names))
    for begin in range(0, len(sets), step):
        chunk = slice(begin, begin + step)
        part = DestinationSets(sets.root[chunk], sets.members[chunk], sets.bytes[chunk])
        held = part.contains(len(names)) & (names[part.root][:, None] != names)
        many[chunk] = (held.sum(axis=1) > 1) & (part.bytes > 0)
    return many


def _copies(sets: DestinationSets, endpoints: int, reverse: bool) -> Floats:
    """Return what every message takes one by one, [endpoints, endpoints]."""
    matrix = np.zeros((endpoints, endpoints))
    step = max(1, 8_000_000 // endpoints)
    for begin in range(0, len(sets), step):
        chunk = slice(begin, begin + step)
        part = DestinationSets(sets.root[chunk], sets.members[chunk], sets.bytes[chunk])
        for end, held in enumerate(part.contains(endpoints).T):
            matrix[:, end] += np.bincount(part.root[held], part.bytes[held], endpoints)
    np.fill_diagonal(matrix, 0.0)
    return matrix.T if reverse else matrix
