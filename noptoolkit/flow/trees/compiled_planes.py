"""Paths of a routing that splits, one pair after another, compiled by numba; see `split_paths`."""

from __future__ import annotations

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["strip_paths"]

NOTHING = 1e-13  # of a message: what rounding leaves over


@njit(cache=True, nogil=True)
def strip_paths(
    start: Ints,
    to: Ints,
    order: Ints,
    order_ptr: Ints,
    entry_ptr: Ints,
    arc: Ints,
    share: Floats,
    head: Ints,
    states: int,
) -> tuple[Ints, Floats, Ints, Ints]:
    """Return pair, weight and arcs of the paths of each pair, the leftmost of each first.

    Parameters
    ----------
    start, to : array of int
        State where each pair starts, and the number of its destination, [pairs].
    order, order_ptr : array of int
        States with a way to each destination, the farthest first, and where those of each begin.
    entry_ptr : array of int
        First entry of each state towards each destination, [destinations x states + 1].
    arc, share, head : arrays
        Arc, share and next state of each entry; those of a state in the order of their arcs.
    states : int
        Number of states.

    Returns
    -------
    pair, weight : [paths]
    first, arcs : where the arcs of each path begin, [paths + 1], and all of them
    """
    pair, weight = np.empty(len(start), np.int64), np.empty(len(start))
    first, arcs = np.zeros(len(start) + 1, np.int64), np.empty(16 * len(start) + 16, np.int64)
    paths = filled = 0
    flow = np.zeros(len(arc))
    mass = np.zeros(states)
    steps = np.empty(states + 1, np.int64)
    for k in range(len(start)):
        base = to[k] * states
        mass[:] = 0.0
        mass[start[k]] = 1.0
        for i in range(order_ptr[to[k]], order_ptr[to[k] + 1]):
            v = order[i]
            for e in range(entry_ptr[base + v], entry_ptr[base + v + 1]):
                flow[e] = mass[v] * share[e]
                mass[head[e]] += flow[e]
        left = 1.0
        while left > NOTHING:
            v = start[k]
            length = 0
            least = left
            while entry_ptr[base + v + 1] > entry_ptr[base + v]:
                chosen = entry_ptr[base + v]
                for e in range(entry_ptr[base + v], entry_ptr[base + v + 1]):
                    if flow[e] > NOTHING:
                        chosen = e
                        break
                    if flow[e] > flow[chosen]:
                        chosen = e
                steps[length] = chosen
                length += 1
                if flow[chosen] > NOTHING:
                    least = min(least, flow[chosen])
                v = head[chosen]
            for i in range(length):
                flow[steps[i]] -= least
            left -= least
            if paths == len(pair):
                pair, weight = np.append(pair, pair), np.append(weight, weight)
                first = np.append(first, first)
            while filled + length > len(arcs):
                arcs = np.append(arcs, arcs)
            for i in range(length):
                arcs[filled + i] = arc[steps[i]]
            filled += length
            pair[paths], weight[paths] = k, least
            paths += 1
            first[paths] = filled
    return pair[:paths], weight[:paths], first[: paths + 1], arcs[:filled]
