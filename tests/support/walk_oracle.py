"""The fastest way to carry messages to sets, by brute force: every way that copies can take, mixed by HiGHS.

A way of a message is a sequence of moves, searched state by state (Dijkstra): of a multicast, the state is
the places of its copies and the members not yet served; of a reduction, the places of its partial sums and
the parts of each. Nothing is assumed of trees or paths: a copy may pass a node, or a channel, any number of
times. Column generation over these ways is exact: it stops when no way of any message is cheaper under the
dual prices.
"""

import heapq

import numpy as np
from scipy.optimize import linprog

from noptoolkit import Chiplet, Memory


class Resources:
    """The capacities of a package and what each crossing of a channel uses, straight from its elements."""

    def __init__(self, package):
        self.capacity, self.uses, place = [], [], {}
        for channel in package.channels:
            key = ("link", channel.link) if package.links[channel.link].half_duplex else channel.name
            if key not in place:
                place[key] = len(self.capacity)
                self.capacity.append(channel.bandwidth)
            self.uses.append([place[key]])
        self.injection, self.ejection = {}, {}
        for node in package.nodes:
            assert not isinstance(node, Memory)
            if node.crossbar_bandwidth is not None:
                for use, channel in zip(self.uses, package.channels, strict=True):
                    if channel.head == node.name:
                        use.append(len(self.capacity))
                self.capacity.append(node.crossbar_bandwidth)
            if isinstance(node, Chiplet) and node.injection_bandwidth is not None:
                self.injection[node.name] = len(self.capacity)
                self.capacity.append(node.injection_bandwidth)
            if isinstance(node, Chiplet) and node.ejection_bandwidth is not None:
                self.ejection[node.name] = len(self.capacity)
                self.capacity.append(node.ejection_bandwidth)
        self.capacity = np.array(self.capacity)


def cheapest(start, moves, done):
    """Return the cost and the resources used of the cheapest sequence of moves (Dijkstra)."""
    queue, best, number = [(0.0, 0, start, ())], {}, 0
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


def multicast_way(package, resources, root, members, prices):
    """Return the cost of the cheapest way of a multicast, and the resources it uses."""
    price = [sum(prices[r] for r in use) for use in resources.uses]

    def moves(state):
        copies, unserved = state
        if len(copies) < len(unserved):  # the root sends a copy
            port = resources.injection.get(root)
            cost, more = (0.0, ()) if port is None else (prices[port], (port,))
            yield cost, (tuple(sorted((*copies, root))), unserved), more
        for i, at in enumerate(copies):
            others = copies[:i] + copies[i + 1 :]
            if at in unserved:
                yield 0.0, (others, unserved - {at}), ()
            if package[at].replicates and len(copies) < len(unserved):
                yield 0.0, (tuple(sorted((*copies, at))), unserved), ()
            for channel, cost, use in zip(package.channels, price, resources.uses, strict=True):
                if channel.tail == at:
                    yield cost, (tuple(sorted((*others, channel.head))), unserved), tuple(use)

    return cheapest(((), frozenset(members)), moves, lambda state: not state[1])


def reduction_way(package, resources, root, members, prices):
    """Return the cost of the cheapest way of a reduction, and the resources it uses."""
    price = [sum(prices[r] for r in use) for use in resources.uses]

    def moves(sums):
        for i, (at, parts) in enumerate(sums):
            others = sums[:i] + sums[i + 1 :]
            if at == root:  # the root collects it
                port = resources.ejection.get(root)
                yield (0.0, others, ()) if port is None else (prices[port], others, (port,))
            if package[at].reduces:
                for j, (there, more) in enumerate(others):
                    if there == at:
                        joined = (at, tuple(sorted((*parts, *more))))
                        yield 0.0, tuple(sorted((*others[:j], *others[j + 1 :], joined))), ()
            for channel, cost, use in zip(package.channels, price, resources.uses, strict=True):
                if channel.tail == at:
                    yield cost, tuple(sorted((*others, (channel.head, parts)))), tuple(use)

    start = tuple(sorted((name, (name,)) for name in members))
    return cheapest(start, moves, lambda sums: not sums)


def least_time(package, messages):
    """Return the least time in which messages can be carried, in shares of any ways.

    Parameters
    ----------
    messages
        Of each: its root, members, bytes, and whether it is a reduction.
    """
    resources = Resources(package)
    size = len(resources.capacity)
    base = np.zeros(size)  # what members send or receive whatever the way
    for _, members, amount, reverse in messages:
        for name in members:
            port = (resources.injection if reverse else resources.ejection).get(name)
            if port is not None:
                base[port] += amount
    prices = 1 / resources.capacity
    columns, owners, seen = [], [], set()
    time = 0.0
    while True:
        fresh = False
        for k, (root, members, amount, reverse) in enumerate(messages):
            find = reduction_way if reverse else multicast_way
            _, used = find(package, resources, root, members, np.maximum(prices, 0) + 1e-12)
            column = np.bincount(np.array(used, np.int64), minlength=size) * amount
            if (k, column.tobytes()) not in seen:
                seen.add((k, column.tobytes()))
                columns.append(column)
                owners.append(k)
                fresh = True
        if not fresh:
            return time
        owner = np.array(owners)
        answer = linprog(
            np.r_[np.zeros(len(owner)), 1.0],
            np.c_[np.array(columns).T, -resources.capacity],
            -base,
            np.c_[(owner == np.arange(len(messages))[:, None]).astype(float), np.zeros(len(messages))],
            np.ones(len(messages)),
        )
        time, prices = answer.fun, -answer.ineqlin.marginals
