"""The optimal routing of dense traffic at any size: a first-order method on the flow program.

For a floor z' the program is the saddle point ::

    min over x >= 0, max over P and y in Y    sum_q P_q . (d_q - N x_q) + y . (A sum_q x_q + base - z' C)

with N the incidence of the arcs, A that of the resources and Y = {y >= 0, C . y <= 1}: where its value is
0, the time z' is achievable. It is solved by the primal-dual hybrid gradient method with reflected Halpern
steps and restarts (Lu and Yang, arXiv 2407.16144; Applegate et al., PDLP, arXiv 2106.04756), each
commodity scaled by its own demand. Every so often the iterate is made a proof: flows are repaired, prices
evaluated, in float64 (`noptoolkit.flow.bounds.certificate`), and overloaded resources are relieved by detours
(`noptoolkit.flow.optimal.detours`). The floor follows the best bound, half a tolerance above it.

In blocked arrays [blocks, arcs or vertices, lanes] the commodities are padded to whole blocks with empty
ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints
from noptoolkit._threads import thread_pool
from noptoolkit.flow.bounds.certificate import without_zeros
from noptoolkit.flow.bounds.cuts import CUT, program_cut
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.flow.optimal.detours import DetourSearch
from noptoolkit.flow.optimal.solution import Iterate, Solution

__all__ = ["solve_first_order"]

Singles = NDArray[np.float32]

METHOD = "primal-dual hybrid gradient"
PARTS = 8  # of the commodities, summed in their order: a fixed number, so that threads change no digit
FIRST_CUT = 0.15  # gap below which prices point at the bottleneck
PATIENCE = 2000  # iterations, or as many as before, that may bring nothing: single precision has its end
WARM_PATIENCE = 200  # likewise of a start from elsewhere, that another one may replace
EMPTY_SINGLES = np.zeros((0, 0, 0), np.float32)
EMPTY = np.zeros((0, 0))


@dataclass
class Certified:
    """The best of both sides so far; ``target`` is that of the detours that the flow takes."""

    known: float
    time: float
    bound: float
    flow: Singles
    length: Floats
    prices: Floats
    target: float

    @property
    def gap(self) -> float:
        return self.time / self.floor - 1

    @property
    def floor(self) -> float:
        return max(self.bound, self.known)


class Kernels:
    """The compiled loops over all commodities of one program, spread over threads."""

    def __init__(self, program: FlowProgram) -> None:
        from noptoolkit.flow.optimal import compiled

        self.program = program
        self.lanes = compiled.LANES
        self.compiled = compiled
        self.blocks = -(-len(program.ends) // self.lanes)
        self.parts = max(1, min(PARTS, self.blocks))
        self.pool = thread_pool() if self.parts > 1 else None
        self.first = program.first_arc()
        self.tail, self.head = program.tail.astype(np.int32), program.head.astype(np.int32)
        self.demand = np.ascontiguousarray(program.demand)
        self.ends = program.ends.astype(np.int64)

    def blocked(self, array: Floats) -> Singles:
        """Return per-commodity rows [commodities, n] as [blocks, n, lanes]."""
        padded = np.zeros((self.blocks * self.lanes, array.shape[1]), np.float32)
        padded[: len(array)] = array
        lanes = padded.reshape(self.blocks, self.lanes, -1)
        return np.ascontiguousarray(lanes.transpose(0, 2, 1))

    def each(self, run: Callable[[tuple[int, int]], Any], count: int) -> list[Any]:
        """Return what a function returns for each part of some commodities or blocks."""
        parts = self.ranges(count)
        return [run(part) for part in parts] if self.pool is None else list(self.pool.map(run, parts))

    def ranges(self, count: int) -> list[tuple[int, int]]:
        cuts = [count * k // self.parts for k in range(self.parts + 1)]
        return [(a, b) for a, b in pairwise(cuts) if b > a]

    def spread(self, flow: Singles, scale: Singles) -> None:
        """Fill a first flow and the scale of each commodity's flow out of each vertex."""

        def run(part: tuple[int, int]) -> None:
            graph = (self.first, self.tail, self.head, np.ones(len(self.tail)))
            self.compiled.spread_equally(*part, *graph, self.demand, self.ends, flow, scale)

        self.each(run, len(self.ends))

    def load(self) -> None:
        """Compile what certifies, or load it, before its time is taken."""
        nothing = np.zeros(len(self.tail))
        arrays = (self.first, self.tail, self.head, nothing, self.demand, self.ends, EMPTY_SINGLES)
        self.compiled.certify(0, 0, *arrays, nothing, EMPTY_SINGLES, EMPTY)

    def certify(
        self, length: Floats, flow: Singles, distances: Singles = EMPTY_SINGLES, repaired: Floats = EMPTY
    ) -> tuple[Floats, float]:
        """Return arc loads of the repaired flow and the demand times distance."""

        def run(part: tuple[int, int]) -> tuple[Floats, float]:
            load = np.zeros(len(self.tail))
            arrays = (self.first, self.tail, self.head, length, self.demand, self.ends, flow)
            return load, self.compiled.certify(*part, *arrays, load, distances, repaired)

        parts = self.each(run, self.blocks)
        load = np.sum([load for load, _ in parts], axis=0)
        return load, float(sum(cost for _, cost in parts))

    def step(self, arguments: tuple[Any, ...]) -> tuple[Floats, float]:
        def run(part: tuple[int, int]) -> tuple[Singles, float]:
            load = np.zeros(len(self.tail), np.float32)
            return load, self.compiled.halpern_step(*part, self.tail, self.head, *arguments, load)

        parts = self.each(run, self.blocks)
        load = np.sum([load for load, _ in parts], axis=0, dtype=float)
        return load, float(sum(residual for _, residual in parts))


def solve_first_order(
    program: FlowProgram,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
    folded: bool = False,
    start: Iterate | None = None,
    above: float = float("inf"),
) -> Solution:
    """Return a flow and prices within a tolerance of each other, or what is reached by a deadline.

    A tolerance below what single precision can reach (about 1e-5) ends when nothing improves any more.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        Value of ``time.perf_counter()`` at which to stop, in s.
    report
        Function that receives the progress, one line at a time.
    folded
        Whether the program is folded by symmetry, so that cuts say nothing about it.
    start
        Where to start, of a program of the same commodities: flows and prices of one that is alike.
    above
        Bound at which to stop: the time is then of no interest.
    """
    kernels = Kernels(program)
    try:
        with np.errstate(
            over="ignore", invalid="ignore", divide="ignore"
        ):  # steps may leave what floats hold
            return _solve(program, kernels, tol, deadline, report, folded, start, above)
    finally:  # an interrupt or an error in a kernel leaves no thread behind
        if kernels.pool is not None:
            kernels.pool.shutdown(cancel_futures=True)


def _solve(
    program: FlowProgram,
    kernels: Kernels,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None,
    folded: bool,
    start: Iterate | None,
    above: float,
) -> Solution:
    detours = DetourSearch(program)
    capacity, on_arcs, base = program.capacity, program.on_arcs, program.base
    prices_to_length = on_arcs.T.tocsr()
    padding = np.full(kernels.blocks * kernels.lanes - len(program.ends), -1)
    ends = np.r_[program.ends, padding].reshape(kernels.blocks, kernels.lanes)
    demand = kernels.blocked(program.demand)
    flow = np.zeros((kernels.blocks, len(program.tail), kernels.lanes), np.float32)
    price = np.zeros((kernels.blocks, program.num_vertices, kernels.lanes), np.float32)
    scale = np.full_like(price, 1.0)  # what an empty lane has does not matter
    kernels.spread(flow, scale)
    spread = _sum_at_vertices(program, scale)
    stiffness = 2.0 if start is not None else _stiffness(program, scale, spread)
    inverse_spread: Singles = np.float32(2 / stiffness) / spread
    passing = scale.sum(axis=(0, 2), dtype=float)[program.tail]
    weight = _row_weights(on_arcs, passing)  # makes the resources' operator no longer than 1

    def certify(prices: Floats, distances: Singles = EMPTY_SINGLES) -> tuple[Floats, float, Floats, Floats]:
        prices = without_zeros(prices, capacity)
        length = prices_to_length @ prices
        load, cost = kernels.certify(length, flow, distances)
        return load, cost + _dot(base, prices), length, prices

    # Why a rough method may be trusted: nothing that it returns is the iterate. Every certificate starts from
    # the current flow and prices and makes them feasible (see `compiled.certify`), so `best` holds a time
    # that a flow achieves and a bound that prices prove, whatever the steps do; steps decide only how soon
    # the two meet. Why they meet: while the floor z' is below the optimum the saddle value is above 0 and the
    # prices that grow on overfull resources raise the bound, and with it the floor; once z' is at or above
    # it the value is 0, and reflected Halpern steps converge to a flow that keeps the floor, half a tolerance
    # above the bound. Restarts at the current point, when the residual has fallen to a fifth or rises again,
    # make convergence linear in practice; omega is re-balanced there, so that flow and prices move equally
    # far in their norms.
    y = 1 / capacity / len(capacity)
    if start is not None:
        flow[:], price[:], y = start.flow, start.price, start.prices / _dot(capacity, start.prices)
    kernels.load()
    detours.find(np.zeros(len(program.tail)), np.inf)  # likewise
    started = time.perf_counter()
    load, bound_now, length, prices = certify(y, price)
    reserve = 3 * (time.perf_counter() - started)  # for a last certificate, and for the repaired flow itself
    best = Certified(program.known, program.time(load), bound_now, flow.copy(), length, prices, np.inf)
    norm_flow = np.sqrt(_squares(flow, None, scale, program.tail))
    norm_dual = np.sqrt(_squares(price, None, inverse_spread) + _dot(weight, y**2))
    omega = 2 * norm_dual / norm_flow if start is None else start.omega
    flow0, price0, y0 = flow.copy(), price.copy(), y.copy()
    floor = best.floor * (1 + tol / 2)
    iteration = since_restart = 0
    next_check, patience = (40, PATIENCE) if start is None else (20, WARM_PATIENCE)
    cuts = not folded and start is None  # a search solves many programs, and prices come as near
    bound_method, gap_of_cut = "", FIRST_CUT if cuts else np.inf
    gap_before, improved_at = best.gap, 0
    residual0 = before = np.inf
    limited = False
    while best.gap > tol and not limited and best.bound <= above:
        limited = time.perf_counter() + reserve >= deadline
        mix = (since_restart + 1) / (since_restart + 2)  # Halpern: ever less of the anchor flow0, price0, y0
        arc_length = (prices_to_length @ y).astype(np.float32)
        load, moved = kernels.step(
            (arc_length, flow, price, demand, ends, scale, inverse_spread, omega, flow0, price0, mix)
        )
        surplus = on_arcs @ load + base - floor * capacity
        y_new = _project(y + omega * surplus / weight, capacity, weight)
        residual = np.sqrt(moved + _dot(weight, (y_new - y) ** 2) / omega)
        if not np.isfinite(residual):
            break  # what is known is as good as it gets
        y = mix * (2 * y_new - y) + (1 - mix) * y0
        since_restart += 1
        iteration += 1
        if since_restart == 1:
            residual0 = residual
        elif (
            residual < 0.2 * residual0
            or before < residual < residual0
            or since_restart >= max(0.6 * iteration, 160)
        ):
            moved_flow = np.sqrt(_squares(flow, flow0, scale, program.tail))
            moved_dual = np.sqrt(_squares(price, price0, inverse_spread) + _dot(weight, (y - y0) ** 2))
            if moved_flow > 0 and moved_dual > 0:
                omega = omega**0.25 * (moved_dual / moved_flow) ** 0.75
            flow0[:], price0[:], y0 = flow, price, y.copy()
            since_restart = 0
            floor = best.floor * (1 + tol / 2)
        before = residual
        if iteration >= next_check or limited:
            load, bound_now, length, prices = certify(y)
            if bound_now > best.bound:
                best.bound, best.prices, bound_method = bound_now, prices, ""
            if best.gap < gap_of_cut and cuts and not limited:
                gap_of_cut = best.gap / 2.5
                by_cut, prices = program_cut(program, prices)
                if by_cut > best.bound:
                    best.bound, best.prices, bound_method = by_cut, prices, CUT
            time_now, target = detours.reach(load, best.floor * (1 + 0.98 * tol))
            if time_now < best.time:
                best.time, best.length, best.target = time_now, length, target
                best.flow[:] = flow
            if best.gap < 0.99 * gap_before:
                gap_before, improved_at = best.gap, iteration
            elif iteration - improved_at > max(patience, improved_at):
                break
            far = min((best.gap / tol) ** 0.3, 1.2) - 1  # the gap falls as 1 / iterations, or faster
            next_check = iteration + int(np.clip(far * iteration, 20, 200))
            if report is not None:
                report(f"{METHOD}: {iteration} iterations, gap {best.gap:.2%}, omega {omega:.3g}")
    # The flow in float64 is made once, at the end, from the lengths of the best certificate.
    repaired = np.zeros((len(program.ends), len(program.tail)))
    load, _ = kernels.certify(best.length, best.flow, repaired=repaired)
    if np.isfinite(best.target):
        detours.find(load, best.target).take(repaired)
        load = repaired.sum(axis=0)
    limited = limited and best.gap > tol
    reached = Iterate(flow, price, y, float(omega))
    time_of_flow = program.time(load)
    return Solution(repaired, time_of_flow, best.prices, best.bound, METHOD, limited, bound_method, reached)


def _sum_at_vertices(program: FlowProgram, scale: Singles) -> Singles:
    """Return the sum of the scales of the arcs that touch each vertex, [blocks, vertices, lanes]."""
    from scipy.sparse import csr_array

    touches = csr_array(
        (
            np.ones(2 * len(program.tail), np.float32),
            (np.r_[program.tail, program.head], np.r_[program.tail, program.tail]),
        ),
        shape=(program.num_vertices, program.num_vertices),
    )
    return np.stack([touches @ block for block in scale])


def _stiffness(program: FlowProgram, scale: Singles, spread: Singles) -> float:
    """Return how much longer than 1 the scaled incidence makes a flow, squared: at most 2, where bipartite.

    By power iteration on a few commodities at once.
    """
    from scipy.sparse import csr_array

    sample = np.unique(np.linspace(0, len(program.ends) - 1, 8).astype(int))
    block, lane = np.divmod(sample, scale.shape[2])
    arcs = np.arange(len(program.tail))
    shape = (program.num_vertices, len(arcs))
    ends = np.r_[program.head, program.tail], np.r_[arcs, arcs]
    incidence: Any = csr_array((np.repeat([1.0, -1.0], len(arcs)), ends), shape=shape)
    on_arcs = scale[block, :, lane].astype(float).T[program.tail]
    at_vertices = np.sqrt(spread[block, :, lane].astype(float).T)
    price = np.random.default_rng(0).normal(size=at_vertices.shape)
    for _ in range(60):
        price[program.ends[sample], np.arange(len(sample))] = 0.0  # no balance is asked there
        price /= np.sqrt(np.sum(price**2, axis=0)) + 1e-30
        price = incidence @ (on_arcs * (incidence.T @ (price / at_vertices))) / at_vertices
    longest = float(np.sqrt(np.sum(price**2, axis=0)).max())
    return min(1.02 * longest, 2.0) if longest > 0 else 2.0


def _row_weights(on_arcs: Any, passing: Floats) -> Floats:
    """Return weights k such that diag(k)**-0.5 @ on_arcs @ diag(passing)**0.5 has norm at most 1 (Schur)."""
    per_arc = np.asarray(on_arcs.sum(axis=0)).ravel()
    worst = on_arcs.multiply(per_arc[None, :]).tocsr().max(axis=1).toarray().ravel()
    return np.asarray(on_arcs @ passing * worst, dtype=float)


def _project(y: Floats, capacity: Floats, weight: Floats) -> Floats:
    """Return the point of {y >= 0, capacity @ y <= 1} that is nearest in the norm of ``weight``."""
    y = np.maximum(y, 0.0)
    if _dot(capacity, y) <= 1:
        return y
    slope = capacity / weight
    shift, last = 0.0, -1.0
    while shift > last:  # those that end at zero drop out, which raises the shift (Michelot, 1986)
        stay = y > shift * slope
        if not _dot(capacity[stay], slope[stay]) > 0:  # capacities so far apart that none is left
            break
        last, shift = shift, (_dot(capacity[stay], y[stay]) - 1) / _dot(capacity[stay], slope[stay])
    return np.asarray(np.maximum(y - shift * slope, 0.0))


def _dot(a: Floats, b: Floats) -> float:
    """Return the sum of products, without BLAS, whose threads take longer to wake than the sum."""
    return float(np.sum(a * b))


def _squares(now: Singles, then: Singles | None, scale: Singles, rows: Ints | None = None) -> float:
    """Return the sum of (now - then) squared over scale, whose ``rows`` are meant where given."""
    total = 0.0
    for block in range(len(now)):
        step = now[block] if then is None else now[block] - then[block]
        share = scale[block] if rows is None else scale[block][rows]
        total += float(np.sum(step * step / share, dtype=float))
    return total
