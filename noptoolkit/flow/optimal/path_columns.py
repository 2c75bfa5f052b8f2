"""The optimal routing of sparse traffic at any size: column generation over paths.

Where each vertex talks to few others, a handful of paths per pair carries an optimal flow. A greedy
round-robin on exponential prices gives a first pool; a *master* program shares each pair over its pool ::

    minimise z    with    shares of a pair sum to 1,    use of each resource <= z capacity

and its prices yield, by shortest paths, both a bound and the paths that are missing. The master may be
solved loosely (HiGHS's first-order solver, then interior point where that is too rough): its shares are
renormalised and its prices only ever used as prices, so roughness costs tightness, never truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.flow.bounds.certificate import without_zeros
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.flow.optimal.solution import Solution

__all__ = ["is_sparse", "solve_path_columns"]


METHOD = "path column generation"
MASTERS = 60  # after which the first-order method takes over
ROUNDS = 40  # of the greedy start
STEEP = 15.0  # its prices are exp(STEEP x relative congestion)


def is_sparse(program: FlowProgram) -> bool:
    """Return whether so few pairs have demand that their paths are the smaller program."""
    return bool(np.count_nonzero(program.demand) <= 4 * len(program.ends))


def solve_path_columns(
    program: FlowProgram,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Solution:
    """Return a flow and prices within a tolerance of each other, or what is reached by a deadline.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        Value of ``time.perf_counter()`` at which to stop, in s.
    report
        Function that receives the progress, one line at a time.
    """
    search = PathSearch(program)
    pool, shares, mean_price = search.greedy(deadline)
    use = pool.on_resources(search) @ (search.amount[pool.pair] * shares)
    best_time = max(float(np.max((program.base + use) / program.capacity)), program.known)
    best_pool, best_shares = pool, shares
    bound, prices = search.bound(mean_price)
    best_bound = bound

    def gap_now() -> float:
        return best_time / max(best_bound, program.known) - 1

    accuracy, stalled, turn = 3e-4, False, 0
    limited = False
    while gap_now() > tol and turn < MASTERS:
        limited = time.perf_counter() >= deadline
        if limited:
            break
        turn += 1
        before = gap_now()
        pool = pool.joined(search.found())
        left = deadline - time.perf_counter()
        answer = _master(program, search, pool, accuracy, tol, left)
        if answer is None and not accuracy:
            break
        proves = False
        if answer is not None:
            shares, y = answer
            sums = np.bincount(pool.pair, shares, len(search.amount))
            if sums.min() > 0.1 and program.capacity @ y > 0:
                shares = shares / sums[pool.pair]
                use = pool.on_resources(search) @ (search.amount[pool.pair] * shares)
                now = max(float(np.max((program.base + use) / program.capacity)), program.known)
                if now < best_time:
                    best_time, best_pool, best_shares = now, pool, shares
                centre = prices / (program.capacity @ prices)
                y = y / (program.capacity @ y)
                for near in (0.0, 0.5, 0.8):  # prices between the master's and the best known oscillate less
                    bound, tried = search.bound(near * centre + (1 - near) * y)
                    proves |= bound > 0
                    if bound > best_bound:
                        best_bound, prices = bound, tried
                if not stalled:
                    pool = pool.kept(shares > 1e-3)
        if not proves:
            accuracy = 0.0  # too degenerate for a first-order master: interior point from now on
            continue
        stalled = gap_now() > 0.9 * before
        if stalled:
            accuracy = accuracy / 3 if accuracy > 1e-5 else 0.0
        if report is not None:
            report(f"{METHOD}: {turn} masters, gap {gap_now():.2%}, {len(pool.pair)} paths")
    flow = search.flow(best_pool, best_shares)
    return Solution(flow, program.time(flow.sum(axis=0)), prices, best_bound, METHOD, limited)


class PathPool:
    """Different paths of pairs: the pair of each, and its arcs."""

    def __init__(self, pair: Ints, arcs: list[NDArray[np.int32]]) -> None:
        self.pair = pair
        self.arcs = arcs

    def joined(self, other: PathPool) -> PathPool:
        """Return both pools without what is twice."""
        every = {
            (pair, arcs.tobytes()): arcs
            for pool in (self, other)
            for pair, arcs in zip(pool.pair.tolist(), pool.arcs, strict=True)
        }
        return PathPool(np.array([pair for pair, _ in every], np.int64), list(every.values()))

    def kept(self, chosen: Bools) -> PathPool:
        arcs = [path for path, keep in zip(self.arcs, chosen, strict=True) if keep]
        return PathPool(self.pair[chosen], arcs)

    def on_resources(self, search: PathSearch) -> csc_array:
        """Return what one unit on each path uses of each resource, [resources, paths]."""
        counts = np.array([len(path) for path in self.arcs])
        column = np.repeat(np.arange(len(counts)), counts)
        shape = (len(search.program.tail), len(counts))
        on_paths = csr_array((np.ones(len(column)), (np.concatenate(self.arcs), column)), shape=shape)
        return csc_array(search.program.on_arcs @ on_paths)


class PathSearch:
    """Shortest paths between the pairs of one program, remembered as they are found."""

    def __init__(self, program: FlowProgram) -> None:
        from noptoolkit.flow.optimal import compiled_paths

        self.program = program
        self.compiled = compiled_paths
        self.commodity, self.target = np.nonzero(program.demand)
        self.source = program.ends[self.commodity]
        self.amount = program.demand[self.commodity, self.target]
        self.first = program.first_arc()
        self.paths = np.zeros((len(self.amount), program.num_vertices), np.int32)
        self.news: list[PathPool] = []

    def greedy(self, deadline: float) -> tuple[PathPool, Floats, Floats]:
        """Return a first pool, the shares of its paths, and mean prices on the way."""
        program = self.program
        pairs = len(self.amount)
        use, mean_price = np.zeros(len(program.capacity)), np.zeros(len(program.capacity))
        price = 1 / program.capacity
        by_arc = program.on_arcs.T.tocsr()
        graph = (self.first, program.tail, program.head, program.capacity, program.base)
        ends = (by_arc.indptr, by_arc.indices, self.source, self.target, self.amount)
        tally: dict[tuple[int, bytes], int] = {}
        arcs: dict[tuple[int, bytes], NDArray[np.int32]] = {}
        for turn in range(ROUNDS):
            hops = np.zeros(pairs, np.int64)
            self.compiled.greedy_round(turn, ROUNDS, *graph, *ends, STEEP, use, price, self.paths, hops)
            if 3 * turn >= ROUNDS or turn == 0:
                mean_price += price / (program.capacity @ price)
            for k in range(pairs):
                path = self.paths[k, : hops[k]]
                key = (k, path.tobytes())
                tally[key] = tally.get(key, 0) + 1
                arcs.setdefault(key, path.copy())
            if time.perf_counter() >= deadline:
                break
        pool = PathPool(np.array([pair for pair, _ in tally], np.int64), list(arcs.values()))
        return pool, np.array(list(tally.values())) / (turn + 1), mean_price

    def bound(self, prices: Floats) -> tuple[float, Floats]:
        """Return what prices prove, and the prices without zeros; remember the shortest paths."""
        program = self.program
        prices = without_zeros(prices, program.capacity)
        length = program.on_arcs.T @ prices
        hops = np.zeros(len(self.amount), np.int64)
        distances = np.zeros(len(self.amount))
        graph = (self.first, program.tail, program.head, length, self.source, self.target)
        self.compiled.trace_paths(0, len(self.amount), *graph, self.paths, hops, distances)
        arcs = [path[:count].copy() for path, count in zip(self.paths, hops, strict=True)]
        self.news.append(PathPool(np.arange(len(hops)), arcs))
        return float(self.amount @ distances + program.base @ prices), prices

    def found(self) -> PathPool:
        """Return the paths found since the last call."""
        pool = self.news[0]
        for other in self.news[1:]:
            pool = pool.joined(other)
        self.news = self.news[-1:]
        return pool

    def flow(self, pool: PathPool, shares: Floats) -> Floats:
        """Return the flow of each commodity, [commodities, arcs]."""
        flow = np.zeros(self.program.demand.shape[:1] + self.program.tail.shape)
        counts = np.array([len(path) for path in pool.arcs])
        rows = np.repeat(self.commodity[pool.pair], counts)
        np.add.at(flow, (rows, np.concatenate(pool.arcs)), np.repeat(self.amount[pool.pair] * shares, counts))
        return flow


def _master(
    program: FlowProgram, search: PathSearch, pool: PathPool, accuracy: float, tol: float, left: float
) -> tuple[Floats, Floats] | None:
    """Return the shares of the pool's paths and the prices of the resources."""
    from scipy.sparse import hstack, vstack

    paths, pairs, resources = len(pool.pair), len(search.amount), len(program.capacity)
    use = pool.on_resources(search) @ csr_array(
        (search.amount[pool.pair], (np.arange(paths), np.arange(paths))), shape=(paths, paths)
    )
    one = csr_array((np.ones(paths), (pool.pair, np.arange(paths))), shape=(pairs, paths))
    matrix = vstack(
        [hstack([use, csr_array(-program.capacity[:, None])]), hstack([one, csr_array((pairs, 1))])],
        format="csc",
    )
    options: dict[str, str | float] = {
        "solver": "ipx",
        "run_crossover": "off",
        "ipm_optimality_tolerance": min(1e-3, 0.1 * tol),
    }
    limit = left
    if accuracy:
        names = ("pdlp_optimality_tolerance", "primal_feasibility_tolerance", "dual_feasibility_tolerance")
        options = {"solver": "pdlp", **dict.fromkeys(names, accuracy)}
        limit = min(3.0, left)
    answer = run_highs(
        matrix,
        lower=np.r_[np.full(resources, -np.inf), np.ones(pairs)],
        upper=np.r_[-program.base, np.ones(pairs)],
        options=options,
        time_limit=limit if np.isfinite(limit) else None,
    )
    if answer is None:
        return None
    columns, rows = answer
    return np.maximum(columns[:-1], 0.0), np.maximum(-rows[:resources], 0.0)
