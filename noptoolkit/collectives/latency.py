"""Latency of collectives: chunks, shallow trees for small messages, and where the two cross.

*Lower bound.* No schedule beats its fluid bound, nor the latency of the longest path that some byte must
take: T >= max(fluid, alpha x hops). Their sum is not a bound: bytes may flow while others still wait.

*Chunks.* More chunks fill the trees sooner; where every chunk costs ``overhead`` on every channel it
crosses (as in simulators that charge alpha per chunk), there is a best number, about sqrt(D T / (n
overhead)) with n crossings of the busiest channel. Here it is found by running the schedule
(`noptoolkit.collectives.chunks`).

*Shallow trees.* For small messages the depth decides: one tree of shortest paths for each root, and for an
all-reduce one tree, up and down, from the most central member.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.chunks import arc_latency, run_in_chunks
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.tables import Column, Table
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["LatencyResult", "crossover", "shallow_trees", "with_latency"]

CHUNKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MOST_CROSSINGS = 3_000_000


@dataclass(frozen=True, eq=False)
class LatencyResult:
    """Time with latency, for the trees of a result and for shallow trees.

    Parameters
    ----------
    result
        Fluid optimum.
    time
        Of the best choice of trees and chunks, in s.
    time_bound
        max(fluid bound, latency of the longest path that must be taken), in s.
    trees
        ``optimal`` or ``shallow``: which trees are faster.
    chunks
        Best number of chunks of these trees.
    curve
        Time of each trees and number of chunks that was run, in s.
    """

    result: CollectiveResult
    time: float = field(metadata={"unit": "s"})
    time_bound: float = field(metadata={"unit": "s"})
    trees: str
    chunks: int
    curve: dict[tuple[str, int], float]

    def table(self) -> Table:
        """Return the time of each choice as a table."""
        columns = [
            Column("trees", meaning="optimal in bandwidth, or shallow"),
            Column("chunks", meaning="chunks of each tree"),
            Column("time", unit="s", meaning="when the last chunk has arrived"),
            Column("over_bound", "times bound", form=".3f", meaning="time over the lower bound"),
        ]
        rows = [[trees, chunks, time, time / self.time_bound] for (trees, chunks), time in self.curve.items()]
        return Table(columns, rows, title=f"{self.result.title} on {self.result.package.name!r} with latency")


def with_latency(
    result: CollectiveResult, *, alpha: Quantity | None = None, overhead: Quantity = 0.0
) -> LatencyResult:
    """Return the time of a collective with latency, at the best number of chunks and the better trees.

    Parameters
    ----------
    result
        Optimum with a schedule.
    alpha
        Latency of a channel, in s; ``None`` takes it from the package's links and nodes.
    overhead
        What every chunk costs on every channel that it crosses, in s: it keeps the channel busy.

    Raises
    ------
    RoutingError
        If the result has no schedule.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> mesh = topology.mesh(4, 4, link_bandwidth="100 GB/s")
    >>> for size in ("1 kB", "1 GB"):
    ...     found = with_latency(collective(mesh, "all-reduce", size), alpha="20 ns")
    ...     print(size, found.trees, found.time < 1.5 * found.time_bound)
    1 kB shallow True
    1 GB optimal True
    """
    if result.schedule is None:
        raise RoutingError("latency needs a schedule, and this result keeps none")
    hop = None if alpha is None else parse_quantity(alpha, "s", "alpha")
    each = parse_quantity(overhead, "s", "overhead")
    choices = {"optimal": result.schedule}
    shallow = shallow_trees(result)
    if shallow is not None:
        choices["shallow"] = shallow
    curve: dict[tuple[str, int], float] = {}
    for name, schedule in choices.items():
        for chunks in CHUNKS:
            if len(schedule.arcs) * chunks > MOST_CROSSINGS and chunks > 1:
                break
            curve[name, chunks] = _run(schedule, chunks, hop, each)
    (trees, chunks), time = min(curve.items(), key=lambda item: item[1])
    bound = max(result.time_bound, _longest_path(result, arc_latency(result.schedule, hop) + each))
    return LatencyResult(result, time, bound, trees, chunks, curve)


def _run(schedule: CollectiveSchedule, chunks: int, alpha: float | None, overhead: float) -> float:
    if overhead == 0:
        return run_in_chunks(schedule, chunks, alpha=alpha).time
    # an overhead is as long as overhead x capacity bytes more in every chunk: exact where channels are alike
    widest = float(schedule.network.arc_capacity.max())
    heavier = replace(schedule, amount=schedule.amount + overhead * widest * chunks)
    return run_in_chunks(heavier, chunks, alpha=alpha).time


def crossover(result: CollectiveResult, *, alpha: Quantity | None = None) -> float:
    """Return the size at which bandwidth-optimal trees overtake shallow ones, in B; 0 or infinite if never.

    Parameters
    ----------
    result
        Optimum of one request, with a schedule; its own size does not matter.
    alpha
        Latency of a channel, in s; ``None`` takes it from the package.
    """
    if result.schedule is None or len(result.requests) != 1 or result.requests[0].size == 0:
        raise RoutingError("a crossover is of one request with bytes and a schedule")
    hop = None if alpha is None else parse_quantity(alpha, "s", "alpha")
    shallow = shallow_trees(result)
    if shallow is None:
        return 0.0
    size = result.requests[0].size
    tries = [c for c in CHUNKS if len(result.schedule.arcs) * c <= MOST_CROSSINGS // 4] or [1]

    def best(schedule: CollectiveSchedule, scale: float) -> float:
        scaled = replace(schedule, amount=schedule.amount * scale)
        return min(run_in_chunks(scaled, c, alpha=hop).time for c in tries)

    low, high = 1.0 / size, 1e13 / size
    if best(result.schedule, low) <= best(shallow, low):
        return 0.0
    if best(result.schedule, high) > best(shallow, high):
        return float("inf")
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        if best(result.schedule, middle) <= best(shallow, middle):
            high = middle
        else:
            low = middle
    return high * size


def shallow_trees(result: CollectiveResult) -> CollectiveSchedule | None:
    """Return trees of shortest paths, by hops, for the requests of a result; ``None`` for exchanges alone."""
    network = result.network
    rows = TreeRows()
    for g, request in enumerate(result.requests):
        if request.motion == "exchange":
            return None
        nodes = np.array([network.package.index[name] for name in request.members], np.int64)
        collects = request.motion == "collect"
        if request.motion == "both":
            root = _central(network, nodes)
            start = int(network.origin[nodes[root]])
            up = rows.add(g, start, request.size, _paths(network, nodes, root, backwards=True), collects=True)
            rows.add(g, start, request.size, _paths(network, nodes, root, backwards=False), after=up)
            continue
        for i, share in enumerate(request.share_bytes().tolist()):
            if share > 0:
                at = int((network.destination if collects else network.origin)[nodes[i]])
                paths = _paths(network, nodes, i, backwards=collects)
                rows.add(g, at, share, paths, collects=collects, part=at)
    return schedule_of_trees(network, rows)


def _hops(network: FlowNetwork, nodes: Ints, weights: Floats | None = None) -> Floats:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    size = network.num_vertices
    values = np.ones(network.num_arcs) if weights is None else np.maximum(weights, 1e-30)
    graph = csr_array((values, (network.tail, network.head)), shape=(size, size))
    far = shortest_path(graph, indices=network.origin[nodes])
    return np.asarray(far[:, network.destination[nodes]])


def _central(network: FlowNetwork, nodes: Ints) -> int:
    hops = _hops(network, nodes)
    return int(np.argmin(hops.max(axis=0) + hops.max(axis=1)))


def _paths(network: FlowNetwork, nodes: Ints, root: int, *, backwards: bool) -> list[list[int]]:
    """Return hops between members along shortest paths from (or to) a root, in an order that can be done."""
    tail, head = network.tail.tolist(), network.head.tolist()
    if backwards:
        tail, head = head, tail
    near: list[list[int]] = [[] for _ in range(network.num_vertices)]
    for arc, u in enumerate(tail):
        near[u].append(arc)
    ends = network.origin if backwards else network.destination
    member = {int(ends[node]) for node in nodes}
    start = int((network.destination if backwards else network.origin)[nodes[root]])
    came: dict[int, int] = {start: -1}
    queue = [start]
    for u in queue:
        for arc in near[u]:
            if head[arc] not in came:
                came[head[arc]] = arc
                queue.append(head[arc])
    paths = []
    for v in queue[1:]:
        if v not in member:
            continue
        path = [came[v]]
        while tail[path[-1]] != start and tail[path[-1]] not in member:
            path.append(came[tail[path[-1]]])
        paths.append(path if backwards else path[::-1])
    return paths[::-1] if backwards else paths


def _longest_path(result: CollectiveResult, latency: Floats) -> float:
    """Return the latency of the longest shortest path that some byte of the requests must take, in s."""
    longest = 0.0
    for request in result.requests:
        if request.size == 0:
            continue
        nodes = np.array([result.network.package.index[name] for name in request.members], np.int64)
        far = _hops(result.network, nodes, latency)
        if request.motion == "exchange":
            needed = request.pair_bytes() > 0
        elif request.motion == "both":
            needed = ~np.eye(len(nodes), dtype=bool)
        else:
            has = request.share_bytes() > 0
            needed = np.repeat(has[:, None], len(nodes), axis=1)
            needed = needed.T if request.motion == "collect" else needed
            needed = needed & ~np.eye(len(nodes), dtype=bool)
        if needed.any():
            longest = max(longest, float(far[needed].max()))
    return longest
