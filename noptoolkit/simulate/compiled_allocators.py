"""Switch and VC allocation of a router, compiled by numba.

Both are iSLIP (McKeown, The iSLIP scheduling algorithm for input-queued switches, IEEE/ACM Transactions on
Networking 7, 1999) by round-robin arbiters, which count trailing zeros of masks: requests for the switch
come only from VCs that have a flit and a credit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ACCEPT_SW,
    ACCEPT_VC,
    ACTIVE,
    ALIVE,
    ALIVE_SINCE,
    ASKING,
    BASE,
    COUNT,
    CREATED,
    CREDIT,
    DEPTH,
    ERRORS,
    ESCAPE,
    EXTRA,
    FREE,
    G_CLASS,
    G_FIRST,
    G_OUT,
    GRANT_SW,
    GRANT_VC,
    GROUP,
    HEAD,
    HELD,
    HOPS,
    IDLE,
    IN0,
    INS,
    INSIDE,
    LAG,
    LATENCY,
    MARKED_LEFT,
    MULTI,
    NEXT_VC,
    NO_CREDIT,
    OCCUPANCY,
    OUT,
    OUT0,
    OUTS,
    OVC,
    OWNER,
    PCLASS,
    RECORD,
    REQUESTS,
    SIZE,
    SPARE,
    STATE,
    WAITING,
    ZERO,
)
from noptoolkit.simulate.compiled_arrivals import branch_can_send
from noptoolkit.simulate.compiled_heads import route_head
from noptoolkit.simulate.compiled_links import (
    drop_flit,
    lag_behind,
    launch,
    request,
    send_credit,
    withdraw,
)
from noptoolkit.simulate.compiled_records import width
from noptoolkit.simulate.compiled_words import at, first_from, lowest
from noptoolkit.simulate.compiling import called, inlined

__all__ = ["allocate_switch", "allocate_vcs", "pass_flit"]


@inlined
def allocate_switch(net: Any, st: Any, r: Any, can_in: Any, can_out: Any, narrow_in: Any) -> Any:
    """Match inputs to outputs; return the number of matches, in s1 (input), s2 (output) and s3 (VC).

    An output of width 1 takes of the inputs ``narrow_in`` alone: in later sub-steps only the wide ones.
    """
    one = np.int64(1)
    in0, out0 = st.rt[at(r), IN0], st.rt[at(r), OUT0]
    wanted = st.rt[at(r), ASKING] & can_out
    matched_in = np.int64(0)
    matched_out = np.int64(0)
    matches = np.int64(0)
    for iteration in range(net.iterations):
        granted = np.int64(0)
        left = wanted & ~matched_out
        while left != 0:
            o = lowest(left)
            left &= left - 1
            candidates = st.op[at(out0 + o), REQUESTS] & can_in & ~matched_in
            if narrow_in != -1 and net.width_out[out0 + o] == 1:
                candidates &= narrow_in
            if candidates != 0:
                i = first_from(candidates, st.op[at(out0 + o), GRANT_SW])
                if (granted >> i) & 1:
                    st.s0[at(i)] |= one << o
                else:
                    granted |= one << i
                    st.s0[at(i)] = one << o
        if granted == 0:
            break
        while granted != 0:
            i = lowest(granted)
            granted &= granted - 1
            ip = in0 + i
            grants = st.s0[at(i)]
            o = first_from(grants, st.ip[at(ip), ACCEPT_SW])
            if iteration == 0:
                st.op[at(out0 + o), GRANT_SW] = i + 1 if i + 1 < st.rt[at(r), INS] else 0
                st.ip[at(ip), ACCEPT_SW] = o + 1 if o + 1 < st.rt[at(r), OUTS] else 0
            v = first_from(st.rq[at(out0 + o), at(i)], st.ip[at(ip), NEXT_VC])
            st.ip[at(ip), NEXT_VC] = (v + 1) & ((one << net.bits) - 1)
            matched_in |= one << i
            matched_out |= one << o
            st.s1[at(matches)], st.s2[at(matches)], st.s3[at(matches)] = i, o, v
            matches += 1
            if st.vc[at((ip << net.bits) + v), STATE] == MULTI:
                more = grants & ~(one << o)
                if more != 0:
                    before = matches
                    matches = _fan_out(net, st, r, i, o, v, more, iteration, matches)
                    for k in range(before, matches):
                        matched_out |= one << st.s2[k]
    return matches


@called
def _fan_out(
    net: Any, st: Any, r: Any, i: Any, o: Any, v: Any, more: Any, iteration: Any, matches: Any
) -> Any:
    """Let the same flit of a multicast leave by every other output that granted its input."""
    ivc = ((st.rt[r, IN0] + i) << net.bits) + v
    sent = st.branch_sent[ivc, branch_can_send(net, st, r, ivc, o)]
    while more != 0:
        other = lowest(more)
        more &= more - 1
        if (st.rq[st.rt[r, OUT0] + other, i] >> v) & 1 == 0:
            continue
        if st.branch_sent[ivc, branch_can_send(net, st, r, ivc, other)] != sent:
            continue
        if iteration == 0:
            st.op[st.rt[r, OUT0] + other, GRANT_SW] = i + 1 if i + 1 < st.rt[r, INS] else 0
        st.s1[matches], st.s2[matches], st.s3[matches] = i, other, v
        matches += 1
    return matches


@inlined
def allocate_vcs(net: Any, st: Any, r: Any) -> None:
    """Give free output VCs to the heads that wait for them, output port by output port."""
    waiting = st.rt[at(r), WAITING]
    while waiting != 0:
        o = lowest(waiting)
        waiting &= waiting - 1
        op = st.rt[at(r), OUT0] + o
        free = st.op[at(op), FREE]
        if free == 0:
            continue
        if net.classes == 1 and net.words == 1:
            requests = st.vam[at(op), 0, 0]
            if requests & (requests - 1) == 0:
                _grant_vc(net, st, r, o, lowest(requests), free & net.class_mask[0])
                continue
        winners = np.int64(0)
        while free != 0:
            ov = lowest(free)
            free &= free - 1
            if net.whole > 0 and st.ov[at((op << net.bits) + ov), CREDIT] < net.whole:
                continue  # a packet that would not fit wholly keeps its choice of VCs
            here = _first_waiting(net, st, op, ov)
            if here < 0:
                continue
            if st.s4[at(here)] == 0:
                st.s5[at(winners)] = here
                winners += 1
            st.s4[at(here)] |= np.int64(1) << ov
        for k in range(winners):
            here = st.s5[at(k)]
            mask = st.s4[at(here)]
            st.s4[at(here)] = 0
            _grant_vc(net, st, r, o, here, mask)


@inlined
def _first_waiting(net: Any, st: Any, op: Any, ov: Any) -> Any:
    """Return the input VC whose turn it is at an output VC, of those that may have it, or -1."""
    start = np.int64(st.ov[at((op << net.bits) + ov), GRANT_VC])
    for k in range(net.words + 1):
        word = (start >> 6) + k
        if word >= net.words:
            word -= net.words
        mask = np.int64(0)
        for c in range(net.classes):
            if (net.class_mask[at(c)] >> ov) & 1:
                mask |= st.vam[at(op), at(c), at(word)]
        if k == 0:
            mask &= np.int64(-1) << (start & 63)
        if mask != 0:
            return (word << 6) + lowest(mask)
    return np.int64(-1)


@inlined
def _grant_vc(net: Any, st: Any, r: Any, o: Any, here: Any, mask: Any) -> None:
    """Give one of the output VCs that were granted to an input VC."""
    if mask == 0:
        return
    one = np.int64(1)
    stride = one << net.bits
    op = st.rt[at(r), OUT0] + o
    ivc = (st.rt[at(r), IN0] << net.bits) + here
    start = np.int64(st.vc[at(ivc), ACCEPT_VC]) - o * stride
    ov = first_from(mask, start if 0 <= start < stride else 0)
    ovc = (op << net.bits) + ov
    after = here + 1
    st.ov[at(ovc), GRANT_VC] = after if after < st.rt[at(r), INS] * stride else 0
    after = o * stride + ov + 1
    st.vc[at(ivc), ACCEPT_VC] = after if after < st.rt[at(r), OUTS] * stride else 0
    st.ov[at(ovc), OWNER] = here
    st.op[at(op), FREE] &= ~(one << ov)
    i = here >> net.bits
    v = here - i * stride
    left = np.int64(0)
    for c in range(net.classes):
        for w in range(net.words):
            if w == here >> 6:
                st.vam[at(op), at(c), at(w)] &= ~(one << (here & 63))
            left |= st.vam[at(op), at(c), at(w)]
    if st.vc[at(ivc), STATE] == MULTI:
        left |= _start_branch(net, st, r, o, op, ivc, here, ov)
    else:
        if st.vc[at(ivc), ESCAPE] >= 0:
            _leave_other(net, st, r, o, ivc, here, (net.class_mask[0] >> ov) & 1)
        st.vc[at(ivc), STATE] = ACTIVE
        st.vc[at(ivc), OUT] = o
        st.vc[at(ivc), OVC] = ov
    if left == 0:
        st.rt[at(r), WAITING] &= ~(one << o)
    if st.ov[at(ovc), CREDIT] > 0:
        request(st, r, i, o, v)


@called
def _leave_other(net: Any, st: Any, r: Any, o: Any, ivc: Any, here: Any, escapes: Any) -> None:
    """Take back the other request of an adaptive packet, for the escape channel or for the port it chose."""
    for other in (np.int64(st.vc[ivc, OUT]), np.int64(st.vc[ivc, ESCAPE])):
        if other == o:
            continue
        op = st.rt[r, OUT0] + other
        left = np.int64(0)
        for c in range(net.classes):
            for w in range(net.words):
                if w == here >> 6:
                    st.vam[op, c, w] &= ~(np.int64(1) << (here & 63))
                left |= st.vam[op, c, w]
        if left == 0:
            st.rt[r, WAITING] &= ~(np.int64(1) << other)
    st.vc[ivc, ESCAPE] = -1
    if escapes:
        ip = ivc >> net.bits
        v = ivc - (ip << net.bits)
        p = np.int64(st.fifo[st.ip[ip, BASE] + v * st.ip[ip, DEPTH] + st.vc[ivc, HEAD]]) >> 2
        st.pk[p, GROUP] = 1
        st.pk[p, PCLASS] = 0


@called
def _start_branch(net: Any, st: Any, r: Any, o: Any, op: Any, ivc: Any, here: Any, ov: Any) -> Any:
    """Give an output VC to a branch of a multicast; return whether another one waits at the same output."""
    ip = ivc >> net.bits
    v = ivc - (ip << net.bits)
    p = np.int64(st.fifo[st.ip[ip, BASE] + v * st.ip[ip, DEPTH] + st.vc[ivc, HEAD]]) >> 2
    first = st.gr[st.branch_group[ivc], G_FIRST]
    left = st.branch_left[ivc]
    chosen = np.int64(-1)
    more = np.int64(0)
    while left != 0:
        k = lowest(left)
        left &= left - 1
        if st.branch_vc[ivc, k] >= 0 or st.gr[first + k, G_OUT] != o:
            continue
        fits = (net.class_mask[st.gr[first + k, G_CLASS]] >> ov) & 1
        if chosen < 0 and fits:
            chosen = k
        else:
            st.vam[op, st.gr[first + k, G_CLASS], here >> 6] |= np.int64(1) << (here & 63)
            more = np.int64(1)
    st.cnt[SPARE] -= 1
    copy = np.int64(st.spare[st.cnt[SPARE]])
    for k in range(width(st.pk)):
        st.pk[copy, k] = st.pk[p, k]
    st.pk[copy, GROUP] = first + chosen
    st.cnt[MARKED_LEFT] += st.pk[p, RECORD]
    st.cnt[ALIVE] += st.pk[p, SIZE]
    st.cnt[ALIVE_SINCE] += st.pk[p, SIZE] * st.pk[p, CREATED]
    st.branch_vc[ivc, chosen] = ov
    st.branch_packet[ivc, chosen] = copy
    return more


@inlined
def pass_flit(net: Any, st: Any, key: Any, r: Any, i: Any, o: Any, v: Any, now: Any, ready: Any) -> None:
    """Let the flit that was matched leave its buffer for the link, and its credit go back."""
    ip = st.rt[at(r), IN0] + i
    ivc = (ip << net.bits) + v
    op = st.rt[at(r), OUT0] + o
    if st.vc[at(ivc), STATE] == MULTI:
        _pass_copy(net, st, key, r, ip, i, op, o, v, now, ready)
        return
    depth = st.ip[at(ip), DEPTH]
    head = np.int64(st.vc[at(ivc), HEAD])
    flit = np.int64(st.fifo[at(st.ip[at(ip), BASE] + v * depth + head)])
    head += 1
    st.vc[at(ivc), HEAD] = head if head < depth else 0
    left = st.vc[at(ivc), COUNT] - 1
    st.vc[at(ivc), COUNT] = left
    st.ip[at(ip), OCCUPANCY] += now
    st.ip[at(ip), HELD] -= 1
    ov = np.int64(st.vc[at(ivc), OVC])
    ovc = (op << net.bits) + ov
    credit = st.ov[at(ovc), CREDIT] - 1
    st.ov[at(ovc), CREDIT] = credit
    if credit < 0:
        st.cnt[ERRORS] |= NO_CREDIT
    launch(net, st, op, ov, flit, ready)
    send_credit(net, st, ip, v, now)
    if flit & 2:
        _count_hop(net, st, flit >> 2, op)
        st.ov[at(ovc), OWNER] = -1
        st.op[at(op), FREE] |= np.int64(1) << ov
        withdraw(st, r, i, o, v)
        st.vc[at(ivc), STATE] = IDLE
        if left > 0:
            route_head(net, st, key, ip, v, now)
    elif left == 0 or credit == 0:
        withdraw(st, r, i, o, v)


@inlined
def _count_hop(net: Any, st: Any, p: Any, op: Any) -> None:
    st.pk[at(p), HOPS] += 1
    st.pk[at(p), ZERO] += st.op[at(op), LATENCY] + st.op[at(op), EXTRA]
    if st.pk[at(p), SIZE] > 1:
        st.pk[at(p), LAG] = lag_behind(net, st, op, st.pk[at(p), SIZE], st.pk[at(p), LAG])


@called
def _pass_copy(
    net: Any, st: Any, key: Any, r: Any, ip: Any, i: Any, op: Any, o: Any, v: Any, now: Any, ready: Any
) -> None:
    """Send a flit of one branch of a multicast; it leaves its buffer when every branch has sent it."""
    ivc = (ip << net.bits) + v
    k = branch_can_send(net, st, r, ivc, o)
    depth = st.ip[ip, DEPTH]
    sent = np.int64(st.branch_sent[ivc, k])
    place = st.vc[ivc, HEAD] + sent - st.branch_popped[ivc]
    if place >= depth:
        place -= depth
    copy = np.int64(st.branch_packet[ivc, k])
    ov = np.int64(st.branch_vc[ivc, k])
    ovc = (op << net.bits) + ov
    flit = (np.int64(st.fifo[st.ip[ip, BASE] + v * depth + place]) & 3) | (copy << 2)
    sent += 1
    st.branch_sent[ivc, k] = sent
    st.ov[ovc, CREDIT] -= 1
    st.cnt[INSIDE] += 1
    launch(net, st, op, ov, flit, ready)
    if flit & 2:
        _count_hop(net, st, copy, op)
        st.ov[ovc, OWNER] = -1
        st.op[op, FREE] |= np.int64(1) << ov
    if branch_can_send(net, st, r, ivc, o) < 0:
        withdraw(st, r, i, o, v)
    least = sent
    left = st.branch_left[ivc]
    while left != 0:
        least = min(least, np.int64(st.branch_sent[ivc, lowest(left)]))
        left &= left - 1
    while st.branch_popped[ivc] < least:
        st.branch_popped[ivc] += 1
        if drop_flit(net, st, ip, v, now) & 2:
            st.vc[ivc, STATE] = IDLE
            if st.vc[ivc, COUNT] > 0:
                route_head(net, st, key, ip, v, now)
            return
