"""Operations and bytes of the parts of a mixture-of-experts transformer, counted exactly.

One multiply-add is 2 FLOP. Matrix products are counted, element-wise work (norms, softmax, activations,
rotary embedding) is not. With T tokens in sequences of length S, hidden width d, h heads and g key-value
heads of width w:

* a linear map from m to n features costs 2 T m n forward and twice that backward (gradients of input and of
  weight); it reads its weights and T m values from SRAM and writes T n;
* causal attention sees S (S + 1) / 2 pairs per sequence in training and prefill, S per new token in
  decode; layers with a window see fewer (`MoEModel.seen`); a pair costs 2 h (w_qk + w_v), and twice that
  backward;
* a cache keeps 2 g w values per token and layer (GQA), or the latent's c + r (MLA), of the latest tokens only
  in layers with a window; decode reads what it sees of each sequence once, for all its new tokens;
* MLA decodes in the absorbed form (DeepSeek-V2, arXiv 2405.04434): a pair costs 2 h (2 c + r) over the cached
  latent of c + r values; a prefill that goes on from cached tokens expands their latents again;
* prompts in a decode step (chunked prefill) count like a prefill that goes on from ``cached`` tokens;
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
    "cache_bytes",
    "cache_traffic",
    "dense_work",
    "embedding_work",
    "expert_work",
    "head_tokens",
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


def attention_work(
    model: MoEModel,
    batch: Batch,
    sequences: float | None = None,
    *,
    windowed: bool = False,
    prompts: float = 1.0,
) -> Work:
    """Return the forward work of attention in one layer.

    Parameters
    ----------
    model, batch
        Shape of the step; ``batch.mode`` decides which pairs are seen.
    sequences
        Number of sequences; all where ``None``.
    windowed
        Whether the layer sees the model's window only.
    prompts
        Share of the ``prompt_tokens`` of a decode step, 0 to 1.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> attention_work(tiny, Batch(sequences=1, sequence_length=3, micro_batches=1)).flops  # 2*3*192 + 6*2*16
    1344.0
    """
    count = batch.sequences if sequences is None else sequences
    length, cached = batch.sequence_length, batch.cached
    if batch.mode != "decode":
        return count * _causal(model, cached, length, batch.bytes_per_value, windowed)
    seen, new = model.seen(length, windowed=windowed), batch.tokens_per_sequence
    work = count * _attended(model, new, new * seen, seen, batch.bytes_per_value, absorbed=True)
    work += _maps(model, count * new, batch.bytes_per_value)
    if batch.prompt_tokens and prompts:
        work += prompts * _causal(model, cached, batch.prompt_tokens, batch.bytes_per_value, windowed)
    return work


def _causal(model: MoEModel, cached: int, length: int, value: int, windowed: bool) -> Work:
    """Return the work on the ``length`` tokens of a sequence behind its ``cached`` ones."""
    pairs = model.pairs(cached, cached + length, windowed=windowed)
    held = length + min(cached, _kept(model, cached, windowed))
    work = _attended(model, length, pairs, held, value, absorbed=False) + _maps(model, length, value)
    if cached and (mla := model.latent_attention) is not None:
        expanded = model.heads * (mla.nope_dim + mla.value_dim)
        work += linear_work(_kept(model, cached, windowed), mla.kv_rank, expanded, value)
    return work


def _attended(
    model: MoEModel, tokens: float, pairs: float, held: float, value: int, *, absorbed: bool
) -> Work:
    """Return the work of some pairs of queries and keys; the keys and values held are read once."""
    if (mla := model.latent_attention) is None:
        width, result = 2 * model.head_dim, model.heads * model.head_dim
    else:
        width = 2 * mla.kv_rank + mla.rope_dim if absorbed else mla.nope_dim + mla.rope_dim + mla.value_dim
        result = model.heads * mla.value_dim
    read = held * _kept_values(model) * value
    return Work(2.0 * pairs * model.heads * width, float(read), float(tokens * result * value))


def _maps(model: MoEModel, tokens: float, value: int) -> Work:
    """Return the work of the linear maps of attention in one layer."""
    heads = model.heads
    if (mla := model.latent_attention) is None:
        projected = (heads + 2 * model.kv_heads) * model.head_dim
        maps = [(model.hidden, projected), (heads * model.head_dim, model.hidden)]
    else:
        maps = [
            (model.hidden, mla.query_rank),
            (mla.query_rank, heads * (mla.nope_dim + mla.rope_dim)),
            (model.hidden, mla.kv_rank + mla.rope_dim),
            (mla.kv_rank, heads * (mla.nope_dim + mla.value_dim)),
            (heads * mla.value_dim, model.hidden),
        ]
    total = Work()
    for inputs, outputs in maps:
        total += linear_work(tokens, inputs, outputs, value)
    return total


def _kept_values(model: MoEModel) -> int:
    if (mla := model.latent_attention) is not None:
        return mla.kv_rank + mla.rope_dim
    return 2 * model.kv_heads * model.head_dim


def _kept(model: MoEModel, length: int, windowed: bool) -> int:
    """Return how many of a sequence's tokens a layer's cache keeps."""
    return min(length, model.window) if windowed and model.window is not None else length


def kv_bytes_per_token(model: MoEModel, batch: Batch) -> float:
    """Return the bytes that one token adds to one layer's cache of keys and values."""
    return float(batch.bytes_per_value * _kept_values(model))


def cache_bytes(model: MoEModel, length: int, value: int = 2) -> float:
    """Return the bytes of keys and values that a sequence keeps in the caches of all layers.

    Parameters
    ----------
    length
        Tokens of the sequence.
    value
        Bytes per value.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> [cache_bytes(load_workload(name).model, 1) for name in ("qwen3-30b-a3b", "deepseek-v3")]
    [98304.0, 70272.0]
    >>> cache_bytes(load_workload("gpt-oss-20b").model, 4096) / 2**20  # 12 layers of 4096 tokens, 12 of 128
    99.0
    """
    tokens = sum(_kept(model, length, windowed) for windowed in model.is_windowed)
    return float(tokens * _kept_values(model) * value)


def cache_traffic(
    model: MoEModel,
    batch: Batch,
    sequences: float | None = None,
    *,
    windowed: bool = False,
    prompts: float = 1.0,
) -> tuple[float, float]:
    """Return the bytes of keys and values that one layer reads from memory and writes there.

    Decode reads what it sees of the context and writes its new tokens, prefill reads what is cached and
    writes all, training keeps none. Parameters are those of `attention_work`.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> cache_traffic(tiny, Batch(sequences=2, sequence_length=100, micro_batches=1, mode="decode"))
    (3200.0, 32.0)
    """
    count = batch.sequences if sequences is None else sequences
    each = kv_bytes_per_token(model, batch)
    before = _kept(model, batch.cached, windowed)
    if batch.mode == "training":
        return 0.0, 0.0
    if batch.mode == "prefill":
        return count * before * each, count * batch.sequence_length * each
    read = count * model.seen(batch.sequence_length, windowed=windowed)
    written = count * batch.tokens_per_sequence
    if batch.prompt_tokens:
        read, written = read + prompts * before, written + prompts * batch.prompt_tokens
    return read * each, written * each


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


def head_tokens(batch: Batch) -> int:
    """Return the tokens that the output head sees: all in training, else the last ones of each sequence."""
    if batch.mode == "training":
        return batch.tokens
    return batch.sequences * (batch.tokens_per_sequence if batch.mode == "decode" else 1)


def head_work(model: MoEModel, tokens: float, value: int = 2) -> Work:
    """Return the forward work of the output head."""
    return linear_work(tokens, model.hidden, model.vocab, value)


def update_work(parameters: float, optimiser: Optimiser) -> Work:
    """Return the work of one optimiser update: its operations, and its state read and written back."""
    state = parameters * optimiser.state_bytes
    return Work(parameters * optimiser.flops, read=state, written=state)


def step_flops(model: MoEModel, batch: Batch, optimiser: Optimiser | None = None) -> float:
    """Return all operations of one step: forward, and in training backward and update.

    Decode and prefill run the head on the last tokens of each sequence only, see `head_tokens`.

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
    windowed = sum(model.is_windowed)
    forward = (model.layers - windowed) * attention_work(model, batch) + model.moe_layers * moe
    forward += windowed * attention_work(model, batch, windowed=True)
    forward += model.dense_layers * dense_work(model, tokens)
    forward += head_work(model, head_tokens(batch))
    if batch.mode != "training":
        return forward.flops
    update = update_work(model.parameters, optimiser or OPTIMISERS["sgd"])
    return 3 * forward.flops + update.flops
