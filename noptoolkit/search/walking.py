"""Walks through symmetric graphs, steered by the prices of the last solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.search.orbits import OrbitSpace

__all__ = ["Walk"]

RANDOM_MOVES = 0.3
"""Share of moves that do not look at prices: steered ones alone get stuck."""

KNOWN = 0.1
"""What a move counts that is not solved: ruled out by prices, or known."""

HEAT = 0.04
"""Share of the time by which a move may be worse at the start."""


@dataclass(eq=False)
class Walk:
    """Annealing over orbits of links, each graph solved once.

    Parameters
    ----------
    space
        The symmetric graphs.
    rng
        Draws the moves.
    heat
        Share of the time by which a move may be worse at the start.
    seen
        Time and prices of each graph solved so far.
    solves, rejected
        Graphs solved, and graphs that the last prices ruled out.
    """

    space: OrbitSpace
    rng: np.random.Generator
    heat: float = HEAT
    seen: dict[bytes, tuple[float, Floats]] = field(default_factory=dict)
    solves: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        self._degrees = self.space.degrees()
        self._count, self._length = self.space.sizes()

    def fits(self, on: Bools) -> bool:
        """Return whether some orbits keep ports, wire and total."""
        within = self.space.within
        return (
            bool((self._degrees[on].sum(axis=0) <= within.ports).all())
            and (within.wire is None or float(self._length[on].sum()) <= within.wire + 1e-9)
            and (within.total is None or float(self._count[on].sum()) <= within.total + 1e-9)
        )

    def filled(self, on: Bools) -> Bools:
        """Return orbits with what still fits, in random order."""
        full = on.copy()
        left = self.space.within.ports - self._degrees[on].sum(axis=0)
        may = np.flatnonzero(~on & (self._degrees <= left).all(axis=1))
        for orbit in self.rng.permutation(may).tolist():
            full[orbit] = True
            full[orbit] = self.fits(full)
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
        now = self.filled(np.zeros(self.space.size, bool)) if start is None else self.filled(start)
        time, price = self.solve(now)
        for _ in range(50):
            if np.isfinite(time):
                break
            now = self.filled(np.zeros(self.space.size, bool))
            time, price = self.solve(now)
        best, least = now, time
        done = 0.0  # moves that are not solved count too, a little: a small space ends
        while done < solves and np.isfinite(time):
            before = self.solves
            heat = self.heat * (1.0 - done / solves) + 1e-4
            done += KNOWN
            then = self._moved(now, price)
            if then is None:
                continue
            key = then.tobytes()
            if key not in self.seen:
                length = self.space.lengths(now, price)
                ahead = np.where(now, price, np.where(np.isfinite(length), length, 0.0))
                if self.space.bound(then, ahead) > time * (1 + 3 * heat):
                    self.rejected += 1
                    continue
            after, prices = self.solve(then)
            done += (self.solves - before) * (1.0 - KNOWN)
            if not np.isfinite(after):
                continue
            if after <= time or self.rng.random() < np.exp((time - after) / (time * heat)):
                now, time, price = then, after, prices
                if time < least * (1 - 1e-6):
                    best, least = now, time
                    tell(best, least)
        return best, least

    def _moved(self, on: Bools, price: Floats) -> Bools | None:
        """Return a graph with one orbit more, those that then do not fit removed, and free ports filled."""
        rng, steered = self.rng, self.rng.random() >= RANDOM_MOVES
        absent = np.flatnonzero(~on)
        if not len(absent):
            return None
        chance = np.ones(len(absent))
        if steered:
            length = self.space.lengths(on, price)[absent]
            chance = np.where(np.isfinite(length), length, 0.0) ** 2 + 1e-12
        added = int(rng.choice(absent, p=chance / chance.sum()))
        then = on.copy()
        then[added] = True
        if not self.fits(then) and int(self._count.max()) == 1:
            swapped = self._swapped(then, added, price if steered else np.zeros(len(price)))
            if swapped is not None:
                return self.filled(swapped)
        while not self.fits(then):
            over = self._degrees[then].sum(axis=0) > self.space.within.ports
            present = np.flatnonzero(then)
            present = present[present != added]
            if over.any():
                present = present[(self._degrees[present][:, over] > 0).any(axis=1)]
            if not len(present):
                return None
            weight = np.ones(len(present))
            if steered:
                weight = np.exp(-2.0 * price[present] / (price[on].mean() + 1e-12))
            then[int(rng.choice(present, p=weight / weight.sum()))] = False
        return self.filled(then)

    def _swapped(self, on: Bools, added: int, price: Floats) -> Bools | None:
        """Return a graph without one link at each end of a new one, whose other ends are joined instead."""
        pairs = self.space.folded.pairs
        number = self._numbers()
        a, b = pairs[added].tolist()
        near: list[list[int]] = []
        for end in (a, b):
            mine = pairs[on & (pairs == end).any(axis=1)]
            near.append([int(v) for v in mine[mine != end] if v not in (a, b)])
        ways = [
            (int(number[a, c]), int(number[b, d]), int(number[c, d]))
            for c in near[0]
            for d in near[1]
            if c != d and number[c, d] >= 0 and not on[number[c, d]]
        ]
        if not ways:
            return None
        cheap = np.array([price[first] + price[second] for first, second, _ in ways])
        weight = np.exp(-2.0 * cheap / (float(price[on].mean()) + 1e-12))
        first, second, other = ways[int(self.rng.choice(len(ways), p=weight / weight.sum()))]
        then = on.copy()
        then[[first, second]] = False
        then[other] = True
        return then if self.fits(then) else None

    def _numbers(self) -> Ints:
        """Return the orbit of each pair of chiplets, -1 where no link may be, [chiplets, chiplets]."""
        size = len(self.space.within)
        number = np.full((size, size), -1)
        a, b = self.space.folded.pairs.T
        number[a, b] = number[b, a] = self.space.folded.pair_orbit
        return number
