"""A schedule in chunks: store and forward, channel by channel, with latency.

The model. Every tree is cut into the same number of chunks. A chunk crosses one channel after the other; a
channel carries one chunk at a time, for chunk / bandwidth, and the chunk has arrived ``alpha`` later. A hop
starts once the chunk is at its sender: for a collecting tree, once the chunk has come from all that send to
it; for a spreading tree of an all-reduce, once its sum is complete at the root. Of several waiting chunks
the lowest number goes first, then the one with the longest way to go.

With c chunks a schedule of fluid time T and depth h takes about ::

    T (1 + D / c) + h alpha

where D is what the deepest tree adds with a single chunk, in units of T. Crossbars, ports and half-duplex
links are capacities of the fluid time only: here every channel is a resource of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats, Ints, read_only
from noptoolkit.collectives.values.schedule import CollectiveSchedule
from noptoolkit.errors import RoutingError

__all__ = ["ChunkRun", "arc_latency", "dependences", "run_in_chunks"]

MOST_CROSSINGS = 20_000_000


@dataclass(frozen=True, eq=False)
class ChunkRun:
    """When every chunk crosses every channel.

    Parameters
    ----------
    schedule
        Schedule that was run.
    chunks
        Chunks of each tree.
    time
        When the last chunk has arrived, in s.
    start
        When each chunk starts to cross each channel of its path, in s, [crossings, chunks]; crossings are the
        entries of ``schedule.arcs``.
    duration
        How long a chunk takes on the channel, in s, [crossings].
    """

    schedule: CollectiveSchedule
    chunks: int
    time: float = field(metadata={"unit": "s"})
    start: Floats = field(metadata={"unit": "s"})
    duration: Floats = field(metadata={"unit": "s"})


def arc_latency(schedule: CollectiveSchedule, alpha: float | None) -> Floats:
    """Return the latency of each arc, in s: ``alpha``, or what links and the nodes that they enter say."""
    network = schedule.network
    if alpha is not None:
        return np.full(network.num_arcs, float(alpha))
    package = network.package
    latency = np.zeros(network.num_arcs)
    for channel, arc in zip(package.channels, network.arc_of_channel.tolist(), strict=True):
        link, node = package.links[channel.link], package[channel.head]
        latency[arc] = max(latency[arc], link.latency + node.latency)
    return latency


def check_crossings(schedule: CollectiveSchedule, chunks: int) -> None:
    """Raise RoutingError if a schedule in chunks is too much to run one by one."""
    if len(schedule.arcs) * chunks > MOST_CROSSINGS:
        raise RoutingError(
            f"{len(schedule.arcs)} crossings in {chunks} chunks are too many to run one by one; use fewer"
        )


def run_in_chunks(schedule: CollectiveSchedule, chunks: int, *, alpha: float | None = None) -> ChunkRun:
    """Return a schedule run in chunks.

    Parameters
    ----------
    chunks
        Chunks of each tree.
    alpha
        Latency of a channel, in s; ``None`` takes it from the package's links and nodes.

    Raises
    ------
    RoutingError
        If the number of chunks is below 1, or the run would be too large.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
    >>> trees = collective(ring, "broadcast", "1 GB").schedule
    >>> run_in_chunks(trees, 1).time, round(run_in_chunks(trees, 100).time, 3)
    (1.5, 0.51)
    """
    from noptoolkit.collectives.compiled_chunks import run_chunks

    if isinstance(chunks, bool) or not isinstance(chunks, int | np.integer) or chunks < 1:
        raise RoutingError(f"chunks {chunks!r}: a tree is cut into a whole number of chunks, 1 or more")
    check_crossings(schedule, chunks)
    network = schedule.network
    lengths = np.diff(schedule.path_start)
    hop_of = np.repeat(np.arange(len(lengths)), lengths)
    last = np.zeros(len(schedule.arcs), bool)
    last[schedule.path_start[1:] - 1] = True
    waits, next_start, next_hops, depth_left = dependences(schedule)
    place = np.arange(len(schedule.arcs)) - schedule.path_start[:-1][hop_of]
    urgency = (depth_left[hop_of] - place).astype(float)
    amount = schedule.amount[schedule.tree_of_hop][hop_of] / chunks
    duration = amount / network.arc_capacity[schedule.arcs]
    time, start = run_chunks(
        int(chunks),
        read_only(schedule.arcs),
        last,
        hop_of,
        read_only(schedule.path_start[:-1]),
        waits,
        next_start,
        next_hops,
        duration,
        arc_latency(schedule, alpha)[schedule.arcs],
        urgency,
        network.num_arcs,
    )
    return ChunkRun(schedule, int(chunks), float(time), start, duration)


def dependences(schedule: CollectiveSchedule) -> tuple[Ints, Ints, Ints, Ints]:
    """Return how many hops each hop waits for, those that wait for it in rows, and the channels behind it."""
    lengths = np.diff(schedule.path_start)
    senders, receivers = schedule.senders.tolist(), schedule.receivers.tolist()
    hop_start = schedule.hop_start.tolist()
    waits = np.zeros(len(lengths), np.int64)
    pairs: list[tuple[int, int]] = []
    for t in range(len(schedule)):
        low, high = hop_start[t], hop_start[t + 1]
        arriving: dict[int, list[int]] = {}
        for h in range(low, high):
            arriving.setdefault(receivers[h], []).append(h)
        root, after = int(schedule.root[t]), int(schedule.after[t])
        summed: list[int] = []
        if after >= 0:
            ends = range(hop_start[after], hop_start[after + 1])
            goal = int(schedule.root[after])
            summed = [h for h in ends if receivers[h] == goal]
        for h in range(low, high):
            before = arriving.get(senders[h], [])
            if senders[h] == root and not schedule.collects[t]:
                before = summed
            pairs += [(x, h) for x in before]
            waits[h] = len(before)
    table = np.array(pairs, np.int64).reshape(-1, 2)
    order = np.argsort(table[:, 0], kind="stable")
    next_hops = table[order, 1]
    next_start = np.r_[0, np.cumsum(np.bincount(table[:, 0], minlength=len(lengths)))].astype(np.int64)
    left = lengths.astype(np.int64).copy()
    tree_of = schedule.tree_of_hop
    for h in _latest_first(schedule, tree_of):
        following = next_hops[next_start[h] : next_start[h + 1]]
        if len(following):
            left[h] = lengths[h] + int(left[following].max())
    return waits, next_start, next_hops, left


def _latest_first(schedule: CollectiveSchedule, tree_of: Ints) -> list[int]:
    """Return the hops in an order in which those that wait for a hop come before it."""
    collecting = schedule.collects[tree_of]
    hops = np.arange(len(tree_of))
    return [*hops[~collecting][::-1].tolist(), *hops[collecting][::-1].tolist()]
