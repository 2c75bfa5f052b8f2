"""Layouts by spectral clustering and by community detection on the co-activation graph.

* Spectral (Ng, Jordan and Weiss, NIPS 2001): the leading eigenvectors of D^-1/2 C D^-1/2 with rows
  normalised, then k-means in which each cluster takes exactly as many experts as its chiplet has slots, an
  assignment problem.
* Leiden (Traag et al., Sci. Rep. 9, 2019) on modularity, by igraph, packed into the slots.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from noptoolkit._threads import one_blas_thread
from noptoolkit.allocation.limits import Floats, Ints
from noptoolkit.allocation.packing import pack_clusters
from noptoolkit.allocation.problem import LayoutProblem

__all__ = ["place_by_communities", "place_spectrally"]

RESTARTS = 4  # of k-means, whose result depends on its first centres
ROUNDS = 30  # of one k-means; it settles in about ten


def place_spectrally(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return balanced k-means of the spectral embedding that keeps most co-activation inside."""
    together = problem.coactivation
    scale = 1 / np.sqrt(np.maximum(together.sum(axis=1), 1e-9))
    with one_blas_thread():
        _, vectors = np.linalg.eigh(together * scale[:, None] * scale)
    embedded = vectors[:, -min(problem.num_chiplets, problem.num_experts) :]
    embedded = embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)
    layouts = [_balanced_k_means(embedded, problem.slots, rng) for _ in range(RESTARTS)]
    inside = [float(together[places[:, None] == places].sum()) for places in layouts]
    return layouts[int(np.argmax(inside))]


def _balanced_k_means(points: Floats, slots: Ints, rng: np.random.Generator) -> Ints:
    from noptoolkit.allocation.compiled_assignment import assign

    used = np.flatnonzero(slots > 0)[: len(points)]
    centre = points[rng.choice(len(points), len(used), replace=False)]
    places = np.full(len(points), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        inside = np.einsum("ed,cd->ec", points, centre)  # a matrix product would wait for busy cores' threads
        moved = assign(-inside, slots[used])
        if (moved == places).all():
            break
        places = moved
        for chiplet in np.unique(places):
            centre[chiplet] = points[places == chiplet].mean(axis=0)
    chosen: Ints = used[places]
    return chosen


def place_by_communities(problem: LayoutProblem, rng: np.random.Generator) -> Ints:
    """Return Leiden communities, packed."""
    import igraph

    together = problem.coactivation
    a, b = np.nonzero(np.triu(together, 1))
    if not len(a):
        return pack_clusters(np.arange(problem.num_experts), together, problem.slots)
    graph = igraph.Graph(n=problem.num_experts, edges=np.column_stack([a, b]))
    with _drawing_from(int(rng.integers(2**32))):
        found = graph.community_leiden(
            objective_function="modularity", weights=together[a, b].tolist(), n_iterations=-1
        )
    return pack_clusters(np.array(found.membership, dtype=np.int64), together, problem.slots)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let igraph draw from a seed of its own, then from Python's global generator, its default, again.

    igraph has one generator for the process, and threads that do not ask for it another, unseeded one.
    """
    import igraph

    with _one_at_a_time:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


_one_at_a_time = threading.Lock()
