"""Trees of a step's messages, chosen together with the paths of its pairs.

Candidates are the trees of shortest paths with ties by the lowest and by the highest channel index (row first
and column first on a mesh), and trees grown at the dual prices of the forward and the backward phase, which
keep off the resources that the step waits for (`noptoolkit.flow.trees.dealt_trees`). The program of
`noptoolkit.step.path_program` gives the share of the messages that follows each, dispatch, combine and
readings of weights apart, together with the shares of the pairs' paths; prices and trees take turns `TURNS`
times. Each message follows one tree; the messages of a transfer are dealt over the trees by their shares, and
so are readings of the same chiplets, one after another.

Readings (`noptoolkit.step.broadcasts`) have trees of their own for each stack and set of chiplets, since who
copies may differ; in the routings without such trees they follow the one that `grown_reading` gives.

Approximations: the roots of a step share the shares, and a share is that of all sets alike. Neither touches
the result's validity, only how good it is; the step is scheduled, and taken if it is the shortest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow.trees.dealt_trees import PathsFrom, dealt_tree_loads, grown_trees
from noptoolkit.flow.trees.multicast import by_root
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.routing.problem import Messages
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.path_program import PathPool, share_paths
from noptoolkit.step.phases import phases_of
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Transfer

__all__ = ["DealtTrees", "grown_reading", "joint_trees", "with_trees"]

TURNS = 3
"""Turns of prices and trees."""

EACH = 4
"""Trees that each turn adds for each root."""

MOST_ROOTS, MOST_VERTICES = 32, 128
"""Roots and vertices up to which trees are grown: beyond, messages follow shortest paths."""

MOST_GROWN = 512
"""Vertices up to which readings follow a tree grown for them, beyond, shortest paths."""

LEAST = 1e-3
"""Smallest share of a tree that is kept."""

PHASES = ("forward", "backward")


Choice = tuple[bool, bool]
"""Whether messages are readings of weights, and whether they are reductions: who has shares in common."""

Key = tuple[int, bool, tuple[int, ...]]
"""Root and direction of messages; of readings also their endpoints."""


@dataclass(frozen=True, eq=False)
class DealtTrees:
    """Trees by root, and the share of the messages of each choice that follows each.

    Calling it with a transfer gives what the transfer's messages put on the network: nothing of a choice
    without shares, and what they did before where they have no trees here. ``turns`` are how many readings
    of the same chiplets came before each, by transfer.
    """

    trees: Mapping[Key, list[PathsFrom]]
    shares: Mapping[Choice, Floats]
    turns: Mapping[int, int] = field(default_factory=dict)

    def __call__(self, sent: Transfer) -> TreeLoads:
        """Return what the messages of a transfer put on the network."""
        assert sent.problem is not None
        keys = _parts_of(sent)
        if sent.trees is not None and any(key not in self.trees for key in keys):
            return sent.trees
        shares = {reverse: one for (memory, reverse), one in self.shares.items() if memory == sent.of_memory}
        trees = {key[:2]: self.trees[key] for key in keys}
        return dealt_tree_loads(sent.problem, trees, shares, self.turns.get(sent.index, 0))


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
    if not parts or network.num_vertices > MOST_VERTICES:
        return None
    phases = phases_of(step)
    names = [name for name in PHASES if phases.bytes[name].any() or phases.base[name].any()]
    if not names:  # the head's alone, which cross the network between the two phases
        return None
    amounts = [phases.bytes[name] for name in names]
    hops = 1.0 / network.capacity[network.own]
    trees = {key: _shortest(network, part, key[0], hops) for key, part in parts.items()}
    rest = _uses(step, DealtTrees(trees, {}), names)
    choices = sorted({(bool(ends), reverse) for _, reverse, ends in parts})
    uses: dict[Choice, list[Floats]] = {choice: [] for choice in choices}
    turns = _turns(step)
    prices = share_paths(pool, amounts, [phases.base[name] for name in names]).prices
    for _ in range(TURNS):
        lengths = np.sum(prices, axis=0) @ network.on_arcs
        lengths = lengths + 0.02 / network.num_arcs * hops
        for key, part in parts.items():
            trees[key] += grown_trees(network, part, key[0], lengths, EACH)
        count = len(trees[next(iter(parts))])
        for choice in choices:
            for number in range(len(uses[choice]), count):
                one = DealtTrees(trees, {choice: np.eye(count)[number]})
                uses[choice].append(_uses(step, one, names) - rest)
        solved = share_paths(pool, amounts, [*rest], [np.array(uses[choice]) for choice in choices])
        prices = solved.prices
    shares = {}
    for choice, share in zip(choices, solved.options, strict=True):
        kept = np.where(share > LEAST, share, 0.0)
        shares[choice] = kept / kept.sum()
    return DealtTrees(trees, shares, turns)


def grown_reading(step: Step, sent: Transfer) -> TreeLoads:
    """Return what a reading puts on the network along one short tree from each stack."""
    assert sent.problem is not None
    assert sent.trees is not None
    network = flow_network(step.package)
    if network.num_vertices > MOST_GROWN:
        return sent.trees
    hops = 1.0 / network.capacity[network.own]
    trees = {key[:2]: grown_trees(network, part, key[0], hops, 1) for key, part in _parts_of(sent).items()}
    return dealt_tree_loads(sent.problem, trees, {False: np.ones(1)})


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


def _parts(step: Step) -> dict[Key, Messages]:
    """Return a part with messages of each root and direction; none of tokens or readings where too many."""
    found: dict[bool, dict[Key, Messages]] = {False: {}, True: {}}
    for sent in step.transfers():
        if step.options.weights_on_network or not sent.of_memory:
            for key, part in _parts_of(sent).items():
                found[sent.of_memory].setdefault(key, part)
    return {key: part for keys in found.values() if len(keys) <= MOST_ROOTS for key, part in keys.items()}


def _parts_of(sent: Transfer) -> dict[Key, Messages]:
    """Return the messages of a transfer by root and direction."""
    found: dict[Key, Messages] = {}
    for part in () if sent.problem is None else sent.problem.messages:
        ends = tuple(part.endpoints.tolist()) if sent.of_memory else ()
        found |= {(root, part.reverse, ends): part for root in by_root(part)[0].tolist()}
    return found


def _turns(step: Step) -> dict[int, int]:
    """Return how many readings of the same chiplets come before each, by transfer."""
    seen: Counter[tuple[Key, ...]] = Counter()
    turns = {}
    for sent in step.transfers():
        if sent.of_memory and (keys := tuple(_parts_of(sent))):
            turns[sent.index] = seen[keys]
            seen[keys] += 1
    return turns


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
