"""The bars of a Gantt chart: one for each task on each resource that it holds, or fewer."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.scheduling import Schedule

__all__ = ["bars_of", "merged"]


def bars_of(plan: Schedule, rows: tuple[str, ...]) -> tuple[Ints, Ints, Ints]:
    """Return task, row and kind of each bar: a task has one on every resource that it holds."""
    graph = plan.graph
    row_of = {name: i for i, name in enumerate(rows)}
    held = [
        [row_of[graph.resources[r]] for r in used if graph.resources[r] in row_of] for used, _ in graph.needs
    ]
    counts = np.array([len(places) for places in held], dtype=np.int64)
    flat = np.array([place for places in held for place in places], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    task = np.repeat(np.arange(len(graph)), counts[graph.need])
    within = np.arange(len(task)) - np.repeat(
        np.cumsum(counts[graph.need]) - counts[graph.need], counts[graph.need]
    )
    row = flat[first[graph.need[task]] + within]
    flows = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    if len(flows):
        place = np.array([row_of.get(name, -1) for name in graph.resources])[graph.use_resource]
        task, row = np.append(task, flows[place >= 0]), np.append(row, place[place >= 0])
    return task, row, graph.kind[task]


def merged(
    row: Ints,
    kind: Ints,
    start: Floats,
    stop: Floats,
    tolerance: float,
) -> tuple[Ints, Ints, Floats, Floats]:
    """Return fewer bars: neighbours of one kind on one row that are nearer than the tolerance are one."""
    order = np.lexsort((start, row))
    row, kind, start, stop = row[order], kind[order], start[order], stop[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (kind[1:] != kind[:-1]) | (start[1:] > stop[:-1] + tolerance)
    first = np.flatnonzero(new)
    return row[first], kind[first], start[first], np.maximum.reduceat(stop, first)
