"""Bytes of activations that a layer keeps from its forward to its backward, at 2 B per value.

GPT layers (LayerNorm, GeLU, dropout; Korthikanti et al., arXiv 2205.05198, table 2) with sequence s,
micro-batch b, hidden h, a heads and tensor parallelism t:

====================================  =============================
nothing computed again                s b h (10 + 24/t + 5 a s/(h t))
with sequence parallelism             s b h (34 + 5 a s/h) / t
selective, with sequence parallelism  34 s b h / t
selective, without                    s b h (10 + 24/t)
all computed again                    2 s b h (/ t with sequence parallelism)
====================================  =============================

Layers of today's models (RMSNorm, gated feed-forward, no dropout) keep per token, in values: input of both
norms 2 h, input of attention and of the feed-forward block 2 h, queries, keys, values and their result 2 a
d + 2 g d, a dense or shared feed-forward of width F 3 F (gate, up, product). An expert's token keeps its
copy at the expert's ETP ranks and the result that the router's weight multiplies, 2 h, and 3 f. Derived
here: no publication gives MoE layers.
"""

from __future__ import annotations

from noptoolkit.errors import PlanError
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.workload import Batch, MoEModel

__all__ = ["gpt_layer_activations", "gpt_stage_activations", "head_activations", "layer_activations"]


def gpt_layer_activations(
    sequence: int,
    micro_batch: int,
    hidden: int,
    heads: int,
    *,
    tp: int = 1,
    cp: int = 1,
    sp: bool = True,
    recompute: str = "none",
    width: int | None = None,
) -> float:
    """Return the activations of one GPT layer on one rank, in B.

    Parameters
    ----------
    sequence, micro_batch, hidden, heads
        s, b, h and a.
    tp, cp, sp, recompute
        As in a plan; context parallelism divides s, but not the second s of the scores.
    width
        Inner width of the feed-forward block; 4 h where ``None`` (Megatron-Core's estimator: 18 + 4 f/h for
        34).

    Examples
    --------
    The 175B model of table 3: 96 layers over 8 stages, 3 chunks each, as GiB on the first stage.

    >>> layer = gpt_layer_activations(2048, 1, 12288, 96, tp=8, recompute="selective")
    >>> layer * 96 * (1 + 7 / 24) / 2**30
    12.3515625
    """
    tokens = sequence * micro_batch / cp
    if recompute == "full":
        return 2.0 * tokens * hidden / (tp if sp else 1)
    if recompute not in ("none", "selective"):
        raise PlanError(f"recompute = {recompute!r}: known: none, selective, full")
    wide = 4.0 * (4 * hidden if width is None else width) / hidden + 8.0  # cut by TP
    held = tokens * hidden * ((10 + wide) / tp if sp else 10 + wide / tp)
    return held if recompute == "selective" else held + tokens * 5.0 * heads * sequence / tp


def gpt_stage_activations(
    layer: float,
    layers: int,
    *,
    pp: int = 1,
    vpp: int = 1,
    sequence: int = 0,
    micro_batch: int = 0,
    hidden: int = 0,
    vocab: int = 0,
    tp: int = 1,
) -> float:
    """Return the activations of the first pipeline stage under 1F1B, in B: L layers, more if interleaved.

    With ``sequence``, ``micro_batch`` and ``hidden`` given, the embedding's are added, (8 + h) s b p / t,
    and without a pipeline the head's, 4 s b h (1 + V/h) / t, as Megatron-Core's estimator does.

    Examples
    --------
    >>> layer = gpt_layer_activations(2048, 1, 12288, 96, tp=8, recompute="selective")
    >>> shape = dict(sequence=2048, micro_batch=1, hidden=12288, vocab=51200, tp=8)
    >>> print(f"{gpt_stage_activations(layer, 96, pp=8, vpp=3, **shape) / 2**30:.12f}")
    12.381855646769
    """
    tokens = sequence * micro_batch
    held = layer * layers + (8.0 * tokens + tokens * hidden) * pp / tp
    held *= 1 + (pp - 1) / (pp * vpp) if vpp > 1 else 1.0
    return held + (4.0 * tokens * hidden * (1 + vocab / hidden) / tp if pp == 1 and tokens else 0.0)


def layer_activations(
    plan: ParallelPlan, model: MoEModel, batch: Batch, tokens: float, *, moe: bool
) -> float:
    """Return what one rank keeps of a layer and a micro-batch, in B; see the module for what is counted.

    Parameters
    ----------
    plan, model, batch
        How the layer is cut, its widths, and the bytes per value.
    tokens
        Tokens of the micro-batch in one context-parallel rank: sequences x length / CP.
    moe
        Whether the layer has experts.
    """
    value, tp, hidden = float(batch.bytes_per_value), plan.tp, model.hidden
    shared_rows = tp if plan.sp else 1
    if plan.recompute == "full":
        return value * tokens * hidden / shared_rows
    kept = 4.0 * hidden / shared_rows + _attention_values(model, tp)
    if moe:
        kept += 3.0 * model.shared_experts * (model.shared_width or model.expert_width) / tp
        kept += model.top_k * ((plan.etp + 1.0) * hidden + 3.0 * model.expert_width) / shared_rows
    else:
        kept += 3.0 * model.dense_width / tp
    scores = 0.0
    if plan.recompute == "none":  # softmax, dropout mask and its result: 2 + 1 + 2 bytes (arXiv 2205.05198)
        scores = 2.5 * model.heads * batch.sequence_length / tp
    return value * tokens * (kept + scores)


def _attention_values(model: MoEModel, tp: int) -> float:
    """Return queries, keys, values and result of a token on one rank; key-value heads never less than one."""
    if (mla := model.latent_attention) is not None:
        heads = model.heads / tp
        latent = mla.query_rank + mla.kv_rank + mla.rope_dim  # not cut by TP
        return latent + heads * (2 * (mla.nope_dim + mla.rope_dim) + 2 * mla.value_dim)
    keys = max(model.kv_heads / tp, 1.0)
    return 2.0 * model.head_dim * (model.heads / tp + keys)


def head_activations(plan: ParallelPlan, model: MoEModel, batch: Batch, tokens: float) -> float:
    """Return what the output head keeps of a micro-batch, in B: input of norm and head, logits in FP32."""
    value = float(batch.bytes_per_value)
    return tokens * (2.0 * value * model.hidden / (plan.tp if plan.sp else 1) + 4.0 * model.vocab / plan.tp)
