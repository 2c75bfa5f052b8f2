"""The cheapest assignment of items to places that take several, compiled.

Shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987), with the slots of a place as one node:
with s slots each, a path looks at s times fewer nodes than where every slot is a column.

Imported only by the function that assigns, because numba is slow to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats, Ints

__all__ = ["assign"]


@njit(cache=True)
def assign(cost: Floats, slots: Ints) -> Any:
    """Return the place of each item, [items], that costs least in all, no place above its slots.

    Parameters
    ----------
    cost
        Of each item at each place, [items, places].
    slots
        Items that each place takes, [places]; at least as many in all as there are items.
    """
    items, places = cost.shape
    place = np.full(items, -1)
    held = np.zeros(places, np.int64)
    members = np.full((places, max(1, slots.max())), -1)
    price = np.zeros(places)  # of a place; costs less prices and values are never negative
    value = np.zeros(items)
    distance = np.empty(places)
    before = np.empty(places, np.int64)  # item from which a path comes to a place
    reached = np.empty(places, np.bool_)
    for item in range(items):
        distance[:] = np.inf
        reached[:] = slots == 0
        here, least = item, 0.0
        end = -1
        turn = 0  # of the members of the place reached last
        last = -1
        while end < 0:
            shift = least - value[here]
            for j in range(places):
                if not reached[j]:
                    through = shift + cost[here, j] - price[j]
                    if through < distance[j]:
                        distance[j] = through
                        before[j] = here
            if last >= 0 and turn + 1 < held[last]:
                turn += 1
                here = members[last, turn]
                continue
            last = -1
            for j in range(places):
                if not reached[j] and (last < 0 or distance[j] < distance[last]):
                    last = j
            least = distance[last]
            if held[last] < slots[last]:
                end = last
                break
            reached[last] = True
            turn = 0
            here = members[last, 0]
        value[item] += least
        for j in range(places):
            if reached[j] and held[j] > 0:
                price[j] -= least - distance[j]
                for m in range(held[j]):
                    value[members[j, m]] += least - distance[j]
        while True:
            moving = before[end]
            old = place[moving]
            place[moving] = end
            if old < 0:
                members[end, held[end]] = moving
                held[end] += 1
                break
            for m in range(held[old]):  # its slot is for the next on the way
                if members[old, m] == moving:
                    members[old, m] = members[old, held[old] - 1]
            held[old] -= 1
            members[end, held[end]] = moving
            held[end] += 1
            end = old
    return place
