"""Every collective that a plan asks for: which groups, how many bytes, how often.

With s tokens a sequence, micro-batches of b sequences, hidden width h, v bytes a value and A = s b h v / CP:

============  =====================================================================================
TP with SP    all-gather of A before and reduce-scatter of A after each block (attention, dense layer,
              shared experts); backward the other way round
TP without    all-reduce of A per block, forward and backward
CP            keys and values, 2 (s/CP) b g d v / TP, go round the ring: CP - 1 times forward, twice
              that backward; in decode an all-reduce of each head's partial result and its weight,
              b a (d + 1) v / TP
EP            all-to-all of (s/CP) b/TP x k h v, dispatch and combine, forward and backward
ETP           all-gather and reduce-scatter of ETP times that
PP            A (/TP with SP) to the next stage, and its gradient back, for every micro-batch and
              boundary
DP, EDP       reduce-scatter of gradients and all-gather of weights among the replicas, once a step;
              all-reduce for ZeRO 0; for ZeRO 3 weights are gathered twice a micro-batch
============  =====================================================================================

Sources: Megatron-Core; MoE Parallel Folding (arXiv 2504.14960) for the dispatcher; ring attention (arXiv
2310.01889); ZeRO (arXiv 1910.02054). A second gathering of the inputs in the backward, which Megatron-Core
hides behind the weight gradient, is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.nodes.operations import kv_bytes_per_token
from noptoolkit.plans.checks import check_fits, micro_batches_of
from noptoolkit.plans.dispatching import Copies, dispatched_bytes, rank_tokens
from noptoolkit.plans.groups import groups
from noptoolkit.plans.memory import GRADIENT_BYTES, parameters_of
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.stages import chunks_of
from noptoolkit.tables import Column, Table
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, MoEModel

__all__ = ["Exchange", "exchange_table", "exchanges_of"]

Direction = Literal["forward", "backward", "update"]
Where = Literal["every layer", "moe layer", "dense layer", "boundary", "replica"]


@dataclass(frozen=True)
class Exchange:
    """One collective of all groups of a dimension at the same time.

    Parameters
    ----------
    name
        What moves, such as ``dispatch``.
    dimension
        A key of `noptoolkit.plans.DIMENSIONS`, or ``next stage`` for messages between stages.
    kind
        A collective of `noptoolkit.collectives`; ``ring`` is a message of ``size`` from each member to the
        next.
    size
        Bytes of a group's buffer, as a `noptoolkit.collectives.Request` counts them.
    where
        Once per ``every layer``, ``moe layer`` or ``dense layer``, per ``boundary`` of stages, each of a
        micro-batch; or per ``replica`` of a stage, ``times`` a step.
    direction
        Pass that waits for it.
    times
        How often.
    shares
        Bytes from each member to each, [layers of the trace, members, members], where routing is not uniform.
    ranks
        Groups that take part, [groups, members], in ranks.
    """

    name: str
    dimension: str
    kind: str
    size: float = field(metadata={"unit": "B"})
    where: Where
    direction: Direction
    ranks: Ints = field(repr=False, compare=False)
    times: float = 1.0
    shares: Floats | None = field(default=None, repr=False, compare=False)

    @property
    def received(self) -> float:
        """Bytes that a member receives from others on average each time, in B."""
        count = int(self.ranks.shape[1])
        if self.shares is not None:
            inside = float(np.einsum("lii->", self.shares)) / len(self.shares) / count
            return float(self.shares.sum() / len(self.shares) / count) - inside
        if self.kind in ("ring", "send"):
            return self.size
        return self.size * float(count - 1) / count * (2 if self.kind == "all-reduce" else 1)


def exchanges_of(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    *,
    copies: Copies = "experts",
    trace: RoutingTrace | None = None,
    owner: Sequence[int] | Ints | None = None,
    gradient_bytes: float = GRADIENT_BYTES,
) -> tuple[Exchange, ...]:
    """Return every collective of a step of a plan; groups of one are left out.

    Parameters
    ----------
    plan, model, batch
        A plan that fits (`noptoolkit.plans.check_plan`).
    copies, trace, owner
        See `dispatched_bytes`.
    gradient_bytes
        Bytes of a gradient on its way.

    Raises
    ------
    PlanError
        If the plan does not fit (`noptoolkit.plans.check_plan`), or the trace does not.

    Examples
    --------
    Mixtral-8x7B on 64 chiplets, TP4 CP2, eight experts on eight chiplets.

    >>> from noptoolkit import load_workload
    >>> workload = load_workload("mixtral-8x7b").with_batch({"sequence_length": 8192, "micro_batches": 1})
    >>> plan = ParallelPlan(tp=4, cp=2, ep=8, dp=8, micro_batches=4)
    >>> found = exchanges_of(plan, workload.model, workload.batch)
    >>> [(e.name, e.size / 2**20) for e in found if e.direction == "forward"]
    [('attention in', 32.0), ('attention out', 32.0), ('keys and values', 4.0), ('dispatch', 16.0),
    ('combine', 16.0)]
    """
    check_fits(plan, model, batch)
    made = _Maker(plan, model, batch)
    made.tensor_parallel()
    made.context_parallel()
    if model.moe_layers:
        made.expert_parallel(dispatched_bytes(plan, model, batch, copies=copies, trace=trace, owner=owner))
    made.pipeline_parallel()
    if batch.mode == "training":
        made.replicas(gradient_bytes)
    return tuple(made.found)


class _Maker:
    def __init__(self, plan: ParallelPlan, model: MoEModel, batch: Batch) -> None:
        self.plan, self.model, self.batch = plan, model, batch
        self.passes: tuple[Direction, ...] = ("forward", "backward")
        if batch.mode != "training":
            self.passes = ("forward",)
        self.activation = rank_tokens(plan, batch) * model.hidden * batch.bytes_per_value
        self.found: list[Exchange] = []

    def add(
        self,
        name: str,
        dimension: str,
        kind: str,
        size: float,
        where: Where,
        direction: Direction,
        *,
        times: float = 1.0,
        shares: Floats | None = None,
        ranks: Ints | None = None,
    ) -> None:
        ranks = groups(self.plan, dimension) if ranks is None else ranks
        if ranks.shape[1] > 1 and size > 0 and times > 0:
            self.found.append(Exchange(name, dimension, kind, size, where, direction, ranks, times, shares))

    def tensor_parallel(self) -> None:
        blocks: list[tuple[str, Where]] = [("attention", "every layer")]
        if self.model.dense_layers:
            blocks.append(("dense", "dense layer"))
        if self.model.shared_experts and self.model.moe_layers:
            blocks.append(("shared experts", "moe layer"))
        for direction in self.passes:
            for block, where in blocks:
                if not self.plan.sp:
                    self.add(f"{block} sum", "tp", "all-reduce", self.activation, where, direction)
                    continue
                kinds = ["all-gather", "reduce-scatter"]
                ends = ("in", "out") if direction == "forward" else ("out", "in")
                for end, kind in zip(ends, kinds, strict=True):
                    self.add(f"{block} {end}", "tp", kind, self.activation, where, direction)

    def context_parallel(self) -> None:
        share = 1.0
        if self.model.latent_attention is None:
            share = max(1.0 / self.plan.tp, 1.0 / self.model.kv_heads)
        tokens = rank_tokens(self.plan, self.batch)
        if self.batch.mode == "decode":
            mla = self.model.latent_attention
            width = self.model.head_dim if mla is None else mla.kv_rank
            parts = tokens * self.model.heads / self.plan.tp * (width + 1) * self.batch.bytes_per_value
            self.add("partial results", "cp", "all-reduce", parts, "every layer", "forward")
            return
        block = tokens * kv_bytes_per_token(self.model, self.batch) * share
        for direction in self.passes:
            rounds = float((self.plan.cp - 1) * (1 if direction == "forward" else 2))
            self.add("keys and values", "cp", "ring", block, "every layer", direction, times=rounds)

    def expert_parallel(self, pairs: Floats) -> None:
        uniform = len(pairs) == 1 and float(np.ptp(pairs)) <= 1e-12 * float(pairs.max())
        sent = float(pairs.sum(axis=2).mean())
        received = pairs.sum(axis=1)  # [layers, members]
        most = float(received.max(axis=1).mean()) if len(pairs) else sent
        for direction in self.passes:
            names = ("dispatch", "combine") if direction == "forward" else ("combine", "dispatch")
            for i, name in enumerate(names):
                matrix = pairs if i == 0 else pairs.transpose(0, 2, 1)
                size = sent if uniform else float(matrix.sum(axis=2).max(axis=1).mean())
                shares = None if uniform else matrix
                if i == 1:
                    self._inside("gathered results", "reduce-scatter", most, direction)
                self.add(name, "ep", "all-to-all", size, "moe layer", direction, shares=shares)
                if i == 0:
                    self._inside("gathered tokens", "all-gather", most, direction)

    def _inside(self, name: str, kind: str, arrived: float, direction: Direction) -> None:
        self.add(name, "etp", kind, self.plan.etp * arrived, "moe layer", direction)

    def pipeline_parallel(self) -> None:
        plan = self.plan
        if plan.stages == 1 or plan.pp == 1:
            return
        size = self.activation / (plan.tp if plan.sp else 1)
        columns = groups(plan, "pp")
        ahead = [columns[:, [s, s + 1]] for s in range(plan.pp - 1)]
        if plan.vpp > 1:
            ahead.append(columns[:, [plan.pp - 1, 0]])
        pairs = np.concatenate(ahead)
        for direction in self.passes:
            ranks = pairs if direction == "forward" else pairs[:, ::-1]
            self.add("to the next stage", "next stage", "send", size, "boundary", direction, ranks=ranks)

    def replicas(self, gradient_bytes: float) -> None:
        plan = self.plan
        value = float(self.batch.bytes_per_value)
        held = [parameters_of(plan, self.model, chunks) for chunks in chunks_of(plan, self.model)]
        for i, (what, dimension) in enumerate((("weights", "dp_cp"), ("expert weights", "edp"))):
            count = max(sizes[i] for sizes in held)
            gradients, weights = gradient_bytes * count, value * count
            if plan.zero == 0:
                self.add(f"gradients of {what}", dimension, "all-reduce", gradients, "replica", "update")
                continue
            self.add(f"gradients of {what}", dimension, "reduce-scatter", gradients, "replica", "update")
            if plan.zero < 3:
                self.add(what, dimension, "all-gather", weights, "replica", "update")
                continue
            rounds = float(micro_batches_of(plan, self.batch))
            for direction in self.passes:
                self.add(what, dimension, "all-gather", weights, "replica", direction, times=rounds)


def exchange_table(exchanges: Sequence[Exchange], title: str = "") -> Table:
    """Return exchanges as a table."""
    columns = [
        Column("name", meaning="what moves"),
        Column("direction", meaning="pass that waits for it"),
        Column("dimension", meaning="groups that work at the same time"),
        Column("groups", meaning="their number"),
        Column("members", meaning="ranks of a group"),
        Column("kind", meaning="collective"),
        Column("size", unit="B", meaning="buffer of a group"),
        Column("received", unit="B", meaning="what a member receives"),
        Column("where", meaning="once per"),
        Column("times", meaning="how often"),
    ]
    rows = [
        [e.name, e.direction, e.dimension, *e.ranks.shape, e.kind, e.size, e.received, e.where, e.times]
        for e in exchanges
    ]
    return Table(columns, rows, title=title)
