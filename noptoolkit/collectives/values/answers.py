"""What a method hands back for collectives: a schedule or its loads, bounds, and the cut that proves one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Bools, Floats
from noptoolkit.collectives.exact.integer_graph import IntegerGraph
from noptoolkit.collectives.values.schedule import CollectiveSchedule
from noptoolkit.units import format_quantity

__all__ = ["Answer", "CollectiveCut", "ProvedBound", "cut_in", "cut_out", "partition_cut"]


@dataclass(frozen=True)
class CollectiveCut:
    """A set of nodes, or a partition, and the channels between: a certificate to check by hand.

    Parameters
    ----------
    parts
        Labels of the nodes of each part; of a plain cut the inside and the outside.
    resources
        Names of the channels (and ports or crossbars) that all crossing data must share.
    demand
        Bytes that must cross, in B.
    capacity
        Sum of the capacities of ``resources``, in B/s.
    time
        demand / capacity: no schedule is faster, in s.
    way
        ``out of`` the first part, ``into`` it, or ``between`` all parts.
    reason
        Why so many bytes must cross, as a sentence.
    """

    parts: tuple[tuple[str, ...], ...]
    resources: tuple[str, ...]
    demand: float = field(metadata={"unit": "B"})
    capacity: float = field(metadata={"unit": "B/s"})
    time: float = field(metadata={"unit": "s"})
    way: str = "out of"
    reason: str = ""

    @property
    def inside(self) -> tuple[str, ...]:
        """Labels of the first part."""
        return self.parts[0]

    def __str__(self) -> str:
        demand, width = format_quantity(self.demand, "B"), format_quantity(self.capacity, "B/s")
        where = (
            f"between {len(self.parts)} parts"
            if self.way == "between"
            else f"{self.way} {{{_some(self.smaller)}}}{' (the others)' if self._other else ''}"
        )
        count = len(self.resources)
        over = f"1 channel of {width}" if count == 1 else f"{count} channels, {width} together,"
        return f"{self.reason}: {demand} over {over} {where}: {format_quantity(self.time, 's')}"

    @property
    def _other(self) -> bool:
        return len(self.parts) == 2 and len(self.parts[1]) < len(self.parts[0])

    @property
    def smaller(self) -> tuple[str, ...]:
        """Labels of the smallest part."""
        return min(self.parts, key=len)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", ... {len(names) - 4} more" if len(names) > 4 else "")


@dataclass(frozen=True, eq=False)
class ProvedBound:
    """A time that no schedule (of a class) can undercut.

    Parameters
    ----------
    time
        In s.
    method
        Name of the method that found it.
    prices
        Prices that prove it, [resources]; ``None`` where a cut does.
    cut
        Cut that proves it; ``None`` where prices do.
    trees_only
        Whether it holds for schedules in trees only.
    """

    time: float
    method: str
    prices: Floats | None = None
    cut: CollectiveCut | None = None
    trees_only: bool = False


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer of one method.

    Parameters
    ----------
    use
        Use of each resource, in B, [resources].
    method
        Name of the method.
    bounds
        Lower bounds found on the way.
    schedule
        Trees behind ``use``; ``None`` where they are not kept.
    theorem
        The statement by which time and bound meet, or why they need not.
    notes
        What a reader must know besides.
    limited
        Whether a deadline ended the search.
    time
        Time where it is more than the largest use / capacity: of synchronous steps, in s.
    steps
        Number of synchronous steps; ``None`` where trees move at the same time.
    computing
        Names of the relays that add and copy.
    left_out
        Why no relay adds and copies, though some can; empty where nothing is left out.
    """

    use: Floats
    method: str
    bounds: tuple[ProvedBound, ...]
    schedule: CollectiveSchedule | None
    theorem: str
    notes: tuple[str, ...] = ()
    limited: bool = False
    time: float | None = None
    steps: int | None = None
    computing: tuple[str, ...] = ()
    left_out: str = ""


def cut_out(
    graph: IntegerGraph, inside: Bools, demand: float, reason: str, names: tuple[str, ...]
) -> CollectiveCut:
    """Return the cut of what leaves a set of vertices.

    Parameters
    ----------
    names
        Names of the network's resources.
    """
    crossing = np.flatnonzero(inside[graph.tail] & ~inside[graph.head])
    return _cut(graph, inside, crossing, demand, "out of", reason, names)


def cut_in(
    graph: IntegerGraph, inside: Bools, demand: float, reason: str, names: tuple[str, ...]
) -> CollectiveCut:
    """Return the cut of what enters a set of vertices; the graph has its arcs turned round."""
    crossing = np.flatnonzero(inside[graph.tail] & ~inside[graph.head])
    return _cut(graph, inside, crossing, demand, "into", reason, names)


def _cut(
    graph: IntegerGraph,
    inside: Bools,
    crossing: np.ndarray[tuple[int], np.dtype[np.int64]],
    demand: float,
    way: str,
    reason: str,
    names: tuple[str, ...],
) -> CollectiveCut:
    live = np.union1d(graph.tail, graph.head)
    parts = tuple(
        tuple(graph.labels[v] for v in live.tolist() if bool(inside[v]) == side) for side in (True, False)
    )
    capacity = float(graph.bandwidth[crossing].sum())
    return CollectiveCut(
        parts=parts,
        resources=tuple(names[r] if r >= 0 else "unlimited port" for r in graph.resource[crossing].tolist()),
        demand=demand,
        capacity=capacity,
        time=demand / capacity if capacity else 0.0,
        way=way,
        reason=reason,
    )


def partition_cut(
    graph: IntegerGraph,
    labels: np.ndarray[tuple[int], np.dtype[np.int64]],
    size: float,
    names: tuple[str, ...],
) -> CollectiveCut:
    """Return the cut of a partition that an all-reduce of ``size`` bytes must cross.

    Parameters
    ----------
    labels
        Part of each vertex, from 0, [vertices].
    """
    crossing = np.flatnonzero(labels[graph.tail] != labels[graph.head])
    count = int(labels.max()) + 1
    capacity, demand = float(graph.bandwidth[crossing].sum()), 2.0 * (count - 1) * size
    live = np.union1d(graph.tail, graph.head).tolist()
    return CollectiveCut(
        parts=tuple(tuple(graph.labels[v] for v in live if labels[v] == p) for p in range(count)),
        resources=tuple(names[r] for r in graph.resource[crossing].tolist()),
        demand=demand,
        capacity=capacity,
        time=demand / capacity,
        way="between",
        reason=f"every byte enters or leaves {count} parts {2 * (count - 1)} times",
    )
