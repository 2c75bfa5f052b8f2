"""How many nodes can be near: levels of distance that ports, and reach, allow at best.

A node of p ports has at most p neighbours, and each node that is reached spends a port on the way back. Over
the best-ported other nodes w, with G_i the others within i steps of the longest link,

    cum_0 = 0,    cum_i = min(N - 1, G_i, p + sum of (p_w - 1) over the cum_(i-1) best-ported others)

(Hoffman and Singleton, IBM J. Res. Dev. 4, 1960, for equal ports; induction over i, as the right side grows
with cum). The largest demands of a source nearest, its bytes make at least sum over i of what lies beyond
cum_i hops (rearrangement).
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._numbers import is_whole
from noptoolkit.errors import TopologyError

__all__ = ["hops_of_row", "levels", "moore_sum"]


def levels(own: int, others: Ints, within: Ints | None = None) -> Ints:
    """Return how many other nodes can be within 0, 1, 2, ... hops of a node, until no more can.

    Parameters
    ----------
    own
        Ports of the node.
    others
        Ports of the other nodes, in any order.
    within
        How many others lie within 0, 1, 2, ... times the reach; its last entry stays. No limit where
        ``None``.

    Examples
    --------
    >>> levels(3, np.full(9, 3)).tolist()  # Petersen's graph
    [0, 3, 9]
    """
    best = np.sort(np.asarray(others, np.int64))[::-1]
    grow = np.concatenate([[0], np.cumsum(np.maximum(best - 1, 0))])
    reached, found = 0, [0]
    while reached < len(best):
        new = min(len(best), int(own) + int(grow[reached]))
        if within is not None:
            new = min(new, int(within[min(len(found), len(within) - 1)]))
        if new <= reached and (within is None or len(found) >= len(within)):
            break
        reached = max(new, reached)
        found.append(reached)
    return np.array(found, np.int64)


def hops_of_row(row: Floats, near: Ints) -> float:
    """Return the least byte-hops of one source: sum over levels of what lies beyond them, infinite if stuck.

    Parameters
    ----------
    row
        Bytes to each other node, in any order.
    near
        Result of `levels`.
    """
    demand = np.sort(row[row > 0])[::-1]
    if len(demand) > int(near[-1]):
        return float("inf")
    done = np.concatenate([[0.0], np.cumsum(demand)])
    counted = np.minimum(near[:-1], len(demand))
    return float(np.sum(done[-1] - done[counted]))


def moore_sum(nodes: int, ports: int) -> float:
    """Return the least sum of distances from one node to all others, in hops; infinite where one is cut off.

    Raises
    ------
    TopologyError
        If the numbers are not whole, or below 1.

    Examples
    --------
    >>> [moore_sum(16, p) for p in (3, 4, 5, 6)], [moore_sum(64, p) for p in (3, 4, 5, 6)]
    ([33.0, 26.0, 25.0, 24.0], [237.0, 180.0, 159.0, 147.0])
    """
    if not (is_whole(nodes) and is_whole(ports) and nodes >= 1 and ports >= 1):
        raise TopologyError(f"{nodes!r} nodes of {ports!r} ports: give whole numbers from 1 up")
    near = levels(ports, np.full(nodes - 1, ports))
    if int(near[-1]) < nodes - 1:
        return float("inf")
    return float(np.sum(nodes - 1 - near[:-1]))
