"""Loads of routings by hops at any size: in numpy for small packages, compiled for large ones.

Only the sum over all destinations is kept; `noptoolkit.routing.forwarding` computes the flow towards each
destination.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._threads import thread_pool
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.forwarding import forward_along, push, up_down_graph
from noptoolkit.routing.hops import HopGraph, plain_graph

__all__ = ["load_along_hops", "shortest_path_load", "up_down_load"]


LARGE = 200_000  # destinations x steps from which compiled loops pay for loading numba
BLOCKS = 8  # of destinations; a fixed number, so that sums are the same on every machine


def load_along_hops(
    network: FlowNetwork, graph: HopGraph, demand: Floats, *, first_only: bool = False
) -> Floats:
    """Return the load of each arc, in B, [arcs].

    Parameters
    ----------
    graph
        The steps that may be taken; every destination must be within reach.
    demand
        Bytes from each vertex to each other, [vertices, vertices].
    first_only
        Whether each state takes its lowest arc alone, else splits over all shortest paths.
    """
    destinations = np.flatnonzero(demand.any(axis=0))
    if len(destinations) * len(graph.tail) < LARGE:
        forwarding = forward_along(network, graph, destinations, first_only=first_only)
        small: Floats = push(network, forwarding, demand).sum(axis=0)
        return small
    from noptoolkit.routing.compiled_hops import load_equally, load_first

    by_head = np.argsort(graph.head, kind="stable")
    tail, head, arc = graph.tail[by_head], graph.head[by_head], graph.arc[by_head]
    first = np.searchsorted(head, np.arange(graph.num_states + 1))
    width = network.width[arc].astype(float)
    ends = np.ascontiguousarray(graph.ends[:, destinations].T)
    wanted = np.ascontiguousarray(demand.T[destinations])
    cuts = [len(destinations) * k // BLOCKS for k in range(BLOCKS + 1)]
    load = np.zeros((BLOCKS, network.num_arcs))

    def run(k: int) -> None:
        if first_only:
            load_first(cuts[k], cuts[k + 1], ends, first, tail, head, arc, wanted, load[k])
        else:
            load_equally(cuts[k], cuts[k + 1], ends, first, tail, arc, width, wanted, load[k])

    with thread_pool() as pool:
        list(pool.map(run, range(BLOCKS)))
    total: Floats = load.sum(axis=0)
    return total


def shortest_path_load(network: FlowNetwork, demand: Floats, *, first_only: bool = False) -> Floats:
    """Return the load of each arc under ecmp, or along the first of the shortest paths, in B, [arcs].

    Parameters
    ----------
    demand : array of float
        Bytes from each vertex to each other, [vertices, vertices].
    first_only : bool
        Whether each vertex takes its lowest arc alone, instead of splitting over all shortest paths.
    """
    return load_along_hops(network, plain_graph(network), demand, first_only=first_only)


def up_down_load(network: FlowNetwork, demand: Floats, *, root: str | None = None) -> Floats:
    """Return the load of each arc under up*/down* routing, in B, [arcs].

    Parameters
    ----------
    demand : array of float
        Bytes from each vertex to each other, [vertices, vertices].
    root : str, optional
        Node at the top of the tree; by default the one with the smallest eccentricity.
    """
    destinations = np.flatnonzero(demand.any(axis=0))
    return load_along_hops(network, up_down_graph(network, destinations, root), demand)
