"""Result of a routing: flows by commodity, loads of messages, and bounds found during the search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bits, Floats, Ints
from noptoolkit.network import FlowNetwork

if TYPE_CHECKING:
    from noptoolkit.routing.forwarding import Forwarding

__all__ = ["Bound", "CommodityFlow", "CutPacking", "Routed", "Status", "TwoTrips", "gap_between"]

Status = Literal["exact", "certified", "time limit", "bounded", "fixed routing"]


def gap_between(time: float, bound: float) -> float:
    """Return how far a time is above a bound at most, time / bound - 1: the one definition of a gap.

    Nothing to do (time 0) has gap 0; a bound of 0 below a time above 0 proves nothing, the gap is infinite.

    Examples
    --------
    >>> gap_between(1.5, 1.0), gap_between(0.0, 0.0), gap_between(1.0, 0.0)
    (0.5, 0.0, inf)
    """
    if time == 0:
        return 0.0
    return time / bound - 1 if bound > 0 else float("inf")


@dataclass(frozen=True, eq=False)
class CommodityFlow:
    """A flow for each vertex that sends (or receives).

    Parameters
    ----------
    flow
        Flow in B, [commodities, arcs]; inflow >= outflow + demand at each vertex but the commodity's own.
    arcs
        Arc of the network of each column, [arcs].
    by_source
        Whether a commodity is all that one vertex sends, else all that one receives.
    ends
        Source (or destination) vertex of each commodity, [commodities].
    anchor
        Vertex at which each vertex's demand starts and ends once trees are stripped, [vertices].
    """

    flow: Floats
    arcs: Ints
    by_source: bool
    ends: Ints
    anchor: Ints


@dataclass(frozen=True, eq=False)
class TwoTrips:
    """Witness of loads via a random node: equal splitting over shortest paths on both trips.

    Parameters
    ----------
    middle : array of int
        Nodes between, all with the same probability, [nodes between].
    """

    middle: Ints


@dataclass(frozen=True, eq=False)
class CutPacking:
    """Weighted cuts that prove what messages cost at least under some prices.

    A cut is a set of vertices with a member but without the root: some hop of a copy must enter it. Where
    the weights of the cuts that a hop enters nowhere exceed its length, no tree costs less than their sum.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    messages
        Indices into the traffic's multicasts or reductions, [messages].
    begins
        Where the cuts of each message begin, [messages + 1].
    cuts
        Vertices of each as bits, [cuts, words].
    weights
        [cuts].
    """

    reverse: bool
    messages: Ints
    begins: Ints
    cuts: Bits
    weights: Floats


@dataclass(frozen=True, eq=False)
class Bound:
    """A lower bound on the time of every routing.

    Parameters
    ----------
    time
        Lower bound on the time, in s.
    method
        Name of the method that found it.
    prices
        Dual prices that prove the bound, scaled so that capacity @ prices = 1, in s/B, [resources].
    packings
        Weighted cuts that prove the least cost of messages to large sets under the prices.
    """

    time: float
    method: str
    prices: Floats
    packings: tuple[CutPacking, ...] = ()


@dataclass(frozen=True, eq=False)
class Routed:
    """Loads that carry a `noptoolkit.routing.problem.RoutingProblem`.

    Parameters
    ----------
    arc_load
        Load of the demand, in B, [arcs].
    trees
        What its messages add.
    method
        Name of the method that found it.
    bounds
        Found on the way.
    proof
        The flow behind ``arc_load``, a function that computes it, or the two trips that it is made of;
        ``None`` where it is too large to keep.
    limited
        Whether a deadline, not the tolerance, ended the search.
    rule
        Function that computes the next hops that the demand follows; ``None`` where they follow from the
        flow (`noptoolkit.routing.flow_shares`).
    """

    arc_load: Floats
    trees: TreeLoads
    method: str
    bounds: tuple[Bound, ...] = ()
    proof: CommodityFlow | TwoTrips | Callable[[], CommodityFlow] | None = None
    limited: bool = False
    rule: Callable[[], Forwarding] | None = None

    def commodity_flow(self) -> CommodityFlow | None:
        """Return the flow behind ``arc_load``, ``None`` where it is not kept."""
        if isinstance(self.proof, TwoTrips):
            return None
        return self.proof() if callable(self.proof) else self.proof

    def use(self, network: FlowNetwork, ports: Floats) -> Floats:
        """Return what everything uses of each resource, in B, [resources]."""
        use: Floats = ports + self.trees.use(network) + network.on_arcs @ self.arc_load
        return use


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree that messages follow; its nodes are the paths of `noptoolkit.flow.trees.message_paths`.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    start
        Vertex of node 0: that of their root, or of a node between under ``valiant``.
    parent, arc
        The node before each, and the arc from there, -1 for node 0; parents first, [nodes].
    ends
        The node at which a copy for each endpoint ends, -1 without, [endpoints].
    messages
        Indices into the traffic's multicasts or reductions.
    shares
        Share of each that follows the tree, [messages].
    """

    reverse: bool
    start: int
    parent: Ints
    arc: Ints
    ends: Ints
    messages: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shares: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class Branches:
    """The paths of some messages, one by one, or of shares of them.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    messages, shares
        Indices into the traffic's multicasts or reductions, and the share of each one's bytes, [paths].
    begins
        Index at which the arcs of each path begin, [paths + 1].
    arcs
        All their arcs; one that carries two copies stands twice.
    """

    reverse: bool
    messages: Ints
    shares: Floats
    begins: Ints
    arcs: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TreeLoads:
    """What messages along trees put on a network.

    Parameters
    ----------
    arc_load
        Load of the messages, in B, [arcs].
    injected, ejected
        What each node sends and receives, in B, [nodes].
    trees
        Trees that groups of messages follow; or
    branches
        Paths of single messages; ``None`` if too many to keep.
    """

    arc_load: Floats
    injected: Floats
    ejected: Floats
    trees: tuple[Tree, ...] = ()
    branches: tuple[Branches, ...] | None = ()

    def use(self, network: FlowNetwork) -> Floats:
        """Return what the messages use of each resource, in B, [resources]."""
        on_arcs = network.on_arcs @ self.arc_load
        use: Floats = on_arcs + network.on_injected @ self.injected + network.on_ejected @ self.ejected
        return use
