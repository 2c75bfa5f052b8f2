"""Synthetic routing, calibrated to published co-activation statistics; not a recording of any model.

Each token has one of ``topics`` topics, each expert belongs to one; the token takes the k experts of highest

    score(token, expert) = -zipf log(rank(expert)) + affinity [expert in the token's topic] + Gumbel noise,

a Zipf popularity with a topic preference, sampled without replacement by the Gumbel top-k trick
(Kool et al., arXiv 1903.06059). ``strided`` is the share of experts whose ids are assigned to topics
round-robin, as in a load-balanced checkpoint; the others' ids are shuffled. The model and its fitted
parameters are assumed: with one value of ``affinity`` and one of ``strided`` per model it reproduces the two
C_T that Mozart (arXiv 2603.07006) publishes, which is calibration, not validation.

Where only the experts' loads are recorded, `draw_from_loads` draws tokens whose expected loads are exactly
those, by randomised systematic sampling (Madow, Annals of Mathematical Statistics 20, 1949); co-activation
is then chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit._arrays import Floats, Ints
from noptoolkit._numbers import type_faults
from noptoolkit._seeds import generator_from
from noptoolkit.errors import WorkloadError, raise_collected
from noptoolkit.limits import within
from noptoolkit.trace import RoutingTrace

__all__ = ["SyntheticRouting", "draw_from_loads", "draw_trace"]

STEEPEST = 1e6
"""Of a slope of popularity or affinity: far before that all tokens take the same experts."""

MOST_SCORES = 10**9
"""Limit on tokens x experts x layers of a generated trace: a minute or two."""

MOST_AT_ONCE = 2**23
"""Tokens x experts whose scores are held at a time."""


@dataclass(frozen=True)
class SyntheticRouting:
    """Parameters of the generator.

    Parameters
    ----------
    num_experts, top_k
        Routed experts of the model, and experts per token.
    tokens, layers
        Numbers of tokens and of layers to draw; layers are independent draws.
    topics
        Number of topics; it divides ``num_experts``.
    affinity
        Bonus on the score of an expert of the token's topic (fitted).
    zipf
        Exponent of the experts' popularity.
    strided
        Share of experts whose ids are assigned to topics round-robin, 0 to 1 (fitted).
    seed
        Seed of the generator; the same seed draws the same trace.
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
        raise_collected(WorkloadError, "synthetic routing", type_faults(self))
        faults = [
            f"{name} {getattr(self, name)} must be above 0"
            for name in ("num_experts", "top_k", "tokens", "layers", "topics")
            if getattr(self, name) <= 0
        ]
        if self.top_k > self.num_experts:
            faults.append(f"top_k {self.top_k} is more than the {self.num_experts} experts")
        if not faults and self.num_experts % self.topics:
            faults.append(f"{self.topics} topics do not divide {self.num_experts} experts")
        if self.seed < 0:
            faults.append(f"seed {self.seed!r} must be a whole number, 0 or more")
        faults += [
            f"{name} {getattr(self, name)} is not between -{STEEPEST:g} and {STEEPEST:g}"
            for name in ("affinity", "zipf")
            if abs(getattr(self, name)) > STEEPEST
        ]
        if not 0.0 <= self.strided <= 1.0:
            faults.append(f"strided {self.strided} is a share: 0 to 1")
        if not faults and self.tokens * self.num_experts * self.layers > MOST_SCORES:
            faults.append(f"{self.tokens} tokens are too many to draw; a trace of 8192 is plenty")
        raise_collected(WorkloadError, "synthetic routing", faults)


def draw_trace(routing: SyntheticRouting) -> RoutingTrace:
    """Return a synthetic trace, [layers, tokens, top_k].

    Examples
    --------
    >>> draw_trace(SyntheticRouting(num_experts=64, top_k=8, tokens=100, layers=2))
    RoutingTrace(2 layers, 100 tokens, top-8 of 64 experts, synthetic)
    """
    rng = generator_from(routing.seed)
    layers = [_draw_layer(routing, rng) for _ in range(routing.layers)]
    return RoutingTrace(
        np.stack(layers),
        routing.num_experts,
        origin="synthetic",
        source=f"synthetic: {routing}",
    )


def _draw_layer(routing: SyntheticRouting, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
    count = routing.num_experts
    popularity = -routing.zipf * np.log(rng.permutation(count) + 1.0)
    topic_of_expert = rng.permutation(np.arange(count) % routing.topics)
    id_of_expert = _ids(topic_of_expert, routing, rng)
    topic_of_token = rng.integers(0, routing.topics, routing.tokens)
    bonus = routing.affinity * (topic_of_expert == np.arange(routing.topics)[:, None])
    base = (popularity + bonus).astype(np.float32)
    rows = max(MOST_AT_ONCE // count, 1)
    ids = np.empty((routing.tokens, routing.top_k), dtype=np.min_scalar_type(count - 1))
    for first in range(0, routing.tokens, rows):
        score = base[topic_of_token[first : first + rows]]
        noise = rng.random(score.shape, dtype=np.float32)
        score -= np.log(-np.log(np.clip(noise, 1e-12, 1 - 6e-8)))  # standard Gumbel by inversion
        best = np.argpartition(-score, routing.top_k - 1, axis=1)[:, : routing.top_k]
        ids[first : first + rows] = id_of_expert[best]
    return ids


def _ids(topic_of_expert: Ints, routing: SyntheticRouting, rng: np.random.Generator) -> Ints:
    """Return the id of each expert: assigned to topics round-robin for a share of them."""
    by_topic = np.argsort(topic_of_expert, kind="stable").reshape(routing.topics, -1)
    order = by_topic.T.ravel()
    loose = rng.random(routing.num_experts) >= routing.strided
    order[loose] = rng.permutation(order[loose])
    ids = np.empty_like(order)
    ids[order] = np.arange(routing.num_experts)
    return ids


def draw_from_loads(
    loads: ArrayLike,
    top_k: int,
    *,
    tokens: int = 8192,
    seed: int | np.random.Generator | None = 0,
    source: str = "",
) -> RoutingTrace:
    """Return a trace whose expected loads are recorded ones, [layers, tokens, top_k], of origin ``loads``.

    Parameters
    ----------
    loads
        Activations of each expert, [experts] or [layers, experts], in any unit. An expert that would need
        more than every token gets every token.
    top_k
        Experts per token.
    tokens, seed
        Number of tokens to draw, and the seed or the generator.
    source
        Origin of the loads.

    Raises
    ------
    WorkloadError
        If a load is negative or not finite, or fewer than ``top_k`` experts have any.

    Examples
    --------
    >>> draw_from_loads([3, 1, 1, 1], top_k=2, tokens=1000).load()[0]
    np.int64(1000)
    """
    given = np.atleast_2d(np.asarray(loads, dtype=float))
    if given.ndim != 2 or given.size == 0 or not np.isfinite(given).all() or (given < 0).any():
        raise WorkloadError("loads must be [experts] or [layers, experts], finite and not negative")
    if tokens <= 0:
        raise WorkloadError(f"{tokens} tokens cannot be drawn; a trace of 8192 is plenty")
    within("draws", tokens * given.size, "loads", "layers x tokens x experts to draw from")
    within("values", tokens * len(given) * max(top_k, 1), "loads", "layers x tokens x top_k to draw")
    if top_k <= 0 or ((given > 0).sum(axis=1) < top_k).any():
        raise WorkloadError(f"loads: every layer needs at least top_k = {top_k} experts with a load above 0")
    rng = generator_from(seed, "seed")
    layers = [_draw_systematic(_inclusion(layer, top_k), top_k, tokens, rng) for layer in given]
    return RoutingTrace(np.stack(layers), given.shape[1], origin="loads", source=source or "recorded loads")


def _inclusion(loads: Floats, top_k: int) -> Floats:
    """Return the probability that a token takes each expert: proportional to its load, at most 1."""
    full = np.zeros(len(loads), dtype=bool)
    while True:
        rest = np.where(full, 0.0, loads)
        if rest.any() and not 1e-200 < rest.max() < 1e200:  # sums and products would leave what floats hold
            rest = rest / rest.max()
        share = np.where(full, 1.0, rest * (top_k - full.sum()) / max(rest.sum(), np.finfo(float).tiny))
        if (over := (share > 1.0) & ~full).any():
            full |= over
        else:
            return share


def _draw_systematic(
    inclusion: Floats, top_k: int, tokens: int, rng: np.random.Generator
) -> NDArray[np.integer[Any]]:
    most = max(MOST_AT_ONCE // len(inclusion), 1)
    if tokens > most:
        parts = [min(most, tokens - first) for first in range(0, tokens, most)]
        return np.concatenate([_draw_systematic(inclusion, top_k, part, rng) for part in parts])
    order = np.argsort(rng.random((tokens, len(inclusion))), axis=1)
    start = rng.random((tokens, 1))
    reach = np.minimum(np.cumsum(inclusion[order], axis=1), top_k)
    reach[:, -1] = top_k  # the sum, free of rounding
    steps = np.diff(np.floor(reach + start), axis=1, prepend=0.0)
    ids = order[steps > 0].reshape(tokens, top_k)
    return np.asarray(ids, dtype=np.min_scalar_type(len(inclusion) - 1))
