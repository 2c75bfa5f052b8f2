"""Counts what a step has to do: from package, workload and allocation to a `Step`."""

from __future__ import annotations

import itertools
import math
from functools import cached_property

import numpy as np

from noptoolkit.allocation import Allocation
from noptoolkit.collectives import CollectiveResult
from noptoolkit.nodes import (
    Work,
    attention_work,
    cache_traffic,
    compute_time,
    dense_work,
    head_tokens,
    head_work,
    router_work,
    shared_work,
)
from noptoolkit.package import Package
from noptoolkit.routing.problem import routing_problem
from noptoolkit.step.caches import tensor_parameters, tensor_work
from noptoolkit.step.gradients import UNIT, GradientSum, all_reduce_among, all_reduce_of_copies, holders_of
from noptoolkit.step.holdings import ledger_of
from noptoolkit.step.residents import Residents, residents_of
from noptoolkit.step.routes import ALONE, named_routing, routed_step
from noptoolkit.step.slicing import SliceMaker
from noptoolkit.step.step import Block, Slice, Step, StepOptions
from noptoolkit.step.transfers import Transfer, pairs_of
from noptoolkit.touched import token_places
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic import DestinationSets, Traffic, all_to_all, dispatch, from_matrix
from noptoolkit.traffic.routed import returned
from noptoolkit.workload import Workload

__all__ = ["step_of", "unrouted_step"]


def step_of(
    package: Package, workload: Workload, allocation: Allocation, options: StepOptions | None = None
) -> Step:
    """Return one step of a workload on a package in numbers.

    Raises
    ------
    WorkloadError
        If allocation, trace and package do not fit, or the batch does not divide into the micro-batches.
    ScheduleError
        If weights do not fit in a chiplet's SRAM as asked, or a host is not a chiplet that computes.

    Warns
    -----
    NopWarning
        If weights, activations and caches are more than the memory stacks hold, or a slice asked for fits in
        SRAM once but not twice.
    """
    step = unrouted_step(package, workload, allocation, options)
    routing = step.options.routing
    return routed_step(step, named_routing(package, ALONE if routing == "optimal" else routing))


def unrouted_step(
    package: Package, workload: Workload, allocation: Allocation, options: StepOptions | None = None
) -> Step:
    """Return what `step_of` returns, before its transfers are routed."""
    return _Maker(package, workload, allocation, options or StepOptions()).step()


class _Maker(SliceMaker):
    """Makes a step: blocks of slices, and what they send each other."""

    def step(self) -> Step:
        trace = self.workload.trace
        whole = trace.num_layers == self.model.layers  # a row for every layer, dense ones included
        turn = itertools.cycle(range(trace.num_layers))
        rows = [None if dense else i if whole else next(turn) for i, dense in enumerate(self.model.is_dense)]
        kept = residents_of(self.package, self.workload, self.allocation, self.options, rows)
        size = float(self.model.expert_parameters * self.batch.bytes_per_value)
        for name in self.package.experts:
            if bytes_ := size * sum(len(one.get(name, ())) for one in kept):
                self.pinned[name] = bytes_
        sets = [tuple(sorted((name, *sorted(held)) for name, held in one.items())) for one in kept]
        kinds = list(zip(rows, self.model.is_windowed, sets, strict=True))
        made = sorted(set(kinds), key=lambda kind: (kind[0] is None, kind[0] or 0, *map(repr, kind[1:])))
        blocks = [
            self.dense_block(windowed)
            if row is None
            else self.moe_block(trace, row, windowed, kept[kinds.index((row, windowed, held))])
            for row, windowed, held in made
        ]
        places = {kind: place for place, kind in enumerate(made)}
        layers = tuple(places[kind] for kind in kinds)
        head = self.head_block()
        self.stacks.warn_without()
        self.warn_of_single_buffers()
        ledger = ledger_of(
            self.workload,
            self.allocation,
            self.options,
            self.stacks,
            self.sequences,
            [row for row in rows if row is not None],
            [*(blocks[i] for i in layers), head],
            self.placed,
            self.pinned,
        )
        keeps = self.batch.mode == "training" and not self.options.recompute
        more = "recompute=True (schedule --recompute) keeps less, " if keeps else ""
        ledger.warn(f"{more}larger stacks, more of them or a smaller batch hold it", stacklevel=5)
        return Step(
            self.package,
            self.workload,
            self.allocation,
            self.options,
            tuple(blocks),
            layers,
            head,
            self.count,
            self.hosts,
            self.stacks,
            ledger,
            self.pinned,
        )

    def moe_block(self, trace: RoutingTrace, layer: int, windowed: bool, kept: Residents) -> Block:
        model, width = self.model, self.batch.bytes_per_value
        one = trace.layer(layer)
        layout = self.allocation.layer(layer)
        positions = token_places(self.batch.tokens, one.num_tokens, self.options.number)
        parts = [one.tokens(part) for part in np.split(positions, self.count)]
        token_bytes = model.hidden * width
        there: list[Transfer] = []
        back: list[Transfer] = []
        for part in parts:
            tokens = dispatch(
                self.package,
                part,
                layout,
                token_bytes=token_bytes,
                degree=self.options.degree,
                source=self.hosts,
            )
            there.append(self.transfer(tokens, "dispatch"))
            back.append(self.transfer(returned(tokens), "combine"))
        before = self.hosted(
            "attention",
            self.attention_parameters + model.router_parameters,
            lambda share: self.attend(share, windowed) + router_work(model, self.tokens * share, width),
        )
        shared = self.hosted(
            "shared", model.shared_parameters, lambda share: shared_work(model, self.tokens * share, width)
        )
        experts, unread = self.expert_slices(parts, layout, kept)
        return Block(
            before,
            shared,
            experts,
            tuple(there),
            tuple(back),
            self.exchange(before, shared) | self.exchange_of_copies(layout),
            *self.cache(windowed),
            unread,
            *self.among_hosts(),
            layer,
        )

    def dense_block(self, windowed: bool) -> Block:
        model, width = self.model, self.batch.bytes_per_value
        before = self.hosted(
            "attention", self.attention_parameters, lambda share: self.attend(share, windowed)
        )
        dense = self.hosted(
            "dense", model.dense_parameters, lambda share: dense_work(model, self.tokens * share, width)
        )
        caches, exchanged = self.cache(windowed), self.exchange(before, dense)
        return Block(before, dense, (), (), (), exchanged, *caches, {}, *self.among_hosts())

    def among_hosts(self) -> tuple[tuple[Transfer, ...], tuple[Transfer, ...]]:
        """Return what tensor-parallel hosts send each other before and after attention."""
        if not self.tensor:
            return (), ()
        size = self.tokens * self.model.hidden * self.batch.bytes_per_value / len(self.hosts)
        there, back = (
            tuple(
                self.transfer(all_to_all(self.package, size, among=self.hosts), "exchange")
                for _ in range(self.count)
            )
            for _ in range(2)
        )
        return there, back

    def head_block(self) -> Block:
        model = self.model
        width, tokens = self.batch.bytes_per_value, head_tokens(self.batch) / self.count
        if self.options.split_head:
            return self.split_head_block(tokens)
        head = self.hosted(
            "head", model.vocab * model.hidden, lambda share: head_work(model, tokens * share, width)
        )
        return Block(head, exchange=self.exchange(head))

    def split_head_block(self, tokens: float) -> Block:
        """Return the head with its vocabulary spread over the expert chiplets, for some tokens at a time."""
        model, width, names = self.model, self.batch.bytes_per_value, self.package.experts
        work = (1.0 / len(names)) * head_work(model, tokens, width)
        parameters = model.vocab * model.hidden / len(names)
        made: list[Slice] = []
        for name in names:
            chiplet = self.chiplet(name)
            room = None if self.streams else self.room(chiplet)
            parts = 1 if room is None else math.ceil(2 * parameters * width / room)
            forward = np.full(
                self.count, compute_time(chiplet, work, self.options.efficiency.compute) / parts
            )
            made += [self.slice(name, "head", parameters / parts, forward, None) for _ in range(parts)]
        there, back = tokens * model.hidden * width, tokens * 8.0
        if self.batch.mode == "training":
            back = there
        sent = [self.transfer(self.everywhere(there, back=False), "dispatch") for _ in range(self.count)]
        returned = [self.transfer(self.everywhere(back, back=True), "combine") for _ in range(self.count)]
        return Block((), (), tuple(made), tuple(sent), tuple(returned))

    def everywhere(self, size: float, *, back: bool) -> Traffic:
        """Return bytes of the hosts' tokens, an equal part each, to every expert chiplet, or summed back."""
        names = self.package.terminals
        root = np.array([names.index(host) for host in self.hosts])
        part = size / len(root)
        if self.options.degree == "in-network":
            words = np.zeros((1, -(-len(names) // 64)), np.uint64)
            for index in map(names.index, self.package.experts):
                words[0, index // 64] |= np.uint64(1) << np.uint64(index % 64)
            sets = DestinationSets(root, np.repeat(words, len(root), axis=0), np.full(len(root), part))
            nothing = np.zeros((len(names), len(names)))
            return Traffic(names, nothing, reduction=sets) if back else Traffic(names, nothing, sets)
        pairs = np.zeros((len(names), len(names)))
        pairs[np.ix_(root, np.array([names.index(name) for name in self.package.experts]))] = part
        np.fill_diagonal(pairs, 0.0)
        return from_matrix(self.package, pairs.T if back else pairs)

    @property
    def attention_parameters(self) -> int:
        norms = 2 * self.model.hidden
        if self.tensor:
            return tensor_parameters(self.model, len(self.hosts)) + norms
        return self.model.attention_parameters + norms

    def attend(self, share: float, windowed: bool) -> Work:
        """Return the attention of a micro-batch's share of sequences, and of prompts, on a host."""
        batch = self.batch
        if batch.mode == "training":
            return share * attention_work(self.model, batch, batch.sequences // self.count, windowed=windowed)
        if self.tensor:
            every = batch.sequences // self.count
            return tensor_work(self.model, batch, every, len(self.hosts), windowed=windowed)
        there, prompts = share * (batch.sequences // self.count), share / self.count
        return attention_work(self.model, batch, there, windowed=windowed, prompts=prompts)

    def cache(self, windowed: bool) -> tuple[Transfer | None, Transfer | None]:
        """Return the movements of a micro-batch's keys and values, read and written."""
        read, written = cache_traffic(
            self.model,
            self.batch,
            self.batch.sequences // self.count,
            windowed=windowed,
            prompts=1 / self.count,
        )
        reads = {place: read * share for place, share in self.placed.items() if read}
        writes = {(host, memory): written * share for (memory, host), share in self.placed.items() if written}
        return (
            Transfer(next(self.transfers), "load", reads) if reads else None,
            Transfer(next(self.transfers), "store", writes) if writes else None,
        )

    def exchange(self, *operations: tuple[Slice, ...]) -> dict[str, Transfer]:
        """Return the exchange of the hosts' gradients, if there are several hosts."""
        n = len(self.hosts)
        if n == 1 or self.batch.mode != "training":
            return {}
        sizes = {part.kind: part.size for parts in operations for part in parts}
        if n == 2:
            asked = {kind: all_to_all(self.package, size, among=self.hosts) for kind, size in sizes.items()}
            return {kind: self.transfer(pair, "exchange") for kind, pair in asked.items()}
        sums = {kind: GradientSum(self.all_reduce, size) for kind, size in sizes.items()}
        return {k: Transfer(next(self.transfers), "exchange", {}, summed=s) for k, s in sums.items()}

    @cached_property
    def all_reduce(self) -> CollectiveResult:
        """All-reduce among the hosts."""
        return all_reduce_among(self.package, self.hosts)

    def exchange_of_copies(self, layout: Allocation) -> dict[str, Transfer]:
        """Return the exchange of gradients among chiplets that hold copies of the same experts, if any.

        One all-reduce for each set of holders, all at the same time; where every set is a pair, the two send
        theirs to each other.
        """
        held = holders_of(layout)
        if not held or self.batch.mode != "training":
            return {}
        size = self.model.expert_parameters * self.batch.bytes_per_value
        if max(map(len, held)) > 2:
            result = all_reduce_of_copies(self.package, layout)
            summed = GradientSum(result, size * result.requests[0].size / UNIT)
            return {"expert": Transfer(next(self.transfers), "exchange", {}, summed=summed)}
        index = {name: i for i, name in enumerate(layout.experts)}
        pairs = np.zeros((len(index), len(index)))
        for (one, other), count in held.items():
            pairs[index[one], index[other]] = pairs[index[other], index[one]] = count * size
        return {
            "expert": self.transfer(from_matrix(self.package, pairs, endpoints=layout.experts), "exchange")
        }

    def transfer(self, traffic: Traffic, kind: str) -> Transfer:
        problem = routing_problem(self.package, traffic)
        return Transfer(next(self.transfers), kind, pairs_of(problem), problem)
