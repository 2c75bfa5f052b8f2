"""What a step moves in each phase: bytes between pairs, summed over layers and micro-batches.

Which transfers run side by side is known roughly before any schedule: weights stream while tokens are
dispatched and combined, forward through all layers (F), then backward (B), where weights are also stored and
gradients exchanged. A phase is a sum of transfers that share the network for its whole length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import flow_network
from noptoolkit.step.step import Block, Step
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["Phases", "phases_of", "transfers_of"]

KINDS = ("dispatch", "combine", "load", "store", "exchange")


@dataclass(frozen=True, eq=False)
class Phases:
    """Bytes of each pair in each phase, and what messages put on the network there.

    Parameters
    ----------
    pairs
        All pairs of the step that exchange bytes of their own, messages apart.
    bytes
        In B, by name of the phase, [pairs].
    base
        What messages use of each resource, in B, by name of the phase, [resources].
    """

    pairs: tuple[Pair, ...]
    bytes: Mapping[str, Floats]
    base: Mapping[str, Floats]

    def of(self, *names: str) -> tuple[list[Floats], list[Floats]]:
        """Return bytes and base of some phases that are not empty."""
        kept = [name for name in names if self.bytes[name].any()]
        return [self.bytes[name] for name in kept], [self.base[name] for name in kept]


def transfers_of(block: Block) -> Iterable[tuple[str, Transfer]]:
    """Yield the transfers of one pass through a block with their kind."""
    for sent in block.dispatch:
        yield "dispatch", sent
    for sent in (*block.combine, *block.gather, *block.scatter):
        yield "combine", sent
    for part in block.slices:
        yield "load", part.load
        yield "store", part.store
    for kind, _ in block.exchanged:
        yield "exchange", block.exchange[kind]


def phases_of(step: Step) -> Phases:
    """Return the phases of a step: ``forward``, ``backward``, ``step``, each kind, and each kind of block.

    The use of messages is that of the trees that the step is routed along, none before it is routed.
    """
    network = flow_network(step.package)
    blocks = (*step.blocks, step.head)
    times = [*np.bincount(np.array(step.layers), minlength=len(step.blocks)).tolist(), 1]
    pairs: dict[Pair, int] = {}
    for block in blocks:
        for _, sent in (*transfers_of(block), *_caches(block)):
            for ends in sent.pairs:
                pairs.setdefault(ends, len(pairs))

    def total(block: Block, kind: str) -> tuple[Floats, Floats]:
        amount, base = np.zeros(len(pairs)), np.zeros(network.num_resources)
        listed = list(transfers_of(block))
        if kind == "load":
            listed += [("load", sent) for _, sent in _caches(block) for _ in range(step.micro_batches)]
        for name, sent in listed:
            if name == kind and sent.summed is not None:
                base += sent.summed.use
            elif name == kind and (step.options.weights_on_network or not sent.of_memory):
                for ends, size in sent.pairs.items():
                    amount[pairs[ends]] += size
                if sent.trees is not None:
                    base += sent.trees.use(network)
        return amount, base

    def summed(parts: Iterable[tuple[float, int, str]]) -> tuple[Floats, Floats]:
        amount, base = np.zeros(len(pairs)), np.zeros(network.num_resources)
        for factor, b, kind in parts:
            amount = amount + factor * of[b][kind][0]
            base = base + factor * of[b][kind][1]
        return amount, base

    of = [{kind: total(block, kind) for kind in KINDS} for block in blocks]
    every, head = range(len(step.blocks)), len(step.blocks)
    there = ("dispatch", "combine", "load")
    forward = [(times[b], b, kind) for b in every for kind in there]
    backward = [(times[b], b, kind) for b in every for kind in KINDS] if step.training else []
    last = [(1.0, head, kind) for kind in (("load", "store", "exchange") if step.training else ("load",))]
    found = {
        "forward": summed(forward),
        "backward": summed(backward),
        "step": summed([*forward, *backward, *last]),
    }
    found |= {kind: summed((times[b], b, kind) for b in every) for kind in KINDS}
    for b in every:
        found[f"block {b} forward"] = summed((1.0, b, kind) for kind in there)
        if step.training:
            found[f"block {b} backward"] = summed((1.0, b, kind) for kind in KINDS)
    return Phases(
        tuple(pairs),
        {name: amount for name, (amount, _) in found.items()},
        {name: base for name, (_, base) in found.items()},
    )


def _caches(block: Block) -> list[tuple[str, Transfer]]:
    kept = (("load", block.cache_read), ("store", block.cache_written))
    return [(kind, sent) for kind, sent in kept if sent is not None]
