"""Walks through graphs of orbits: moves drawn by the prices of the last solve, most ruled out unsolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Bools, Floats
from noptoolkit.search.orbits import OrbitSpace

__all__ = ["Walk"]

KNOWN = 0.02
"""What a drawn graph counts that was solved before: a small space ends."""

HEAT = 0.02
"""Share of the time by which a move may be worse, on average, at the start; a twentieth of it at the end."""

TRIES = 60
"""Moves that are drawn before a walk gives up for a while."""


@dataclass(eq=False)
class Walk:
    """Annealing over orbits of links, each graph solved once.

    Parameters
    ----------
    space
        The graphs.
    rng
        Draws the moves.
    heat
        Share of the time by which a move may be worse at the start.
    seen
        Time and prices of each graph solved so far.
    solves, rejected
        Graphs solved, and graphs that prices ruled out.
    """

    space: OrbitSpace
    rng: np.random.Generator
    heat: float = HEAT
    seen: dict[bytes, tuple[float, Floats]] = field(default_factory=dict)
    solves: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        folded, within = self.space.folded, self.space.within
        count, length = self.space.sizes()
        budgets = [(within.ports.astype(np.float64), self.space.degrees().astype(np.float64))]
        for budget, each in ((within.wire, length), (within.total, count)):
            if budget is not None:
                budgets.append((np.array([budget], dtype=np.float64), each.astype(np.float64)[:, None]))
        self._room: Floats = np.concatenate([room for room, _ in budgets])
        self._takes = np.concatenate([takes for _, takes in budgets], axis=1)
        self._links = 2.0 * count.astype(np.float64)
        self._first = np.unique(folded.pair_orbit, return_index=True)[1]
        self._sources = np.asarray(folded.sources, dtype=np.int64)
        self._weight = np.asarray(folded.weight, dtype=np.float64)

    def filled(self, on: Bools) -> Bools:
        """Return orbits with what still fits, in random order."""
        from noptoolkit.search.compiled_moves import fill

        full = on.copy()
        fill(full, self._takes, self._room, int(self.rng.integers(2**31)))
        return full

    def solve(self, on: Bools) -> tuple[float, Floats]:
        """Return time and prices of a graph, from memory if it was solved before."""
        key = on.tobytes()
        if key not in self.seen:
            self.seen[key] = self.space.evaluate(on)
            self.solves += 1
        return self.seen[key]

    def run(
        self, start: Bools | None, solves: int, tell: Callable[[Bools, float], None]
    ) -> tuple[Bools, float]:
        """Return the best graph found from a start within a number of solves."""
        now = self.filled(np.zeros(self.space.size, bool) if start is None else start)
        time, price = self.solve(now)
        for _ in range(50):
            if np.isfinite(time):
                break
            now = self.filled(np.zeros(self.space.size, bool))
            time, price = self.solve(now)
        best, least = now, time
        done = 0.0
        while done < solves and np.isfinite(time):
            then, limit = self._drawn(now, price, time, self.heat * 0.05 ** (done / solves))
            if limit < 0:  # nothing near is as good
                done += 1.0
                continue
            before = self.solves
            after, prices = self.solve(then)
            done += max(self.solves - before, KNOWN)
            if after <= limit:
                now, time, price = then, after, prices
                if time < least * (1 - 1e-6):
                    best, least = now, time
                    tell(best, least)
        return best, least

    def _drawn(self, on: Bools, price: Floats, time: float, heat: float) -> tuple[Bools, float]:
        """Return a near graph that prices do not rule out, and the time up to which it is taken."""
        from noptoolkit.search.compiled_moves import draw

        folded = self.space.folded
        then, limit, tried = draw(
            on,
            price,
            time,
            heat,
            folded.pairs,
            folded.pair_orbit,
            self._first,
            self._takes,
            self._room,
            self._links,
            self._sources,
            self._weight,
            folded.demand[self._sources],
            self.space.rounds,
            TRIES,
            int(self.rng.integers(2**31)),
        )
        self.rejected += tried - (limit >= 0)
        return then, limit
