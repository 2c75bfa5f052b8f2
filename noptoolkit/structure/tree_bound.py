"""The least bisection of trees, exactly, and the bound that follows for a network that is a sum of trees.

Of a tree it is found by dynamic programming: for each subtree, the least cut that leaves j of its chiplets
on the side that its root is not on; merging a child is a (min, +) convolution, O(n^2) altogether.

A network whose links are shared out among trees that each reach all chiplets has, for the same half, the sum
of the trees' cuts. So no bisection is less than the sum of the trees' least ones. The trees here are those
of shortest paths from every node in the middle of the network, the nodes with the least distance to the
farthest chiplet: the core switches of a fat tree, the hub of a star. Each link is shared equally among the
trees that use it. The bound is exact for trees, and for fat trees of equal switches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from noptoolkit._arrays import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["tree_bound"]

MOST_STEPS = 500_000
"""Trees x links beyond which no trees are drawn."""


class _Tree(NamedTuple):
    """Nodes that lead to chiplets, parents first, and the parent of each; the first is the root."""

    order: list[int]
    parent: dict[int, int]


def tree_bound(weights: csr_array[Any], chiplets: Ints) -> float:
    """Return a bandwidth that every bisection has at least; 0 where the network is too large to draw trees.

    Parameters
    ----------
    weights
        Symmetric bandwidths, [nodes, nodes].
    chiplets
        Indices of the nodes that are halved.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> star = np.zeros((5, 5))
    >>> star[0, 1:] = star[1:, 0] = 1.0
    >>> tree_bound(csr_array(star), np.arange(1, 5))
    2.0
    """
    from scipy.sparse.csgraph import shortest_path

    hops = shortest_path(weights, method="D", unweighted=True)
    reach = hops[:, chiplets].max(axis=1)
    roots = np.flatnonzero(reach == reach.min())
    if len(roots) * weights.nnz > MOST_STEPS or not np.isfinite(reach.min()):
        return 0.0
    ends = set(chiplets.tolist())
    neighbours = [
        weights.indices[weights.indptr[i] : weights.indptr[i + 1]].tolist() for i in range(len(reach))
    ]
    uses: dict[tuple[int, int], int] = {}
    trees = [_tree(root, hops[root], neighbours, ends, uses) for root in roots.tolist()]
    share = {(a, b): float(weights[a, b]) / count for (a, b), count in uses.items()}
    solved: dict[object, tuple[int, Floats]] = {}
    return sum(_least(tree, ends, share, solved) for tree in trees)


def _tree(
    root: int,
    hops: Floats,
    neighbours: list[list[int]],
    ends: set[int],
    uses: dict[tuple[int, int], int],
) -> _Tree:
    """Return the shortest-path tree of a root without branches that lead to no chiplet; counts its links."""
    parent: dict[int, int] = {}
    order = [int(i) for i in np.argsort(hops, kind="stable") if np.isfinite(hops[i])]
    for node in order[1:]:
        above = [other for other in neighbours[node] if hops[other] == hops[node] - 1]
        parent[node] = min(above, key=lambda other: uses.get(_pair(node, other), 0))
    wanted = set(ends)
    for node in reversed(order[1:]):
        if node in wanted:
            wanted.add(parent[node])
            pair = _pair(node, parent[node])
            uses[pair] = uses.get(pair, 0) + 1
    return _Tree([node for node in order if node in wanted], parent)


def _least(
    tree: _Tree,
    ends: set[int],
    share: dict[tuple[int, int], float],
    solved: dict[object, tuple[int, Floats]],
) -> float:
    """Return the least bisection of a tree; equal subtrees, which ``solved`` remembers, are solved once."""
    branches: dict[int, list[tuple[float, int]]] = {node: [] for node in tree.order}
    costs: dict[int, Floats] = {}
    for node in reversed(tree.order):
        key = (node in ends, tuple(sorted(branches[node])))
        if key not in solved:
            cost = np.array([0.0, np.inf]) if node in ends else np.zeros(1)
            for width, child in key[1]:
                below = costs[child]
                cost = _merge(cost, np.minimum(below, below[::-1] + width))
            solved[key] = len(solved), cost
        number, cost = solved[key]
        costs[number] = cost
        if node in tree.parent:
            above = tree.parent[node]
            branches[above].append((share[_pair(node, above)], number))
    count = len(cost) - 1
    return float(min(cost[count // 2], cost[count - count // 2]))


def _merge(one: Floats, other: Floats) -> Floats:
    """Return the (min, +) convolution."""
    short, long = sorted((one, other), key=len)
    merged = np.full(len(short) + len(long) - 1, np.inf)
    for i, value in enumerate(short.tolist()):
        part = merged[i : i + len(long)]
        np.minimum(part, long + value, out=part)
    return merged


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
