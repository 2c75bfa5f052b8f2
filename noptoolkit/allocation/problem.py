"""One layout to find: what an allocator is given.

The tokens' top-k sets are deduplicated and counted; slots say how many experts each chiplet holds. Without
further word the slots are exactly balanced: floor or ceil of experts / chiplets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.allocation.limits import Floats, Ints, Limit, sums
from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.package import Package

__all__ = ["Allocator", "LayoutProblem", "slots_of"]


@dataclass(frozen=True, eq=False)
class LayoutProblem:
    """Place the experts of one layer (or of several at once) on chiplets.

    Parameters
    ----------
    sets
        Distinct top-k sets, [sets, k], ids ascending.
    counts
        Tokens that use each set, [sets].
    num_experts
        Experts to place.
    slots
        Experts that each chiplet may hold, [chiplets]; they sum to at least ``num_experts``.
    group_of_chiplet
        Group of each chiplet, [chiplets].
    limits
        Load caps and sizes that the layout must keep.
    pinned
        How many of the last experts no search may move; the chiplets then have no empty slots.
    """

    sets: NDArray[np.integer[Any]]
    counts: Floats
    num_experts: int
    slots: Ints
    group_of_chiplet: Ints
    limits: tuple[Limit, ...] = ()
    pinned: int = 0

    @property
    def num_chiplets(self) -> int:
        """Chiplets to place them on."""
        return len(self.slots)

    @property
    def num_groups(self) -> int:
        """Groups of chiplets."""
        return int(self.group_of_chiplet.max()) + 1

    @cached_property
    def tokens(self) -> float:
        """Tokens behind the sets; a token of two layers counts twice."""
        return float(self.counts.sum())

    @cached_property
    def load(self) -> Floats:
        """Activations of each expert, [experts]."""
        weight = np.repeat(self.counts, self.sets.shape[1])
        return sums(weight, self.sets.ravel(), self.num_experts)

    @cached_property
    def coactivation(self) -> Floats:
        """Tokens that use both experts, [experts, experts], diagonal 0."""
        count = self.num_experts
        together = np.zeros(count * count)
        columns = self.sets.T.astype(np.int64)
        for i, first in enumerate(columns):  # a matrix product would wait for busy cores' threads
            for second in columns[:i]:
                together += sums(self.counts, first * count + second, count * count)
        square = together.reshape(count, count)
        return square + square.T


Allocator = Callable[[LayoutProblem, np.random.Generator], Ints]
"""What the table holds: a problem and a generator in, the chiplet of each expert out, [experts]."""


def slots_of(
    package: Package,
    num_experts: int,
    capacity: int | Sequence[int] | None = None,
    expert_sizes: Sequence[int] | None = None,
) -> tuple[Ints, tuple[Limit, ...]]:
    """Return how many experts each chiplet may hold, [chiplets], and the limit on their sizes if they differ.

    Parameters and errors are those of `noptoolkit.allocation.allocate`.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> names = ["a", "b", "c", "d"]
    >>> line = Package("line", [Chiplet(n, role="expert") for n in names],
    ...                [Link(x, y, "1 GB/s") for x, y in zip(names, names[1:])])
    >>> slots_of(line, 10)
    (array([2, 3, 2, 3]), ())
    >>> slots_of(line, 10, capacity=2)
    Traceback (most recent call last):
    noptoolkit.errors.InfeasibleError: package 'line': 10 experts, but 8 slots; give at least 3 per chiplet
    """
    count, place = len(package.experts), f"package {package.name!r}"
    if not count:
        raise WorkloadError(f"{place} has no expert chiplet: give some chiplets role='expert'")
    if capacity is None:
        if expert_sizes is not None:
            raise WorkloadError("expert_sizes need a capacity: give that of each chiplet in the same unit")
        return np.diff(np.arange(count + 1) * num_experts // count).astype(np.int64), ()
    slots = np.asarray(capacity, dtype=np.int64)
    if slots.ndim == 0:
        slots = np.full(count, slots)
    if slots.shape != (count,) or (slots < 0).any():
        raise WorkloadError(
            f"{place}: capacity {capacity!r} does not fit; give one whole number, or {count} of them, "
            "not negative"
        )
    sizes = np.ones(num_experts) if expert_sizes is None else np.asarray(expert_sizes, dtype=np.float64)
    if sizes.shape != (num_experts,) or not (sizes > 0).all():
        raise WorkloadError(f"expert_sizes do not fit: give {num_experts} numbers above 0")
    if slots.sum() < sizes.sum():
        what = f"{num_experts} experts" if expert_sizes is None else f"experts of size {sizes.sum():g}"
        enough = int(np.ceil(sizes.sum() / count))
        raise InfeasibleError(f"{place}: {what}, but {slots.sum()} slots; give at least {enough} per chiplet")
    if expert_sizes is None:
        return slots, ()
    limit = Limit("capacity", sizes, np.arange(count), slots.astype(np.float64))
    return (slots // sizes.min()).astype(np.int64), (limit,)
