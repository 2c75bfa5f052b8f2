"""A package as a directed graph with whole-number capacities: what exact cuts and exact trees are made on.

The model. Vertices and arcs are those of `noptoolkit.network`, with further vertices where a node has a
capacity of its own:

* a member (or memory stack) with a limited injection or ejection bandwidth has a *core* vertex behind its
  router: core -> router carries at most the injection bandwidth, router -> core the ejection bandwidth. The
  router then only relays;
* a node with a crossbar has an *input* vertex: every arc that enters the node ends there, and input -> node
  carries at most the crossbar bandwidth.

Capacities are whole multiples of ``unit`` B/s. They are exact where the bandwidths have a common divisor that
int64 can hold; otherwise they are rounded and ``exact`` is False: cuts are then near-optimal, and every
time and bound is recounted in the package's own bandwidths. Half-duplex links share a capacity between two
arcs, which no integer cut can express: `integer_graph` refuses them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Chiplet, Memory

__all__ = ["IntegerGraph", "integer_graph", "shares_halves", "whole_numbers"]


@dataclass(frozen=True, eq=False)
class IntegerGraph:
    """Vertices, arcs and integer capacities; see the module.

    Parameters
    ----------
    num_vertices
        Number of vertices.
    tail, head
        Vertices of each arc, [arcs].
    capacity
        Capacity of each arc in ``unit``, [arcs].
    bandwidth
        Capacity of each arc in B/s, before it was made a whole number, [arcs].
    unit
        B/s of one unit of capacity.
    exact
        Whether ``capacity * unit`` is the bandwidth.
    resource
        Resource of the network behind each arc, [arcs].
    arc
        Arc of the network behind each arc, -1 for ports and crossbars, [arcs].
    origin, destination
        Vertex at which the data of each node starts and ends, [nodes].
    labels
        Name of each vertex.
    """

    num_vertices: int
    tail: Ints
    head: Ints
    capacity: Ints
    bandwidth: Floats
    unit: float
    exact: bool
    resource: Ints
    arc: Ints
    origin: Ints
    destination: Ints
    labels: tuple[str, ...]

    def reversed(self) -> IntegerGraph:
        """Return the graph with every arc turned round."""
        return replace(self, tail=self.head, head=self.tail, origin=self.destination, destination=self.origin)

    def without_dead_ends(self, members: Ints) -> IntegerGraph:
        """Return the graph without arcs at relays that nothing can pass."""
        kept = np.ones(len(self.tail), bool)
        ends = np.zeros(self.num_vertices, bool)
        ends[members] = True
        while True:
            enters = np.bincount(self.head[kept], minlength=self.num_vertices) > 0
            leaves = np.bincount(self.tail[kept], minlength=self.num_vertices) > 0
            alive = ends | (enters & leaves)
            # a relay that one vertex alone feeds and drains passes nothing on: its arcs would only lead back
            now = kept & alive[self.tail] & alive[self.head]
            if now.sum() == kept.sum():
                break
            kept = now
        return replace(
            self,
            tail=self.tail[kept],
            head=self.head[kept],
            capacity=self.capacity[kept],
            bandwidth=self.bandwidth[kept],
            resource=self.resource[kept],
            arc=self.arc[kept],
        )

    def unbalanced_relay(self, members: Ints) -> str | None:
        """Return a relay whose capacity in is not its capacity out; ``None`` if all are balanced."""
        enters = np.bincount(self.head, self.capacity, self.num_vertices)
        leaves = np.bincount(self.tail, self.capacity, self.num_vertices)
        wrong = enters != leaves
        wrong[members] = False
        return self.labels[int(np.flatnonzero(wrong)[0])] if wrong.any() else None

    def is_symmetric(self) -> bool:
        """Return whether every arc has a partner back of the same capacity."""
        ends = zip(self.tail.tolist(), self.head.tolist(), strict=True)
        there = dict(zip(ends, self.capacity.tolist(), strict=True))
        return all(there.get((v, u)) == c for (u, v), c in there.items())


def shares_halves(network: FlowNetwork, nodes: Ints) -> bool:
    """Return whether some link that matters to members is half duplex: memory stacks beside them do not.

    Parameters
    ----------
    nodes
        Nodes of the members, [members].
    """
    memory = [i for i, node in enumerate(network.package.nodes) if isinstance(node, Memory)]
    aside = np.setdiff1d(memory, nodes).astype(np.int64)
    lost = np.r_[network.origin[aside], network.destination[aside]]
    live = ~np.isin(network.tail, lost) & ~np.isin(network.head, lost)
    return len(np.unique(network.own[live])) < int(live.sum())


def whole_numbers(values: Floats, most: int) -> tuple[Ints, float, bool]:
    """Return non-negative values as whole multiples of a unit, the unit, and whether that is exact.

    Parameters
    ----------
    values
        In any unit, [values].
    most
        Largest whole number that may come out.

    Examples
    --------
    >>> whole_numbers(np.array([1.5e9, 1e9]), 2**30)
    (array([3, 2]), 500000000.0, True)
    >>> whole_numbers(np.array([1.0, 1 / 3]), 2**30)[2]
    False
    """
    values = np.asarray(values, dtype=float)
    if not values.any():
        return np.zeros(len(values), np.int64), 1.0, True
    for shift in (0, 4, 12, 24):
        scaled = values * 2.0**shift
        if scaled.max() < 2**53 and (scaled == np.floor(scaled)).all():
            whole = scaled.astype(np.int64)
            divisor = int(np.gcd.reduce(whole))
            if int(whole.max()) // divisor <= most:
                return whole // divisor, divisor / 2.0**shift, True
    unit = float(values.max()) / most
    whole = np.maximum(np.rint(values / unit), values > 0).astype(np.int64)
    return whole, unit, False


def integer_graph(network: FlowNetwork, *, weight: int, cores: bool = True) -> IntegerGraph:
    """Return a network without half-duplex links as a graph with integer capacities.

    Parameters
    ----------
    weight
        Sum of the integer weights that cuts will be compared with: it decides how large a capacity may be.
    cores
        Whether ports of chiplets and memory stacks count.
    """
    package = network.package
    tail, head = network.tail.tolist(), network.head.tolist()
    resource, arc = network.own.tolist(), list(range(network.num_arcs))
    origin, destination = network.origin.tolist(), network.destination.tolist()
    nodes = len(network.origin)
    labels = [
        network.node_of_vertex(v) + (" (in)" if v >= nodes else "") for v in range(network.num_vertices)
    ]
    names = {name: r for r, name in enumerate(network.names)}

    def vertex(label: str) -> int:
        labels.append(label)
        return len(labels) - 1

    def join(a: int, b: int, name: str) -> None:
        tail.append(a)
        head.append(b)
        resource.append(names[name])
        arc.append(-1)

    for i, node in enumerate(package.nodes):
        if not isinstance(node, Memory) and node.crossbar_bandwidth is not None:
            entry = vertex(f"{node.name} input")
            head = [entry if v == i and k < network.num_arcs else v for k, v in enumerate(head)]
            join(entry, i, f"{node.name} crossbar")
    if cores:
        for i, node in enumerate(package.nodes):
            if isinstance(node, Memory):
                there, back = vertex(f"{node.name} reads"), vertex(f"{node.name} writes")
                join(there, i, f"{node.name} port")
                join(destination[i], back, f"{node.name} port")
                origin[i], destination[i] = there, back
            elif isinstance(node, Chiplet) and (node.injection_bandwidth or node.ejection_bandwidth):
                core = vertex(f"{node.name} core")
                for a, b, port, limit in (
                    (core, i, "injection", node.injection_bandwidth),
                    (i, core, "ejection", node.ejection_bandwidth),
                ):
                    if limit is not None:
                        join(a, b, f"{node.name} {port}")
                    else:  # twice as wide as all its channels: never what limits
                        tail.append(a)
                        head.append(b)
                        resource.append(-1)
                        arc.append(-1)
                origin[i] = destination[i] = core
    where = np.array(resource, np.int64)
    bandwidth = network.capacity[where].astype(float)
    for k in np.flatnonzero(where < 0).tolist():
        router = min(tail[k], head[k])
        near = network.tail == router if head[k] == router else network.head == router
        bandwidth[k] = 2 * network.arc_capacity[near].sum()
    most = 2 ** max(16, 60 - math.ceil(math.log2(max(weight, 2))) - math.ceil(math.log2(len(tail) + 2)))
    capacity, unit, exact = whole_numbers(bandwidth, min(most, 2**31))
    return IntegerGraph(
        num_vertices=len(labels),
        tail=np.array(tail, np.int64),
        head=np.array(head, np.int64),
        capacity=capacity,
        bandwidth=bandwidth,
        unit=unit,
        exact=exact,
        resource=where,
        arc=np.array(arc, np.int64),
        origin=np.array(origin, np.int64),
        destination=np.array(destination, np.int64),
        labels=tuple(labels),
    )
