"""Operations and bytes of the parts of a mixture-of-experts transformer, counted exactly.

One multiply-add is 2 FLOP. Matrix products are counted, element-wise work (norms, softmax, activations,
rotary embedding) is not. With T tokens in sequences of length S, hidden width d, h heads and g key-value
heads of width w:

* a linear map from m to n features costs 2 T m n forward and twice that backward (gradients of input and of
  weight); it reads its weights and T m values from SRAM and writes T n;
* causal attention sees S (S + 1) / 2 pairs per sequence in training and prefill, S per new token in
  decode; a pair costs 2 h (w_qk + w_v), and twice that backward;
* MLA decodes in the absorbed form (DeepSeek-V2, arXiv 2405.04434): a pair costs 2 h (2 c + r) over the cached
  latent of c + r values;
* an expert is three maps, gate, up and down: 2 * 3 d f per token that it gets; a router 2 d E; a head 2 d V;
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
    "cache_traffic",
    "dense_work",
    "embedding_work",
    "expert_work",
    "head_work",
    "kv_bytes_per_token",
    "linear_work",
    "router_work",
    "shared_work",
    "step_flops",
    "update_work",
]

Phase = Literal["forward", "backward"]


@dataclass(frozen=True)
class Work:
    """Arithmetic and data movement of one operation on a node.

    Parameters
    ----------
    flops
        Floating-point operations.
    read, written
        Weights and activations that it reads from SRAM, and results that it writes there, in B.

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
    """Cost of an update per parameter.

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


def linear_work(tokens: float, inputs: float, outputs: float, value: int = 2, copies: float = 1.0) -> Work:
    """Return the forward work of a linear map.

    Parameters
    ----------
    tokens
        Number of rows.
    inputs, outputs
        Features of a row before and after.
    value
        Bytes per value.
    copies
        Maps of this shape that share the tokens: how many sets of weights are read.

    Examples
    --------
    >>> linear_work(10, 8, 4)
    Work(flops=640.0, read=224.0, written=80.0)
    """
    read = (tokens * inputs + copies * inputs * outputs) * value
    return Work(2.0 * tokens * inputs * outputs, float(read), float(tokens * outputs * value))


def attention_work(model: MoEModel, batch: Batch, sequences: int | None = None) -> Work:
    """Return the forward work of attention in one layer.

    Parameters
    ----------
    model, batch
        Shape of the step; ``batch.mode`` decides which pairs are seen.
    sequences
        Number of sequences; all where ``None``.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> attention_work(tiny, Batch(sequences=1, sequence_length=3, micro_batches=1)).flops  # 2*3*192 + 6*2*16
    1344.0
    """
    count = batch.sequences if sequences is None else sequences
    length, value, heads = batch.sequence_length, batch.bytes_per_value, model.heads
    decode = batch.mode == "decode"
    tokens = count * (1 if decode else length)
    pairs = count * (length if decode else length * (length + 1) / 2)
    seen = count * length * kv_bytes_per_token(model, batch)  # keys and values, read once
    if (mla := model.latent_attention) is None:
        projected = (heads + 2 * model.kv_heads) * model.head_dim
        maps = [(model.hidden, projected), (heads * model.head_dim, model.hidden)]
        width, result = 2 * model.head_dim, heads * model.head_dim
    else:
        maps = [
            (model.hidden, mla.query_rank),
            (mla.query_rank, heads * (mla.nope_dim + mla.rope_dim)),
            (model.hidden, mla.kv_rank + mla.rope_dim),
            (mla.kv_rank, heads * (mla.nope_dim + mla.value_dim)),
            (heads * mla.value_dim, model.hidden),
        ]
        expanded = mla.nope_dim + mla.rope_dim + mla.value_dim
        width = 2 * mla.kv_rank + mla.rope_dim if decode else expanded
        result = heads * mla.value_dim
    total = Work(2.0 * pairs * heads * width, float(seen), float(tokens * result * value))
    for inputs, outputs in maps:
        total += linear_work(tokens, inputs, outputs, value)
    return total


def kv_bytes_per_token(model: MoEModel, batch: Batch) -> float:
    """Return the bytes that one token adds to one layer's cache of keys and values."""
    if (mla := model.latent_attention) is not None:
        return float(batch.bytes_per_value * (mla.kv_rank + mla.rope_dim))
    return float(batch.bytes_per_value * 2 * model.kv_heads * model.head_dim)


def cache_traffic(model: MoEModel, batch: Batch, sequences: int | None = None) -> tuple[float, float]:
    """Return the bytes of keys and values that one layer reads from memory and writes there.

    Decode reads the context's and writes one token's, prefill writes all, training keeps none.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> cache_traffic(tiny, Batch(sequences=2, sequence_length=100, micro_batches=1, mode="decode"))
    (3200.0, 32.0)
    """
    count = batch.sequences if sequences is None else sequences
    each = kv_bytes_per_token(model, batch)
    if batch.mode == "training":
        return 0.0, 0.0
    if batch.mode == "prefill":
        return 0.0, count * batch.sequence_length * each
    return count * batch.sequence_length * each, count * each


def router_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the forward work of one layer's router."""
    return linear_work(tokens, model.hidden, model.experts, value)


def expert_work(model: MoEModel, tokens: float, experts: float = 1.0, value: int = 2) -> Work:
    """Return the forward work of routed experts on ``tokens`` activations, spread over ``experts`` of them.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> expert_work(tiny, 10).flops
    1920.0
    """
    return _feed_forward(tokens, model.hidden, model.expert_width, value, experts)


def shared_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the forward work of one layer's shared experts, which every token uses."""
    width = model.shared_width or model.expert_width
    return model.shared_experts * _feed_forward(tokens, model.hidden, width, value)


def dense_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the forward work of one dense layer's feed-forward network."""
    return _feed_forward(tokens, model.hidden, model.dense_width, value)


def _feed_forward(tokens: float, hidden: int, width: int, value: int, copies: float = 1.0) -> Work:
    up = linear_work(tokens, hidden, 2 * width, value, copies)  # gate and up side by side
    return up + linear_work(tokens, width, hidden, value, copies)


def embedding_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the work of looking up the tokens' embeddings: one row each, no arithmetic."""
    row = float(tokens * model.hidden * value)
    return Work(read=row, written=row)


def head_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the forward work of the output head."""
    return linear_work(tokens, model.hidden, model.vocab, value)


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
        Optimiser of a training step; plain ``sgd`` where ``None``.

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
