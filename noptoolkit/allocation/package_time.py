"""The time that a layout needs on a package: dispatch, experts and combine of one MoE layer.

Tokens travel from their sources along trees of shortest paths (fewest hops, then the lowest channel index).
A node that replicates needs one copy for all chiplets below it, another needs one for each part below; so
every channel has *parts*, disjoint sets of chiplets, and carries a copy of each token for each part it meets.
With n(P) tokens that meet part P, the load of every channel, crossbar and port is linear:

    load = sum over parts P of use[resource, P] n(P),

and so is that of combine, backwards, with nodes that reduce. The time of a layer is

    max load / capacity out  +  max load / capacity back  +  max over chiplets of activations x time of one.

This is a surrogate for the search, with one fixed tree per source: `noptoolkit.flow` routes better and bounds
the error. It lives here because a search needs the linear form, and flow comes after allocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.limits import Floats
from noptoolkit.errors import InfeasibleError, UnknownNameError
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.trace import RoutingTrace
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["PackageTime", "package_time"]

Part = frozenset[int]  # indices into package.experts
User = tuple[str, int | str]  # a channel by index; an injection, ejection or crossbar by node


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
    """

    package: Package
    parts: NDArray[np.bool_]
    out: Floats
    back: Floats
    resources: tuple[str, ...]
    choice_time: Floats

    def __repr__(self) -> str:
        return f"PackageTime({self.package.name!r}, {len(self.resources)} resources, {len(self.parts)} parts)"

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
        busy = allocation.load(trace) * self.choice_time
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
) -> PackageTime:
    """Return the time model of a package.

    Parameters
    ----------
    package
        Its attention chiplets, or all expert chiplets where there are none, are the sources.
    token_bytes
        Size of one token, in B.
    flops_per_choice
        Operations of one token in one expert, in FLOP; 0, or a chiplet without ``flops``, leaves compute out.
    degree
        ``in-network`` uses the nodes that replicate and reduce; ``chiplets`` sends a copy to each chiplet.

    Raises
    ------
    UnknownNameError
        If there is no such degree.

    Examples
    --------
    >>> from noptoolkit import Link, Switch
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
    resources, capacity, resources_of = _resources(package)
    sources = package.with_role("attention") or package.experts
    columns: dict[Part, int] = {}
    entries: list[tuple[int, int, int, float]] = []  # direction, resource, part, seconds per token
    for source in sources:
        for direction, flag in enumerate(("replicates", "reduces")):
            tree = _tree(package, source, backward=direction == 1)
            for user, part in _uses(
                package, source, tree, flag if degree == "in-network" else "", direction == 1
            ):
                column = columns.setdefault(part, len(columns))
                for resource in resources_of.get(user, ()):
                    entries.append((direction, resource, column, size / capacity[resource] / len(sources)))
    parts = np.zeros((len(columns), len(package.experts)), dtype=np.bool_)
    for part, column in columns.items():
        parts[column, list(part)] = True
    seconds = np.zeros((2, len(resources), len(columns)))
    for direction, resource, column, amount in entries:
        seconds[direction, resource, column] += amount
    flops = [getattr(package[name], "flops", None) for name in package.experts]
    choice_time = np.array([flops_per_choice / rate if rate else 0.0 for rate in flops])
    return PackageTime(package, parts, seconds[0], seconds[1], tuple(resources), choice_time)


def _resources(package: Package) -> tuple[list[str], list[float], dict[User, list[int]]]:
    """Return names and capacities (B/s) of what can be busy, and which of them each user keeps busy."""
    names: list[str] = []
    capacity: list[float] = []
    of: dict[User, list[int]] = {}

    def add(name: str, bandwidth: float | None, user: User) -> None:
        if bandwidth is not None:
            of.setdefault(user, []).append(len(names))
            names.append(name)
            capacity.append(bandwidth)

    for i, channel in enumerate(package.channels):
        link = package.links[channel.link]
        if link.half_duplex and i and package.channels[i - 1].link == channel.link:
            of["channel", i] = of["channel", i - 1]  # both directions share the link
        else:
            add(channel.name, channel.bandwidth, ("channel", i))
    for node in package.nodes:
        if isinstance(node, Chiplet):
            add(f"{node.name} injection", node.injection_bandwidth, ("injection", node.name))
            add(f"{node.name} ejection", node.ejection_bandwidth, ("ejection", node.name))
        if not isinstance(node, Memory):
            add(f"{node.name} crossbar", node.crossbar_bandwidth, ("crossbar", node.name))
    return names, capacity, of


def _tree(package: Package, source: str, backward: bool) -> dict[str, tuple[str, int]]:
    """Return the parent and the channel of each node on the tree, in order of distance from the source."""
    ways: dict[str, list[tuple[str, int]]] = {}
    memories = {memory.name for memory in package.memories}
    for i, channel in enumerate(package.channels):
        tail, head = (channel.head, channel.tail) if backward else (channel.tail, channel.head)
        if tail not in memories and head not in memories:
            ways.setdefault(tail, []).append((head, i))
    hops = {source: 0}
    queue = [source]
    for node in queue:
        for head, _ in ways.get(node, ()):
            if head not in hops:
                hops[head] = hops[node] + 1
                queue.append(head)
    entering: dict[str, list[tuple[int, str]]] = {}
    for node in queue:
        for head, i in ways.get(node, ()):
            if hops[head] == hops[node] + 1:
                entering.setdefault(head, []).append((i, node))
    needed = set(package.experts) - {source}
    tree: dict[str, tuple[str, int]] = {}
    for node in reversed(queue):
        if node in needed and node != source:
            first, parent = min(entering[node])
            tree[node] = (parent, first)
            needed.add(parent)
    missing = [name for name in package.experts if name not in hops]
    if missing:
        raise InfeasibleError(f"package {package.name!r}: no way from {source!r} to {missing[0]!r}")
    return dict(sorted(tree.items(), key=lambda item: hops[item[0]]))


def _uses(
    package: Package, source: str, tree: dict[str, tuple[str, int]], flag: str, backward: bool
) -> list[tuple[User, Part]]:
    """Return which part's tokens use which channel, crossbar or port of a tree."""
    index = {name: i for i, name in enumerate(package.experts)}
    arriving: dict[str, list[Part]] = {}  # parts of a node's children
    uses: list[tuple[User, Part]] = []
    near, far = ("ejection", "injection") if backward else ("injection", "ejection")
    for node in [*reversed(tree), source]:
        below = arriving.get(node, [])
        own = [Part({index[node]})] if node in index and node != source else []
        uses += [((far, node), part) for part in own]
        parts = [*own, *below]
        if flag and getattr(package[node], flag):
            parts = [Part().union(*parts)] if parts else []
        if node == source:
            uses += [((near, node), part) for part in parts]
        else:
            parent, channel = tree[node]
            uses += [(("channel", channel), part) for part in parts]
            arriving.setdefault(parent, []).extend(parts)
        entering = below if backward else parts if node != source else []
        uses += [(("crossbar", node), part) for part in entering]
    return uses
