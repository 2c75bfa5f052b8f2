"""A splitting rule by node names: the next hops of every node for each destination, with shares.

The model. Towards destination d, node v sends the share ``shares(v, d)[w]`` of all that passes through it to
its neighbour w, whatever the source. Shares of a node sum to one, and no node comes back to itself, so the
arcs used towards d form a graph without cycles; its longest paths are the levels of
`noptoolkit.routing.forwarding.Forwarding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Memory
from noptoolkit.routing.dimension_order_routing import share_of_parallel
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.rule_checks import levels_of

__all__ = ["NextHops", "Shares"]

Shares = Mapping[str, float]
"""Share of what passes through a node, by the name of the next node."""

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class NextHops:
    """A routing by next hops and shares, given by node names.

    Parameters
    ----------
    shares : callable or mapping
        Function ``(here, destination) -> {next node: share}``, or a table of the same
        ``{(here, destination): {next node: share}}``. The shares of a node are at least 0 and sum to 1.
        Where a function returns nothing, or a table has no entry, the node carries nothing for that
        destination.
    name : str
        Name in results; that of the function, else ``next hops``.

    Examples
    --------
    Two thirds of the traffic from a to d via b, the rest via c:

    >>> from noptoolkit import Chiplet, Link, Package, congestion
    >>> from noptoolkit.traffic import from_matrix
    >>> package = Package("diamond", [Chiplet(n) for n in "abcd"],
    ...                   [Link(*pair, "1 GB/s") for pair in ("ab", "ac", "bd", "cd")])
    >>> rule = NextHops({("a", "d"): {"b": 2 / 3, "c": 1 / 3}, ("b", "d"): {"d": 1}, ("c", "d"): {"d": 1}})
    >>> traffic = from_matrix(package, [[0, 3e9], [0, 0]], endpoints=("a", "d"))
    >>> flow = congestion(package, traffic, routing=rule)
    >>> flow.time, flow.bottleneck
    (2.0, 'a->b')
    """

    shares: Callable[[str, str], Shares | None] | Mapping[tuple[str, str], Shares]
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.shares) and not isinstance(self.shares, Mapping):
            raise RoutingError(
                f"next hops {self.shares!r} are neither a function (here, destination) -> {{next: share}} "
                "nor a table {(here, destination): {next: share}}"
            )

    def __str__(self) -> str:
        return self.name or str(getattr(self.shares, "__name__", "next hops"))

    def __call__(self, network: FlowNetwork, destinations: Ints) -> Forwarding:
        """Return the arrays of the rule for some destinations, as every ``ForwardingRule`` does.

        Parameters
        ----------
        network : FlowNetwork
            Network of the package.
        destinations : array of int
            Vertices, [destinations].

        Raises
        ------
        RoutingError
            If shares are negative or do not sum to 1, a next node is not a neighbour or leads no further,
            or hops form a loop.
        """
        arcs_of = _arcs_of_hop(network)
        senders = np.unique(network.tail).tolist()
        to: list[int] = []
        arc: list[int] = []
        share: list[float] = []
        for row, vertex in enumerate(destinations.tolist()):
            goal = network.node_of_vertex(vertex)
            for tail in senders:
                here = network.node_of_vertex(tail)
                if here == goal:
                    continue
                for name, part in self._of(here, goal).items():
                    if part == 0:
                        continue
                    found = arcs_of.get((here, name))
                    if found is None or (name != goal and isinstance(network.package[name], Memory)):
                        raise self._no_neighbour(network, here, goal, name)
                    to += [row] * len(found)
                    arc += found
                    share += (part * share_of_parallel(network)[found]).tolist()
        rows, arcs = np.array(to, np.int64), np.array(arc, np.int64)
        tail, head = network.tail[arcs], network.head[arcs]
        size = network.num_vertices
        level = levels_of(str(self), network, destinations, rows, tail, head, size)
        shares, none = np.array(share, float), np.zeros(len(rows), np.int64)
        return Forwarding(destinations, rows, arcs, shares, level, tail, head, size, none)

    def _of(self, here: str, goal: str) -> Shares:
        if callable(self.shares):
            try:
                given = self.shares(here, goal)
            except Exception as error:
                raise RoutingError(
                    f"routing {str(self)!r} failed at {here!r} towards {goal!r} ({type(error).__name__}: "
                    f"{error}); it is called with two names and returns {{next node: share}}"
                ) from error
        else:
            given = self.shares.get((here, goal))
        if given is None:
            return {}
        place = f"routing {str(self)!r} at {here!r} towards {goal!r}"
        if not isinstance(given, Mapping):
            raise RoutingError(f"{place}: {given!r} is not a mapping {{next node: share}}")
        parts = list(given.values())
        if not all(isinstance(part, int | float | np.number) and part >= 0 for part in parts):
            raise RoutingError(f"{place}: shares {dict(given)!r} must be numbers of at least 0")
        if given and abs(sum(parts) - 1) > ROUNDING * len(parts):
            raise RoutingError(f"{place}: shares sum to {sum(parts):.9g}; they must sum to 1")
        return given

    def _no_neighbour(self, network: FlowNetwork, here: str, goal: str, name: object) -> RoutingError:
        place = f"routing {str(self)!r} at {here!r} towards {goal!r}"
        index = network.package.index
        if name not in index:
            return RoutingError(f"{place}: no node named {name!r}; {did_you_mean(str(name), index)}")
        if isinstance(network.package[str(name)], Memory) and name != goal:
            return RoutingError(f"{place}: {name!r} is a memory stack, which does not forward")
        return RoutingError(f"{place}: no channel leads from {here!r} to {name!r}")


def _arcs_of_hop(network: FlowNetwork) -> dict[tuple[str, str], list[int]]:
    """Return the arcs between the nodes of each pair of names."""
    arcs: dict[tuple[str, str], list[int]] = {}
    for arc, (tail, head) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        pair = network.node_of_vertex(tail), network.node_of_vertex(head)
        arcs.setdefault(pair, []).append(arc)
    return arcs
