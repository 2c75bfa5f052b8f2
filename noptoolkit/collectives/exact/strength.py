"""Strength of a symmetric graph: the exact optimum of an all-reduce in which every vertex is a member.

The model. Channels u -> v and v -> u have the same capacity c. For a partition P of the vertices into |P|
parts, c(P) is the capacity between different parts, one direction. Then an all-reduce of M bytes takes ::

    T = M max over P of (|P| - 1) / c(P) = M / strength

*Lower bound*, for every schedule that sends elements or partial sums of them and does not code across
elements: contract the parts to |P| parties. When the first party holds the whole sum of an element, |P| - 1
transfers have carried the contributions of the others; each of the other |P| - 1 parties still must receive
it: 2 (|P| - 1) crossings of the capacity 2 c(P). *Reached*: spanning trees of total weight ``strength`` fit
into the capacities (Tutte 1961; Nash-Williams 1961; fractionally Cunningham, Optimal attack and
reinforcement of a network, 1985). The buffer is divided over the trees, each of which reduces upwards and
broadcasts downwards at the same time: one unit in each direction of each of its links.

The partition is found by a discrete Newton iteration. Its inner problem, minimise the sum over the parts of
(r c(boundary) - 2), is solved by Dilworth truncation: greedily, one minimum cut per vertex, all in integers.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import InfeasibleError

__all__ = ["strength_partition"]


def strength_partition(n: int, a: Ints, b: Ints, capacity: Ints) -> tuple[Fraction, Ints]:
    """Return max over partitions of (parts - 1) / capacity between them, and the part of each vertex.

    Parameters
    ----------
    n
        Number of vertices.
    a, b
        Ends of each undirected edge, [edges].
    capacity
        Integer capacity of each edge, [edges].

    Raises
    ------
    InfeasibleError
        If the graph is not connected.

    Examples
    --------
    >>> ring = np.arange(4)
    >>> strength_partition(4, ring, (ring + 1) % 4, np.ones(4, int))[0]
    Fraction(3, 4)
    """
    if n == 1:
        return Fraction(0), np.zeros(1, np.int64)
    if capacity.sum() == 0:
        raise InfeasibleError("members without channels between them cannot reduce")
    from noptoolkit.collectives.exact.compiled_strength import truncate

    best, parts = Fraction(n - 1, int(capacity.sum())), np.arange(n)
    around = np.bincount(a, capacity, n) + np.bincount(b, capacity, n)
    weakest = int(np.argmin(around))
    if around[weakest] == 0:
        raise InfeasibleError("members without channels between them cannot reduce")
    single = Fraction(1, int(around[weakest]))
    if single > best:
        best, parts = single, (np.arange(n) == weakest).astype(np.int64)
    while True:
        labels = truncate(n, a, b, capacity * best.numerator, best.denominator)
        labels = np.unique(labels, return_inverse=True)[1]
        count = int(labels.max()) + 1
        between = int(capacity[labels[a] != labels[b]].sum())
        if count > 1 and between == 0:
            raise InfeasibleError("the members of the group are not connected")
        if count == 1 or Fraction(count - 1, between) <= best:
            return best, parts
        best, parts = Fraction(count - 1, between), labels
