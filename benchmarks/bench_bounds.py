"""Bounds over all topologies, search over structure: processor time, and how near the bound it comes.

Run from the checkout, for instance::

    python benchmarks/bench_bounds.py bounds            # ports and Moore sums, design programs
    python benchmarks/bench_bounds.py rates             # screens and exact symmetric solves a second
    python benchmarks/bench_bounds.py search --solves 300 --screens 60000 --seed 71

Times are processor seconds of this process, without numba's one-off compilation. Demands are uniform but
where said; grids are square, links whole with one a pair. A search reports how far above the bound over its
whole class the best topology found is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from noptoolkit import congestion
from noptoolkit.bounds import design_bound, grid_class, ports_bound
from noptoolkit.bounds.designs import FoldedClass
from noptoolkit.flow.changing_links import ChangingLinks
from noptoolkit.search import search
from noptoolkit.search.compiled_screen import screen
from noptoolkit.search.graphs import random_graph, table_of
from noptoolkit.search.moves import moved
from noptoolkit.search.orbits import OrbitSpace
from noptoolkit.search.structure import bare, build
from noptoolkit.traffic import Traffic


def demand(size: int, seed: int | None = None) -> Traffic:
    """Return a uniform demand, or a skewed one."""
    matrix = np.ones((size, size)) if seed is None else np.random.default_rng(seed).pareto(1.5, (size, size))
    return Traffic(tuple(f"e{i}" for i in range(size)), matrix * (1 - np.eye(size)), name="demand")


def seconds(run: Callable[[], object], times: int = 1) -> tuple[object, float]:
    begun = time.process_time()
    for _ in range(times):
        found = run()
    return found, (time.process_time() - begun) / times


def bounds(seed: int) -> None:
    """Print the time of each bound, and the bound."""
    large = demand(1024)
    ports_bound(large, 4, 1.0)
    _, cpu = seconds(lambda: ports_bound(large, 4, 1.0), 10)
    print(f"ports + Moore, 1,024 chiplets: {1e3 * cpu:.1f} ms")
    for side, reach in ((8, 2), (8, 3), (16, 1), (16, 2)):
        within = grid_class(side, ports=4, reach=reach, bandwidth=1.0)
        found, cpu = seconds(lambda w=within, s=side: design_bound(demand(s * s), w))
        print(f"design, {side} x {side}, reach {reach}: {cpu:.2f} s, at least {found.time:.3f}")
    skewed = np.array(demand(64).demand) * (1 + 1e-3 * np.random.default_rng(seed).random((64, 64)))
    whole = Traffic(demand(64).endpoints, skewed)
    found, cpu = seconds(lambda: design_bound(whole, grid_class(8, ports=4, reach=2, bandwidth=1.0)))
    print(f"design, 8 x 8, reach 2, no symmetry: {cpu:.2f} s, at least {found.time:.3f}")
    for reach in (2, None):
        within = grid_class(4, ports=4, reach=reach, bandwidth=1.0)
        _, cpu = seconds(lambda w=within: design_bound(demand(16, seed), w), 3)
        print(f"design, 16 chiplets, skewed, reach {reach}: {cpu:.2f} s")


def rates(seed: int) -> None:
    """Print graphs screened and solved in a second of processor time at 64 chiplets."""
    within = grid_class(8, ports=4, bandwidth=1.0, links="single")
    joined, degree = table_of(within, random_graph(within, np.random.default_rng(seed)))
    uniform, load = 1 - np.eye(64), np.zeros(joined.shape)
    for peak in (False, True):
        screen(joined, degree, uniform, load, peak)
        _, cpu = seconds(lambda p=peak: screen(joined, degree, uniform, load, p), 3000)
        print(f"screen of byte-hops{' and the peak' if peak else ''}: {1 / cpu:,.0f} a second")
    space = OrbitSpace(FoldedClass(uniform, within.replace(reach=2)))
    rng, on = np.random.default_rng(seed), np.zeros(space.size, bool)
    spent, solved = 0.0, 0
    while solved < 20:
        on = rng.random(space.size) < 0.4
        (value, _), cpu = seconds(lambda o=on: space.evaluate(o))
        if np.isfinite(value):
            spent, solved = spent + cpu, solved + 1
    print(f"exact solves of symmetric graphs, 8 x 8, reach 2: {solved / spent:.0f} a second")
    for ports, reach in ((4, None), (4, 2), (6, None)):
        _warm_rates(seed, ports, reach)


def _warm_rates(seed: int, ports: int, reach: float | None) -> None:
    """Print certified times a second along a walk of 40 moves without symmetry, beside `congestion`."""
    within = grid_class(8, ports=ports, reach=reach, bandwidth=1.0, links="single")
    rng = np.random.default_rng(seed)
    now = bare(within, random_graph(within, rng))
    solver = ChangingLinks(1 - np.eye(64))
    spent = {"bound": 0.0, "solve": 0.0}
    moves = 0
    while moves < 41:
        then = moved(within, now, rng, fill=True)
        if then is None:
            continue
        links = np.array([edge[:2] for edge in then.edges])
        for name in spent:
            if name == "solve" or moves:
                _, cpu = seconds(lambda n=name, e=links: getattr(solver, n)(e, np.ones(1)))
                spent[name] += cpu if moves else 0.0  # the first has nowhere to start from
        moves, now = moves + 1, then
    package = build(within, now, "last")
    _, cpu = seconds(lambda: congestion(package, demand(64).on(package), tol=0.01))
    print(
        f"no symmetry, 64 chiplets, {ports} ports, reach {reach}: {40 / spent['solve']:.0f} a second "
        f"certified within 1 %, {40 / spent['bound']:.0f} bounds by last prices, {1 / cpu:.1f} by congestion"
    )


CASES = ((4, 4, None), (4, 4, 2), (8, 3, None), (8, 4, None), (8, 6, None), (8, 4, 2), (8, 4, 3))


def searches(seed: int, solves: int, screens: int) -> None:
    """Print what a search finds in each case."""
    for side, ports, reach in CASES:
        within = grid_class(side, ports=ports, reach=reach, bandwidth=1.0, links="single")
        found, cpu = seconds(
            lambda w=within, s=side: search(w, demand(s * s), solves=solves, screens=screens, rng=seed)
        )
        print(
            f"{side} x {side}, {ports} ports, reach {reach}: {found.time:.3f}, at least "
            f"{found.bound.time:.3f}: {100 * found.gap:.1f} % above, {cpu:.0f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("bounds", "rates", "search"), default="bounds")
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--solves", type=int, default=60)
    parser.add_argument("--screens", type=int, default=12_000)
    given = parser.parse_args()
    if given.what == "bounds":
        bounds(given.seed)
    elif given.what == "rates":
        rates(given.seed)
    else:
        searches(given.seed, given.solves, given.screens)


if __name__ == "__main__":
    main()
