"""User-supplied routings: a table or a function that gives the path of every pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Memory
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.problem import RoutingProblem

__all__ = ["PathFunction", "PathTable", "path_flow", "path_rule", "path_walker"]

PathFunction = Callable[[str, str], Sequence[str]]
PathTable = Mapping[tuple[str, str], Sequence[str]]


def path_flow(problem: RoutingProblem, paths: PathFunction | PathTable) -> Floats:
    """Return the flow of each source along given paths, in B, [sources, arcs].

    Parameters
    ----------
    paths
        Function or table: from (source, destination) to the node names on the path, both ends included.

    Raises
    ------
    RoutingError
        If a pair has no path, or its path does not lead there over channels of the package.
    """
    network = problem.network
    walk = path_walker(network, paths)
    flow = np.zeros((len(problem.sources), network.num_arcs))
    for row, source in enumerate(problem.sources):
        a, targets = network.node_of_vertex(int(source)), np.flatnonzero(problem.demand[source])
        walks = [walk(a, network.node_of_vertex(target)) for target in targets.tolist()]
        amount = np.repeat(problem.demand[source, targets], [len(arcs) for arcs in walks])
        np.add.at(flow[row], np.concatenate(walks), amount)
    return flow


def path_rule(network: FlowNetwork, paths: PathFunction | PathTable, demand: Floats) -> Forwarding:
    """Return the given paths of a demand as a rule with a state for each source.

    Parameters
    ----------
    demand : array of float
        Bytes from each vertex to each other, [vertices, vertices]; only these pairs are asked for paths.
    """
    size, walk = network.num_vertices, path_walker(network, paths)
    sources, destinations = (np.flatnonzero(demand.any(axis=axis)) for axis in (1, 0))
    rows = []  # destination, arc, level, tail, head of each entry
    for layer, source in enumerate(sources.tolist(), 1):
        for to in np.flatnonzero(demand[source, destinations]).tolist():
            a, b = (network.node_of_vertex(int(vertex)) for vertex in (source, destinations[to]))
            state = source
            arcs = walk(a, b)
            for done, arc in enumerate(arcs):
                ahead = layer * size + int(network.head[arc])
                rows.append((to, arc, len(arcs) - done, state, ahead))
                state = ahead
    row, arc_, level, tail, head = np.array(rows, np.int64).reshape(-1, 5).T
    ones, zeros = np.ones(len(rows)), np.zeros(len(rows), np.int64)
    return Forwarding(destinations, row, arc_, ones, level, tail, head, size * (1 + len(sources)), zeros)


def path_walker(network: FlowNetwork, paths: PathFunction | PathTable) -> Callable[[str, str], list[int]]:
    """Return a function from (source, destination) to the arcs on the given path, which it checks."""
    arc_of = _arc_of_step(network)
    memories = {stack.name for stack in network.package.memories}

    def walk(a: str, b: str) -> list[int]:
        path = _path(paths, a, b)
        try:
            arcs = [arc_of[step] for step in pairwise(path)]
        except (KeyError, TypeError):
            raise _fault(network, a, b, path) from None
        simple = len(set(path)) == len(path) > 1 and memories.isdisjoint(path[1:-1])
        if not simple or path[0] != a or path[-1] != b:
            raise _fault(network, a, b, path)
        return arcs

    return walk


def _arc_of_step(network: FlowNetwork) -> dict[tuple[str, str], int]:
    """Return the first arc between the nodes of each name."""
    arc_of: dict[tuple[str, str], int] = {}
    for arc, ends in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        tail, head = (network.node_of_vertex(vertex) for vertex in ends)
        arc_of.setdefault((tail, head), arc)
    return arc_of


def _path(paths: PathFunction | PathTable, a: str, b: str) -> Sequence[str]:
    if not callable(paths):
        if (a, b) not in paths:
            raise RoutingError(f"the routing table has no path from {a!r} to {b!r}; add one for every demand")
        path: object = paths[a, b]
    else:
        try:
            path = paths(a, b)
        except Exception as error:
            raise RoutingError(
                f"the routing function failed from {a!r} to {b!r} ({type(error).__name__}: {error}); "
                "it is called with two names and returns the names on the path"
            ) from error
    if isinstance(path, list | tuple):
        return path
    if isinstance(path, Mapping):
        raise RoutingError(
            f"path from {a!r} to {b!r}: {path!r} holds next hops, not a path; for a splitting rule write "
            "routing=noptoolkit.routing.NextHops(...)"
        )
    if isinstance(path, str) or not isinstance(path, Iterable):
        raise _no_path(a, b, path)
    return list(path)


def _no_path(a: str, b: str, path: object) -> RoutingError:
    return RoutingError(
        f"path from {a!r} to {b!r}: {path!r} is not a sequence of node names; write [{a!r}, ..., {b!r}]"
    )


def _fault(network: FlowNetwork, a: str, b: str, path: Sequence[str]) -> RoutingError:
    """Return what is wrong with a path that is."""
    if not all(isinstance(name, str) for name in path):
        return _no_path(a, b, path)
    place = f"path from {a!r} to {b!r} ({' - '.join(path)})"
    if len(path) < 2 or path[0] != a or path[-1] != b:
        return RoutingError(f"{place}: it must begin with {a!r} and end with {b!r}")
    index = network.package.index
    for i, name in enumerate(path):
        if name not in index:
            return RoutingError(f"{place}: no node named {name!r}; {did_you_mean(name, index)}")
        if name in path[:i]:
            return RoutingError(f"{place}: it comes to {name!r} twice; leave the loop out")
    for name in path[1:-1]:
        if isinstance(network.package[name], Memory):
            return RoutingError(f"{place}: {name!r} is a memory stack, which forwards nothing; go round it")
    ways = _arc_of_step(network)
    tail, head = next(step for step in pairwise(path) if step not in ways)
    onward = [end for begin, end in ways if begin == tail]
    known = f"channels lead to {', '.join(onward)}" if onward else "none leads from there"
    return RoutingError(f"{place}: there is no channel {tail + '->' + head!r}; {known}")
