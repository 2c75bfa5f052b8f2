"""Which memory stacks hold a chiplet's weights, and what moving them occupies.

The stacks are those that name the chiplet in ``serves``, else the nearest in hops that name nobody (several
if they tie), split by bandwidth. A movement occupies the stack's port, which its own link may narrow, and
every other channel that the routing loads between stack and chiplet.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from noptoolkit.errors import NopWarning
from noptoolkit.network import flow_network
from noptoolkit.nodes import Efficiency, access_energy, link_energy, memory_time
from noptoolkit.package import Memory, Package
from noptoolkit.routing.rules import Routing
from noptoolkit.step.transfers import transfer
from noptoolkit.traffic import from_matrix
from noptoolkit.units import format_quantity

__all__ = ["MemoryRoutes", "add_up"]


@dataclass(frozen=True)
class _Way:
    """One direction between a stack and a chiplet: s per byte on its own link and on others, J per byte."""

    own: float
    others: tuple[tuple[str, float], ...]
    energy: float


class MemoryRoutes:
    """The stacks of every chiplet of a package and the ways between them.

    Parameters
    ----------
    on_network
        Whether movements occupy channels too, or the stack's port only.
    routing
        Name of a routing in `noptoolkit.flow.ROUTINGS`, or such a routing.
    """

    def __init__(
        self, package: Package, *, on_network: bool = True, routing: str | Routing = "shortest"
    ) -> None:
        self.package = package
        self.stacks: dict[str, tuple[Memory, ...]] = {}
        self._ways: dict[tuple[str, str], tuple[_Way, _Way]] = {}
        named = {chiplet for memory in package.memories for chiplet in memory.serves}
        free = [m for m in package.memories if not m.serves] or list(package.memories)
        hops = {m.name: _hops(package, m.name) for m in free}
        for chiplet in package.terminals:
            if chiplet in named:
                stacks = [m for m in package.memories if chiplet in m.serves]
            else:
                nearest = min((hops[m.name][chiplet] for m in free), default=0)
                stacks = [m for m in free if hops[m.name][chiplet] == nearest]
            self.stacks[chiplet] = tuple(stacks)
            for memory in stacks:
                out = _way(package, memory.name, chiplet, memory.name, on_network, routing)
                back = _way(package, chiplet, memory.name, memory.name, on_network, routing)
                self._ways[memory.name, chiplet] = (out, back)

    def shares(self, chiplet: str) -> list[tuple[Memory, float]]:
        """Return a chiplet's stacks and the share of its weights that each holds."""
        total = sum(memory.bandwidth for memory in self.stacks[chiplet])
        return [(memory, memory.bandwidth / total) for memory in self.stacks[chiplet]]

    def uses(self, chiplet: str, size: float, back: bool, efficiency: Efficiency) -> dict[str, float]:
        """Return how long moving bytes to a chiplet, or back, occupies ports and channels, in s by name."""
        uses: dict[str, float] = {}
        if size <= 0:
            return uses
        for memory, share in self.shares(chiplet):
            way = self._ways[memory.name, chiplet][back]
            part = size * share
            port = memory_time(memory, part, efficiency.memory)
            uses[memory.name] = max(port, part * way.own / efficiency.network)
            for name, time in way.others:
                uses[name] = uses.get(name, 0.0) + part * time / efficiency.network
        return uses

    def energy(self, chiplet: str, size: float, back: bool) -> tuple[float, float]:
        """Return what moving bytes to a chiplet, or back, costs in the stacks and on the links, in J."""
        access = sum(access_energy(memory, share * size) for memory, share in self.shares(chiplet))
        ways = [(self._ways[memory.name, chiplet][back], share) for memory, share in self.shares(chiplet)]
        return access, sum(way.energy * share * size for way, share in ways)

    def warn_of_overrun(self, held: Iterable[tuple[str, float]]) -> None:
        """Warn, once, if weights given as (chiplet, bytes) are more than their stacks hold, or none is."""
        if not self.package.memories:
            warnings.warn(
                f"package {self.package.name!r} has no memory stacks: weights and caches take no time to "
                "load or store; give the builder memory=True, or attach_memory(...)",
                NopWarning,
                stacklevel=5,
            )
        need = {memory.name: 0.0 for memory in self.package.memories}
        for chiplet, size in held:
            for memory, share in self.shares(chiplet):
                need[memory.name] += share * size
        over = [m for m in self.package.memories if m.capacity is not None and need[m.name] > m.capacity]
        if not over:
            return
        worst = max(over, key=lambda memory: need[memory.name] / (memory.capacity or 1.0))
        warnings.warn(
            f"package {self.package.name!r}: the weights need more memory than there is in {len(over)} of "
            f"{len(self.package.memories)} stacks, most in {worst.name!r}: "
            f"{format_quantity(need[worst.name], 'B')} of {format_quantity(worst.capacity or 0.0, 'B')}; "
            "times are as if they fitted",
            NopWarning,
            stacklevel=5,
        )


def _hops(package: Package, memory: str) -> dict[str, int]:
    import networkx as nx

    stacks = {other.name for other in package.memories if other.name != memory}
    passable = nx.restricted_view(package.graph, stacks, [])
    return dict(nx.single_source_shortest_path_length(passable, memory))


def _way(
    package: Package, source: str, sink: str, memory: str, on_network: bool, routing: str | Routing
) -> _Way:
    """Return what one byte from a node to another occupies."""
    one = from_matrix(package, [[0.0, 1.0], [0.0, 0.0]], endpoints=(source, sink))
    sent = transfer(package, one, routing=routing)
    uses = sent.uses
    network = flow_network(package)
    mine = {f"{memory} port"}
    for i, channel in enumerate(package.channels):
        if memory in (channel.tail, channel.head):
            mine.add(network.names[network.own[network.arc_of_channel[i]]])
    own = max(time for name, time in uses.items() if name in mine)
    others = tuple((name, time) for name, time in uses.items() if name not in mine)
    loaded = zip(package.channels, sent.load, strict=True)
    energy = sum(link_energy(package.links[channel.link], float(load)) for channel, load in loaded)
    return _Way(own, others if on_network else (), energy)


def add_up(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of occupations by resource.

    Examples
    --------
    >>> add_up([{"hbm0": 1.0}, {"hbm0": 2.0, "sw0->e1": 0.5}])
    {'hbm0': 3.0, 'sw0->e1': 0.5}
    """
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + float(value)
    return total
