"""What a router does to one flit: it asks for the switch, leaves by a link, gives a credit back.

Compiled by numba; the arrays are those of `noptoolkit.simulate.columns`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ALIVE,
    ALIVE_SINCE,
    ASKING,
    BASE,
    CLASS,
    COUNT,
    CREATED,
    CREDIT_AFTER,
    CREDIT_RATE,
    DEEP,
    DEPTH,
    EXTRA,
    FLITS,
    FRACTION,
    GRANT_SW,
    HEAD,
    HELD,
    IN0,
    INSIDE,
    LATENCY,
    MARKED_LEFT,
    MEDIUM,
    NEXT,
    NEXT_CREDIT,
    OCCUPANCY,
    OUT,
    OUT0,
    RECORD,
    REQUESTS,
    SPARE,
    STATE,
    TARGET,
    TICKS,
    UNITS,
    UP,
    WAIT,
    WAITING,
    T,
)
from noptoolkit.simulate.compiled_words import at
from noptoolkit.simulate.compiling import called, inlined

__all__ = [
    "ask_for_vc",
    "drop_flit",
    "free_packet",
    "lag_behind",
    "launch",
    "request",
    "send_credit",
    "withdraw",
]

assert GRANT_SW < 8  # what every flit needs stands in the first cache line of its port


@inlined
def _post(net: Any, counts: Any, events: Any, now: Any, when: Any, event: Any) -> None:
    """Put an event into the slot of its cycle: the near wheel, or the far one behind it."""
    slot = when & net.near if when - now <= net.near else net.near + 1 + (when & net.far)
    k = counts[at(slot)]
    events[at(slot), at(k)] = event
    counts[at(slot)] = k + 1


@inlined
def launch(net: Any, st: Any, op: Any, vc: Any, flit: Any, ready: Any) -> None:
    """Put a flit on the link behind an output port: it arrives when the link has carried it."""
    medium = st.op[at(op), MEDIUM]
    start = max(st.op[at(medium), NEXT], ready << FRACTION)
    end = start + st.op[at(op), TICKS]
    part = end & ((1 << FRACTION) - 1)
    if part != 0:
        units = st.op[at(op), UNITS]
        if part >= units:
            end += (1 << FRACTION) - units
            part -= units
    st.op[at(medium), NEXT] = end
    when = (end >> FRACTION) + (part != 0) + st.op[at(op), LATENCY]
    st.op[at(op), FLITS] += 1
    target = st.op[at(op), TARGET] + vc
    _post(net, st.flit_count, st.flits, st.cnt[T], when, (target << 32) | flit)


@inlined
def send_credit(net: Any, st: Any, ip: Any, vc: Any, now: Any) -> None:
    """Give a credit back for a flit that leaves a buffer: so many messages a cycle as its link is wide."""
    start = max(st.ip[at(ip), NEXT_CREDIT], now << FRACTION)
    end = start + 1
    if (end & ((1 << FRACTION) - 1)) >= st.ip[at(ip), CREDIT_RATE]:
        end = ((start >> FRACTION) + 1) << FRACTION
    st.ip[at(ip), NEXT_CREDIT] = end
    when = (start >> FRACTION) + st.ip[at(ip), CREDIT_AFTER]
    _post(net, st.credit_count, st.credits, now, when, (st.ip[at(ip), UP] << net.bits) + vc)


@inlined
def request(st: Any, r: Any, i: Any, o: Any, v: Any) -> None:
    """Let a VC with a flit and a credit ask for the switch."""
    op = st.rt[at(r), OUT0] + o
    st.rq[at(op), at(i)] |= np.int64(1) << v
    st.op[at(op), REQUESTS] |= np.int64(1) << i
    st.rt[at(r), ASKING] |= np.int64(1) << o
    st.awake[at(r >> 6)] |= np.int64(1) << (r & 63)


@inlined
def withdraw(st: Any, r: Any, i: Any, o: Any, v: Any) -> None:
    """Take a request for the switch back."""
    op = st.rt[at(r), OUT0] + o
    left = st.rq[at(op), at(i)] & ~(np.int64(1) << v)
    st.rq[at(op), at(i)] = left
    if left == 0:
        inputs = st.op[at(op), REQUESTS] & ~(np.int64(1) << i)
        st.op[at(op), REQUESTS] = inputs
        if inputs == 0:
            st.rt[at(r), ASKING] &= ~(np.int64(1) << o)


@inlined
def ask_for_vc(net: Any, st: Any, r: Any, ip: Any, v: Any, o: Any, c: Any) -> None:
    """Let the head in an input VC wait for an output VC of a class."""
    here = ((ip - st.rt[at(r), IN0]) << net.bits) + v
    row = at((ip << net.bits) + v)
    st.vc[row, STATE] = WAIT
    st.vc[row, OUT] = o
    st.vc[row, CLASS] = c
    st.vam[at(st.rt[at(r), OUT0] + o), at(c), at(here >> 6)] |= np.int64(1) << (here & 63)
    st.rt[at(r), WAITING] |= np.int64(1) << o
    st.awake[at(r >> 6)] |= np.int64(1) << (r & 63)


@called
def lag_behind(net: Any, st: Any, op: Any, size: Any, before: Any) -> Any:
    """Return how many cycles after its head the tail of a packet is behind a link, in an empty network.

    The head waits a cycle for its VC, which the flits behind it make up for; on the link they follow each
    other in its time per flit, and where they are more than a VC holds, as credits come back.
    """
    top = st.op[op, UNITS]
    ticks = st.op[op, TICKS]
    bottom = (ticks >> FRACTION) * top + (ticks & ((1 << FRACTION) - 1))
    first = st.op[op, EXTRA] + 1
    lag = (size * bottom + top - 1) // top - first
    deep = st.op[op, DEEP]
    if size > deep:
        trip = first + 2 * st.op[op, LATENCY] + 1
        if op < net.outputs:
            trip += 1 + np.int64(net.steps < 2)
        turns = (size - 1) // deep
        lag = max(lag, turns * trip + (size - 1 - turns * deep) * bottom // top)
    return max(lag, before - 1)


@called
def free_packet(st: Any, p: Any) -> None:
    """Return a packet to the pool."""
    st.spare[st.cnt[SPARE]] = p
    st.cnt[SPARE] += 1


@called
def drop_flit(net: Any, st: Any, ip: Any, v: Any, now: Any) -> Any:
    """Take the flit at the front of a VC out of the network, and return it: absorbed, or copied on."""
    ivc = (ip << net.bits) + v
    depth = st.ip[ip, DEPTH]
    head = np.int64(st.vc[ivc, HEAD])
    flit = np.int64(st.fifo[st.ip[ip, BASE] + v * depth + head])
    head += 1
    st.vc[ivc, HEAD] = head if head < depth else 0
    st.vc[ivc, COUNT] -= 1
    st.ip[ip, OCCUPANCY] += now
    st.ip[ip, HELD] -= 1
    p = flit >> 2
    st.cnt[INSIDE] -= 1
    st.cnt[ALIVE] -= 1
    st.cnt[ALIVE_SINCE] -= st.pk[p, CREATED]
    send_credit(net, st, ip, v, now)
    if flit & 2:
        st.cnt[MARKED_LEFT] -= st.pk[p, RECORD]
        free_packet(st, p)
    return flit
