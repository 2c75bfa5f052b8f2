"""Operations and bytes of the parts of a mixture-of-experts transformer, counted exactly.

One multiply-add is 2 FLOP. Matrix products are counted, element-wise work (norms, softmax, activations,
rotary embedding) is not. With T tokens in sequences of length S, hidden width d, h heads, g key-value
heads of width w, and L(m) the weights of m that are matrices:

* a linear map costs 2 T L forward and twice that backward (gradients of input and of weight);
* causal attention sees S (S + 1) / 2 pairs per sequence in training and prefill, S per new token in
  decode; a pair costs 2 h (w_qk + w_v), and twice that backward;
* MLA decodes in the absorbed form (DeepSeek-V2, arXiv 2405.04434): a pair costs 2 h (2 c + r) over the cached
  latent of c + r values;
* an expert costs 2 * 3 d f per token that it gets; a router 2 d E; a head 2 d V;
* an optimiser update touches every weight once (`OPTIMISERS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from noptoolkit.units import Measured, measured
from noptoolkit.workload import Batch, MoEModel

__all__ = [
    "OPTIMISERS",
    "Optimiser",
    "Phase",
    "Work",
    "attention_work",
    "dense_work",
    "embedding_work",
    "expert_work",
    "head_work",
    "kv_bytes_per_token",
    "router_work",
    "shared_work",
    "step_flops",
    "update_work",
]

Phase = Literal["forward", "backward"]


@dataclass(frozen=True)
class Work:
    """What one operation asks of a node.

    Parameters
    ----------
    flops
        Floating-point operations.
    read, written
        Activations and cached values that it moves, in B; weights are loaded by tasks of their own.

    Examples
    --------
    >>> Work(flops=6.0, read=2.0) + Work(flops=1.0)
    Work(flops=7.0, read=2.0, written=0.0)
    >>> 2 * Work(flops=6.0)
    Work(flops=12.0, read=0.0, written=0.0)
    """

    flops: float = 0.0
    read: Measured = measured("B", default=0.0)
    written: Measured = measured("B", default=0.0)

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.read + other.read, self.written + other.written)

    def __rmul__(self, factor: float) -> Work:
        return Work(factor * self.flops, factor * self.read, factor * self.written)


@dataclass(frozen=True)
class Optimiser:
    """What an update costs per parameter.

    Parameters
    ----------
    flops
        Operations per parameter, counted from the update rule.
    state_bytes
        State kept in memory per parameter, in B: read and written by each update.
    """

    flops: float
    state_bytes: Measured = measured("B", default=0.0)


OPTIMISERS: Mapping[str, Optimiser] = {
    "sgd": Optimiser(flops=2.0),  # w -= lr g
    "momentum": Optimiser(flops=4.0, state_bytes=4.0),  # v = mu v + g; w -= lr v; one FP32 moment
    "adam": Optimiser(flops=12.0, state_bytes=8.0),  # two FP32 moments, bias correction folded into lr
}


def attention_linear(model: MoEModel) -> int:
    """Return the weights of one layer's attention that are matrices."""
    if (mla := model.latent_attention) is not None:
        queries = model.hidden * mla.query_rank + mla.query_rank * model.heads * (mla.nope_dim + mla.rope_dim)
        keys = model.hidden * (mla.kv_rank + mla.rope_dim)
        keys += mla.kv_rank * model.heads * (mla.nope_dim + mla.value_dim)
        return queries + keys + model.heads * mla.value_dim * model.hidden
    return 2 * model.hidden * model.head_dim * (model.heads + model.kv_heads)


def attention_work(model: MoEModel, batch: Batch, sequences: int | None = None) -> Work:
    """Return the forward work of attention in one layer.

    Parameters
    ----------
    model, batch
        Shape of the step; ``batch.mode`` decides which pairs are seen and what the cache moves.
    sequences
        How many of the sequences; all where ``None``.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> attention_work(tiny, Batch(sequences=1, sequence_length=3, micro_batches=1)).flops  # 2*3*192 + 6*2*16
    1344.0
    """
    count = batch.sequences if sequences is None else sequences
    length = batch.sequence_length
    tokens = count * (1 if batch.mode == "decode" else length)
    pairs = count * (length if batch.mode == "decode" else length * (length + 1) / 2)
    linear = 2.0 * tokens * attention_linear(model)
    cache = kv_bytes_per_token(model, batch)
    mla = model.latent_attention
    if batch.mode == "decode":
        width = 2 * model.head_dim if mla is None else 2 * mla.kv_rank + mla.rope_dim
        return Work(linear + 2.0 * pairs * model.heads * width, count * length * cache, tokens * cache)
    width = 2 * model.head_dim if mla is None else mla.nope_dim + mla.rope_dim + mla.value_dim
    written = tokens * cache if batch.mode == "prefill" else 0.0
    return Work(linear + 2.0 * pairs * model.heads * width, written=written)


def kv_bytes_per_token(model: MoEModel, batch: Batch) -> float:
    """Return what one token adds to one layer's cache of keys and values, in B."""
    if (mla := model.latent_attention) is not None:
        return float(batch.bytes_per_value * (mla.kv_rank + mla.rope_dim))
    return float(batch.bytes_per_value * 2 * model.kv_heads * model.head_dim)


def router_work(model: MoEModel, tokens: float) -> Work:
    """Return the forward work of one layer's router."""
    return Work(2.0 * tokens * model.hidden * model.experts)


def expert_work(model: MoEModel, tokens: float) -> Work:
    """Return the forward work of routed experts on ``tokens`` activations.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> expert_work(tiny, 10).flops
    1920.0
    """
    return Work(6.0 * tokens * model.hidden * model.expert_width)


def shared_work(model: MoEModel, tokens: float) -> Work:
    """Return the forward work of one layer's shared experts, which every token uses."""
    return Work(2.0 * tokens * model.shared_parameters)


def dense_work(model: MoEModel, tokens: float) -> Work:
    """Return the forward work of one dense layer's feed-forward network."""
    return Work(2.0 * tokens * model.dense_parameters)


def embedding_work(model: MoEModel, tokens: float, bytes_per_value: int = 2) -> Work:
    """Return the work of looking up the tokens' embeddings: one row each, no arithmetic."""
    return Work(read=tokens * model.hidden * bytes_per_value)


def head_work(model: MoEModel, tokens: float) -> Work:
    """Return the forward work of the output head."""
    return Work(2.0 * tokens * model.hidden * model.vocab)


def update_work(parameters: float, optimiser: Optimiser) -> Work:
    """Return the work of one optimiser update: its operations, and its state read and written back."""
    state = parameters * optimiser.state_bytes
    return Work(parameters * optimiser.flops, read=state, written=state)


def step_flops(model: MoEModel, batch: Batch, optimiser: Optimiser | None = None) -> float:
    """Return all operations of one step: forward, and in training backward and update.

    Decode and prefill run the head on the last token of each sequence only.

    Parameters
    ----------
    optimiser
        Of a training step; plain ``sgd`` where ``None``.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> step_flops(tiny, Batch(sequences=1, sequence_length=3, micro_batches=1, mode="prefill"))
    2944.0
    """
    tokens = batch.tokens
    moe = expert_work(model, tokens * model.top_k) + shared_work(model, tokens) + router_work(model, tokens)
    forward = model.layers * attention_work(model, batch) + model.moe_layers * moe
    forward += model.dense_layers * dense_work(model, tokens)
    forward += head_work(model, tokens if batch.mode == "training" else batch.sequences)
    if batch.mode != "training":
        return forward.flops
    update = update_work(model.parameters, optimiser or OPTIMISERS["sgd"])
    return 3 * forward.flops + update.flops
