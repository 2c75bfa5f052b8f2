"""From clusters of any size to chiplets with a fixed number of slots.

Community detection and merging know no exact balance. Packing fills one chiplet after the other, the one with
most slots first: it takes the largest cluster that is left, its most co-activated core where it is too large,
and grows by the expert most co-activated with what it has where it is too small.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools
from noptoolkit.allocation.limits import Floats, Ints

__all__ = ["pack_clusters", "rebalance"]


def pack_clusters(cluster: Ints, coactivation: Floats, slots: Ints) -> Ints:
    """Return the chiplet of each expert, [experts].

    Parameters
    ----------
    cluster
        Cluster of each expert, [experts].
    coactivation
        Tokens that use both experts, [experts, experts].
    slots
        Experts that each chiplet holds, [chiplets].

    Examples
    --------
    >>> together = np.ones((6, 6)) - np.eye(6)
    >>> pack_clusters(np.array([0, 0, 0, 0, 1, 1]), together, np.array([3, 3]))
    array([0, 0, 0, 1, 1, 1])
    """
    places = np.full(len(cluster), -1, dtype=np.int64)
    spare = int(slots.sum()) - len(cluster)
    for chiplet in np.argsort(-slots, kind="stable"):
        size = int(slots[chiplet])
        fitting = size - min(spare, size)  # empty slots are left where the largest cluster ends
        free = places < 0
        if not free.any() or size == 0:
            continue
        sizes = np.bincount(cluster[free])
        largest = free & (cluster == np.argmax(sizes))
        wanted = min(size, max(fitting, int(largest.sum())), int(free.sum()))
        places[_grown(largest, free, coactivation, wanted)] = chiplet
        spare -= size - wanted
    return places


def _grown(core: Bools, free: Bools, coactivation: Floats, size: int) -> Ints:
    """Return ``size`` free experts, from the core as long as there are any."""
    inside = coactivation[:, core].sum(axis=1)
    taken = [int(np.argmax(np.where(core, inside, -np.inf)))]
    affinity = coactivation[taken[0]].copy()
    left, rest = core.copy(), free.copy()
    left[taken[0]] = rest[taken[0]] = False
    while len(taken) < size:
        pool = left if left.any() else rest
        best = int(np.argmax(np.where(pool, affinity, -np.inf)))
        taken.append(best)
        left[best] = rest[best] = False
        affinity += coactivation[best]
    return np.array(taken, dtype=np.int64)


def rebalance(places: Ints, coactivation: Floats, slots: Ints) -> Ints:
    """Return a layout with experts moved out of overfull chiplets, each where it has most co-activation.

    Examples
    --------
    >>> rebalance(np.array([0, 0, 0, 1]), np.ones((4, 4)), np.array([2, 2]))
    array([1, 0, 0, 1])
    """
    balanced = places.astype(np.int64)
    while True:
        held = np.bincount(balanced, minlength=len(slots))
        over = np.flatnonzero((held > slots)[balanced])
        room = np.flatnonzero(held < slots)
        if not len(over):
            return balanced
        inside = coactivation @ np.eye(len(slots))[balanced]
        gain = inside[np.ix_(over, room)] - inside[over, balanced[over]][:, None]
        i, j = divmod(int(np.argmax(gain)), len(room))
        balanced[over[i]] = room[j]
