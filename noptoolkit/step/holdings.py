"""Counts the ledger of a step: the bytes that its slices, tokens and caches take on stacks and in SRAM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from noptoolkit.allocation import Allocation
from noptoolkit.nodes import OPTIMISERS, cache_bytes
from noptoolkit.package import Chiplet
from noptoolkit.step.ledger import KINDS, Holding, Ledger, activation_values
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.step.step import Block, StepOptions
from noptoolkit.workload import Workload

__all__ = ["ledger_of"]


def ledger_of(
    workload: Workload,
    allocation: Allocation,
    options: StepOptions,
    stacks: MemoryStacks,
    sequences: Mapping[str, float],
    rows: Sequence[int],
    blocks: Sequence[Block],
    placed: Mapping[tuple[str, str], float],
    pinned: Mapping[str, float],
) -> Ledger:
    """Return what lies where during a step.

    Parameters
    ----------
    sequences : mapping
        Sequences of a micro-batch on each chiplet on which tokens live.
    rows : sequence of int
        Layer of the trace that each layer with experts takes.
    blocks : sequence of Block
        All layers and the head.
    placed : mapping
        Share of the caches that each host has on each stack, by (stack, host).
    pinned : mapping
        Bytes of experts that stay in SRAM, by chiplet.
    """
    hosts = tuple(sequences)
    model, batch, n = workload.model, workload.batch, len(hosts)
    width, training = batch.bytes_per_value, batch.mode == "training"
    state = OPTIMISERS[options.optimiser].state_bytes if training else 0.0
    book = _Book(stacks)
    largest: dict[str, float] = {}
    for block, layers in Counter(blocks).items():
        sizes: dict[str, float] = {}
        for part in block.slices:
            sizes[part.chiplet] = sizes.get(part.chiplet, 0.0) + part.size
            largest[part.chiplet] = max(largest.get(part.chiplet, 0.0), part.room)
        for name, size in sizes.items():
            book.store(name, "weights", layers * size)
            book.store(name, "optimiser", layers * size / width * state)
        for name, size in block.unread.items():
            book.store(name, "weights", layers * size)
    embedding = 0 if model.tied_embeddings else model.vocab * model.hidden
    for host in hosts:
        book.store(host, "weights", embedding * width / n)
        book.store(host, "optimiser", embedding * state / n)
    if not training:
        context = _caches(workload)
        for (memory, _), share in placed.items():
            book.put(memory, "cache", share * context)
    kept = _activations(workload, allocation, options, hosts, rows) if training else {}
    for name in dict.fromkeys((*largest, *kept)):
        chiplet = stacks.package[name]
        assert isinstance(chiplet, Chiplet)
        ring, beside = pinned.get(name, 0.0) + 2 * largest.get(name, 0.0), 0.0
        if chiplet.sram is not None:
            book.put(name, "weights", min(ring, chiplet.sram))
            beside = min(kept.get(name, 0.0), max(chiplet.sram - ring, 0.0))
            book.put(name, "activations", beside)
        book.store(name, "activations", kept.get(name, 0.0) - beside)
    return book.ledger()


def _caches(workload: Workload) -> float:
    """Return the bytes of keys and values of all sequences and prompts of a step, in all layers."""
    model, batch = workload.model, workload.batch
    prefill = batch.mode == "prefill"
    each = cache_bytes(model, batch.longest if prefill else batch.sequence_length, batch.bytes_per_value)
    prompt = 0 if prefill or not batch.prompt_tokens else batch.cached + batch.prompt_tokens
    return batch.sequences * each + cache_bytes(model, prompt, batch.bytes_per_value)


def _activations(
    workload: Workload,
    allocation: Allocation,
    options: StepOptions,
    hosts: Sequence[str],
    rows: Sequence[int],
) -> dict[str, float]:
    """Return the bytes of activations that each chiplet keeps from forward to backward."""
    model, batch, trace = workload.model, workload.batch, workload.trace
    values = activation_values(model, recompute=options.recompute)
    on_hosts = model.layers * values["attention"] + model.dense_layers * values["dense"]
    on_hosts += model.moe_layers * values["shared"]
    kept = dict.fromkeys(hosts, on_hosts * batch.bytes_per_value * batch.tokens / len(hosts))
    times = np.bincount(np.array(rows, np.int64), minlength=trace.num_layers)
    load = times @ allocation.load(trace) * (batch.tokens / trace.num_tokens)
    for name, activations in zip(allocation.experts, load.tolist(), strict=True):
        kept[name] = kept.get(name, 0.0) + activations * values["expert"] * batch.bytes_per_value
    return kept


class _Book:
    """Bytes by place and kind, added up."""

    def __init__(self, stacks: MemoryStacks) -> None:
        self.stacks = stacks
        self.held: dict[tuple[str, str], float] = {}

    def put(self, place: str, kind: str, size: float) -> None:
        if size > 0:
            self.held[place, kind] = self.held.get((place, kind), 0.0) + size

    def store(self, chiplet: str, kind: str, size: float) -> None:
        """Put bytes of a chiplet on its stacks."""
        for memory, share in self.stacks.shares(chiplet):
            self.put(memory.name, kind, share * size)

    def ledger(self) -> Ledger:
        package = self.stacks.package
        names = [*(m.name for m in package.memories), *(c.name for c in package.chiplets)]
        order = {name: i for i, name in enumerate(names)}
        rows = sorted(self.held.items(), key=lambda row: (order[row[0][0]], KINDS.index(row[0][1])))
        return Ledger(package, tuple(Holding(place, kind, size) for (place, kind), size in rows))
