"""The cheapest trees under given prices, worked out again; see `noptoolkit.flow.verification`."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from noptoolkit.package import Package

__all__ = ["SteinerTrees"]

Floats = NDArray[np.float64]


class SteinerTrees:
    """The cheapest way to reach sets of end points, by recursion over their subsets (Dreyfus and Wagner)."""

    def __init__(self, package: Package, distance: Floats, *, reverse: bool) -> None:
        self.distance, self.reverse = distance, reverse
        capable = "reduces" if reverse else "replicates"
        nodes = [*package.nodes, *package.memories]
        self.helps = np.array([bool(getattr(node, capable, False)) for node in nodes])
        self.start = dict(package.index)
        self.end = self.start | {
            stack.name: len(package.nodes) + i for i, stack in enumerate(package.memories)
        }
        self.known: dict[frozenset[str], Floats] = {}
        self.from_root: dict[tuple[str, frozenset[str]], float] = {}

    def from_everywhere(self, names: frozenset[str]) -> Floats:
        """Return the cost of reaching a set from one copy at each vertex, [vertices]."""
        if names not in self.known:
            at = np.full(len(self.helps), np.inf)
            if len(names) == 1:
                (name,) = names
                at[self.start[name] if self.reverse else self.end[name]] = 0.0
            for part in _halves(names):
                both = self.from_everywhere(part) + self.from_everywhere(names - part)
                at = np.where(self.helps, np.minimum(at, both), at)
            self.known[names] = np.min(self.distance + at[None, :], axis=1)
        return self.known[names]

    def cost(self, root: str, names: frozenset[str], per_copy: float) -> float:
        """Return the cost of reaching a set from a root that may send several copies, one if it helps."""
        key = (root, names)
        if key not in self.from_root:
            vertex = self.end[root] if self.reverse else self.start[root]
            best = float(self.from_everywhere(names)[vertex]) + per_copy
            if not self.helps[vertex]:
                for part in _halves(names):
                    apart = self.cost(root, part, per_copy) + self.cost(root, names - part, per_copy)
                    best = min(best, apart)
            self.from_root[key] = best
        return self.from_root[key]


def _halves(names: frozenset[str]) -> list[frozenset[str]]:
    """Return one of each two parts of a set."""
    first, *others = sorted(names)
    return [
        frozenset((first, *chosen)) for size in range(len(others)) for chosen in combinations(others, size)
    ]
