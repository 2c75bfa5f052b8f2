"""Search over structure: the best topology of a class for a traffic, with the bound that it cannot beat.

Small classes are enumerated. Where bandwidth splits freely, the design program's own package is the best.
Else two searches take turns: swaps of links under a compiled screen (byte-hops first, then the peak of an
equal split), which come near the bound where links may reach anywhere; and walks over graphs with the
symmetry of their grid (`noptoolkit.search.walking`), each solved exactly, where the reach is short and
distance alone is the wrong aim. Starts are the families that fit, and random graphs. The best is solved again
by `congestion`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._seeds import generator_from
from noptoolkit.bounds import TopologyClass, design
from noptoolkit.bounds.designs import FoldedClass, demand_of
from noptoolkit.errors import FormatError, NopError, TopologyError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.formats.results import replace_file
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.search.graphs import Edges, every_graph, fits, package_of, random_graph, table_of
from noptoolkit.search.orbits import OrbitSpace
from noptoolkit.search.result import SearchResult
from noptoolkit.search.walking import Walk
from noptoolkit.topology import FAMILIES
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["search"]

START = 0.014
"""Share of the cost by which a swap may be worse at the start: the first annealing is of byte-hops alone."""

PEAK = 0.04
"""Weight of the peak in the second."""

SMALL = 32
"""Chiplets up to which graphs without symmetry are walked too."""

ROUNDS = 2
"""Walks among which the solves are shared: every other one starts anew, the others at the best so far."""

FAMILIES_TRIED = (
    "mesh",
    "torus",
    "folded_torus",
    "flattened_butterfly",
    "kite",
    "sid_mesh",
    "sparse_hamming_graph",
)


def search(
    within: TopologyClass,
    traffic: Traffic,
    *,
    solves: int = 400,
    screens: int = 120_000,
    rng: int | np.random.Generator | None = 0,
    store: str | Path | None = None,
    name: str = "found",
    progress: Progress | None = None,
) -> SearchResult:
    """Return the best topology found of a class for a traffic, and what no topology of the class can beat.

    Parameters
    ----------
    within
        The class: ports, reach, wire, how links may be used.
    traffic
        Demand between its chiplets; no messages to sets.
    solves
        Graphs that may be solved exactly. A class with fewer graphs is enumerated.
    screens
        Graphs that may be screened by compiled code.
    rng
        Seed, or generator.
    store
        File that keeps the best graph so far: a search that is started again with it goes on from there, with
        other random numbers. (A search has one state, and no rows for the store of a study.)
    name
        Name of the package.
    progress
        Callable that is given a line for each improvement: best, bound, gap.

    Raises
    ------
    TopologyError
        If the class holds no connected package.
    WorkloadError
        If the traffic does not fit the class.
    FormatError
        If ``store`` is of another search.

    Examples
    --------
    >>> from noptoolkit.bounds import grid_class
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> wired = grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single")
    >>> found = search(wired, all_to_all(mesh(2, 3), "1 GB"), solves=4000)
    >>> round(found.time, 3), found.status, found.how, found.verify()
    (2.333, 'optimal', 'every graph', True)
    """
    if solves < 1 or screens < 0:
        raise NopError(f"solves={solves}, screens={screens}: give at least one graph to solve")
    return _Search(within, traffic, name, progress).run(solves, screens, generator_from(rng), store)


class _Search:
    def __init__(self, within: TopologyClass, traffic: Traffic, name: str, progress: Progress | None) -> None:
        self.within, self.traffic, self.name = within, traffic, name
        self.tell = progress or (lambda _: None)
        self.demand = demand_of(traffic, within)
        self.design = design(traffic, within)
        self.bound = self.design.bound
        self.best: Edges | None = None
        self.time = np.inf
        self.solves = self.screens = self.rejected = 0
        self.history: list[tuple[int, float]] = []
        self.rounds = 0

    def run(
        self, solves: int, screens: int, rng: np.random.Generator, store: str | Path | None
    ) -> SearchResult:
        if self.within.links == "split":
            return self._designed()
        every = every_graph(self.within, solves) if len(self.within) <= 8 else None
        if every is not None:
            return self._enumerated(every)
        if store is not None:
            self._read(Path(store))
            rng = np.random.default_rng([int(rng.integers(2**31)), self.rounds])
        self._families()
        symmetric = bool(np.allclose(self.demand, self.demand.T))
        folded = FoldedClass(self.demand / self.demand.max(), self.within)
        walks = symmetric and len(folded.sources) < 0.5 * len(self.within)
        self._swaps(screens, rng)
        if walks and self.within.reach is not None:  # else distance is the right aim, and swaps do better
            self._walk(OrbitSpace(folded), solves, rng)
        if len(self.within) <= SMALL:
            whole = FoldedClass(self.demand / self.demand.max(), self.within, fold=False)
            self._walk(OrbitSpace(whole), solves, rng)
        self.rounds += 1
        if self.best is None:
            raise TopologyError(
                f"{self.within.text()}: no connected graph was found; give more screens or ports"
            )
        flow = self._solve(self.best, tol=1e-4)
        self.time = flow.time
        if store is not None:
            self._write(Path(store))
        return self._result(self.best, flow, "search")

    def _result(self, edges: Edges, flow: FlowResult, how: Any) -> SearchResult:
        return SearchResult(
            self.within,
            edges,
            flow,
            self.bound,
            how,
            self.solves,
            self.screens,
            self.rejected,
            tuple(self.history),
        )

    def _package(self, edges: Edges, widths: Floats | None = None) -> Package:
        return package_of(self.within, edges, self.name, widths=widths)

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

    def _families(self) -> None:
        """Try the families whose chiplets have these names and whose links fit."""
        size = len(self.within)
        side = round(size**0.5)
        number = {name: i for i, name in enumerate(self.within.names)}
        for family in FAMILIES_TRIED:
            try:
                package = (
                    FAMILIES[family].build(**FAMILIES[family].of_size(size)) if side * side == size else None
                )
            except NopError:
                continue
            if package is None or set(package.terminals) != set(number):
                continue
            pairs = [(number[link.a], number[link.b]) for link in package.links]
            count = {(min(a, b), max(a, b)): 0 for a, b in pairs}
            for a, b in pairs:
                count[min(a, b), max(a, b)] += 1
            edges: Edges = tuple(sorted((a, b, n) for (a, b), n in count.items()))
            if fits(self.within, edges):
                flow = self._solve(edges)
                self.solves += 1
                self._improve(edges, flow.time)

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

    def _walk(self, space: OrbitSpace, solves: int, rng: np.random.Generator) -> None:
        walk = Walk(space, rng)
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
            best, time = walk.run(start if k % 2 == 0 else None, min(share, solves - walk.solves), tell)
            if np.isfinite(time):
                tell(best, time)
            start = None if self.best is None else space.orbits_of(self.best)
        self.solves, self.rejected = before + walk.solves, self.rejected + walk.rejected

    def _key(self) -> str:
        return f"{self.within.text()}; {self.traffic!r}"

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            edges: Edges = tuple((int(a), int(b), int(n)) for a, b, n in kept["edges"])
            key, time, rounds = kept["search"], float(kept["time"]), int(kept["rounds"])
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            raise FormatError(
                f"{path}: no state of a search ({wrong}); give another file, or remove it"
            ) from None
        if key != self._key():
            raise FormatError(f"{path}: is of another search, {key!r}; give another file, or remove it")
        if not fits(self.within, edges):
            raise FormatError(f"{path}: its graph breaks a rule of the class; remove the file")
        self.rounds = rounds
        flow = self._solve(edges)
        if flow.time > time * 1.01:
            raise FormatError(f"{path}: its graph takes {flow.time:g} s, not {time:g} s; remove the file")
        self._improve(edges, flow.time)

    def _write(self, path: Path) -> None:
        state = {
            "schema": 1,
            "search": self._key(),
            "time": self.time,
            "rounds": self.rounds,
            "edges": [list(edge) for edge in self.best or ()],
        }
        replace_file(path, json.dumps(state))


def _edges_of(joined: Any, degree: Any) -> Edges:
    found = {
        (min(u, int(v)), max(u, int(v))) for u in range(len(degree)) for v in joined[u, : degree[u]].tolist()
    }
    return tuple(sorted((a, b, 1) for a, b in found))
