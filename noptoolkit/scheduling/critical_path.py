"""What a finished schedule shows: which tasks decided its length, and how busy each resource was when."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.scheduling.bounds import lone_times, uses_of_resources
from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["busy_share", "critical_tasks"]


def critical_tasks(graph: TaskGraph, start: Floats, end: Floats) -> Ints:
    """Return a chain of tasks from time 0 to the end, each of which starts when the one before ends.

    A task starts when its last predecessor ends, else when a resource becomes free, else when a buffer
    has room: the chain follows whichever it was, in this order.

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
    >>> tasks = TaskGraphBuilder()
    >>> for i in range(2):
    ...     load = tasks.add(3.0, "dram", label=f"load {i}")
    ...     _ = tasks.add(1.0, "pe", [load], label=f"run {i}")
    >>> plan = schedule_graph(tasks.build())
    >>> [plan.graph.labels[i] for i in plan.critical_path]
    ['load 0', 'load 1', 'run 1']
    """
    if len(graph) == 0:
        return np.empty(0, np.int64)
    by_end = np.argsort(end, kind="stable")
    ends = end[by_end]
    held = [frozenset(resources) for resources, _ in graph.needs]
    buffer_of = [buffer for _, buffer in graph.needs]
    flow = (graph.flow_size > 0) & (np.diff(graph.use_ptr) > 0)
    task = int(np.argmax(end))
    chain = [task]
    seen = {task}
    while True:
        before = graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]]
        last = [int(p) for p in before if end[p] == start[task]]
        if not last and start[task] > 0:
            near = by_end[np.searchsorted(ends, start[task]) : np.searchsorted(ends, start[task], "right")]
            mine, buffer = held[graph.need[task]], buffer_of[graph.need[task]]
            last = [int(i) for i in near if not flow[i] and mine & held[graph.need[i]]]
            last += [int(i) for i in near if buffer >= 0 and buffer_of[graph.need[i]] == buffer]
        last = [i for i in last if i not in seen]
        if not last:
            return np.array(chain[::-1], np.int64)
        task = max(last, key=lambda i: end[i] - start[i])
        seen.add(task)
        chain.append(task)


def busy_share(graph: TaskGraph, start: Floats, end: Floats, edges: Floats) -> Floats:
    """Return the share of each time bin that each resource is occupied, [resources, bins]."""
    owner, resource, work = uses_of_resources(graph)
    length = np.where(end > start, end - start, 1.0)
    rate = work / length[owner]
    running = (end > start)[owner] & (lone_times(graph) > 0)[owner]
    owner, resource, rate = owner[running], resource[running], rate[running]
    total = np.zeros((len(graph.resources), len(edges)))
    for k, edge in enumerate(edges):  # occupied time up to each edge
        spent = np.clip(edge - start[owner], 0.0, length[owner]) * rate
        total[:, k] = np.bincount(resource, spent, minlength=len(graph.resources))
    width = np.diff(edges)
    share: Floats = np.diff(total, axis=1) / np.where(width > 0, width, 1.0)
    return share
