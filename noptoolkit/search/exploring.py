"""Search over whole structures: links, switches, places and copying nodes together, any figure made small.

Every structure costs a whole evaluation, so that few are tried: annealing by the moves of
`noptoolkit.search.moves` from hubs, groups, families and a random start. A cheap bound rules a structure out
first where the figure is the time of traffic. Spaces with fewer structures than may be solved are
enumerated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np

from noptoolkit.bounds import TopologyClass
from noptoolkit.errors import NopError, TopologyError
from noptoolkit.progress import Progress
from noptoolkit.search.families import family_graphs
from noptoolkit.search.graphs import Edges, every_graph
from noptoolkit.search.keeping import Kept
from noptoolkit.search.moves import moved, random_structure, starts
from noptoolkit.search.objective import Figure, TrafficTime, bounds_of
from noptoolkit.search.result import SearchResult
from noptoolkit.search.structure import (
    Structure,
    bare,
    broken_rules,
    build,
    keeps_rules,
    placed,
    same_outline,
    trimmed,
)
from noptoolkit.tables import value_text

__all__ = ["Explorer", "every_structure", "explore"]

KNOWN = 0.02
"""What a move counts that is not solved: a small space ends."""

HEAT = 0.04
"""Share of the figure by which a move may be worse at the start."""

STALE = 30
"""Moves solved without a better structure after which the walk goes back to the best."""

MOST_STARTS = 0.5
"""Share of the solves that starts may take."""


@dataclass(eq=False)
class Explorer:
    """A walk over the structures of a class.

    Parameters
    ----------
    within, figure
        Where to search, and what to make small.
    rng
        Draws the moves.
    tell
        Called with each better structure and its figure.
    name
        Of the packages.
    aim
        Bound over the class: nothing is looked for below it.
    """

    within: TopologyClass
    figure: Figure
    rng: np.random.Generator
    tell: Callable[[Structure, float], None]
    name: str
    aim: float | None = None
    seen: dict[Structure, float] = field(default_factory=dict)
    solves: int = 0
    rejected: int = 0
    best: Structure | None = None
    least: float = np.inf
    fault: NopError | None = None

    def evaluate(self, structure: Structure) -> float:
        """Return the figure of a structure: infinite where it breaks a rule or has none."""
        if structure in self.seen:
            return self.seen[structure]
        value = np.inf
        package = build(self.within, structure, self.name)
        broken = broken_rules(self.within, package)
        if broken:
            self.fault = self.fault or NopError(f"a package breaks {broken[0]}")
        else:
            self.solves += 1
            try:
                value = self.figure(package)
            except NopError as wrong:
                self.fault = self.fault or wrong
        self.seen[structure] = value
        if value < self.least - 1e-6 * abs(self.least) or (value < np.inf and self.best is None):
            self.best, self.least = structure, value
            self.tell(structure, value)
        return value

    def floor(self, structure: Structure) -> float:
        """Return a bound on the figure of a structure, by no solve."""
        if isinstance(self.figure, TrafficTime):
            return self.figure.floor(self.within, structure.edges)
        return -np.inf

    @property
    def done(self) -> bool:
        """Whether nothing of the class can be better by more than a thousandth."""
        return self.aim is not None and self.least <= self.aim * (1 + 1e-3)

    def run(self, solves: int, further: Sequence[Edges], before: Structure | None) -> None:
        """Search until so many structures are solved, from families and an earlier best besides."""
        within, rng = self.within, self.rng
        fill = isinstance(self.figure, TrafficTime)
        first = [] if before is None else [before]
        first += [*starts(within, rng), *(bare(within, edges) for edges in further)]
        first = [one for one in dict.fromkeys(first) if keeps_rules(within, one)]
        for one in sorted(first, key=self.floor)[: max(int(MOST_STARTS * solves), 1)]:
            if not self.done:
                self.evaluate(one)
        done = float(self.solves)
        now, value, heat_left, since = self.best, self.least, solves - done, 0
        while done < solves and not self.done:
            if now is None:  # no start could be evaluated
                now = random_structure(within, rng)
                done += 1
                if now is None:
                    return
                value = self.evaluate(now)
                now = now if np.isfinite(value) else None
                continue
            done += KNOWN
            then = moved(within, now, rng, fill=fill)
            if then is None or then in self.seen:
                continue
            heat = HEAT * max(solves - done, 0.0) / max(heat_left, 1.0) + 1e-4
            if self.floor(then) > value + 2 * heat * abs(value):
                self.rejected += 1
                continue
            before_solves = self.solves
            after = self.evaluate(then)
            done += (self.solves - before_solves) * (1 - KNOWN)
            since = 0 if after <= self.least else since + 1
            worse = (after - value) / (heat * abs(value) + 1e-300)
            if after <= value or (np.isfinite(after) and rng.random() < np.exp(-worse)):
                now, value = then, after
            if since >= STALE:
                now, value, since = self.best, self.least, 0


def explore(
    within: TopologyClass,
    figure: Figure,
    *,
    solves: int,
    rng: np.random.Generator,
    kept: Kept,
    name: str,
    tell: Progress,
) -> SearchResult:
    """Return the best package found of a class by any figure, see `search`.

    Raises
    ------
    TopologyError
        If no package of the class keeps its rules and has the figure.
    """
    if within.links == "split":
        raise TopologyError(
            f"{within.text()}: a search takes whole links; give links='whole' or 'single' (best_widths "
            "splits the bandwidth of the best)"
        )
    traffic = figure if isinstance(figure, TrafficTime) else None
    bounds = bounds_of(figure, within)
    least = sum(one.time for one in bounds)
    history: list[tuple[int, float]] = []

    def improved(_: Structure, cost: float) -> None:
        history.append((explorer.solves, cost))
        beside = f", at least {value_text(least, figure.unit)}, gap {cost / least - 1:.1%}" if least else ""
        tell(
            f"search: {figure.title} {value_text(figure.sign * cost, figure.unit)}{beside}, "
            f"{explorer.solves} solved, {explorer.rejected} ruled out"
        )

    explorer = Explorer(within, figure, rng, improved, name, least or None)
    every = every_structure(within, solves, maximal=traffic is not None)
    if every is not None:
        for structure in every:
            if not (explorer.done or explorer.floor(structure) >= explorer.least):
                explorer.evaluate(structure)
    else:
        before = kept.read()
        if before is not None:
            explorer.rng = kept.generator(rng)
            kept.compare(explorer.floor(before))
        explorer.run(solves, family_graphs(within), before)
    best = explorer.best
    if best is None:
        why = explorer.fault or "no connected package keeps its rules"
        raise TopologyError(f"{within.text()}: nothing was found; {why}") from explorer.fault
    best = best if traffic is None else trimmed(within, best)
    package = build(within, best, name)
    flows = () if traffic is None else traffic.flows(package, 1e-3, patience=5.0)
    cost = sum(flow.time for flow in flows) if flows else explorer.least
    if every is None:
        kept.write(best, cost)
    return SearchResult(
        within,
        best,
        package,
        figure,
        cost,
        flows,
        bounds,
        "search" if every is None else "every graph",
        explorer.solves,
        0,
        explorer.rejected,
        tuple(history),
    )


def every_structure(within: TopologyClass, most: int, *, maximal: bool) -> list[Structure] | None:
    """Return all structures of a class, ``None`` if they are too many to list.

    Parameters
    ----------
    maximal
        Whether graphs to which a link can be added may be left out: more links never slow traffic down. A
        technology's rules may forbid the larger graph and not the smaller, so that there none is.
    """
    size, plain = len(within), tuple(range(len(within)))
    far = within.reach is not None or within.wire is not None or within.technology is not None
    orders = _orders(within) if within.movable and (far or not maximal) else iter((plain,))
    places = list(itertools.islice(orders, most + 1))
    choices = comb(len(within.nodes), within.copiers) if isinstance(within.copiers, int) else 1
    if len(within.nodes) > 8 or size > 8 or len(places) * choices > most:
        return None
    found: list[Structure] = []
    for place in places:
        here = placed(within, Structure((), place))
        graphs = every_graph(here, most, maximal=maximal and within.technology is None)
        if graphs is None or len(found) + len(graphs) * choices > most:
            return None
        found += [Structure(edges, place, copiers) for edges in graphs for copiers in _chosen(within)]
    return [one for one in found if keeps_rules(within, one)]


def _orders(within: TopologyClass) -> Iterator[tuple[int, ...]]:
    for order in itertools.permutations(range(len(within))):
        if all(i == at or same_outline(within, i, at) for i, at in enumerate(order)):
            yield order


def _chosen(within: TopologyClass) -> Iterator[tuple[int, ...]]:
    if isinstance(within.copiers, int):
        yield from itertools.combinations(range(len(within.nodes)), within.copiers)
    else:
        yield ()
