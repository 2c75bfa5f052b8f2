"""What terminals do in a cycle: they make packets and send them; compiled by numba.

A drawn source makes its next packet only when the last one has left, and keeps the lag in its clock, as
BookSim2 does; so queues at the sources cost no memory, and latency counts from the cycle of creation. Listed
packets are released at their cycle, once all that they depend on has arrived, and leave in this order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ALIVE,
    ALIVE_SINCE,
    BURST,
    CLOCK,
    CREATED,
    CREATED_FLITS,
    CREDIT,
    DEST,
    DRAWN,
    EXTRA,
    FINAL,
    FIRST_READY,
    FIXED,
    FRACTION,
    GROUP,
    HEAP,
    HOP,
    HOPS,
    INJECTED,
    INSIDE,
    KIND,
    L_BEFORE,
    L_DEST,
    L_GROUP,
    L_KIND,
    L_MESSAGE,
    L_NEXT,
    L_ORDER,
    L_PATH,
    L_SENT,
    L_SIZE,
    L_SRC,
    L_TIME,
    LAG,
    LAST,
    LAST_READY,
    LATENCY,
    LISTED_LEFT,
    M_ORDER,
    M_ROOT,
    MARKED_LEFT,
    MASK,
    MEDIUM,
    MESSAGE,
    NEXT,
    NUMBER,
    OUTSTANDING,
    PACKET,
    PATH,
    PCLASS,
    RECORD,
    RELEASED,
    SENT,
    SEQ,
    SIZE,
    SPARE,
    SRC,
    UNICAST,
    UNIFORM,
    VALIANT,
    VC,
    ZERO,
)
from noptoolkit.simulate.compiled_links import lag_behind, launch
from noptoolkit.simulate.compiled_records import length, width
from noptoolkit.simulate.compiled_words import at, draw, first_from
from noptoolkit.simulate.compiling import called, inlined

__all__ = ["release", "send"]


@called
def release(st: Any, src: Any, now: Any) -> None:
    """Put the listed packets whose cycle has come into the queues of their sources."""
    while st.cnt[RELEASED] < length(src.order):
        j = src.order[st.cnt[RELEASED]]
        if src.li[j, L_TIME] > now:
            break
        st.cnt[RELEASED] += 1
        _queue(st, src, j)
    while st.cnt[HEAP] > 0 and src.heap_time[0] <= now:
        j = src.heap[0]
        last = st.cnt[HEAP] - 1
        st.cnt[HEAP] = last
        when, moved = src.heap_time[last], src.heap[last]
        k = np.int64(0)
        while True:
            down = 2 * k + 1
            if down >= last:
                break
            if down + 1 < last and (
                src.heap_time[down + 1] < src.heap_time[down]
                or (src.heap_time[down + 1] == src.heap_time[down] and src.heap[down + 1] < src.heap[down])
            ):
                down += 1
            if when < src.heap_time[down] or (when == src.heap_time[down] and moved < src.heap[down]):
                break
            src.heap_time[k], src.heap[k] = src.heap_time[down], src.heap[down]
            k = down
        src.heap_time[k], src.heap[k] = when, moved
        src.li[j, L_TIME] = max(src.li[j, L_TIME], now)
        _queue(st, src, j)


@called
def _queue(st: Any, src: Any, j: Any) -> None:
    """Append a packet to the queue of its source, behind all of its order or a lower one."""
    s = src.li[j, L_SRC]
    before = st.tm[s, LAST_READY]
    while before >= 0 and src.li[before, L_ORDER] > src.li[j, L_ORDER]:
        before = src.li[before, L_BEFORE]
    after = src.li[before, L_NEXT] if before >= 0 else st.tm[s, FIRST_READY]
    src.li[j, L_BEFORE], src.li[j, L_NEXT] = before, after
    if before >= 0:
        src.li[before, L_NEXT] = j
    else:
        st.tm[s, FIRST_READY] = j
    if after >= 0:
        src.li[after, L_BEFORE] = j
    else:
        st.tm[s, LAST_READY] = j


@called
def _take(net: Any, st: Any, src: Any, s: Any, now: Any) -> Any:
    """Make the first listed packet of a source the one that it sends, if its window allows."""
    j = st.tm[s, FIRST_READY]
    if j < 0:
        return False
    message = src.li[j, L_MESSAGE]
    if message >= 0 and src.token_window > 0:
        done = src.done_of_root[st.ms[message, M_ROOT]]
        if st.ms[message, M_ORDER] >= done + src.token_window:
            return False
    if src.window > 0 and st.tm[s, OUTSTANDING] >= src.window:
        return False
    after = src.li[j, L_NEXT]
    st.tm[s, FIRST_READY] = after
    if after >= 0:
        src.li[after, L_BEFORE] = -1
    else:
        st.tm[s, LAST_READY] = -1
    p = _new_packet(net, st, s, src.li[j, L_DEST], src.li[j, L_TIME], src.li[j, L_SIZE], j, True)
    src.li[j, L_SENT] = now
    st.pk[p, KIND] = src.li[j, L_KIND]
    st.pk[p, MESSAGE] = message
    st.pk[p, GROUP] = src.li[j, L_GROUP]
    st.pk[p, HOP] = src.li[j, L_PATH]
    st.pk[p, NUMBER] = j
    st.pk[p, FINAL] = 1
    st.cnt[LISTED_LEFT] -= 1
    if src.li[j, L_KIND] == VALIANT:
        _send_by_way(net, st, src, p)
    return True


@called
def _new_packet(net: Any, st: Any, s: Any, dest: Any, created: Any, size: Any, seq: Any, marked: Any) -> Any:
    """Return a packet from the pool, filled in, as the one that its source sends."""
    st.cnt[SPARE] -= 1
    p = np.int64(st.spare[st.cnt[SPARE]])
    st.pk[p, DEST] = dest
    st.pk[p, KIND] = UNICAST
    st.pk[p, PCLASS] = 0
    st.pk[p, CREATED] = created
    st.pk[p, HOPS] = 0
    st.pk[p, SIZE] = size
    st.pk[p, RECORD] = marked
    st.pk[p, SRC] = s
    st.pk[p, SEQ] = seq
    st.pk[p, GROUP] = 0
    out = net.outputs + s
    st.pk[p, ZERO] = 1 + st.op[out, LATENCY] + st.op[out, EXTRA]
    st.pk[p, LAG] = lag_behind(net, st, out, size, np.int64(0)) if size > 1 else 0
    st.cnt[MARKED_LEFT] += marked
    st.cnt[ALIVE] += size
    st.cnt[ALIVE_SINCE] += size * created
    st.tm[s, OUTSTANDING] += 1
    st.tm[s, PACKET] = p
    st.tm[s, SENT] = 0
    return p


@called
def _send_by_way(net: Any, st: Any, src: Any, p: Any) -> None:
    """Draw the terminal by way of which a packet goes first (Valiant and Brebner, STOC 1981)."""
    word = draw(src.key, 6, st.pk[p, SRC], st.pk[p, SEQ]) >> np.uint64(32)
    st.pk[p, FINAL] = st.pk[p, DEST]
    st.pk[p, DEST] = src.between[np.int64((word * np.uint64(length(src.between))) >> np.uint64(32))]


@called
def _make(net: Any, st: Any, src: Any, s: Any, created: Any, marked: Any) -> None:
    """Make the packet that a drawn source creates in a cycle."""
    if src.to == FIXED:
        dest = np.int64(src.dest[s])
    else:
        word = draw(src.key, 1, s, created) >> np.uint64(32)
        if src.to == UNIFORM:
            dest = np.int64((word * np.uint64(net.terminals)) >> np.uint64(32))
        else:
            row = src.row_of[s]
            low, high = np.int64(0), np.int64(width(src.limit) - 1)
            while low < high:
                middle = (low + high) >> 1
                if word < src.limit[row, middle]:
                    high = middle
                else:
                    low = middle + 1
            dest = low
    p = _new_packet(net, st, s, dest, created, src.size, created, marked)
    st.pk[p, KIND] = src.kind
    st.pk[p, FINAL] = -1
    if src.kind == VALIANT:
        _send_by_way(net, st, src, p)
    elif src.kind == PATH:
        pair = s * net.terminals + dest
        word = draw(src.key, 7, s, created)
        k = src.path_first[pair]
        while k + 1 < src.path_first[pair + 1] and word >= src.path_limit[k]:
            k += 1
        st.pk[p, HOP] = src.paths[k]


@inlined
def _create(net: Any, st: Any, src: Any, s: Any, now: Any, until: Any, mark_from: Any, mark_to: Any) -> None:
    """Let a drawn source create the packet of its next lucky cycle, if that has come."""
    clock = st.tm[at(s), CLOCK]
    found = False
    while clock <= now and clock < until and not found:
        if src.window > 0 and st.tm[s, OUTSTANDING] >= src.window:
            clock = now + 1
            break
        if src.wake > 0:
            word = draw(src.key, 8, s, clock) >> np.uint64(11)
            if st.tm[s, BURST] == 0:
                st.tm[s, BURST] = np.int64(word < src.wake)
            else:
                st.tm[s, BURST] = np.int64(word >= src.sleep)
            found = st.tm[s, BURST] == 1 and (draw(src.key, 0, s, clock) >> np.uint64(11)) < src.chance[s]
        else:
            found = (draw(src.key, 0, s, clock) >> np.uint64(11)) < src.chance[at(s)]
        clock += 1
    st.tm[at(s), CLOCK] = clock
    if found:
        # BookSim2 marks a packet by the state in which it was made, not by its creation time
        marked = now >= mark_from and (now < mark_to or clock - 1 < mark_to)
        _make(net, st, src, s, clock - 1, marked)


@inlined
def send(net: Any, st: Any, src: Any, now: Any, until: Any, mark_from: Any, mark_to: Any) -> None:
    """Let every terminal send what its link carries in a cycle, a flit at a time."""
    for s in range(net.terminals):
        if st.tm[at(s), PACKET] < 0:
            if src.mode == DRAWN:
                _create(net, st, src, s, now, until, mark_from, mark_to)
            elif st.tm[at(s), FIRST_READY] >= 0:
                _take(net, st, src, s, now)
            if st.tm[at(s), PACKET] < 0:
                continue
        out = net.outputs + s
        while st.op[at(st.op[at(out), MEDIUM]), NEXT] < (now + 1) << FRACTION:
            if st.tm[at(s), PACKET] < 0 and (src.mode == DRAWN or not _take(net, st, src, s, now)):
                break
            p = st.tm[at(s), PACKET]
            sent = st.tm[at(s), SENT]
            mask = st.tm[at(s), MASK]
            v = st.tm[at(s), VC]
            if sent == 0:
                if mask == 0:
                    break
                v = first_from(mask, (st.tm[at(s), LAST] + 1) & ((np.int64(1) << net.bits) - 1))
                st.tm[at(s), VC] = v
                st.tm[at(s), LAST] = v
            elif (mask >> v) & 1 == 0:
                break
            flit = p << 2
            if sent == 0:
                flit |= 1
            sent += 1
            st.tm[at(s), SENT] = sent
            if sent == st.pk[at(p), SIZE]:
                flit |= 2
                st.tm[at(s), PACKET] = -1
            ovc = (out << net.bits) + v
            credit = st.ov[at(ovc), CREDIT] - 1
            st.ov[at(ovc), CREDIT] = credit
            if credit == 0:
                st.tm[at(s), MASK] = mask & ~(np.int64(1) << v)
            st.tm[at(s), INJECTED] += 1
            st.cnt[CREATED_FLITS] += 1
            st.cnt[INSIDE] += 1
            launch(net, st, out, v, flit, now)
