"""Paths of messages, merged where they begin alike: the trees along which copies travel.

The model. Copies of one message that take the same path so far are one copy; they part at the last node that
their paths have in common. So the tree of a message is the trie of its paths: a node of it is a path so far,
and a vertex that two copies reach by different paths stands in it twice. Where a routing forwards by
destination alone and the paths from a root never meet again after parting (dor on a mesh, any routing on a
tree), that is simply the union of the paths.

The paths of a reduction lead to the root and are merged where they end alike, the mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.routing.forwarding import Forwarding

__all__ = ["Tries", "merge_paths", "turned_round", "walk"]


@dataclass(frozen=True, eq=False)
class Tries:
    """Tries of paths, each of one owner.

    Parameters
    ----------
    owner
        Owner of each node, [nodes].
    parent, arc
        The path without its last arc, and that arc; -1 at the start, [nodes]. Parents stand before children.
    end
        The node of each path, [paths].
    """

    owner: Ints
    parent: Ints
    arc: Ints
    end: Ints


def walk(forwarding: Forwarding, start: Ints, to: Ints) -> Ints:
    """Return the paths of a routing, -1 where they have ended, [paths, steps].

    Where several arcs share, the one with the largest share is taken (the lowest channel index on a tie).

    Parameters
    ----------
    start
        Vertices, [paths].
    to
        Indices into ``forwarding.destinations``, [paths].
    """
    choice = np.full((len(forwarding.destinations), forwarding.num_states), -1)
    best = np.lexsort((-forwarding.arc, forwarding.share))  # the last one written stays
    choice[forwarding.to[best], forwarding.tail[best]] = best
    steps = []
    state, left = start.copy(), np.arange(len(start))
    for _ in range(forwarding.num_states):
        entry = choice[to[left], state[left]]
        left, entry = left[entry >= 0], entry[entry >= 0]
        if len(left) == 0:
            break
        steps.append(np.full(len(start), -1))
        steps[-1][left] = forwarding.arc[entry]
        state[left] = forwarding.head[entry]
    return np.stack(steps, axis=1) if steps else np.zeros((len(start), 0), np.int64)


def turned_round(paths: Ints) -> Ints:
    """Return paths from their last arc to their first, [paths, steps]."""
    steps = (paths >= 0).sum(axis=1)
    place = steps[:, None] - 1 - np.arange(paths.shape[1])
    return np.where(place >= 0, np.take_along_axis(paths, np.maximum(place, 0), axis=1), -1)


def merge_paths(owner: Ints, paths: Ints) -> Tries:
    """Return the tries of paths; the start of each owner is the node of its number.

    Parameters
    ----------
    owner
        Owner of each path, numbered from 0, [paths].
    paths
        Arcs, -1 where they have ended, [paths, steps].
    """
    count = int(owner.max(initial=-1)) + 1
    owners, parents, arcs = [np.arange(count)], [np.full(count, -1)], [np.full(count, -1)]
    node = owner.copy()
    width = int(paths.max(initial=0)) + 1
    for step in paths.T:
        going = np.flatnonzero(step >= 0)
        fresh, which = np.unique(node[going] * width + step[going], return_inverse=True)
        parents.append(fresh // width)
        arcs.append(fresh % width)
        owners.append(np.concatenate(owners)[parents[-1]])
        node[going] = count + which.ravel()
        count += len(fresh)
    return Tries(np.concatenate(owners), np.concatenate(parents), np.concatenate(arcs), node)
