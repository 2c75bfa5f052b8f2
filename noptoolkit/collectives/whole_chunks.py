"""A schedule whose trees carry whole chunks: for formats and machines that know chunks, not bytes.

The buffer is cut into equal chunks. Every share gets its own number of them, divided over its trees as their
amounts say, by the largest remainders (Hamilton's method); trees that get none are left out. The time grows
a little, the less the more chunks there are, and is worked out anew.
"""

from __future__ import annotations

import time as clock
from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.collectives.groups.reweighing import commodities_of, without_empty_trees
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import assemble
from noptoolkit.collectives.values.answers import Answer, ProvedBound
from noptoolkit.errors import RoutingError

__all__ = ["in_whole_chunks"]


def in_whole_chunks(result: CollectiveResult, chunks: int) -> CollectiveResult:
    """Return a result whose trees carry whole multiples of size / chunks bytes.

    Parameters
    ----------
    chunks
        Number of chunks of the buffer, such that every share is a whole number of them.

    Raises
    ------
    RoutingError
        If there is no schedule of a single request, or a share is no whole number of chunks.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> best = collective(topology.mesh(2, 3, link_bandwidth="1 GB/s"), "all-reduce", "1 GB")
    >>> [round(in_whole_chunks(best, n).time / best.time, 3) for n in (2, 5, 7, 70)]
    [1.4, 1.4, 1.0, 1.0]
    """
    begun = clock.perf_counter()
    schedule = result.schedule
    if schedule is None or len(result.requests) != 1:
        raise RoutingError("chunks are those of one request whose schedule is kept; see the result's notes")
    if isinstance(chunks, bool) or not isinstance(chunks, int | np.integer) or chunks < 1:
        raise RoutingError(f"chunks {chunks!r}: a buffer is cut into a whole number of chunks, 1 or more")
    size = result.requests[0].size / chunks
    columns, column, commodity = commodities_of(schedule)
    owed = np.bincount(commodity, schedule.amount[columns]) / size
    if (abs(owed - np.rint(owed)) > 1e-6 * np.maximum(owed, 1)).any():
        shares = len(owed)
        raise RoutingError(
            f"{chunks} chunks cannot be divided over {shares} shares as asked; take a multiple of {shares}"
            if np.allclose(owed, owed[0])
            else f"{chunks} chunks: some share would be no whole number of them; take more, or the JSON form"
        )
    counts = np.zeros(len(columns), np.int64)
    for k, whole in enumerate(np.rint(owed).astype(np.int64).tolist()):
        mine = np.flatnonzero(commodity == k)
        counts[mine] = _apportioned(schedule.amount[columns[mine]], whole)
    rounded = without_empty_trees(replace(schedule, amount=np.asarray((counts * size)[column], dtype=float)))
    bounds = (
        ProvedBound(result.time_bound, result.bound_method, result.prices, result.cut),
        ProvedBound(result.time_bound_trees, result.bound_method, result.prices_trees, trees_only=True),
    )
    answer = Answer(
        rounded.use(),
        f"{result.method}, in {chunks} whole chunks",
        bounds,
        rounded,
        result.theorem,
        result.remarks,
        computing=result.computing,
    )
    return assemble(
        result.network,
        result.requests,
        answer,
        algorithm=result.algorithm,
        tol=result.tol,
        seconds=clock.perf_counter() - begun,
    )


def _apportioned(amounts: np.ndarray[tuple[int], np.dtype[np.float64]], whole: int) -> Ints:
    """Return whole numbers of a given sum in proportion to amounts, by the largest remainders."""
    quota = amounts * whole / amounts.sum()
    counts: Ints = np.floor(quota + 1e-9).astype(np.int64)
    rest = np.argsort(-(quota - counts), kind="stable")[: whole - int(counts.sum())]
    counts[rest] += 1
    return np.asarray(counts, np.int64)
