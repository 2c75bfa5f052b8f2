"""The fastest way to carry messages to sets, by brute force: every way that copies can take, mixed by HiGHS.

A way of a message is a sequence of moves, searched state by state (Dijkstra): of a multicast, the state is
the places of its copies and the members not yet served; of a reduction, the places of its partial sums and
the parts of each. Nothing is assumed of trees or paths: a copy may pass a node, or a channel, any number of
times. Column generation over these ways is exact: it stops when no way of any message is cheaper under the
dual prices.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.package import Package
from noptoolkit.testing.oracles.resources import Resources

__all__ = ["Message", "least_time"]

Message = tuple[str, Sequence[str], float, bool]
"""Root, members, bytes, and whether it is a reduction."""
Moves = Iterator[tuple[float, Any, tuple[int, ...]]]


def cheapest(
    start: Any, moves: Callable[[Any], Moves], done: Callable[[Any], bool]
) -> tuple[float, tuple[int, ...]]:
    """Return the cost and the resources used of the cheapest sequence of moves (Dijkstra)."""
    queue: list[tuple[float, int, Any, tuple[int, ...]]] = [(0.0, 0, start, ())]
    best: dict[Any, float] = {}
    number = 0
    while queue:
        cost, _, state, used = heapq.heappop(queue)
        if state in best:
            continue
        best[state] = cost
        if done(state):
            return cost, used
        for price, after, more in moves(state):
            if after not in best:
                number += 1
                heapq.heappush(queue, (cost + price, number, after, (*used, *more)))
    raise AssertionError("no way")


def multicast_way(
    package: Package, resources: Resources, root: str, members: Sequence[str], prices: Floats
) -> tuple[float, tuple[int, ...]]:
    """Return the cost of the cheapest way of a multicast, and the resources it uses."""
    price = [sum(prices[r] for r in use) for use in resources.uses]

    def moves(state: Any) -> Moves:
        copies, unserved = state
        if len(copies) < len(unserved):  # the root sends a copy
            port = resources.sends.get(root)
            cost, more = (0.0, ()) if port is None else (prices[port], (port,))
            yield cost, (tuple(sorted((*copies, root))), unserved), more
        for i, at in enumerate(copies):
            others = copies[:i] + copies[i + 1 :]
            if at in unserved:
                yield 0.0, (others, unserved - {at}), ()
            if getattr(package[at], "replicates", False) and len(copies) < len(unserved):
                yield 0.0, (tuple(sorted((*copies, at))), unserved), ()
            for channel, cost, use in zip(package.channels, price, resources.uses, strict=True):
                if channel.tail == at:
                    yield cost, (tuple(sorted((*others, channel.head))), unserved), tuple(use)

    return cheapest(((), frozenset(members)), moves, lambda state: not state[1])


def reduction_way(
    package: Package, resources: Resources, root: str, members: Sequence[str], prices: Floats
) -> tuple[float, tuple[int, ...]]:
    """Return the cost of the cheapest way of a reduction, and the resources it uses."""
    price = [sum(prices[r] for r in use) for use in resources.uses]

    def moves(sums: Any) -> Moves:
        for i, (at, parts) in enumerate(sums):
            others = sums[:i] + sums[i + 1 :]
            if at == root:  # the root collects it
                port = resources.receives.get(root)
                yield (0.0, others, ()) if port is None else (prices[port], others, (port,))
            if getattr(package[at], "reduces", False):
                for j, (there, more) in enumerate(others):
                    if there == at:
                        joined = (at, tuple(sorted((*parts, *more))))
                        yield 0.0, tuple(sorted((*others[:j], *others[j + 1 :], joined))), ()
            for channel, cost, use in zip(package.channels, price, resources.uses, strict=True):
                if channel.tail == at:
                    yield cost, tuple(sorted((*others, (channel.head, parts)))), tuple(use)

    start = tuple(sorted((name, (name,)) for name in members))
    return cheapest(start, moves, lambda sums: not sums)


def least_time(package: Package, messages: Sequence[Message]) -> float:
    """Return the least time in which messages can be carried, in shares of any ways, in s.

    Parameters
    ----------
    package
        Package without memory stacks.
    messages
        Of each: its root, members, bytes, and whether it is a reduction.

    Raises
    ------
    ArithmeticError
        If HiGHS finds no optimum.
    """
    from scipy.optimize import linprog

    resources = Resources(package)
    size = len(resources.capacity)
    width = float(np.median(resources.capacity))  # HiGHS likes numbers near 1
    most = max((amount for _, _, amount, _ in messages), default=0.0)
    if most == 0:
        return 0.0
    capacity = resources.capacity / width
    messages = [(root, members, amount / most, reverse) for root, members, amount, reverse in messages]
    base = np.zeros(size)  # what members send or receive whatever the way
    for _, members, amount, reverse in messages:
        for name in members:
            port = (resources.sends if reverse else resources.receives).get(name)
            if port is not None:
                base[port] += amount
    prices = 1 / capacity
    columns: list[Floats] = []
    owners: list[int] = []
    seen: set[tuple[int, bytes]] = set()
    time = 0.0
    while True:
        fresh = False
        for k, (root, members, amount, reverse) in enumerate(messages):
            find = reduction_way if reverse else multicast_way
            _, used = find(package, resources, root, members, np.maximum(prices, 0) + 1e-12 / capacity)
            column = amount * np.bincount(np.array(used, np.int64), minlength=size).astype(np.float64)
            if (k, column.tobytes()) not in seen:
                seen.add((k, column.tobytes()))
                columns.append(column)
                owners.append(k)
                fresh = True
        if not fresh:
            return time * most / width
        owner = np.array(owners)
        own = (owner == np.arange(len(messages))[:, None]).astype(float)
        even = (base + np.array(columns).T @ (own / own.sum(axis=1)[:, None]).sum(axis=0)) / capacity
        unit = float(even.max())  # the time of all columns in equal shares: the rows come near 1
        for _ in range(20):  # or, where that is far from the best mix, once more
            answer = linprog(
                np.r_[np.zeros(len(owner)), 1.0],
                np.c_[np.array(columns).T / capacity[:, None] / unit, -np.ones(size)],
                -base / capacity / unit,
                np.c_[own, np.zeros(len(messages))],
                np.ones(len(messages)),
            )
            if answer.status != 0:
                raise ArithmeticError(f"HiGHS: {answer.message}")
            if answer.fun > 1e-3:
                break
            unit *= max(float(answer.fun), 1e-3)
        time, prices = float(answer.fun) * unit, -answer.ineqlin.marginals / capacity
