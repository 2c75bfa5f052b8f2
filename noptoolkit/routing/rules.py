"""The table of routings, and everything that may stand for a routing's name.

Fixed routings follow a rule of this room; ``optimal`` is searched by `noptoolkit.flow`, which proves that no
routing is faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from warnings import warn

from noptoolkit._names import resolve
from noptoolkit.errors import RoutingError
from noptoolkit.routing.dimension_order_loads import dimension_order_load
from noptoolkit.routing.dimension_order_routing import dimension_order
from noptoolkit.routing.forwarding import (
    Forwarding,
    ForwardingRule,
    climb_then_descend,
    split_equally,
    take_first,
)
from noptoolkit.routing.given_paths import PathFunction, PathTable
from noptoolkit.routing.hop_loads import shortest_path_load, up_down_load
from noptoolkit.routing.latency_routing import booksim_min, take_quickest
from noptoolkit.routing.method import RoutingMethod
from noptoolkit.routing.next_hops import NextHops
from noptoolkit.routing.rule_checks import checked

__all__ = ["ROUTINGS", "Routing", "UpDown", "method_of", "rule_of"]


@dataclass(frozen=True)
class UpDown:
    """Up*/down* routing from a chosen root; ``up-down`` takes the most central node.

    Parameters
    ----------
    root : str
        Name of the node at the top of the tree.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> from noptoolkit.flow import congestion
    >>> from noptoolkit.traffic import from_matrix
    >>> ring = Package("ring", [Chiplet(n) for n in "abc"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "ca")])
    >>> flow = congestion(ring, from_matrix(ring, [[0, 0, 0], [0, 0, 1e9], [0, 0, 0]]), routing=UpDown("a"))
    >>> flow.time, flow.routing
    (1.0, 'up-down from a')
    """

    root: str

    def __str__(self) -> str:
        return f"up-down from {self.root}"


Routing = RoutingMethod | NextHops | Forwarding | UpDown | PathFunction | PathTable
"""What may stand for the name of a routing.

The path of every pair, as a function or a table; `UpDown`; `NextHops`; the `Forwarding` of a flow; or a whole
`RoutingMethod`.
"""


ROUTINGS: dict[str, RoutingMethod] = {
    "optimal": RoutingMethod(
        "optimal",
        "The routing that finishes the busiest resource as early as any routing can, with proof.",
        searches=True,
        names_matter=False,
    ),
    "shortest": RoutingMethod(
        "shortest",
        "One minimum-hop path per pair, the lowest channel index where several tie or run in parallel.",
        forward=take_first,
        load=partial(shortest_path_load, first_only=True),
        minimal=True,
        sharing="first",
        title="shortest path",
    ),
    "ecmp": RoutingMethod(
        "ecmp",
        "Equal splitting at every hop over all minimum-hop paths, parallel channels counted singly.",
        forward=split_equally,
        load=shortest_path_load,
        minimal=True,
        names_matter=False,
        sharing="equally",
    ),
    "dor": RoutingMethod(
        "dor",
        "X first, then Y, on a mesh, torus (folded or not), concentrated mesh or flattened butterfly.",
        forward=dimension_order,
        load=dimension_order_load,
        sharing="equally",
    ),
    "up-down": RoutingMethod(
        "up-down",
        "Up towards the root of a spanning tree, then down: free of deadlock on any graph.",
        forward=climb_then_descend,
        load=up_down_load,
        sharing="equally",
        title="up*/down*",
    ),
    "least-latency": RoutingMethod(
        "least-latency",
        "One path per pair of least zero-load latency; the fewest hops, then the lowest channel break ties.",
        forward=take_quickest,
        title="least latency",
    ),
    "booksim-min": RoutingMethod(
        "booksim-min",
        "BookSim2's min for anynet files: Dijkstra by cycles at 1 GHz, lowest router first, a tree each.",
        forward=booksim_min,
        title="BookSim2's min",
    ),
    "valiant": RoutingMethod(
        "valiant",
        "By way of a random chiplet, ecmp on both trips (Valiant and Brebner, 1981).",
        relayed=True,
        names_matter=False,
        sharing="equally",
    ),
}
"""The routings by name."""


def method_of(routing: str | Routing) -> RoutingMethod:
    """Return the record of a routing, given its name or whatever may stand for it.

    Raises
    ------
    UnknownNameError
        If there is no routing of that name.
    RoutingError
        If the value cannot be a routing.

    Examples
    --------
    >>> method_of("ecmp").searches, method_of(UpDown("hub")).name
    (False, 'up-down from hub')
    """
    if isinstance(routing, str):
        return resolve(routing, ROUTINGS, "routing")
    if isinstance(routing, RoutingMethod):
        if routing.forward is None or any(routing is known for known in ROUTINGS.values()):
            return routing
        return replace(routing, forward=checked(routing.name, routing.forward))
    if isinstance(routing, UpDown):
        rule = partial(climb_then_descend, root=routing.root)
        load = partial(up_down_load, root=routing.root)
        return RoutingMethod(str(routing), forward=rule, load=load, sharing="equally", title="up*/down*")
    if isinstance(routing, NextHops):
        return RoutingMethod(_own(str(routing)), forward=routing, sharing="equally", title="next hops")
    if isinstance(routing, Forwarding):
        return RoutingMethod("given shares", forward=checked("given shares", routing.towards))
    if callable(routing) or (isinstance(routing, Mapping) and all(map(_is_pair, routing))):
        name = _own(str(getattr(routing, "__name__", "table")))
        return RoutingMethod(name, paths=routing, sharing="equally", title="given paths")
    raise RoutingError(
        f"routing {routing!r} is neither a name, nor a table {{(source, destination): nodes}}, nor a "
        "function (source, destination) -> nodes, nor a NextHops, UpDown or RoutingMethod; "
        "write routing='ecmp'"
    )


def rule_of(method: RoutingMethod) -> ForwardingRule:
    """Return how a routing forwards by destination.

    Raises
    ------
    RoutingError
        If it does not, but takes each traffic, pair or packet its own way.
    """
    if method.forward is not None:
        return method.forward
    known = ", ".join(name for name, other in ROUTINGS.items() if other.forward is not None)
    if method.searches or method.route is not None:
        raise RoutingError(
            f"routing {method.name!r} depends on the traffic: pass congestion(...).forwarding(), or a "
            f"routing by destination (known: {known})"
        )
    raise RoutingError(f"routing {method.name!r} does not forward by destination alone; known: {known}")


def _is_pair(key: object) -> bool:
    return isinstance(key, tuple) and len(key) == 2


def _own(name: str) -> str:
    """Return the name of a user's function, told apart from that of a routing of the table."""
    return f"{name} (user's)" if name in ROUTINGS else name


def __getattr__(name: str) -> Any:
    if name != "FORWARDING":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn(
        "FORWARDING is now in ROUTINGS, as .forward; the old name goes with noptoolkit 0.3",
        DeprecationWarning,
        2,
    )
    return {name: method.forward for name, method in ROUTINGS.items() if method.forward is not None}
