"""Tokens drawn from recorded expert loads alone: every expert gets its load, and nothing else is known.

A token uses expert e with probability p_e = k load_e / sum(load). Systematic sampling in random order
(Hartley and Rao, Ann. Math. Statist. 33, 1962) draws k experts without replacement with exactly these
probabilities: lay the p_e end to end in an order shuffled for each token, and take the experts on which u,
u + 1, ..., u + k - 1 fall, u uniform in (0, 1). Experts are then nearly as independent as their loads allow:
C_T on such a trace says nothing about which experts work together. Its origin is ``loads``, which is shown
beside every result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit.errors import WorkloadError

__all__ = ["draw_tokens"]


def draw_tokens(
    loads: ArrayLike, top_k: int, *, tokens: int = 8192, rng: int | np.random.Generator | None = None
) -> NDArray[np.integer[Any]]:
    """Return top-k ids of tokens that give each expert its share of the load, [layers, tokens, top_k].

    Parameters
    ----------
    loads
        Activations of each expert, counts or shares, [layers, experts].
    top_k
        Experts per token.
    tokens
        Tokens to draw in each layer.
    rng
        Seed or generator.

    Raises
    ------
    WorkloadError
        If a load is negative, NaN or infinite, or one expert has more than a ``top_k``-th of its layer's
        load, which tokens of distinct experts cannot give it.

    Examples
    --------
    >>> ids = draw_tokens([[60, 20, 10, 10]], top_k=1, tokens=1000, rng=0)
    >>> ids.shape, round(float((ids == 0).mean()), 1)
    ((1, 1000, 1), 0.6)
    """
    given = np.array(loads, dtype=float)
    if given.ndim != 2 or given.size == 0:
        raise WorkloadError(f"loads has shape {given.shape}; give them as [layers, experts]")
    if not np.isfinite(given).all() or (given < 0).any():
        raise WorkloadError("loads are finite and not negative")
    if not 0 < top_k <= given.shape[1]:
        raise WorkloadError(f"top_k {top_k} of {given.shape[1]} experts; give 1 to {given.shape[1]}")
    totals = given.sum(axis=1)
    if (totals == 0).any():
        raise WorkloadError(f"layer {int(totals.argmin())} has no load at all; leave it out")
    inclusion = top_k * given / totals[:, None]
    if inclusion.max() > 1 + 1e-9:
        layer, expert = (int(i) for i in np.unravel_index(inclusion.argmax(), inclusion.shape))
        share = given[layer, expert] / totals[layer]
        raise WorkloadError(
            f"layer {layer}: expert {expert} has {share:.0%} of the load, and with top-{top_k} it can have "
            f"{1 / top_k:.0%} at most; is top_k right?"
        )
    generator = np.random.default_rng(rng)
    return np.stack([_draw_layer(np.minimum(row, 1.0), top_k, tokens, generator) for row in inclusion])


def _draw_layer(
    inclusion: NDArray[np.float64], top_k: int, tokens: int, rng: np.random.Generator
) -> NDArray[np.integer[Any]]:
    order = rng.random((tokens, len(inclusion))).argsort(axis=1)
    passed = np.floor(inclusion[order].cumsum(axis=1) - rng.random((tokens, 1)))
    hit = np.diff(passed, axis=1, prepend=-1.0)
    hit += 0.5 * rng.random(hit.shape)  # should rounding lose a hit, another expert takes its place
    best = np.argpartition(-hit, top_k - 1, axis=1)[:, :top_k]
    return np.take_along_axis(order, best, axis=1).astype(np.min_scalar_type(len(inclusion) - 1))
