"""What one rank computes for one layer and micro-batch of a plan: arithmetic and bytes of its memory.

Matrix products on a rank, forward, with R = b s / CP tokens (gathered by TP), T = R / TP of them its own
under sequence parallelism, and C = T k copies for its experts, which ETP gathers to C ETP:

* attention: R x h -> (a + 2 g) d / TP, and R x a d / TP -> h; latent attention by its parameters;
* scores: causal, 2 R (s + 1) a d / TP operations, a tile at a time (FlashAttention, arXiv 2205.14135: no
  bytes beyond its inputs); its backward computes them again, 2.5 times the forward;
* a dense or shared feed-forward of width F: three maps of F / TP;
* experts: E / EP of them share C ETP rows, three maps of f / ETP each; the router T x h -> E.

A backward is twice the forward. A map reads its input and its weights and writes its result, 2 B per value.
Element-wise work moves bytes and computes nothing that counts. Assumed, in values per token: norms and
residuals 12 h on the rank's own tokens; per copy 8 h to permute it at dispatch and combine; 3 of each inner
width.

*Model FLOPs*, which MFU goes by, count what the mathematics asks for, without the causal half and without
recomputation: per token 2 h (a + 2 g) d + 2 a d h + 4 s a d, 6 h f k + 2 h E, 6 h F, 2 h V; three times that
for training (MoE Parallel Folding, arXiv 2504.14960, as recomputed from its MFU and times).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from noptoolkit.nodes.operations import Work
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.workload import Batch, MoEModel

__all__ = ["LayerWork", "head_work_of", "layer_work", "model_flops"]


@dataclass(frozen=True)
class LayerWork:
    """Work of a rank for one layer and micro-batch.

    Parameters
    ----------
    maps
        Matrix products of a forward.
    scores
        Attention's scores of a forward.
    moved
        Bytes of element-wise work of a forward.
    """

    maps: Work
    scores: float
    moved: float

    def seconds(self, peak: float, memory: float) -> tuple[float, float, float]:
        """Return the time of a forward, a backward and its weight part in s: products and bytes in turn.

        Parameters
        ----------
        peak, memory
            Rates that are reached, in FLOP/s and B/s.
        """
        data = self.maps.read + self.maps.written
        plain = self.maps.flops / peak + (data + self.moved) / memory
        score = self.scores / peak
        return plain + score, 2.0 * plain + 2.5 * score, plain


def _map(rows: float, inputs: float, outputs: float, copies: float = 1.0) -> Work:
    value = 2.0
    read = rows * inputs + copies * inputs * outputs
    return Work(2.0 * rows * inputs * outputs, value * read, value * rows * outputs)


def layer_work(
    model: MoEModel, plan: ParallelPlan, batch: Batch, micro_batch: int, *, moe: bool, busiest: float = 1.0
) -> LayerWork:
    """Return the work of one layer on a rank; see the module for what is counted.

    Parameters
    ----------
    micro_batch
        Sequences of a micro-batch.
    moe
        Whether the layer has experts.
    busiest
        Tokens of the rank's experts over the mean.
    """
    length = batch.sequence_length
    return _layer_work(model, length, micro_batch, plan.tp, plan.cp, plan.ep, plan.etp, moe, busiest)


@lru_cache(maxsize=65536)
def _layer_work(
    model: MoEModel,
    length: int,
    micro_batch: int,
    tp: int,
    cp: int,
    ep: int,
    etp: int,
    moe: bool,
    busiest: float,
) -> LayerWork:
    hidden = model.hidden
    rows = micro_batch * length / cp
    own = rows / tp
    width = model.heads * model.head_dim / tp
    if model.latent_attention is None:
        keys = max(model.kv_heads / tp, 1.0) * model.head_dim
        maps = _map(rows, hidden, width + 2.0 * keys) + _map(rows, width, hidden)
    else:
        maps = _map(rows, hidden, model.attention_parameters / (tp * hidden))
    scores = 2.0 * rows * (length + 1) * width
    moved = 2.0 * own * 12.0 * hidden
    plain = 0.0
    if moe:
        local, copies = model.experts / ep, own * model.top_k
        gathered, inner = copies * etp * busiest, model.expert_width / etp
        maps += _map(gathered, hidden, 2.0 * inner, local) + _map(gathered, inner, hidden, local)
        maps += _map(own, hidden, model.experts)
        moved += 2.0 * (copies * 8.0 * hidden + gathered * 3.0 * inner)
        if model.shared_experts:
            plain = model.shared_experts * (model.shared_width or model.expert_width) / tp
    else:
        plain = model.dense_width / tp
    if plain:
        maps += _map(rows, hidden, 2.0 * plain) + _map(rows, plain, hidden)
        moved += 2.0 * rows * 3.0 * plain
    return LayerWork(maps, scores, moved)


def head_work_of(model: MoEModel, plan: ParallelPlan, batch: Batch, micro_batch: int) -> LayerWork:
    """Return the work of the output head on a rank, logits in FP32 read and written once.

    Training takes every token through it, prefill the last of each sequence.
    """
    rows = micro_batch * batch.sequence_length / plan.cp
    if batch.mode != "training":
        rows = float(micro_batch)  # the last token of each sequence
    share = model.vocab / plan.tp
    return LayerWork(_map(rows, model.hidden, share), 0.0, 8.0 * rows * share)


def model_flops(model: MoEModel, batch: Batch) -> float:
    """Return the model FLOPs of a step: what MFU goes by.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> workload = load_workload("mixtral-8x22b")
    >>> print(f"{model_flops(workload.model, workload.batch) / workload.batch.tokens:.5g}")
    2.5067e+11
    """
    hidden, width = model.hidden, model.heads * model.head_dim
    if model.latent_attention is None:
        linear = 2 * hidden * (width + 2 * model.kv_heads * model.head_dim) + 2 * width * hidden
    else:
        linear = 2 * model.attention_parameters
    every = linear + 4 * batch.sequence_length * width
    moe = 6 * hidden * model.expert_width * model.top_k + 2 * hidden * model.experts
    moe += 6 * hidden * model.shared_experts * (model.shared_width or model.expert_width)
    per_token = (
        model.layers * every + model.moe_layers * moe + model.dense_layers * 6 * hidden * model.dense_width
    )
    passes = 3 if batch.mode == "training" else 1
    head = 2 * hidden * model.vocab * (batch.tokens if batch.mode == "training" else batch.sequences)
    return float(passes * (per_token * batch.tokens + head))
