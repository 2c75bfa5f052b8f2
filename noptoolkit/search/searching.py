"""Search over structure: the best package of a class, with the bound that it cannot beat.

Where a demand between chiplets at their places is to be wired, this module searches links: small classes are
enumerated. Where bandwidth splits freely, the design program's own package is the best. Else two searches
take turns: swaps of links under a compiled screen (byte-hops first, then the peak of an equal split), which
come near the bound where links may reach anywhere; and walks over graphs that turns of their grid keep
(`noptoolkit.search.walking`), each solved exactly, where the reach is short and distance alone is the wrong
aim; then link by link from the best of them, without symmetry. Starts are the families that fit, and random
graphs. The best is solved again by `congestion`. Everything else (switches, places, copying, several
traffics, other figures than time) is explored by `noptoolkit.search.exploring`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_whole
from noptoolkit._seeds import generator_from
from noptoolkit.bounds import TopologyClass, design
from noptoolkit.bounds.designs import FoldedClass, demand_of
from noptoolkit.errors import NopError, TopologyError, WorkloadError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.search.exploring import explore
from noptoolkit.search.families import family_graphs
from noptoolkit.search.graphs import Edges, every_graph, fits, random_graph, table_of
from noptoolkit.search.keeping import Kept
from noptoolkit.search.objective import Objective, TrafficTime, figure_of
from noptoolkit.search.orbits import OrbitSpace
from noptoolkit.search.result import SearchResult
from noptoolkit.search.single_links import LinkSpace
from noptoolkit.search.structure import bare, build
from noptoolkit.search.walking import Walk
from noptoolkit.units import format_quantity

__all__ = ["search"]

START = 0.014
"""Share of the cost by which a swap may be worse at the start: the first annealing is of byte-hops alone."""

PEAK = 0.04
"""Weight of the peak in the second."""

SMALL = 32
"""Chiplets up to which graphs without symmetry are walked by whole programs, and not by warm starts."""

COOL = 0.004
"""Share of the time by which a move may be worse where a walk only goes on from a good graph."""

ROUNDS = 2
"""Walks among which the solves are shared: every other one starts anew, the others at the best so far."""


def search(
    within: TopologyClass,
    objective: Objective,
    *,
    solves: int = 400,
    screens: int = 120_000,
    rng: int | np.random.Generator | None = 0,
    store: str | Path | None = None,
    name: str = "found",
    progress: Progress | None = None,
) -> SearchResult:
    """Return the best package found of a class, and what none of the class can beat.

    Parameters
    ----------
    within
        The class: ports, reach, wire, how links may be used; switches, copying nodes, places, rules.
    objective
        Traffic to be fast; several, one after the other; or any function of a package whose value is to be
        small, such as `noptoolkit.studies.metric_figure`. There is no bound over the class for the last.
    solves
        Packages that each walk may solve, starts and the last check not counted: what is said to be solved
        may be some times as many. A class with fewer is enumerated.
    screens
        Graphs that may be screened by compiled code, where links for one demand are all that is searched.
    rng
        Seed, or generator.
    store
        File that keeps the best so far: a search that is started again with it goes on from there, with
        other random numbers. (A search has one state, and no rows for the store of a study.)
    name
        Name of the package.
    progress
        Callable that is given a line for each improvement: best, bound, gap.

    Raises
    ------
    TopologyError
        If the class holds no connected package, or none that keeps its rules.
    WorkloadError
        If the traffic does not fit the class.
    FormatError
        If ``store`` is of another search.

    Examples
    --------
    >>> from noptoolkit.bounds import class_like, grid_class
    >>> from noptoolkit.topology import mesh, nop_tree
    >>> from noptoolkit.traffic import all_to_all
    >>> wired = grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single")
    >>> found = search(wired, all_to_all(mesh(2, 3), "1 GB"), solves=4000)
    >>> round(found.time, 3), found.status, found.how, found.verify()
    (2.333, 'optimal', 'every graph', True)

    Four ports on each of the two switches, in place of three, are as many as four experts can use:

    >>> tree = nop_tree(2, 2, link_bandwidth="1 GB/s")
    >>> demand = all_to_all(tree, "1 GB", among="experts")
    >>> found = search(class_like(tree, switches=(4, 4)), demand, solves=20)
    >>> found.time, found.status
    (3.0, 'optimal')
    """
    if not (is_whole(solves) and is_whole(screens)) or solves < 1 or screens < 0:
        raise NopError(
            f"solves={solves!r}, screens={screens!r}: whole numbers, and at least one graph to solve"
        )
    figure = figure_of(objective)
    for traffic in figure.traffics if isinstance(figure, TrafficTime) else ():
        missing = [name for name in traffic.endpoints if name not in within.nodes]
        if missing:
            raise WorkloadError(
                f"traffic {traffic.name!r}: {missing[0]!r} is no node of the class; "
                f"{did_you_mean(missing[0], within.nodes)}"
            )
    kept = Kept(within, repr(figure), None if store is None else Path(store))
    tell = progress or (lambda _: None)
    wired = not (within.switches or within.movable or within.technology or within.template)
    if wired and isinstance(figure, TrafficTime) and len(figure.traffics) == 1 and _pairs_only(figure):
        return _Search(within, figure, name, tell).run(solves, screens, generator_from(rng), kept)
    return explore(within, figure, solves=solves, rng=generator_from(rng), kept=kept, name=name, tell=tell)


def _pairs_only(figure: TrafficTime) -> bool:
    parts = [part for one in figure.traffics for part in (one.multicast, one.reduction)]
    return all(part is None or not len(part) for part in parts)


class _Search:
    """Links alone, for one demand between pairs."""

    def __init__(self, within: TopologyClass, figure: TrafficTime, name: str, tell: Progress) -> None:
        self.within, self.figure, self.name, self.tell = within, figure, name, tell
        (self.traffic,) = figure.traffics
        self.demand = demand_of(self.traffic, within)
        self.design = design(self.traffic, within)
        self.bound = self.design.bound
        self.best: Edges | None = None
        self.time = np.inf
        self.solves = self.screens = self.rejected = 0
        self.history: list[tuple[int, float]] = []

    def run(self, solves: int, screens: int, rng: np.random.Generator, kept: Kept) -> SearchResult:
        if self.within.links == "split":
            return self._designed()
        every = every_graph(self.within, solves) if len(self.within) <= 8 else None
        if every is not None:
            return self._enumerated(every)
        before = kept.read()
        if before is not None:
            rng = kept.generator(rng)
            flow = self._solve(before.edges)
            kept.compare(flow.time)
            self._improve(before.edges, flow.time)
        for edges in family_graphs(self.within):
            self.solves += 1
            self._improve(edges, self._solve(edges).time)
        symmetric = bool(np.allclose(self.demand, self.demand.T))
        folded = self._folded()
        walks = symmetric and len(folded.sources) < 0.5 * len(self.within)
        self._swaps(screens, rng)
        if walks and self.within.reach is not None:  # else distance is the right aim, and swaps do better
            self._walk(OrbitSpace(folded), solves, rng)
        whole = FoldedClass(self.demand / self.demand.max(), self.within, fold=False)
        if len(self.within) <= SMALL:
            self._walk(OrbitSpace(whole), solves, rng)
        elif self.within.reach is not None:
            self._walk(LinkSpace(whole), solves, rng, afresh=False)
        if self.best is None:
            raise TopologyError(
                f"{self.within.text()}: no connected graph was found; give more screens or ports"
            )
        flow = self._solve(self.best, tol=1e-4)
        self.time = flow.time
        kept.write(bare(self.within, self.best), self.time)
        return self._result(self.best, flow, "search")

    def _result(self, edges: Edges, flow: FlowResult, how: Any) -> SearchResult:
        return SearchResult(
            self.within,
            bare(self.within, edges),
            flow.package,
            self.figure,
            flow.time,
            (flow,),
            (self.bound,),
            how,
            self.solves,
            self.screens,
            self.rejected,
            tuple(self.history),
        )

    def _package(self, edges: Edges, widths: Floats | None = None) -> Package:
        return build(self.within, bare(self.within, edges), self.name, widths=widths)

    def _solve(self, edges: Edges, tol: float = 1e-3) -> FlowResult:
        package = self._package(edges)
        return congestion(package, self.traffic.on(package), tol=tol)

    def _improve(self, edges: Edges, time: float) -> None:
        if time < self.time * (1 - 1e-9):
            self.best, self.time = edges, time
            self.history.append((self.solves, time))
            gap, least = time / self.bound.time - 1, format_quantity(self.bound.time, "s", 4)
            self.tell(
                f"search: {format_quantity(time, 's', 4)}, at least {least}, "
                f"gap {gap:.1%}, {self.solves} solved, {self.screens} screened"
            )

    def _designed(self) -> SearchResult:
        width = self.design.width
        some = np.flatnonzero(width > 1e-6 * width.max())
        edges: Edges = tuple((int(a), int(b), 1) for a, b in self.design.pairs[some])
        package = self._package(edges, width[some])
        flow = congestion(package, self.traffic.on(package), tol=1e-5)
        self.solves = 1
        return self._result(edges, flow, "design")

    def _enumerated(self, every: list[Edges]) -> SearchResult:
        best: tuple[float, Edges, FlowResult] | None = None
        for edges in every:
            if best is not None and self._hops(edges) >= best[0] * (1 - 1e-9):
                self.rejected += 1
                continue
            try:
                flow = self._solve(edges, 1e-6)
            except TopologyError:  # terminals that cannot reach each other
                continue
            self.solves += 1
            if best is None or flow.time < best[0] * (1 - 1e-9):
                best = (flow.time, edges, flow)
                self._improve(edges, flow.time)
        if best is None:
            raise TopologyError(f"{self.within.text()}: the class holds no connected package")
        return self._result(best[1], best[2], "every graph")

    def _hops(self, edges: Edges) -> float:
        from noptoolkit.search.compiled_screen import screen

        joined, degree = table_of(self.within, tuple((a, b, 1) for a, b, _ in edges))
        hops, _ = screen(joined, degree, self.demand, np.zeros(joined.shape), False)
        links = sum(count for _, _, count in edges)
        return float(hops) / (2 * links * self.within.bandwidth)

    def _folded(self) -> FoldedClass:
        """Return the class folded by quarter turns: more graphs than with reflections, and faster ones.

        By all its symmetries where it has no quarter turns.
        """
        demand = self.demand / self.demand.max()
        turned = FoldedClass(demand, self.within, fold="turns")
        quarters = len(turned.sources) <= 0.3 * len(self.within)
        return turned if quarters else FoldedClass(demand, self.within)

    def _swaps(self, screens: int, rng: np.random.Generator) -> None:
        """Anneal by swaps, from the best so far and from random graphs, and solve what comes out."""
        from noptoolkit.search.compiled_screen import anneal

        within, demand = self.within, self.demand / self.demand.max()
        allowed, length = within.allowed, within.length
        restarts = 3
        for k in range(restarts):
            steps = screens // restarts
            if steps < 100:
                return
            edges = random_graph(within, rng)
            if k == 0 and self.best is not None and all(n == 1 for _, _, n in self.best):
                edges = self.best
            joined, degree = table_of(within, edges)
            spare = np.inf
            if within.wire is not None:
                spare = within.wire - sum(float(length[a, b]) for a, b, _ in edges)
            wire_before = [spare]
            for share, weight, heat in ((0.6, 0.0, START), (0.4, PEAK, 0.3 * START)):
                count = int(share * steps)
                seed = int(rng.integers(2**31))
                anneal(joined, degree, demand, allowed, length, wire_before[0], count, weight, heat, seed)
                self.screens += count
                edges = _edges_of(joined, degree)
                if within.wire is not None:
                    wire_before[0] = within.wire - sum(float(length[a, b]) for a, b, _ in edges)
            if not fits(within, edges) or not np.isfinite(self._hops(edges)):
                continue
            if self._hops(edges) < self.time:
                flow = self._solve(edges)
                self.solves += 1
                self._improve(edges, flow.time)

    def _walk(self, space: OrbitSpace, solves: int, rng: np.random.Generator, *, afresh: bool = True) -> None:
        walk = Walk(space, rng) if afresh else Walk(space, rng, heat=COOL)
        unit = float(self.demand.max()) / self.within.bandwidth
        before = self.solves

        def tell(on: Any, time: float) -> None:
            self.solves = before + walk.solves
            self._improve(space.edges(on), time * unit)

        start = None if self.best is None else space.orbits_of(self.best)
        share = max(solves // ROUNDS, 1)
        for k in range(2 * ROUNDS):
            if walk.solves >= solves or self.time <= self.bound.time * (1 + 1e-3):
                break
            again = None if afresh and k % 2 else start
            best, time = walk.run(again, min(share, solves - walk.solves), tell)
            if np.isfinite(time):
                tell(best, time)
            start = None if self.best is None else space.orbits_of(self.best)
        self.solves, self.rejected = before + walk.solves, self.rejected + walk.rejected


def _edges_of(joined: Any, degree: Any) -> Edges:
    found = {
        (min(u, int(v)), max(u, int(v))) for u in range(len(degree)) for v in joined[u, : degree[u]].tolist()
    }
    return tuple(sorted((a, b, 1) for a, b in found))
