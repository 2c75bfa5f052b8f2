"""What a routing or solver hands back: flows, loads of messages, prices that it found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.multicast import TreeLoads

__all__ = ["Routed", "Status"]

Status = Literal["exact", "certified", "time limit", "fixed routing"]


@dataclass(frozen=True, eq=False)
class Routed:
    """Flows that carry the demand of a `RoutingProblem`, and trees that carry its messages.

    Parameters
    ----------
    flow
        In B, [commodities, arcs]; it carries the demand by inflow >= outflow + demand.
    by_source
        Whether a commodity is all that one vertex sends (else all that one receives).
    ends
        That vertex, [commodities].
    trees
        What the messages add.
    method
        Who found it.
    prices
        Candidates for the bound as (who found them, [resources]).
    """

    flow: NDArray[np.float64]
    by_source: bool
    ends: NDArray[np.int64]
    trees: TreeLoads
    method: str
    prices: tuple[tuple[str, NDArray[np.float64]], ...] = ()
