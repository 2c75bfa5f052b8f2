"""The optimal routing of messages to sets: packing Steiner trees, with prices that prove it.

Each message may split its bytes over any trees. A *column* of a block (`noptoolkit.flow.trees.blocks`) is
what it puts on the resources when each of its messages takes the cheapest tree under some prices; what the
trees are is not kept, but found again from the prices. Three steps take turns:

* *Pricing* every block under the same prices y gives a column of each and, since any routing costs at least
  that much, a bound: time >= (sum of costs) / (capacity . y).
* *Settling* goes through the blocks, one after the other: each is priced by the congestion that the others
  and its own last columns leave, and moves towards its new column as far as that lowers the potential
  log(sum of exp(eta use / capacity)) (Frank-Wolfe by blocks, after Lacoste-Julien et al., 2013).
* A *master program* mixes all columns, ::

    minimise z    with    shares of a block sum to 1,    use of each resource <= z capacity

  and its dual values are the next prices.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csc_array

from noptoolkit._arrays import Floats
from noptoolkit._highs import run_highs
from noptoolkit._threads import thread_pool
from noptoolkit.flow.bounds.certificate import node_cut_bounds
from noptoolkit.flow.trees.blocks import Partition, Pricing, partition
from noptoolkit.flow.trees.cheapest import Served
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.solution import Bound, Branches, CommodityFlow, Routed, TreeLoads

__all__ = ["pack_trees"]


METHOD = "Steiner tree packing"
MOST_STEPS = 6e10  # of pricing all blocks once, about a quarter of a minute
MOST_PROOF = 40_000_000  # arcs of trees that are kept one by one for `FlowResult.verify`
MOST_PACKINGS = 20_000  # messages whose cuts are kept for it
FIRST = 2  # times that blocks settle before the first master program
RECENT = 4  # rounds for which columns stay in the master program, used or not
PATIENCE = 6  # rounds without progress after which the gap is left as it is
MOST_ROUNDS = 100
AFTERWARDS = 2.0  # times as long as making and pricing all blocks it takes to find the trees again
STEEP = 20.0, 400.0  # of the potential: about log(resources) / gap
SLACK = 1e-7  # by which the master program may miss the best mix
AVERAGING = 0.4  # weight of the master program's last prices: by themselves they oscillate,
CLOSE = 0.02  # unless the gap is as small as this
LEAST_PRICE = 1e-6  # of the largest: under prices of nothing trees go anywhere


def pack_trees(
    problem: RoutingProblem,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Routed | None:
    """Return the best routing of demand and messages together.

    ``None`` where there is no time to route them once; without a deadline, where they are too many.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        Value of ``time.perf_counter()`` at which to stop, in s.
    report
        Function that receives the progress, one line at a time.
    """
    begin = time.perf_counter()
    parts = partition(problem)
    if parts.steps > MOST_STEPS and deadline == np.inf:
        return None
    search = _Search(parts, tol, deadline - AFTERWARDS * (time.perf_counter() - begin))
    if not search.start():
        return None
    stale = 0
    while stale < PATIENCE and search.round < MOST_ROUNDS and not search.is_over():
        before = search.gap
        search.improve()
        stale = 0 if search.gap < 0.98 * before else stale + 1
        if report is not None:
            report(f"{METHOD}: {len(search.columns)} columns, gap {search.gap:.2%}")
    return search.routed()


@dataclass(frozen=True, eq=False)
class _Column:
    """What a block does under some prices: its trees are those again, its use of the resources this."""

    block: int
    prices: Floats
    served: Served
    use: Floats
    round: int


class _Search:
    """The columns found so far, a mix of them, and the best bound that prices prove."""

    def __init__(self, parts: Partition, tol: float, deadline: float) -> None:
        self.parts, self.tol, self.deadline = parts, tol, deadline
        self.problem = parts.problem
        self.capacity = parts.problem.network.capacity
        self.fixed = parts.fixed_use
        self.columns: list[_Column] = []
        self.shares = np.zeros(0)  # of each column in the mix, 1 in all for each block
        self.use = np.zeros((len(parts.blocks), len(self.capacity)))  # of the mix, by block
        self.round = 0
        self.seconds = 0.0  # that pricing all blocks takes
        self.late = False
        cut = max(node_cut_bounds(parts.problem), key=lambda bound: bound.time)
        self.bound, self.prices = cut.time, cut.prices
        self.proved = False  # whether some prices prove more than that cut
        self.master = self.average = self.prices

    @property
    def time(self) -> float:
        """Of the mix, in s."""
        return float(np.max((self.fixed + self.use.sum(axis=0)) / self.capacity))

    @property
    def gap(self) -> float:
        """Between the mix and the best bound."""
        return self.time / self.bound - 1

    def is_late(self) -> bool:
        """Return whether what is left is only enough to find the trees of the mix again."""
        self.late = self.late or time.perf_counter() + AFTERWARDS * self.seconds >= self.deadline
        return self.late

    def is_over(self) -> bool:
        """Return whether time is up or the gap is closed."""
        return self.gap <= self.tol or self.is_late()

    def start(self) -> bool:
        """Route everything, equal prices first; return whether there was time for it."""
        equal = 1 / self.capacity
        for block in {(b.part is None, b.small is None): b for b in self.parts.blocks}.values():
            Pricing(self.problem, equal).serve(
                block
            )  # compiles what is not yet: no price takes as long again
        self.price(equal)
        if len(self.columns) < len(self.parts.blocks):
            return False
        self.shares[:] = 1.0
        self.use = np.stack([column.use for column in self.columns])
        for _ in range(FIRST):
            self.settle()
        self.mix()
        return True

    def improve(self) -> None:
        """Ask prices that the master program points at, let the blocks settle, and mix again."""
        self.round += 1
        last = AVERAGING if self.round > 1 else 1.0
        self.average = last * self.master + (1 - last) * self.average
        self.price(self.average)
        if self.gap < CLOSE and not self.is_over():
            self.price(self.master)
        if not self.is_over():
            self.settle()
            self.mix()

    def price(self, prices: Floats) -> None:
        """Add the columns of all blocks under some prices, and see what these prove."""
        prices = np.maximum(prices, 0.0) / float(self.capacity @ prices)
        prices = prices + 1e-9 / (self.capacity * len(self.capacity))
        prices /= float(self.capacity @ prices)
        pricing = Pricing(self.problem, prices)
        begin = time.perf_counter()
        with thread_pool() as pool:
            answers = list(
                pool.map(lambda block: None if self.is_late() else pricing.serve(block), self.parts.blocks)
            )
        cost = float(self.fixed @ prices)
        for block, served in enumerate(answers):
            if served is None:  # some blocks prove nothing, but are columns
                cost = -np.inf
            else:
                cost += served.bound
                self._add(block, prices, served)
        if cost > self.bound:
            self.bound, self.prices, self.proved = cost, prices, True
        if np.isfinite(cost):
            self.seconds = min(self.seconds or np.inf, time.perf_counter() - begin)

    def settle(self) -> None:
        """Re-route each block in turn against the load of the others."""
        total = self.fixed + self.use.sum(axis=0)
        steep = float(np.clip(np.log(len(self.capacity)) / max(self.gap, 1e-3), *STEEP))
        for block in range(len(self.parts.blocks)):
            if self.is_late():
                break
            ratio = total / self.capacity
            peak = float(ratio.max())
            prices = np.maximum(np.exp(steep * (ratio / peak - 1)), LEAST_PRICE) / self.capacity
            prices /= float(self.capacity @ prices)
            served = Pricing(self.problem, prices).serve(self.parts.blocks[block])
            change = self._add(block, prices, served).use - self.use[block]
            step = _step(ratio / peak, change / self.capacity / peak, steep)
            self.shares[[column.block == block for column in self.columns]] *= 1 - step
            self.shares[-1] = step
            self.use[block] += step * change
            total += step * change

    def mix(self) -> None:
        """Replace the mix by the best there is, drop columns that have long been out of use."""
        left = self.deadline - time.perf_counter()
        answer = self._master({"solver": "ipx", "run_crossover": "off"}, left)
        if answer is None:
            return
        shares, prices = answer
        self.master = prices / float(self.capacity @ prices)
        self._adopt(shares)
        kept = (self.shares > 0) | np.array([c.round > self.round - RECENT for c in self.columns])
        self.columns = [column for column, stays in zip(self.columns, kept, strict=True) if stays]
        self.shares = self.shares[kept]

    def _adopt(self, shares: Floats) -> None:
        """Take other shares of the columns, if they are better."""
        block = np.array([column.block for column in self.columns])
        shares = np.where(shares < 1e-7, 0.0, shares)
        shares /= np.bincount(block, shares)[block]
        use = np.zeros_like(self.use)
        for column, share in zip(self.columns, shares, strict=True):
            use[column.block] += share * column.use
        before = self.time, self.use
        self.use = use
        if self.time <= before[0] * (1 + SLACK):
            self.shares = shares
        else:
            self.use = before[1]

    def _add(self, block: int, prices: Floats, served: Served) -> _Column:
        network, part = self.problem.network, self.parts.blocks[block].part
        ports = network.on_ejected if part is not None and part.reverse else network.on_injected
        use = network.on_arcs @ served.load + ports @ served.sent
        column = _Column(block, prices, served, use, self.round)
        self.columns.append(column)
        self.shares = np.append(self.shares, 0.0)
        return column

    def _master(self, options: dict[str, str | float], time_limit: float) -> tuple[Floats, Floats] | None:
        """Return the best shares of the columns, and the dual values of the resources as prices."""
        if time_limit <= 0:
            return None
        block = np.array([column.block for column in self.columns])
        each = self.capacity * self.time  # rows in shares of the mix's time: capacities may be far apart
        use = np.stack([column.use for column in self.columns], axis=1) / each[:, None]
        one = np.zeros((len(self.use), len(block) + 1))
        one[block, np.arange(len(block))] = 1.0
        answer = run_highs(
            csc_array(np.concatenate([np.c_[use, -np.ones(len(each))], one])),
            lower=np.r_[np.full(len(self.capacity), -np.inf), np.ones(len(one))],
            upper=np.r_[-self.fixed / each, np.ones(len(one))],
            options=options,
            time_limit=time_limit if np.isfinite(time_limit) else None,
        )
        if answer is None or not answer[1][: len(each)].any():
            return None
        prices = np.maximum(-answer[1][: len(each)], 0.0) / self.capacity
        return np.maximum(answer[0][:-1], 0.0), prices

    def routed(self) -> Routed:
        """Return the mix as loads and, where they are few enough, trees one by one."""
        answer = self._master({"solver": "simplex"}, float("inf"))
        if answer is not None:
            self._adopt(answer[0])  # few columns of each block, and so few trees to keep
        network, problem, parts = self.problem.network, self.problem, self.parts
        load = np.zeros(network.num_arcs)
        injected, ejected = parts.far_sent.copy(), parts.far_received.copy()
        flow = np.zeros((len(problem.sources), network.num_arcs))
        used = [
            (column, share)
            for column, share in zip(self.columns, self.shares.tolist(), strict=True)
            if share > 0
        ]
        for column, share in used:
            block = parts.blocks[column.block]
            if block.part is None:
                rows = np.searchsorted(problem.sources, block.sources)
                flow[rows] += share * Pricing(problem, column.prices).flow(block)
            else:
                load += share * column.served.load
                (ejected if block.part.reverse else injected)[:] += share * column.served.sent
        branches = self._branches(used)
        arcs, everywhere = np.arange(network.num_arcs), np.arange(network.num_vertices)
        proof = CommodityFlow(flow, arcs, True, problem.sources, everywhere)
        trees = TreeLoads(load, injected, ejected, branches=branches)
        limited = self.gap > self.tol and self.is_late()
        return Routed(flow.sum(axis=0), trees, METHOD, self._bounds(), proof, limited)

    def _branches(self, used: list[tuple[_Column, float]]) -> tuple[Branches, ...] | None:
        """Return the trees of some columns, found again, ``None`` where they are too many to keep."""
        kept = 0

        def find(column: _Column) -> tuple[Branches, ...]:
            nonlocal kept
            if kept > MOST_PROOF:
                return ()
            block = self.parts.blocks[column.block]
            found = Pricing(self.problem, column.prices).serve(block, keep=True).branches
            kept += sum(len(way.arcs) for way in found)
            return found

        with thread_pool() as pool:
            found = pool.map(find, [column for column, _ in used])
            ways = [
                replace(way, shares=share * way.shares)
                for (_, share), some in zip(used, found, strict=True)
                for way in some
            ]
        return tuple(ways) if kept <= MOST_PROOF else None

    def _bounds(self) -> tuple[Bound, ...]:
        """Return the best bound, with the cuts that prove what large sets cost."""
        if not self.proved:
            return ()
        pricing = Pricing(self.problem, self.prices)
        packings = []
        for part in self.problem.messages:
            large = np.concatenate([block.large for block in self.parts.blocks if block.part is part])
            if 0 < len(large) <= MOST_PACKINGS:
                packings.append(pricing.raised(part).packing(large))
        return (Bound(self.bound, METHOD, self.prices, tuple(packings)),)


def _step(ratio: Floats, change: Floats, steep: float) -> float:
    """Return how far to go, 0 to 1, for the least log(sum of exp(steep (ratio + step change)))."""
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        at = ratio + middle * change
        if np.exp(steep * (at - at.max())) @ change > 0:
            high = middle
        else:
            low = middle
    return low if high < 1 else 1.0
