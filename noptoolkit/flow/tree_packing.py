"""The optimal routing of messages to sets: packing Steiner trees, with prices that prove it.

Each message may split its bytes over any trees; a *block* is all messages of one root, or all unicast of
one source, and a *column* of a block what it puts on the resources when each of its messages takes the
cheapest tree under some prices. A master program mixes the columns ::

    minimise z    with    shares of a block sum to 1,    use of each resource <= z capacity

and its prices ask for new columns. The cheapest trees of *all* sets from *all* roots come from one
dynamic program over subsets (Dreyfus and Wagner, 1971) in which only vertices that replicate (or reduce)
may split a copy, so the costs are exact, and the cost of everything under any prices bounds the time from
below.

Subsets limit it to messages over few end points: `can_pack` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from noptoolkit.flow.certificate import shortest_distances
from noptoolkit.flow.cheapest_trees import CheapestTrees, MemberSets, flow_along_trees
from noptoolkit.flow.linear_program import run_highs
from noptoolkit.flow.multicast import Branch, TreeLoads
from noptoolkit.flow.problem import Messages, RoutingProblem, membership
from noptoolkit.flow.routed import Bound, CommodityFlow, Routed

__all__ = ["can_pack", "pack_trees"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHOD = "Steiner tree packing"
MOST_WORK = 3e8  # subsets of subsets x vertices, about a second
MOST_PROOF = 20_000  # trees that are kept one by one for `FlowResult.verify`


def can_pack(problem: RoutingProblem) -> bool:
    """Return whether the messages of a problem are over few enough end points."""
    vertices = problem.network.num_vertices
    work = 0.0
    for part in problem.messages:
        sets = MemberSets.of(part)
        if sets is None:
            return False
        work += float(np.sum(2.0 ** np.bitwise_count(sets.masks))) * vertices
    return work <= MOST_WORK


def pack_trees(
    problem: RoutingProblem,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Routed:
    """Return the best routing of demand and messages together.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        By ``time.perf_counter()``, in s.
    report
        Is told the progress, one line at a time.
    """
    network = problem.network
    capacity = network.capacity
    blocks = _Blocks(problem)
    fixed = blocks.fixed_use
    price = 1 / capacity
    columns: list[_Column] = []
    best_bound, best_prices = -1.0, price
    for turn in range(12):  # a first mix, on prices that rise with the congestion of those before
        column = blocks.respond(price)
        columns.append(column)
        bound = column.cost / float(capacity @ price)
        if bound > best_bound:
            best_bound, best_prices = bound, price / float(capacity @ price)
        use = fixed + np.mean([c.use.sum(axis=0) for c in columns], axis=0)
        ratio = use / capacity
        price = np.exp((8.0 + 2 * turn) * (ratio / ratio.max() - 1)) / capacity
    time_now, shares, price = _mix(columns, fixed, capacity)
    while time_now > best_bound * (1 + tol) and time.perf_counter() < deadline and len(columns) < 400:
        before = time_now, best_bound
        for near in (0.0, 0.6):  # prices between the master's and the best known oscillate less
            tried = near * best_prices + (1 - near) * price / float(capacity @ price)
            column = blocks.respond(tried + 1e-9 / (capacity * len(capacity)))
            columns.append(column)
            bound = column.cost / float(capacity @ column.prices)
            if bound > best_bound:
                best_bound, best_prices = bound, column.prices / float(capacity @ column.prices)
        time_now, shares, price = _mix(columns, fixed, capacity)
        if report is not None:
            report(f"{METHOD}: {len(columns)} columns, gap {time_now / best_bound - 1:.2%}")
        if before == (time_now, best_bound):
            break
    return blocks.routed(columns, shares, Bound(best_bound, METHOD, best_prices))


@dataclass(frozen=True, eq=False)
class _Column:
    """What each block does under some prices: use of the resources [blocks, resources], and its cost."""

    prices: Floats
    use: Floats
    cost: float


def _mix(columns: list[_Column], fixed: Floats, capacity: Floats) -> tuple[float, Floats, Floats]:
    """Return the time of the best mix, the shares [columns, blocks], and the prices of the resources."""
    count, blocks = len(columns), len(columns[0].use)
    use = np.concatenate([column.use for column in columns]).T
    unit = float(fixed.sum() + use.sum() / count) / len(capacity) or 1.0
    rate = float(capacity.mean())
    one = np.tile(np.eye(blocks), count)
    matrix = csc_array(np.block([[use / unit, -(capacity / rate)[:, None]], [one, np.zeros((blocks, 1))]]))
    answer = run_highs(
        matrix,
        lower=np.r_[np.full(len(capacity), -np.inf), np.ones(blocks)],
        upper=np.r_[-fixed / unit, np.ones(blocks)],
        options={"solver": "ipx", "run_crossover": "off"},
    )
    if answer is None:
        shares = np.full((count, blocks), 1 / count)
        price = np.mean([column.prices for column in columns], axis=0)
    else:
        shares = np.maximum(answer[0][:-1], 0.0).reshape(count, blocks)
        shares[shares < 1e-7] = 0.0
        shares /= shares.sum(axis=0)
        price = np.maximum(-answer[1][: len(capacity)], 0.0)
    total = fixed + use @ shares.ravel()
    return float(np.max(total / capacity)), shares, price


class _Blocks:
    """The blocks of a problem: messages by root, then unicast by source."""

    def __init__(self, problem: RoutingProblem) -> None:
        self.problem = problem
        network = problem.network
        self.parts: list[tuple[Messages, MemberSets, list[tuple[int, Floats]]]] = []
        sent, received = np.zeros(len(network.origin)), np.zeros(len(network.origin))
        for part in problem.messages:
            sets = MemberSets.of(part)
            assert sets is not None
            roots: list[tuple[int, Floats]] = []
            for root in np.unique(part.root):
                mine = (part.root == root) & (sets.mask_of_message > 0)
                rows = sets.place[sets.mask_of_message[mine]]
                owed = np.bincount(rows, part.bytes[mine], len(sets.masks)).astype(float)
                roots.append((int(root), owed))
            self.parts.append((part, sets, roots))
            far = sent if part.reverse else received
            for bit, node in enumerate(part.endpoints):
                held = membership(part.members, bit) & (part.root != node)
                far[node] += float(part.bytes[held].sum())
        self.far_sent, self.far_received = sent, received
        self.fixed_use: Floats = problem.ports + network.on_injected @ sent + network.on_ejected @ received

    def respond(self, prices: Floats) -> _Column:
        """Return what every block does when all of it goes the cheapest way."""
        network, problem = self.problem.network, self.problem
        length = network.on_arcs.T @ prices
        use: list[Floats] = []
        cost = float(self.fixed_use @ prices)
        for part, sets, roots in self.parts:
            trees = CheapestTrees(problem, part, sets, prices, length)
            for root, owed in roots:
                spent, arc_load, copies = trees.of_root(root, owed)
                cost += spent
                port = network.on_ejected if part.reverse else network.on_injected
                sends = np.zeros(len(network.origin))
                sends[root] = copies
                use.append(network.on_arcs @ arc_load + port @ sends)
        flow, spent = self._shortest(length)
        cost += spent
        use += list((network.on_arcs @ flow.T).T)
        return _Column(prices, np.array(use), cost)

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
        """Return the mix of columns as loads and, where they are few, trees one by one."""
        network, problem = self.problem.network, self.problem
        load = np.zeros(network.num_arcs)
        injected, ejected = self.far_sent.copy(), self.far_received.copy()
        flow = np.zeros((len(problem.sources), network.num_arcs))
        branches: list[Branch] = []
        active = [k for k in range(len(columns)) if shares[k].any()]
        keep = len(active) * sum(len(part.root) for part, _, _ in self.parts) <= 4 * MOST_PROOF
        for k in active:
            length = network.on_arcs.T @ columns[k].prices
            block = 0
            for part, sets, roots in self.parts:
                trees = CheapestTrees(problem, part, sets, columns[k].prices, length)
                for root, owed in roots:
                    share = float(shares[k, block])
                    block += 1
                    if share == 0:
                        continue
                    _, arc_load, copies = trees.of_root(root, share * owed)
                    load += arc_load
                    (ejected if part.reverse else injected)[root] += copies
                    if keep:
                        branches += trees.branches(root, share)
            flow += shares[k, block:, None] * self._shortest(length)[0]
        everywhere = np.arange(network.num_vertices)
        arcs = np.arange(network.num_arcs)
        proof = CommodityFlow(flow, arcs, True, problem.sources, everywhere)
        whole = TreeLoads(load, injected, ejected, branches=tuple(branches) if keep else None)
        return Routed(flow.sum(axis=0), whole, METHOD, (bound,), proof)
