"""Layouts by partitioners from outside: Mt-KaHyPar and METIS, both optional.

* Mt-KaHyPar (Gottesbueren et al., ALENEX 2021) minimises connectivity (km1 = T (C_T - 1)) of the hypergraph.
* METIS (Karypis and Kumar, SIAM J. Sci. Comput. 20, 1998) minimises the cut of the co-activation graph, which
  is the same only where no token has more than two experts.

Both balance approximately; what they overfill is moved to where it has most co-activation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.allocation.limits import Ints
from noptoolkit.allocation.packing import rebalance
from noptoolkit.allocation.problem import LayoutProblem
from noptoolkit.errors import NopError

__all__ = ["place_by_metis", "place_by_mtkahypar"]

EDGE_SCALE = 100_000  # METIS takes whole edge weights: the heaviest edge's
_mtkahypar: Any = None  # it can be initialised only once in a process


def place_by_mtkahypar(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return Mt-KaHyPar's partition (deterministic preset, so that a seed gives one layout)."""
    global _mtkahypar
    try:
        import mtkahypar
    except ImportError:
        raise NopError("allocator 'mt-kahypar' needs: pip install 'noptoolkit[hypergraph]'") from None
    used = np.flatnonzero(problem.slots > 0)
    if len(used) < 2:
        return np.full(problem.num_experts, used[0])
    if _mtkahypar is None:
        _mtkahypar = mtkahypar.initialize(1)
    mtkahypar.set_seed(int(rng.integers(2**31)))
    context = _mtkahypar.context_from_preset(mtkahypar.PresetType.DETERMINISTIC_QUALITY)
    context.logging = False
    context.set_partitioning_parameters(len(used), 0.0, mtkahypar.Objective.KM1)
    context.set_individual_target_block_weights(problem.slots[used].tolist())
    hypergraph = _mtkahypar.create_hypergraph(
        context,
        problem.num_experts,
        len(problem.sets),
        problem.sets.tolist(),
        [1] * problem.num_experts,
        problem.counts.astype(np.int64).tolist(),
    )
    partition = hypergraph.partition(context)
    block = np.array([partition.block_id(expert) for expert in range(problem.num_experts)])
    return rebalance(used[block], problem.coactivation, problem.slots)


def place_by_metis(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return METIS's multilevel k-way partition."""
    try:
        import pymetis
    except ImportError:
        raise NopError("allocator 'metis' needs: pip install 'noptoolkit[metis]'") from None
    together = problem.coactivation
    used = np.flatnonzero(problem.slots > 0)
    if len(used) < 2 or not together.any():
        return rebalance(np.full(problem.num_experts, used[0]), together, problem.slots)
    weight = np.where(together > 0, np.maximum(np.rint(together * (EDGE_SCALE / together.max())), 1), 0)
    starts = np.concatenate([[0], np.cumsum((weight > 0).sum(axis=1))])
    _, block = pymetis.part_graph(
        len(used),
        pymetis.CSRAdjacency(starts.tolist(), np.nonzero(weight)[1].tolist()),
        eweights=weight[weight > 0].astype(np.int64).tolist(),
        tpwgts=(problem.slots[used] / problem.slots[used].sum()).tolist(),
        recursive=False,
        options=pymetis.Options(seed=int(rng.integers(2**31)), ufactor=1),
    )
    return rebalance(used[np.array(block)], together, problem.slots)
