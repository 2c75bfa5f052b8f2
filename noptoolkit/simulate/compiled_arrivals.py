"""What arrives in a cycle: flits at routers and terminals, credits at output ports; compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ABSORB,
    ACCEPTED,
    ACTIVE,
    ALIVE,
    ALIVE_SINCE,
    ARRIVED_FLITS,
    BASE,
    CHECKSUM,
    COUNT,
    CREATED,
    CREDIT,
    DELAY,
    DELIVERED,
    DEPTH,
    DEST,
    DONE_PACKETS,
    EJECT,
    ERRORS,
    FINAL,
    G_FIRST,
    G_OUT,
    HEAD,
    HEAP,
    HELD,
    HOPS,
    HOPS_SUM,
    IDLE,
    IN0,
    INSIDE,
    KIND,
    L_DELAY,
    L_DONE,
    L_EVENT,
    L_NEED,
    L_TIME,
    LAG,
    LATENCY,
    LATENCY_MOST,
    LATENCY_SUM,
    LISTED,
    M_DONE,
    M_EVENT,
    M_LEFT,
    M_ROOT,
    M_WEIGHT,
    MARKED_LEFT,
    MASK,
    MEASURED,
    MESSAGE,
    MULTI,
    MULTICAST,
    NUMBER,
    OCCUPANCY,
    OUT,
    OUT0,
    OUTSTANDING,
    OVC,
    OVERFLOW,
    OWNER,
    PEAK,
    RECORD,
    ROUTER,
    SIZE,
    SRC,
    STATE,
    TURN,
    WRONG_TERMINAL,
    ZERO,
    ZERO_SUM,
)
from noptoolkit.simulate.compiled_heads import absorb, route_head
from noptoolkit.simulate.compiled_links import free_packet, request
from noptoolkit.simulate.compiled_records import length
from noptoolkit.simulate.compiled_words import at, bits_in, lowest, mix
from noptoolkit.simulate.compiling import called, inlined

__all__ = ["arrive", "branch_can_send", "return_credits"]


@inlined
def arrive(net: Any, st: Any, src: Any, slot: Any, now: Any, counting: Any) -> None:
    """Take the flits of one slot of the wheel."""
    inputs = net.inputs
    for k in range(st.flit_count[at(slot)]):
        event = st.flits[at(slot), at(k)]
        flit = event & 0xFFFFFFFF
        ivc = event >> 32
        ip = ivc >> net.bits
        v = ivc - (ip << net.bits)
        if ip >= inputs:
            _reach(net, st, src, ip - inputs, v, flit, now, counting)
            continue
        count = np.int64(st.vc[at(ivc), COUNT])
        depth = st.ip[at(ip), DEPTH]
        place = st.vc[at(ivc), HEAD] + count
        if place >= depth:
            place -= depth
        st.fifo[at(st.ip[at(ip), BASE] + v * depth + place)] = flit
        st.vc[at(ivc), COUNT] = count + 1
        st.ip[at(ip), OCCUPANCY] -= now
        held = st.ip[at(ip), HELD] + 1
        st.ip[at(ip), HELD] = held
        if held > st.ip[at(ip), PEAK]:
            st.ip[at(ip), PEAK] = held
        if count >= depth:
            st.cnt[ERRORS] |= OVERFLOW
        state = st.vc[at(ivc), STATE]
        if state == IDLE:
            route_head(net, st, src.key, ip, v, now)
        elif state == ACTIVE:
            if count == 0:
                r = st.ip[at(ip), ROUTER]
                o = np.int64(st.vc[at(ivc), OUT])
                op = st.rt[at(r), OUT0] + o
                if st.ov[at((op << net.bits) + st.vc[at(ivc), OVC]), CREDIT] > 0:
                    request(st, r, ip - st.rt[at(r), IN0], o, v)
        elif state == MULTI:
            _feed_branches(net, st, ip, v)
        elif state == ABSORB and absorb(net, st, src.key, ip, v, now):
            if st.vc[ivc, COUNT] > 0:
                route_head(net, st, src.key, ip, v, now)
            else:
                st.vc[ivc, STATE] = IDLE
    st.flit_count[at(slot)] = 0


@called
def branch_can_send(net: Any, st: Any, r: Any, ivc: Any, o: Any) -> Any:
    """Return the first branch of a multicast to an output that has a flit and a credit, or -1."""
    left = st.branch_left[ivc]
    if st.vc[ivc, COUNT] == 0:
        return np.int64(-1)
    ip = ivc >> net.bits
    place = st.ip[ip, BASE] + (ivc - (ip << net.bits)) * st.ip[ip, DEPTH] + st.vc[ivc, HEAD]
    size = st.pk[np.int64(st.fifo[place]) >> 2, SIZE]
    while left != 0:
        k = lowest(left)
        left &= left - 1
        vc = st.branch_vc[ivc, k]
        if vc < 0 or st.gr[st.gr[st.branch_group[ivc], G_FIRST] + k, G_OUT] != o:
            continue
        sent = st.branch_sent[ivc, k]
        if sent - st.branch_popped[ivc] >= st.vc[ivc, COUNT] or sent >= size:
            continue
        if st.ov[((st.rt[r, OUT0] + o) << net.bits) + vc, CREDIT] > 0:
            return np.int64(k)
    return np.int64(-1)


@called
def _feed_branches(net: Any, st: Any, ip: Any, v: Any) -> None:
    """Let the branches that have sent all that was there ask again."""
    ivc = (ip << net.bits) + v
    r = st.ip[ip, ROUTER]
    left = st.branch_left[ivc]
    while left != 0:
        k = lowest(left)
        left &= left - 1
        o = st.gr[st.gr[st.branch_group[ivc], G_FIRST] + k, G_OUT]
        if branch_can_send(net, st, r, ivc, o) >= 0:
            request(st, r, ip - st.rt[r, IN0], o, v)


@inlined
def return_credits(net: Any, st: Any, slot: Any) -> None:
    """Take the credits of one slot of the wheel; the first of a VC lets it ask for the switch."""
    for k in range(st.credit_count[at(slot)]):
        ovc = np.int64(st.credits[at(slot), at(k)])
        credit = st.ov[at(ovc), CREDIT]
        st.ov[at(ovc), CREDIT] = credit + 1
        if credit != 0:
            continue
        op = ovc >> net.bits
        if op >= net.outputs:
            st.tm[at(op - net.outputs), MASK] |= np.int64(1) << (ovc - (op << net.bits))
            continue
        here = np.int64(st.ov[at(ovc), OWNER])
        if here < 0:
            continue
        r = st.router_of[at(op)]
        i = here >> net.bits
        v = here - (i << net.bits)
        o = op - st.rt[at(r), OUT0]
        ivc = (st.rt[at(r), IN0] << net.bits) + here
        state = st.vc[at(ivc), STATE]
        if state == ACTIVE:
            if st.vc[at(ivc), COUNT] > 0:
                request(st, r, i, o, v)
        elif state == MULTI and branch_can_send(net, st, r, ivc, o) >= 0:
            request(st, r, i, o, v)
    st.credit_count[at(slot)] = 0


@inlined
def _reach(net: Any, st: Any, src: Any, n: Any, v: Any, flit: Any, now: Any, counting: Any) -> None:
    """Take a flit that has reached a terminal, and give its credit back."""
    p = at(flit >> 2)
    created = st.pk[p, CREATED]
    st.tm[at(n), ACCEPTED] += 1
    st.cnt[ARRIVED_FLITS] += 1
    st.cnt[INSIDE] -= 1
    st.cnt[ALIVE] -= 1
    st.cnt[ALIVE_SINCE] -= created
    if flit & 2:
        _finish(net, st, src, n, np.int64(p), now, counting)
    op = st.tm[at(n), EJECT]
    when = now + 1 + st.op[at(op), LATENCY] + net.credit_delay
    slot = when & net.near
    k = st.credit_count[at(slot)]
    st.credits[at(slot), at(k)] = (op << net.bits) + v
    st.credit_count[at(slot)] = k + 1


@called
def _finish(net: Any, st: Any, src: Any, n: Any, p: Any, now: Any, counting: Any) -> None:
    """Count a packet whose tail has arrived; let what depends on it go on."""
    kind = st.pk[p, KIND]
    if kind != MULTICAST and st.pk[p, DEST] != n:
        st.cnt[ERRORS] |= WRONG_TERMINAL
    latency = now - st.pk[p, CREATED]
    source = st.pk[p, SRC]
    if st.pk[p, RECORD]:
        st.cnt[MARKED_LEFT] -= 1
        word = (np.uint64(source) << np.uint64(48)) | (np.uint64(st.pk[p, CREATED]) << np.uint64(16))
        st.cnt[CHECKSUM] += np.int64(mix(word | np.uint64(latency)))
    if st.pk[p, RECORD] or counting:
        st.cnt[MEASURED] += 1
        st.cnt[LATENCY_SUM] += latency
        st.cnt[LATENCY_MOST] = max(st.cnt[LATENCY_MOST], latency)
        st.cnt[HOPS_SUM] += st.pk[p, HOPS]
        st.cnt[ZERO_SUM] += st.pk[p, ZERO] + st.pk[p, LAG]
        st.hist[min(latency, length(st.hist) - 1)] += 1
        st.tm[source, DELIVERED] += st.pk[p, SIZE]
        st.tm[source, DELAY] += latency
        st.tm[source, TURN] += 1
    st.tm[source, OUTSTANDING] -= 1
    if src.mode == LISTED:
        _deliver(net, st, src, n, p, kind, now)
    free_packet(st, p)


@called
def _deliver(net: Any, st: Any, src: Any, n: Any, p: Any, kind: Any, now: Any) -> None:
    """Note the arrival of a listed packet, and release what waited for it."""
    j = st.pk[p, NUMBER]
    message = st.pk[p, MESSAGE]
    st.cnt[DONE_PACKETS] += 1
    if kind >= MULTICAST:
        event = st.ms[message, M_EVENT]
        if kind == MULTICAST:
            event += members_before(st, message, n)
        else:
            st.ms[message, M_WEIGHT] += st.pk[p, FINAL]
        st.ms[message, M_LEFT] -= 1
        if st.ms[message, M_LEFT] == 0:
            st.ms[message, M_DONE] = now + 1
            root = st.ms[message, M_ROOT]
            first = src.order_first[root]
            while first + src.done_of_root[root] < src.order_first[root + 1]:
                following = src.by_order[first + src.done_of_root[root]]
                if st.ms[following, M_DONE] == 0:
                    break
                src.done_of_root[root] += 1
    else:
        event = src.li[j, L_EVENT]
    src.li[j, L_DONE] = max(src.li[j, L_DONE], now)
    if event < 0:
        return
    src.event_left[event] -= 1
    if src.event_left[event] > 0:
        return
    for e in range(src.follow_first[event], src.follow_first[event + 1]):
        q = src.follow[e]
        src.li[q, L_NEED] -= 1
        if src.li[q, L_NEED] == 0:
            push(st, src, max(now + src.li[q, L_DELAY], src.li[q, L_TIME]), q)


@called
def members_before(st: Any, message: Any, n: Any) -> Any:
    """Return how many members of a message have a lower number than a terminal."""
    word = n >> 6
    count = np.int64(0)
    for w in range(word):
        count += bits_in(st.members[message, w])
    return count + bits_in(st.members[message, word] & ((np.int64(1) << (n & 63)) - 1))


@called
def push(st: Any, src: Any, when: Any, j: Any) -> None:
    """Put a packet into the heap of those to be released, by cycle and number."""
    k = st.cnt[HEAP]
    st.cnt[HEAP] = k + 1
    while k > 0:
        up = (k - 1) >> 1
        if src.heap_time[up] < when or (src.heap_time[up] == when and src.heap[up] < j):
            break
        src.heap_time[k], src.heap[k] = src.heap_time[up], src.heap[up]
        k = up
    src.heap_time[k], src.heap[k] = when, j
