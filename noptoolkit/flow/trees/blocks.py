"""The messages and the unicast demand of a problem in blocks, and what each takes under some prices.

Small sets are priced exactly, a block being some sets with all messages to them (`cheapest`); large ones by
raising cuts, a block being messages of few roots (`dual_ascent`); unicast along shortest paths, by source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.bounds.certificate import shortest_distances
from noptoolkit.flow.trees.cheapest import (
    CheapestTrees,
    CoveringSets,
    Served,
    SetGroup,
    covering_sets,
    flow_along_trees,
)
from noptoolkit.flow.trees.dual_ascent import TRIES, AscentTrees
from noptoolkit.routing.problem import Messages, RoutingProblem, membership

__all__ = ["Block", "Partition", "Pricing", "partition"]


MOST_BLOCKS = 64
MOST_MASTER = 300_000  # blocks x resources of the master program
CHEAP_STEPS = 2e7  # of the program over subsets for all sets, some milliseconds
STEPS_PER_MESSAGE = 3e6  # of it that its exact price is worth
STEPS_PER_RAISE = 160  # of it in the time that raising cuts takes for each member, arc and try


@dataclass(frozen=True, eq=False)
class Block:
    """Messages to small sets, or to large ones, or sources of unicast.

    Parameters
    ----------
    part
        Messages of the block; ``None`` for unicast.
    small
        Sets priced exactly, ``None`` where there are none.
    large
        Indices of messages whose sets are not.
    sources
        Vertices that send unicast.
    """

    part: Messages | None
    small: SetGroup | None = None
    large: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    sources: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class Partition:
    """A problem in blocks.

    Parameters
    ----------
    blocks
        Blocks that together hold all traffic.
    far_sent, far_received
        Bytes that nodes send and receive as members under any trees, [nodes].
    steps
        Number of steps that pricing all blocks once takes; about 4e9 run in a second.
    """

    problem: RoutingProblem
    blocks: tuple[Block, ...]
    far_sent: Floats
    far_received: Floats
    steps: float

    @property
    def fixed_use(self) -> Floats:
        """Use of each resource under any routing, in B, [resources]."""
        network = self.problem.network
        use: Floats = (
            self.problem.ports + network.on_injected @ self.far_sent + network.on_ejected @ self.far_received
        )
        return use


def partition(problem: RoutingProblem) -> Partition:
    """Return a problem in blocks."""
    sent, received = np.zeros(len(problem.network.origin)), np.zeros(len(problem.network.origin))
    chosen: list[tuple[Messages, CoveringSets, Ints, Ints]] = []
    steps = 0.0
    for part in problem.messages:
        far = sent if part.reverse else received
        for bit, node in enumerate(part.endpoints):
            held = membership(part.members, bit) & (part.root != node)
            far[node] += float(part.bytes[held].sum())
        sets = covering_sets(problem, part)
        small, more = _small_sets(problem, part, sets)
        large = sets.messages[~np.isin(sets.which, small)]
        chosen.append((part, sets, small, large[np.argsort(part.root[large], kind="stable")]))
        steps += more
    kinds = sum((len(small) > 0) + (len(large) > 0) for _, _, small, large in chosen)
    kinds += len(problem.sources) > 0
    most = max(1, min(MOST_BLOCKS, MOST_MASTER // problem.network.num_resources) // max(kinds, 1))
    blocks: list[Block] = []
    for part, sets, small, large in chosen:
        for first in range(min(most, len(small))):
            blocks.append(Block(part, small=SetGroup.of(problem, part, sets, small[first::most])))
        for some in np.array_split(large, min(most, len(large))) if len(large) else ():
            blocks.append(Block(part, large=some))
    for first in range(min(most, len(problem.sources))):
        blocks.append(Block(None, sources=problem.sources[first::most]))
    return Partition(problem, tuple(blocks), sent, received, steps)


def _small_sets(problem: RoutingProblem, part: Messages, sets: CoveringSets) -> tuple[Ints, float]:
    """Return which sets to price exactly, and the steps that pricing all takes."""
    size = sets.members.sum(axis=1)
    vertices = problem.network.num_vertices
    exact = 3.0**size / 2 * vertices + 2.0**size * vertices * (1 + 0.3 * float(part.helps.sum()))
    many = np.bincount(sets.which, minlength=len(size))
    order = np.argsort(exact, kind="stable")
    small = exact <= STEPS_PER_MESSAGE * many
    small[order] |= np.cumsum(exact[order]) <= CHEAP_STEPS
    raised = TRIES * STEPS_PER_RAISE * problem.network.num_arcs * size * many
    return np.flatnonzero(small), float(np.where(small, exact, raised).sum())


class Pricing:
    """What blocks of a problem take under some prices."""

    def __init__(self, problem: RoutingProblem, prices: Floats) -> None:
        self.problem, self.prices = problem, prices
        self._cheapest: dict[bool, CheapestTrees] = {}
        self._raised: dict[bool, AscentTrees] = {}

    def serve(self, block: Block, *, keep: bool = False) -> Served:
        """Return what a block takes when all of it takes the cheapest path found."""
        part = block.part
        if part is None:
            return self._unicast(block)
        if block.small is not None:
            if part.reverse not in self._cheapest:
                self._cheapest[part.reverse] = CheapestTrees(self.problem, part, self.prices)
            return self._cheapest[part.reverse].serve(block.small, keep=keep)
        return self.raised(part).serve(block.large, keep=keep)

    def raised(self, part: Messages) -> AscentTrees:
        """Return trees by dual ascent."""
        if part.reverse not in self._raised:
            self._raised[part.reverse] = AscentTrees(self.problem, part, self.prices)
        return self._raised[part.reverse]

    def flow(self, block: Block) -> Floats:
        """Return the unicast flow of each source of a block, [sources, arcs]."""
        network = self.problem.network
        rows = np.searchsorted(self.problem.sources, block.sources)
        _, arc = self._shortest
        wanted = self.problem.demand[block.sources]
        return flow_along_trees(network.tail, arc[rows], wanted, network.num_arcs)

    def _unicast(self, block: Block) -> Served:
        wanted = self.problem.demand[block.sources]
        distance = self._shortest[0][np.searchsorted(self.problem.sources, block.sources)]
        spent = float(np.sum(wanted * np.where(wanted > 0, distance, 0.0)))
        return Served(spent, self.flow(block).sum(axis=0), np.zeros(len(self.problem.network.origin)))

    @cached_property
    def _shortest(self) -> tuple[Floats, Ints]:
        network = self.problem.network
        length = network.on_arcs.T @ self.prices
        return shortest_distances(
            network.num_vertices, network.tail, network.head, length, self.problem.sources
        )
