"""Messages under a routing that splits: each takes several trees, in shares that add up to the routing's own.

The model. Where a routing splits traffic (ecmp, dor half way round a ring, up*/down*), a message to one
member splits just as that: it loads what its unicast loads. A message to several members is cut into parts,
and the parts of a copy take the paths of its member one after another, in the order of their channels: with
h in [0, 1) the place in the message, the path to member d is the one whose interval of the cumulated weights
holds h. So copies of one part take the same path as long as their routes allow it, like packets of a message
under one hash, and each part travels along one tree, the paths of its copies merged where they begin alike.
Each member's bytes load each channel exactly as its unicast does, and copying never loads a channel more than
separate copies by the same routes.

The paths of a pair are stripped from its flow, leftmost first, which takes no more of them than the flow has
channels. With many roots on a large network the parts would be too many: beyond ``MOST_PARTS`` in all (fewer
for many messages), each root has equally many parts of equal size, and a member's load is that of its unicast
up to about one part.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.routing.forwarding import Forwarding

__all__ = ["MOST_PARTS", "Parts", "most_parts", "parts_of", "splits"]


MOST_PARTS = 4096  # of all roots together
MOST_COUNTS = 50_000_000  # of a message in a part
ROUNDING = 1e-12  # of a message: ends of intervals that are the same


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a message to any members, and the path of each member's copy of each part.

    Parameters
    ----------
    shares : array of float
        Share of the message in each part, [parts].
    paths : array of int
        Arcs of every path that is taken, -1 where it has ended, [paths, steps].
    chosen : array of int
        The path of each member's copy of each part, [parts, members].
    """

    shares: Floats
    paths: Ints
    chosen: Ints


def most_parts(roots: int, messages: int) -> int:
    """Return the largest number of parts for each root.

    Parameters
    ----------
    roots : int
        Number of roots.
    messages : int
        Number of messages that are counted along the trees of a root, times the roots.
    """
    return max(1, min(MOST_PARTS // roots, MOST_COUNTS // max(messages, 1)))


def splits(forwarding: Forwarding) -> bool:
    """Return whether any traffic is split."""
    return bool((forwarding.share < 1 - ROUNDING).any())


def parts_of(forwarding: Forwarding, start: Ints, to: Ints, most: int) -> Parts:
    """Return the parts in which a message follows a routing to, or from, all of its members.

    Parameters
    ----------
    forwarding : Forwarding
        Routing towards some destinations.
    start, to : array of int
        State where the path of each member starts, and the number of its destination, [members].
    most : int
        Largest number of parts.
    """
    from noptoolkit.flow.trees.compiled_planes import strip_paths

    states = forwarding.num_states
    place = forwarding.to * states + forwarding.tail
    by_state = np.lexsort((forwarding.arc, place))
    entry_ptr = np.searchsorted(place[by_state], np.arange(len(forwarding.destinations) * states + 1))
    level = np.full(len(forwarding.destinations) * states, -1)
    level[place] = forwarding.level
    used = np.flatnonzero(level >= 0)
    used = used[np.lexsort((-level[used], used // states))]
    order_ptr = np.searchsorted(used // states, np.arange(len(forwarding.destinations) + 1))
    pair, weight, first, arcs = strip_paths(
        start.astype(np.int64),
        to.astype(np.int64),
        used % states,
        order_ptr,
        entry_ptr,
        forwarding.arc[by_state],
        forwarding.share[by_state],
        forwarding.head[by_state],
        states,
    )
    steps = np.diff(first)
    table = np.full((len(pair), int(steps.max(initial=0))), -1)
    row = np.repeat(np.arange(len(pair)), steps)
    table[row, np.arange(len(arcs)) - np.repeat(first[:-1], steps)] = arcs
    begin = np.searchsorted(pair, np.arange(len(start) + 1))
    ends = np.cumsum(weight)
    ends -= np.repeat(np.r_[0.0, ends][begin[:-1]], np.diff(begin))  # within each pair
    ends[begin[1:] - 1] = 1.0
    stops = np.unique(ends)
    stops = stops[np.diff(stops, append=2.0) > ROUNDING]
    if len(stops) > most:
        stops = np.arange(1, most + 1) / most
    shares = np.diff(stops, prepend=0.0)
    middle = stops - shares / 2
    chosen = [
        low + np.searchsorted(ends[low:high], middle) for low, high in itertools.pairwise(begin.tolist())
    ]
    return Parts(shares, table, np.stack(chosen, axis=1))
