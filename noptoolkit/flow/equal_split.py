"""Per-hop equal splitting (ecmp) at any size: in numpy for small packages, compiled for large ones."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.forwarding import push, split_equally
from noptoolkit.flow.network import FlowNetwork

__all__ = ["ecmp_flow"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGE = 200_000  # destinations x arcs from which compiled loops pay for loading numba


def ecmp_flow(network: FlowNetwork, destinations: Ints, demand: Floats) -> Floats:
    """Return the flow towards each destination by per-hop equal splitting, in B, [destinations, arcs].

    Parameters
    ----------
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    """
    if len(destinations) * network.num_arcs < LARGE:
        return push(network, split_equally(network, destinations), demand)
    from noptoolkit.flow.compiled import spread_equally

    # towards d by next hops is from d by fathers, with every arc turned round
    order = np.argsort(network.head, kind="stable")
    tail, head = network.head[order], network.tail[order]
    first = np.searchsorted(tail, np.arange(network.num_vertices + 1))
    width = network.width[order].astype(float)
    wanted = np.ascontiguousarray(demand.T[destinations])
    turned = np.zeros((len(destinations), network.num_arcs, 1))
    unused = np.zeros((0, 0, 0))
    threads = max(1, min(os.cpu_count() or 1, len(destinations)))
    cuts = [len(destinations) * k // threads for k in range(threads + 1)]

    def run(k: int) -> None:
        arrays = (first, tail, head, width, wanted, destinations, turned, unused)
        spread_equally(cuts[k], cuts[k + 1], *arrays)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))
    flow = np.empty((len(destinations), network.num_arcs))
    flow[:, order] = turned[:, :, 0]
    return flow
