"""What each chiplet of a plan must hold, stage by stage, and whether it has the room.

States. A parameter takes 2 B as a weight (the batch's ``bytes_per_value``), ``gradient_bytes`` as a
gradient and ``optimiser_bytes`` in the optimiser: 2 and 12 in ZeRO's paper (arXiv 1910.02054: Adam with
FP32 master weights), 4 and 12 in Megatron-Core. ZeRO stage 1 divides the optimiser's state among the
replicas, 2 the gradients too, 3 the weights too: DP x CP replicas of attention, norms, routers, dense
layers and embeddings, EDP replicas of an expert.

Cut by TP: attention's projections (key-value heads no finer than one), dense and shared widths, embedding
and head; not cut: norms and routers. Cut by EP and ETP: experts. Activations:
`noptoolkit.plans.activations`, times the micro-batches in flight, which are counted along the schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit.errors import PlanError
from noptoolkit.nodes.operations import kv_bytes_per_token
from noptoolkit.plans.activations import head_activations, layer_activations
from noptoolkit.plans.checks import check_fits, micro_batch_size, micro_batches_of
from noptoolkit.plans.in_flight import in_flight, most_held
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.stages import Chunk, chunks_of
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import Batch, MoEModel

if TYPE_CHECKING:
    from noptoolkit.package import Package

__all__ = [
    "GRADIENT_BYTES",
    "OPTIMISER_BYTES",
    "PlanMemory",
    "Room",
    "StageMemory",
    "plan_memory",
    "rooms_of",
]

GRADIENT_BYTES, OPTIMISER_BYTES = 4.0, 12.0
"""Per parameter, as in Megatron-Core: FP32 gradients; FP32 master weight and Adam's two moments."""


@dataclass(frozen=True)
class Room:
    """What a chiplet can hold.

    Parameters
    ----------
    sram
        Its own SRAM, in B; 0 where the package does not say.
    stacks
        Its part of the memory stacks that serve it, shared equally with their other chiplets, in B.
    """

    sram: float = field(metadata={"unit": "B"})
    stacks: float = field(metadata={"unit": "B"})

    @property
    def most(self) -> float:
        """The larger of both, in B: states and activations live in one of them."""
        return max(self.sram, self.stacks)


def rooms_of(package: Package) -> dict[str, Room]:
    """Return the room of each chiplet by name.

    Raises
    ------
    PlanError
        If no chiplet of the package has SRAM or a memory stack.
    """
    from noptoolkit.step.memory_stacks import MemoryStacks

    stacks = MemoryStacks(package).stacks
    users: dict[str, int] = {}
    for held in stacks.values():
        for memory in held:
            users[memory.name] = users.get(memory.name, 0) + 1
    rooms = {}
    for chiplet in package.chiplets:
        shares = [
            float("inf") if memory.capacity is None else memory.capacity / users[memory.name]
            for memory in stacks[chiplet.name]
        ]
        rooms[chiplet.name] = Room(chiplet.sram or 0.0, float(sum(shares)))
    if not any(room.most for room in rooms.values()):
        raise PlanError(
            f"package {package.name!r} has no memory: no chiplet has SRAM and there are no memory stacks; "
            "give the builder memory=True or sram='80 MB'"
        )
    return rooms


@dataclass(frozen=True)
class StageMemory:
    """What one rank of a pipeline stage holds.

    Parameters
    ----------
    rank
        Pipeline rank.
    chunks
        What it holds of the model.
    micro_batches
        Micro-batches in flight of each chunk when most is held.
    terms
        Bytes by name, such as ``optimiser of experts``.
    room
        What the smallest chiplet of the stage can hold; ``None`` without a package.
    """

    rank: int
    chunks: tuple[Chunk, ...]
    micro_batches: tuple[int, ...]
    terms: dict[str, float] = field(metadata={"unit": "B"})
    room: Room | None = None

    @property
    def total(self) -> float:
        """All of it, in B."""
        return float(sum(self.terms.values()))

    @property
    def states(self) -> float:
        """Weights, gradients and the optimiser's state, in B."""
        return float(sum(size for name, size in self.terms.items() if name.split()[0] in STATES))

    @property
    def largest(self) -> str:
        """Name of the largest term."""
        return max(self.terms, key=lambda name: self.terms[name])

    @property
    def fits(self) -> bool:
        """Whether it has the room; without a package, yes."""
        return self.room is None or self.total <= self.room.most

    @property
    def place(self) -> str:
        """Where it lives: ``SRAM``, ``memory stacks``, ``nowhere``; empty without a package."""
        if self.room is None:
            return ""
        if self.total <= self.room.sram:
            return "SRAM"
        return "memory stacks" if self.total <= self.room.stacks else "nowhere"


STATES = ("weights", "gradients", "optimiser")


@dataclass(frozen=True, repr=False)
class PlanMemory:
    """What every stage of a plan holds, and the verdict.

    Parameters
    ----------
    plan, model, batch
        What was asked.
    stages
        One for each pipeline rank.
    """

    plan: ParallelPlan
    model: MoEModel
    batch: Batch
    stages: tuple[StageMemory, ...]

    def __repr__(self) -> str:
        return f"PlanMemory({self.plan} of {self.model.name}: {self.verdict})"

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def worst(self) -> StageMemory:
        """The stage with the least room left; without a package, the one that holds most."""
        return max(
            self.stages,
            key=lambda stage: stage.total - (stage.room.most if stage.room is not None else 0.0),
        )

    @property
    def total(self) -> float:
        """What the fullest rank holds, in B."""
        return max(stage.total for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Whether every stage has the room; without a package, yes."""
        return all(stage.fits for stage in self.stages)

    @property
    def verdict(self) -> str:
        """One line: fits and where, or out of memory with the largest term named."""
        worst = self.worst
        total, term = format_quantity(worst.total, "B"), worst.largest
        part = format_quantity(worst.terms[term], "B")
        if worst.room is None:
            return f"at most {total}, on stage {worst.rank}; the largest term is {term}, {part}"
        if not self.fits:
            has = format_quantity(worst.room.most, "B")
            needs = f"stage {worst.rank} needs {total} of {has}"
            return f"out of memory: {needs}; the largest term is {term}, {part}"
        space = worst.room.sram if worst.place == "SRAM" else worst.room.stacks
        has_text = "unlimited" if space == float("inf") else format_quantity(space, "B")
        return f"fits in {worst.place}: stage {worst.rank} needs {total} of {has_text}"

    def table(self) -> Table:
        """Return the terms of each stage as a table."""
        names = [name for name in self.stages[0].terms if any(stage.terms[name] for stage in self.stages)]
        columns = [
            Column("stage", meaning="pipeline rank"),
            Column("layers", meaning="layers that it holds"),
            Column("in_flight", "in flight", meaning="micro-batches whose activations it holds, by chunk"),
            *(Column(name.replace(" ", "_"), name, unit="B", meaning=f"bytes of {name}") for name in names),
            Column("total", unit="B", meaning="bytes that a rank holds"),
            Column("room", unit="B", meaning="bytes that its chiplet can hold"),
        ]
        rows = [
            [
                stage.rank,
                sum(chunk.num_layers for chunk in stage.chunks),
                "+".join(map(str, stage.micro_batches)),
                *(stage.terms[name] for name in names),
                stage.total,
                stage.room.most if stage.room is not None and stage.room.most < float("inf") else None,
            ]
            for stage in self.stages
        ]
        return Table(columns, rows, title=repr(self))


def plan_memory(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    *,
    rooms: Sequence[Room] | None = None,
    gradient_bytes: float = GRADIENT_BYTES,
    optimiser_bytes: float = OPTIMISER_BYTES,
) -> PlanMemory:
    """Return what each rank of a plan must hold.

    Parameters
    ----------
    plan
        A plan of known world.
    model, batch
        In training, states and activations count; in prefill and decode, weights, one micro-batch's
        activations of one layer, and the cache of keys and values of all of a replica's sequences.
    rooms
        Room of the chiplet of each rank, [world]; see `rooms_of` and `noptoolkit.plans.place`.
    gradient_bytes, optimiser_bytes
        Per parameter; see the module.

    Raises
    ------
    PlanError
        If the plan does not fit the model and the batch (see `check_plan`), or rooms are not one for each
        rank.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> workload = load_workload("mixtral-8x22b")
    >>> memory = plan_memory(ParallelPlan(tp=2, ep=8, pp=8, dp=8), workload.model, workload.batch)
    >>> round(memory.stages[0].states / 1e9, 1)
    28.4
    """
    check_fits(plan, model, batch)
    for what, value in (("gradient_bytes", gradient_bytes), ("optimiser_bytes", optimiser_bytes)):
        if not 0 <= value < float("inf"):
            raise PlanError(f"{what} = {value!r} is not a number of 0 or more")
    if rooms is not None and len(rooms) != plan.world:
        raise PlanError(f"plan {plan}: {len(rooms)} rooms for {plan.world} ranks; give one for each rank")
    two_way = ORDERS[plan.schedule or "1f1b"].two_way
    training = batch.mode == "training"
    moments = in_flight(plan.schedule or "1f1b", plan.pp, micro_batches_of(plan, batch), plan.vpp)
    per_stage = None if rooms is None else np.array_split(np.arange(plan.world), plan.pp)
    stages = []
    for rank, chunks in enumerate(chunks_of(plan, model)):
        dense, expert = parameters_of(plan, model, chunks, both_ends=two_way)
        terms = _states(plan, batch, dense, expert, training, gradient_bytes, optimiser_bytes)
        activations, counts = _activations(plan, model, batch, chunks, moments[rank] if training else None)
        terms |= activations
        room = None
        if rooms is not None and per_stage is not None:
            room = min((rooms[r] for r in per_stage[rank].tolist()), key=lambda held: held.most)
        stages.append(StageMemory(rank, chunks, counts, terms, room))
    return PlanMemory(plan, model, batch, tuple(stages))


def parameters_of(
    plan: ParallelPlan, model: MoEModel, chunks: Sequence[Chunk], *, both_ends: bool = False
) -> tuple[float, float]:
    """Return the parameters that one rank holds of some chunks: all but experts, and experts.

    With ``both_ends`` (DualPipe) the rank at an end holds embedding and head, once each.
    """
    tp = plan.tp
    layer = attention_share(model, tp) + 2.0 * model.hidden
    moe = model.router_parameters + model.shared_parameters / tp
    plain = model.dense_parameters / tp
    dense = sum(
        chunk.num_layers * layer + chunk.moe_layers * moe + chunk.dense_layers * plain for chunk in chunks
    )
    table = float(model.vocab * model.hidden) / tp
    embedding, head = any(chunk.embedding for chunk in chunks), any(chunk.head for chunk in chunks)
    one_table = model.tied_embeddings and embedding and head
    dense += table * (embedding + head - one_table) + model.hidden * head
    expert = model.experts / plan.ep * model.expert_parameters / plan.etp
    return float(dense), float(sum(chunk.moe_layers for chunk in chunks) * expert)


def attention_share(model: MoEModel, tp: int) -> float:
    """Return the parameters of one layer's attention on one of TP ranks; latents and norms are not cut."""
    if (mla := model.latent_attention) is not None:
        down = model.hidden * (mla.query_rank + mla.kv_rank + mla.rope_dim) + mla.query_rank + mla.kv_rank
        return down + (model.attention_parameters - down) / tp
    keys = 2.0 * model.hidden * model.kv_heads * model.head_dim
    norm = {"none": 0, "head": 2 * model.head_dim, "full": 0}[model.qk_norm]
    rest = model.attention_parameters - norm - keys
    return norm + rest / tp + keys * max(1.0 / tp, 1.0 / model.kv_heads)


def _states(
    plan: ParallelPlan,
    batch: Batch,
    dense: float,
    expert: float,
    training: bool,
    gradient_bytes: float,
    optimiser_bytes: float,
) -> dict[str, float]:
    assert plan.dp is not None
    assert plan.edp is not None
    terms = {}
    for name, count, replicas in (
        ("attention and dense", dense, plan.dp * plan.cp),
        ("experts", expert, plan.edp),
    ):
        for what, each, stage in (
            ("weights", float(batch.bytes_per_value), 3),
            ("gradients", gradient_bytes, 2),
            ("optimiser", optimiser_bytes, 1),
        ):
            held = count * each / (replicas if plan.zero >= stage else 1)
            terms[f"{what} of {name}"] = held if training or what == "weights" else 0.0
    return terms


def _activations(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    chunks: Sequence[Chunk],
    moments: np.ndarray[tuple[int, int], np.dtype[np.int64]] | None,
) -> tuple[dict[str, float], tuple[int, ...]]:
    decode = batch.mode == "decode"
    length = batch.tokens_per_sequence if decode else batch.sequence_length / plan.cp
    tokens = micro_batch_size(plan, batch) * length
    layers = {moe: layer_activations(plan, model, batch, tokens, moe=moe) for moe in (True, False)}
    sizes = np.array([c.moe_layers * layers[True] + c.dense_layers * layers[False] for c in chunks])
    heads = np.array([head_activations(plan, model, batch, tokens) if c.head else 0.0 for c in chunks])
    kinds = {bool(c.moe_layers) for c in chunks} | {not c.dense_layers for c in chunks}
    again = plan.replace(recompute="selective", dp=plan.dp)
    working = max(layer_activations(again, model, batch, tokens, moe=moe) for moe in kinds)
    terms = {"activations": 0.0, "logits": 0.0, "recomputed layer": 0.0, "cache of keys and values": 0.0}
    if moments is None:
        terms["activations"] = working
        terms["cache of keys and values"] = kv_cache(plan, model, batch, chunks)
        return terms, (1,) * len(chunks)
    _, counts = most_held(moments, sizes + heads)
    terms["activations"], terms["logits"] = float(counts @ sizes), float(counts @ heads)
    if plan.recompute == "full":
        terms["recomputed layer"] = working
    return terms, tuple(counts.tolist())


def kv_cache(plan: ParallelPlan, model: MoEModel, batch: Batch, chunks: Sequence[Chunk]) -> float:
    """Return the cache of keys and values on one rank, in B: all sequences of its replica, context cut by CP.

    Key-value heads are cut by TP, no finer than one; the latent of MLA is not. A layer with a window keeps no
    more than it sees.
    """
    assert plan.dp is not None
    share = 1.0 if model.latent_attention is not None else max(1.0 / plan.tp, 1.0 / model.kv_heads)
    length = batch.longest if batch.mode == "decode" else batch.cached + batch.sequence_length
    windows = [model.is_windowed[i] for chunk in chunks for i in range(*chunk.layers)]
    kept = sum(min(length, model.window or length) if windowed else length for windowed in windows)
    tokens = batch.sequences / plan.dp * kept / plan.cp
    return float(tokens * kv_bytes_per_token(model, batch) * share)
