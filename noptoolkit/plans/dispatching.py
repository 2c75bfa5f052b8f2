"""Which bytes the members of an EP group send to each other: uniform routing, or the tokens of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import PlanError
from noptoolkit.plans.checks import micro_batch_size
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, MoEModel

__all__ = ["COPIES", "Copies", "dispatch_shares", "dispatched_bytes", "rank_bytes", "rank_tokens"]

Copies = Literal["experts", "chiplets"]
COPIES: tuple[Copies, ...] = ("experts", "chiplets")


def rank_tokens(plan: ParallelPlan, batch: Batch) -> float:
    """Return the tokens of a micro-batch on one context-parallel rank."""
    length = batch.tokens_per_sequence if batch.mode == "decode" else batch.sequence_length / plan.cp
    return micro_batch_size(plan, batch) * length


def rank_bytes(plan: ParallelPlan, model: MoEModel, batch: Batch) -> float:
    """Return the bytes of the tokens of a micro-batch that a member of an EP group dispatches, once each."""
    tokens = rank_tokens(plan, batch) / (plan.tp if plan.sp else 1)
    return float(tokens * model.hidden * batch.bytes_per_value)


def dispatched_bytes(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    *,
    copies: Copies = "experts",
    trace: RoutingTrace | None = None,
    owner: Sequence[int] | Ints | None = None,
) -> Floats:
    """Return the bytes that each member of an EP group dispatches to each, itself too, [layers, EP, EP].

    Parameters
    ----------
    copies
        ``experts``: a token goes once for each of its k experts; ``chiplets``: once for each member that
        holds any, C_T times (Mozart, arXiv 2603.07006), and results are added there before they return.
    trace
        Routing of tokens, cut evenly among the members in its order; uniform over all sets of k experts
        where ``None``.
    owner
        Member of the EP group that holds each expert, [experts]; consecutive runs of experts where ``None``.

    Raises
    ------
    PlanError
        If copies has no such name, or trace or owner do not fit model and plan.
    """
    each = rank_bytes(plan, model, batch)
    return each * dispatch_shares(model, plan.ep, copies=copies, trace=trace, owner=owner)


def dispatch_shares(
    model: MoEModel,
    ep: int,
    *,
    copies: Copies = "experts",
    trace: RoutingTrace | None = None,
    owner: Sequence[int] | Ints | None = None,
) -> Floats:
    """Return the mean copies of a token of each member that go to each member, [layers, EP, EP].

    The parameters are those of `dispatched_bytes`, and the errors.
    """
    if copies not in COPIES:
        raise PlanError(f"copies = {copies!r}: {did_you_mean(str(copies), COPIES)}")
    experts, k = model.experts, model.top_k
    if trace is None:
        held = experts // ep
        hit = 1 - comb(experts - held, k) / comb(experts, k) if copies == "chiplets" else k / ep
        return np.full((1, ep, ep), hit)
    if trace.num_experts != experts or trace.top_k != k:
        raise PlanError(
            f"the trace has {trace.num_experts} experts, top-{trace.top_k}; "
            f"{model.name} has {experts}, top-{k}"
        )
    places = np.arange(experts) // (experts // ep) if owner is None else np.asarray(owner, np.int64)
    if places.shape != (experts,) or places.min() < 0 or places.max() >= ep:
        raise PlanError(f"owner: give the member, 0 to {ep - 1}, of each of the {experts} experts")
    if trace.num_tokens < ep:
        raise PlanError(f"the trace has {trace.num_tokens} tokens for {ep} members of an EP group")
    source = np.arange(trace.num_tokens) * ep // trace.num_tokens
    share = np.bincount(source, minlength=ep).astype(float)
    found = np.zeros((len(trace.topk), ep, ep))
    for layer, chosen in enumerate(trace.topk):
        member = places[chosen.astype(np.int64)]
        if copies == "chiplets":
            held_by = np.zeros((trace.num_tokens, ep), bool)
            np.put_along_axis(held_by, member, True, axis=1)
            rows, columns = np.nonzero(held_by)
        else:
            rows, columns = np.repeat(np.arange(trace.num_tokens), k), member.ravel()
        found[layer] = np.bincount(source[rows] * ep + columns, minlength=ep * ep).reshape(ep, ep)
    return np.asarray(found / share[:, None])
