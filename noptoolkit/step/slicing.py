"""Cuts what a step computes into slices of weights that fit in SRAM, and counts what each takes."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopWarning, ScheduleError, TopologyError, WorkloadError
from noptoolkit.nodes import OPTIMISERS, Work, compute_time, expert_work, update_work
from noptoolkit.package import Chiplet, Package
from noptoolkit.step.broadcasts import reading_of
from noptoolkit.step.caches import cache_shares, head_shares
from noptoolkit.step.hosts import check_computes, hosts_of, sequences_of
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.step.residents import Residents
from noptoolkit.step.step import Slice, StepOptions
from noptoolkit.step.transfers import Pair, Transfer, pairs_of
from noptoolkit.trace import RoutingTrace
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["SliceMaker"]


class SliceMaker:
    """Makes the slices of a step: holds what all its parts need."""

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
        check_computes(package)
        self.count = options.micro_batches or self.batch.micro_batches
        if self.batch.sequences % self.count:
            raise WorkloadError(
                f"{self.batch.sequences} sequences do not divide into {self.count} micro-batches; "
                f"use a divisor of {self.batch.sequences}"
            )
        self.tokens = self.batch.tokens / self.count
        hosts = hosts_of(package, options.hosts)
        self.tensor = options.attention == "tensor" and self.batch.mode != "training" and len(hosts) > 1
        self.sequences = sequences_of(hosts, self.batch, self.count, equal=self.tensor)
        self.hosts = tuple(self.sequences)
        self.stacks = MemoryStacks(package)
        self.placed = cache_shares(package, self.model, self.stacks, options.cache, self.sequences)
        if self.tensor and options.cache == "hosts":
            part = len(hosts) * head_shares(self.model, len(hosts))
            self.placed = {place: share * part for place, share in self.placed.items()}
        self.pinned: dict[str, float] = {}  # bytes of experts that stay in SRAM, by chiplet
        self.slices, self.transfers = itertools.count(), itertools.count()
        self.single: dict[str, float] = {}  # chiplets whose slices fit in SRAM once but not twice

    def warn_of_single_buffers(self) -> None:
        """Warn, once, of slices of which SRAM holds one but not two: none loads while another is used."""
        if not self.single:
            return
        name = max(self.single, key=lambda name: self.single[name])
        size, room = (
            format_quantity(self.single[name], "B"),
            format_quantity(self.chiplet(name).sram or 0.0, "B"),
        )
        warnings.warn(
            f"package {self.package.name!r}: {len(self.single)} chiplets, such as {name!r}, hold one slice "
            f"of {size} in {room} of SRAM but not two: no slice loads while another is used; use more than "
            f"slices={self.options.slices}, or leave it out",
            NopWarning,
            stacklevel=5,
        )

    @cached_property
    def shares(self) -> dict[str, float]:
        """Each host's share of a micro-batch."""
        return {host: count / sum(self.sequences.values()) for host, count in self.sequences.items()}

    def hosted(self, kind: str, parameters: int, work: Callable[[float], Work]) -> tuple[Slice, ...]:
        """Return the slices of an operation that every host does for its share of a micro-batch."""
        if parameters == 0:
            return ()
        made: dict[str, list[Slice]] = {}
        size = parameters * self.batch.bytes_per_value
        rooms = [None if self.streams else self.room(self.chiplet(host)) for host in self.hosts]
        parts = max(1 if room is None else math.ceil(2 * size / room) for room in rooms)
        for host in self.hosts:
            chiplet = self.chiplet(host)
            time = compute_time(chiplet, work(self.shares[host]), self.options.efficiency.compute)
            forward = np.full(self.count, time / parts)
            made[host] = [self.slice(host, kind, parameters / parts, forward, i) for i in range(parts)]
        if not (self.tensor and kind == "attention"):  # each host has heads of its own
            for names in self.sharing(self.hosts):
                for i in range(parts):
                    for part in self.read_once([made[name][i] for name in names]):
                        made[part.chiplet][i] = part
        return tuple(part for parts in made.values() for part in parts)

    def sharing(self, chiplets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the chiplets that share a reading of weights that all of them want, several at a time."""
        if self.options.weights == "each":
            return []
        alike: dict[tuple[tuple[str, float], ...], list[str]] = {}
        for name in chiplets:
            key = tuple((memory.name, share) for memory, share in self.stacks.shares(name))
            alike.setdefault(key, []).append(name)
        return [tuple(names) for key, names in alike.items() if key and len(names) > 1]

    def read_once(self, parts: Sequence[Slice]) -> list[Slice]:
        """Return slices of the same weights on several chiplets with one load for all, that of the first.

        Where nothing on the package copies, each keeps its own.
        """
        first, names = parts[0], [part.chiplet for part in parts]
        sizes = {memory.name: share * first.size for memory, share in self.stacks.shares(first.chiplet)}
        problem = reading_of(self.package, sizes, names, self.options.weights)
        if not problem.messages:
            return list(parts)
        load = Transfer(first.load.index, "load", pairs_of(problem), problem)
        rest = [replace(part, load=replace(part.load, pairs={}), reading=first.index) for part in parts[1:]]
        return [replace(first, load=load, reading=first.index), *rest]

    def expert_slices(
        self, parts: Sequence[RoutingTrace], layout: Allocation, kept: Residents
    ) -> tuple[tuple[Slice, ...], dict[str, float]]:
        """Return the slices of the experts, heavy ones first on their chiplet, and the bytes not read.

        In training, experts of which other chiplets hold copies are cut apart from the rest: their update
        waits for the exchange of gradients.
        """
        served = np.zeros((len(parts), len(layout.experts), layout.num_experts))
        for counts, part in zip(served, parts, strict=True):
            np.add.at(counts, (layout.chiplets(part)[0], part.topk[0]), 1.0)
        holds = layout.holds[0]
        training = self.batch.mode == "training"
        every = training or self.options.experts == "all"
        loads = holds if every else holds & (served.sum(axis=0) > 0)
        inside = np.zeros_like(holds)
        for name, experts in kept.items():
            inside[layout.experts.index(name), list(experts)] = True
        present, loads = loads & inside, loads & ~inside
        left = (holds & ~loads).sum(axis=1) * float(self.model.expert_parameters * self.batch.bytes_per_value)
        unread = {name: size for name, size in zip(layout.experts, left.tolist(), strict=True) if size}
        copied = holds.sum(axis=0) > 1 if training else np.zeros(len(holds[0]), np.bool_)
        made: list[Slice] = []
        for names, held in self.read_together(layout.experts, loads):
            places = np.array([layout.experts.index(name) for name in names], np.int64)
            made += self.shared_slices(names, held, served[:, places], 0 if training else None)
            loads[np.ix_(places, held)] = False
        for index, name in enumerate(self.package.experts):
            if present[index].any():
                made.append(self.resident_slice(name, np.flatnonzero(present[index]), served[:, index]))
            for exchanged in (True, False):
                held = np.flatnonzero(loads[index] & (copied == exchanged))
                if len(held):
                    made += self.expert_slices_of(name, held, served[:, index], 0 if exchanged else None)
        return tuple(made), unread

    def read_together(self, names: Sequence[str], loads: Bools) -> list[tuple[tuple[str, ...], Ints]]:
        """Return chiplets that share readings of experts, and the experts that exactly these share.

        Parameters
        ----------
        loads
            Whether each chiplet loads each expert, [chiplets, experts].
        """
        found: dict[tuple[str, ...], list[int]] = {}
        for expert in np.flatnonzero(loads.sum(axis=0) > 1).tolist():
            for sharing in self.sharing([names[i] for i in np.flatnonzero(loads[:, expert]).tolist()]):
                found.setdefault(sharing, []).append(expert)
        return [(sharing, np.array(held, np.int64)) for sharing, held in found.items()]

    def shared_slices(
        self, names: Sequence[str], held: Ints, counts: Floats, copies: int | None
    ) -> Iterator[Slice]:
        """Yield the slices of experts that some chiplets read together, cut alike on all of them.

        ``counts`` are the activations on each, [micro-batches, chiplets, experts].
        """
        model, width = self.model, self.batch.bytes_per_value
        held = held[np.argsort(-counts[:, :, held].sum(axis=(0, 1)), kind="stable")]
        cuts = [self.cut(self.chiplet(name), len(held), model.expert_parameters * width) for name in names]
        groups, split = max(cut[0] for cut in cuts), max(cut[1] for cut in cuts)
        for group in np.array_split(held, groups):
            parts = [self.slices_of(name, group, counts[:, i], split, copies) for i, name in enumerate(names)]
            for row in zip(*parts, strict=True):
                yield from self.read_once(row)

    def expert_slices_of(self, name: str, held: Ints, counts: Floats, copies: int | None) -> Iterator[Slice]:
        """Yield the slices of some experts of a chiplet, from its activations, [micro-batches, experts]."""
        model, width, chiplet = self.model, self.batch.bytes_per_value, self.chiplet(name)
        held = held[np.argsort(-counts[:, held].sum(axis=0), kind="stable")]
        groups, split = self.cut(chiplet, len(held), model.expert_parameters * width)
        for group in np.array_split(held, groups):
            yield from self.slices_of(name, group, counts, split, copies)

    def slices_of(
        self, name: str, group: Ints, counts: Floats, split: int, copies: int | None
    ) -> Iterator[Slice]:
        """Yield the equal slices into which some experts of a chiplet are split."""
        model, width, chiplet = self.model, self.batch.bytes_per_value, self.chiplet(name)
        parameters = len(group) * model.expert_parameters / split
        works = [
            expert_work(model, float(n) / split, len(group) / split, width)
            for n in counts[:, group].sum(axis=1)
        ]
        forward = np.array([compute_time(chiplet, w, self.options.efficiency.compute) for w in works])
        for _ in range(split):
            yield self.slice(name, "expert", parameters, forward, copies)

    def resident_slice(self, name: str, held: Ints, counts: Floats) -> Slice:
        """Return what a chiplet computes with experts that are in its SRAM: nothing to load."""
        works = [
            expert_work(self.model, float(n), len(held), self.batch.bytes_per_value)
            for n in counts[:, held].sum(axis=1)
        ]
        chiplet, share = self.chiplet(name), self.options.efficiency.compute
        forward = np.array([compute_time(chiplet, work, share) for work in works])
        return self.slice(name, "expert", 0.0, forward, None)

    def slice(self, chiplet: str, kind: str, parameters: float, forward: Floats, copies: int | None) -> Slice:
        """Return a slice of so many parameters, with its time forward for each micro-batch, in s."""
        size, node = parameters * self.batch.bytes_per_value, self.chiplet(chiplet)
        update = update_work(parameters, OPTIMISERS[self.options.optimiser])
        arithmetic = Work(update.flops)
        return Slice(
            chiplet,
            kind,
            size,
            update.written,
            self.move("load", self.stacks.pairs(chiplet, size, 0.0)),
            self.move("store", self.stacks.pairs(chiplet, update.read, size + update.written)),
            forward,
            compute_time(node, arithmetic, self.options.efficiency.compute),
            next(self.slices),
            copies,
            size if not self.streams else min(size, (self.room(node) or math.inf) / 2),
        )

    def cut(self, chiplet: Chiplet, experts: int, size: float) -> tuple[int, int]:
        """Return into how many groups a chiplet's experts are cut, and each group into how many slices.

        A slice is at most half of the SRAM, so that one is used while the next loads.
        """
        room = self.room(chiplet)
        if (asked := self.options.slices) == "stream":
            return 1, 1
        if asked is not None:
            groups, split = min(asked, experts), max(1, math.ceil(asked / experts))
            largest = math.ceil(experts / groups) * size / split
            if room is not None and largest > room:
                raise ScheduleError(
                    f"chiplet {chiplet.name!r}: a slice of {format_quantity(largest, 'B')} of weights "
                    f"does not fit in {format_quantity(room, 'B')} of SRAM; use more than "
                    f"slices={asked}, or leave it out for as many as it takes"
                )
            if room is not None and 2 * largest > room:
                self.single[chiplet.name] = largest
            return groups, split
        if room is None:
            return 1, 1
        at_once = int(room / 2 // size)
        if at_once >= 1:
            return math.ceil(experts / at_once), 1
        return experts, math.ceil(2 * size / room)

    @property
    def streams(self) -> bool:
        """Whether weights pass through SRAM and are not held there."""
        return self.options.slices == "stream"

    def room(self, chiplet: Chiplet) -> float | None:
        """Return the SRAM that is left for the ring of slices, in B; ``None`` where it is not limited."""
        return None if chiplet.sram is None else chiplet.sram - self.pinned.get(chiplet.name, 0.0)

    def move(self, kind: str, pairs: Mapping[Pair, float]) -> Transfer:
        """Return a movement between a chiplet and its stacks."""
        return Transfer(next(self.transfers), kind, pairs)

    def chiplet(self, name: str) -> Chiplet:
        """Return a chiplet by its name."""
        node = self.package[name]
        assert isinstance(node, Chiplet)
        return node
