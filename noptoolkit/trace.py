"""Which experts each token used: the routing trace, and the statistics that layouts are made from.

A trace is an array of expert ids, [layers, tokens, k]. From it come (Mozart, arXiv 2603.07006) the
workload vector V (share of activations per expert) and the co-activation matrix C (tokens that use
both experts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit.errors import WorkloadError

__all__ = ["Origin", "RoutingTrace"]

Origin = Literal["recorded", "loads", "synthetic"]


@dataclass(frozen=True, eq=False, repr=False)
class RoutingTrace:
    """The top-k expert ids of every token in every MoE layer.

    Parameters
    ----------
    topk
        Expert ids, [layers, tokens, k] or [tokens, k]; distinct within a token.
    num_experts
        Routed experts of the model.
    origin
        ``recorded`` from a model, drawn from recorded ``loads`` alone (co-activation is then not known), or
        ``synthetic``; shown wherever results of it appear.
    source
        Where it comes from.

    Raises
    ------
    WorkloadError
        If it is empty, ragged or not of whole numbers, an id is out of range, or a token repeats an expert.

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [1, 2], [1, 3]], num_experts=4)
    >>> trace
    RoutingTrace(1 layer, 3 tokens, top-2 of 4 experts, recorded)
    >>> trace.load()
    array([1, 3, 1, 1])
    """

    topk: NDArray[np.integer[Any]]
    num_experts: int
    origin: Origin = "recorded"
    source: str = ""

    def __init__(
        self,
        topk: ArrayLike,
        num_experts: int,
        origin: Origin = "recorded",
        source: str = "",
    ) -> None:
        ids = _checked_ids(topk, num_experts)
        object.__setattr__(self, "topk", ids)
        object.__setattr__(self, "num_experts", int(num_experts))
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "source", source)

    def __repr__(self) -> str:
        layers = f"{self.num_layers} layer" + ("s" if self.num_layers != 1 else "")
        shape = f"{layers}, {self.num_tokens} tokens, top-{self.top_k} of {self.num_experts} experts"
        return f"RoutingTrace({shape}, {self.origin})"

    @property
    def num_layers(self) -> int:
        """MoE layers recorded."""
        return int(self.topk.shape[0])

    @property
    def num_tokens(self) -> int:
        """Tokens recorded."""
        return int(self.topk.shape[1])

    @property
    def top_k(self) -> int:
        """Experts per token."""
        return int(self.topk.shape[2])

    def layer(self, index: int) -> RoutingTrace:
        """Return one layer as a trace of its own."""
        if not -self.num_layers <= index < self.num_layers:
            raise WorkloadError(f"no layer {index}: the trace has layers 0 to {self.num_layers - 1}")
        return self._with(self.topk[index][None])

    def tokens(self, chosen: Any) -> RoutingTrace:
        """Return a trace of some tokens only: a slice, indices or a mask."""
        return self._with(self.topk[:, chosen])

    def load(self) -> NDArray[np.int64]:
        """Return the number of activations of each expert, [experts]: the workload vector, unnormalised."""
        counts = np.bincount(self.topk.ravel(), minlength=self.num_experts)
        return counts.astype(np.int64)

    def coactivation(self) -> NDArray[np.float64]:
        """Return how many tokens use both experts, [experts, experts], summed over layers; diagonal 0."""
        from scipy.sparse import csr_array

        rows = self.topk.reshape(-1, self.top_k)
        starts = np.arange(0, rows.size + 1, self.top_k)
        ones = np.ones(rows.size)
        incidence = csr_array((ones, rows.ravel(), starts), shape=(len(rows), self.num_experts))
        together = np.asarray((incidence.T @ incidence).todense())
        np.fill_diagonal(together, 0.0)
        return together

    def _with(self, topk: NDArray[np.integer[Any]]) -> RoutingTrace:
        return RoutingTrace(topk, self.num_experts, self.origin, self.source)


def _checked_ids(topk: ArrayLike, num_experts: int) -> NDArray[np.integer[Any]]:
    try:
        given = np.asarray(topk)
    except ValueError as error:
        raise WorkloadError("the trace is ragged: every token needs the same number of ids") from error
    if given.dtype == object:
        raise WorkloadError("the trace is ragged: every token needs the same number of expert ids")
    if given.ndim == 2:
        given = given[None]
    if given.ndim != 3 or given.size == 0:
        raise WorkloadError(
            f"the trace has shape {given.shape}; give ids as [layers, tokens, k] or [tokens, k]"
        )
    if not np.issubdtype(given.dtype, np.integer):
        raise WorkloadError(f"the trace holds {given.dtype}; expert ids are whole numbers")
    k = given.shape[2]
    if k > num_experts:
        raise WorkloadError(f"{k} experts per token, but only {num_experts} experts")
    low, high = int(given.min()), int(given.max())
    if low < 0 or high >= num_experts:
        wrong = low if low < 0 else high
        raise WorkloadError(f"expert id {wrong} is out of range 0 to {num_experts - 1}")
    ordered = np.sort(given, axis=2)
    repeated = (ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2)
    if repeated.any():
        layer, token = (int(i) for i in np.argwhere(repeated)[0])
        raise WorkloadError(
            f"layer {layer}, token {token} uses an expert twice: {given[layer, token].tolist()}"
        )
    ids = np.array(given, dtype=np.min_scalar_type(num_experts - 1))
    ids.flags.writeable = False
    return ids
