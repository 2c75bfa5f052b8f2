"""The best amounts for given trees: a linear program over a schedule's own trees.

Trees that were laid with equal amounts are kept, and what each carries is chosen anew so that the largest
use / capacity is smallest, every share being served as before. A pair of trees of an all-reduce has one
amount.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.collectives.values.schedule import CollectiveSchedule

__all__ = ["commodities_of", "reweigh", "without_empty_trees"]

MOST_ENTRIES = 3_000_000


def reweigh(schedule: CollectiveSchedule, *, time_limit: float = 60.0) -> CollectiveSchedule | None:
    """Return a schedule with the best amounts for its trees, or ``None`` where HiGHS finds none in time."""
    from scipy.sparse import csr_array, hstack, vstack

    network = schedule.network
    if len(schedule.arcs) > MOST_ENTRIES:
        return None
    trees, resources = len(schedule), network.num_resources
    columns, column, commodity = commodities_of(schedule)
    owed = np.bincount(commodity, schedule.amount[columns])
    use: Any = csr_array((resources, trees))
    tree_of = schedule.tree_of_hop
    by_arc = np.repeat(tree_of, np.diff(schedule.path_start))
    ones = np.ones(len(schedule.arcs))
    loads = csr_array((ones, (schedule.arcs, by_arc)), shape=(network.num_arcs, trees))
    nodes = len(network.origin)
    node_of = np.arange(network.num_vertices)
    node_of[network.destination] = np.arange(nodes)
    hops = np.ones(len(tree_of))
    sent = csr_array((hops, (node_of[schedule.senders], tree_of)), shape=(nodes, trees))
    received = csr_array((hops, (node_of[schedule.receivers], tree_of)), shape=(nodes, trees))
    use = network.on_arcs @ loads + network.on_injected @ sent + network.on_ejected @ received
    gather = csr_array((np.ones(trees), (np.arange(trees), column)), shape=(trees, len(columns)))
    each = network.capacity * float((schedule.use() / network.capacity).max())  # capacities may be far apart
    weighed: Any = csr_array(use @ gather) @ csr_array(
        (owed[commodity], (np.arange(len(columns)), np.arange(len(columns))))
    )
    weighed = weighed.multiply(1.0 / each[:, None])
    member = csr_array((np.ones(len(columns)), (commodity, np.arange(len(columns)))))
    matrix = vstack(
        [
            hstack([member, csr_array((len(owed), 1))]),
            hstack([weighed, csr_array(-np.ones((resources, 1)))]),
        ],
        format="csc",
    )
    found = run_highs(
        matrix,
        lower=np.r_[np.ones(len(owed)), np.full(resources, -np.inf)],
        upper=np.r_[np.ones(len(owed)), np.zeros(resources)],
        options={"solver": "ipx", "run_crossover": "off"} if len(columns) > 3_000 else {},
        time_limit=time_limit,
    )
    if found is None:
        return None
    weight = np.where(found[0][:-1] > 1e-6, found[0][:-1], 0.0)
    weight /= np.bincount(commodity, weight, len(owed))[commodity]
    amounts: Floats = np.asarray((weight * owed[commodity])[column], dtype=float)
    return without_empty_trees(replace(schedule, amount=amounts))


def commodities_of(schedule: CollectiveSchedule) -> tuple[Ints, Ints, Ints]:
    """Return the first tree of every pair, the pair of each tree, and the commodity that each pair serves."""
    pair = np.where(schedule.after >= 0, schedule.after, np.arange(len(schedule)))
    columns, column = np.unique(pair, return_inverse=True)
    keys = np.stack([schedule.request, schedule.root, schedule.part])[:, columns]
    keys[1, schedule.part[columns] < 0] = -1  # an all-reduce may have any root
    _, commodity = np.unique(keys, axis=1, return_inverse=True)
    return columns.astype(np.int64), column.ravel(), commodity.ravel()


def without_empty_trees(schedule: CollectiveSchedule) -> CollectiveSchedule:
    """Return a schedule without the trees that carry nothing."""
    kept = np.flatnonzero(schedule.amount > 0)
    place = np.full(len(schedule), -1)
    place[kept] = np.arange(len(kept))
    hop_kept = np.isin(schedule.tree_of_hop, kept)
    lengths = np.diff(schedule.path_start)
    arc_kept = np.repeat(hop_kept, lengths)
    starts: list[Ints] = [
        np.r_[0, np.cumsum(counts)].astype(np.int64)
        for counts in (np.diff(schedule.hop_start)[kept], lengths[hop_kept])
    ]
    after = schedule.after[kept]
    return CollectiveSchedule(
        schedule.network,
        request=schedule.request[kept],
        root=schedule.root[kept],
        part=schedule.part[kept],
        collects=schedule.collects[kept],
        amount=schedule.amount[kept],
        after=np.where(after >= 0, place[after], -1),
        hop_start=starts[0],
        path_start=starts[1],
        arcs=schedule.arcs[arc_kept],
    )
