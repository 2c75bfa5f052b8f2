"""Moves between graphs of a space of orbits, compiled: drawn by prices, and ruled out by better prices.

Any prices y of links bound the time of a graph, T >= (sum of D dist_y) / (y . c). A drawn graph starts from
the prices of the last solve, a new link at the distance between its ends; prices then rise where shortest
paths crowd (mirror ascent), until they rule the graph out, the mean of the paths so far shows that they
cannot, or enough was tried. What is left is solved exactly, elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Bools, Floats, Ints

__all__ = ["draw", "fill"]

RANDOM_MOVES = 0.3
"""Share of moves that do not look at prices: steered ones alone get stuck."""

STEP = 0.25
"""Of the prices' logarithms, in the first round."""

LEAST = 1e-3
"""Price over the mean from which the ascent starts at least: a link of price 0 would stay so."""


@njit(cache=True)
def _spread(
    joined: Ints, orbit: Ints, degree: Ints, price: Floats, source: int, near: Floats, order: Ints, into: Ints
) -> Any:
    """Fill distances from a source, the nodes in their order, and the port that each is entered by."""
    nodes = len(degree)
    done = np.zeros(nodes, np.bool_)
    near[:] = np.inf
    near[source] = 0.0
    for i in range(nodes):
        u = -1
        for v in range(nodes):
            if not done[v] and (u < 0 or near[v] < near[u]):
                u = v
        if not np.isfinite(near[u]):
            return False
        done[u] = True
        order[i] = u
        for k in range(degree[u]):
            v = joined[u, k]
            if near[u] + price[orbit[u, k]] < near[v]:
                near[v] = near[u] + price[orbit[u, k]]
                into[v] = u * joined.shape[1] + k
    return True


@njit(cache=True)
def _ruled_out(
    joined: Ints,
    orbit: Ints,
    degree: Ints,
    links: Floats,
    price: Floats,
    sources: Ints,
    weight: Floats,
    demand: Floats,
    limit: float,
    rounds: int,
) -> Any:
    """Return whether some prices prove that a graph takes more than a limit; ``price`` is changed."""
    nodes, ports = joined.shape
    near, flow = np.empty(nodes), np.empty(nodes)
    order, into = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    load, mean, weighed = np.empty(len(price)), np.zeros(len(price)), 0.0
    for i in range(rounds):
        price /= price @ links
        load[:] = 0.0
        proved = 0.0
        for s in range(len(sources)):
            if not _spread(joined, orbit, degree, price, sources[s], near, order, into):
                return True
            flow[:] = demand[s] * weight[s]
            for at in range(nodes - 1, 0, -1):
                v = order[at]
                proved += demand[s, v] * weight[s] * near[v]
                u = into[v] // ports
                load[orbit[u, into[v] % ports]] += flow[v]
                flow[u] += flow[v]
        if proved > limit:
            return True
        weighed += i + 1.0
        fullest = 0.0
        for o in range(len(price)):
            if links[o] > 0:
                mean[o] += (i + 1.0) * load[o]
                fullest = max(fullest, mean[o] / links[o])
        if fullest / weighed <= limit:
            return False
        for o in range(len(price)):
            if links[o] > 0:
                over = load[o] / (links[o] * proved) - 1.0
                price[o] *= np.exp(STEP / np.sqrt(1.0 + i) * min(over, 3.0))
    return False


@njit(cache=True)
def _tables(on: Bools, pairs: Ints, orbits: Ints, joined: Ints, orbit: Ints, degree: Ints) -> None:
    degree[:] = 0
    for j in range(len(pairs)):
        if on[orbits[j]]:
            a, b = pairs[j]
            joined[a, degree[a]], joined[b, degree[b]] = b, a
            orbit[a, degree[a]] = orbit[b, degree[b]] = orbits[j]
            degree[a] += 1
            degree[b] += 1


@njit(cache=True)
def _left(on: Bools, takes: Floats, room: Floats) -> Floats:
    left = room.copy()
    for o in range(len(on)):
        if on[o]:
            left -= takes[o]
    return left


@njit(cache=True)
def _fill(on: Bools, takes: Floats, room: Floats) -> None:
    left = _left(on, takes, room)
    for o in np.random.permutation(len(on)):  # noqa: NPY002
        if not on[o] and (takes[o] <= left + 1e-9).all():
            on[o] = True
            left -= takes[o]


@njit(cache=True)
def fill(on: Bools, takes: Floats, room: Floats, seed: int) -> None:
    """Add what orbits still fit, in random order.

    Parameters
    ----------
    takes, room
        What each orbit takes of each budget, [orbits, budgets], and the budgets: ports, wire, total.
    """
    np.random.seed(seed)  # noqa: NPY002
    _fill(on, takes, room)


@njit(cache=True)
def _chosen(chance: Floats) -> int:
    drawn = np.random.random() * chance.sum()  # noqa: NPY002
    for i in range(len(chance)):
        drawn -= chance[i]
        if drawn < 0 and chance[i] > 0:
            return i
    return int(np.argmax(chance))


@njit(cache=True)
def draw(
    on: Bools,
    price: Floats,
    time: float,
    heat: float,
    pairs: Ints,
    orbits: Ints,
    first: Ints,
    takes: Floats,
    room: Floats,
    links: Floats,
    sources: Ints,
    weight: Floats,
    demand: Floats,
    rounds: int,
    tries: int,
    seed: int,
) -> Any:
    """Return a near graph that is not ruled out, the time up to which it is accepted, and the tries it took.

    A move adds an orbit (one whose ends lie far apart under the prices), takes out what then does not fit
    (cheap ones rather), and fills free ports. The limit is drawn with it: annealing that may be worse by
    ``heat`` on average. It is negative where no try was left over.

    Parameters
    ----------
    on, price, time
        The graph, its prices, [orbits], and its time, in bytes over a port.
    pairs, orbits, first
        Pairs of chiplets, the orbit of each, and the first pair of each orbit.
    takes, room
        As `fill` takes them.
    links
        Arcs of each orbit, [orbits].
    sources, weight, demand
        One source of each orbit of chiplets, how many it stands for, and its demand, [sources, chiplets].
    rounds
        Of better prices.
    """
    np.random.seed(seed)  # noqa: NPY002
    nodes, count = demand.shape[1], len(on)
    joined = np.zeros((nodes, nodes), np.int64)
    orbit, degree = joined.copy(), np.zeros(nodes, np.int64)
    near, order, into = np.empty(nodes), np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    _tables(on, pairs, orbits, joined, orbit, degree)
    length, chance = np.zeros(count), np.zeros(count)
    known = -1
    mean = price[on].sum() / on.sum()
    for pair in np.argsort(pairs[first, 0]):
        if not on[pair]:
            a, b = pairs[first[pair]]
            if known != a:
                _spread(joined, orbit, degree, price + 1e-9 * mean, a, near, order, into)
                known = a
            length[pair] = near[b] if np.isfinite(near[b]) else 0.0
    for tried in range(1, tries + 1):
        steered = np.random.random() >= RANDOM_MOVES  # noqa: NPY002
        for o in range(count):
            chance[o] = 0.0 if on[o] else (length[o] ** 2 + 1e-12 * mean**2 if steered else 1.0)
        if chance.sum() <= 0:
            return on, -1.0, tried
        then = on.copy()
        added = _chosen(chance)
        then[added] = True
        left = _left(then, takes, room)
        while (left < -1e-9).any():
            for o in range(count):
                chance[o] = 0.0
                if then[o] and o != added and ((left < -1e-9) & (takes[o] > 0)).any():
                    chance[o] = np.exp(-2.0 * price[o] / mean) if steered else 1.0
            if chance.sum() <= 0:
                break
            gone = _chosen(chance)
            then[gone] = False
            left += takes[gone]
        if (left < -1e-9).any():
            continue
        _fill(then, takes, room)
        if (then == on).all():
            continue
        _tables(then, pairs, orbits, joined, orbit, degree)
        now = np.where(then, links, 0.0)
        start = np.where(on, price, length)
        start = np.maximum(start, LEAST * mean)
        limit = time * (1.0 - heat * np.log(np.random.random() + 1e-300))  # noqa: NPY002
        if not _ruled_out(joined, orbit, degree, now, start, sources, weight, demand, limit, rounds):
            return then, limit, tried
    return on, -1.0, tries
