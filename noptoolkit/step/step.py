"""One step of a model on a package in numbers: what every chiplet, memory stack and channel has to do.

The model. Tokens live on the *hosts*: the attention chiplets, or where there are none the expert chiplets,
each with an equal share of the tokens (data-parallel: every host loads the attention's weights, and in
training the hosts sum their gradients: two send W bytes of weights to each other, more do an all-reduce,
`noptoolkit.step.gradients`). A chiplet loads every copy of an expert that it holds (``Allocation.holds``);
in training the holders of an expert sum its gradients alike, all sets of holders of a layer at the same time.
A block is one layer:

* *before*: attention and router, on the hosts; then tokens are dispatched to the experts' chiplets;
* *experts*: on the chiplets that the allocation gives them, each with the activations that the trace sends
  there in that micro-batch; then results are combined on the hosts;
* *beside*: shared experts, or a dense layer's feed-forward network, on the hosts, while the experts run.

Weights come from the memory stacks that serve a chiplet (``Memory.serves``; else the nearest), split by
bandwidth, through the stack's port and along the routing's paths. A chiplet's weights of one block
are cut into *slices* that its SRAM can hold two at a time: one is used while the next loads. What lies where
is counted in `noptoolkit.step.ledger` (`Step.ledger`): weights, optimiser state, caches, and in training the
activations, whose movements take no time (assumed). With ``recompute`` only the inputs of attention and
experts are kept, and backward computes forward again: three times its arithmetic instead of twice.

Micro-batch b of n takes tokens b N / n to (b + 1) N / n of N tokens spread evenly over the trace
(`noptoolkit.touched.token_places`).

In prefill and decode a sequence's attention runs on one host, so that no more hosts than sequences take part,
and each has a whole number of them; a chiplet loads only the experts that the step's tokens use there
(`StepOptions.experts`), each once for all micro-batches. In training all weights are loaded, since all are
updated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_whole
from noptoolkit.allocation import Allocation
from noptoolkit.errors import ScheduleError
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Package
from noptoolkit.routing.rules import Routing
from noptoolkit.step.broadcasts import WEIGHTS, Weights
from noptoolkit.step.ledger import Ledger
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.step.transfers import Transfer, lane_of, used_towards
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Workload

__all__ = ["EXPERT_LOADS", "Block", "ExpertLoads", "Slice", "Step", "StepOptions"]

ExpertLoads = Literal["used", "routed", "all"]
EXPERT_LOADS: tuple[ExpertLoads, ...] = get_args(ExpertLoads)

WORDS: Mapping[str, tuple[str, ...]] = {
    "experts": EXPERT_LOADS,
    "resident": ("none", "pinned", "recent"),
    "cache": ("hosts", "sequences", "heads"),
    "attention": ("data", "tensor"),
    "weights": WEIGHTS,
}
"""What options that are words may be."""

MOST_SLICES = 65_536
"""Of a chiplet's experts: more are taken for a typo."""


@dataclass(frozen=True)
class StepOptions:
    """What decides the numbers of a step, apart from when things run.

    Parameters
    ----------
    degree
        Copies of a token: ``copies``, ``chiplets`` or ``in-network``; see `noptoolkit.traffic.dispatch`.
    micro_batches
        Parts of the batch; as the workload says where ``None``.
    slices
        Into how many slices a chiplet's experts of one block are cut; as few as let two of them fit in its
        SRAM where ``None`` (and more where `schedule` finds that they make the step shorter). ``stream``: one
        for each operation of a block on a chiplet, which passes through at most half of the SRAM; work starts
        when all of it is loaded, a little later than it could. A step of few large slices is scheduled many
        times faster.
    routing
        Routing of everything that crosses the network: tokens, weights, gradients, caches; a name in
        `noptoolkit.flow.ROUTINGS` or such a routing. ``optimal`` and ``optimal-split`` route all traffic
        together (`noptoolkit.step.routing_choice`); ``optimal-alone`` routes each transfer of tokens and
        gradients as if it were alone on the package, and weights by shortest paths.
    efficiency
        Share of the peak rates that is reached.
    optimiser
        A name in `noptoolkit.nodes.OPTIMISERS`; for training.
    weights_on_network
        Whether weights also occupy the channels between stack and chiplet, or only the stack's port.
    hosts
        Chiplets on which the tokens live and attention runs, data-parallel: ``None`` for the attention
        chiplets, or the expert chiplets where there are none; ``experts`` for the expert chiplets, ``all``
        for both; or their names.
    split_head
        Whether the output head's vocabulary is spread evenly over the expert chiplets, instead of the whole
        head on every host: each token goes to all of them, and in training its gradient is summed on the way
        back (in prefill and decode, 8 B per token come back from each: its largest logit and where).
    recompute
        Whether training keeps the inputs of attention and experts only, and computes the rest again.
    experts
        Which experts prefill and decode load: ``used``, those that the step's tokens use, loaded ahead like
        other weights, as if routing were known in time; ``routed``, the same, but no sooner than the router
        of their layer has run (for the first of the micro-batches that use them); ``all`` experts of all
        layers. Training loads all.
    number
        Number of the step: the tokens that it takes from the trace, see `noptoolkit.touched.token_places`.
    resident, resident_share
        Experts that stay in SRAM between steps, ``none``, ``pinned`` or ``recent``, and the share of each
        chiplet's SRAM that keeps them; see `noptoolkit.step.residents`. Prefill and decode only.
    cache
        Where keys and values lie: ``hosts``, ``sequences`` or ``heads``; see `noptoolkit.step.caches`.
    attention
        How attention is spread over several hosts, ``data`` or ``tensor``; see `noptoolkit.step.caches`.
        Prefill and decode only.
    weights
        Who reads weights that several chiplets want from the same stacks: ``each`` of them its own copy; or
        one reading for all, which nodes that replicate copy on its way (``multicast``), and the chiplets that
        want it, too (``broadcast``); see `noptoolkit.step.broadcasts`.
    """

    degree: Degree = "in-network"
    micro_batches: int | None = None
    slices: int | Literal["stream"] | None = None
    routing: str | Routing = "optimal"
    efficiency: Efficiency = field(default_factory=Efficiency)
    optimiser: str = "sgd"
    weights_on_network: bool = True
    hosts: Literal["experts", "all"] | tuple[str, ...] | None = None
    split_head: bool = False
    recompute: bool = False
    experts: ExpertLoads = "used"
    number: int = 0
    resident: Literal["none", "pinned", "recent"] = "none"
    resident_share: float = 0.5
    cache: Literal["hosts", "sequences", "heads"] = "hosts"
    attention: Literal["data", "tensor"] = "data"
    weights: Weights = "each"

    def __post_init__(self) -> None:
        for name, known in WORDS.items():
            if (value := getattr(self, name)) not in known:
                raise ScheduleError(f"{name}={value!r}; {did_you_mean(str(value), known)}")
        if not 0 <= self.resident_share < 1:
            raise ScheduleError(f"resident_share={self.resident_share!r}: give a share of SRAM below 1")
        for name in ("weights_on_network", "split_head", "recompute"):
            if not isinstance(getattr(self, name), bool):
                raise ScheduleError(f"{name}={getattr(self, name)!r}: give True or False")
        if not is_whole(self.number) or self.number < 0:
            raise ScheduleError(f"number={self.number!r}: give a whole number, 0 or more")
        if self.slices not in (None, "stream") and (
            not isinstance(self.slices, int)
            or isinstance(self.slices, bool)
            or not 0 < self.slices <= MOST_SLICES
        ):
            raise ScheduleError(
                f"slices={self.slices!r}: give a whole number from 1 to {MOST_SLICES}, or 'stream'"
            )
        if not isinstance(self.efficiency, Efficiency):
            raise ScheduleError(
                f"efficiency={self.efficiency!r} is not an Efficiency; write Efficiency(compute=0.5)"
            )


@dataclass(frozen=True, eq=False)
class Slice:
    """Weights that a chiplet loads at once, and what it computes with them.

    Parameters
    ----------
    chiplet
        Name.
    kind
        ``attention``, ``shared``, ``dense``, ``head`` or ``expert``.
    size, state
        Of the weights, and of the optimiser's state that an update reads and writes, in B.
    load, store
        Reading of the weights, and writing them back with the state read and written.
    forward
        Time to compute each micro-batch forward, in s, [micro-batches]; backward takes twice that.
    update
        Time of the optimiser's arithmetic, in s.
    index
        Number of the slice in its step.
    copies
        Slices of one block of the same kind and this number are copies on several chiplets, whose gradients
        are exchanged; ``None`` where there is no other copy.
    room
        Of SRAM that it takes, in B: all of it, or what it passes through.
    reading
        Number of the slice whose ``load`` brings these weights to several chiplets, its own among them;
        ``None`` where the slice is loaded alone. The other slices' own loads are empty.
    """

    chiplet: str
    kind: str
    size: float
    state: float
    load: Transfer
    store: Transfer
    forward: Floats
    update: float
    index: int
    copies: int | None = None
    room: float = 0.0
    reading: int | None = None

    @property
    def reads(self) -> bool:
        """Whether its own load brings its weights."""
        return self.reading in (None, self.index)


@dataclass(frozen=True, eq=False)
class Block:
    """One kind of layer: what is loaded, computed and sent.

    Parameters
    ----------
    before, beside, experts
        Slices, as in the module's text.
    dispatch, combine
        Of each micro-batch; empty for a layer without experts.
    exchange
        Of the gradients of slices that are copies of each other, by kind; empty without a backward pass.
    cache_read, cache_written
        Keys and values of one micro-batch, in decode and prefill; ``None`` where there are none.
    unread
        Bytes of experts that lie on a chiplet's stacks and are not loaded, since no token of the step uses
        them there or they are in SRAM, by chiplet.
    row
        Layer of the trace whose routing it has; ``None`` without experts.
    gather, scatter
        Of each micro-batch, tokens to and partial results from tensor-parallel attention; empty without.
    """

    before: tuple[Slice, ...]
    beside: tuple[Slice, ...] = ()
    experts: tuple[Slice, ...] = ()
    dispatch: tuple[Transfer, ...] = ()
    combine: tuple[Transfer, ...] = ()
    exchange: Mapping[str, Transfer] = field(default_factory=dict)
    cache_read: Transfer | None = None
    cache_written: Transfer | None = None
    unread: Mapping[str, float] = field(default_factory=dict)
    gather: tuple[Transfer, ...] = ()
    scatter: tuple[Transfer, ...] = ()
    row: int | None = None

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices, in the order in which they are needed."""
        return (*self.before, *self.beside, *self.experts)

    @cached_property
    def exchanged(self) -> Mapping[tuple[str, int], tuple[Slice, ...]]:
        """The slices whose gradients are exchanged together, by kind and number of copies."""
        together: dict[tuple[str, int], list[Slice]] = {}
        for part in self.slices:
            if part.copies is not None and part.kind in self.exchange:
                together.setdefault((part.kind, part.copies), []).append(part)
        return {key: tuple(parts) for key, parts in together.items()}

    @cached_property
    def readings(self) -> Mapping[int, tuple[Slice, ...]]:
        """The slices whose weights one load brings to several chiplets, by the number of its slice."""
        together: dict[int, list[Slice]] = {}
        for part in self.slices:
            if part.reading is not None:
                together.setdefault(part.reading, []).append(part)
        return {number: tuple(parts) for number, parts in together.items()}

    def transfers(self) -> Iterator[Transfer]:
        """Yield each transfer, in the order of `with_transfers`."""
        for part in self.slices:
            yield part.load
            yield part.store
        yield from (*self.dispatch, *self.combine, *self.exchange.values())
        yield from (sent for sent in (self.cache_read, self.cache_written) if sent is not None)
        yield from (*self.gather, *self.scatter)

    def with_transfers(self, change: Callable[[Transfer], Transfer]) -> Block:
        """Return the block with each transfer changed, in a fixed order."""

        def slices(parts: tuple[Slice, ...]) -> tuple[Slice, ...]:
            changed = [(part, change(part.load), change(part.store)) for part in parts]
            return tuple(
                part if load is part.load and store is part.store else replace(part, load=load, store=store)
                for part, load, store in changed
            )

        return Block(
            slices(self.before),
            slices(self.beside),
            slices(self.experts),
            tuple(map(change, self.dispatch)),
            tuple(map(change, self.combine)),
            {kind: change(sent) for kind, sent in self.exchange.items()},
            None if self.cache_read is None else change(self.cache_read),
            None if self.cache_written is None else change(self.cache_written),
            self.unread,
            tuple(map(change, self.gather)),
            tuple(map(change, self.scatter)),
            self.row,
        )


@dataclass(frozen=True, eq=False)
class Step:
    """One step in numbers.

    Parameters
    ----------
    package, workload, allocation, options
        What it was made from.
    blocks
        The kinds of block.
    layers
        Index into ``blocks`` of each layer of the model, in forward order.
    head
        The output head as a block of its own.
    micro_batches
        How many.
    hosts
        Chiplets on which the tokens live.
    stacks
        The memory stacks of each chiplet.
    ledger
        What lies where.
    resident
        Bytes of experts that stay in SRAM, by chiplet.
    routing
        Name of the routing of its transfers, empty before they are routed.
    relaxed
        Whether its transfers are lower bounds over all routings.
    parts
        Part of each dispatch and combine that has an expert chiplet's tokens, where they are cut into parts
        (`noptoolkit.step.parts`); empty where they are sent as a whole.
    """

    package: Package
    workload: Workload
    allocation: Allocation
    options: StepOptions
    blocks: tuple[Block, ...]
    layers: tuple[int, ...]
    head: Block
    micro_batches: int
    hosts: tuple[str, ...]
    stacks: MemoryStacks
    ledger: Ledger
    resident: Mapping[str, float] = field(default_factory=dict)
    routing: str = ""
    relaxed: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def training(self) -> bool:
        """Whether a backward pass and an update follow."""
        return self.workload.batch.mode == "training"

    @property
    def loads_as_routed(self) -> bool:
        """Whether experts are loaded no sooner than the router has run."""
        return not self.training and self.options.experts == "routed"

    @cached_property
    def loaded(self) -> Mapping[str, float]:
        """Bytes of weights that the stacks are read for during a step, by kind; in training of one pass.

        Kinds are those of the slices: ``attention`` (with router and norms), ``shared``, ``dense``,
        ``expert`` and ``head``. What one reading brings to several chiplets counts once.
        """
        return self._bytes(lambda part: part.reads)

    @cached_property
    def read(self) -> float:
        """Bytes of weights that leave the stacks along the routes taken; in training of one pass."""
        stacks = [self.package.index[memory.name] for memory in self.package.memories]
        total = 0.0
        for block in (*(self.blocks[i] for i in self.layers), self.head):
            for part in block.slices:
                copies = 0.0 if part.load.trees is None else float(part.load.trees.injected[stacks].sum())
                total += sum(part.load.pairs.values()) + copies
        return total

    @cached_property
    def saved(self) -> Mapping[str, float]:
        """Bytes of weights that come to chiplets by a reading for several, beyond the first, by kind."""
        return self._bytes(lambda part: not part.reads)

    def _bytes(self, chosen: Callable[[Slice], bool]) -> dict[str, float]:
        total: dict[str, float] = {}
        for block in (*(self.blocks[i] for i in self.layers), self.head):
            for part in filter(chosen, block.slices):
                total[part.kind] = total.get(part.kind, 0.0) + part.size
        return total

    @property
    def backward_factor(self) -> float:
        """Arithmetic of a backward pass over that of a forward pass."""
        return 3.0 if self.options.recompute else 2.0

    def with_transfers(self, change: Callable[[Transfer], Transfer]) -> Step:
        """Return the step with each transfer changed, in a fixed order."""
        blocks = tuple(block.with_transfers(change) for block in self.blocks)
        return replace(self, blocks=blocks, head=self.head.with_transfers(change))

    def transfers(self) -> list[Transfer]:
        """Return all transfers, each once, in a fixed order."""
        return [sent for block in (*self.blocks, self.head) for sent in block.transfers()]

    @cached_property
    def waits(self) -> Mapping[str, frozenset[str]]:
        """The lanes that each expert chiplet waits for: of the resources that lead to it in any dispatch."""
        if self.relaxed:
            return {name: frozenset([f"to {name}"]) for name in self.package.experts}
        loads = [t.load for block in (*self.blocks, self.head) for t in block.dispatch]
        return self._reach(loads, backward=True)

    @cached_property
    def feeds(self) -> Mapping[str, frozenset[str]]:
        """The lanes that each expert chiplet feeds: of the resources that it leads to in any combine."""
        if self.relaxed:
            return {name: frozenset([f"from {name}"]) for name in self.package.experts}
        loads = [t.load for block in (*self.blocks, self.head) for t in block.combine]
        return self._reach(loads, backward=False)

    @cached_property
    def fed_by(self) -> Mapping[str, frozenset[str]]:
        """The expert chiplets that feed each lane of any combine."""
        fed: dict[str, set[str]] = {}
        for chiplet, resources in self.feeds.items():
            for resource in resources:
                fed.setdefault(resource, set()).add(chiplet)
        return {resource: frozenset(chiplets) for resource, chiplets in fed.items()}

    def _reach(self, loads: list[Floats], backward: bool) -> dict[str, frozenset[str]]:
        total = np.sum(loads, axis=0) if loads else np.zeros(len(self.package.channels))
        found = {
            name: used_towards(self.package, total, name, backward=backward) for name in self.package.experts
        }
        if not self.parts:
            return found
        return {
            name: frozenset(lane_of(resource, self.parts[name]) for resource in resources)
            for name, resources in found.items()
        }
