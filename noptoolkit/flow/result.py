"""How long a traffic takes on a package, where, and the proof."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported, picture_of
from noptoolkit.errors import RoutingError, raises_where_malformed
from noptoolkit.flow.bounds.cuts import Cut, slowest_cut
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Package
from noptoolkit.routing.busiest import busiest_resources
from noptoolkit.routing.flow_shares import forwarding_of_flow
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import CutPacking, Routed, Status, gap_between
from noptoolkit.tables import Table
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

if TYPE_CHECKING:
    from noptoolkit.flow.bandwidth_curves import BandwidthCurve
    from noptoolkit.flow.best_widths import BestWidths
    from noptoolkit.flow.ladder import Ladder
    from noptoolkit.flow.upgrades import Upgrade
    from noptoolkit.flow.verification import Verification
    from noptoolkit.package.edits import Links
    from noptoolkit.routing.rules import Routing
    from noptoolkit.units import Quantity

__all__ = ["Bottleneck", "FlowResult", "ResourceKind"]

ResourceKind = Literal["channel", "crossbar", "injection", "ejection", "port", ""]


class Bottleneck(str):
    """Resource that sets a time: its kind and place, and as text the name that tables print.

    It is the text ``sw0->e3``, ``hub crossbar``, ``e3 injection`` or ``hbm0 port`` wherever one is expected;
    empty, and false, without traffic.

    Parameters
    ----------
    kind
        ``channel``, ``crossbar``, ``injection``, ``ejection``, ``port``, or empty.
    place
        Name of the channel, or of the node.

    Examples
    --------
    >>> hub = Bottleneck("crossbar", "hub")
    >>> hub, hub.kind, hub.place
    ('hub crossbar', 'crossbar', 'hub')
    """

    kind: ResourceKind
    place: str

    def __new__(cls, kind: ResourceKind = "", place: str = "") -> Self:
        """Return the resource of a kind at a place."""
        one = super().__new__(cls, place if kind in ("channel", "") else f"{place} {kind}")
        one.kind, one.place = kind, place
        return one

    def __getnewargs__(self) -> tuple[ResourceKind, str]:  # type: ignore[override]
        return self.kind, self.place


@dataclass(frozen=True, eq=False, repr=False)
class FlowResult(Reported):
    """Result of `congestion`: loads, the time they take, and a lower bound on the time of any routing.

    Parameters
    ----------
    package, traffic, routing, efficiency
        Arguments of `congestion`.
    load
        Load of each of ``package.channels``, in B, [channels].
    time
        Time of the routing: the largest use / capacity over channels, crossbars and ports, in s.
    time_bound
        Lower bound on the time of any routing, in s.
    bottleneck
        Resource that sets ``time``; empty without traffic.
    status
        ``exact`` (gap within 1e-6), ``certified`` (within ``tol``), ``time limit``, ``bounded`` (time and
        bound stay further apart than ``tol``: multicast trees, or a tolerance beyond single precision) or
        ``fixed routing``.
    method, bound_method
        Names of the methods that found the flow, and the bound.
    seconds
        Computing time spent, in s.
    use
        Bytes through each resource of ``network``, in B, [resources].
    prices
        Dual prices that prove the bound, scaled so that capacity @ prices = 1, in s/B, [resources].
    network, routed
        Arrays of the network, and the flow by commodity.
    packings
        Cuts that prove what messages to large sets cost under the prices.
    """

    package: Package
    traffic: Traffic
    routing: str
    efficiency: float
    load: Floats = field(metadata={"unit": "B"})
    time: float = field(metadata={"unit": "s"})
    time_bound: float = field(metadata={"unit": "s"})
    bottleneck: Bottleneck
    status: Status
    method: str
    bound_method: str
    seconds: float = field(metadata={"unit": "s"})
    use: Floats = field(metadata={"unit": "B"})
    prices: Floats = field(metadata={"unit": "s/B"})
    network: FlowNetwork
    routed: Routed
    packings: tuple[CutPacking, ...] = ()

    def __repr__(self) -> str:
        return (
            f"FlowResult({self.traffic.name or 'traffic'} on {self.package.name!r}, {self.routing}: "
            f"{format_quantity(self.time, 's')}, lower bound {format_quantity(self.time_bound, 's')}, "
            f"bottleneck {self.bottleneck or 'none'}, {self.status})"
        )

    def _repr_svg_(self) -> str | None:
        return picture_of(self)

    @property
    def gap(self) -> float:
        """Largest distance of ``time`` to the optimum: time / time_bound - 1."""
        return gap_between(self.time, self.time_bound)

    def table(self, busiest: int | None = 8) -> Table:
        """Return the busiest channels, crossbars and ports (all of them where ``None``) as a table."""
        return busiest_resources(
            self.network, self.use, self.time, what="routing", title=repr(self), notes=self.notes(),
            efficiency=self.efficiency, most=busiest,
        )  # fmt: skip

    def cells(self, busiest: int = 8) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table(busiest).cells()

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        bound = format_quantity(self.time_bound, "s")
        return [
            f"{self.routing}: {format_quantity(self.time, 's')} by {self.method}",
            f"no routing is faster than {bound} ({self.bound_method}): gap {self.gap:.2%}, {self.status}",
        ]

    @cached_property
    def utilisation(self) -> Floats:
        """Load / (bandwidth x time) of each channel, [channels]; 0 without traffic."""
        bandwidth = np.array([channel.bandwidth for channel in self.package.channels])
        return self.load / (bandwidth * self.time) if self.time > 0 else np.zeros_like(self.load)

    @cached_property
    def node_utilisation(self) -> dict[str, float]:
        """Use / (capacity x time) of each crossbar and port, by name."""
        first = int(self.network.own.max(initial=-1)) + 1
        share = self.use / (self.network.capacity * self.time) if self.time > 0 else 0.0 * self.use
        return {name: float(x) for name, x in zip(self.network.names[first:], share[first:], strict=True)}

    @raises_where_malformed(RoutingError)
    def verify(self) -> Verification:
        """Check the result by code that shares nothing with the solvers.

        Return what was checked, true if it is everything: `noptoolkit.flow.verification`.

        Raises
        ------
        RoutingError
            If something does not hold, with every fault.
        """
        from noptoolkit.flow.verification import verify_flow

        return verify_flow(self)

    def upgrade(
        self,
        links: Links,
        *,
        to: Quantity | None = None,
        by: Quantity | None = None,
        routing: str | Routing | None = None,
    ) -> Upgrade:
        """Return what other bandwidths of some links do, and the range in which their price holds.

        See `noptoolkit.flow.upgrades.upgrade`.

        Examples
        --------
        >>> from noptoolkit import congestion, topology, traffic
        >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
        >>> flow = congestion(ring, traffic.all_to_all(ring, "1 GB"))
        >>> found = flow.upgrade("d2d", to="2 GB/s")
        >>> round(found.before.time, 6), round(found.after.time, 6)
        (2.0, 1.0)
        """
        from noptoolkit.flow.upgrades import upgrade

        return upgrade(self, links, to=to, by=by, routing=routing)

    def over_bandwidth(
        self, links: Links, low: Quantity | None = None, high: Quantity | None = None, **options: Any
    ) -> BandwidthCurve:
        """Return the time over the bandwidth of some links, in exact pieces.

        See `noptoolkit.flow.bandwidth_curves.bandwidth_curve`.
        """
        from noptoolkit.flow.bandwidth_curves import bandwidth_curve

        return bandwidth_curve(self, links, low, high, **options)

    def ladder(self, steps: int = 10, **options: Any) -> Ladder:
        """Return which links limit after which, what each step costs and what it buys.

        See `noptoolkit.flow.ladder.ladder`.
        """
        from noptoolkit.flow.ladder import ladder

        return ladder(self, steps, **options)

    def spend(self, budget: Quantity, **options: Any) -> BestWidths:
        """Return the best use of extra bandwidth on the links, with its certificate.

        See `noptoolkit.flow.best_widths.best_widths`.
        """
        from noptoolkit.flow.best_widths import best_widths

        given: dict[str, Any] = {"routing": self.routing, "efficiency": self.efficiency} | options
        return best_widths(self.package, self.traffic, budget, **given)

    def forwarding(self) -> Forwarding:
        """Return the next hops and shares that the demand follows: a rule for latency, deadlock, simulation.

        Of a fixed routing, its rule for the vertices that receive something. Of ``optimal``, the split of the
        flow found; where the flow is by source, the rule has a state for each vertex and source
        (`noptoolkit.routing.flow_shares`). Given paths have a state for each source too. Messages to sets
        follow trees instead, ``routed.trees``. Used as a routing, parallel channels share a load in
        proportion to bandwidth, which only `noptoolkit.routing.RoutingMethod` can say otherwise.

        Raises
        ------
        RoutingError
            If the flow is not kept: ``valiant`` via random nodes, or a flow too large to keep.

        Examples
        --------
        >>> from noptoolkit import congestion, topology, traffic
        >>> from noptoolkit.routing import check_deadlock, zero_load_latency
        >>> mesh = topology.mesh(3, link_bandwidth="1 GB/s")
        >>> flow = congestion(mesh, traffic.all_to_all(mesh, "1 MB"))
        >>> split = flow.forwarding()
        >>> congestion(mesh, flow.traffic, routing=split).time <= flow.time * (1 + 1e-9)
        True
        >>> check_deadlock(mesh, routing=split).dependencies > 0
        True
        """
        if self.routed.rule is not None:
            return self.routed.rule()
        flow = self.routed.commodity_flow()
        if flow is None:
            raise RoutingError(
                f"{self!r} keeps no flow to take shares from; use a routing by destination, such as 'ecmp'"
            )
        demand = routing_problem(self.package, self.traffic).demand
        return forwarding_of_flow(self.network, flow, demand)

    @cached_property
    def cut(self) -> Cut | None:
        """The slowest cut that the prices point at: the bottleneck as nodes and channels.

        Of the unicast demand, ``None`` without; its time equals ``time_bound`` where one cut decides.
        """
        problem = routing_problem(self.package, self.traffic)
        found = slowest_cut(problem.network, problem.demand, self.prices)
        return None if found is None else replace(found, time=found.time / self.efficiency)

    @cached_property
    def dual(self) -> Floats:
        """The price of each channel in s/B, [channels].

        Widening a channel by a little, in B/s, lowers ``time_bound`` by about ``time_bound * dual`` times
        that; channels at 0 are not worth widening. How far that holds, `upgrade` says: another resource may
        take over at once. The two directions of a half-duplex link share one
        price.
        """
        return self.prices[self.network.own[self.network.arc_of_channel]]
