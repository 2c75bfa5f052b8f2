"""What messages cost at least under given prices, worked out again; see `noptoolkit.flow.verification`.

Small sets by the dynamic program over their subsets (Dreyfus and Wagner), many sets at a time; large ones by
the cuts that the result brings along, which are only checked: each has a member and not the root, and no
hop of a copy is entered by more weight than it costs.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints

__all__ = ["cheapest_tree_costs", "cuts_cost", "program_steps"]

Flags = Bools

CHUNK = 4_000_000  # numbers at a time
CALL = 3000  # steps in the time of a call of numpy


def program_steps(sets: int, k: int, vertices: int) -> float:
    """Return how many steps the program over subsets takes for sets of k members."""
    batches = -(-sets // _batch(k, vertices))
    return sets * (3.0**k / 2 * vertices + 2.0**k * vertices**2) + batches * 3.0**k / 2 * CALL


def _batch(k: int, vertices: int) -> int:
    return max(1, CHUNK // (vertices * max(vertices, 1 << k)))


def cheapest_tree_costs(
    at: Ints, distance: Floats, helps: Flags, which: Ints, root: Ints, per_copy: Floats
) -> Floats:
    """Return what the cheapest tree of each message costs, [messages].

    Parameters
    ----------
    at
        Vertices of the members of each distinct set, all of one size, [sets, k].
    distance
        Distance from each vertex to each other, [vertices, vertices].
    helps
        Which vertices can make copies, [vertices].
    which, root, per_copy
        The set of each message, the vertex it starts at, and the price of each copy there, [messages].
    """
    vertices, k = len(distance), at.shape[1]
    result = np.empty(len(which))
    step = _batch(k, vertices)
    order = np.argsort(which, kind="stable")
    cuts = np.searchsorted(which[order], np.arange(0, len(at) + step, step))
    for begin, mine in zip(range(0, len(at), step), np.split(order, cuts[1:-1]), strict=True):
        cost = _subset_costs(at[begin : begin + step], distance, helps)
        of_root = cost[:, which[mine] - begin, root[mine]].T  # [messages, subsets]
        of_root = of_root + per_copy[mine, None]
        for subset in range(1, 1 << k):  # a root that cannot copy may send several
            for part in _halves(subset):
                apart = of_root[:, part] + of_root[:, subset ^ part]
                better = ~helps[root[mine]] & (apart < of_root[:, subset])
                of_root[better, subset] = apart[better]
            if helps[root[mine]].all():
                break
        result[mine] = of_root[:, -1]
    return result


def _subset_costs(at: Ints, distance: Floats, helps: Flags) -> Floats:
    """Return the cost of reaching each subset of each set from each vertex, [subsets, sets, vertices]."""
    sets, k = at.shape
    cost = np.full((1 << k, sets, len(distance)), np.inf)
    onto = np.ascontiguousarray(distance.T)
    for subset in range(1, 1 << k):
        if subset & (subset - 1) == 0:
            cost[subset] = onto[at[:, subset.bit_length() - 1]]
            continue
        merged = np.full((sets, len(distance)), np.inf)
        for part in _halves(subset):
            np.minimum(merged, cost[part] + cost[subset ^ part], out=merged)
        merged[:, ~helps] = np.inf
        best = cost[subset]
        for vertex in np.flatnonzero(helps):
            np.minimum(best, onto[vertex] + merged[:, vertex, None], out=best)
    return cost


def _halves(subset: int) -> list[int]:
    """Return the parts of a subset that hold its lowest bit, the whole left out."""
    low = subset & -subset
    rest = subset ^ low
    parts, part = [], rest
    while part:
        part = (part - 1) & rest
        parts.append(part | low)
    return parts


def cuts_cost(
    inside: Flags, weights: Floats, distance: Floats, helps: Flags, root: int, members: Ints, per_copy: float
) -> float:
    """Return what the cuts of one message prove, -1 where they do not hold.

    Parameters
    ----------
    inside
        Vertices of each cut, [cuts, vertices].
    weights
        [cuts].
    distance, helps
        Arrays as in `cheapest_tree_costs`.
    root, members
        Vertices.
    per_copy
        Price of each copy at the root.
    """
    if len(weights) and (
        weights.min() < 0 or inside[:, root].any() or not inside[:, members].any(axis=1).all()
    ):
        return -1.0
    outside = np.where(inside, 0.0, weights[:, None])
    entered = outside.T @ inside  # by a hop from each vertex to each other
    room = distance + np.where(helps[root], 0.0, per_copy) * (np.arange(len(helps)) == root)[:, None]
    starts = helps.copy()
    starts[root] = True
    stops = helps.copy()
    stops[members] = True
    hop = starts[:, None] & stops[None, :] & np.isfinite(room)
    if np.any((entered - room)[hop] > 1e-9 * max(float(weights.sum()), 1e-300)):
        return -1.0
    return float(weights.sum()) + (per_copy if helps[root] else 0.0)
