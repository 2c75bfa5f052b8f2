"""Dispatch and combine cut into parts by chiplet: some experts begin while tokens of others are on their way.

A dispatch that is sent as a whole is waited for as a whole: an expert chiplet waits for all that each
resource on its way carries, for others too. Where SRAM holds fewer slices than a block has, all micro-batches
must have been dispatched before the last slices load, so that the network waits for the last experts, and
then carries nothing but what they return. In parts, the experts of one part compute and return while tokens
go to the next. The bytes and their routes are the same.

Neighbours in the order of the package's chiplets, which are likely to share their way in, are in different
parts. Messages to sets cross the network for several chiplets at once, and are not cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import flow_network
from noptoolkit.step.routes import StepRouting, named_routing, pair_use
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Lane, Pair, Transfer, lane_of

__all__ = ["cut_step", "is_crowded"]

OBLIVIOUS = ("shortest", "dor", "ecmp")
"""Routings by name that send a pair's bytes the same way whatever else is sent."""


def cut_step(step: Step, parts: int) -> Step | None:
    """Return a routed step whose dispatches and combines are cut into parts, ``None`` where they cannot be.

    They cannot if messages to sets are sent, or the routing is no table of paths.
    """
    if parts <= 1:
        return step
    cut = {name: i % parts for i, name in enumerate(step.package.experts)}
    routing = named_routing(step.package, step.routing) if step.routing in OBLIVIOUS else None
    blocks = (*step.blocks, step.head)
    tokens = [sent for block in blocks for sent in (*block.dispatch, *block.combine)]
    for sent in tokens:
        if sent.problem is None or sent.problem.messages or (sent.paths is None and routing is None):
            return None
    cutter = _Cutter(step, cut, routing)
    found = {sent.index: cutter.cut(sent) for sent in tokens}
    return replace(step.with_transfers(lambda sent: found.get(sent.index, sent)), parts=cut)


def is_crowded(step: Step) -> bool:
    """Return whether some chiplet's SRAM has no room for all that it holds of a block's experts."""
    for block in step.blocks:
        needed: dict[str, float] = {}
        for part in block.experts:
            needed[part.chiplet] = needed.get(part.chiplet, 0.0) + part.room
        for name, size in needed.items():
            sram = getattr(step.package[name], "sram", None)
            if sram is not None and size > (sram - step.resident.get(name, 0.0)) * (1 + 1e-12):
                return True
    return False


class _Cutter:
    """Cuts transfers; works the times of each path out once."""

    def __init__(self, step: Step, parts: Mapping[str, int], routing: StepRouting | None) -> None:
        self.step, self.parts, self.routing = step, parts, routing
        self.count = 1 + max(parts.values())
        self.known: dict[tuple[Pair, int, str], tuple[Floats, Floats]] = {}

    def cut(self, sent: Transfer) -> Transfer:
        names = flow_network(self.step.package).names
        side = 0 if sent.kind == "combine" else 1
        time = np.zeros((self.count, len(names)))
        for ends, size in sent.pairs.items():
            time[self.parts[ends[side]]] += size * self.per_byte(sent, ends, size)
        lanes = {
            lane_of(names[r], part): Lane({names[r]: float(took[r])}, float(took[r]))
            for part, took in enumerate(time)
            for r in np.flatnonzero(took > 0).tolist()
        }
        return replace(sent, lanes=lanes)

    def per_byte(self, sent: Transfer, ends: Pair, size: float) -> Floats:
        """Return the time that each byte of a pair occupies each resource, in s/B, [resources]."""
        if sent.paths is not None:
            arcs = sent.paths[ends]
        else:
            assert self.routing is not None
            arcs = self.routing.pair(sent, ends, size)
        key = (ends, id(arcs), sent.sharing)
        if key not in self.known:
            network = flow_network(self.step.package).shared(sent.sharing)
            rate = 1 / (network.capacity * self.step.options.efficiency.network)
            self.known[key] = (arcs, pair_use(network, ends, arcs) * rate)  # the arcs keep their id
        return self.known[key][1]
