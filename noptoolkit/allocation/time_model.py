"""The time that a layout needs on a package: dispatch, experts and combine of one MoE layer.

Channels, capacities, ports and half duplex are those of `noptoolkit.network`; parallel channels share a load.
Where no node copies, tokens travel from their sources along all shortest paths (fewest hops) in equal shares
of the last hops. Where some do, along trees of shortest paths (of equal ones, the lowest channel index): a
node that replicates needs one copy for all chiplets below it, another needs one for each part below; so every
channel has *parts*, disjoint sets of chiplets, and carries a copy of each token for each part that it meets.
With n(P) tokens that meet part P, the load of every channel, crossbar and port is linear:

    load = sum over parts P of use[resource, P] n(P),

and so is that of combine, backwards, with nodes that reduce. The time of a layer is

    max load / capacity out  +  max load / capacity back
        +  max(max over chiplets of activations x time of one,  time to load the layer's weights).

The weights load anyway where a step streams them: computing faster than they come gains nothing.

This is a surrogate for the search, with fixed routes: `noptoolkit.flow` finds better ones and bounds the
error. It lives here because a search needs the linear form, and flow comes after allocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from noptoolkit._arrays import Bools
from noptoolkit.allocation.cuts import cut_uses, has_one_way
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.limits import Floats
from noptoolkit.errors import InfeasibleError, UnknownNameError
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["PackageTime", "package_time"]

Part = frozenset[int]  # indices into package.experts


@dataclass(frozen=True, eq=False, repr=False)
class PackageTime:
    """Linear model of the time of one MoE layer on a package.

    Parameters
    ----------
    package
        Whose time it is.
    parts
        Whether a part holds an expert chiplet, [parts, chiplets].
    out, back
        Seconds that one token which meets a part keeps a resource busy in dispatch and in combine,
        [resources, parts].
    resources
        Names of channels, links, crossbars and ports, [resources].
    choice_time
        Seconds that one activation keeps an expert chiplet busy, [chiplets].
    streaming
        Time to load the layer's weights, in s per token of the step; 0 where the step does not wait for it.
    """

    package: Package
    parts: Bools
    out: Floats
    back: Floats
    resources: tuple[str, ...]
    choice_time: Floats
    streaming: float = 0.0

    def __repr__(self) -> str:
        return f"PackageTime({self.package.name!r}, {len(self.resources)} resources, {len(self.parts)} parts)"

    @property
    def time_per_copy(self) -> float:
        """Seconds that each copy of a token keeps some one resource busy, there and back, at least."""
        alone = self.out.T[self.parts.sum(axis=1) == 1], self.back.T[self.parts.sum(axis=1) == 1]
        if len(alone[0]) < self.parts.shape[1]:
            return 0.0  # tokens of some chiplets are carried together with others'
        return sum(float(way.min(axis=0).max(initial=0.0)) for way in alone)

    def tokens_met(self, allocation: Allocation, trace: RoutingTrace) -> Floats:
        """Return how many tokens meet each part, [layers, parts]."""
        served = allocation.chiplets(trace)
        rows = []
        for layer in served:
            reached = np.zeros((len(layer), len(allocation.experts)), dtype=np.float32)
            np.put_along_axis(reached, layer.astype(np.int64), np.float32(1), axis=1)
            rows.append(((reached @ self.parts.T.astype(np.float32)) > 0).sum(axis=0))
        return np.array(rows, dtype=np.float64)

    def times(self, allocation: Allocation, trace: RoutingTrace) -> Floats:
        """Return the times of dispatch, experts and combine, in s, means over the layers, [3]."""
        met = self.tokens_met(allocation, trace)
        busy = np.maximum(allocation.load(trace) * self.choice_time, self.streaming * trace.num_tokens)
        out, back = met @ self.out.T, met @ self.back.T
        return np.array([part.max(axis=1).mean() for part in (out, busy, back)])

    def time(self, allocation: Allocation, trace: RoutingTrace) -> float:
        """Return the time of one layer for the tokens of the trace, in s, mean over the layers."""
        return float(self.times(allocation, trace).sum())


def package_time(
    package: Package,
    *,
    token_bytes: Quantity = 1.0,
    flops_per_choice: float = 0.0,
    degree: Literal["chiplets", "in-network"] = "in-network",
    routes: Literal["shortest", "any"] = "shortest",
    streaming: float = 0.0,
) -> PackageTime:
    """Return the time model of a package.

    Parameters
    ----------
    package
        Package; its attention chiplets, or all expert chiplets where there are none, are the sources.
    token_bytes
        Size of one token, in B.
    flops_per_choice
        Operations of one token in one expert, in FLOP; 0, or a chiplet without ``flops``, leaves compute out.
    degree
        ``in-network`` uses the nodes that replicate and reduce; ``chiplets`` sends a copy to each chiplet.
    routes
        ``shortest`` as in the module's text; ``any`` counts, where no node copies and there is more than one
        way, what no routing can shorten instead of channels (`noptoolkit.allocation.cuts`).
    streaming
        Time to load the weights of one layer, in s per token of the step, which hides as much compute.

    Raises
    ------
    UnknownNameError
        If there is no such degree.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> nodes = [Switch("hub", replicates=True), Chiplet("root", role="attention"),
    ...          *(Chiplet(n, role="expert") for n in ("e0", "e1"))]
    >>> star = Package("star", nodes, [Link("hub", n.name, "1 GB/s") for n in nodes[1:]])
    >>> model = package_time(star, token_bytes="1 kB")
    >>> layout = Allocation(star.experts, [0, 0, 1, 1])
    >>> model.times(layout, RoutingTrace([[0, 1], [0, 2]], num_experts=4))  # combine: 3 copies enter the root
    array([2.e-06, 0.e+00, 3.e-06])
    """
    if degree not in ("chiplets", "in-network"):
        raise UnknownNameError(f"no degree {degree!r} of the time model; known: chiplets, in-network")
    size = parse_quantity(token_bytes, "B", "token_bytes")
    network = flow_network(package)
    flops = [getattr(package[name], "flops", None) for name in package.experts]
    choice_time = np.array([flops_per_choice / rate if rate else 0.0 for rate in flops])
    copying = any(getattr(node, flag, False) for node in package.nodes for flag in ("replicates", "reduces"))
    if routes == "any" and not (copying and degree == "in-network") and not has_one_way(network):
        (out, names), (back, _) = (cut_uses(network, backward=backward) for backward in (False, True))
        own = np.eye(len(package.experts), dtype=np.bool_)
        return PackageTime(package, own, size * out, size * back, names, choice_time, streaming)
    busy = _busy(network)
    resources_of = busy.tocsc()
    sources = package.with_role("attention") or package.experts
    count = len(package.experts)
    columns = {Part({i}): i for i in range(count)}
    alone = np.zeros((2, network.num_resources, count))  # copies per token for a chiplet of its own
    shared: list[tuple[int, int, int]] = []  # direction, resource and part, one copy per token each
    for source in sources:
        for direction, flag in enumerate(("replicates", "reduces")):
            ways = _shortest_ways(network, package.index[source], backward=direction == 1)
            if degree == "in-network" and any(getattr(package.nodes[node], flag) for node in ways.order):
                for user, part in _tree_uses(network, ways, flag, backward=direction == 1):
                    column = columns.setdefault(part, len(columns))
                    first, last = resources_of.indptr[user : user + 2]
                    shared += [(direction, resource, column) for resource in resources_of.indices[first:last]]
            else:
                alone[direction] += busy @ _split_uses(network, ways, backward=direction == 1)
    copies = np.concatenate([alone, np.zeros((2, network.num_resources, len(columns) - count))], axis=2)
    np.add.at(copies, tuple(np.array(shared, dtype=np.int64).reshape(-1, 3).T), 1.0)
    seconds = copies * (size / len(sources)) / network.capacity[:, None]
    parts = np.zeros((len(columns), len(package.experts)), dtype=np.bool_)
    for part, column in columns.items():
        parts[column, list(part)] = True
    used = seconds.any(axis=(0, 1))
    out, back = np.ascontiguousarray(seconds[:, :, used])
    return PackageTime(package, parts[used], out, back, network.names, choice_time, streaming)


@dataclass(frozen=True, eq=False)
class _Ways:
    """Nodes by hops from a source; arc and tail of the last hop of each shortest path to a node."""

    order: list[int]
    entering: dict[int, list[tuple[int, int]]]


def _busy(network: FlowNetwork) -> csr_array[Any]:
    """Return which resource each user keeps busy, [resources, users].

    Users are the arcs, then the nodes by what they send, then the nodes by what they receive.
    """
    from scipy.sparse import hstack

    return csr_array(hstack([network.on_arcs, network.on_injected, network.on_ejected]))


def _shortest_ways(network: FlowNetwork, source: int, *, backward: bool) -> _Ways:
    """Return the shortest paths from a source, or backwards to it; memory stacks never forward."""
    package = network.package
    memories = {package.index[memory.name] for memory in package.memories}
    ahead: dict[int, list[tuple[int, int]]] = {}
    for arc, ends in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        tail, head = ends[::-1] if backward else ends
        if memories.isdisjoint(ends) and max(ends) < len(package.nodes):
            ahead.setdefault(tail, []).append((head, arc))
    hops = {source: 0}
    order = [source]
    for node in order:
        for head, _ in ahead.get(node, ()):
            if head not in hops:
                hops[head] = hops[node] + 1
                order.append(head)
    missing = [name for name in package.experts if package.index[name] not in hops]
    if missing:
        start = package.nodes[source].name
        raise InfeasibleError(f"package {package.name!r}: no way from {start!r} to {missing[0]!r}")
    entering: dict[int, list[tuple[int, int]]] = {}
    for node in order:
        for head, arc in ahead.get(node, ()):
            if hops[head] == hops[node] + 1:
                entering.setdefault(head, []).append((arc, node))
    return _Ways(order, entering)


def _tree_uses(network: FlowNetwork, ways: _Ways, flag: str, *, backward: bool) -> list[tuple[int, Part]]:
    """Return what each part's tokens use along the tree of lowest arcs: pairs of a user and a part."""
    package, source = network.package, ways.order[0]
    expert = {package.index[name]: i for i, name in enumerate(package.experts)}
    arriving: dict[int, list[Part]] = {}  # parts of a node's children
    uses: list[tuple[int, Part]] = []
    sends, receives = network.num_arcs, network.num_arcs + len(package.nodes)
    near, far = (receives, sends) if backward else (sends, receives)
    for node in reversed(ways.order):
        own = [Part({expert[node]})] if node in expert and node != source else []
        uses += [(far + node, part) for part in own]
        parts = [*own, *arriving.get(node, [])]
        if parts and getattr(package.nodes[node], flag):
            parts = [Part().union(*parts)]
        if node == source:
            uses += [(near + node, part) for part in parts]
        elif parts:
            arc, parent = min(ways.entering[node])
            uses += [(arc, part) for part in parts]
            arriving.setdefault(parent, []).extend(parts)
    return uses


def _split_uses(network: FlowNetwork, ways: _Ways, *, backward: bool) -> Floats:
    """Return which share of each chiplet's tokens each user carries, [users, chiplets].

    Tokens take all last hops alike, parallel channels counted singly.
    """
    package, source = network.package, ways.order[0]
    sends, receives = network.num_arcs, network.num_arcs + len(package.nodes)
    near, far = (receives, sends) if backward else (sends, receives)
    uses = np.zeros((receives + len(package.nodes), len(package.experts)))
    through = np.zeros((len(package.nodes), len(package.experts)))
    for i, name in enumerate(package.experts):
        node = package.index[name]
        if node != source:
            through[node, i] = uses[near + source, i] = uses[far + node, i] = 1.0
    for node in reversed(ways.order[1:]):
        hops = ways.entering[node]
        share = through[node] / sum(int(network.width[arc]) for arc, _ in hops)
        for arc, tail in hops:
            uses[arc] = share * network.width[arc]
            through[tail] += uses[arc]
    return uses
