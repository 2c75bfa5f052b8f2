"""The slowest cut of one collective, exactly: integer maximum flows inside a discrete Newton iteration.

The model. B+(S) is the capacity that leaves a set of vertices S, w(S) the bytes that start in it.

*Spreading* (all-gather, broadcast; with the arcs reversed reduce-scatter, reduce). Some member outside S must
receive w(S) over B+(S), so no schedule is faster than ::

    max over S that miss a member of  w(S) / B+(S)                                            (1)

Edmonds (Edge-disjoint branchings, 1973): in a graph of members alone, trees that reach (1) exist. Relays that
copy nothing change nothing if they are balanced (capacity in = capacity out): their arcs can be split off
pairwise (Mader; Bang-Jensen, Frank and Jackson, Preserving and increasing local edge-connectivity in mixed
graphs, 1995). Copying by relays does not beat (1) either.

*Scattering* (scatter, send; reversed gather). One source r, so flows to all members are one flow, and ::

    max over S that hold r of  w(V - S) / B+(S)                                               (2)

is always reached (max-flow min-cut).

Newton: r := the ratio of some cut. If every member can receive w(T) over capacities r B from all sources
together, r is the optimum; if not, a minimum cut S has a higher ratio, which replaces r. Members that
passed stay passed, since r only grows. Everything is int64 and ``fractions.Fraction``: no tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from noptoolkit._arrays import Bools, Ints
from noptoolkit.collectives.exact.integer_graph import IntegerGraph
from noptoolkit.errors import InfeasibleError

__all__ = ["FoundCut", "scattering_cut", "spreading_cut"]


@dataclass(frozen=True, eq=False)
class FoundCut:
    """The slowest cut of an integer graph.

    Parameters
    ----------
    ratio
        Weight that must cross / capacity that leaves, in units of weight per unit of capacity.
    inside
        Vertices of the cut, [vertices].
    flows
        Number of maximum flows it took.
    """

    ratio: Fraction
    inside: Bools
    flows: int


def spreading_cut(graph: IntegerGraph, sources: Ints, weights: Ints, targets: Ints) -> FoundCut:
    """Return the cut that decides an all-gather or broadcast, equation (1).

    Parameters
    ----------
    graph
        Its arcs.
    sources, weights
        Vertices at which data starts and how much, [sources].
    targets
        Vertices that must receive everything, [targets].

    Raises
    ------
    InfeasibleError
        If a target cannot be reached from a source.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives.exact.integer_graph import integer_graph
    >>> from noptoolkit.network import flow_network
    >>> ring = integer_graph(flow_network(topology.ring(5, link_bandwidth=1.0)), weight=5)
    >>> spreading_cut(ring, np.arange(5), np.ones(5, int), np.arange(5)).ratio
    Fraction(2, 1)
    """
    from noptoolkit.collectives.exact.compiled_flow import link_arcs, passing_targets

    used = weights > 0
    sources, weights = sources[used], weights[used]
    n, total = graph.num_vertices, int(weights.sum())
    held = np.zeros(n, np.int64)
    held[sources] = weights
    best, inside = Fraction(0), np.zeros(n, bool)
    enters = np.bincount(graph.head, graph.capacity, n)
    for t in targets.tolist():
        owed, wide = total - int(held[t]), int(enters[t])
        if owed and not wide:
            raise InfeasibleError(_unreachable(graph, t))
        if owed and Fraction(owed, wide) > best:
            best, inside = Fraction(owed, wide), np.arange(n) != t
    first, after, to = link_arcs(
        n + 1, np.r_[graph.tail, np.full(len(sources), n)], np.r_[graph.head, sources]
    )
    waiting, flows = targets.astype(np.int64), 0
    while len(waiting):
        p, q = best.numerator, best.denominator
        capacity = np.zeros(2 * (len(graph.tail) + len(sources)), np.int64)
        capacity[::2] = np.r_[graph.capacity * p, weights * q]
        passed, level = passing_targets(first, after, to, capacity, n, waiting, q * total)
        flows += passed + 1
        waiting = waiting[passed:]
        if len(waiting) == 0:
            break
        side = level[:-1] >= 0
        wide = int(graph.capacity[side[graph.tail] & ~side[graph.head]].sum())
        if wide == 0:
            raise InfeasibleError(_unreachable(graph, int(waiting[0])))
        ratio = Fraction(int(held[side].sum()), wide)
        assert ratio > best, "a cut that fails must be slower than the one before"
        best, inside = ratio, side
    return FoundCut(best, inside, flows)


def scattering_cut(graph: IntegerGraph, root: int, targets: Ints, weights: Ints) -> tuple[FoundCut, Ints]:
    """Return the cut that decides a scatter, equation (2), and a flow that reaches it.

    Parameters
    ----------
    root
        Vertex at which everything starts.
    targets, weights
        Vertices that receive and how much each, [targets].

    Returns
    -------
    FoundCut, flow
        The flow is in units of weight times ``ratio.denominator``, [arcs].

    Raises
    ------
    InfeasibleError
        If a target cannot be reached.
    """
    from noptoolkit.collectives.exact.compiled_flow import link_arcs, max_flow

    used = (weights > 0) & (targets != root)
    targets, weights = targets[used], weights[used]
    n, m, total = graph.num_vertices, len(graph.tail), int(weights.sum())
    owed = np.zeros(n, np.int64)
    np.add.at(owed, targets, weights)
    leaves = int(graph.capacity[graph.tail == root].sum())
    if total == 0:
        return FoundCut(Fraction(0), np.zeros(n, bool), 0), np.zeros(m, np.int64)
    if leaves == 0:
        raise InfeasibleError(_unreachable(graph, int(targets[0])))
    first, after, to = link_arcs(
        n + 1, np.r_[graph.tail, targets], np.r_[graph.head, np.full(len(targets), n)]
    )
    best, inside, flows = Fraction(total, leaves), np.arange(n) == root, 0
    while True:
        p, q = best.numerator, best.denominator
        residual = np.zeros(2 * (m + len(targets)), np.int64)
        residual[::2] = np.r_[graph.capacity * p, weights * q]
        value, level = max_flow(first, after, to, residual, root, n, q * total)
        flows += 1
        if value == q * total:
            return FoundCut(best, inside, flows), residual[1 : 2 * m : 2].copy()
        inside = level[:-1] >= 0
        wide = int(graph.capacity[inside[graph.tail] & ~inside[graph.head]].sum())
        if wide == 0:
            lost = targets[~inside[targets]]
            raise InfeasibleError(_unreachable(graph, int(lost[0])))
        best = Fraction(int(owed[~inside].sum()), wide)


def _unreachable(graph: IntegerGraph, vertex: int) -> str:
    return (
        f"member {graph.labels[vertex].removesuffix(' core')!r} cannot be reached by all other members; "
        "add a link, or leave it out of the group"
    )
