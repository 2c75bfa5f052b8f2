"""Synthetic routing, calibrated to published co-activation statistics; not a recording of any model.

Each token has one of ``topics`` topics, each expert belongs to one; the token takes the k experts of highest

    score(token, expert) = -zipf log(rank(expert)) + affinity [expert in the token's topic] + Gumbel noise,

a Zipf popularity with a topic preference, sampled without replacement by the Gumbel top-k trick
(Kool et al., arXiv 1903.06059). ``strided`` is the share of experts whose ids are dealt round the topics,
as a load-balanced checkpoint spreads them; the others' ids are shuffled. The model and its fitted parameters
are assumed: with one value of ``affinity`` and one of ``strided`` per model it reproduces the two C_T that
Mozart (arXiv 2603.07006) publishes, which is calibration, not validation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import WorkloadError, raise_collected
from noptoolkit.trace import RoutingTrace

__all__ = ["SyntheticRouting", "draw_trace"]


@dataclass(frozen=True)
class SyntheticRouting:
    """Parameters of the generator.

    Parameters
    ----------
    num_experts, top_k
        Of the model.
    tokens, layers
        How many to draw; layers are independent draws.
    topics
        How many topics; it divides ``num_experts``.
    affinity
        What belonging to the token's topic adds to a score (fitted).
    zipf
        Exponent of the experts' popularity.
    strided
        Share of experts whose ids are dealt round the topics, 0 to 1 (fitted).
    seed
        Of the generator; the same seed draws the same trace.
    """

    num_experts: int
    top_k: int
    tokens: int = 8192
    layers: int = 4
    topics: int = 8
    affinity: float = 2.5
    zipf: float = 0.3
    strided: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [
            f"{name} {getattr(self, name)} must be above 0"
            for name in ("num_experts", "top_k", "tokens", "layers", "topics")
            if getattr(self, name) <= 0
        ]
        if self.top_k > self.num_experts:
            faults.append(f"top_k {self.top_k} is more than the {self.num_experts} experts")
        if not faults and self.num_experts % self.topics:
            faults.append(f"{self.topics} topics do not divide {self.num_experts} experts")
        if not 0.0 <= self.strided <= 1.0:
            faults.append(f"strided {self.strided} is a share: 0 to 1")
        raise_collected(WorkloadError, "synthetic routing", faults)


def draw_trace(routing: SyntheticRouting) -> RoutingTrace:
    """Return a synthetic trace, [layers, tokens, top_k].

    Examples
    --------
    >>> draw_trace(SyntheticRouting(num_experts=64, top_k=8, tokens=100, layers=2))
    RoutingTrace(2 layers, 100 tokens, top-8 of 64 experts, synthetic)
    """
    rng = np.random.default_rng(routing.seed)
    layers = [_draw_layer(routing, rng) for _ in range(routing.layers)]
    return RoutingTrace(
        np.stack(layers),
        routing.num_experts,
        origin="synthetic",
        source=f"synthetic: {routing}",
    )


def _draw_layer(routing: SyntheticRouting, rng: np.random.Generator) -> NDArray[np.int64]:
    count = routing.num_experts
    popularity = -routing.zipf * np.log(rng.permutation(count) + 1.0)
    topic_of_expert = rng.permutation(np.arange(count) % routing.topics)
    id_of_expert = _ids(topic_of_expert, routing, rng)
    topic_of_token = rng.integers(0, routing.topics, routing.tokens)
    bonus = routing.affinity * (topic_of_expert == np.arange(routing.topics)[:, None])
    score = (popularity + bonus).astype(np.float32)[topic_of_token]
    noise = rng.random((routing.tokens, count), dtype=np.float32)
    score -= np.log(-np.log(np.clip(noise, 1e-12, 1 - 6e-8)))  # standard Gumbel by inversion
    best = np.argpartition(-score, routing.top_k - 1, axis=1)[:, : routing.top_k]
    return np.asarray(id_of_expert[best], dtype=np.int64)


def _ids(
    topic_of_expert: NDArray[np.int64], routing: SyntheticRouting, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the id under which each expert is known: dealt round the topics for a share of them."""
    by_topic = np.argsort(topic_of_expert, kind="stable").reshape(routing.topics, -1)
    order = by_topic.T.ravel()
    loose = rng.random(routing.num_experts) >= routing.strided
    order[loose] = rng.permutation(order[loose])
    ids = np.empty_like(order)
    ids[order] = np.arange(routing.num_experts)
    return ids
