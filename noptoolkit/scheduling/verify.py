"""An independent check of a schedule: precedence, exclusivity, capacity, room in buffers, rates of flows.

It looks only at the task graph and at starts and ends, by sweeps of its own; nothing is shared with the
scheduler that made them.

What is assumed, and not derived again: the graph is the one that was meant (its durations, precedences,
capacities, sizes and holds; for a step, `noptoolkit.step.verification` makes it again); tasks of less than
twice the tolerance take no place on a resource; buffers are empty before the first task; and flows that each
of their resources alone could serve in time can be served by all of them together.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace

import numpy as np

from noptoolkit._arrays import Floats, Ints
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
    if start.shape != (len(graph),) or end.shape != (len(graph),):
        raise ScheduleError(f"schedule: {len(graph)} tasks, but {len(start)} starts and {len(end)} ends")
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise ScheduleError("schedule: some tasks never run")
    slack = tol * float(end.max(initial=0.0))
    faults = []
    if (start < -slack).any():
        faults.append(f"{graph.name(int(start.argmin()))} starts before time 0")
    flows = (graph.flow_size > 0) & (np.diff(graph.use_ptr) > 0)
    wrong = np.flatnonzero(~flows & ~(np.abs(end - start - graph.duration) <= slack))  # no number is no time
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
        over = np.flatnonzero(~(content <= size * (1 + 1e-9)))
        if len(over):
            faults.append(
                f"buffer {name!r} holds {content.max():g} B at {times[over[0]]:.6g} s of {size:g} B"
            )
        if slack > 0:  # what is taken and given back at one time is taken first
            times, content = occupancy_over_time(graph, start, end, name, -slack)
            under = np.flatnonzero(content < -1e-9 * size)
            if len(under):
                faults.append(
                    f"buffer {name!r} is given back {-content.min():g} B that nothing took, "
                    f"at {times[under[0]]:.6g} s"
                )
    return faults


def _flow_faults(graph: TaskGraph, start: Floats, end: Floats, slack: float) -> list[str]:
    """Check that each resource could serve all its flows between their starts and ends.

    It can if it can by serving, of those that have started, always the one that ends first (Dertouzos 1974).
    """
    faults = []
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.use_ptr))
    for r in np.unique(graph.use_resource):
        mine = graph.use_resource == r
        late = _first_late(owner[mine], start, end, graph.use_time[mine], slack)
        if late is not None:
            faults.append(f"{graph.resources[int(r)]!r} is used beyond its rate when {graph.name(late)} ends")
    return faults


def _first_late(flows: Ints, start: Floats, end: Floats, work: Floats, slack: float) -> int | None:
    """Return a flow that one resource cannot serve in time, `None` if it can serve all."""
    order = np.argsort(start[flows], kind="stable")
    waiting = list(
        zip(start[flows][order].tolist(), flows[order].tolist(), work[order].tolist(), strict=True)
    )
    waiting.reverse()
    open_flows: list[tuple[float, int, float]] = []  # end, flow, what is left of its work
    now = busy_since = 0.0
    while waiting or open_flows:
        if not open_flows:
            now = busy_since = max(now, waiting[-1][0])
        while waiting and waiting[-1][0] <= now:
            _, flow, left = waiting.pop()
            heappush(open_flows, (float(end[flow]), flow, left))
        due, flow, left = open_flows[0]
        if waiting and waiting[-1][0] < now + left:
            heapreplace(open_flows, (due, flow, left - (waiting[-1][0] - now)))
            now = waiting[-1][0]
            continue
        heappop(open_flows)
        now += left
        if now > due + 2 * slack + 1e-9 * (now - busy_since):
            return flow
    return None
