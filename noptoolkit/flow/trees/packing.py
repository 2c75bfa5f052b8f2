"""The optimal routing of messages to sets: packing Steiner trees, with prices that prove it.

Each message may split its bytes over any trees; a *block* is all messages of one root, or all unicast of
one source, and a *column* of a block what it puts on the resources when each of its messages takes the
cheapest tree under some prices. A master program mixes the columns ::

    minimise z    with    shares of a block sum to 1,    use of each resource <= z capacity

and its prices ask for new columns. What everything costs at least under any prices bounds the time from
below: exactly where sets are small (`noptoolkit.flow.trees.cheapest`), by dual ascent where they are large
(`noptoolkit.flow.trees.dual_ascent`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from noptoolkit.flow.certificate import shortest_distances
from noptoolkit.flow.optimal.linear_program import run_highs
from noptoolkit.flow.problem import Messages, RoutingProblem, membership
from noptoolkit.flow.routed import Bound, CommodityFlow, Routed
from noptoolkit.flow.trees.cheapest import (
    CheapestTrees,
    Served,
    SetFamily,
    families,
    flow_along_trees,
    set_masks,
)
from noptoolkit.flow.trees.dual_ascent import AscentTrees
from noptoolkit.flow.trees.multicast import Branches, TreeLoads

__all__ = ["pack_trees"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHOD = "Steiner tree packing"
MOST_STEPS = 2e8  # of the program over subsets for one column, about a fifth of a second
LOOK_UP = 40  # steps that finding two subsets takes
MOST_ASCENTS = 3e7  # messages x arcs whose trees are raised for one column, about a second
MOST_PROOF = 40_000_000  # arcs of trees that are kept one by one for `FlowResult.verify`
MOST_PACKINGS = 20_000  # messages whose cuts are kept for it
MOST_COLUMNS = 400
MOST_MASTER = 300_000  # blocks x resources of the master program
FIRST = 12  # columns before the master program
RECENT = 12  # columns that stay in the master program, used or not
PATIENCE = 12  # rounds without progress after which the gap is left as it is


def pack_trees(
    problem: RoutingProblem,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Routed | None:
    """Return the best routing of demand and messages together, ``None`` where the messages are too many.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        By ``time.perf_counter()``, in s.
    report
        Is told the progress, one line at a time.
    """
    capacity = problem.network.capacity
    blocks = _Blocks(problem)
    if blocks.work > MOST_ASCENTS:
        return None
    fixed = blocks.fixed_use
    search = _Search(blocks, deadline)
    for prices in blocks.cut_prices():
        search.ask(prices)
    prices, mean = 1 / capacity, np.zeros(len(capacity))
    for turn in range(FIRST):  # a first mix, on prices that rise with the congestion of those before
        mean += (search.ask(prices).use.sum(axis=0) - mean) / (turn + 1)
        ratio = (fixed + mean) / capacity
        if ratio.max() <= search.bound * (1 + tol) or search.is_over():
            break
        prices = _steep(ratio, 8.0 + 2 * turn) / capacity
    mix = search.mix(None)
    stale = 0
    while mix.time > search.bound * (1 + tol) and stale < PATIENCE and not search.is_over():
        gap = mix.time / search.bound - 1
        ratio = mix.use / capacity
        prices = mix.prices / float(capacity @ mix.prices)
        for tried in (  # the master's own prices oscillate: near the best known, and from congestion, less
            prices,
            0.6 * search.prices + 0.4 * prices,
            _steep(ratio, np.clip(np.log(len(ratio)) / gap, 10.0, 300.0)) / capacity,
        ):
            search.ask(tried)
        mix = search.mix(mix)
        stale = 0 if mix.time / search.bound - 1 < 0.98 * gap else stale + 1
        if report is not None:
            report(f"{METHOD}: {len(search.columns)} columns, gap {mix.time / search.bound - 1:.2%}")
    return blocks.routed(search.columns, mix.shares, Bound(search.bound, METHOD, search.prices))


def _steep(ratio: Floats, steepness: float) -> Floats:
    steep: Floats = np.exp(steepness * (ratio / ratio.max() - 1))
    return steep


class _Search:
    """The columns found so far, and the best bound that their prices prove."""

    def __init__(self, blocks: _Blocks, deadline: float) -> None:
        self.blocks, self.deadline = blocks, deadline
        self.capacity = blocks.problem.network.capacity
        self.columns: list[_Column] = []
        self.bound, self.prices = -1.0, 1 / self.capacity

    def is_over(self) -> bool:
        """Return whether time or columns are used up."""
        return time.perf_counter() >= self.deadline or len(self.columns) >= MOST_COLUMNS

    def ask(self, prices: Floats) -> _Column:
        """Return the column of some prices, kept with the others."""
        prices = prices / float(self.capacity @ prices) + 1e-9 / (self.capacity * len(self.capacity))
        column = self.blocks.respond(prices)
        self.columns.append(column)
        scale = float(self.capacity @ prices)
        if column.cost / scale > self.bound:
            self.bound, self.prices = column.cost / scale, prices / scale
        return column

    def mix(self, before: _Mix | None) -> _Mix:
        """Return the best mix of the columns that the last one used and of those since."""
        used = np.ones((len(self.columns), len(self.columns[0].use)), bool)
        if before is not None:
            used[: len(before.shares)] = before.shares > 0
            used[-RECENT:] = True
        return _mix(self.columns, used, self.blocks.fixed_use, self.capacity)


@dataclass(frozen=True, eq=False)
class _Column:
    """What each block does under some prices: use of the resources [blocks, resources], and its cost."""

    prices: Floats
    use: Floats
    cost: float


@dataclass(frozen=True, eq=False)
class _Mix:
    """The best mix of columns: its time, use of the resources, shares [columns, blocks], and prices."""

    time: float
    use: Floats
    shares: Floats
    prices: Floats


def _mix(columns: list[_Column], used: NDArray[np.bool_], fixed: Floats, capacity: Floats) -> _Mix:
    """Return the best mix of columns; ``used`` tells which may take part, [columns, blocks]."""
    which, block = np.nonzero(used)
    use = np.stack([columns[k].use[b] for k, b in zip(which, block, strict=True)], axis=1)
    blocks = used.shape[1]
    unit = float(fixed.sum() + columns[0].use.sum()) / len(capacity) or 1.0
    rate = float(capacity.mean())
    one = np.zeros((blocks, len(block) + 1))
    one[block, np.arange(len(block))] = 1.0
    answer = run_highs(
        csc_array(np.concatenate([np.c_[use / unit, -capacity / rate], one])),
        lower=np.r_[np.full(len(capacity), -np.inf), np.ones(blocks)],
        upper=np.r_[-fixed / unit, np.ones(blocks)],
        options={"solver": "ipx", "run_crossover": "off"},
    )
    shares = np.zeros(used.shape)
    if answer is None:
        shares[which, block] = 1.0
        price = np.mean([column.prices for column in columns], axis=0)
    else:
        shares[which, block] = np.maximum(answer[0][:-1], 0.0)
        shares[shares < 1e-7] = 0.0
        price = np.maximum(-answer[1][: len(capacity)], 0.0)
    shares /= shares.sum(axis=0)
    total = fixed + use @ shares[which, block]
    return _Mix(float(np.max(total / capacity)), total, shares, price)


@dataclass(frozen=True, eq=False)
class _Plan:
    """How the messages of a part are priced: small sets exactly, large ones by raising cuts.

    Parameters
    ----------
    roots
        Nodes, ascending.
    exact
        Families of messages.
    large
        Indices of the other messages.
    """

    part: Messages
    roots: Ints
    exact: list[SetFamily]
    large: Ints

    @staticmethod
    def of(problem: RoutingProblem, part: Messages) -> _Plan:
        vertices = problem.network.num_vertices
        found = set_masks(problem, part)
        messages = np.flatnonzero(part.bytes > 0)
        if found is None:
            return _Plan(part, np.unique(part.root[messages]), [], messages)
        masks, at = found
        messages = messages[masks[messages] != 0]
        sets, which = np.unique(masks[messages], return_inverse=True)
        exact = affordable(sets, len(at), vertices)[which]
        small = families(masks, at, messages[exact], vertices) if exact.any() else []
        return _Plan(part, np.unique(part.root[messages]), small, messages[~exact])

    def serve(self, problem: RoutingProblem, prices: Floats, share: Floats, *, keep: bool = False) -> Served:
        """Return what a share of the messages of each root takes."""
        served = []
        if self.exact:
            cheapest = CheapestTrees(problem, self.part, prices)
            served += [cheapest.serve(family, self.roots, share, keep=keep) for family in self.exact]
        if len(self.large):
            raised = AscentTrees(problem, self.part, prices)
            served.append(raised.serve(self.large, self.roots, share, keep=keep))
        return Served(
            sum((one.bound for one in served), np.zeros(len(self.roots))),
            sum((one.load for one in served), np.zeros((len(self.roots), problem.network.num_arcs))),
            sum((one.sent for one in served), np.zeros(len(self.roots))),
            tuple(way for one in served for way in one.branches),
        )


def affordable(sets: NDArray[np.uint64], bits: int, vertices: int) -> NDArray[np.bool_]:
    """Return which sets to price exactly, the smallest first: sets share the work on common subsets."""
    size = np.bitwise_count(sets).astype(np.int64)
    chosen = np.zeros(len(sets), bool)
    rows = np.zeros(65)
    for k in np.unique(size):
        mine = np.flatnonzero(size == k)
        more = np.array([float(comb(int(k), j)) for j in range(65)])
        most = np.array([float(comb(bits, j)) for j in range(65)])
        steps = 2.0 ** np.arange(65) / 2 * (vertices + LOOK_UP) + vertices**2
        some = len(mine)
        while some and np.minimum(rows + some * more, most) @ steps > MOST_STEPS:
            some //= 2
        chosen[mine[:some]] = True
        rows += some * more
        if some < len(mine):
            break
    return chosen


class _Blocks:
    """The blocks of a problem: messages by root, then unicast by source; several in one where too many."""

    def __init__(self, problem: RoutingProblem) -> None:
        self.problem = problem
        network = problem.network
        self.plans = [_Plan.of(problem, part) for part in problem.messages]
        sent, received = np.zeros(len(network.origin)), np.zeros(len(network.origin))
        for part in problem.messages:
            far = sent if part.reverse else received
            for bit, node in enumerate(part.endpoints):
                held = membership(part.members, bit) & (part.root != node)
                far[node] += float(part.bytes[held].sum())
        self.far_sent, self.far_received = sent, received
        self.fixed_use: Floats = problem.ports + network.on_injected @ sent + network.on_ejected @ received
        count = sum(len(plan.roots) for plan in self.plans) + len(problem.sources)
        self.work = sum(len(plan.large) for plan in self.plans) * network.num_arcs
        self.block = np.arange(count) % max(1, MOST_MASTER // network.num_resources)

    def cut_prices(self) -> list[Floats]:
        """Return prices on the channels round the vertices that messages leave and enter most."""
        network = self.problem.network
        out, into = self.problem.demand.sum(axis=1), self.problem.demand.sum(axis=0)
        for part in self.problem.messages:
            near, far = (into, out) if part.reverse else (out, into)
            ends = network.destination if part.reverse else network.origin
            others = network.origin if part.reverse else network.destination
            np.add.at(near, ends[part.root], part.bytes)
            np.add.at(far, others, self.far_sent if part.reverse else self.far_received)
        found = []
        for amount, side in ((out, network.tail), (into, network.head)):
            room = np.bincount(side, network.arc_capacity, network.num_vertices)
            vertex = int(np.argmax(np.divide(amount, room, out=np.zeros_like(room), where=room > 0)))
            prices = np.zeros(network.num_resources)
            prices[network.own[side == vertex]] = 1.0
            found.append(prices)
        return found

    def respond(self, prices: Floats) -> _Column:
        """Return what every block does when all of it goes the cheapest way."""
        network, problem = self.problem.network, self.problem
        use: list[Floats] = []
        cost = float(self.fixed_use @ prices)
        for plan in self.plans:
            served = plan.serve(problem, prices, np.ones(len(plan.roots)))
            cost += float(served.bound.sum())
            port = network.on_ejected if plan.part.reverse else network.on_injected
            on_port = np.asarray(port[:, plan.roots].toarray()) * served.sent
            use.append((network.on_arcs @ served.load.T + on_port).T)
        flow, spent = self._shortest(network.on_arcs.T @ prices)
        cost += spent
        use.append((network.on_arcs @ flow.T).T)
        together = np.zeros((int(self.block.max()) + 1, network.num_resources))
        np.add.at(together, self.block, np.concatenate(use))
        return _Column(prices, together, cost)

    def _shortest(self, length: Floats) -> tuple[Floats, float]:
        """Return the unicast flow of each source along shortest paths, and its cost."""
        network, problem = self.problem.network, self.problem
        sources = problem.sources
        if len(sources) == 0:
            return np.zeros((0, network.num_arcs)), 0.0
        distance, arc = shortest_distances(network.num_vertices, network.tail, network.head, length, sources)
        wanted = problem.demand[sources]
        flow = flow_along_trees(network.tail, arc, distance, wanted, network.num_arcs)
        return flow, float(np.sum(wanted * np.where(wanted > 0, distance, 0.0)))

    def routed(self, columns: list[_Column], shares: Floats, bound: Bound) -> Routed:
        """Return the mix of columns as loads and, where they are few enough, trees one by one."""
        network, problem = self.problem.network, self.problem
        load = np.zeros(network.num_arcs)
        injected, ejected = self.far_sent.copy(), self.far_received.copy()
        flow = np.zeros((len(problem.sources), network.num_arcs))
        ways: list[Branches] = []
        kept = 0
        for column, of_block in zip(columns, shares, strict=True):
            if not of_block.any():
                continue
            share = of_block[self.block]
            for plan in self.plans:
                mine, share = np.split(share, [len(plan.roots)])
                served = plan.serve(problem, column.prices, mine, keep=kept <= MOST_PROOF)
                load += served.load.sum(axis=0)
                (ejected if plan.part.reverse else injected)[plan.roots] += served.sent
                ways += served.branches
                kept += sum(len(way.arcs) for way in served.branches)
            flow += share[:, None] * self._shortest(network.on_arcs.T @ column.prices)[0]
        everywhere = np.arange(network.num_vertices)
        arcs = np.arange(network.num_arcs)
        proof = CommodityFlow(flow, arcs, True, problem.sources, everywhere)
        branches = tuple(ways) if kept <= MOST_PROOF else None
        packings = tuple(
            AscentTrees(problem, plan.part, bound.prices).packing(plan.large)
            for plan in self.plans
            if 0 < len(plan.large) <= MOST_PACKINGS
        )
        bound = replace(bound, packings=packings)
        return Routed(
            flow.sum(axis=0), TreeLoads(load, injected, ejected, branches=branches), METHOD, (bound,), proof
        )
