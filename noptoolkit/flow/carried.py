"""Whose traffic each channel carries: the load of a flow by sender and by receiver.

Unicast demand is followed along its rule (`FlowResult.forwarding`): what is sent towards a destination gives
the part of each receiver; the same sweep with the demand of one sender at a time gives the part of each
sender. Messages to sets are followed along their trees. A copy that serves several members counts for its
sender once and for each of those members in full; of a reduction, a sum counts for its receiver once and for
each of those whose parts are in it. A flow of the optimal routing on a large package may go round on
channels that do not limit it: what goes nowhere is nobody's, so parts can add up to less than the load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.routing.forwarding import push
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import Branches, Tree
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Carried", "carried"]

MOST_WORK = 30_000_000  # arcs of followed messages x words of their sets
CHUNK = 1_000_000  # messages x nodes of a tree at a time


@dataclass(frozen=True, eq=False)
class Carried:
    """Parts of the load of each channel.

    Parameters
    ----------
    nodes
        Names of the nodes, in the package's order.
    by_sender
        What each node sends over each channel, in B, [nodes, channels]; a sum on its way to the root of a
        reduction counts for each that it holds a part of.
    by_receiver
        What each node receives over each channel, in B, [nodes, channels]; a copy that serves several counts
        for each of them.
    """

    nodes: tuple[str, ...]
    by_sender: Floats
    by_receiver: Floats


def carried(flow: FlowResult) -> Carried | None:
    """Return the load of each channel by sender and receiver; ``None`` where the flow is not kept.

    Examples
    --------
    >>> from noptoolkit import congestion, topology, traffic
    >>> line = topology.mesh(3, 1, link_bandwidth="1 GB/s")
    >>> flow = congestion(line, traffic.all_to_all(line, "1 MB"))
    >>> found = carried(flow)
    >>> [c.name for c in line.channels][0], (found.by_sender[:, 0] / 1e6).round(6).tolist()
    ('e0->e1', [2.0, 0.0, 0.0])
    >>> bool(np.allclose(found.by_sender.sum(axis=0), flow.load))
    True
    """
    network, package = flow.network, flow.package
    sender = np.zeros((len(package.nodes), network.num_arcs))
    receiver = np.zeros_like(sender)
    problem = routing_problem(package, flow.traffic)
    if problem.demand.any():
        try:
            rule = flow.forwarding()
        except RoutingError:
            return None
        node = np.zeros(network.num_vertices, np.int64)
        node[network.origin] = node[network.destination] = np.arange(len(package.nodes))
        np.add.at(receiver, node[rule.destinations], push(network, rule, problem.demand))
        for source in np.flatnonzero(problem.demand.any(axis=1)).tolist():
            alone = np.zeros_like(problem.demand)
            alone[source] = problem.demand[source]
            sender[node[source]] += push(network, rule, alone).sum(axis=0)
    trees = flow.routed.trees
    if trees.branches is None:
        return None
    place = np.array([package.index[name] for name in flow.traffic.endpoints])
    for sets, reverse in ((flow.traffic.multicast, False), (flow.traffic.reduction, True)):
        if sets is None:
            continue
        at_root, at_members = (receiver, sender) if reverse else (sender, receiver)
        for tree in trees.trees:
            if tree.reverse == reverse:
                _add_tree(tree, sets, flow, place, at_root, at_members)
        for ways in trees.branches:
            if ways.reverse == reverse and not _add_ways(ways, sets, flow, place, at_root, at_members):
                return None
    of_channel, share = network.arc_of_channel, network.share_of_channel
    names = tuple(one.name for one in package.nodes)
    parts = [_scaled(part[:, of_channel] * share, flow.load) for part in (sender, receiver)]
    return Carried(names, *parts)


def _scaled(part: Floats, load: Floats) -> Floats:
    """Return parts without what rounding leaves of channels that carry nothing."""
    return np.where(load > 0, part, 0.0)


def _add_tree(
    tree: Tree, sets: DestinationSets, flow: FlowResult, place: Ints, at_root: Floats, at_members: Floats
) -> None:
    """Follow messages from their members to the start of a tree, its far nodes first."""
    size = len(tree.arc)
    helps = _helpers(flow, reverse=tree.reverse)
    network = flow.network
    finish = network.tail if tree.reverse else network.head
    vertex = np.where(tree.arc >= 0, finish[tree.arc], tree.start)
    ends = np.flatnonzero(tree.ends >= 0)
    step = max(1, CHUNK // size)
    for begin in range(0, len(tree.messages), step):
        messages = tree.messages[begin : begin + step]
        amount = tree.shares[begin : begin + step] * sets.bytes[messages]
        part = DestinationSets(sets.root[messages], sets.members[messages], sets.bytes[messages])
        held = part.contains(len(place)).astype(float)
        held[place[part.root][:, None] == place[None]] = 0.0
        copies = np.zeros((size, len(messages)))
        np.add.at(copies, tree.ends[ends], held.T[ends])
        for node in range(size - 1, 0, -1):
            if helps[vertex[node]]:
                np.minimum(copies[node], 1.0, out=copies[node])
            copies[tree.parent[node]] += copies[node]
        for node in range(1, size):
            np.add.at(at_root[:, tree.arc[node]], place[part.root], copies[node] * amount)
        for end in ends.tolist():
            total = float(held[:, end] @ amount)
            node = int(tree.ends[end])
            while total and node > 0:
                at_members[place[end], tree.arc[node]] += total
                node = int(tree.parent[node])


def _add_ways(
    ways: Branches, sets: DestinationSets, flow: FlowResult, place: Ints, at_root: Floats, at_members: Floats
) -> bool:
    """Add messages that follow ways of their own; return whether they are few enough to be followed."""
    network, size = flow.network, flow.network.num_vertices
    words = sets.members.shape[1]
    if len(ways.arcs) * words > MOST_WORK:
        return False
    begin, finish = (network.head, network.tail) if ways.reverse else (network.tail, network.head)
    way = np.repeat(np.arange(len(ways.messages)), np.diff(ways.begins))
    amount = (ways.shares * sets.bytes[ways.messages])[way]
    np.add.at(at_root, (place[sets.root[ways.messages]][way], ways.arcs), amount)
    member_of = (network.origin if ways.reverse else network.destination)[place]
    root = place[sets.root[ways.messages]]
    held = DestinationSets(sets.root[ways.messages], sets.members[ways.messages], ways.shares).contains(
        len(place)
    )
    held[root[:, None] == place[None]] = False
    rows, ends = np.nonzero(held)
    served: Floats = np.zeros((len(ways.messages) * size, words), np.uint64)
    bit = np.left_shift(np.uint64(1), (ends % 64).astype(np.uint64))
    np.bitwise_or.at(served, (rows * size + member_of[ends], ends // 64), bit)
    tail, head = way * size + begin[ways.arcs], way * size + finish[ways.arcs]
    for _ in range(size):
        more = served[head] & ~served[tail]
        changed = more.any(axis=1)
        if not changed.any():
            break
        np.bitwise_or.at(served, tail[changed], more[changed])
    behind = DestinationSets(np.zeros(len(head), np.int64), served[head], amount).contains(len(place))
    for end in range(len(place)):
        at_members[place[end]] += np.bincount(ways.arcs, amount * behind[:, end], network.num_arcs)
    return True


def _helpers(flow: FlowResult, *, reverse: bool) -> list[bool]:
    """Return which vertices can copy, or add, [vertices]."""
    capable = "reduces" if reverse else "replicates"
    nodes = [bool(getattr(node, capable, False)) for node in flow.package.nodes]
    return nodes + [False] * (flow.network.num_vertices - len(nodes))
