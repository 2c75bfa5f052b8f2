"""Workloads: a mixture-of-experts model, a batch of tokens and the routing of its tokens to experts.

Parameter counts follow the published architectures (source: the checkpoints' configuration files): with
hidden width d, h heads, g key-value heads of width w, E routed and S shared experts of width f,

* attention (GQA): d w (2 h + 2 g), plus biases, query-key norms and sinks where the model has them;
* attention (MLA): d q + q h (n + r) + d (c + r) + c h (n + v) + h v d, plus the two norms;
* an expert: 3 d f (gate, up, down); the router: d E; a dense layer: 3 d F.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from noptoolkit._digests import digest, fields_of
from noptoolkit._numbers import is_whole, type_faults
from noptoolkit.errors import WorkloadError, raise_collected
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.trace import Origin, RoutingTrace

__all__ = ["Batch", "LatentAttention", "MoEModel", "Workload"]

Mode = Literal["training", "prefill", "decode"]
MODES: tuple[Mode, ...] = ("training", "prefill", "decode")


@dataclass(frozen=True)
class LatentAttention:
    """Ranks and head widths of multi-head latent attention (MLA; DeepSeek-V2, arXiv 2405.04434)."""

    query_rank: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int

    def __post_init__(self) -> None:
        faults = type_faults(self) or [
            f"{name} {value} must be above 0" for name, value in vars(self).items() if value <= 0
        ]
        raise_collected(WorkloadError, "latent attention", faults)


@dataclass(frozen=True)
class MoEModel:
    """Shape of a mixture-of-experts transformer.

    Parameters
    ----------
    name
        Name as published.
    hidden, layers, heads, kv_heads, head_dim, vocab
        Widths and counts of the transformer.
    expert_width
        Inner width of one routed expert.
    experts, top_k
        Routed experts per MoE layer, and how many a token uses.
    shared_experts, shared_width
        Experts every token uses, and their width (``expert_width`` where ``None``).
    dense_layers, dense_width
        Layers with one ordinary feed-forward network, and its inner width.
    dense_order
        Whether dense layers come ``first`` (DeepSeek) or ``alternate`` evenly with MoE layers (Llama 4).
    dense_at
        Which layers are the dense ones, counted from 0, where they come neither way; as many as
        ``dense_layers``. Empty: as ``dense_order`` says.
    latent_attention
        MLA instead of grouped-query attention.
    qk_norm
        Query-key norm: ``none``, per ``head``, or over the ``full`` projection.
    biases, sinks, router_bias, tied_embeddings
        Terms that some architectures add or share.
    window, window_kind, full_every
        Tokens that a local layer's attention sees: the latest (``sliding``), or those of the token's own
        chunk (``chunked``, Llama 4); every ``full_every``-th layer sees all (2 in gpt-oss, 4 in Llama 4),
        none does with 0. ``None``: every layer sees all.
    context
        Positions that the model knows, in tokens; ``None`` where nobody says.
    published_parameters
        Total that its authors state; `parameters` is tested against it.

    Examples
    --------
    >>> qwen = MoEModel("Qwen3-30B-A3B", hidden=2048, layers=48, heads=32, kv_heads=4, head_dim=128,
    ...                 vocab=151936, expert_width=768, experts=128, top_k=8, qk_norm="head")
    >>> qwen.parameters
    30532122624
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    expert_width: int
    experts: int
    top_k: int
    shared_experts: int = 0
    shared_width: int | None = None
    dense_layers: int = 0
    dense_width: int = 0
    dense_order: Literal["first", "alternate"] = "first"
    latent_attention: LatentAttention | None = None
    qk_norm: Literal["none", "head", "full"] = "none"
    biases: bool = False
    sinks: bool = False
    router_bias: bool = False
    tied_embeddings: bool = False
    window: int | None = None
    window_kind: Literal["sliding", "chunked"] = "sliding"
    full_every: int = 0
    context: int | None = None
    published_parameters: float | None = None
    dense_at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        raise_collected(WorkloadError, f"model {self.name!r}", type_faults(self))
        positive = ("hidden", "layers", "heads", "kv_heads", "head_dim", "vocab", "expert_width")
        faults = [
            f"{name} {getattr(self, name)} must be above 0"
            for name in (*positive, "experts", "top_k")
            if getattr(self, name) <= 0
        ]
        faults += [
            f"{name} {getattr(self, name)} must not be negative"
            for name in ("shared_experts", "dense_layers", "dense_width")
            if getattr(self, name) < 0
        ]
        if self.top_k > self.experts:
            faults.append(f"top_k {self.top_k} is more than the {self.experts} experts")
        if self.dense_layers > self.layers:
            faults.append(f"dense_layers {self.dense_layers} is more than the {self.layers} layers")
        if self.dense_at:
            faults += [
                f"dense_at names layer {layer}, the {self.layers} layers are 0 to {self.layers - 1}"
                for layer in self.dense_at
                if not 0 <= layer < self.layers
            ]
            if len(set(self.dense_at)) != len(self.dense_at) or len(self.dense_at) != self.dense_layers:
                faults.append(
                    f"dense_at names {len(set(self.dense_at))} different layers, "
                    f"dense_layers is {self.dense_layers}"
                )
        if self.dense_layers and not self.dense_width:
            faults.append(f"{self.dense_layers} dense layers need a dense_width")
        if self.kv_heads > 0 and self.heads % self.kv_heads:
            faults.append(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        faults += [
            f"{name} {value} must be above 0"
            for name in ("window", "context")
            if (value := getattr(self, name)) is not None and value <= 0
        ]
        if self.full_every < 0 or (self.full_every and self.window is None):
            faults.append(f"full_every {self.full_every} goes with a window, and is 0 or more")
        if self.dense_order not in ("first", "alternate"):
            faults.append(f"no dense_order {self.dense_order!r}; known: first, alternate")
        if self.qk_norm not in ("none", "head", "full"):
            faults.append(f"no qk_norm {self.qk_norm!r}; known: none, head, full")
        raise_collected(WorkloadError, f"model {self.name!r}", faults)

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts."""
        return self.layers - self.dense_layers

    @property
    def is_dense(self) -> tuple[bool, ...]:
        """Whether each layer is a dense one, in forward order.

        Examples
        --------
        >>> shape = dict(hidden=8, layers=4, heads=1, kv_heads=1, head_dim=8, vocab=8, expert_width=8)
        >>> shape |= dict(experts=2, top_k=1, dense_layers=2, dense_width=8)
        >>> MoEModel("a", **shape).is_dense, MoEModel("b", **shape, dense_order="alternate").is_dense
        ((True, True, False, False), (True, False, True, False))
        >>> MoEModel("c", **shape, dense_at=(0, 3)).is_dense
        (True, False, False, True)
        """
        dense, layers = self.dense_layers, self.layers
        if self.dense_at:
            return tuple(i in self.dense_at for i in range(layers))
        if self.dense_order == "first":
            return tuple(i < dense for i in range(layers))
        return tuple((i * dense) % layers < dense for i in range(layers))

    @property
    def is_windowed(self) -> tuple[bool, ...]:
        """Whether each layer's attention sees a window only, in forward order.

        Examples
        --------
        >>> shape = dict(hidden=8, layers=4, heads=1, kv_heads=1, head_dim=8, vocab=8, expert_width=8)
        >>> MoEModel("a", **shape, experts=2, top_k=1, window=4, full_every=2).is_windowed
        (True, False, True, False)
        """
        if self.window is None:
            return (False,) * self.layers
        return tuple(not self.full_every or (i + 1) % self.full_every > 0 for i in range(self.layers))

    def seen(self, position: int, *, windowed: bool = False) -> int:
        """Return how many tokens the token at a position sees, itself counted; positions start at 1.

        Examples
        --------
        >>> shape = dict(hidden=8, layers=4, heads=1, kv_heads=1, head_dim=8, vocab=8, expert_width=8)
        >>> shape |= dict(experts=2, top_k=1, window=4)
        >>> [MoEModel("a", **shape).seen(p, windowed=True) for p in (1, 4, 5, 6)]
        [1, 4, 4, 4]
        >>> [MoEModel("a", **shape, window_kind="chunked").seen(p, windowed=True) for p in (1, 4, 5, 6)]
        [1, 4, 1, 2]
        """
        if not windowed or self.window is None:
            return position
        if self.window_kind == "chunked":
            return (position - 1) % self.window + 1
        return min(position, self.window)

    def pairs(self, first: int, last: int, *, windowed: bool = False) -> int:
        """Return the sum of `seen` over the positions ``first + 1`` to ``last``.

        Examples
        --------
        >>> shape = dict(hidden=8, layers=4, heads=1, kv_heads=1, head_dim=8, vocab=8, expert_width=8)
        >>> model = MoEModel("a", **shape, experts=2, top_k=1, window=4)
        >>> model.pairs(0, 6), model.pairs(0, 6, windowed=True), model.pairs(4, 6, windowed=True)
        (21, 18, 8)
        """

        def up_to(x: int) -> int:
            if not windowed or self.window is None:
                return x * (x + 1) // 2
            whole = self.window * (self.window + 1) // 2
            if self.window_kind == "chunked":
                chunks, rest = divmod(x, self.window)
                return chunks * whole + rest * (rest + 1) // 2
            return x * (x + 1) // 2 if x <= self.window else whole + (x - self.window) * self.window

        return up_to(last) - up_to(first)

    @property
    def attention_parameters(self) -> int:
        """Parameters of the attention of one layer, norms of the layer not counted."""
        if (mla := self.latent_attention) is not None:
            queries = self.hidden * mla.query_rank + mla.query_rank
            queries += mla.query_rank * self.heads * (mla.nope_dim + mla.rope_dim)
            keys = self.hidden * (mla.kv_rank + mla.rope_dim) + mla.kv_rank
            keys += mla.kv_rank * self.heads * (mla.nope_dim + mla.value_dim)
            return queries + keys + self.heads * mla.value_dim * self.hidden
        query, key_value = self.heads * self.head_dim, self.kv_heads * self.head_dim
        count = 2 * self.hidden * (query + key_value)
        count += {"none": 0, "head": 2 * self.head_dim, "full": query + key_value}[self.qk_norm]
        if self.biases:
            count += query + 2 * key_value + self.hidden
        return count + (self.heads if self.sinks else 0)

    @property
    def expert_parameters(self) -> int:
        """Parameters of one routed expert."""
        biases = 2 * self.expert_width + self.hidden if self.biases else 0
        return 3 * self.hidden * self.expert_width + biases

    @property
    def shared_parameters(self) -> int:
        """Parameters of all shared experts of one MoE layer."""
        return self.shared_experts * 3 * self.hidden * (self.shared_width or self.expert_width)

    @property
    def router_parameters(self) -> int:
        """Parameters of the router of one MoE layer."""
        return self.hidden * self.experts + (self.experts if self.router_bias else 0)

    @property
    def dense_parameters(self) -> int:
        """Parameters of the feed-forward network of one dense layer."""
        return 3 * self.hidden * self.dense_width

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding and the output head."""
        return self.vocab * self.hidden * (1 if self.tied_embeddings else 2)

    @property
    def parameters(self) -> int:
        """Parameters of the whole model, with two norms per layer and one at the end."""
        moe = self.experts * self.expert_parameters + self.shared_parameters + self.router_parameters
        every_layer = self.attention_parameters + 2 * self.hidden
        return (
            self.embedding_parameters
            + self.hidden
            + self.layers * every_layer
            + self.moe_layers * moe
            + self.dense_layers * self.dense_parameters
        )

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses."""
        unused = self.moe_layers * (self.experts - self.top_k) * self.expert_parameters
        return self.parameters - unused


@dataclass(frozen=True)
class Batch:
    """The tokens of one step.

    Parameters
    ----------
    sequences, sequence_length
        Of the whole step; for ``decode``, the length is that of the context and each sequence
        contributes one token.
    micro_batches
        Number of equal parts that the sequences are cut into.
    mode
        ``training`` (forward, backward, optimiser update), ``prefill`` or ``decode``.
    bytes_per_value
        Size of a parameter, an activation and a gradient, in B (2 for FP16).
    tokens_per_sequence
        Tokens of each sequence that a step of ``decode`` computes: 1, and those that are only proposed
        (speculative decoding, multi-token prediction).
    prompt_tokens
        Tokens of prompts that a step of ``decode`` computes beside (chunked prefill).
    cached
        Tokens of a prompt whose keys and values are there already: of each sequence in ``prefill``, of the
        prompt that ``prompt_tokens`` belong to in ``decode``.
    """

    sequences: int = 32
    sequence_length: int = 256
    micro_batches: int = 4
    mode: Mode = "training"
    bytes_per_value: int = 2
    tokens_per_sequence: int = 1
    prompt_tokens: int = 0
    cached: int = 0

    def __post_init__(self) -> None:
        faults = [
            f"{name} {getattr(self, name)} must be a whole number above 0"
            for name in (
                *("sequences", "sequence_length", "micro_batches", "bytes_per_value"),
                "tokens_per_sequence",
            )
            if not is_whole(getattr(self, name)) or getattr(self, name) <= 0
        ]
        faults += [
            f"{name} {getattr(self, name)} must be a whole number, 0 or more"
            for name in ("prompt_tokens", "cached")
            if not is_whole(getattr(self, name)) or getattr(self, name) < 0
        ]
        if not faults and self.mode != "decode" and (self.tokens_per_sequence > 1 or self.prompt_tokens):
            faults.append(f"tokens_per_sequence and prompt_tokens go with mode 'decode', not {self.mode!r}")
        if (
            not faults
            and self.cached
            and (self.mode == "training" or (self.mode == "decode" and not self.prompt_tokens))
        ):
            faults.append("cached goes with mode 'prefill', or with prompt_tokens in mode 'decode'")
        if not faults and self.sequences % self.micro_batches:
            faults.append(
                f"{self.sequences} sequences do not divide into {self.micro_batches} micro-batches; "
                "give a micro_batches that divides them"
            )
        if self.mode not in MODES:
            faults.append(f"no mode {self.mode!r}; known: {', '.join(MODES)}")
        raise_collected(WorkloadError, "batch", faults)

    @property
    def tokens(self) -> int:
        """Tokens that one step computes."""
        if self.mode != "decode":
            return self.sequences * self.sequence_length
        return self.sequences * self.tokens_per_sequence + self.prompt_tokens

    @property
    def longest(self) -> int:
        """The last position of any of its tokens."""
        if self.mode == "decode":
            return max(self.sequence_length, self.cached + self.prompt_tokens)
        return self.cached + self.sequence_length


@dataclass(frozen=True, eq=False)
class Workload:
    """A model, a batch and the routing of its tokens.

    Parameters
    ----------
    name
        Name in tables.
    model, batch
        Shape of one step.
    routing
        Trace, or the parameters of the synthetic generator (drawn once, when first asked for).
    source
        Origin of its numbers.
    assumed
        Assumptions that no source supports.
    """

    name: str
    model: MoEModel
    batch: Batch = field(default_factory=Batch)
    routing: RoutingTrace | SyntheticRouting | None = None
    source: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        routing = self.routing
        if routing is not None:
            if routing.num_experts != self.model.experts:
                faults.append(
                    f"the routing is over {routing.num_experts} experts, "
                    f"the model has {self.model.experts}; give it a trace of its own"
                )
            if routing.top_k != self.model.top_k:
                faults.append(
                    f"the routing has {routing.top_k} experts per token, "
                    f"the model uses {self.model.top_k}; give it a trace of its own"
                )
        batch, most = self.batch, self.model.context
        if batch.mode != "training" and most is not None and batch.longest > most:
            faults.append(
                f"a {batch.mode} of {batch.longest} positions is beyond the {most} that {self.model.name!r} "
                "knows; give a shorter sequence_length, or the model another context"
            )
        raise_collected(WorkloadError, f"workload {self.name!r}", faults)

    def check_routed(self) -> None:
        """Raise WorkloadError if the workload has no routing."""
        if self.routing is None:
            raise WorkloadError(
                f"workload {self.name!r} has no routing: give it a trace file, loads or a generator"
            )

    @property
    def origin(self) -> Origin:
        """Origin of the routing, see `RoutingTrace`; ``unstated`` without routing."""
        if self.routing is None:
            return "unstated"
        return self.routing.origin if isinstance(self.routing, RoutingTrace) else "synthetic"

    def digest(self) -> str:
        """Return the sha256 of what results depend on: shape of the model, batch and routing.

        Names, ``source``, ``assumed``, known positions and published totals do not count. A generator counts
        by its parameters, a trace by its ids; see `noptoolkit._digests`.

        Examples
        --------
        >>> from noptoolkit import load_workload
        >>> load_workload("olmoe-1b-7b").digest()[:12]
        '7483f76f3f6c'
        """
        routing = self.routing.digest() if isinstance(self.routing, RoutingTrace) else self.routing
        model = fields_of(self.model, without=("name", "context", "published_parameters"))
        return digest("workload", {"model": model, "batch": self.batch, "routing": routing})

    def with_batch(self, batch: int | Mapping[str, Any] | Batch | None) -> Workload:
        """Return a workload with another batch: a number of sequences, some other fields, or a whole `Batch`.

        Examples
        --------
        >>> import noptoolkit as nop
        >>> workload = nop.load_workload("qwen3-30b-a3b")
        >>> workload.with_batch(64).batch.sequences, workload.with_batch({"mode": "decode"}).batch.mode
        (64, 'decode')
        """
        if batch is None:
            return self
        if isinstance(batch, Batch):
            return self.replace(batch=batch)
        if isinstance(batch, Mapping):
            return self.replace(**{f"batch.{key}": value for key, value in batch.items()})
        if isinstance(batch, int) and not isinstance(batch, bool):
            return self.replace(sequences=batch)
        raise WorkloadError(
            f"batch={batch!r}: give a number of sequences, fields such as {{'sequences': 64}}, or a Batch"
        )

    def replace(self, **changes: Any) -> Workload:
        """Return a workload with some fields replaced, its own or those of its parts.

        Parameters
        ----------
        changes
            Fields by name: ``sequences=64``, ``mode="decode"``, ``top_k=4``, ``affinity=2.0``. A name that
            occurs twice is the model's; ``**{"routing.layers": 8}`` reaches the generator's. A generator
            follows the model's experts; a trace has to fit.

        Raises
        ------
        UnknownNameError
            If there is no such field.
        WorkloadError
            If a value is not of the field's type, or the parts do not fit each other.

        Examples
        --------
        >>> import noptoolkit as nop
        >>> workload = nop.load_workload("qwen3-30b-a3b").replace(sequences=64, mode="decode")
        >>> workload.batch.sequences, workload.batch.mode, workload.batch.tokens
        (64, 'decode', 64)
        """
        from noptoolkit.workload_edits import replace_fields

        return replace_fields(self, changes)

    @cached_property
    def trace(self) -> RoutingTrace:
        """The routing of its tokens; ``trace.origin`` says whether it is recorded or synthetic.

        Raises
        ------
        WorkloadError
            If the workload has no routing.
        """
        self.check_routed()
        assert self.routing is not None
        if isinstance(self.routing, SyntheticRouting):
            from noptoolkit.synthetic import draw_trace

            return draw_trace(self.routing)
        return self.routing
