"""Takes circulations out of flows: what goes round and arrives nowhere; compiled by numba.

An interior point lies between all optimal flows, and so contains their differences, which are circulations:
they limit nothing, and would be traffic of nobody.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Floats
from noptoolkit.flow.bounds.program import FlowProgram

__all__ = ["without_circulations"]

Ints = NDArray[Any]


def without_circulations(program: FlowProgram, flow: Floats) -> Floats:
    """Return a flow of a program with no directed cycle of any commodity, nowhere more than before.

    Parameters
    ----------
    flow
        Carries the demand, [commodities, arcs].
    """
    order = np.argsort(program.tail, kind="stable")
    first = np.searchsorted(program.tail[order], np.arange(program.num_vertices + 1))
    sorted_flow = np.ascontiguousarray(flow[:, order])
    _cancel(sorted_flow, first.astype(np.int64), program.head[order].astype(np.int64))
    found = np.empty_like(sorted_flow)
    found[:, order] = sorted_flow
    return found


@njit(cache=True, nogil=True)
def _cancel(flow: Floats, first: Ints, head: Ints) -> None:
    """Cancel the cycles of every commodity in place, [commodities, arcs by tail].

    A depth-first search along arcs with flow. An arc back to a vertex of the path closes a cycle: its least
    flow is taken off all its arcs, which empties one, and the search goes on from the tail of the first that
    is empty. Every cycle empties an arc, so that the search ends.
    """
    vertices = len(first) - 1
    place = np.empty(vertices, np.int64)  # on the path: where; -1 not seen, -2 done
    at = np.empty(vertices, np.int64)  # next arc to try
    path = np.empty(vertices, np.int64)  # vertices
    via = np.empty(vertices, np.int64)  # arc out of each
    for c in range(len(flow)):
        row = flow[c]
        for v in range(vertices):
            place[v] = -1
            at[v] = first[v]
        for root in range(vertices):
            if place[root] != -1:
                continue
            path[0] = root
            place[root] = 0
            depth = 0
            while depth >= 0:
                u = path[depth]
                while at[u] < first[u + 1] and (row[at[u]] <= 0.0 or place[head[at[u]]] == -2):
                    at[u] += 1
                if at[u] == first[u + 1]:
                    place[u] = -2
                    depth -= 1
                    continue
                a = at[u]
                via[depth] = a
                w = head[a]
                if place[w] == -1:
                    depth += 1
                    path[depth] = w
                    place[w] = depth
                    continue
                least = row[a]
                for k in range(place[w], depth):
                    least = min(least, row[via[k]])
                back = depth
                for k in range(depth, place[w] - 1, -1):
                    if row[via[k]] <= least:
                        row[via[k]] = 0.0
                        back = k
                    else:
                        row[via[k]] -= least
                for k in range(back + 1, depth + 1):
                    place[path[k]] = -1  # to be searched again, from where it was
                depth = back
