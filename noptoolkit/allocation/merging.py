"""Layouts by merging: agglomerative clustering and repeated maximum-weight matching.

Both only merge clusters that together fit the largest chiplet, and pack what results (see `packing`).

With two experts per chiplet a token sends k copies less one for each of its pairs that share a chiplet, so
the least C_T is a maximum-weight matching of the co-activation graph (Edmonds' blossom algorithm):
`place_matched` is then exact. With more, pairs are matched again, which is a heuristic.
"""

from __future__ import annotations

import numpy as np

from noptoolkit.allocation.limits import Floats, Ints
from noptoolkit.allocation.packing import pack_clusters
from noptoolkit.allocation.problem import LayoutProblem

__all__ = ["heaviest_pairs", "place_agglomerated", "place_matched"]


def place_agglomerated(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return clusters merged by largest mean co-activation (average linkage), packed."""
    count, largest = problem.num_experts, int(problem.slots.max())
    cluster = np.arange(count)
    between = problem.coactivation.copy()  # summed over the members of both clusters
    size = np.ones(count)
    mean = np.where(np.eye(count, dtype=np.bool_) | (largest < 2), -1.0, between)
    while True:
        a, b = divmod(int(np.argmax(mean)), count)
        if mean[a, b] < 0:
            return pack_clusters(cluster, problem.coactivation, problem.slots)
        cluster[cluster == b] = a
        between[a] += between[b]
        between[:, a] += between[:, b]
        size[a] += size[b]
        size[b] = largest + 1  # gone: it merges with none
        row = between[a] / (size[a] * size)
        row[size[a] + size > largest] = -1.0
        row[a] = -1.0
        mean[a] = mean[:, a] = row
        mean[b] = mean[:, b] = -1.0


def place_matched(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return clusters matched in pairs, pairs of pairs, ..., packed; exact for two experts per chiplet."""
    largest = int(problem.slots.max())
    cluster = np.arange(problem.num_experts)
    while True:
        count = int(cluster.max()) + 1
        member = (cluster == np.arange(count)[:, None]).astype(np.float64)
        size = member.sum(axis=1)
        pairs = _matched(member @ problem.coactivation @ member.T, size, largest)
        if not pairs:
            return pack_clusters(cluster, problem.coactivation, problem.slots)
        for a, b in pairs:
            cluster[cluster == b] = a
        cluster = np.unique(cluster, return_inverse=True)[1]


def heaviest_pairs(problem: LayoutProblem) -> float:
    """Return the largest co-activation that disjoint pairs of experts can have, in tokens."""
    weight = problem.coactivation
    return float(sum(weight[pair] for pair in _matched(weight, np.ones(len(weight)), 2)))


def _matched(weight: Floats, size: Floats, largest: int) -> list[tuple[int, int]]:
    """Return the maximum-weight matching of clusters that fit together, as ascending pairs."""
    import networkx as nx

    graph: nx.Graph[int] = nx.Graph()
    for a in range(len(weight)):
        for b in range(a):
            if size[a] + size[b] <= largest:
                graph.add_edge(b, a, weight=float(weight[a, b]))
    found = nx.max_weight_matching(graph, maxcardinality=True)
    return sorted((min(pair), max(pair)) for pair in found)
