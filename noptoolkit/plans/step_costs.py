"""What the chunks of a plan cost: seconds of computation and of communication per micro-batch.

Per layer and micro-batch, with R = b s / CP tokens of h values, T = R / TP of them a rank's own, C = T k
copies, 2 B per value, and the times of all groups of a dimension at once (`noptoolkit.plans.group_times`):

* TP, twice around attention, and around a dense or shared feed-forward: all-gather of T h, then
  reduce-scatter; as much backward;
* CP: keys and values, 2 R g d / TP, to the other members of the ring; backward they come again and their
  gradients go back, twice as much. Hidden behind attention's scores as far as these last;
* EP: all-to-all of C h for dispatch and for combine; as much backward;
* ETP: all-gather of C h, then reduce-scatter; as much backward;
* PP: T h to the next stage, and its gradient back;
* after the last micro-batch, among replicas: gradients (FP32, 4 B) are reduce-scattered, weights (2 B)
  all-gathered; ZeRO 0: gradients all-reduced; ZeRO 3: weights gathered for every forward and backward, too.

Full recomputation repeats the forward and its communication before each backward.

Source of the traffic: MoE Parallel Folding (arXiv 2504.14960), Megatron-LM (arXiv 2104.04473, 2205.05198),
ZeRO (arXiv 1910.02054); ring attention's volume is derived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.plans.checks import micro_batch_size, micro_batches_of
from noptoolkit.plans.constants import Rates, StepConstants
from noptoolkit.plans.group_times import Family
from noptoolkit.plans.memory import GRADIENT_BYTES, parameters_of
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.rank_work import head_work_of, layer_work
from noptoolkit.plans.routed_experts import RoutedLayer
from noptoolkit.plans.stages import Chunk, chunks_of
from noptoolkit.workload import Batch, MoEModel

__all__ = ["FamilyExchange", "PlanCosts", "costs_of", "gradient_exchanges", "layer_exchanges"]

VALUE = 2.0
UPDATE_BYTES = 30.0
"""Bytes that an update moves per parameter: FP32 weight, two moments, read and written; gradient, weight."""

Times = Callable[[Family], float]
"""Seconds per byte of a family: reached, or a bound."""

LayerCosts = tuple[
    dict[bool, tuple[float, float, float, dict[str, tuple[float, float]]]], tuple[float, float, float]
]
"""Of a layer with or without experts: forward, backward, its weight part, communication; then the head."""


class FamilyExchange(NamedTuple):
    """A collective that a layer or a step runs in all groups of a family: one time serves many plans.

    `noptoolkit.plans.exchanges_of` lists the same by ranks and buffers; tests hold the two together.

    Parameters
    ----------
    dimension
        ``tp``, ``cp``, ``ep``, ``etp``, ``dp`` or ``edp``.
    family
        Its groups.
    size
        Bytes that each member owns.
    forward, backward
        How often it runs.
    """

    dimension: str
    family: Family
    size: float
    forward: float
    backward: float


def layer_exchanges(
    plan: ParallelPlan, model: MoEModel, batch: Batch, micro_batch: int, *, moe: bool
) -> list[FamilyExchange]:
    """Return the collectives of one layer and micro-batch; see the module."""
    rows = micro_batch * batch.sequence_length / plan.cp
    own = rows / plan.tp * model.hidden * VALUE
    back = 1.0 if batch.mode == "training" else 0.0
    wide = (model.shared_experts > 0) if moe else True
    blocks = 2.0 if wide else 1.0
    found = []
    if plan.tp > 1:
        found += [
            FamilyExchange("tp", Family(kind, plan.tp, 1), own, blocks, back * blocks)
            for kind in ("all-gather", "reduce-scatter")
        ]
    if plan.cp > 1:
        if model.latent_attention is None:
            values = 2.0 * max(model.kv_heads / plan.tp, 1.0) * model.head_dim
        else:
            values = float(model.latent_attention.kv_rank + model.latent_attention.rope_dim)
        found += [
            FamilyExchange("cp", Family("all-gather", plan.cp, plan.tp), rows * values * VALUE, 1.0, back),
            FamilyExchange(
                "cp", Family("reduce-scatter", plan.cp, plan.tp), rows * values * VALUE, 0.0, back
            ),
        ]
    if moe:
        copies = own * model.top_k
        stride = plan.etp if plan.folded else plan.tp * plan.cp
        if plan.ep > 1:
            found.append(FamilyExchange("ep", Family("all-to-all", plan.ep, stride), copies, 2.0, 2.0 * back))
        if plan.etp > 1:
            found += [
                FamilyExchange("etp", Family(kind, plan.etp, 1), copies, 1.0, back)
                for kind in ("all-gather", "reduce-scatter")
            ]
    return found


def gradient_exchanges(
    plan: ParallelPlan, dense: float, expert: float, micro_batches: int
) -> list[FamilyExchange]:
    """Return the collectives among replicas of a step, for a rank with so many parameters."""
    assert plan.dp is not None
    assert plan.edp is not None
    found = []
    inner = 1 if plan.folded else plan.cp
    experts = Family("", plan.edp, plan.etp * plan.ep)
    if inner > 1:
        experts = Family("", plan.edp, plan.tp, inner, plan.pp)
    for dimension, family, count in (
        ("dp", Family("", plan.dp * plan.cp, plan.tp), dense),
        ("edp", experts, expert),
    ):
        if family.size == 1 or not count:
            continue
        weights = 0.0 if plan.zero == 0 else 1.0 + (2.0 * micro_batches - 1.0) * (plan.zero == 3)
        passes = [("reduce-scatter", GRADIENT_BYTES, 1.0), ("all-gather", VALUE, weights)]
        if plan.zero == 0:
            passes[1] = ("all-gather", GRADIENT_BYTES, 1.0)
        found += [
            FamilyExchange(dimension, family._replace(kind=kind), count * size / family.size, times, 0.0)
            for kind, size, times in passes
        ]
    return found


@dataclass(frozen=True, eq=False)
class PlanCosts:
    """Seconds of every virtual stage per micro-batch, and of a step's end.

    Parameters
    ----------
    micro_batches
        Of a replica.
    forward, backward
        Computation of each virtual stage, overhead included, in s, [pp x vpp].
    weight
        Part of ``backward`` that computes gradients of weights, in s, [pp x vpp].
    network
        Communication by dimension, in s, [pp x vpp, 2]: forward and backward.
    transfer
        Time of a message between stages, in s.
    gradients
        Exchange among replicas, all of it, in s, by dimension.
    update
        The optimiser's, in s.
    """

    micro_batches: int
    forward: Floats
    backward: Floats
    weight: Floats
    network: dict[str, Floats]
    transfer: float
    gradients: dict[str, float]
    update: float

    @property
    def talk(self) -> Floats:
        """Communication of each virtual stage, forward and backward, in s, [pp x vpp, 2]."""
        total = np.zeros((len(self.forward), 2))
        for part in self.network.values():
            total += part
        return total


def costs_of(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    rates: Rates,
    constants: StepConstants,
    times: Times,
    chunks: tuple[Chunk, ...] | None = None,
    memo: dict[tuple[object, ...], LayerCosts] | None = None,
    experts: RoutedLayer | None = None,
) -> PlanCosts:
    """Return what the chunks of a plan cost.

    Parameters
    ----------
    plan
        A plan that fits the model, the batch and the world.
    rates, constants
        Of the chiplets.
    times
        Seconds per byte of a family.
    chunks
        The plan's virtual stages in forward order, where they are known already.
    memo
        Where costs of layers are kept that plans of one model, machine and ``times`` share.
    experts
        What a trace makes of the experts (`noptoolkit.plans.routed_experts`); tokens are dealt evenly where
        None.
    """
    if chunks is None:
        chunks = virtual_stages(plan, model)
    count = micro_batches_of(plan, batch)
    micro_batch = micro_batch_size(plan, batch)
    memory = rates.memory * constants.efficiency.memory
    share = constants.efficiency.network
    training = batch.mode == "training"
    again = training and plan.recompute == "full"
    name = (plan.tp, plan.cp, plan.ep, plan.etp, plan.folded, micro_batch, again)
    known = memo.get(name) if memo is not None else None
    if known is None:
        known = _layer_costs(plan, model, batch, rates, constants, times, experts)
        if memo is not None:
            memo[name] = known
    layers, head = known
    stages = len(chunks)
    ahead, behind, gradient = np.zeros(stages), np.zeros(stages), np.zeros(stages)
    network: dict[str, Floats] = {}
    for j, chunk in enumerate(chunks):
        for moe, number in ((True, chunk.moe_layers), (False, chunk.dense_layers)):
            if not number:
                continue
            forward, backward, weight, talk = layers[moe]
            ahead[j] += number * forward
            behind[j] += number * backward
            gradient[j] += number * weight
            for dimension, (there, back) in talk.items():
                network.setdefault(dimension, np.zeros((stages, 2)))[j] += (number * there, number * back)
        if chunk.head:
            ahead[j] += head[0]
            behind[j] += head[1]
            gradient[j] += head[2]
    if not training:
        behind[:] = gradient[:] = 0.0
    rows = micro_batch * batch.sequence_length / (plan.cp * plan.tp)
    message = rows * model.hidden * VALUE
    transfer = 0.0
    if plan.pp > 1:
        transfer = message * times(Family("send", plan.pp, plan.world // plan.pp)) / share
    gradients: dict[str, float] = {}
    update = 0.0
    if training:
        gradients, update = _end_of_step(plan, model, chunks, count, times, share, memory)
    return PlanCosts(count, ahead, behind, gradient, network, transfer, gradients, update)


def _layer_costs(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    rates: Rates,
    constants: StepConstants,
    times: Times,
    experts: RoutedLayer | None,
) -> LayerCosts:
    """Return the costs of a layer with and without experts, and of the head."""
    micro_batch = micro_batch_size(plan, batch)
    peak = rates.flops * constants.efficiency.compute
    memory = rates.memory * constants.efficiency.memory
    share = constants.efficiency.network
    training = batch.mode == "training"
    again = training and plan.recompute == "full"
    layers: dict[bool, tuple[float, float, float, dict[str, tuple[float, float]]]] = {}
    for moe in ((True,) if model.moe_layers else ()) + ((False,) if model.dense_layers else ()):
        routed = experts if moe else None
        busiest = 1.0 if routed is None else routed.busiest
        work = layer_work(model, plan, batch, micro_batch, moe=moe, busiest=busiest)
        forward, backward, weight = work.seconds(peak, memory)
        talk: dict[str, tuple[float, float]] = {}
        for exchange in layer_exchanges(plan, model, batch, micro_batch, moe=moe):
            if routed is None or exchange.dimension not in ("ep", "etp"):
                per = exchange.size * times(exchange.family) / share
            elif exchange.dimension == "etp":
                per = routed.gathered * exchange.size * times(exchange.family) / share
            else:
                per = routed.exchange / 2.0 / share
            before = talk.get(exchange.dimension, (0.0, 0.0))
            sent = exchange.backward + (exchange.forward if again else 0.0)
            talk[exchange.dimension] = (before[0] + exchange.forward * per, before[1] + sent * per)
        if "cp" in talk:
            hidden = work.scores / peak
            there, back = talk["cp"]
            talk["cp"] = (max(there - hidden, 0.0), max(back - (2.5 + again) * hidden, 0.0))
        third = constants.layer_overhead / 3.0 if training else constants.layer_overhead
        backward += forward * again
        layers[moe] = (forward + third, backward + 2.0 * third, weight, talk)
    head = head_work_of(model, plan, batch, micro_batch).seconds(peak, memory)
    return layers, head


@lru_cache(maxsize=4096)
def _cut(model: MoEModel, pp: int, vpp: int, layers: tuple[int, ...] | None) -> tuple[Chunk, ...]:
    plan = ParallelPlan(pp=pp, vpp=vpp, layers=layers)
    found = {chunk.stage: chunk for held in chunks_of(plan, model) for chunk in held}
    return tuple(found[stage] for stage in sorted(found))


def virtual_stages(plan: ParallelPlan, model: MoEModel) -> tuple[Chunk, ...]:
    """Return the virtual stages of a plan in forward order."""
    return _cut(model, plan.pp, plan.vpp, plan.layers)


def _end_of_step(
    plan: ParallelPlan,
    model: MoEModel,
    chunks: tuple[Chunk, ...],
    micro_batches: int,
    times: Times,
    share: float,
    memory: float,
) -> tuple[dict[str, float], float]:
    """Return the exchange among replicas by dimension and the update of the slowest rank, in s."""
    assert plan.dp is not None
    assert plan.edp is not None
    worst: tuple[float, dict[str, float], float] = (-1.0, {}, 0.0)
    for rank in {0, plan.pp - 1}:
        dense, expert = parameters_of(plan, model, chunks[rank :: plan.pp])
        spent: dict[str, float] = {}
        for exchange in gradient_exchanges(plan, dense, expert, micro_batches):
            took = exchange.forward * exchange.size * times(exchange.family) / share
            spent[exchange.dimension] = spent.get(exchange.dimension, 0.0) + took
        split = (plan.dp * plan.cp, plan.edp) if plan.zero else (1, 1)
        update = UPDATE_BYTES * (dense / split[0] + expert / split[1]) / memory
        total = sum(spent.values()) + update
        if total > worst[0]:
            worst = (total, spent, update)
    return worst[1], worst[2]
