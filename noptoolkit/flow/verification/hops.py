"""Equal splitting over shortest paths, worked out again; see `noptoolkit.flow.verification`."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints

__all__ = ["load_by_equal_splits"]


CHUNK = 2_000_000  # destinations x channels at a time


def load_by_equal_splits(tail: Ints, head: Ints, demand: Floats) -> Floats:
    """Return what each channel carries if traffic splits equally over those on shortest paths, hop by hop.

    Parameters
    ----------
    tail, head
        Vertices of the channels, parallel ones apart, [channels].
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    size = len(demand)
    backwards = csr_array((np.ones(len(tail)), (head, tail)), shape=(size, size))
    load = np.zeros(len(tail))
    wanted = np.flatnonzero(demand.any(axis=0))
    step = max(1, CHUNK // max(1, len(tail)))
    for destinations in np.split(wanted, np.arange(step, len(wanted), step)):
        hops = dijkstra(backwards, unweighted=True, indices=destinations)
        ahead = np.isfinite(hops[:, tail]) & (hops[:, tail] == hops[:, head] + 1)
        which, channel = np.nonzero(ahead)
        ways = np.zeros_like(hops)
        np.add.at(ways, (which, tail[channel]), 1.0)
        here = demand[:, destinations].T.copy()
        level = hops[which, tail[channel]]
        for distance in np.unique(level)[::-1]:
            mine = level == distance
            rows, over = which[mine], channel[mine]
            amount = here[rows, tail[over]] / ways[rows, tail[over]]
            np.add.at(here, (rows, head[over]), amount)
            np.add.at(load, over, amount)
    return load
