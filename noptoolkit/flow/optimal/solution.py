"""What a solver of a flow program hands back: a flow and prices, and what each proves."""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit._arrays import Floats

__all__ = ["Solution"]


@dataclass(frozen=True, eq=False)
class Solution:
    """An interval that holds the optimum of a program, in its units.

    Parameters
    ----------
    flow
        Carries the whole demand, [commodities, arcs].
    time
        That the flow takes.
    prices
        On the resources, at least 0, [resources].
    bound
        That the prices prove (what the program knows besides may be more).
    method
        Who found them.
    limited
        Whether a deadline ended the search.
    bound_method
        Who found the prices, where it was somebody else.
    """

    flow: Floats
    time: float
    prices: Floats
    bound: float
    method: str
    limited: bool = False
    bound_method: str = ""
