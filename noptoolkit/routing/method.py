"""The record of a routing: everything that the toolkit knows about one, in one value.

A routing is one of four things, and the record holds the one that it is:

* a *rule*, `RoutingMethod.forward`: for each destination the next hops of every vertex, with shares. Load,
  flow, zero-load latency, deadlock check and simulation follow from it;
* given *paths*, `RoutingMethod.paths`: one path for each pair;
* two trips via a random chiplet (Valiant and Brebner, 1981), `RoutingMethod.relayed`;
* a *search* for the flow of each traffic: `RoutingMethod.searches`, by the function `RoutingMethod.route`
  or, without one, by the certified optimum of `noptoolkit.flow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING
from warnings import warn

from noptoolkit._arrays import Floats
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork, Sharing
from noptoolkit.routing.forwarding import ForwardingRule
from noptoolkit.routing.given_paths import PathFunction, PathTable
from noptoolkit.routing.problem import RoutingProblem

if TYPE_CHECKING:
    from noptoolkit.routing.solution import Routed

__all__ = ["Effort", "Router", "RoutingMethod"]


@dataclass(frozen=True)
class Effort:
    """Limits of a search.

    Parameters
    ----------
    tol : float
        Gap between time and bound at which to stop.
    deadline : float
        Value of ``time.perf_counter()`` at which to stop, in s; shared by all stages of a solve.
    report : callable, optional
        Function that receives the progress of long solves, one line at a time.
    """

    tol: float = 0.01
    deadline: float = float("inf")
    report: Callable[[str], None] | None = None


Router = Callable[[RoutingProblem, Effort], "Routed"]
"""From a problem and the limits of the search to loads with their proof."""

LoadFunction = Callable[[FlowNetwork, Floats], Floats]
"""From a network and a demand in B, [vertices, vertices], to the load of each arc in B, [arcs]."""


@dataclass(frozen=True, eq=False)
class RoutingMethod:
    """A routing: what routes, what forwards, and what may be said of its results.

    Parameters
    ----------
    name : str
        Name in results and tables.
    meaning : str
        One sentence for documentation.
    forward : callable, optional
        Rule ``(network, destinations) -> Forwarding``: next hops with shares for each destination; see
        `noptoolkit.routing.Forwarding` for the arrays and `noptoolkit.routing.NextHops` for a form by node
        names.
    paths : mapping or callable, optional
        Path of each pair, as a table ``{(source, destination): nodes}`` or a function.
    relayed : bool
        Whether each packet first goes to a random chiplet, by ecmp on both trips.
    route : callable, optional
        Function ``(problem, effort) -> Routed`` that replaces all of the above.
    load : callable, optional
        Function ``(network, demand) -> load of each arc`` that is faster than following ``forward`` and
        gives the same loads.
    minimal : bool
        Whether every path of ``forward`` has the fewest hops, so that its own load proves how many
        byte-hops any routing needs.
    searches : bool
        Whether the flow is optimised for each traffic: the status of a result is then ``certified``,
        ``time limit`` or ``bounded`` instead of ``fixed routing``.
    names_matter : bool
        Whether renaming nodes, or listing nodes and links in another order, can change the time (as where
        ties are broken by index). If not, losses that a symmetry maps onto each other are computed once.
    sharing : {"by bandwidth", "equally", "first"}
        How parallel channels share what goes from a node to the next: in proportion to bandwidth (as a
        search would), in equal parts, or all on the first channel.
    title : str
        Name of the method in results; ``name`` if empty.

    Raises
    ------
    RoutingError
        If it is none of the four things that a routing can be, or more than one, or a field is not of
        its kind.

    Examples
    --------
    A ring in which everything travels clockwise, in array form and by node names:

    >>> from noptoolkit import Chiplet, Link, Package, congestion
    >>> from noptoolkit.routing import NextHops, RoutingMethod
    >>> from noptoolkit.traffic import all_to_all
    >>> ring = Package("ring", [Chiplet(n) for n in "abcd"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "cd", "da")])
    >>> clockwise = NextHops(lambda here, destination: {"abcda"["abcd".index(here) + 1]: 1.0})
    >>> method = RoutingMethod("clockwise", forward=clockwise)
    >>> flow = congestion(ring, all_to_all(ring, "1 GB", among="terminals"), routing=method)
    >>> flow.time, flow.routing, flow.status
    (6.0, 'clockwise', 'fixed routing')
    """

    name: str
    meaning: str = ""
    forward: ForwardingRule | None = None
    paths: PathFunction | PathTable | None = None
    relayed: bool = False
    route: Router | None = None
    load: LoadFunction | None = None
    minimal: bool = False
    searches: bool = False
    names_matter: bool = True
    sharing: Sharing = "by bandwidth"
    title: str = ""

    def __post_init__(self) -> None:
        kinds = {
            "forward": self.forward is not None,
            "paths": self.paths is not None,
            "relayed": self.relayed,
            "route or searches": self.route is not None or self.searches,
        }
        given = [name for name, present in kinds.items() if present]
        if self.route is not None and self.forward is not None:
            given = ["route"]  # a user's search whose result is a rule known beforehand
        for name in ("forward", "route", "load"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise RoutingError(f"routing {self.name!r}: {name}={value!r} is not a function")
        if self.paths is not None and not callable(self.paths) and not isinstance(self.paths, Mapping):
            raise RoutingError(
                f"routing {self.name!r}: paths={self.paths!r} is neither a table {{(source, destination): "
                "nodes} nor a function (source, destination) -> nodes"
            )
        if len(given) != 1:
            raise RoutingError(
                f"routing {self.name!r} gives {' and '.join(given) or 'nothing to route by'}; "
                "give one of forward, paths, relayed, route"
            )

    @property
    def keeps_flow(self) -> bool:
        """Whether results hold the flow behind the loads; two trips hold only which trips they are."""
        return not self.relayed

    def __call__(self, problem: RoutingProblem, effort: Effort) -> Routed:
        """Route a problem: what the values of ``ROUTINGS`` were in noptoolkit 0.1, kept for one version."""
        message = "values of ROUTINGS are records since noptoolkit 0.2; call noptoolkit.flow.routings.route"
        warn(message, DeprecationWarning, stacklevel=2)
        found: Routed = import_module("noptoolkit.flow.routings").route(self, problem, effort)
        return found
