"""Upper limits on what a chiplet or a group may hold: load caps, and sizes of experts.

A limit is a weight per expert, a block per chiplet and a cap per block; a layout keeps it if the weights of
each block's experts sum to no more than its cap. Load caps are given as multiples of the mean load, so that
a cap of 1.2 means an imbalance of at most 1.2 on the trace that the layout is fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints

__all__ = ["Floats", "Ints", "Limit", "excess_of", "is_kept", "sums"]


TOLERANCE = 1e-9  # of the total weight: rounding of sums of floats


@dataclass(frozen=True, eq=False)
class Limit:
    """One kind of limit.

    Parameters
    ----------
    name
        The option that set it: ``cap_chiplet``, ``cap_group`` or ``capacity``.
    weight
        Weight of each expert, [experts].
    block
        Block of each chiplet, [chiplets].
    cap
        Largest sum of weights in each block, [blocks].
    """

    name: str
    weight: Floats
    block: Ints
    cap: Floats

    def held(self, places: Ints) -> Floats:
        """Return the weight in each block, [blocks]."""
        return sums(self.weight, self.block[places], len(self.cap))


def excess_of(limit: Limit, places: Ints) -> float:
    """Return the weight above the caps as a share of the total weight."""
    over = np.maximum(limit.held(places) - limit.cap, 0.0).sum()
    return float(over / max(limit.weight.sum(), 1e-300))


def is_kept(limits: tuple[Limit, ...], places: Ints) -> bool:
    """Return whether a layout keeps every limit."""
    return all(excess_of(limit, places) <= TOLERANCE for limit in limits)


def sums(values: Floats, index: NDArray[np.integer[Any]], size: int) -> Floats:
    """Return the sum of the values of each index, [size]."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)
