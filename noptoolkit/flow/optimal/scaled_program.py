"""The optimal routing where bandwidths differ by many powers of ten: a linear program of shares.

Solvers of linear programs work to an absolute accuracy of about 1e-9, which is nothing to a link of 1e12 B/s
and everything to one of 1 B/s. Here every number is a share. Of each pair of vertices with demand d, a
variable says which share of it takes an arc; with a time T that is known to suffice, resource r may spend::

    sum over pairs of  d / (capacity of r x T)  x  share  +  base / (capacity x T)  <=  z

and z, the part of T that is needed, is minimised. An arc that could carry less than `SLIVER` of a pair's
demand within T is closed to that pair: its share could not matter. In the proof such an arc costs the pair as
much as its whole path, which adds less than `SLIVER` per arc to the price of everything. Where z turns out
small, T was far too long, and the program is solved again with the time found.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.flow.bounds.certificate import program_bound, repair, shortest_distances
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.flow.optimal.solution import Solution

__all__ = ["is_wide", "solve_scaled_program"]

METHOD = "linear program of shares (HiGHS)"

SLIVER = 1e-7
"""Share of a pair's demand below which an arc is closed to it."""

LEAST = 1e-10
"""Coefficient, relative to the time that is known, below which it is left out."""

MOST_COLUMNS = 150_000
WIDE = 1e5
ROUNDS = 6


def is_wide(program: FlowProgram) -> bool:
    """Return whether capacities or demands differ so much that shares are worth their columns."""
    demand = program.demand[program.demand > 0]
    if not len(demand) or len(demand) * len(program.tail) > MOST_COLUMNS:
        return False
    spread = float(program.capacity.max() / program.capacity.min())
    return max(spread, float(demand.max() / demand.min())) > WIDE


def solve_scaled_program(
    program: FlowProgram, known: float, *, tol: float, deadline: float = float("inf")
) -> Solution | None:
    """Return the best answer of a few rounds.

    Parameters
    ----------
    known
        A time in which the demand can be carried, in the program's units.
    tol
        Gap at which to stop.
    deadline
        Value of ``time.perf_counter()`` at which to stop, in s.
    """
    best: Solution | None = None
    for _ in range(ROUNDS):
        left = deadline - time.perf_counter()
        found = None if left <= 0 else _solve(program, known, left if np.isfinite(left) else None)
        if found is None:
            break
        if best is not None and best.bound > found.bound:
            found = _with_prices(found, best)
        if best is not None and best.time < found.time:
            found = _with_prices(best, found)
        best = found
        if best.time <= max(best.bound, program.known) * (1 + tol) or best.time > known / 2:
            break
        known = best.time
    return best


def _with_prices(one: Solution, other: Solution) -> Solution:
    """Return the flow of one answer with the prices of the other."""
    return Solution(one.flow, one.time, other.prices, other.bound, METHOD)


def _solve(program: FlowProgram, known: float, time_limit: float | None) -> Solution | None:
    from scipy.sparse import csc_array, csr_array, hstack, vstack

    arcs, vertices = len(program.tail), program.num_vertices
    commodity, end = np.nonzero(program.demand > 0)
    amount = program.demand[commodity, end]
    use: Any = csr_array(program.on_arcs)
    slowest = csr_array(use.T).multiply(1.0 / program.capacity).max(axis=1)  # time of a unit on each arc
    each = 1.0 / np.maximum(np.asarray(slowest.todense()).ravel(), 1e-300)
    open_to = each[None, :] * known >= SLIVER * amount[:, None]
    open_to &= (program.head[None, :] != program.ends[commodity][:, None]) & (
        program.tail[None, :] != end[:, None]
    )
    pair, arc = np.nonzero(open_to)
    columns = np.arange(len(pair))
    ones = np.ones(len(pair))
    shape = (len(amount) * vertices, len(pair))
    rows = pair * vertices
    conservation: Any = csr_array((ones, (rows + program.head[arc], columns)), shape=shape)
    conservation = conservation - csr_array((ones, (rows + program.tail[arc], columns)), shape=shape)
    inner = np.ones((len(amount), vertices), bool)
    inner[np.arange(len(amount)), program.ends[commodity]] = False
    owed = np.zeros((len(amount), vertices))
    owed[np.arange(len(amount)), end] = 1.0
    spent: Any = csc_array(use[:, arc]).multiply(amount[pair][None, :]).tocsr()
    spent = spent.multiply(1.0 / (program.capacity * known)[:, None]).tocsr()
    spent.data[spent.data < LEAST] = 0.0
    spent.eliminate_zeros()
    matrix = vstack(
        [
            hstack([conservation[np.flatnonzero(inner.ravel())], csr_array((int(inner.sum()), 1))]),
            hstack([spent, csr_array(-np.ones((len(program.capacity), 1)))]),
        ],
        format="csc",
    )
    base = program.base / (program.capacity * known)
    answer = run_highs(
        matrix,
        lower=np.r_[owed[inner], np.full(len(base), -np.inf)],
        upper=np.r_[owed[inner], -base],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        time_limit=time_limit,
    )
    if answer is None:
        return None
    share = np.zeros(open_to.shape)
    share[pair, arc] = answer[0][:-1]
    flow = np.zeros((len(program.ends), arcs))
    for k, whole in enumerate(amount):
        flow[commodity[k]] += whole * _paths(program, share[k], int(program.ends[commodity[k]]), int(end[k]))
    wide_first = use.T @ (1.0 / program.capacity)  # what rounding has lost takes the widest arcs
    flow = repair(program, wide_first, flow)
    shadow = np.maximum(-answer[1][-len(base) :], 0.0)
    prices = _prices(program, shadow, known, amount, commodity, end, open_to)
    return Solution(flow, program.time(flow.sum(axis=0)), prices, program_bound(program, prices), METHOD)


def _paths(program: FlowProgram, share: Floats, start: int, end: int) -> Floats:
    """Return shares on whole paths that add up to 1, made of shares that nearly do."""
    found, left, total = np.zeros(len(share)), share.copy(), 0.0
    leaving: list[list[int]] = [[] for _ in range(program.num_vertices)]
    for arc in np.flatnonzero(share > 1e-9).tolist():
        leaving[int(program.tail[arc])].append(arc)
    for _ in range(len(share)):
        way = _widest(program, left, leaving, start, end)
        width = float(left[way].min()) if way else 0.0
        if width <= 1e-9 or total >= 1 - 1e-12:
            break
        width = min(width, 1 - total)
        found[way] += width
        left[way] -= width
        total += width
    return found / total if total > 0.5 else np.zeros(len(share))


def _widest(program: FlowProgram, left: Floats, leaving: list[list[int]], start: int, end: int) -> list[int]:
    """Return the arcs of the path whose narrowest share is the largest."""
    import heapq

    by: dict[int, int] = {}
    width = {start: np.inf}
    queue = [(-np.inf, start)]
    while queue:
        narrow, vertex = heapq.heappop(queue)
        if vertex == end:
            break
        if -narrow < width[vertex]:
            continue
        for arc in leaving[vertex]:
            head, through = int(program.head[arc]), min(-narrow, float(left[arc]))
            if through > width.get(head, 0.0):
                width[head], by[head] = through, arc
                heapq.heappush(queue, (-through, head))
    way: list[int] = []
    vertex = end
    while vertex != start and vertex in by:
        way.append(by[vertex])
        vertex = int(program.tail[by[vertex]])
    return way if vertex == start else []


def _prices(
    program: FlowProgram,
    shadow: Floats,
    known: float,
    amount: Floats,
    commodity: Ints,
    end: Ints,
    open_to: Bools,
) -> Floats:
    """Return prices of the resources, of which arcs closed to a pair cost the pair as much as its path."""
    prices = shadow / program.capacity
    least = 1e-12 * max(float(shadow.sum()), 1e-12) / (program.capacity * len(shadow))
    prices = prices + least
    use = program.on_arcs.tocsr()
    length = np.asarray(use.T @ prices)
    for _ in range(3):
        distance, _ = shortest_distances(
            program.num_vertices, program.tail, program.head, np.maximum(length, 1e-300), program.ends
        )
        # the way without the closed arcs: all pairs together pay at most for all that there is within T
        whole = known * float(shadow.sum()) / amount
        near = np.minimum(np.where(np.isfinite(distance[commodity, end]), whole, 0.0), whole)
        closed = ~open_to & (program.head[None, :] != program.ends[commodity][:, None])
        closed &= program.tail[None, :] != end[:, None]
        wanted = np.where(closed, near[:, None], 0.0).max(axis=0, initial=0.0)
        short = np.flatnonzero(wanted > length)
        if not len(short):
            break
        for arc in short.tolist():  # the resource of the arc that is the cheapest to raise
            own = use[:, [arc]].tocoo()
            cost = program.capacity[own.coords[0]] / own.data
            at = int(np.argmin(cost))
            prices[own.coords[0][at]] += (wanted[arc] - length[arc]) / own.data[at]
        length = np.asarray(use.T @ prices)
    return prices
