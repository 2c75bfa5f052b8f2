"""Result of a solver of a flow program: a flow and prices, and what each proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats

__all__ = ["Iterate", "Solution"]


@dataclass(frozen=True, eq=False)
class Iterate:
    """Where a first-order method stands: flows and prices that need not be feasible.

    Parameters
    ----------
    flow
        Of each commodity, [blocks, arcs, lanes].
    price
        Of each vertex and commodity, [blocks, vertices, lanes].
    prices
        Of each resource, [resources].
    omega
        Step of prices over that of flows.
    """

    flow: NDArray[np.float32]
    price: NDArray[np.float32]
    prices: NDArray[Any]
    omega: float


@dataclass(frozen=True, eq=False)
class Solution:
    """An interval that holds the optimum of a program, in its units.

    Parameters
    ----------
    flow
        Carries the whole demand, [commodities, arcs].
    time
        Time of the flow, in the program's units.
    prices
        Price of each resource, at least 0, [resources].
    bound
        Lower bound that the prices prove; the program's ``known`` may be higher.
    method
        Name of the method that found the flow.
    limited
        Whether a deadline ended the search.
    bound_method
        Name of the method that found the prices, if another one did.
    iterate
        Where a method stood that can go on from there.
    """

    flow: Floats
    time: float
    prices: Floats
    bound: float
    method: str
    limited: bool = False
    bound_method: str = ""
    iterate: Iterate | None = None
