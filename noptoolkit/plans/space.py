"""All plans of a model on a number of chiplets, in families: TP, CP, PP, DP and micro-batches are one's own.

Under a family stand its expert mappings (EP, ETP), under these the variants: schedule, chunks, recomputation
and ZeRO stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from noptoolkit.plans.checks import faults_of
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.plan import ParallelPlan, Recompute
from noptoolkit.workload import Batch, MoEModel

__all__ = ["PlanFamily", "PlanSpace", "Variant", "divisors"]


class PlanFamily(NamedTuple):
    """What a family of plans has in common."""

    tp: int
    cp: int
    pp: int
    dp: int
    micro_batches: int


class Variant(NamedTuple):
    """What a plan decides last."""

    schedule: str
    vpp: int
    recompute: Recompute
    zero: int


@dataclass(frozen=True)
class PlanSpace:
    """All plans of a model and a batch on a number of ranks.

    Parameters
    ----------
    model, batch, world
        What is spread, over how many ranks.
    schedules, recomputes, zeros
        Values that a plan may take.
    folded
        Whether the experts' mapping is free of attention's; else the mapping before folding.
    most_chunks
        Largest number of chunks that a rank of the pipeline may hold.
    fixed
        Fields of a plan that have one value, such as ``{"tp": 2}``; ``micro_batch`` is the number of
        sequences of a micro-batch.
    """

    model: MoEModel
    batch: Batch
    world: int
    schedules: tuple[str, ...] = ("1f1b", "interleaved")
    recomputes: tuple[Recompute, ...] = ("selective", "full")
    zeros: tuple[int, ...] = (1,)
    folded: bool = True
    most_chunks: int = 64
    fixed: dict[str, int] = field(default_factory=dict)

    def _allowed(self, name: str, values: Sequence[int]) -> list[int]:
        return [v for v in values if name not in self.fixed or v == self.fixed[name]]

    def families(self) -> Iterator[PlanFamily]:
        """Yield all families that at least the rules of attention and batch allow."""
        model, batch = self.model, self.batch
        for pp in self._allowed("pp", [p for p in divisors(self.world) if p <= model.layers]):
            stage = self.world // pp
            for tp in self._allowed("tp", divisors(stage)):
                for cp in self._allowed("cp", divisors(stage // tp)):
                    dp = stage // (tp * cp)
                    if batch.sequences % dp or self.fixed.get("dp", dp) != dp:
                        continue
                    probe = ParallelPlan(tp=tp, cp=cp, pp=pp, dp=dp, micro_batches=batch.sequences // dp)
                    if faults_of(probe, model, batch):
                        continue
                    each = batch.sequences // dp
                    for m in self._allowed("micro_batches", divisors(each)):
                        if self.fixed.get("micro_batch", each // m) != each // m:
                            continue
                        yield PlanFamily(tp, cp, pp, dp, m)

    def splits(self, family: PlanFamily) -> list[tuple[int, int]]:
        """Return the pairs (EP, ETP) that a family allows."""
        model = self.model
        if not model.moe_layers:
            return [(1, 1)]
        stage = self.world // family.pp
        found = []
        for ep in self._allowed("ep", [e for e in divisors(stage) if model.experts % e == 0]):
            for etp in self._allowed("etp", divisors(stage // ep)):
                if model.expert_width % etp:
                    continue
                if not self.folded and (etp != family.tp or family.dp % ep):
                    continue
                found.append((ep, etp))
        return found

    def variants(self, family: PlanFamily) -> Iterator[Variant]:
        """Yield the variants that a family allows: schedules, chunks, recomputation, ZeRO stages."""
        recomputes = self.recomputes if self.batch.mode == "training" else self.recomputes[:1]
        for schedule in self.schedules:
            for vpp in self._chunks(schedule, family.pp, family.micro_batches):
                yield from (
                    Variant(schedule, vpp, again, zero) for again in recomputes for zero in self.zeros
                )

    def plan(self, family: PlanFamily, ep: int, etp: int, variant: Variant) -> ParallelPlan | None:
        """Return a plan of the space, or None where it breaks a rule."""
        plan = ParallelPlan(
            tp=family.tp,
            cp=family.cp,
            pp=family.pp,
            dp=family.dp,
            ep=ep,
            etp=etp,
            vpp=variant.vpp,
            zero=variant.zero,
            recompute=variant.recompute,
            micro_batches=family.micro_batches,
            schedule=variant.schedule,
            folded=self.folded,
        )
        return None if faults_of(plan, self.model, self.batch) else plan

    def plans(self) -> Iterator[ParallelPlan]:
        """Yield every plan of the space."""
        for family in self.families():
            for ep, etp in self.splits(family):
                found = (self.plan(family, ep, etp, variant) for variant in self.variants(family))
                yield from (plan for plan in found if plan is not None)

    def most_variants(self, family: PlanFamily) -> int:
        """Return how many variants an expert mapping of a family has at most."""
        return sum(1 for _ in self.variants(family))

    def most_chunks_of(self, schedule: str, pp: int, micro_batches: int) -> int:
        """Return the most chunks that a schedule may have; 1 where it has none."""
        return max(self._chunks(schedule, pp, micro_batches), default=1)

    def _chunks(self, schedule: str, pp: int, micro_batches: int) -> list[int]:
        order = ORDERS[schedule]
        if order.two_way and (pp % 2 or micro_batches % 2 or micro_batches < 2 * pp):
            return []
        if not order.chunked:
            return self._allowed("vpp", [1])
        if pp == 1 or micro_batches % pp:
            return []
        most = min(self.most_chunks, self.model.layers // pp)
        return self._allowed("vpp", [v for v in range(2, most + 1) if self.model.layers % (pp * v) == 0])


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, ascending."""
    low = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*low, *(number // d for d in low)})
