"""An independent check of a schedule: precedence, exclusivity, capacity, room in buffers, rates of flows.

It looks only at the task graph and at starts and ends, by sweeps of its own; nothing is shared with the
scheduler that made them.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.errors import ScheduleError, UnknownNameError, raise_collected
from noptoolkit.scheduling.task_graph import TaskGraph

__all__ = ["occupancy_over_time", "verify_schedule"]


def verify_schedule(graph: TaskGraph, start: Floats, end: Floats, *, tol: float = 1e-9) -> None:
    """Raise ScheduleError, with every kind of fault found, if a schedule is not one.

    Parameters
    ----------
    start, end
        In s, [tasks].
    tol
        What counts as equal, as a share of the makespan.

    Examples
    --------
    >>> from noptoolkit.scheduling import TaskGraphBuilder
    >>> tasks = TaskGraphBuilder()
    >>> for _ in range(2):
    ...     _ = tasks.add(1.0, "pe", label="run")
    >>> verify_schedule(tasks.build(), np.array([0.0, 0.5]), np.array([1.0, 1.5]))
    Traceback (most recent call last):
    noptoolkit.errors.ScheduleError: schedule: 'pe' serves 2 tasks at 0.5 s, its capacity is 1
    """
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise ScheduleError("schedule: some tasks never run")
    slack = tol * float(end.max(initial=0.0))
    faults = []
    if (start < -slack).any():
        faults.append(f"{graph.name(int(start.argmin()))} starts before time 0")
    flows = (graph.flow_size > 0) & (np.diff(graph.use_ptr) > 0)
    wrong = np.flatnonzero(~flows & (np.abs(end - start - graph.duration) > slack))
    if len(wrong):
        faults.append(f"{graph.name(int(wrong[0]))} does not take as long as it should")
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.pred_ptr))
    early = np.flatnonzero(start[owner] < end[graph.pred] - slack)
    if len(early):
        task, before = int(owner[early[0]]), int(graph.pred[early[0]])
        faults.append(f"{graph.name(task)} starts before {graph.name(before)} ends")
    faults += _capacity_faults(graph, start, end, slack)
    faults += _buffer_faults(graph, start, end, slack)
    faults += _flow_faults(graph, start, end, slack)
    raise_collected(ScheduleError, "schedule", faults)


def _capacity_faults(graph: TaskGraph, start: Floats, end: Floats, slack: float) -> list[str]:
    faults = []
    for r, name in enumerate(graph.resources):
        needs = [i for i, (held, _) in enumerate(graph.needs) if r in held]
        tasks = np.flatnonzero(np.isin(graph.need, needs) & (graph.duration > 2 * slack))
        times = np.concatenate([start[tasks] + slack, end[tasks] - slack])
        change = np.concatenate([np.ones(len(tasks)), -np.ones(len(tasks))])
        order = np.argsort(times, kind="stable")
        serving = np.cumsum(change[order])
        if len(tasks) and serving.max() > graph.capacity[r]:
            at = times[order][int(np.argmax(serving > graph.capacity[r]))]
            count, capacity = int(serving.max()), graph.capacity[r]
            faults.append(f"{name!r} serves {count} tasks at {at:.6g} s, its capacity is {capacity}")
    return faults


def occupancy_over_time(
    graph: TaskGraph, start: Floats, end: Floats, buffer: str, slack: float = 0.0
) -> tuple[Floats, Floats]:
    """Return the times at which a buffer's content changes, in s, and the bytes in it from then on.

    Room given back at a time is free for what starts at that time.
    """
    if buffer not in graph.buffers:
        raise UnknownNameError(f"no buffer named {buffer!r}; {did_you_mean(buffer, graph.buffers)}")
    index = graph.buffers.index(buffer)
    needs = [i for i, (_, b) in enumerate(graph.needs) if b == index]
    mine = np.isin(graph.need, needs)
    takers, givers = np.flatnonzero(mine & (graph.hold > 0)), np.flatnonzero(mine & (graph.hold < 0))
    times = np.concatenate([end[givers] - slack, start[takers] + slack])
    change = np.concatenate([graph.hold[givers], graph.hold[takers]])
    order = np.argsort(times, kind="stable")
    return times[order], np.cumsum(change[order])


def _buffer_faults(graph: TaskGraph, start: Floats, end: Floats, slack: float) -> list[str]:
    faults = []
    for b, name in enumerate(graph.buffers):
        times, content = occupancy_over_time(graph, start, end, name, slack)
        size = graph.buffer_size[b]
        over = np.flatnonzero(content > size * (1 + 1e-9))
        if len(over):
            faults.append(
                f"buffer {name!r} holds {content.max():g} B at {times[over[0]]:.6g} s of {size:g} B"
            )
    return faults


def _flow_faults(graph: TaskGraph, start: Floats, end: Floats, slack: float) -> list[str]:
    """Check that in any window the flows that lie within it did not need more than the window of a resource.

    Windows tried are those from the start of one flow to the end of another on the same resource.
    """
    faults = []
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    for r in np.unique(graph.use_resource):
        mine = graph.use_resource == r
        flows, work = owner[mine], graph.use_time[mine]
        order = np.argsort(end[flows], kind="stable")
        flows, work = flows[order], work[order]
        for opening in np.unique(start[flows])[:256]:
            inside = start[flows] >= opening - slack
            done = np.cumsum(np.where(inside, work, 0.0))
            late = np.flatnonzero(inside & (done > end[flows] - opening + slack + 1e-9 * done))
            if len(late):
                task = graph.name(int(flows[late[0]]))
                faults.append(f"{graph.resources[int(r)]!r} is used beyond its rate when {task} ends")
                break
    return faults
