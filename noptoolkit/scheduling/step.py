"""One step of a model on a package in numbers: what every chiplet, memory stack and channel has to do.

The model. Tokens live on the *hosts*: the attention chiplets, or where there are none the expert chiplets,
each with an equal share of the tokens (data-parallel: every host loads the attention's weights, and in
training the hosts exchange their gradients, reduce-scatter then all-gather, 2 W / n bytes per pair for W
bytes of weights on n hosts). A block is one layer:

* *before*: attention and router, on the hosts; then tokens are dispatched to the experts' chiplets;
* *experts*: on the chiplets that the allocation gives them, each with the activations that the trace sends
  there in that micro-batch; then results are combined on the hosts;
* *beside*: shared experts, or a dense layer's feed-forward network, on the hosts, while the experts run.

Weights come from the memory stacks that serve a chiplet (``Memory.serves``; else the nearest), split by
bandwidth, through the stack's port and along a shortest path of the network. A chiplet's weights of one block
are cut into *slices* that its SRAM can hold two at a time: one is used while the next loads. Activations
stay on the package and are not counted against SRAM or memory bandwidth (assumed).

Micro-batch b of n takes tokens b N / n to (b + 1) N / n of N tokens spread evenly over the trace.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noptoolkit._names import did_you_mean
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopWarning, ScheduleError, TopologyError, WorkloadError
from noptoolkit.nodes import (
    OPTIMISERS,
    Efficiency,
    Work,
    attention_work,
    compute_time,
    dense_work,
    expert_work,
    head_work,
    memory_time,
    router_work,
    shared_work,
    update_work,
)
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.scheduling.transfers import (
    Transfer,
    channels_towards,
    occupancy,
    resource_of_channel,
    shortest_tree,
    transfer,
)
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic import all_to_all, combine, dispatch
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["Block", "Slice", "Step", "StepOptions", "step_of"]

Floats = NDArray[np.float64]


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
        Into how many slices a chiplet's weights of one block are cut; as few as let two of them fit in its
        SRAM where ``None``.
    efficiency
        Share of the peak rates that is reached.
    optimiser
        A name in `noptoolkit.nodes.OPTIMISERS`; for training.
    weights_on_network
        Whether weights also occupy the channels between stack and chiplet, or only the stack's port.
    """

    degree: str = "in-network"
    micro_batches: int | None = None
    slices: int | None = None
    efficiency: Efficiency = field(default_factory=Efficiency)
    optimiser: str = "sgd"
    weights_on_network: bool = True


@dataclass(frozen=True, eq=False)
class Slice:
    """Weights that a chiplet loads at once, and what it computes with them.

    Parameters
    ----------
    chiplet
        Name.
    kind
        ``attention``, ``shared``, ``dense``, ``head`` or ``expert``.
    size
        Of the weights, in B.
    load, store
        How long reading and writing them back occupies each port and channel, in s, by name.
    forward
        Time to compute each micro-batch forward, in s, [micro-batches]; backward takes twice that.
    update
        Time of the optimiser's arithmetic, in s.
    index
        Which slice of its kind it is on its chiplet.
    """

    chiplet: str
    kind: str
    size: float
    load: Mapping[str, float]
    store: Mapping[str, float]
    forward: Floats
    update: float
    index: int = 0


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
        Of the hosts' gradients, for one slice of each kind; empty with one host and without backward pass.
    cache_read, cache_written
        How long keys and values of one micro-batch occupy ports and channels, in s, by name (in decode and
        prefill).
    """

    before: tuple[Slice, ...]
    beside: tuple[Slice, ...] = ()
    experts: tuple[Slice, ...] = ()
    dispatch: tuple[Transfer, ...] = ()
    combine: tuple[Transfer, ...] = ()
    exchange: Mapping[str, Transfer] = field(default_factory=dict)
    cache_read: Mapping[str, float] = field(default_factory=dict)
    cache_written: Mapping[str, float] = field(default_factory=dict)

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices, in the order in which they are needed."""
        return (*self.before, *self.beside, *self.experts)


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
    """

    package: Package
    workload: Workload
    allocation: Allocation
    options: StepOptions
    blocks: tuple[Block, ...]
    layers: tuple[int, ...]
    head: Block
    micro_batches: int

    @property
    def training(self) -> bool:
        """Whether a backward pass and an update follow."""
        return self.workload.batch.mode == "training"

    @cached_property
    def waits(self) -> Mapping[str, frozenset[str]]:
        """What each expert chiplet waits for: the network resources that lead to it in any dispatch."""
        loads = [t.load for block in self.blocks for t in block.dispatch]
        return self._reach(loads, backward=True)

    @cached_property
    def feeds(self) -> Mapping[str, frozenset[str]]:
        """The network resources that each expert chiplet leads to in any combine."""
        loads = [t.load for block in self.blocks for t in block.combine]
        return self._reach(loads, backward=False)

    def _reach(self, loads: list[Floats], backward: bool) -> dict[str, frozenset[str]]:
        package = self.package
        total = np.sum(loads, axis=0) if loads else np.zeros(len(package.channels))
        return {
            name: frozenset(
                resource_of_channel(package, int(i))
                for i in np.flatnonzero(channels_towards(package, total, name, backward=backward))
            )
            for name in package.experts
        }


def step_of(
    package: Package, workload: Workload, allocation: Allocation, options: StepOptions | None = None
) -> Step:
    """Return one step of a workload on a package in numbers.

    Raises
    ------
    WorkloadError
        If allocation, trace and package do not fit, or the batch does not divide into the micro-batches.
    ScheduleError
        If weights do not fit in a chiplet's SRAM as asked.

    Warns
    -----
    NopWarning
        If the weights are more than the memory stacks hold.
    """
    return _Maker(package, workload, allocation, options or StepOptions()).step()


class _Maker:
    """Makes a step: holds what all its parts need."""

    def __init__(
        self, package: Package, workload: Workload, allocation: Allocation, options: StepOptions
    ) -> None:
        if not package.experts:
            raise TopologyError(
                f"package {package.name!r} has no expert chiplets; give some chiplets role='expert'"
            )
        allocation.check_fits(package)
        if options.optimiser not in OPTIMISERS:
            hint = did_you_mean(options.optimiser, OPTIMISERS)
            raise ScheduleError(f"no optimiser named {options.optimiser!r}; {hint}")
        self.package, self.workload, self.allocation = package, workload, allocation
        self.options = options
        self.model, self.batch = workload.model, workload.batch
        self.hosts = package.with_role("attention") or package.experts
        self.count = options.micro_batches or self.batch.micro_batches
        if self.batch.sequences % self.count:
            raise WorkloadError(
                f"{self.batch.sequences} sequences do not divide into {self.count} micro-batches; "
                f"use a divisor of {self.batch.sequences}"
            )
        self.tokens = self.batch.tokens / self.count
        self.routes = _weight_routes(package, options.weights_on_network)
        self.served_bytes = {memory.name: 0.0 for memory in package.memories}

    def step(self) -> Step:
        trace = self.workload.trace
        blocks = [self.moe_block(trace, i) for i in range(trace.num_layers)]
        if self.model.dense_layers:
            blocks.append(self.dense_block())
        dense = [trace.num_layers] * self.model.dense_layers
        layers = (*dense, *(i % trace.num_layers for i in range(self.model.moe_layers)))
        head = self.head_block()
        _warn_of_overrun(self.package, [*(blocks[i] for i in layers), head], self.routes)
        return Step(
            self.package,
            self.workload,
            self.allocation,
            self.options,
            tuple(blocks),
            layers,
            head,
            self.count,
        )

    def moe_block(self, trace: RoutingTrace, layer: int) -> Block:
        model, width = self.model, self.batch.bytes_per_value
        one = trace.layer(layer)
        layout = self.allocation.layer(layer)
        positions = np.arange(self.batch.tokens) * one.num_tokens // self.batch.tokens
        parts = [one.tokens(part) for part in np.split(positions, self.count)]
        token_bytes = model.hidden * width
        there, back = [], []
        for part in parts:
            asked = {"token_bytes": token_bytes, "degree": self.options.degree}
            there.append(self.transfer(dispatch(self.package, part, layout, **asked)))  # type: ignore[arg-type]
            back.append(self.transfer(combine(self.package, part, layout, **asked)))  # type: ignore[arg-type]
        counts = np.stack([part.load() for part in parts]).astype(float)
        before = self.hosted("attention", self.attention_parameters + model.router_parameters, self.attend)
        shared = self.hosted("shared", model.shared_parameters, lambda n: shared_work(model, n))
        return Block(
            before,
            shared,
            self.expert_slices(counts, layout.chiplet_of_expert[0]),
            tuple(there),
            tuple(back),
            self.exchange(before, shared),
            *self.cache(),
        )

    def dense_block(self) -> Block:
        model = self.model
        before = self.hosted("attention", self.attention_parameters, self.attend)
        dense = self.hosted("dense", model.dense_parameters, lambda n: dense_work(model, n))
        return Block(before, dense, (), (), (), self.exchange(before, dense), *self.cache())

    def head_block(self) -> Block:
        model = self.model
        share = 1.0 if self.batch.mode == "training" else 1.0 / self.batch.sequence_length
        if self.batch.mode == "decode":
            share = 1.0
        head = self.hosted("head", model.vocab * model.hidden, lambda n: head_work(model, n * share))
        return Block(head, exchange=self.exchange(head))

    @property
    def attention_parameters(self) -> int:
        return self.model.attention_parameters + 2 * self.model.hidden

    def attend(self, tokens: float) -> Work:
        sequences = self.batch.sequences // self.count
        whole = attention_work(self.model, self.batch, sequences)
        return (tokens / self.tokens) * whole + router_work(self.model, tokens)

    def cache(self) -> tuple[dict[str, float], dict[str, float]]:
        work = attention_work(self.model, self.batch, self.batch.sequences // self.count)
        read: dict[str, float] = {}
        written: dict[str, float] = {}
        for host in self.hosts:
            for total, size, back in ((read, work.read, False), (written, work.written, True)):
                for name, time in self.move(host, size / len(self.hosts), back).items():
                    total[name] = total.get(name, 0.0) + time
        return read, written

    def hosted(self, kind: str, parameters: int, work: object) -> tuple[Slice, ...]:
        """Return the slices of an operation that every host does for its share of the tokens."""
        if parameters == 0:
            return ()
        made: list[Slice] = []
        size = parameters * self.batch.bytes_per_value
        parts = max(self.slices_for(self.chiplet(host), size) for host in self.hosts)
        for host in self.hosts:
            chiplet = self.chiplet(host)
            time = compute_time(
                chiplet,
                work(self.tokens / len(self.hosts)),  # type: ignore[operator]
                self.options.efficiency.compute,
            )
            forward = np.full(self.count, time / parts)
            made += [self.slice(host, kind, parameters / parts, forward, i) for i in range(parts)]
        return tuple(made)

    def expert_slices(self, counts: Floats, place: NDArray[np.int64]) -> tuple[Slice, ...]:
        """Return the slices of the experts: heavy experts in the first slices of their chiplet."""
        model, width = self.model, self.batch.bytes_per_value
        made: list[Slice] = []
        for index, name in enumerate(self.package.experts):
            chiplet = self.chiplet(name)
            held = np.flatnonzero(place == index)
            if len(held) == 0:
                continue
            held = held[np.argsort(-counts[:, held].sum(axis=0), kind="stable")]
            parts = self.slices_for(chiplet, len(held) * model.expert_parameters * width)
            split = max(1, -(-parts // len(held)))  # slices of one expert
            for group in np.array_split(held, min(parts, len(held))):
                parameters = len(group) * model.expert_parameters / split
                tokens = counts[:, group].sum(axis=1) / split
                forward = np.array([self.expert_time(chiplet, float(n)) for n in tokens])
                for _ in range(split):
                    made.append(self.slice(name, "expert", parameters, forward))
        return tuple(made)

    def expert_time(self, chiplet: Chiplet, tokens: float) -> float:
        return compute_time(chiplet, expert_work(self.model, tokens), self.options.efficiency.compute)

    def slice(self, chiplet: str, kind: str, parameters: float, forward: Floats, index: int = 0) -> Slice:
        size = parameters * self.batch.bytes_per_value
        update = update_work(parameters, OPTIMISERS[self.options.optimiser])
        arithmetic = Work(update.flops)
        return Slice(
            chiplet,
            kind,
            size,
            self.move(chiplet, size + update.read, False),
            self.move(chiplet, size + update.written, True),
            forward,
            compute_time(self.chiplet(chiplet), arithmetic, self.options.efficiency.compute),
            index,
        )

    def slices_for(self, chiplet: Chiplet, size: float) -> int:
        """Return into how many slices weights of ``size`` bytes are cut on a chiplet."""
        asked = self.options.slices
        if chiplet.sram is None:
            return asked or 1
        if asked is None:
            return math.ceil(2 * size / chiplet.sram) if size > 0 else 1
        if size / asked > chiplet.sram:
            raise ScheduleError(
                f"chiplet {chiplet.name!r}: a slice of {format_quantity(size / asked, 'B')} of weights "
                f"does not fit in {format_quantity(chiplet.sram, 'B')} of SRAM; "
                f"use slices={math.ceil(size / chiplet.sram)} or more (twice that to load while computing)"
            )
        return asked

    def move(self, chiplet: str, size: float, back: bool) -> dict[str, float]:
        """Return how long moving bytes between a chiplet and its stacks occupies ports and channels."""
        uses: dict[str, float] = {}
        if size <= 0:
            return uses
        for memory, share, channels in self.routes[chiplet]:
            part = size * share
            uses[memory.name] = memory_time(memory, part, self.options.efficiency.memory)
            load = np.zeros(len(self.package.channels))
            load[list(channels[back])] = part
            for name, time in occupancy(self.package, load, self.options.efficiency.network).items():
                uses[name] = uses.get(name, 0.0) + time
        return uses

    def exchange(self, *operations: tuple[Slice, ...]) -> dict[str, Transfer]:
        """Return the exchange of the hosts' gradients, if there are several hosts."""
        n = len(self.hosts)
        if n == 1 or self.batch.mode != "training":
            return {}
        one_of_each = {part.kind: part.size for parts in operations for part in parts}
        return {
            kind: self.transfer(all_to_all(self.package, 2 * size / n, among=self.hosts))
            for kind, size in one_of_each.items()
        }

    def transfer(self, traffic: object) -> Transfer:
        return transfer(self.package, traffic, self.options.efficiency.network)  # type: ignore[arg-type]

    def chiplet(self, name: str) -> Chiplet:
        node = self.package[name]
        assert isinstance(node, Chiplet)
        return node


Route = tuple[Memory, float, tuple[tuple[int, ...], tuple[int, ...]]]


def _weight_routes(package: Package, on_network: bool) -> dict[str, tuple[Route, ...]]:
    """Return for each chiplet its stacks, their share of its weights, and the channels from and to them.

    The stack's own link counts as its port.
    """
    ways = {m.name: _ways(package, m) for m in package.memories}
    named = {chiplet for memory in package.memories for chiplet in memory.serves}
    open_to_all = [m for m in package.memories if not m.serves] or list(package.memories)
    routes: dict[str, tuple[Route, ...]] = {}
    for chiplet in package.terminals:
        if chiplet in named:
            stacks = [m for m in package.memories if chiplet in m.serves]
        else:
            hops = {m.name: len(ways[m.name][chiplet][0]) for m in open_to_all}
            stacks = [m for m in open_to_all if hops[m.name] == min(hops.values())]
        total = sum(m.bandwidth for m in stacks)
        routes[chiplet] = tuple(
            (m, m.bandwidth / total, ways[m.name][chiplet] if on_network else ((), ())) for m in stacks
        )
    return routes


def _ways(package: Package, memory: Memory) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the channels from a stack to each chiplet and back, the stack's own channels left out."""
    found: list[dict[str, tuple[int, ...]]] = []
    for backward in (False, True):
        way: dict[int, tuple[int, ...]] = {package.index[memory.name]: ()}
        for node, parent, channel in shortest_tree(package, package.index[memory.name], backward):
            own = parent == package.index[memory.name]
            way[node] = way[parent] + (() if own else (channel,))
        found.append({package.nodes[node].name: channels for node, channels in way.items()})
    return {name: (found[0][name], found[1][name]) for name in package.terminals}


def _warn_of_overrun(package: Package, blocks: list[Block], routes: dict[str, tuple[Route, ...]]) -> None:
    """Warn of the stacks whose weights are more than they hold, in one message."""
    held = {memory.name: 0.0 for memory in package.memories}
    for block in blocks:
        for part in block.slices:
            for memory, share, _ in routes[part.chiplet]:
                held[memory.name] += share * part.size
    over = [m for m in package.memories if m.capacity is not None and held[m.name] > m.capacity]
    if over:
        worst = max(over, key=lambda m: held[m.name] / (m.capacity or 1.0))
        warnings.warn(
            f"package {package.name!r}: the weights need more memory than there is in {len(over)} of "
            f"{len(package.memories)} stacks, most in {worst.name!r}: "
            f"{format_quantity(held[worst.name], 'B')} of {format_quantity(worst.capacity or 0.0, 'B')}; "
            "times are as if they fitted",
            NopWarning,
            stacklevel=5,
        )
