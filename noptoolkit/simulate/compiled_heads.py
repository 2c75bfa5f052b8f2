"""How the head of a packet chooses its way, compiled by numba.

A unicast packet reads a table by input port and destination; the other kinds are rarer and stand apart:
packets on given paths, by way of a random chiplet (valiant), on any minimal path with an escape channel
(Duato, A necessary and sufficient condition for deadlock-free adaptive routing, TPDS 1995), multicasts and
reductions along the groups of a tree (`noptoolkit.simulate.trees`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ABSORB,
    ABSORBED,
    ADAPTIVE,
    BASE,
    BY_SOURCE,
    COUNT,
    DEPTH,
    DEST,
    EJECT,
    ERRORS,
    ESCAPE,
    FINAL,
    FREE,
    G_CLASS,
    G_COUNT,
    G_FIRST,
    G_OUT,
    G_PARENT,
    GROUP,
    HEAD,
    HOLD,
    HOP,
    IDLE,
    IN0,
    KIND,
    M_GROUPS,
    M_SUMS,
    MESSAGE,
    MOST_SUMS,
    MULTI,
    MULTICAST,
    NEXT_CLASS,
    OPEN_ALL,
    OUT0,
    OUTS,
    PATH,
    PCLASS,
    PEAK_ALL,
    PEAK_SUMS,
    ROUTER,
    ROW,
    S_HEADS,
    S_HELD,
    S_NEED,
    S_TAILS,
    S_WEIGHT,
    SEQ,
    SRC,
    STALL,
    STALLED,
    START_ROW,
    STATE,
    SUMS,
    TWICE,
    UNICAST,
    VALIANT,
    WAITING,
)
from noptoolkit.simulate.compiled_links import ask_for_vc, drop_flit
from noptoolkit.simulate.compiled_records import width
from noptoolkit.simulate.compiled_words import at, bits_in, choose, first_from, lowest, mix
from noptoolkit.simulate.compiling import called, inlined

__all__ = ["absorb", "live_branches", "route_head"]

HANDLED, AGAIN = -1, -2


@inlined
def route_head(net: Any, st: Any, key: Any, ip: Any, v: Any, now: Any) -> None:
    """Route the head at the front of an input VC, and let it wait for an output VC."""
    ivc = (ip << net.bits) + v
    r = st.ip[at(ip), ROUTER]
    while True:
        place = st.ip[at(ip), BASE] + v * st.ip[at(ip), DEPTH] + st.vc[at(ivc), HEAD]
        p = np.int64(st.fifo[at(place)]) >> 2
        if st.pk[at(p), KIND] == UNICAST:
            entry = np.int64(net.routes[at(st.ip[at(ip), ROW]), at(st.pk[at(p), DEST])])
            if entry < 0:
                entry = choose(net, key, entry, st.pk[at(p), SRC], st.pk[at(p), SEQ])
        else:
            entry = _special(net, st, key, r, ip, v, p, now)
            if entry == AGAIN:
                if st.vc[at(ivc), COUNT] > 0:
                    continue
                st.vc[at(ivc), STATE] = IDLE
            if entry < 0:
                return
        c = entry >> 8
        if c >= NEXT_CLASS:
            c = st.pk[at(p), PCLASS] + (c == NEXT_CLASS)
        st.pk[at(p), PCLASS] = c
        ask_for_vc(net, st, r, ip, v, entry & 255, c)
        return


@called
def _special(net: Any, st: Any, key: Any, r: Any, ip: Any, v: Any, p: Any, now: Any) -> Any:
    """Return the entry that a packet takes which is not a plain unicast, or what has become of it."""
    kind = st.pk[p, KIND]
    if kind == PATH:
        entry = np.int64(net.hops[st.pk[p, HOP]])
        st.pk[p, HOP] += 1
    elif kind == VALIANT:
        entry = _towards(net, st, key, r, ip, p)
    elif kind == BY_SOURCE:
        row = st.ip[ip, ROW] + st.pk[p, SRC] * net.phase_rows
        entry = np.int64(net.routes[row, st.pk[p, DEST]])
        if entry < 0:
            entry = choose(net, key, entry, st.pk[p, SRC], st.pk[p, SEQ])
    elif kind == ADAPTIVE:
        entry = _adapt(net, st, key, r, ip, v, p)
    elif kind == MULTICAST:
        entry = _branch(net, st, r, ip, v, p)
    else:
        entry = _merge(net, st, key, r, ip, v, p, now)
    return entry


@called
def _towards(net: Any, st: Any, key: Any, r: Any, ip: Any, p: Any) -> Any:
    """Route to the chiplet between, then, in the rows of the second phase, to the destination."""
    row = st.ip[ip, ROW]
    if st.pk[p, FINAL] >= 0:
        out = st.tm[st.pk[p, DEST], EJECT] - st.rt[r, OUT0]
        if 0 <= out < st.rt[r, OUTS]:
            st.pk[p, DEST] = st.pk[p, FINAL]
            st.pk[p, FINAL] = -1
            row = st.rt[r, START_ROW]
    if st.pk[p, FINAL] < 0:
        row += net.phase_rows
    entry = np.int64(net.routes[row, st.pk[p, DEST]])
    if entry < 0:
        entry = choose(net, key, entry, st.pk[p, SRC], st.pk[p, SEQ])
    return entry


@called
def _adapt(net: Any, st: Any, key: Any, r: Any, ip: Any, v: Any, p: Any) -> Any:
    """Choose the minimal output with most free VCs, and ask for the escape channel as well.

    A packet that has taken the escape channel stays on it: so its dependencies are those of that routing.
    """
    dest = st.pk[p, DEST]
    out = st.tm[dest, EJECT] - st.rt[r, OUT0]
    if 0 <= out < st.rt[r, OUTS]:
        return out | net.all_classes << 8
    if st.pk[p, GROUP] == 1:
        entry = np.int64(net.routes[st.ip[ip, ROW], dest])
        return choose(net, key, entry, st.pk[p, SRC], st.pk[p, SEQ]) if entry < 0 else entry
    entry = np.int64(net.routes[st.rt[r, START_ROW], dest])
    if entry < 0:
        entry = choose(net, key, entry, st.pk[p, SRC], st.pk[p, SEQ])
    left = net.minimal[r, dest]
    word = mix(key ^ np.uint64(st.pk[p, SEQ] * 8191 + st.pk[p, SRC] * 127 + r))
    best, most = np.int64(-1), np.int64(-1)
    for _ in range(bits_in(left)):
        o = first_from(left, np.int64(word & np.uint64(31)))
        left &= ~(np.int64(1) << o)
        free = bits_in(st.op[st.rt[r, OUT0] + o, FREE] & net.class_mask[1])
        if free > most:
            best, most = o, free
    ivc = (ip << net.bits) + v
    ask_for_vc(net, st, r, ip, v, entry & 255, np.int64(0))
    st.vc[ivc, ESCAPE] = entry & 255
    return best | np.int64(1) << 8


@called
def live_branches(net: Any, st: Any, group: Any, message: Any) -> Any:
    """Return which of the groups below a group serve a member of a message, as bits."""
    alive = np.int64(0)
    for k in range(st.gr[group, G_COUNT]):
        for w in range(width(net.group_mask)):
            if net.group_mask[st.gr[group, G_FIRST] + k, w] & st.members[message, w] != 0:
                alive |= np.int64(1) << k
                break
    return alive


@called
def _branch(net: Any, st: Any, r: Any, ip: Any, v: Any, p: Any) -> Any:
    """Let the copies of a multicast part: each has its own output VC and its own progress."""
    group = st.pk[p, GROUP]
    alive = live_branches(net, st, group, st.pk[p, MESSAGE])
    if alive & (alive - 1) == 0:  # one way on
        child = st.gr[group, G_FIRST] + lowest(alive)
        st.pk[p, GROUP] = child
        return st.gr[child, G_OUT] | st.gr[child, G_CLASS] << 8
    ivc = (ip << net.bits) + v
    here = ivc - (st.rt[r, IN0] << net.bits)
    st.branch_left[ivc] = alive
    st.branch_popped[ivc] = 0
    st.branch_group[ivc] = group
    while alive != 0:
        k = lowest(alive)
        alive &= alive - 1
        child = st.gr[group, G_FIRST] + k
        o = st.gr[child, G_OUT]
        st.branch_vc[ivc, k] = -1
        st.branch_sent[ivc, k] = 0
        st.vam[st.rt[r, OUT0] + o, st.gr[child, G_CLASS], here >> 6] |= np.int64(1) << (here & 63)
        st.rt[r, WAITING] |= np.int64(1) << o
    st.vc[ivc, STATE] = MULTI
    st.awake[r >> 6] |= np.int64(1) << (r & 63)
    return HANDLED


@called
def _merge(net: Any, st: Any, key: Any, r: Any, ip: Any, v: Any, p: Any, now: Any) -> Any:
    """Add a partial sum to those at this switch; the last of them carries the sum on."""
    message = st.pk[p, MESSAGE]
    group = st.gr[st.pk[p, GROUP], G_PARENT]
    need = bits_in(live_branches(net, st, group, message))
    ivc = (ip << net.bits) + v
    if need > 1:
        s = st.ms[message, M_SUMS] + group - st.ms[message, M_GROUPS]
        if st.sm[s, S_HEADS] == 0:
            if st.rt[r, SUMS] >= st.rt[r, MOST_SUMS]:
                st.vc[ivc, STATE] = STALL
                here = ivc - (st.rt[r, IN0] << net.bits)
                st.stall[r, here >> 6] |= np.int64(1) << (here & 63)
                st.rt[r, STALLED] += 1
                return HANDLED
            st.sm[s, S_NEED] = need
            st.rt[r, SUMS] += 1
            st.rt[r, PEAK_SUMS] = max(st.rt[r, PEAK_SUMS], st.rt[r, SUMS])
            st.cnt[OPEN_ALL] += 1
            st.cnt[PEAK_ALL] = max(st.cnt[PEAK_ALL], st.cnt[OPEN_ALL])
        st.sm[s, S_HEADS] += 1
        if st.sm[s, S_HEADS] > need:
            st.cnt[ERRORS] |= TWICE
        if st.sm[s, S_HEADS] < need:
            st.sm[s, S_WEIGHT] += st.pk[p, FINAL]
            st.vc[ivc, STATE] = ABSORB
            return AGAIN if absorb(net, st, key, ip, v, now) else HANDLED
        st.pk[p, FINAL] += st.sm[s, S_WEIGHT]
        if st.sm[s, S_TAILS] < need - 1:
            st.sm[s, S_HELD] = ivc + 1
            st.vc[ivc, STATE] = HOLD
            return HANDLED
        _close(net, st, key, r, s, now)
    st.pk[p, GROUP] = group
    return st.gr[group, G_OUT] | st.gr[group, G_CLASS] << 8


@called
def _close(net: Any, st: Any, key: Any, r: Any, s: Any, now: Any) -> None:
    """Give the place of a sum free; the VCs that wait for one try again, in the next cycle."""
    for k in range(width(st.sm)):
        st.sm[s, k] = 0
    st.rt[r, SUMS] -= 1
    st.cnt[OPEN_ALL] -= 1
    if st.rt[r, STALLED] > 0:
        st.awake[r >> 6] |= np.int64(1) << (r & 63)


@called
def absorb(net: Any, st: Any, key: Any, ip: Any, v: Any, now: Any) -> Any:
    """Take what is there of a partial sum out of its buffer; return whether its tail was among it."""
    ivc = (ip << net.bits) + v
    r = st.ip[ip, ROUTER]
    while st.vc[ivc, COUNT] > 0:
        front = st.fifo[st.ip[ip, BASE] + v * st.ip[ip, DEPTH] + st.vc[ivc, HEAD]]
        p = np.int64(front) >> 2
        message = st.pk[p, MESSAGE]
        group = st.gr[st.pk[p, GROUP], G_PARENT]
        if drop_flit(net, st, ip, v, now) & 2 == 0:
            continue
        s = st.ms[message, M_SUMS] + group - st.ms[message, M_GROUPS]
        st.sm[s, S_TAILS] += 1
        st.cnt[ABSORBED] += 1
        if st.sm[s, S_TAILS] == st.sm[s, S_NEED] - 1 and st.sm[s, S_HELD] > 0:
            held = np.int64(st.sm[s, S_HELD]) - 1
            port = held >> net.bits
            lane = held - (port << net.bits)
            q = np.int64(st.fifo[st.ip[port, BASE] + lane * st.ip[port, DEPTH] + st.vc[held, HEAD]]) >> 2
            st.pk[q, GROUP] = group
            _close(net, st, key, r, s, now)
            ask_for_vc(net, st, r, port, lane, st.gr[group, G_OUT], st.gr[group, G_CLASS])
        return True
    return False
