"""Routings that somebody else decides: a table or a function that gives the path of every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noptoolkit._names import did_you_mean
from noptoolkit.errors import RoutingError
from noptoolkit.flow.network import FlowNetwork
from noptoolkit.flow.problem import RoutingProblem
from noptoolkit.package import Memory

__all__ = ["PathFunction", "PathTable", "path_flow"]

PathFunction = Callable[[str, str], Sequence[str]]
PathTable = Mapping[tuple[str, str], Sequence[str]]


def path_flow(problem: RoutingProblem, paths: PathFunction | PathTable) -> NDArray[np.float64]:
    """Return the flow of each source along given paths, in B, [sources, arcs].

    Parameters
    ----------
    paths
        From (source, destination), names of nodes, to the names of the nodes on the way, both ends included.

    Raises
    ------
    RoutingError
        If a pair has no path, or its path does not lead there over channels of the package.
    """
    network = problem.network
    arc_of: dict[tuple[int, int], int] = {}
    for arc, pair in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        arc_of.setdefault(pair, arc)
    flow = np.zeros((len(problem.sources), network.num_arcs))
    for row, source in enumerate(problem.sources):
        for target in np.flatnonzero(problem.demand[source]):
            a, b = network.node_of_vertex(int(source)), network.node_of_vertex(int(target))
            for arc in _arcs(network, a, b, _path(paths, a, b), arc_of):
                flow[row, arc] += problem.demand[source, target]
    return flow


def _path(paths: PathFunction | PathTable, a: str, b: str) -> Sequence[str]:
    if callable(paths):
        return list(paths(a, b))
    if (a, b) not in paths:
        raise RoutingError(f"the routing table has no path from {a!r} to {b!r}; add one for every demand")
    return paths[a, b]


def _arcs(
    network: FlowNetwork, a: str, b: str, path: Sequence[str], arc_of: dict[tuple[int, int], int]
) -> list[int]:
    place = f"path from {a!r} to {b!r} ({' - '.join(map(str, path))})"
    if len(path) < 2 or path[0] != a or path[-1] != b:
        raise RoutingError(f"{place}: it must begin with {a!r} and end with {b!r}")
    index = network.package.index
    for name in path:
        if name not in index:
            raise RoutingError(f"{place}: no node named {name!r}; {did_you_mean(str(name), index)}")
    for name in path[1:-1]:
        if isinstance(network.package[name], Memory):
            raise RoutingError(f"{place}: {name!r} is a memory stack, which forwards nothing; go round it")
    arcs = []
    for tail, head in pairwise(path):
        pair = (int(network.origin[index[tail]]), int(network.destination[index[head]]))
        if pair not in arc_of:
            raise RoutingError(f"{place}: there is no channel {tail + '->' + head!r}")
        arcs.append(arc_of[pair])
    return arcs
