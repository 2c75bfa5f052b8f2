"""Orbits of arcs, groups and members under permutations of vertices, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit

from noptoolkit._arrays import Ints

__all__ = ["join_orbits"]


@njit(cache=True, nogil=True)
def _top(parent: Ints, x: int) -> int:
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@njit(cache=True, nogil=True)
def _join(parent: Ints, a: int, b: int) -> None:
    a, b = _top(parent, a), _top(parent, b)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@njit(cache=True, nogil=True)
def join_orbits(
    maps: Ints,
    first_group: int,
    start: Ints,
    heads: Ints,
    arcs: Ints,
    own: Ints,
    member_keys: Ints,
    member_order: Ints,
    owner: Ints,
    origin: Ints,
    resource: Ints,
    group: Ints,
    member: Ints,
) -> None:
    """Join what each permutation maps onto each other.

    Parameters
    ----------
    maps
        Where each vertex goes, then (from ``first_group``) each group, [permutations, vertices + ...].
    start, heads, arcs
        Arcs out of each vertex, in rows.
    own
        Resource of each arc, [arcs].
    member_keys, member_order
        group * vertices + vertex of every member, sorted, and which member it is, [members].
    owner, origin
        Group and vertex of each member, [members].
    resource, group, member
        Forests of orbits: joined, [resources], [groups], [members].
    """
    n = len(start) - 1
    for p in range(len(maps)):
        to = maps[p]
        for u in range(n):
            for k in range(start[u], start[u + 1]):
                v = heads[k]
                if to[u] == u and to[v] == v:
                    continue
                for other in range(start[to[u]], start[to[u] + 1]):
                    if heads[other] == to[v]:
                        _join(resource, own[arcs[k]], own[arcs[other]])
                        break
        for g in range(len(group)):
            _join(group, g, to[first_group + g] - first_group)
        for i in range(len(member)):
            g, v = owner[i], origin[i]
            to_group, to_vertex = to[first_group + g] - first_group, to[v]
            if to_group != g or to_vertex != v:
                at = np.searchsorted(member_keys, to_group * n + to_vertex)
                _join(member, i, member_order[at])
