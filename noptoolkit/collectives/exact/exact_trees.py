"""Trees that reach the slowest cut of an all-gather or broadcast exactly.

Given the optimum r = p/q of equation (1) in `noptoolkit.collectives.exact.cuts`, capacities become the
numbers of unit trees c p / d that an arc may carry, d = gcd(q, all c p), and a source of weight w sends w q
/ d unit trees. Two steps, both in integers:

1. *Splitting off.* At a balanced relay w, arcs u -> w and w -> t can be replaced by an arc u -> t, some pair
   and some amount at a time, while every member stays able to receive everything (Mader, A reduction method
   for edge-connectivity in graphs, 1978; Bang-Jensen, Frank and Jackson 1995). The relays copy nothing: every
   new arc is a set of physical paths.
2. *Packing.* Edge-disjoint arborescences of the wanted roots that all span the members exist (Edmonds 1973)
   and are grown in batches of equal trees, one maximum flow per arc that joins.

The idea of scheduling an all-gather so is ForestColl's (Zhao et al., ForestColl: Throughput-optimal
collective communications on heterogeneous network fabrics, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.collectives.exact.integer_graph import IntegerGraph

__all__ = ["PackedTree", "exact_trees"]

Path = tuple[int, ...]

MOST_BATCHES = 20_000


@dataclass(frozen=True)
class PackedTree:
    """A tree and the part of its root's data that it carries.

    Parameters
    ----------
    root
        Vertex at which it starts.
    units, of_units
        It carries units / of_units of the root's data.
    paths
        Arcs of each hop from a member to a member, in an order in which the sender always has the data.
    """

    root: int
    units: int
    of_units: int
    paths: tuple[Path, ...]


def exact_trees(
    graph: IntegerGraph, ratio: Fraction, sources: Ints, weights: Ints, members: Ints
) -> list[PackedTree] | None:
    """Return trees whose largest load / capacity is exactly ``ratio`` per unit of weight.

    Parameters
    ----------
    graph
        Without dead ends, all relays balanced.
    ratio
        Of its slowest cut.
    sources, weights
        Where data starts and how much, [sources].
    members
        Vertices that every tree must span, [members].

    Returns
    -------
    list of PackedTree or None
        ``None`` where a relay could not be split off, or more than `MOST_BATCHES` batches are needed.
    """
    from noptoolkit.collectives.exact.compiled_splitting import pack_arborescences, split_off

    used = weights > 0
    sources, weights = sources[used], weights[used]
    p, q = ratio.numerator, ratio.denominator
    scaled = [int(c) * p for c in graph.capacity.tolist()]
    divisor = int(np.gcd.reduce(np.array([q, *scaled], dtype=object)))
    units = weights * (q // divisor)
    n = graph.num_vertices
    capacity = np.zeros((n, n), np.int64)
    pieces: dict[tuple[int, int], list[tuple[int, Path]]] = {}
    for e, (u, v) in enumerate(zip(graph.tail.tolist(), graph.head.tolist(), strict=True)):
        capacity[u, v] = scaled[e] // divisor
        pieces[u, v] = [(scaled[e] // divisor, (e,))]
    touched = np.union1d(graph.tail, graph.head)
    relays = np.setdiff1d(touched, members)
    if len(relays):
        steps, left = split_off(capacity, relays, sources, units, members)
        if left:
            return None
        for u, w, t, amount in steps.tolist():
            there, onward = _take(pieces[u, w], amount), _take(pieces[w, t], amount)
            if u != t:
                pieces.setdefault((u, t), []).extend(_joined(there, onward))
    tail, head = np.nonzero(capacity)
    multiplicity = capacity[tail, head]
    place = np.full(n, -1)
    place[members] = np.arange(len(members))
    count, root, amounts, arcs = pack_arborescences(
        len(members),
        len(members),
        place[tail],
        place[head],
        multiplicity,
        place[sources],
        units,
        MOST_BATCHES,
    )
    if count < 0:
        return None
    of_units = dict(zip(sources.tolist(), units.tolist(), strict=True))
    trees: list[PackedTree] = []
    for b in range(count):
        at = int(members[root[b]])
        hops = [pieces[int(tail[e]), int(head[e])] for e in arcs[b]]
        trees += _with_paths(at, int(amounts[b]), of_units[at], hops)
    return trees


def _take(pieces: list[tuple[int, Path]], amount: int) -> list[tuple[int, Path]]:
    """Take an amount of paths away from the end of a list of them."""
    taken = []
    while amount:
        have, path = pieces[-1]
        if have <= amount:
            pieces.pop()
        else:
            pieces[-1] = (have - amount, path)
        taken.append((min(have, amount), path))
        amount -= min(have, amount)
    return taken


def _joined(there: list[tuple[int, Path]], onward: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    joined = []
    while there:
        (a, first), (b, second) = there.pop(), onward.pop()
        both = min(a, b)
        joined.append((both, first + second))
        if a > both:
            there.append((a - both, first))
        if b > both:
            onward.append((b - both, second))
    return joined


def _with_paths(
    root: int, amount: int, of_units: int, hops: list[list[tuple[int, Path]]]
) -> list[PackedTree]:
    """Part a batch wherever the physical paths of one of its hops change."""
    columns, marks = [], {0, amount}
    for pieces in hops:
        at, column = 0, []
        for piece, path in _take(pieces, amount):
            column.append((at, path))
            at += piece
            marks.add(at)
        columns.append(column)
    bounds = sorted(marks)
    return [
        PackedTree(
            root,
            high - low,
            of_units,
            tuple(next(path for at, path in reversed(column) if at <= low) for column in columns),
        )
        for low, high in pairwise(bounds)
    ]
