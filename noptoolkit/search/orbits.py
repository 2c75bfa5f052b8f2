"""Graphs with the symmetry of their grid: orbits of links that are there or not, each graph solved exactly.

A graph that turns and reflections of the grid map to itself is a choice of orbits; its flow program folds to
one source of each orbit, small enough for tens of exact evaluations a second at 64 chiplets. The prices of
each solve steer the next moves, and rule most of them out (`noptoolkit.search.compiled_moves`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import block_diag, bmat, csc_array, csr_array, hstack
from scipy.sparse.csgraph import connected_components

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.bounds import TopologyClass
from noptoolkit.bounds.designs import FoldedClass
from noptoolkit.search.graphs import Edges

__all__ = ["OrbitSpace"]

QUICK: dict[str, str | float] = {
    "solver": "ipx",
    "run_crossover": "off",
    "ipm_optimality_tolerance": 1e-4,
}


@dataclass(frozen=True, eq=False)
class OrbitSpace:
    """All symmetric graphs of a class.

    Parameters
    ----------
    folded
        Orbits of arcs and pairs, and one source of each orbit.
    """

    folded: FoldedClass

    rounds: ClassVar[int] = 40
    """Of better prices that a drawn graph is worth before it is solved."""

    @property
    def within(self) -> TopologyClass:
        """The class."""
        return self.folded.within

    @property
    def size(self) -> int:
        """Number of orbits of links."""
        return int(self.folded.pair_orbit.max()) + 1

    def degrees(self) -> Ints:
        """Return the ports that each orbit takes of each chiplet, [orbits, chiplets]."""
        found = np.zeros((self.size, len(self.within)), np.int64)
        for end in self.folded.pairs.T:
            np.add.at(found, (self.folded.pair_orbit, end), 1)
        return found

    def sizes(self) -> tuple[Ints, Floats]:
        """Return the links of each orbit and their length together, each [orbits]."""
        orbit, pairs = self.folded.pair_orbit, self.folded.pairs
        length = np.bincount(orbit, self.within.length[pairs[:, 0], pairs[:, 1]], self.size)
        return np.bincount(orbit, minlength=self.size).astype(np.int64), length.astype(np.float64)

    def edges(self, on: Bools) -> Edges:
        """Return the graph of some orbits."""
        return tuple((int(a), int(b), 1) for a, b in self.folded.pairs[on[self.folded.pair_orbit]])

    def orbits_of(self, edges: Edges) -> Bools | None:
        """Return the orbits of a graph, ``None`` if it is not symmetric."""
        there = {(a, b) for a, b, _ in edges}
        chosen = np.array([tuple(pair) in there for pair in self.folded.pairs.tolist()])
        mean = np.bincount(self.folded.pair_orbit, chosen) / self.sizes()[0]
        return mean > 0.5 if bool(np.isin(mean, (0.0, 1.0)).all()) else None

    def evaluate(self, on: Bools) -> tuple[float, Floats]:
        """Return the time of a graph in bytes over a port, and the price of each orbit's arcs, [orbits]."""
        folded = self.folded
        arcs = np.flatnonzero(on[np.r_[folded.pair_orbit, folded.pair_orbit]])
        tail, head = folded.tail[arcs], folded.head[arcs]
        size, count = len(self.within), len(arcs)
        graph = csr_array((np.ones(count), (tail, head)), shape=(size, size))
        if connected_components(graph)[0] > 1:
            return np.inf, np.zeros(self.size)
        index = np.arange(count)
        onto: Any = csr_array((np.ones(count), (head, index)), shape=(size, count))
        onto = onto - csr_array((np.ones(count), (tail, index)), shape=(size, count))
        others = [np.delete(np.arange(size), s) for s in folded.sources]
        carried = block_diag([onto[keep] for keep in others], format="csr")
        owed = np.concatenate(
            [folded.demand[s][keep] for s, keep in zip(folded.sources, others, strict=True)]
        )
        ids, local = np.unique(folded.arc_orbit[arcs], return_inverse=True)
        gather: Any = csr_array((np.ones(count), (local, index)), shape=(len(ids), count))
        used = hstack([weight * gather for weight in folded.weight], format="csr")
        room = csr_array(-np.bincount(local).astype(float)[:, None])
        matrix: Any = csc_array(bmat([[carried, None], [used, room]], format="csc"))
        answer = run_highs(
            matrix,
            lower=np.r_[owed, np.full(len(ids), -np.inf)],
            upper=np.r_[owed, np.zeros(len(ids))],
            options=QUICK,
        )
        if answer is None:
            return np.inf, np.zeros(self.size)
        price = np.maximum(-answer[1][-len(ids) :], 0.0)
        at_pair = np.zeros(self.size)
        np.maximum.at(at_pair, np.r_[folded.pair_orbit, folded.pair_orbit][arcs], price[local])
        return float(answer[0][-1]), at_pair
