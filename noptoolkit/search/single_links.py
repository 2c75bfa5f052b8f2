"""Graphs without symmetry, link by link: each solved from where the last one ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from noptoolkit._arrays import Bools, Floats
from noptoolkit.flow.changing_links import ChangingLinks
from noptoolkit.search.orbits import OrbitSpace

__all__ = ["LinkSpace"]

TOL = 3e-3
"""Relative gap of a solve."""


@dataclass(frozen=True, eq=False)
class LinkSpace(OrbitSpace):
    """All graphs of a class, every pair an orbit of its own, for sizes at which whole programs take long.

    ``folded`` must not be folded.
    """

    rounds: ClassVar[int] = 1  # a solve from where the last one ended takes no longer than many

    solver: ChangingLinks = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "solver", ChangingLinks(self.folded.demand))

    def evaluate(self, on: Bools) -> tuple[float, Floats]:
        """Return the time of a graph in bytes over a port, and the price of each pair, [pairs]."""
        folded = self.folded
        found = self.solver.solve(folded.pairs[on[folded.pair_orbit]], np.ones(1), tol=TOL)
        price = np.zeros(self.size)
        number = np.full((len(self.within),) * 2, -1)
        number[folded.pairs[:, 0], folded.pairs[:, 1]] = folded.pair_orbit
        low, high = np.minimum(found.tail, found.head), np.maximum(found.tail, found.head)
        np.maximum.at(price, number[low, high], found.price)
        return found.time, price
