"""Several trees for the messages of each root, and each message dealt one of them.

The model. A tree leads from a root to all endpoints, and a message follows the part of it that leads to its
members. It is grown by attaching the endpoint nearest to what is there already, from any vertex of the tree
that can copy (or add), at given lengths (Takahashi and Matsuyama, Mathematica Japonica 1980). Each further
tree sees the arcs of the earlier ones as longer, and so tends to other arcs.

Messages of a root, in the order of their sets, take the tree in whose share of [0, 1] the point i / golden
ratio mod 1 lies (a Weyl sequence): every run of consecutive messages, and so every set, is spread over the
trees nearly in proportion to their shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.bounds.certificate import shortest_distances
from noptoolkit.flow.trees.message_loads import LoadSum
from noptoolkit.flow.trees.multicast import by_root, tree_of_paths
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.problem import Messages, RoutingProblem
from noptoolkit.routing.solution import TreeLoads

__all__ = ["PathsFrom", "Root", "dealt_tree_loads", "grown_trees"]

GOLDEN = (5**0.5 - 1) / 2

Root = tuple[int, bool]
"""Node at which messages start (or end), and whether they are reductions."""

PathsFrom = Mapping[int, Ints]
"""Arcs from a root to each endpoint's node (for reductions: from the node to the root), by node."""


@dataclass(frozen=True, eq=False)
class _Growth:
    """What trees grow on: distances between all vertices away from roots, and the arc that ends each path."""

    tail: Ints
    distance: Floats
    by: Ints

    @staticmethod
    def of(network: FlowNetwork, length: Floats, *, reverse: bool) -> _Growth:
        tail, head = (network.head, network.tail) if reverse else (network.tail, network.head)
        every = np.arange(network.num_vertices)
        return _Growth(tail, *shortest_distances(network.num_vertices, tail, head, length, every))

    def path(self, start: int, end: int) -> list[int]:
        """Return the arcs of a shortest path, the first one first."""
        arcs: list[int] = []
        while end != start:
            arcs.append(int(self.by[start, end]))
            end = int(self.tail[arcs[-1]])
        return arcs[::-1]


def grown_trees(
    network: FlowNetwork, part: Messages, root: int, length: Floats, count: int
) -> list[PathsFrom]:
    """Return some trees from a root to all endpoints.

    Parameters
    ----------
    network : FlowNetwork
        Network on which the messages travel.
    part : Messages
        Messages, of which the endpoints and the vertices that copy are used.
    root : int
        Node at which the trees start (reductions: end).
    length : ndarray
        Length of each arc, above 0, [arcs].
    count : int
        Number of trees; later ones avoid the arcs of earlier ones.
    """
    start = int((network.destination if part.reverse else network.origin)[root])
    at = network.origin if part.reverse else network.destination
    ends = {int(node): int(at[node]) for node in part.endpoints.tolist() if node != root}
    head = network.tail if part.reverse else network.head
    used = np.zeros(network.num_arcs)
    trees: list[PathsFrom] = []
    for _ in range(count):
        growth = _Growth.of(network, length * (1 + used), reverse=part.reverse)
        paths: dict[int, list[int]] = {start: []}
        copies = [start]
        missing = dict.fromkeys(ends.values())
        while missing:
            targets = [vertex for vertex in missing if vertex not in paths]
            if not targets:
                break
            far = growth.distance[np.ix_(copies, targets)]
            if not np.isfinite(far).any():
                break  # members of no message here: every message was found to have paths
            a, b = divmod(int(np.argmin(far)), len(targets))
            done, path = paths[copies[a]], growth.path(copies[a], targets[b])
            for step, arc in enumerate(path):
                vertex = int(head[arc])
                if vertex not in paths:
                    paths[vertex] = [*done, *path[: step + 1]]
                    if part.helps[vertex]:
                        copies.append(vertex)
            del missing[targets[b]]
        touched = sorted({arc for vertex in ends.values() for arc in paths.get(vertex, ())})
        used[touched] += 1.0
        onward = -1 if part.reverse else 1
        trees.append({node: np.array(paths[v][::onward], np.int64) for node, v in ends.items() if v in paths})
    return trees


def dealt_tree_loads(
    problem: RoutingProblem,
    trees: Mapping[Root, Sequence[PathsFrom]],
    shares: Mapping[bool, Floats],
    first: int = 0,
) -> TreeLoads:
    """Return the loads of all messages of a problem, each dealt one of its root's trees.

    Parameters
    ----------
    problem : RoutingProblem
        Problem with messages.
    trees : mapping
        Trees of each root and direction.
    shares : mapping
        Share of the messages of each direction that follow each tree, adding up to 1, [trees]; messages of a
        direction that is left out are left out.
    first : int
        Messages of each root that were dealt before these.
    """
    loads = LoadSum(problem)
    for part in problem.messages:
        if part.reverse not in shares:
            continue
        borders = np.cumsum(shares[part.reverse])[:-1]
        for root, rows in zip(*by_root(part), strict=True):
            rows = rows[np.lexsort(part.members[rows].T)]
            turn = np.searchsorted(borders, (first + np.arange(len(rows)) + 0.5) * GOLDEN % 1, side="right")
            for number, paths in enumerate(trees[int(root), part.reverse]):
                mine = np.sort(rows[turn == number])
                if len(mine):
                    tree = tree_of_paths(problem, part, int(root), paths)
                    loads.add(part, tree, mine, np.full(len(mine), root), 1.0)
    return loads.total()
