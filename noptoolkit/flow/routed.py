"""What a routing hands back: flows by commodity, loads of messages, and bounds that it found on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.network import FlowNetwork
from noptoolkit.flow.trees.multicast import TreeLoads

__all__ = ["Bound", "CommodityFlow", "CutPacking", "Routed", "Status"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Status = Literal["exact", "certified", "time limit", "bounded", "fixed routing"]


@dataclass(frozen=True, eq=False)
class CommodityFlow:
    """A flow for each vertex that sends (or receives).

    Parameters
    ----------
    flow
        In B, [commodities, arcs]; inflow >= outflow + demand at each vertex but the commodity's own.
    arcs
        Arc of the network of each column, [arcs].
    by_source
        Whether a commodity is all that one vertex sends, else all that one receives.
    ends
        That vertex of the network, [commodities].
    anchor
        Vertex at which each vertex's demand starts and ends once trees are stripped, [vertices].
    """

    flow: Floats
    arcs: Ints
    by_source: bool
    ends: Ints
    anchor: Ints


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
    cuts: NDArray[np.uint64]
    weights: Floats


@dataclass(frozen=True, eq=False)
class Bound:
    """A time that no routing can undercut.

    Parameters
    ----------
    time
        In s.
    method
        Who found it.
    prices
        That prove it, scaled so that capacity @ prices = 1, in s/B, [resources].
    packings
        That prove what messages to large sets cost under the prices.
    """

    time: float
    method: str
    prices: Floats
    packings: tuple[CutPacking, ...] = ()


@dataclass(frozen=True, eq=False)
class Routed:
    """Loads that carry a `noptoolkit.flow.problem.RoutingProblem`.

    Parameters
    ----------
    arc_load
        Of its demand, in B, [arcs].
    trees
        What its messages add.
    method
        Who found it.
    bounds
        Found on the way.
    proof
        The flow behind ``arc_load``, or what works it out; ``None`` where it is too large to keep.
    limited
        Whether a deadline, not the tolerance, ended the search.
    """

    arc_load: Floats
    trees: TreeLoads
    method: str
    bounds: tuple[Bound, ...] = ()
    proof: CommodityFlow | Callable[[], CommodityFlow] | None = None
    limited: bool = False

    def commodity_flow(self) -> CommodityFlow | None:
        """Return the flow behind ``arc_load``."""
        return self.proof() if callable(self.proof) else self.proof

    def use(self, network: FlowNetwork, ports: Floats) -> Floats:
        """Return what everything uses of each resource, in B, [resources]."""
        use: Floats = ports + self.trees.use(network) + network.on_arcs @ self.arc_load
        return use
