"""Parallel plans as values: how many ways each dimension of a model is cut, and in which order ranks count.

Attention (with dense layers, norms and embeddings) and experts are mapped separately over the same chiplets
of a pipeline stage, which MoE Parallel Folding (arXiv 2504.14960) calls *folding*: a stage's ranks are a
grid (DP, CP, TP) to attention and a grid (EDP, EP, ETP) to the experts. Only the pipeline is common, and
outermost, so TP x CP x DP = ETP x EP x EDP. The world is PP x DP x CP x TP ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from dataclasses import replace as replace_fields
from typing import Any, Literal, get_args

from noptoolkit._names import did_you_mean
from noptoolkit.errors import PlanError, raise_collected
from noptoolkit.plans.pipeline_orders import ORDERS

__all__ = ["RECOMPUTES", "ParallelPlan", "Recompute"]

Recompute = Literal["none", "selective", "full"]
RECOMPUTES: tuple[Recompute, ...] = get_args(Recompute)

COUNTS = ("tp", "cp", "pp", "vpp", "ep", "etp")
SHOWN = ("tp", "cp", "ep", "etp", "pp", "vpp")


@dataclass(frozen=True)
class ParallelPlan:
    """How a model is spread over the ranks of a package.

    Parameters
    ----------
    tp
        Tensor parallelism of attention, dense layers and embeddings: heads and widths are cut.
    cp
        Context parallelism: the tokens of a sequence are cut, keys and values go round a ring.
    pp, vpp
        Pipeline stages, and chunks of layers that each rank of the pipeline holds (virtual stages).
    ep, etp
        Expert parallelism (experts are spread) and tensor parallelism inside an expert.
    dp, edp
        Replicas of attention and of an expert. They follow from the world size (`on`); where they are given,
        they are checked, and one gives the other.
    sp
        Sequence parallelism: norms and residuals between tensor-parallel blocks are cut by tokens over the TP
        group.
    zero
        ZeRO stage: 0 shares nothing among replicas, 1 the optimiser's state, 2 gradients too, 3 weights too.
    recompute
        Activations that the backward pass computes again: ``none``, ``selective`` (attention's scores, as
        FlashAttention does) or ``full`` (all but the input of each layer).
    micro_batches
        Micro-batches of one replica in a step; ``None`` is the batch's own number.
    schedule
        Order of the pipeline, a key of `ORDERS`; ``None`` is ``1f1b``, and ``interleaved`` where
        vpp > 1.
    layers
        Layers of each virtual stage in forward order, pp x vpp numbers; ``None`` spreads them evenly, see
        `noptoolkit.plans.stage_layers`.
    folded
        Whether the experts' mapping is free of attention's. ``False`` is the mapping before folding: ETP is
        TP, and an EP group lies inside the DP group, so that its members are TP x CP ranks apart.

    Raises
    ------
    PlanError
        If a number is not a whole number above 0, or numbers contradict each other; all faults at once.

    Examples
    --------
    >>> plan = ParallelPlan(tp=2, ep=8, pp=8).on(128)
    >>> plan.dp, plan.edp, plan.world
    (8, 2, 128)
    >>> print(plan)
    TP2 EP8 PP8 DP8
    >>> ParallelPlan(tp=2, ep=8, dp=2)
    Traceback (most recent call last):
    noptoolkit.errors.PlanError: plan TP2 EP8 DP2: TP x CP x DP = 4 is not divided by ETP x EP = 8: ...
    """

    tp: int = 1
    cp: int = 1
    pp: int = 1
    vpp: int = 1
    ep: int = 1
    etp: int = 1
    dp: int | None = None
    edp: int | None = None
    sp: bool = True
    zero: int = 1
    recompute: Recompute = "selective"
    micro_batches: int | None = None
    schedule: str | None = None
    layers: tuple[int, ...] | None = None
    folded: bool = True

    def __post_init__(self) -> None:
        faults = [
            f"{name} = {getattr(self, name)!r} must be a whole number above 0"
            for name in (*COUNTS, "dp", "edp", "micro_batches")
            if not _is_count(getattr(self, name), optional=name not in COUNTS)
        ]
        faults += _faults_of_choices(self)
        if not faults:
            if self.schedule is None:
                object.__setattr__(self, "schedule", "interleaved" if self.vpp > 1 else "1f1b")
            if self.layers is not None:
                object.__setattr__(self, "layers", tuple(self.layers))
            faults += _faults_of_replicas(self)
        raise_collected(PlanError, f"plan {self}", faults)

    def __str__(self) -> str:
        shown = [f"{name.upper()}{getattr(self, name)}" for name in SHOWN if getattr(self, name) != 1]
        shown += [] if self.dp is None else [f"DP{self.dp}"]
        return " ".join(shown or ["TP1"]) + ("" if self.folded else " not folded")

    @property
    def stage_ranks(self) -> int:
        """Ranks of one pipeline stage.

        Raises
        ------
        PlanError
            If the world size is not known yet.
        """
        return self.tp * self.cp * self._dp

    @property
    def world(self) -> int:
        """Ranks of the plan.

        Raises
        ------
        PlanError
            If the world size is not known yet.
        """
        return self.pp * self.stage_ranks

    @property
    def stages(self) -> int:
        """Virtual stages: pp x vpp."""
        return self.pp * self.vpp

    @property
    def _dp(self) -> int:
        if self.dp is None:
            raise PlanError(
                f"plan {self}: how many replicas? give dp, or the number of chiplets: plan.on(64)"
            )
        return self.dp

    def on(self, world: int) -> ParallelPlan:
        """Return the plan with the replicas that a world of so many ranks leaves it.

        Raises
        ------
        PlanError
            If PP x CP x TP or PP x EP x ETP does not divide the world, or dp or edp was given and differs.
        """
        from noptoolkit.plans.checks import check_world

        check_world(self, world)
        return replace_fields(self, dp=world // (self.tp * self.cp * self.pp), edp=None)

    def replace(self, **changes: Any) -> ParallelPlan:
        """Return the plan with some fields replaced; what followed from them (edp, or dp) follows again.

        Examples
        --------
        >>> ParallelPlan(tp=2, ep=4, dp=4).replace(ep=2).edp
        4
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise PlanError(f"plan {self}: no field {name!r}; {did_you_mean(name, known)}")
        if "edp" not in changes:
            changes["edp"] = None
        elif "dp" not in changes:
            changes["dp"] = None
        if "vpp" in changes and "schedule" not in changes and self.schedule in ("1f1b", "interleaved"):
            changes["schedule"] = None
        return replace_fields(self, **changes)


def _is_count(value: object, *, optional: bool) -> bool:
    if value is None:
        return optional
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _faults_of_choices(plan: ParallelPlan) -> list[str]:
    faults = [
        f"{name} = {getattr(plan, name)!r} must be True or False"
        for name in ("sp", "folded")
        if not isinstance(getattr(plan, name), bool)
    ]
    if plan.zero not in (0, 1, 2, 3) or isinstance(plan.zero, bool):
        faults.append(f"zero = {plan.zero!r}: the stages of ZeRO are 0, 1, 2 and 3")
    if plan.recompute not in RECOMPUTES:
        faults.append(f"recompute = {plan.recompute!r}: {did_you_mean(str(plan.recompute), RECOMPUTES)}")
    if plan.schedule is not None and plan.schedule not in ORDERS:
        faults.append(f"schedule = {plan.schedule!r}: {did_you_mean(str(plan.schedule), ORDERS)}")
    elif _is_count(plan.vpp, optional=False) and plan.schedule is not None:
        order = ORDERS[plan.schedule]
        if plan.vpp > 1 and not order.chunked:
            faults.append(f"vpp = {plan.vpp} goes with schedule 'interleaved', not {plan.schedule!r}")
        if order.two_way and _is_count(plan.pp, optional=False) and plan.pp % 2:
            faults.append(f"schedule {plan.schedule!r} runs from both ends: pp = {plan.pp} must be even")
    if plan.layers is not None:
        given = plan.layers
        listed = isinstance(given, (tuple, list))
        if not listed or not all(_is_count(count, optional=False) for count in given):
            faults.append(f"layers = {given!r}: give a whole number above 0 for each virtual stage")
        elif all(_is_count(count, optional=False) for count in (plan.pp, plan.vpp)):
            stages = plan.pp * plan.vpp
            faults += (
                []
                if len(given) == stages
                else [f"layers: {len(given)} numbers for PP x VPP = {stages} virtual stages"]
            )
    return faults


def _faults_of_replicas(plan: ParallelPlan) -> list[str]:
    """Set dp and edp where they follow; return what contradicts."""
    faults = []
    if not plan.folded and plan.etp != plan.tp:
        faults.append(f"without folding ETP is TP: etp = {plan.etp}, tp = {plan.tp}")
    attention, experts = plan.tp * plan.cp, plan.etp * plan.ep
    if plan.dp is None and plan.edp is not None:
        if plan.edp * experts % attention:
            faults.append(
                f"ETP x EP x EDP = {plan.edp * experts} is not divided by TP x CP = {attention}: "
                "attention and experts share the ranks of a stage"
            )
            return faults
        object.__setattr__(plan, "dp", plan.edp * experts // attention)
    if plan.dp is None:
        return faults
    ranks = attention * plan.dp
    if ranks % experts:
        faults.append(
            f"TP x CP x DP = {ranks} is not divided by ETP x EP = {experts}: "
            "attention and experts share the ranks of a stage"
        )
        return faults
    if not plan.folded and plan.dp % plan.ep:
        faults.append(f"without folding EP lies inside DP: dp = {plan.dp} is not divided by ep = {plan.ep}")
    if plan.edp is not None and plan.edp * experts != ranks:
        faults.append(
            f"edp = {plan.edp}, but TP x CP x DP / (ETP x EP) = {ranks // experts}; leave edp out, it follows"
        )
    object.__setattr__(plan, "edp", ranks // experts)
    return faults
