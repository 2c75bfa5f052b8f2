"""Which memory stacks hold a chiplet's weights, and in which shares.

The stacks are those that name the chiplet in ``serves``, else the nearest in hops that name no chiplet
(several if they tie), split by bandwidth. This is part of the work of a step, not of its routing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from noptoolkit.errors import NopWarning
from noptoolkit.package import Memory, Package

__all__ = ["MemoryStacks"]


class MemoryStacks:
    """The memory stacks of every chiplet of a package."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.stacks: dict[str, tuple[Memory, ...]] = {}
        named = {chiplet for memory in package.memories for chiplet in memory.serves}
        free = [m for m in package.memories if not m.serves] or list(package.memories)
        unnamed = any(chiplet not in named for chiplet in package.terminals)
        hops = {m.name: _hops(package, m.name) for m in free} if unnamed else {}
        for chiplet in package.terminals:
            if chiplet in named:
                stacks = [m for m in package.memories if chiplet in m.serves]
            else:
                nearest = min((hops[m.name][chiplet] for m in free), default=0)
                stacks = [m for m in free if hops[m.name][chiplet] == nearest]
            self.stacks[chiplet] = tuple(stacks)
        self._shares = {chiplet: _shared(held) for chiplet, held in self.stacks.items()}

    def shares(self, chiplet: str) -> tuple[tuple[Memory, float], ...]:
        """Return a chiplet's stacks and the share of its weights that each holds."""
        return self._shares[chiplet]

    def pairs(self, chiplet: str, read: float, written: float) -> dict[tuple[str, str], float]:
        """Return the bytes between a chiplet and its stacks by (source, sink), of bytes read and written."""
        found: dict[tuple[str, str], float] = {}
        for memory, share in self.shares(chiplet):
            if read > 0:
                found[memory.name, chiplet] = read * share
            if written > 0:
                found[chiplet, memory.name] = written * share
        return found

    def loading_time(self, sizes: Mapping[str, float]) -> float:
        """Return how long the slowest stack takes to read the bytes of each chiplet, in s.

        Its port counts, and its links where they are narrower together.
        """
        need = {memory.name: 0.0 for memory in self.package.memories}
        width = dict.fromkeys(need, 0.0)
        for chiplet, size in sizes.items():
            for memory, share in self.shares(chiplet):
                need[memory.name] += share * size
        for channel in self.package.channels:
            if channel.tail in width:
                width[channel.tail] += channel.bandwidth
        return max(
            (need[m.name] / min(m.bandwidth, width[m.name]) for m in self.package.memories), default=0.0
        )

    def warn_without(self) -> None:
        """Warn if the package has no stacks at all."""
        if not self.package.memories:
            warnings.warn(
                f"package {self.package.name!r} has no memory stacks: weights and caches take no time to "
                "load or store; give the builder memory=True, or attach_memory(...)",
                NopWarning,
                stacklevel=5,
            )


def _shared(stacks: tuple[Memory, ...]) -> tuple[tuple[Memory, float], ...]:
    total = sum(memory.bandwidth for memory in stacks)
    return tuple((memory, memory.bandwidth / total) for memory in stacks)


def _hops(package: Package, memory: str) -> dict[str, int]:
    import networkx as nx

    stacks = {other.name for other in package.memories if other.name != memory}
    passable = nx.restricted_view(package.graph, stacks, [])
    return dict(nx.single_source_shortest_path_length(passable, memory))
