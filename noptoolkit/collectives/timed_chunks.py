"""Chunks of a schedule as plain arrays: what a simulator of routers, or any other engine, has to inject.

Every hop of every tree carries its chunks one after the other from one node to another: a *transfer*. It
waits for other transfers (the chunk must have arrived, or all parts of a partial sum), follows a path of
channels, and has a start by the model of `noptoolkit.collectives.chunks`, in which no channel has two chunks
at a time. An engine that starts transfers no earlier than that is *paced*: nobody sends more than channels
take, so buffers need not hold what is not yet due.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.chunks import arc_latency, dependences, run_in_chunks
from noptoolkit.collectives.schedule import CollectiveSchedule

__all__ = ["TimedChunks", "timed_chunks"]


@dataclass(frozen=True, eq=False)
class TimedChunks:
    """Transfers of chunks, those of a hop one after the other: number ``hop * chunks + chunk``.

    Parameters
    ----------
    chunks
        Chunks of each tree.
    tree, hop
        Tree and hop of each transfer, [transfers].
    source, target
        Node at which each starts and ends, as places in ``package.nodes``, [transfers].
    bytes
        In B, [transfers].
    start, end
        When the first byte may enter the first channel, and when the last has arrived, in s, [transfers].
    path_start, links
        Where the path of each hop begins, [hops + 1]; places in ``package.channels``, hop after hop. Of
        parallel channels the first stands for all.
    wait_start, waits
        Where the transfers that each waits for begin, [transfers + 1]; their numbers.
    order
        Transfers by start, ties by number: no transfer comes before one that it waits for, [transfers].
    """

    chunks: int
    tree: Ints
    hop: Ints
    source: Ints
    target: Ints
    bytes: Floats = field(metadata={"unit": "B"})
    start: Floats = field(metadata={"unit": "s"})
    end: Floats = field(metadata={"unit": "s"})
    path_start: Ints
    links: Ints
    wait_start: Ints
    waits: Ints
    order: Ints

    def __len__(self) -> int:
        return len(self.bytes)


def timed_chunks(schedule: CollectiveSchedule, chunks: int, *, alpha: float | None = None) -> TimedChunks:
    """Return the transfers of a schedule in chunks, with their start times, paths and dependences.

    Parameters
    ----------
    chunks
        Chunks of each tree.
    alpha
        Latency of a channel, in s; ``None`` takes it from the package's links and nodes.

    Raises
    ------
    RoutingError
        If the number of chunks is below 1, or there would be too many.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> line = topology.mesh(1, 3, link_bandwidth="1 GB/s")
    >>> trees = collective(line, "broadcast", "1 GB").schedule
    >>> found = timed_chunks(trees, 2, alpha=0.0)
    >>> found.source.tolist(), found.target.tolist(), found.start.tolist()
    ([0, 0, 1, 1], [1, 1, 2, 2], [0.0, 0.5, 0.5, 1.0])
    >>> [found.waits[a:b].tolist() for a, b in zip(found.wait_start, found.wait_start[1:])]
    [[], [], [0], [1]]
    """
    run = run_in_chunks(schedule, chunks, alpha=alpha)
    network = schedule.network
    c = run.chunks
    hops = len(schedule.path_start) - 1
    node = np.arange(network.num_vertices)
    node[network.destination] = np.arange(len(network.origin))
    first_channel = np.zeros(network.num_arcs, np.int64)
    arc_of = network.arc_of_channel
    first_channel[arc_of[::-1]] = np.arange(len(arc_of))[::-1]
    begins, ends = schedule.path_start[:-1], schedule.path_start[1:] - 1
    _, next_start, next_hops, _ = dependences(schedule)
    after = np.repeat(np.arange(hops), np.diff(next_start))  # hop that is waited for, of each entry
    by_waiter = np.argsort(next_hops, kind="stable")
    counts = np.bincount(next_hops, minlength=hops)
    waited = after[by_waiter]
    low = np.r_[0, np.cumsum(counts)]
    waits = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(
                (waited[low[h] : low[h + 1]][None, :] * c + np.arange(c)[:, None]).ravel()
                for h in np.flatnonzero(counts)
            ),
        ]
    )
    landed = (
        run.start[ends]
        + run.duration[ends][:, None]
        + arc_latency(schedule, alpha)[schedule.arcs[ends]][:, None]
    )
    start = run.start[begins].ravel()
    return TimedChunks(
        chunks=c,
        tree=np.repeat(schedule.tree_of_hop, c),
        hop=np.repeat(np.arange(hops), c),
        source=np.repeat(node[schedule.senders], c),
        target=np.repeat(node[schedule.receivers], c),
        bytes=np.repeat(schedule.amount[schedule.tree_of_hop] / c, c),
        start=start,
        end=landed.ravel(),
        path_start=schedule.path_start,
        links=first_channel[schedule.arcs],
        wait_start=np.r_[0, np.cumsum(np.repeat(counts, c))].astype(np.int64),
        waits=waits.astype(np.int64),
        order=np.argsort(start, kind="stable"),
    )
