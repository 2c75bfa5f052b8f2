"""The schedule of a collective in simulated routers, beside its fluid time.

Every hop of every tree is a stream at the rate that the schedule gives it, in chunks: a chunk leaves once it
is at its sender, complete if it is a sum (`noptoolkit.simulate.streams`). Members, and relays that add or
copy, take chunks out at their terminal and send them on; other relays forward flit by flit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.chunks import check_crossings, dependences, run_in_chunks
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.errors import RoutingError
from noptoolkit.progress import Progress
from noptoolkit.simulate.injection import key_of
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.simulating import completed_result, shares
from noptoolkit.simulate.streams import Streams, larger_flits, run_streams
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity

__all__ = ["CollectiveCheck", "check_collective"]

CROSSINGS = (600_000, 2_400_000)
"""Flits times hops that are simulated: of small schedules, and at most; between, `CHUNKS` for each hop."""

CHUNKS = 128
MOST_CHUNKS = 256


@dataclass(frozen=True, eq=False, repr=False)
class CollectiveCheck:
    """What the schedule of a collective promises and what routers did.

    Parameters
    ----------
    result : CollectiveResult
        What was checked.
    run : Simulation
        Its schedule, until everything is delivered.
    chunks : int
        Chunks of each tree.
    in_chunks : float
        Time of the schedule in so many chunks, stored and forwarded channel by channel, in s.
    extra : float
        Flits simulated beyond the schedule's bytes, as a share: whole flits in every chunk.
    """

    result: CollectiveResult
    run: Simulation
    chunks: int
    in_chunks: float
    extra: float

    @property
    def ratio(self) -> float:
        """Simulated over fluid time."""
        return self.run.time / self.result.time if self.result.time > 0 else 1.0

    def table(self) -> Table:
        """Return bound, fluid time, time in chunks and simulated time as rows."""
        result, router = self.result, self.run.router
        design = f"{router.vcs} VCs of {router.depth} flits, speedup {router.speedup:g}"
        times: list[tuple[str, float, str]] = [
            ("lower bound", result.time_bound, result.bound_method),
            ("schedule, fluid", result.time, result.method),
            ("schedule in chunks", self.in_chunks, f"{self.chunks} chunks, store and forward"),
            ("simulated", self.run.time, design),
        ]
        rows = [[name, time, time / result.time if result.time > 0 else None, by] for name, time, by in times]
        columns = [
            Column("what"),
            Column("time", unit="s", meaning="until every member has everything"),
            Column("of_fluid", "times fluid", meaning="time over the fluid time of the schedule", form=".4f"),
            Column("by", meaning="method, or router design"),
        ]
        flit = format_quantity(self.run.flit_bytes, "B")
        notes = [f"flits of {flit}; whole flits add {self.extra:.2%} to the bytes", *self.run.notes]
        return Table(columns, rows, title=repr(self), notes=notes)

    def __repr__(self) -> str:
        return (
            f"CollectiveCheck({self.result.title} on {self.result.package.name!r}, {self.result.algorithm}: "
            f"simulated {self.ratio:.3f} times the fluid time, in {self.chunks} chunks)"
        )


def check_collective(
    result: CollectiveResult,
    *,
    chunks: int | None = None,
    router: Router | None = None,
    rng: int | np.random.Generator | None = 0,
    allow_deadlock: bool = False,
    checked: bool = False,
    progress: Progress | None = None,
) -> CollectiveCheck:
    """Return the schedule of a collective beside what simulated routers do with it.

    Parameters
    ----------
    result : CollectiveResult
        Of `noptoolkit.collectives.collective`, with a schedule of trees that move at the same time.
    chunks : int, optional
        Chunks of each tree, at most 256; where ``None``, so many that filling the pipeline and whole flits
        together cost least.
    router : Router, optional
        The design of the routers; where ``None``, the usual one with flits large enough for a run of seconds.
    rng, allow_deadlock, checked, progress
        As in `noptoolkit.simulate.simulate`.

    Raises
    ------
    RoutingError
        If the result keeps no schedule, or one of synchronous steps; if its paths can deadlock.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> from noptoolkit.collectives.simulated import check_collective
    >>> seen = check_collective(collective(topology.ring(4), "all-gather", "1 MB"))
    >>> bool(1 <= seen.ratio < 1.1)
    True
    """
    schedule = result.schedule
    if schedule is None or len(schedule.arcs) == 0:
        raise RoutingError(f"{result!r} keeps no schedule that moves anything, so none can be simulated")
    if result.steps is not None:
        raise RoutingError(
            f"{result.algorithm!r} moves in {result.steps} synchronous steps; the simulator runs schedules "
            "of trees that move at the same time, such as the optimal one"
        )
    if chunks is not None and (isinstance(chunks, bool) or not isinstance(chunks, int) or chunks < 1):
        raise RoutingError(f"chunks={chunks!r}: a tree is cut into a whole number of chunks, 1 or more")
    check_crossings(schedule, chunks or 1)
    network = schedule.network
    node_of = np.arange(network.num_vertices)
    node_of[network.origin] = node_of[network.destination] = np.arange(len(network.origin))
    _, start, following, _ = dependences(schedule)
    waits = np.column_stack([np.repeat(np.arange(len(start) - 1), np.diff(start)), following])
    amount = schedule.amount[schedule.tree_of_hop]
    streams = Streams(
        network=network,
        name=f"{result.title} ({result.algorithm})",
        source=node_of[schedule.senders],
        target=node_of[schedule.receivers],
        paths=np.split(schedule.arcs, schedule.path_start[1:-1]),
        bytes=amount,
        time=result.time,
        chunks=chunks or 1,
        waits=waits,
    )
    most = int(np.clip(CHUNKS * len(schedule.arcs), *CROSSINGS))
    if router is None:
        router = larger_flits(streams, Router(), most)
    flit = router.flit_bytes(network)
    if chunks is None:
        chunks = _chunks_for(streams, flit, most)
        streams = replace(streams, chunks=chunks)
    report = None if progress is None else shares(progress)
    run = run_streams(
        streams, router, key_of(rng), allow_deadlock=allow_deadlock, checked=checked, report=report
    )
    extra = float(streams.flits(flit).sum() * flit / amount.sum() - 1)
    in_chunks = run_in_chunks(schedule, chunks).time
    return CollectiveCheck(result, completed_result(run, result.title), chunks, in_chunks, extra)


def _chunks_for(streams: Streams, flit: float, most: int) -> int:
    """Return how many chunks to simulate: more fill pipelines sooner, but each is of whole flits.

    A chunk is spread over its part of the schedule's time, so a chain of streams that wait for each other is
    full after one part for each of them.
    """
    waiting = np.zeros(len(streams.bytes), np.int64)
    before, after = streams.waits[:, 0], streams.waits[:, 1]
    for _ in range(len(waiting)):
        further = waiting.copy()
        np.maximum.at(further, after, waiting[before] + 1)
        if (further == waiting).all():
            break
        waiting = further
    arcs, lengths = np.concatenate(streams.paths), [len(path) for path in streams.paths]
    capacity = streams.network.arc_capacity
    longest = int(waiting.max(initial=0))

    def busiest(by_stream: Floats) -> float:
        return float((np.bincount(arcs, np.repeat(by_stream, lengths), len(capacity)) / capacity).max())

    def estimate(chunks: int) -> float:
        in_flits = replace(streams, chunks=chunks).flits(flit).sum(axis=1) * flit
        return (1 + longest / chunks) * busiest(in_flits) / busiest(streams.bytes)

    largest = int(np.clip(most / len(arcs), 1, MOST_CHUNKS))
    tried = np.unique(np.geomspace(1, largest, 4 * largest.bit_length()).astype(int))
    return int(min(tried.tolist(), key=estimate))
