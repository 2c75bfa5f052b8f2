"""Trees of a step's messages, chosen together with the paths of its pairs.

Candidates are the trees of shortest paths with ties by the lowest and by the highest channel index (row first
and column first on a mesh), and trees grown at the dual prices of the forward and the backward phase, which
keep off the resources that the step waits for (`noptoolkit.flow.trees.dealt_trees`). The program of
`noptoolkit.step.path_program` gives the share of the messages that follows each, dispatch and combine apart,
together with the shares of the pairs' paths; prices and trees take turns `TURNS` times. Each message follows
one tree; the messages of a transfer are dealt over the trees by their shares.

Approximations: the roots of a step share the shares, and a share is that of all sets alike. Neither touches
the result's validity, only how good it is; the step is scheduled, and taken if it is the shortest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow.trees.dealt_trees import PathsFrom, Root, dealt_tree_loads, grown_trees
from noptoolkit.flow.trees.multicast import by_root
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.problem import Messages
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.path_program import PathPool, share_paths
from noptoolkit.step.phases import phases_of
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Transfer

__all__ = ["DealtTrees", "joint_trees", "with_trees"]

TURNS = 3
"""Turns of prices and trees."""

EACH = 4
"""Trees that each turn adds for each root."""

MOST_ROOTS, MOST_VERTICES = 32, 128
"""Roots and vertices up to which trees are grown: beyond, messages follow shortest paths."""

LEAST = 1e-3
"""Smallest share of a tree that is kept."""

PHASES = ("forward", "backward")


@dataclass(frozen=True, eq=False)
class DealtTrees:
    """Trees by root, and the share of the messages of each direction that follows each.

    Calling it with a transfer gives what the transfer's messages put on the network.
    """

    trees: Mapping[Root, list[PathsFrom]]
    shares: Mapping[bool, Floats]

    def __call__(self, sent: Transfer) -> TreeLoads:
        """Return what the messages of a transfer put on the network."""
        assert sent.problem is not None
        return dealt_tree_loads(sent.problem, self.trees, self.shares)


def joint_trees(step: Step, pool: PathPool) -> DealtTrees | None:
    """Return trees for the messages of a step, ``None`` where it has none or too many roots.

    Parameters
    ----------
    step : Step
        Step whose messages follow shortest paths.
    pool : PathPool
        Paths known so far for the pairs of `noptoolkit.step.phases.phases_of`; it grows.
    """
    network, parts = pool.network, _parts(step)
    if not parts or len(parts) > MOST_ROOTS or network.num_vertices > MOST_VERTICES:
        return None
    phases = phases_of(step)
    names = [name for name in PHASES if phases.bytes[name].any() or phases.base[name].any()]
    if not names:  # the head's alone, which cross the network between the two phases
        return None
    amounts = [phases.bytes[name] for name in names]
    hops = 1.0 / network.capacity[network.own]
    trees = {key: _shortest(network, part, key[0], hops) for key, part in parts.items()}
    none = [np.zeros(network.num_resources) for _ in names]
    directions = sorted({reverse for _, reverse in parts})
    uses: dict[bool, list[Floats]] = {reverse: [] for reverse in directions}
    prices = share_paths(pool, amounts, [phases.base[name] for name in names]).prices
    for _ in range(TURNS):
        lengths = np.sum(prices, axis=0) @ network.on_arcs
        lengths = lengths + 0.02 / network.num_arcs * hops
        for key, part in parts.items():
            trees[key] += grown_trees(network, part, key[0], lengths, EACH)
        count = len(trees[next(iter(parts))])
        for reverse in directions:
            for number in range(len(uses[reverse]), count):
                one = DealtTrees(trees, {reverse: np.eye(count)[number]})
                uses[reverse].append(_uses(step, one, names))
        solved = share_paths(pool, amounts, none, [np.array(uses[reverse]) for reverse in directions])
        prices = solved.prices
    shares = {}
    for reverse, share in zip(directions, solved.options, strict=True):
        kept = np.where(share > LEAST, share, 0.0)
        shares[reverse] = kept / kept.sum()
    return DealtTrees(trees, shares)


def with_trees(step: Step, trees: Mapping[int, TreeLoads]) -> Step:
    """Return a step whose messages follow other trees, by transfer, for `phases_of`; its times stay."""
    return step.with_transfers(
        lambda sent: sent if sent.trees is None else replace(sent, trees=trees[sent.index])
    )


def _uses(step: Step, trees: DealtTrees, names: list[str]) -> Floats:
    """Return what messages along some trees use in each phase, in B, [phases, resources]."""
    loads = {sent.index: trees(sent) for sent in step.transfers() if sent.trees is not None}
    phases = phases_of(with_trees(step, loads))
    return np.array([phases.base[name] for name in names])


def _parts(step: Step) -> dict[Root, Messages]:
    """Return a part with messages of each root and direction."""
    found: dict[Root, Messages] = {}
    for sent in step.transfers():
        for part in () if sent.problem is None else sent.problem.messages:
            for root in by_root(part)[0].tolist():
                found.setdefault((root, part.reverse), part)
    return found


def _shortest(network: FlowNetwork, part: Messages, root: int, hops: Floats) -> list[PathsFrom]:
    """Return the trees of shortest paths, ties by the lowest and by the highest index of arcs."""
    from noptoolkit.flow.bounds.certificate import shortest_distances

    tail, head = (network.head, network.tail) if part.reverse else (network.tail, network.head)
    start = (network.destination if part.reverse else network.origin)[root]
    at = network.origin if part.reverse else network.destination
    order = np.arange(network.num_arcs) / network.num_arcs / network.num_vertices
    found: list[PathsFrom] = []
    for length in (1 + 1e-6 * order, 1 + 1e-6 * (1 - order)):
        _, by = shortest_distances(network.num_vertices, tail, head, length, np.array([start]))
        paths = {}
        for node in part.endpoints.tolist():
            arcs, vertex = [], int(at[node])
            while node != root and vertex != start and by[0, vertex] >= 0:
                arcs.append(int(by[0, vertex]))
                vertex = int(tail[arcs[-1]])
            if arcs and vertex == start:
                paths[node] = np.array(arcs if part.reverse else arcs[::-1], np.int64)
        found.append(paths)
    return found
