"""Event loop of chunks on channels, compiled by numba; see `noptoolkit.collectives.chunks`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["run_chunks"]

Floats = NDArray[np.float64]
Ints = NDArray[Any]


@njit(cache=True, nogil=True)
def _push(keys: Floats, items: Ints, size: int, key: float, item: int) -> None:
    i = size
    while i > 0 and keys[(i - 1) // 2] > key:
        keys[i] = keys[(i - 1) // 2]
        items[i] = items[(i - 1) // 2]
        i = (i - 1) // 2
    keys[i] = key
    items[i] = item


@njit(cache=True, nogil=True)
def _pop(keys: Floats, items: Ints, size: int) -> None:
    """Remove the first of ``size`` entries."""
    key, item = keys[size - 1], items[size - 1]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size - 1:
            break
        if child + 1 < size - 1 and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i] = keys[child]
        items[i] = items[child]
        i = child
    keys[i] = key
    items[i] = item


@njit(cache=True, nogil=True)
def run_chunks(
    chunks: int,
    arc_of: Ints,
    last: Any,
    hop_of: Ints,
    first_of_hop: Ints,
    waits: Ints,
    next_start: Ints,
    next_hops: Ints,
    duration: Floats,
    delay: Floats,
    urgency: Floats,
    num_arcs: int,
) -> tuple[float, Floats]:
    """Run every chunk over every channel of every path; return the finish and when each crossing starts.

    Parameters
    ----------
    chunks
        Chunks of each tree.
    arc_of, last, hop_of
        Arc of each crossing, whether it ends its hop, and its hop, [crossings].
    first_of_hop, waits
        First crossing of each hop, and how many hops it waits for, [hops].
    next_start, next_hops
        Hops that wait for each hop, in rows.
    duration
        Time of one chunk on the channel, [crossings].
    delay
        Latency of the channel, after which the chunk has arrived, [crossings].
    urgency
        Channels left on the longest path behind each crossing: larger goes first, [crossings].
    """
    crossings, hops = len(arc_of), len(waits)
    counts = np.zeros(num_arcs + 1, np.int64)
    for x in range(crossings):
        counts[arc_of[x] + 1] += chunks
    for a in range(num_arcs):
        counts[a + 1] += counts[a]
    queue_keys, queue_items = np.empty(counts[num_arcs]), np.empty(counts[num_arcs], np.int64)
    queued = np.zeros(num_arcs, np.int64)
    busy = np.zeros(num_arcs, np.bool_)
    left = np.empty((hops, chunks), np.int64)
    for h in range(hops):
        left[h, :] = waits[h]
    start = np.full((crossings, chunks), -1.0)
    most = crossings * chunks + num_arcs + 1
    event_keys, event_items, events = np.empty(most), np.empty(most, np.int64), 0
    top = urgency.max() + 1.0 if crossings else 1.0
    ready = np.empty(crossings * chunks + 1, np.int64)
    count = 0
    for h in range(hops):
        if waits[h] == 0:
            for c in range(chunks):
                ready[count] = first_of_hop[h] * chunks + c
                count += 1
    now, finish = 0.0, 0.0
    while True:
        for i in range(count):
            x, c = ready[i] // chunks, ready[i] % chunks
            a = arc_of[x]
            low = counts[a]
            key = c + (1.0 - urgency[x] / top)
            _push(queue_keys[low : counts[a + 1]], queue_items[low : counts[a + 1]], queued[a], key, ready[i])
            queued[a] += 1
        for i in range(count):
            a = arc_of[ready[i] // chunks]
            if not busy[a] and queued[a] > 0:
                low = counts[a]
                op = queue_items[low]
                _pop(queue_keys[low : counts[a + 1]], queue_items[low : counts[a + 1]], queued[a])
                queued[a] -= 1
                x = op // chunks
                start[x, op % chunks] = now
                busy[a] = True
                _push(event_keys, event_items, events, now + duration[x], -1 - op)
                events += 1
        count = 0
        if events == 0:
            return finish, start
        now = event_keys[0]
        while events > 0 and event_keys[0] <= now * (1 + 1e-12):
            op = event_items[0]
            _pop(event_keys, event_items, events)
            events -= 1
            if op < 0:  # the channel is free, the chunk on its way
                op = -1 - op
                x = op // chunks
                a = arc_of[x]
                busy[a] = False
                _push(event_keys, event_items, events, now + delay[x], op)
                events += 1
                if queued[a] > 0:
                    low = counts[a]
                    following = queue_items[low]
                    _pop(queue_keys[low : counts[a + 1]], queue_items[low : counts[a + 1]], queued[a])
                    queued[a] -= 1
                    y = following // chunks
                    start[y, following % chunks] = now
                    busy[a] = True
                    _push(event_keys, event_items, events, now + duration[y], -1 - following)
                    events += 1
            else:
                x, c = op // chunks, op % chunks
                finish = max(finish, now)
                if not last[x]:
                    ready[count] = (x + 1) * chunks + c
                    count += 1
                else:
                    h = hop_of[x]
                    for k in range(next_start[h], next_start[h + 1]):
                        waiting = next_hops[k]
                        left[waiting, c] -= 1
                        if left[waiting, c] == 0:
                            ready[count] = first_of_hop[waiting] * chunks + c
                            count += 1
