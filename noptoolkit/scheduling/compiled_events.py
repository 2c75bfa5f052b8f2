"""The event loop of the scheduler, compiled: heaps, shares of rates, starts and ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noptoolkit._arrays import Bools, Floats, Ints

__all__ = ["run_events"]

Narrow = NDArray[np.int32]
"""Tasks and ranks: what is read here and there is half as long, and stays in caches."""

ENDS, FLOWS, QUEUES = 0, 1, 2
"""What becomes of a task that is ready."""


@njit(cache=True, inline="always")
def _push(heap: Narrow, base: int, size: int, value: int) -> None:
    """Put a rank on the binary heap at ``heap[base : base + size]``."""
    k = size
    while k > 0:
        parent = (k - 1) >> 1
        if heap[base + parent] <= value:
            break
        heap[base + k] = heap[base + parent]
        k = parent
    heap[base + k] = value


@njit(cache=True, inline="always")
def _pop(heap: Narrow, base: int, size: int) -> None:
    """Take the least rank off the heap."""
    value = heap[base + size - 1]
    last = size - 1
    k = 0
    while True:
        child = 2 * k + 1
        if child >= last:
            break
        if child + 1 < last and heap[base + child + 1] < heap[base + child]:
            child += 1
        if heap[base + child] >= value:
            break
        heap[base + k] = heap[base + child]
        k = child
    heap[base + k] = value


@njit(cache=True, inline="always")
def _push_event(times: Floats, tasks: Narrow, size: int, time: float, task: int) -> None:
    k = size
    while k > 0:
        parent = (k - 1) >> 1
        if times[parent] <= time:
            break
        times[k] = times[parent]
        tasks[k] = tasks[parent]
        k = parent
    times[k] = time
    tasks[k] = task


@njit(cache=True, inline="always")
def _pop_event(times: Floats, tasks: Narrow, size: int) -> None:
    last = size - 1
    time = times[last]
    task = tasks[last]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= last:
            break
        if child + 1 < last and times[child + 1] < times[child]:
            child += 1
        if times[child] >= time:
            break
        times[k] = times[child]
        tasks[k] = tasks[child]
        k = child
    times[k] = time
    tasks[k] = task


@njit(cache=True)
def _share(
    active: Ints, count: int, size: Floats, use_ptr: Ints, use_resource: Ints, use_time: Floats, rate: Floats
) -> None:
    """Set the rate of each active flow, in shares of itself per s, by progressive filling."""
    resources = 0
    for a in range(count):
        for e in range(use_ptr[active[a]], use_ptr[active[a] + 1]):
            resources = max(resources, use_resource[e] + 1)
    room = np.ones(resources)
    fixed = np.zeros(count, np.int64)  # the round in which a flow's rate was fixed
    left = count
    turn = 0
    while left > 0:
        turn += 1
        demand = np.zeros(resources)
        for a in range(count):
            if fixed[a] == 0:
                i = active[a]
                for e in range(use_ptr[i], use_ptr[i + 1]):
                    demand[use_resource[e]] += use_time[e] / size[i]
        level = np.inf
        for r in range(resources):
            if demand[r] > 0.0:
                level = min(level, room[r] / demand[r])
        for a in range(count):
            if fixed[a] > 0:
                continue
            i = active[a]
            for e in range(use_ptr[i], use_ptr[i + 1]):
                r = use_resource[e]
                if room[r] <= level * demand[r] * (1.0 + 1e-12):
                    fixed[a] = turn
                    left -= 1
                    rate[a] = level / size[i]
                    break
        for a in range(count):
            if fixed[a] == turn:
                i = active[a]
                for e in range(use_ptr[i], use_ptr[i + 1]):
                    r = use_resource[e]
                    room[r] = max(room[r] - use_time[e] * rate[a], 0.0)


@njit(cache=True, inline="always")
def _release(task: int, waiting: Narrow, succ_ptr: Narrow, succ: Narrow, fresh: Narrow, count: int) -> int:
    """Count a task's end with its successors; return how many tasks are fresh after those that it frees."""
    for e in range(succ_ptr[task], succ_ptr[task + 1]):
        j = succ[e]
        waiting[j] -= 1
        if waiting[j] == 0:
            fresh[count] = j
            count += 1
    return count


@njit(cache=True, inline="always")
def _wake(what: int, wake_ptr: Ints, wake: Ints, is_touched: Bools, touched: Ints, touches: int) -> int:
    """Touch the queues that wait for a resource or a buffer; return how many are touched now."""
    for w in range(wake_ptr[what], wake_ptr[what + 1]):
        if not is_touched[wake[w]]:
            is_touched[wake[w]] = True
            touched[touches] = wake[w]
            touches += 1
    return touches


@njit(cache=True)
def run_events(
    duration: Floats,
    need: Narrow,
    need_ptr: Ints,
    need_resource: Ints,
    need_buffer: Ints,
    wake_ptr: Ints,
    wake: Ints,
    alone: Any,
    capacity: Ints,
    buffer_size: Floats,
    hold: Floats,
    rank: Narrow,
    by_rank: Narrow,
    pred_ptr: Narrow,
    succ_ptr: Narrow,
    succ: Narrow,
    flow_size: Floats,
    use_ptr: Ints,
    use_resource: Ints,
    use_time: Floats,
) -> Any:
    """Return start and end of every task, and how many have ended (fewer than all: the buffers are stuck).

    Whenever something ends, the ready tasks whose resources and buffer have room start, best rank first. A
    task of no length ends as it starts, and what it frees is looked at before anything else starts at that
    time: one that holds nothing ends as soon as it is ready.
    Ready tasks wait in one heap per need; ``wake[wake_ptr[r]:wake_ptr[r + 1]]`` are the needs that resource
    or buffer r concerns (buffers come after the resources), and ``alone`` marks needs that share nothing with
    another.
    """
    n = len(duration)
    needs = len(need_buffer)
    resources = len(capacity)
    waiting = np.diff(pred_ptr)
    start = np.full(n, np.nan)
    end = np.full(n, np.nan)
    free = capacity.copy()
    room = buffer_size.copy()
    heap = np.empty(n, np.int32)
    base = np.zeros(needs + 1, np.int64)
    for i in range(n):
        base[need[i] + 1] += 1
    for q in range(needs):
        base[q + 1] += base[q]
    queued = np.zeros(needs, np.int64)
    times = np.empty(n)
    tasks = np.empty(n, np.int32)
    running = 0
    touched = np.empty(needs, np.int64)
    is_touched = np.zeros(needs, np.bool_)
    touches = 0
    flows = 0
    for i in range(n):
        if flow_size[i] > 0.0 and use_ptr[i + 1] > use_ptr[i]:
            flows += 1
    active = np.empty(flows, np.int64)
    share_left = np.empty(flows)
    rate = np.empty(flows)
    flowing = 0
    flow_clock = 0.0
    stale = False
    fresh = np.empty(n, np.int32)  # tasks whose last predecessor has just ended
    count = 0
    way = np.empty(n, np.uint8)  # what becomes of a task that is ready
    instant = False  # whether a task of no length holds something, or takes room in a buffer
    for i in range(n):
        if waiting[i] == 0:
            fresh[count] = i
            count += 1
        q = need[i]
        takes = need_ptr[q + 1] > need_ptr[q] or hold[i] > 0.0
        if duration[i] == 0.0 and takes:
            instant = True
        if flow_size[i] > 0.0 and use_ptr[i + 1] > use_ptr[i]:
            way[i] = FLOWS
        else:
            way[i] = ENDS if duration[i] == 0.0 and not takes else QUEUES
    now = 0.0
    done = 0
    while True:
        f = 0
        while f < count:
            i = fresh[f]
            f += 1
            if way[i] == ENDS:
                start[i] = now
                end[i] = now
                done += 1
                b = need_buffer[need[i]]
                if b >= 0 and hold[i] < 0.0:
                    room[b] -= hold[i]
                    touches = _wake(resources + b, wake_ptr, wake, is_touched, touched, touches)
                count = _release(i, waiting, succ_ptr, succ, fresh, count)
            elif way[i] == FLOWS:
                for a in range(flowing):
                    share_left[a] -= rate[a] * (now - flow_clock)
                flow_clock = now
                start[i] = now
                active[flowing] = i
                share_left[flowing] = 1.0
                rate[flowing] = 0.0
                flowing += 1
                stale = True
            else:
                q = need[i]
                _push(heap, base[q], queued[q], rank[i])
                queued[q] += 1
                if not is_touched[q]:
                    is_touched[q] = True
                    touched[touches] = q
                    touches += 1
        count = 0
        while touches > 0:
            best = -1
            kept = 0
            for t in range(touches):
                q = touched[t]
                open_ = queued[q] > 0
                while open_:
                    for e in range(need_ptr[q], need_ptr[q + 1]):
                        if free[need_resource[e]] == 0:
                            open_ = False
                            break
                    if not open_:
                        break
                    i = by_rank[heap[base[q]]]
                    b = need_buffer[q]
                    if b >= 0 and hold[i] > room[b] * (1.0 + 1e-12):
                        open_ = False
                    if not open_ or instant or not alone[q]:
                        break
                    _pop(heap, base[q], queued[q])
                    queued[q] -= 1
                    for e in range(need_ptr[q], need_ptr[q + 1]):
                        free[need_resource[e]] -= 1
                    if b >= 0 and hold[i] > 0.0:
                        room[b] -= hold[i]
                    start[i] = now
                    _push_event(times, tasks, running, now + duration[i], i)
                    running += 1
                    open_ = queued[q] > 0
                if open_:
                    touched[kept] = q
                    kept += 1
                    if best < 0 or heap[base[q]] < heap[base[best]]:
                        best = q
                else:
                    is_touched[q] = False
            touches = kept
            if best >= 0:
                i = by_rank[heap[base[best]]]
                _pop(heap, base[best], queued[best])
                queued[best] -= 1
                if duration[i] == 0.0:
                    start[i] = now
                    end[i] = now
                    done += 1
                    b = need_buffer[best]
                    if b >= 0 and hold[i] != 0.0:
                        room[b] -= hold[i]
                        touches = _wake(resources + b, wake_ptr, wake, is_touched, touched, touches)
                    count = _release(i, waiting, succ_ptr, succ, fresh, count)
                    if count > 0:
                        break
                    continue
                for e in range(need_ptr[best], need_ptr[best + 1]):
                    free[need_resource[e]] -= 1
                b = need_buffer[best]
                if b >= 0 and hold[i] > 0.0:
                    room[b] -= hold[i]
                start[i] = now
                _push_event(times, tasks, running, now + duration[i], i)
                running += 1
        if count > 0:
            continue
        if stale:
            _share(active, flowing, flow_size, use_ptr, use_resource, use_time, rate)
            stale = False
        first = -1
        flow_end = np.inf
        for a in range(flowing):
            finish = flow_clock + max(share_left[a], 0.0) / rate[a]
            if finish < flow_end:
                flow_end = finish
                first = a
        if running == 0 and first < 0:
            break
        if running > 0 and (first < 0 or times[0] <= flow_end):
            now = times[0]
        else:
            now = flow_end
        if first >= 0 and flow_end <= now:
            for a in range(flowing):
                share_left[a] -= rate[a] * (now - flow_clock)
            flow_clock = now
            kept = 0
            for a in range(flowing):
                if a == first or share_left[a] <= 1e-12:
                    i = active[a]
                    end[i] = now
                    done += 1
                    count = _release(i, waiting, succ_ptr, succ, fresh, count)
                else:
                    active[kept] = active[a]
                    share_left[kept] = share_left[a]
                    kept += 1
            flowing = kept
            stale = True
        while running > 0 and times[0] == now:
            i = tasks[0]
            _pop_event(times, tasks, running)
            running -= 1
            end[i] = now
            done += 1
            q = need[i]
            for e in range(need_ptr[q], need_ptr[q + 1]):
                r = need_resource[e]
                free[r] += 1
                touches = _wake(r, wake_ptr, wake, is_touched, touched, touches)
            b = need_buffer[q]
            if b >= 0 and hold[i] < 0.0:
                room[b] -= hold[i]
                touches = _wake(resources + b, wake_ptr, wake, is_touched, touched, touches)
            count = _release(i, waiting, succ_ptr, succ, fresh, count)
    return start, end, done
