"""What is left to decide: the flow problem after peeling, in natural units.

Peeling. All that a vertex with a single neighbour sends or receives passes that neighbour: its loads are
forced, and its demand may as well start and end there. Repeated, this strips every tree that hangs on the
package (a whole NoP-Tree to nothing) exactly. On the rest, the *program*, a commodity is all that one
vertex sends, or, where fewer vertices receive than send, all that one receives with every arc turned
round::

    minimise z    with    on_arcs @ sum of flows + base <= z capacity

Demand is measured in mean commodities and capacity in mean resources, so that solvers need no units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.solution import TreeLoads

__all__ = ["FlowProgram", "Peeled", "has_cycle", "peel"]


@dataclass(frozen=True, eq=False)
class FlowProgram:
    """The arrays of a flow problem in natural units; arcs are sorted by tail.

    Parameters
    ----------
    num_vertices
        Vertices are numbered from 0.
    tail, head
        Vertices of each arc, [arcs].
    on_arcs
        Which arcs use which resource (an average over an orbit after folding), [resources, arcs].
    capacity, base
        Capacity of each resource, and its load before the program, [resources].
    ends
        The vertex that each commodity starts at, [commodities].
    demand
        What each vertex gets of each commodity, [commodities, vertices].
    known
        A time that resources outside the program, or forced loads, take anyway.
    """

    num_vertices: int
    tail: Ints
    head: Ints
    on_arcs: csr_array[Any]
    capacity: Floats
    base: Floats
    ends: Ints
    demand: Floats
    known: float

    def time(self, arc_load: Floats) -> float:
        """Return the time that a load on the arcs takes, [arcs]."""
        ratio = (self.base + self.on_arcs @ arc_load) / self.capacity
        return max(float(ratio.max()), self.known)

    def first_arc(self) -> Ints:
        """Return where the arcs of each tail begin, [vertices + 1]."""
        return np.searchsorted(self.tail, np.arange(self.num_vertices + 1))


@dataclass(frozen=True, eq=False)
class Peeled:
    """A problem with its forced part solved.

    Parameters
    ----------
    program
        The rest, or ``None`` where nothing is left.
    by_source
        Whether its commodities are what vertices send.
    arcs, vertices, resources
        Indices of the network's arcs, vertices and resources that the program keeps, in its order.
    anchor
        The kept vertex at which each vertex's demand starts and ends, [vertices of the network].
    forced
        Load of each arc of the network that has no choice, in B, [arcs of the network].
    byte, rate
        The units of demand in B and of capacity in B/s.
    has_choice
        Whether the network has a cycle; without, every path is the only one (but not every tree: a
        message may pass a node twice where another copies it).
    """

    program: FlowProgram | None
    by_source: bool
    arcs: Ints
    vertices: Ints
    resources: Ints
    anchor: Ints
    forced: Floats
    byte: float
    rate: float
    has_choice: bool


def peel(problem: RoutingProblem, trees: TreeLoads) -> Peeled:
    """Return the forced loads of a problem and the program that is left, beside messages along ``trees``."""
    network = problem.network
    demand, anchor, kept_arc, forced = _strip(network, problem.demand)
    arcs = np.flatnonzero(kept_arc)
    base = problem.ports + trees.use(network) + network.on_arcs @ forced
    known = float(np.max(base / network.capacity))
    if not demand.any():
        none = np.zeros(0, np.int64)
        return Peeled(None, True, arcs, none, none, anchor, forced, 1.0, 1.0, bool(kept_arc.any()))
    by_source = bool(demand.any(axis=1).sum() <= demand.any(axis=0).sum())
    tail, head = (network.tail, network.head) if by_source else (network.head, network.tail)
    demand = demand if by_source else demand.T
    arcs = arcs[np.argsort(tail[arcs], kind="stable")]
    vertices = np.unique(np.r_[tail[arcs], head[arcs]])
    label = np.full(network.num_vertices, -1)
    label[vertices] = np.arange(len(vertices))
    ends = np.flatnonzero(demand.any(axis=1))
    on_arcs = csr_array(network.on_arcs[:, arcs])
    resources = np.flatnonzero(np.diff(on_arcs.indptr))
    byte = float(demand.sum()) / len(ends)
    rate = float(network.capacity[resources].mean())
    program = FlowProgram(
        num_vertices=len(vertices),
        tail=label[tail[arcs]],
        head=label[head[arcs]],
        on_arcs=csr_array(on_arcs[resources]),
        capacity=network.capacity[resources] / rate,
        base=base[resources] / byte,
        ends=label[ends],
        demand=np.ascontiguousarray(demand[np.ix_(ends, vertices)]) / byte,
        known=known * rate / byte,
    )
    return Peeled(program, by_source, arcs, vertices, resources, anchor, forced, byte, rate, True)


def has_cycle(network: FlowNetwork) -> bool:
    """Return whether anything is left of a network once its trees are stripped.

    Without a cycle, the path between two vertices is unique, and a message to a set crosses each channel
    between its root and a member at least once.
    """
    nothing = np.zeros((network.num_vertices, network.num_vertices))
    return bool(_strip(network, nothing)[2].any())


def _strip(network: FlowNetwork, demand: Floats) -> tuple[Floats, Ints, Bools, Floats]:
    """Strip vertices with one neighbour; return contracted demand, anchors, arcs left, forced loads."""
    # A vertex with a single neighbour, over at most one arc each way, is on no path but its own: whatever the
    # routing, its outgoing arc carries all that it sends, its incoming arc all that it receives. So its load
    # is forced, and its demand can start and end at the neighbour instead; then it is gone, and the
    # neighbour may in turn have one neighbour left. Order does not matter: each vertex is looked at again
    # when it loses a neighbour, so trees that hang on cycles vanish whole, and a network without cycles too.
    # Demand between a vertex and its neighbour becomes demand of one vertex with itself: it travels no
    # further, and is dropped.
    demand = demand.copy()
    anchor = np.arange(network.num_vertices)
    left = np.ones(network.num_arcs, bool)
    forced = np.zeros(network.num_arcs)
    leaving: list[set[int]] = [set() for _ in anchor]
    entering: list[set[int]] = [set() for _ in anchor]
    for arc, (tail, head) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        leaving[tail].add(arc)
        entering[head].add(arc)
    waiting = list(range(network.num_vertices))
    while waiting:
        vertex = waiting.pop()
        up, down = leaving[vertex], entering[vertex]
        if len(up) > 1 or len(down) > 1 or not (up or down):
            continue
        near = {int(network.head[arc]) for arc in up} | {int(network.tail[arc]) for arc in down}
        if len(near) > 1:
            continue
        (other,) = near
        for arc in up:
            forced[arc] = demand[vertex].sum()
            entering[other].discard(arc)
        for arc in down:
            forced[arc] = demand[:, vertex].sum()
            leaving[other].discard(arc)
        left[[*up, *down]] = False
        leaving[vertex], entering[vertex] = set(), set()
        demand[other] += demand[vertex]
        demand[:, other] += demand[:, vertex]
        demand[vertex] = 0.0
        demand[:, vertex] = 0.0
        demand[other, other] = 0.0
        anchor[vertex] = other
        waiting.append(other)
    while not np.array_equal(anchor, anchor[anchor]):
        anchor = anchor[anchor]
    return demand, anchor, left, forced
