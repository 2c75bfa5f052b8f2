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

from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace

__all__ = ["Allocator", "Floats", "Ints", "LayoutProblem", "distinct_sets", "slots_of", "sums"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    """

    sets: NDArray[np.integer[Any]]
    counts: Floats
    num_experts: int
    slots: Ints
    group_of_chiplet: Ints

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
    def incidence(self) -> NDArray[np.float32]:
        """Whether a set holds an expert, [sets, experts]."""
        member = np.zeros((len(self.sets), self.num_experts), dtype=np.float32)
        np.put_along_axis(member, self.sets.astype(np.int64), np.float32(1), axis=1)
        return member

    @cached_property
    def coactivation(self) -> Floats:
        """Tokens that use both experts, [experts, experts], diagonal 0."""
        member = self.incidence
        together = (member.T @ (member * self.counts[:, None].astype(np.float32))).astype(np.float64)
        np.fill_diagonal(together, 0.0)
        return together


Allocator = Callable[[LayoutProblem, np.random.Generator], Ints]
"""What the table holds: a problem and a generator in, the chiplet of each expert out, [experts]."""


def distinct_sets(trace: RoutingTrace) -> tuple[NDArray[np.integer[Any]], Floats]:
    """Return the distinct top-k sets of all layers, [sets, k], and how many tokens use each, [sets].

    Examples
    --------
    >>> distinct_sets(RoutingTrace([[1, 0], [0, 1], [2, 0]], num_experts=3))
    (array([[0, 1], [0, 2]], dtype=uint8), array([2., 1.]))
    """
    rows = np.sort(trace.topk.reshape(-1, trace.top_k), axis=1)
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(rows))).astype(np.float64)
    return ordered[starts], counts


def slots_of(package: Package, num_experts: int, capacity: int | Sequence[int] | None = None) -> Ints:
    """Return how many experts each chiplet may hold, [chiplets].

    Parameters
    ----------
    package
        Whose expert chiplets hold them.
    num_experts
        Experts to place.
    capacity
        Experts per chiplet, one number or one for each of ``package.experts``; exactly balanced
        where ``None``.

    Raises
    ------
    WorkloadError
        If the package has no expert chiplet or the capacities do not fit it.
    InfeasibleError
        If there are more experts than slots.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> names = ["a", "b", "c", "d"]
    >>> line = Package("line", [Chiplet(n, role="expert") for n in names],
    ...                [Link(x, y, "1 GB/s") for x, y in zip(names, names[1:])])
    >>> slots_of(line, 10)
    array([2, 3, 2, 3])
    >>> slots_of(line, 10, capacity=2)
    Traceback (most recent call last):
    noptoolkit.errors.InfeasibleError: package 'line': 10 experts, but 8 slots; give at least 3 per chiplet
    """
    count = len(package.experts)
    if not count:
        raise WorkloadError(
            f"package {package.name!r} has no expert chiplet: give some chiplets role='expert'"
        )
    if capacity is None:
        ends = np.arange(count + 1) * num_experts // count
        return np.diff(ends).astype(np.int64)
    slots = np.asarray(capacity, dtype=np.int64)
    if slots.ndim == 0:
        slots = np.full(count, slots)
    if slots.shape != (count,) or (slots < 0).any():
        raise WorkloadError(
            f"package {package.name!r}: capacity {capacity!r} does not fit; give one whole number, or "
            f"{count} of them, not negative"
        )
    if slots.sum() < num_experts:
        enough = -(-num_experts // count)
        raise InfeasibleError(
            f"package {package.name!r}: {num_experts} experts, but {slots.sum()} slots; "
            f"give at least {enough} per chiplet"
        )
    return slots


def sums(values: Floats, index: NDArray[np.integer[Any]], size: int) -> Floats:
    """Return the sum of the values of each index, [size]."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)
