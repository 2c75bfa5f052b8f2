"""A traffic on a network: which vertex sends how much to which, and what no routing can change.

Copies that no node on the package can make (or sums that none can form) travel one by one: a multicast
without a replicating node anywhere is plain unicast, and so is a message to one member; both join the demand
matrix here. What is left are `Messages`, which `noptoolkit.flow.trees.multicast` routes along trees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Bits, Bools, Floats, Ints
from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Chiplet, Package, Switch
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["Messages", "RoutingProblem", "membership", "routing_problem"]


@dataclass(frozen=True, eq=False)
class Messages:
    """Multicasts, or reductions, that nodes on the path may copy or add.

    Parameters
    ----------
    root
        Node that sends (multicast) or collects (reduction), [messages].
    members
        Bit sets over ``endpoints`` of the other ends, [messages, words].
    bytes
        Size of each, in B, [messages].
    endpoints
        Node of each bit.
    helps
        Which vertices can copy (multicast) or add (reduction), [vertices].
    reverse
        True for reductions: they flow from the members to the root.
    """

    root: Ints
    members: Bits
    bytes: Floats
    endpoints: Ints
    helps: Bools
    reverse: bool


@dataclass(frozen=True, eq=False)
class RoutingProblem:
    """What a routing is asked: carry ``demand`` and ``messages`` over ``network``.

    Parameters
    ----------
    network
        The arrays of the package.
    traffic
        Traffic to be carried.
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    ports
        What the demand uses of injection, ejection and memory ports whatever the routing, in B, [resources].
    messages
        What is left of the multicasts and reductions.
    """

    network: FlowNetwork
    traffic: Traffic
    demand: Floats
    ports: Floats
    messages: tuple[Messages, ...] = ()

    @property
    def sources(self) -> Ints:
        """Vertices that send, [sources]."""
        return np.flatnonzero(self.demand.any(axis=1))

    @property
    def destinations(self) -> Ints:
        """Vertices that receive, [destinations]."""
        return np.flatnonzero(self.demand.any(axis=0))


def routing_problem(package: Package, traffic: Traffic) -> RoutingProblem:
    """Return a traffic as a problem on the network of a package.

    Raises
    ------
    WorkloadError
        If messages make no sense, or an endpoint is none of the package's nodes.
    InfeasibleError
        If some demand has no path at all.
    """
    network = flow_network(package)
    traffic.check_fits(package)
    nodes = np.array([package.index[name] for name in traffic.endpoints], np.int64)
    pairs = np.array(traffic.demand, dtype=float)
    messages = []
    for sets, capable, reverse in (
        (traffic.multicast, "replicates", False),
        (traffic.reduction, "reduces", True),
    ):
        if sets is None or len(sets.root) == 0:
            continue
        _check_sets(sets, traffic)
        helps = np.zeros(network.num_vertices, bool)
        for i, node in enumerate(package.nodes):
            helps[i] = isinstance(node, (Chiplet, Switch)) and bool(getattr(node, capable))
        copied = _to_several(sets, nodes) if helps.any() else np.zeros(len(sets.root), bool)
        copies = _unicast_copies(sets, len(nodes), ~copied)
        pairs += copies.T if reverse else copies
        if copied.any():
            members = np.where(copied[:, None], sets.members, np.uint64(0))
            messages.append(Messages(nodes[sets.root], members, sets.bytes, nodes, helps, reverse))
    np.fill_diagonal(pairs, 0.0)
    demand = np.zeros((network.num_vertices, network.num_vertices))
    where = np.ix_(network.origin[nodes], network.destination[nodes])
    if len(np.unique(nodes)) == len(nodes):
        demand[where] = pairs
    else:
        np.add.at(demand, where, pairs)
    sent = np.bincount(nodes, pairs.sum(axis=1), len(package.nodes))
    received = np.bincount(nodes, pairs.sum(axis=0), len(package.nodes))
    ports = network.on_injected @ sent + network.on_ejected @ received
    problem = RoutingProblem(network, traffic, demand, ports, tuple(messages))
    _check_paths(problem, nodes)
    return problem


def membership(members: Bits, bit: int) -> Bools:
    """Return which bit sets hold a bit, [messages]."""
    held: Bools = members[:, bit // 64] & (np.uint64(1) << np.uint64(bit % 64)) != 0
    return held


def _to_several(sets: DestinationSets, nodes: Ints) -> Bools:
    """Return which messages have bytes for several members, their root left out, [messages]."""
    count = np.zeros(len(sets.root), np.int64)
    for bit, node in enumerate(nodes.tolist()):
        count += membership(sets.members, bit) & (nodes[sets.root] != node)
    several: Bools = (count > 1) & (sets.bytes > 0)
    return several


def _unicast_copies(sets: DestinationSets, endpoints: int, which: Bools) -> Floats:
    """Return what some messages take as a copy for each member, [endpoints, endpoints]."""
    copies = np.zeros((endpoints, endpoints))
    if not which.any():
        return copies
    for bit in range(endpoints):
        chosen = which & membership(sets.members, bit)
        copies[:, bit] = np.bincount(sets.root[chosen], sets.bytes[chosen], endpoints)
    return copies


def _place(traffic: Traffic) -> str:
    return f"traffic {traffic.name!r}" if traffic.name else "traffic"


def _check_sets(sets: DestinationSets, traffic: Traffic) -> None:
    size = len(traffic.endpoints)
    words = -(-size // 64)
    if sets.members.ndim != 2 or sets.members.shape != (len(sets.root), words):
        raise WorkloadError(
            f"{_place(traffic)}: destination sets have shape {sets.members.shape}; "
            f"{len(sets.root)} messages over {size} endpoints need [{len(sets.root)}, {words}] words"
        )
    if len(sets.bytes) != len(sets.root) or not np.isfinite(sets.bytes).all() or (sets.bytes < 0).any():
        raise WorkloadError(f"{_place(traffic)}: every message needs a size that is finite and not negative")
    if sets.root.min() < 0 or sets.root.max() >= size:
        raise WorkloadError(f"{_place(traffic)}: a message's root is none of the {size} endpoints")
    spare = np.uint64(2**64 - 1) << np.uint64(size % 64) if size % 64 else np.uint64(0)
    if (sets.members[:, -1] & spare).any():
        raise WorkloadError(f"{_place(traffic)}: a destination set names an endpoint beyond the {size}")


def _check_paths(problem: RoutingProblem, nodes: Ints) -> None:
    """Raise where a demand or a message has no path."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    network = problem.network
    if network.connected:
        sends = np.isin(network.origin[nodes], network.tail)
        receives = np.isin(network.destination[nodes], network.head)
        if sends.all() and receives.all():
            return
    size = network.num_vertices
    graph = csr_array((np.ones(network.num_arcs), (network.tail, network.head)), shape=(size, size))
    for source, targets in _pairs_to_reach(problem).items():
        reached = np.zeros(size, bool)
        reached[breadth_first_order(graph, source, return_predecessors=False)] = True
        lost = targets[~reached[targets]]
        if len(lost):
            a, b = network.node_of_vertex(source), network.node_of_vertex(int(lost[0]))
            raise InfeasibleError(
                f"package {network.package.name!r}, {_place(problem.traffic)}: {a!r} has no path to {b!r}; "
                "add a link, or leave the demand out"
            )


def _pairs_to_reach(problem: RoutingProblem) -> dict[int, Ints]:
    demand = problem.demand > 0
    for part in problem.messages:
        origin, destination = problem.network.origin, problem.network.destination
        used = part.bytes > 0
        for bit, node in enumerate(part.endpoints):
            roots = np.unique(part.root[used & membership(part.members, bit)])
            if part.reverse:
                demand[origin[node], destination[roots]] = True
            else:
                demand[origin[roots], destination[node]] = True
        demand[origin, destination] = False
    return {int(source): np.flatnonzero(demand[source]) for source in np.flatnonzero(demand.any(axis=1))}
