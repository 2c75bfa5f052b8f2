"""Graphs of a class: where a search starts, and what a small space holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.bounds import TopologyClass

__all__ = ["Edges", "every_graph", "fits", "random_graph", "table_of"]

Edges = tuple[tuple[int, int, int], ...]
"""Pairs of chiplets, the lower one first, and the number of links between them."""


def fits(within: TopologyClass, edges: Edges) -> bool:
    """Return whether a graph keeps every rule of a class that a graph can break."""
    used = np.zeros(len(within.nodes), np.int64)
    length, allowed = within.length, within.allowed
    wire = 0.0
    for a, b, count in edges:
        used[[a, b]] += count
        wire += count * float(length[a, b])
        if not allowed[a, b] or (within.links == "single" and count > 1):
            return False
    number = sum(count for _, _, count in edges)
    return (
        bool((used <= within.node_ports).all())
        and (within.wire is None or wire <= within.wire + 1e-9)
        and (within.total is None or number <= within.total + 1e-9)
    )


def every_graph(within: TopologyClass, most: int, *, maximal: bool = True) -> list[Edges] | None:
    """Return all graphs of a class to which no link can be added; ``None`` if they are too many to list.

    Parameters
    ----------
    maximal
        Whether those to which one can be added are left out.
    """
    pairs = np.argwhere(np.triu(within.allowed)).tolist()
    length = within.length
    found: list[Edges] = []
    visited = 0

    def extend(at: int, left: Ints, wire: float, total: float, edges: Edges) -> Iterator[Edges]:
        nonlocal visited
        visited += 1
        if visited > 50 * most:
            raise OverflowError
        if at == len(pairs):
            yield edges
            return
        a, b = pairs[at]
        room = min(int(left[a]), int(left[b]), 1 if within.links == "single" else len(left) * 8)
        for count in range(room, -1, -1):
            if count * length[a, b] > wire + 1e-9 or count > total + 1e-9:
                continue
            after = left.copy()
            after[[a, b]] -= count
            more = ((a, b, count),) if count else ()
            yield from extend(at + 1, after, wire - count * length[a, b], total - count, (*edges, *more))

    try:
        budget = (
            np.inf if within.wire is None else within.wire,
            np.inf if within.total is None else within.total,
        )
        for edges in extend(0, within.node_ports.astype(np.int64), *budget, ()):
            if not (maximal and _can_grow(within, edges)):
                found.append(edges)
                if len(found) > most:
                    return None
    except OverflowError:
        return None
    return found


def _can_grow(within: TopologyClass, edges: Edges) -> bool:
    used = np.zeros(len(within.nodes), np.int64)
    there = set()
    for a, b, count in edges:
        used[[a, b]] += count
        there.add((a, b))
    if within.wire is not None or within.total is not None:
        return False
    free = used < within.node_ports
    first, second = np.nonzero(np.triu(within.allowed) & free[:, None] & free[None])
    if within.links == "single":
        return any(pair not in there for pair in zip(first.tolist(), second.tolist(), strict=True))
    return len(first) > 0


def random_graph(within: TopologyClass, rng: np.random.Generator) -> Edges:
    """Return a random graph of a class that uses its ports: a spanning tree, then what fits."""
    size, length = len(within), within.length
    left = within.ports.astype(np.int64)
    wire = np.inf if within.wire is None else within.wire
    total = np.inf if within.total is None else within.total
    taken: set[tuple[int, int]] = set()

    def join(a: int, b: int) -> bool:
        nonlocal wire, total
        pair = (min(a, b), max(a, b))
        if pair in taken or left[a] < 1 or left[b] < 1 or wire < length[a, b] - 1e-9 or total < 1:
            return False
        taken.add(pair)
        left[[a, b]] -= 1
        wire -= float(length[a, b])
        total -= 1
        return True

    pairs = np.argwhere(np.triu(within.allowed))
    keys = rng.random(len(pairs)) if within.wire is None else length[pairs[:, 0], pairs[:, 1]]
    part = np.arange(size)
    for a, b in pairs[np.argsort(keys + 1e-3 * rng.random(len(pairs)))].tolist():
        leaf_room = left[a] > 1 or left[b] > 1 or size == 2
        if part[a] != part[b] and leaf_room and join(a, b):
            part[part == part[b]] = part[a]
    for a, b in pairs[rng.permutation(len(pairs))].tolist():
        join(a, b)
    return tuple(sorted((a, b, 1) for a, b in taken))


def table_of(within: TopologyClass, edges: Edges) -> tuple[Ints, Ints]:
    """Return neighbours, [chiplets, ports], and their number, [chiplets]."""
    size = len(within)
    degree = np.zeros(size, np.int64)
    joined = np.zeros((size, max(int(within.ports.max()), 1)), np.int64)
    for a, b, _ in edges:
        joined[a, degree[a]], joined[b, degree[b]] = b, a
        degree[[a, b]] += 1
    return joined, degree
