"""The hypergraph of a routing trace: experts are vertices, each distinct top-k set of tokens is a hyperedge.

A layout's C_T (chiplets per token; Mozart, arXiv 2603.07006) depends on the trace through this hypergraph
alone: with w the counts, T their sum and lambda(e) the number of parts that edge e touches,

    C_T = sum_e w_e lambda(e) / T,

the connectivity metric of hypergraph partitioning, sum_e w_e (lambda(e) - 1), divided by T, plus 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Hypergraph", "merge_sets"]


@dataclass(frozen=True, eq=False, repr=False)
class Hypergraph:
    """Distinct sets of experts and how often each occurs.

    Parameters
    ----------
    sets
        Expert ids, [sets, k], ascending in each row; rows distinct, in lexicographic order.
    counts
        Tokens that use each set, [sets].
    num_experts
        Vertices.
    """

    sets: NDArray[np.integer[Any]]
    counts: Ints
    num_experts: int

    def __repr__(self) -> str:
        return (
            f"Hypergraph({len(self.sets)} distinct sets of {self.num_tokens} over {self.num_experts} experts)"
        )

    @property
    def num_tokens(self) -> int:
        """Tokens behind the sets; one that was recorded in two layers counts twice."""
        return int(self.counts.sum())

    def incidence(self) -> csr_array:
        """Return whether a set holds an expert, sparse, [sets, experts]."""
        from scipy.sparse import csr_array

        count, k = self.sets.shape
        starts = np.arange(0, count * k + 1, k)
        return csr_array((np.ones(count * k), self.sets.ravel(), starts), shape=(count, self.num_experts))

    def coactivation(self) -> Floats:
        """Return how many tokens use both experts, [experts, experts]; diagonal 0."""
        member = self.incidence()
        weighted = member.copy()
        weighted.data = np.repeat(self.counts, self.sets.shape[1]).astype(float)
        together = np.asarray((member.T @ weighted).todense())
        np.fill_diagonal(together, 0.0)
        return together


def merge_sets(topk: NDArray[np.integer[Any]], num_experts: int) -> Hypergraph:
    """Return the hypergraph of ids of shape [..., k], equal sets merged; the order within a set is dropped.

    Examples
    --------
    >>> graph = merge_sets(np.array([[1, 0], [0, 1], [2, 0]]), num_experts=3)
    >>> graph
    Hypergraph(2 distinct sets of 3 over 3 experts)
    >>> graph.sets.tolist(), graph.counts.tolist()
    ([[0, 1], [0, 2]], [2, 1])
    """
    rows = np.sort(topk.reshape(-1, topk.shape[-1]), axis=1)
    bits = max(int(num_experts - 1).bit_length(), 1)
    if bits * rows.shape[1] <= 64:  # one sort of one word per token
        key = np.zeros(len(rows), dtype=np.uint64)
        for column in rows.T:
            key = (key << np.uint64(bits)) | column.astype(np.uint64)
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
        sets = rows[first]
    else:
        sets, counts = np.unique(rows, axis=0, return_counts=True)
    counts = counts.astype(np.int64)
    sets.flags.writeable = counts.flags.writeable = False
    return Hypergraph(sets, counts, num_experts)
