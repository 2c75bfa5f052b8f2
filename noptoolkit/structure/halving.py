"""Cutting a weighted graph in two so that each side has half of some of its nodes.

`place_switches` finds the best sides of the switches for given halves, a minimum cut; `descend` improves a
given cut by swaps, after Kernighan and Lin (Bell System Technical Journal 49, 1970);
`least_cut` proves the least one by a mixed-integer program: a binary per node says its side, a variable per
linked pair is at least the difference of its ends' sides and costs its weight. Everywhere, ``weights`` is
the symmetric matrix of bandwidths, [nodes, nodes], ``side`` says for each node whether it is in the first
half, [nodes], and ``chiplets`` are the indices of the nodes that are halved; the others, switches, may go
to either side.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.errors import TopologyError

__all__ = ["cut_weight", "descend", "least_cut", "place_switches", "settle"]

MOST_TRIED = 64
"""Chiplets of each side whose swaps are tried first."""


def cut_weight(weights: Floats, side: Bools) -> float:
    """Return the bandwidth from one side to the other."""
    return float(weights[np.ix_(side, ~side)].sum())


def settle(weights: Floats, side: Bools, chiplets: Ints) -> None:
    """Put every switch on the side it has more bandwidth to, until none moves."""
    switches = np.setdiff1d(np.arange(len(side)), chiplets)
    for _ in range(len(switches)):
        pull = weights[switches] @ np.where(side, 1.0, -1.0)
        wanted = np.where(pull == 0, side[switches], pull > 0)
        moved = np.flatnonzero(wanted != side[switches])
        if not len(moved):
            return
        strongest = moved[np.argmax(np.abs(pull[moved]))]
        side[switches[strongest]] = wanted[strongest]


def place_switches(weights: Floats, side: Bools, chiplets: Ints) -> None:
    """Put the switches on the sides that cut least bandwidth for the given halves of the chiplets.

    A maximum flow between the two halves has this cut as its dual; bandwidths are rounded to 2^-20 of all
    bandwidth at the switches.
    """
    switches = np.setdiff1d(np.arange(len(side)), chiplets)
    if not len(switches):
        return
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(switches)
    inner = np.zeros((count + 2, count + 2))
    inner[:count, :count] = weights[np.ix_(switches, switches)]
    inner[count, :count] = weights[np.ix_(chiplets[side[chiplets]], switches)].sum(axis=0)
    inner[:count, count + 1] = weights[np.ix_(switches, chiplets[~side[chiplets]])].sum(axis=1)
    capacity = np.rint(inner * (2**20 / max(inner.sum(), 1e-300))).astype(np.int32)
    flow = maximum_flow(csr_array(capacity), count, count + 1).flow
    left = csr_array(capacity - flow.toarray() > 0)
    reached = breadth_first_order(left, count, return_predecessors=False)
    side[switches] = np.isin(np.arange(count), reached)


def descend(weights: Floats, side: Bools, chiplets: Ints) -> None:
    """Swap the pair across the cut that gains most, until none gains (after Kernighan and Lin 1970).

    The pair is looked for among the `MOST_TRIED` chiplets of each side that would gain most alone, then
    among all.
    """
    least = 1e-9 * max(weights.max(), 1.0)
    for _ in range(4 * len(side)):
        sign = np.where(side, 1.0, -1.0)
        gain = -sign * (weights @ sign)  # what moving one node alone would take off the cut
        for most in (MOST_TRIED, len(chiplets)):
            inside = _leading(chiplets[side[chiplets]], gain, most)
            outside = _leading(chiplets[~side[chiplets]], gain, most)
            swap = gain[inside][:, None] + gain[outside] - 2 * weights[np.ix_(inside, outside)]
            i, j = np.unravel_index(np.argmax(swap), swap.shape)
            if swap[i, j] > least:
                break
        else:
            return
        side[inside[i]], side[outside[j]] = False, True
        settle(weights, side, chiplets)


def _leading(nodes: Ints, gain: Floats, most: int) -> Ints:
    """Return the nodes of most gain, in their order."""
    if len(nodes) <= most:
        return nodes
    return nodes[np.sort(np.argpartition(-gain[nodes], most)[:most])]


def least_cut(
    weights: Floats,
    chiplets: Ints,
    start: Bools,
    time_limit: float | None = None,
) -> tuple[Bools, float]:
    """Return the least cut and what none is below, by HiGHS: a binary per node, a variable per linked pair.

    The given cut bounds it, which makes the search short. After ``time_limit`` seconds the best cut so far
    and its bound are returned.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    size = len(weights)
    a, b = np.nonzero(np.triu(weights))
    pairs = len(a)
    unit = float(weights.max())
    cost = np.concatenate([np.zeros(size), weights[a, b] / unit])
    row = np.arange(pairs)
    cut_variable = size + row
    ones = np.ones(pairs)
    # rows: a - b <= cut, b - a <= cut, half of the chiplets, the cost
    entries = [(row, a, ones), (row, b, -ones), (row, cut_variable, -ones)]
    entries += [(pairs + row, b, ones), (pairs + row, a, -ones), (pairs + row, cut_variable, -ones)]
    entries += [(np.full(len(chiplets), 2 * pairs), chiplets, np.ones(len(chiplets)))]
    entries += [(np.full(pairs, 2 * pairs + 1), cut_variable, cost[size:])]
    i, j, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = coo_array((value, (i, j)), shape=(2 * pairs + 2, size + pairs)).tocsr()
    half = len(chiplets) // 2
    low = np.concatenate([np.full(2 * pairs, -np.inf), [half, -np.inf]])
    high = np.concatenate([np.zeros(2 * pairs), [half, cut_weight(weights, start) / unit * (1 + 1e-9)]])
    least = np.zeros(size + pairs)
    if len(chiplets) % 2 == 0:
        least[chiplets[0]] = 1.0  # either half may hold the first chiplet
    solved = milp(
        cost,
        integrality=np.concatenate([np.ones(size), np.zeros(pairs)]),
        bounds=Bounds(least, np.ones(size + pairs)),
        constraints=LinearConstraint(matrix, low, high),
        options={"mip_rel_gap": 0.0, "time_limit": np.inf if time_limit is None else time_limit},
    )
    if solved.status not in (0, 1):  # neither solved nor out of time
        raise TopologyError(f"bisection: the solver stopped without a proof ({solved.message})")
    side = start if solved.x is None else np.asarray(solved.x[:size] > 0.5)
    bound = cut_weight(weights, side) if solved.status == 0 else max(solved.mip_dual_bound or 0.0, 0.0) * unit
    return side, bound
