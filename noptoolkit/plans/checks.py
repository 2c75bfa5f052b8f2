"""Whether a plan fits a model, a batch and a number of chiplets; if not, the rule and what would fit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from noptoolkit.errors import MOST_SHOWN, NopError, PlanError, ScheduleError
from noptoolkit.plans.pipeline_orders import ORDERS, PipelineShape
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.workload import Batch, MoEModel

__all__ = [
    "check_plan",
    "check_world",
    "faults_of",
    "faults_of_fixed",
    "micro_batch_size",
    "micro_batches_of",
    "nearest_plan",
]


def check_world(plan: ParallelPlan, world: int) -> None:
    """Raise PlanError unless a plan divides a world of so many ranks."""
    if not isinstance(world, int) or isinstance(world, bool) or world < 1:
        raise PlanError(f"plan {plan}: a world of {world!r} ranks; give a whole number above 0")
    if faults := _faults_of_world(plan, world):
        raise PlanError(f"plan {plan} on {world} ranks: {'; '.join(faults)}{_offer(plan, world)}")


def micro_batches_of(plan: ParallelPlan, batch: Batch) -> int:
    """Return the number of micro-batches of one replica in a step."""
    return batch.micro_batches if plan.micro_batches is None else plan.micro_batches


def micro_batch_size(plan: ParallelPlan, batch: Batch) -> int:
    """Return the sequences of one micro-batch of one replica.

    Raises
    ------
    PlanError
        If the sequences do not divide.
    """
    parts = (plan.dp or 1) * micro_batches_of(plan, batch)
    if batch.sequences % parts:
        raise PlanError(f"plan {plan}: {_no_division(plan, batch)}; give another micro_batches")
    return batch.sequences // parts


def _no_division(plan: ParallelPlan, batch: Batch) -> str:
    return (
        f"sequences % (DP x micro-batches): {batch.sequences} sequences are not divided by "
        f"dp = {plan.dp or 1} x {micro_batches_of(plan, batch)} micro-batches"
    )


def check_fits(plan: ParallelPlan, model: MoEModel, batch: Batch) -> None:
    """Raise PlanError unless a plan of known world fits a model and a batch; see `check_plan`."""
    _expect(model, batch)
    if plan.dp is None:
        raise PlanError(f"plan {plan}: how many replicas? give dp, or the number of chiplets: plan.on(64)")
    if faults_of(plan, model, batch):
        check_plan(plan, model, batch)


def _expect(model: object, batch: object) -> None:
    if not isinstance(model, MoEModel):
        raise PlanError(
            f"{model!r} is no model; load_workload() knows its presets: load_workload(name).model"
        )
    if batch is not None and not isinstance(batch, Batch):
        raise PlanError(f"{batch!r} is no Batch; write Batch(sequences=256, sequence_length=4096)")


def faults_of(plan: ParallelPlan, model: MoEModel, batch: Batch | None = None) -> list[str]:
    """Return every rule that a plan breaks on a model and a batch, with the numbers; none where it fits.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> faults_of(ParallelPlan(tp=3, dp=1), load_workload("olmoe-1b-7b").model)
    ['heads % TP: 16 attention heads are not divided by tp = 3']
    """
    tp, name = plan.tp, model.name
    faults = []
    if model.heads % tp:
        faults.append(f"heads % TP: {model.heads} attention heads are not divided by tp = {tp}")
    elif model.latent_attention is None and model.kv_heads % tp and tp % model.kv_heads:
        faults.append(
            f"kv_heads % TP: tp = {tp} neither divides the {model.kv_heads} key-value heads "
            "nor is a multiple of them"
        )
    if not model.moe_layers and (plan.ep > 1 or plan.etp > 1):
        faults.append(f"{name} has no MoE layers: ep = {plan.ep} and etp = {plan.etp} must be 1")
    elif model.moe_layers:
        if tp > 1 and not plan.sp:
            faults.append(
                f"MoE layers need sp: with tp = {tp} every rank would dispatch every token; set sp=True"
            )
        if model.experts % plan.ep:
            faults.append(f"experts % EP: {model.experts} experts are not divided by ep = {plan.ep}")
        if model.expert_width % plan.etp:
            faults.append(
                f"expert_width % ETP: the width {model.expert_width} is not divided by etp = {plan.etp}"
            )
        if model.shared_experts and (model.shared_width or model.expert_width) % tp:
            faults.append(
                f"shared_width % TP: the shared experts' width {model.shared_width or model.expert_width} "
                f"is not divided by tp = {tp}"
            )
    if model.dense_layers and model.dense_width % tp:
        faults.append(f"dense_width % TP: the dense width {model.dense_width} is not divided by tp = {tp}")
    if plan.stages > model.layers:
        faults.append(
            f"layers >= PP x VPP: {plan.stages} virtual stages, but {name} has {model.layers} layers"
        )
    if plan.layers is not None and sum(plan.layers) != model.layers:
        faults.append(f"layers: the stages hold {sum(plan.layers)} layers, {name} has {model.layers}")
    return faults + ([] if batch is None else _faults_of_batch(plan, batch))


def faults_of_fixed(fixed: dict[str, int], model: MoEModel, batch: Batch, world: int) -> list[str]:
    """Return the rules that a few fixed numbers break whatever a plan's other numbers are.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> workload = load_workload("mixtral-8x22b")
    >>> faults_of_fixed({"cp": 3}, workload.model, workload.batch, 64)[0]
    'world % (TP x CP x PP): 64 ranks are not divided by 3'
    """
    spread = {name: fixed[name] for name in ("tp", "cp", "pp", "ep", "etp") if name in fixed}
    probe = ParallelPlan(**spread)  # type: ignore[arg-type]
    faults = _faults_of_world(probe, world) + faults_of(probe, model)
    length, sequences = batch.sequence_length, batch.sequences
    if length % probe.cp:
        faults.append(f"sequence % CP: sequences of {length} tokens are not divided by cp = {probe.cp}")
    if world % fixed.get("dp", 1):
        faults.append(f"world % DP: {world} ranks are not divided by dp = {fixed['dp']}")
    parts = {name: fixed[name] for name in ("dp", "micro_batches", "micro_batch") if name in fixed}
    if sequences % math.prod(parts.values()):
        said = " x ".join(f"{name} = {value}" for name, value in parts.items())
        faults.append(f"sequences % (DP x micro-batches): {sequences} sequences are not divided by {said}")
    chunks = {name: fixed[name] for name in ("pp", "vpp") if name in fixed}
    if fixed.get("vpp", 1) > 1 and model.layers % math.prod(chunks.values()):
        said = " x ".join(f"{name} = {value}" for name, value in chunks.items())
        faults.append(f"layers % (PP x VPP): {model.layers} layers are not divided by {said}")
    return faults


def _faults_of_batch(plan: ParallelPlan, batch: Batch) -> list[str]:
    faults = []
    length = batch.sequence_length
    if length % plan.cp:
        faults.append(f"sequence % CP: sequences of {length} tokens are not divided by cp = {plan.cp}")
    elif batch.mode != "decode" and plan.sp and (length // plan.cp) % plan.tp:
        faults.append(
            f"sequence % (CP x TP): {length} tokens over cp = {plan.cp} and, "
            f"with sequence parallelism, tp = {plan.tp}"
        )
    count, dp = micro_batches_of(plan, batch), plan.dp or 1
    if batch.sequences % (dp * count):
        faults.append(_no_division(plan, batch))
    try:
        ORDERS[plan.schedule or "1f1b"].check(PipelineShape(plan.pp, count, plan.vpp))
    except ScheduleError as error:
        faults.append(str(error))
    return faults


def _faults_of_world(plan: ParallelPlan, world: int) -> list[str]:
    faults = []
    attention, experts = plan.tp * plan.cp * plan.pp, plan.etp * plan.ep * plan.pp
    if world % attention:
        faults.append(f"world % (TP x CP x PP): {world} ranks are not divided by {attention}")
    if world % experts:
        faults.append(f"world % (ETP x EP x PP): {world} ranks are not divided by {experts}")
    if faults:
        return faults
    dp, edp = world // attention, world // experts
    if plan.dp is not None and plan.dp != dp:
        faults.append(f"dp = {plan.dp}, but world / (TP x CP x PP) = {dp}")
    if plan.edp is not None and plan.edp != edp and not faults:
        faults.append(f"edp = {plan.edp}, but world / (ETP x EP x PP) = {edp}")
    if not plan.folded and dp % plan.ep:
        faults.append(f"without folding EP lies inside DP: dp = {dp} is not divided by ep = {plan.ep}")
    return faults


def check_plan(
    plan: ParallelPlan, model: MoEModel, batch: Batch | None = None, *, world: int | None = None
) -> ParallelPlan:
    """Return a plan that fits a model, a batch and a world, its replicas filled in.

    Parameters
    ----------
    plan
        What is checked.
    model, batch
        What it cuts; without a batch, nothing is asked of sequences and micro-batches.
    world
        Number of ranks; ``None`` is the plan's own, or the fewest that it needs.

    Raises
    ------
    PlanError
        With every rule that is broken, its numbers, and the nearest plan that breaks none.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> check_plan(ParallelPlan(tp=2, ep=7, pp=8), load_workload("mixtral-8x22b").model, world=128)
    Traceback (most recent call last):
    noptoolkit.errors.PlanError: plan TP2 EP7 PP8 on Mixtral-8x22B, 128 ranks: 2 faults
      - world % (ETP x EP x PP): 128 ranks are not divided by 56
      - experts % EP: 8 experts are not divided by ep = 7
    the nearest plan that works: TP2 EP8 PP8 DP8
    """
    _expect(model, batch)
    if world is None:
        world = (
            plan.world if plan.dp is not None else plan.pp * math.lcm(plan.tp * plan.cp, plan.etp * plan.ep)
        )
    elif not isinstance(world, int) or isinstance(world, bool) or world < 1:
        raise PlanError(f"plan {plan}: a world of {world!r} ranks; give a whole number above 0")
    faults = _faults_of_world(plan, world)
    sized = plan if faults else plan.on(world)
    faults += faults_of(sized, model, None if faults else batch)
    if not faults:
        return sized
    place = f"plan {plan} on {model.name}, {world} ranks"
    offer = _offer(plan, world, model, batch)
    if len(faults) == 1:
        raise PlanError(f"{place}: {faults[0]}{offer}")
    lines = "\n".join(f"  - {fault}" for fault in faults[:MOST_SHOWN])
    raise PlanError(f"{place}: {len(faults)} faults\n{lines}\n{offer.removeprefix('; ')}")


def _offer(plan: ParallelPlan, world: int, model: MoEModel | None = None, batch: Batch | None = None) -> str:
    near = nearest_plan(plan, world, model, batch)
    if near is None:
        return f"; no plan of this kind works on {world} ranks"
    changed = [f"{near}"]
    if near.micro_batches != plan.micro_batches and near.micro_batches is not None:
        changed.append(f"micro_batches={near.micro_batches}")
    if near.schedule != plan.schedule and plan.schedule is not None:
        changed.append(f"schedule={near.schedule!r}")
    return f"; the nearest plan that works: {', '.join(changed)}"


def nearest_plan(
    plan: ParallelPlan, world: int, model: MoEModel | None = None, batch: Batch | None = None
) -> ParallelPlan | None:
    """Return the plan on so many ranks that breaks no rule and changes the least; ``None`` where none is.

    Least is the sum over TP, CP, PP, VPP, EP and ETP of 1 for each that changes plus the logarithm to base
    2 of the factor. Micro-batches follow the batch: the divisor of a replica's sequences nearest to what
    was asked.

    Examples
    --------
    >>> print(nearest_plan(ParallelPlan(tp=3, pp=8), 128))
    TP4 PP8 DP4
    """
    for tp, cp, pp, vpp, ep, etp in _by_distance(plan, world, model):
        dp = world // (tp * cp * pp)
        changes = {"tp": tp, "cp": cp, "pp": pp, "vpp": vpp, "ep": ep, "etp": etp, "dp": dp}
        if plan.layers is not None and (
            len(plan.layers) != pp * vpp or (model and sum(plan.layers) != model.layers)
        ):
            changes["layers"] = None  # type: ignore[assignment]
        try:
            candidate = plan.replace(**changes, edp=None)
        except NopError:
            continue
        if batch is not None:
            fitting = _fit_micro_batches(candidate, batch)
            if fitting is None:
                continue
            candidate = fitting
        if model is None or not faults_of(candidate, model, batch):
            return candidate
    return None


def _fit_micro_batches(plan: ParallelPlan, batch: Batch) -> ParallelPlan | None:
    assert plan.dp is not None
    if batch.sequences % plan.dp:
        return None
    asked = micro_batches_of(plan, batch)
    for count in sorted(_divisors(batch.sequences // plan.dp), key=lambda m: (abs(math.log2(m / asked)), m)):
        chosen = plan if count == asked else plan.replace(micro_batches=count, dp=plan.dp)
        if not _faults_of_batch(chosen, batch):
            return chosen
    return None


def _by_distance(
    plan: ParallelPlan, world: int, model: MoEModel | None
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield what divides a world, nearest first: (tp, cp, pp, vpp, ep, etp)."""
    layers = model.layers if model else world
    fits = _divisors(world)
    widths = [t for t in fits if model is None or model.heads % t == 0]
    spread = [e for e in fits if model is None or (model.experts % e == 0 if model.moe_layers else e == 1)]
    narrow = [
        t for t in fits if model is None or (model.expert_width % t == 0 if model.moe_layers else t == 1)
    ]
    virtual = [v for v in sorted({1, plan.vpp}) if v == plan.vpp or plan.vpp > 1]
    found = []
    for pp in (p for p in fits if p <= layers):
        stage = world // pp
        attention = [(tp, cp) for tp in widths for cp in fits if stage % (tp * cp) == 0]
        experts = [(ep, etp) for ep in spread for etp in narrow if stage % (ep * etp) == 0]
        chunks = [v for v in virtual if pp * v <= layers]
        for (tp, cp), (ep, etp), vpp in itertools.product(attention, experts, chunks):
            new = (tp, cp, pp, vpp, ep, etp)
            old = (plan.tp, plan.cp, plan.pp, plan.vpp, plan.ep, plan.etp)
            steps = sum((a != b) + abs(math.log2(a / b)) for a, b in zip(new, old, strict=True))
            found.append((round(steps, 9), new))
    yield from (new for _, new in sorted(found))


def _divisors(number: int) -> list[int]:
    low = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*low, *(number // d for d in low)})
