"""Shape of a mixture-of-experts transformer: its layers, what its attention sees, its parameters.

Parameter counts follow the published architectures (source: the checkpoints' configuration files): with
hidden width d, h heads, g key-value heads of width w, E routed and S shared experts of width f,

* attention (GQA): d w (2 h + 2 g), plus biases, query-key norms and sinks where the model has them;
* attention (MLA): d q + q h (n + r) + d (c + r) + c h (n + v) + h v d, plus the two norms;
* an expert: 3 d f (gate, up, down); the router: d E; a dense layer: 3 d F.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from noptoolkit._numbers import type_faults
from noptoolkit.errors import WorkloadError, raise_collected

__all__ = ["LatentAttention", "MoEModel"]


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
