"""Mozart's expert layout (Luo et al., arXiv 2603.07006): Algorithm 1 and the binary program of equation 5.

The paper publishes the idea, not the exact growth rule. Our reading:

1. *Seeds*, after farthest-point sampling: the first is the expert of largest load; each next one is the
   expert whose largest co-activation with the seeds so far is smallest.
2. *Growth*: the clusters take turns; each takes the free expert with the largest co-activation summed over
   its members, until it is full.
3. *Groups* (equation 5): clusters are assigned to the groups of chiplets that share a DRAM port so that the
   largest load per chiplet of a group is smallest, a binary program x[cluster, group] solved by HiGHS.

Ties go to the smaller index, so the layout depends on nothing but the trace.
"""

from __future__ import annotations

import numpy as np

from noptoolkit.allocation.limits import Floats, Ints, sums
from noptoolkit.allocation.problem import LayoutProblem

__all__ = ["assign_groups", "cluster_experts", "place_mozart"]

NODE_LIMIT = 500  # branch-and-bound nodes: a limit in seconds would make layouts depend on the machine's load
RELATIVE_GAP = 1e-3  # of equation 5's optimum, as loads of a sampled trace are noisier than that


def place_mozart(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return Algorithm 1's clusters on the chiplets that equation 5 gives them."""
    cluster = cluster_experts(problem.coactivation, problem.load, problem.slots)
    load = sums(problem.load, cluster, problem.num_chiplets)
    return assign_groups(load, problem.slots, problem.group_of_chiplet)[cluster]


def cluster_experts(coactivation: Floats, load: Floats, sizes: Ints) -> Ints:
    """Return the cluster of each expert by Algorithm 1, [experts].

    Parameters
    ----------
    coactivation
        Tokens that use both experts, [experts, experts].
    load
        Activations of each expert, [experts].
    sizes
        Largest size of each cluster, [clusters].

    Examples
    --------
    >>> pairs = np.array([[0, 9, 1, 0], [9, 0, 0, 1], [1, 0, 0, 9], [0, 1, 9, 0.0]])
    >>> cluster_experts(pairs, pairs.sum(axis=1), np.array([2, 2]))
    array([0, 0, 1, 1])
    """
    cluster = np.full(len(load), -1, dtype=np.int64)
    usable = np.flatnonzero(sizes > 0)[: len(load)]
    nearest = np.full(len(load), -np.inf)  # largest co-activation with a seed so far
    seed = int(np.argmax(load))
    affinity = np.zeros((len(load), len(sizes)))
    for place in usable:
        cluster[seed] = place
        affinity[:, place] = coactivation[seed]
        nearest = np.maximum(nearest, coactivation[seed])
        seed = int(np.argmin(np.where(cluster < 0, nearest, np.inf)))
    free = sizes.copy()
    free[usable] -= 1
    while (cluster < 0).any():
        for place in np.flatnonzero(free > 0):
            left = cluster < 0
            if not left.any():
                break
            best = int(np.argmax(np.where(left, affinity[:, place], -np.inf)))
            cluster[best] = place
            affinity[:, place] += coactivation[best]
            free[place] -= 1
    return cluster


def assign_groups(load: Floats, slots: Ints, group_of_chiplet: Ints) -> Ints:
    """Return the chiplet of each cluster by equation 5, [clusters].

    Parameters
    ----------
    load
        Activations of each cluster, [clusters]; there are as many clusters as chiplets.
    slots
        Experts that cluster i, and likewise chiplet i, holds, [chiplets]: clusters only go to equal chiplets.
    group_of_chiplet
        Group of each chiplet, [chiplets].

    Examples
    --------
    >>> assign_groups(np.array([5.0, 4.0, 1.0, 2.0]), np.full(4, 2), np.array([0, 0, 1, 1]))
    array([2, 0, 3, 1])
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    count, groups = len(load), int(group_of_chiplet.max()) + 1
    members = np.bincount(group_of_chiplet, minlength=groups)
    identity = np.arange(count)
    if groups == 1 or members.max() == 1 or load.max() == load.min():
        return identity
    share = load / load.sum()
    variables = count * groups + 1  # x[cluster, group], then the largest load per chiplet
    rows, low, high = [], [], []

    def add(entries: dict[int, float], lower: float, upper: float) -> None:
        row = np.zeros(variables)
        row[list(entries)] = list(entries.values())
        rows.append(row)
        low.append(lower)
        high.append(upper)

    for cluster in range(count):
        add({cluster * groups + group: 1.0 for group in range(groups)}, 1, 1)
    for group in range(groups):
        for size in np.unique(slots):
            alike = np.flatnonzero(slots == size)
            places = float(((group_of_chiplet == group) & (slots == size)).sum())
            add({int(cluster) * groups + group: 1.0 for cluster in alike}, places, places)
        per_chiplet = {c * groups + group: float(share[c]) / float(members[group]) for c in range(count)}
        add(per_chiplet | {variables - 1: -1.0}, -np.inf, 0.0)
    objective = np.zeros(variables)
    objective[-1] = 1.0
    whole = np.ones(variables, dtype=np.int64)
    whole[-1] = 0
    upper = np.ones(variables)
    upper[-1] = np.inf
    solved = milp(
        objective,
        constraints=LinearConstraint(np.array(rows), low, high),
        integrality=whole,
        bounds=Bounds(0, upper),
        options={"node_limit": NODE_LIMIT, "mip_rel_gap": RELATIVE_GAP},
    )
    if solved.x is None:  # the node limit came before any layout: the clusters' own order is one
        return identity
    group_of_cluster = solved.x[:-1].reshape(count, groups).argmax(axis=1)
    chiplet = np.empty(count, dtype=np.int64)
    for group in range(groups):
        for size in np.unique(slots):
            there = np.flatnonzero((group_of_chiplet == group) & (slots == size))
            chiplet[np.flatnonzero((group_of_cluster == group) & (slots == size))] = there
    return chiplet
