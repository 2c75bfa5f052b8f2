"""What a step takes by a roofline of its layers: many times faster than a schedule, and near it.

A layer takes as long as its most occupied stack or channel, which loads weights and keys and values of
attention and the experts that the layer's tokens use; or, if that is longer, as the attention of the busiest
host and after it loading or computing its experts: loads of the next layer's attention run beside those.
Where experts load ahead (``experts="used"`` or ``"all"``), the step takes as long as the most occupied stack
in all layers, or as all arithmetic one after the other. The sum over layers and head leaves out dispatch and
combine, and room in SRAM. It serves as control: the ratio of a schedule to it changes slowly with the batch,
so that schedules at some batches tell the times at others (`noptoolkit.serving.times`).
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import flow_network
from noptoolkit.nodes import (
    attention_work,
    compute_time,
    dense_work,
    expert_work,
    head_tokens,
    head_work,
    router_work,
    shared_work,
)
from noptoolkit.nodes.operations import Work, cache_traffic
from noptoolkit.package import Chiplet
from noptoolkit.serving.server import Server
from noptoolkit.step import StepOptions
from noptoolkit.step.caches import cache_shares, tensor_parameters, tensor_work
from noptoolkit.step.hosts import hosts_of, sequences_of
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.step.routes import named_routing, own_resources, pair_use
from noptoolkit.step.transfers import Pair
from noptoolkit.touched import token_places
from noptoolkit.workload import Batch

__all__ = ["Estimate", "StepEstimates"]

DRAWS = 8
"""Batches of a size over which an estimate is averaged."""

GOLDEN = (5**0.5 - 1) / 2
"""Shift of each next batch, in traces: no multiple of any distance between the tokens of a batch."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A step by its roofline: the mean over several batches of its size.

    Parameters
    ----------
    time, spread
        Mean and standard deviation, in s.
    first
        Time of batch number 0, the one that a schedule takes, in s.
    loading, computing
        Mean of the parts that the stacks and that the arithmetic take if nothing else did, in s.
    moved
        Bytes read from the stacks by batch number 0, caches counted.
    """

    time: float
    spread: float
    first: float
    loading: float
    computing: float
    moved: float


class StepEstimates:
    """Estimates of a server's steps: holds what all of them need."""

    def __init__(self, server: Server) -> None:
        self.server = server
        package, options = server.package, server.options
        known = {field.name for field in dataclasses.fields(StepOptions)}
        self.options = StepOptions(**{k: v for k, v in options.items() if k in known})
        self.stacks = MemoryStacks(package)
        self.chiplets = [*package.terminals]
        self.network = flow_network(package)
        named = (
            self.options.routing if self.options.routing not in ("optimal", "optimal-split") else "shortest"
        )
        self.routing = named_routing(package, named)
        self.own = own_resources(self.network)
        self.known: dict[Pair, Floats] = {}
        per_byte = [np.zeros(self.network.num_resources) for _ in self.chiplets]
        for j, name in enumerate(self.chiplets):
            for memory, part in self.stacks.shares(name):
                per_byte[j] = per_byte[j] + part * self.movement((memory.name, name))
        self.seconds = np.array(per_byte).T  # s per B that a chiplet loads, on each resource
        model = server.workload.model
        trace = server.workload.trace
        whole = trace.num_layers == model.layers
        turn = itertools.cycle(range(trace.num_layers))
        rows = [None if dense else i if whole else next(turn) for i, dense in enumerate(model.is_dense)]
        kinds = list(zip(rows, model.is_windowed, strict=True))
        self.times = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def movement(self, ends: Pair) -> Floats:
        """Return how long each byte between stack and chiplet occupies each resource, in s/B, [resources]."""
        if ends not in self.known:
            share = self.options.efficiency
            arcs = self.routing.pair(None, ends, 1.0)  # type: ignore[arg-type]
            takes = pair_use(self.network, ends, arcs) / (self.network.capacity * share.network)
            stack = next(end for end in ends if end in self.own)
            memory = self.server.package[stack]
            own = self.own[stack]
            longest = max(float(takes[own].max()), 1 / (memory.bandwidth * share.memory))  # type: ignore[union-attr]
            takes = takes if self.options.weights_on_network else np.zeros_like(takes)
            takes[own] = longest
            self.known[ends] = takes
        return self.known[ends]

    @cached_property
    def served(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Experts and chiplets of each token of each row of the trace, [tokens, k]."""
        trace, layout = self.server.workload.trace, self.server.layout
        chiplets = layout.chiplets(trace)
        return [
            (trace.topk[i].astype(np.int64), chiplets[i].astype(np.int64)) for i in range(trace.num_layers)
        ]

    def of(self, batch: Batch, draws: int = DRAWS) -> Estimate:
        """Return the estimate of a step."""
        server, model = self.server, self.server.workload.model
        value, compute = batch.bytes_per_value, self.options.efficiency.compute
        hosts = hosts_of(server.package, self.options.hosts)
        tensor = self.options.attention == "tensor" and len(hosts) > 1
        sequences = sequences_of(hosts, batch, 1, equal=tensor)
        hosted = tuple(sequences)
        total = sum(sequences.values())
        busiest = max(sequences, key=lambda name: sequences[name] / self._flops(name))
        share = sequences[busiest] / total
        placed = cache_shares(server.package, model, self.stacks, self.options.cache, sequences)
        parameters = tensor_parameters(model, len(hosted)) if tensor else model.attention_parameters

        def attention(windowed: bool) -> Work:
            if tensor:
                return tensor_work(model, batch, batch.sequences, len(hosted), windowed=windowed)
            return attention_work(model, batch, share * batch.sequences, windowed=windowed, prompts=share)

        def weights(count: float) -> Floats:
            sizes = np.zeros(len(self.chiplets))
            sizes[[self.chiplets.index(name) for name in hosted]] = count * value
            return self.seconds @ sizes

        ahead = self.options.experts != "routed"
        loading = computing = moved = 0.0
        experts = {
            row: self._experts(row, batch, draws) for row in {row for row, _ in self.times} if row is not None
        }
        time = np.zeros(draws)
        loads, works = np.zeros((draws, len(self.seconds))), np.zeros(draws)  # of a step that loads ahead
        for (row, windowed), repeats in self.times.items():
            read, _ = cache_traffic(model, batch, windowed=windowed)
            cached = np.zeros(len(self.seconds))
            for place, part in placed.items():
                cached += read * part * self.movement(place)
            beside = (
                model.dense_parameters if row is None else model.shared_parameters + model.router_parameters
            )
            load = weights(parameters + 2 * model.hidden + beside) + cached
            work = attention(windowed)
            tokens = batch.tokens * share
            work += dense_work(model, tokens, value) if row is None else shared_work(model, tokens, value)
            if row is not None:
                work += router_work(model, tokens, value)
            host = compute_time(server.package[busiest], work, compute)  # type: ignore[arg-type]
            here, there, size = experts[row] if row is not None else (np.zeros_like(loads), works * 0, 0.0)
            ends, most = here.max(axis=1, initial=0.0), float(load.max(initial=0.0))
            moved += repeats * (len(hosted) * (parameters + beside) * value + read + size)
            loading += repeats * (most + ends.mean())
            computing += repeats * (host + there.mean())
            if ahead:
                loads += repeats * (load + here)
                works += repeats * (host + there)
            else:
                time += repeats * np.maximum(
                    (load + here).max(axis=1, initial=0.0), host + np.maximum(ends, there)
                )
        load = weights(model.vocab * model.hidden)
        work = head_work(model, head_tokens(batch) * share, value)
        host = compute_time(server.package[busiest], work, compute)  # type: ignore[arg-type]
        if self.options.split_head:
            load = load / max(len(self.chiplets), 1)
            host = host / max(len(server.package.experts), 1)
        last = float(load.max(initial=0.0))
        loading, computing = loading + last, computing + host
        moved += len(hosted) * model.vocab * model.hidden * value
        if ahead:
            time = np.maximum((loads + load).max(axis=1, initial=0.0), works + host)
        else:
            time += max(last, host)
        return Estimate(
            float(time.mean()),
            float(time.std()),
            float(time[0]),
            float(loading),
            float(computing),
            float(moved),
        )

    def _held(self, row: int) -> Ints:
        """Return how many experts of a layer each chiplet of the layout has, copies counted, [chiplets]."""
        layout = self.server.layout
        held: Ints = layout.holds[min(row, layout.num_layers - 1)].sum(axis=1)
        return held

    def _flops(self, name: str) -> float:
        return getattr(self.server.package[name], "flops", None) or 1.0

    def _experts(self, row: int, batch: Batch, draws: int) -> tuple[Floats, Floats, float]:
        """Return what a layer's experts take in each draw, and bytes of the first.

        Time of each resource in loading them, [draws, resources], and of the busiest chiplet in computing.
        """
        server, model = self.server, self.server.workload.model
        ids, chiplets = self.served[row]
        here, there = np.zeros((draws, len(self.seconds))), np.zeros(draws)
        first = 0.0
        there_are, experts = len(ids), model.experts
        names = server.layout.experts
        size = model.expert_parameters * batch.bytes_per_value
        index = np.array([self.chiplets.index(name) for name in names])
        per_choice = [
            compute_time(node, expert_work(model, 1.0, 0.0), self.options.efficiency.compute)
            for node in (server.package[name] for name in names)
            if isinstance(node, Chiplet)
        ]
        for k in range(draws):
            number = self.options.number + int(k * GOLDEN * there_are)
            places = token_places(batch.tokens, there_are, number)
            key = chiplets[places].ravel() * experts + ids[places].ravel()
            counts = np.bincount(key, minlength=len(names) * experts).reshape(len(names), experts)
            used = self._held(row) if self.options.experts == "all" else (counts > 0).sum(axis=1)
            sizes = np.zeros(len(self.chiplets))
            sizes[index] = used * size
            here[k] = self.seconds @ sizes
            there[k] = float((counts.sum(axis=1) * np.array(per_choice)).max())
            if k == 0:
                first = float(sizes.sum())
        return here, there, first
