"""The cycle of the whole network, compiled by numba.

Order of the phases in a cycle, as in BookSim2 (Jiang and others, A detailed and flexible cycle-accurate
network-on-chip simulator, ISPASS 2013): (1) what arrives; (2) terminals make packets and send; (3) each
router that is awake takes its internal steps: switch allocation on the state at the beginning of the step, VC
allocation on the same state, then both are applied. A granted flit goes straight into the event wheel at the
cycle in which it arrives, and its credit too: no queue is walked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.simulate.columns import (
    ALIVE,
    ASKING,
    CROSS_TICKS,
    CROSS_UNITS,
    CROSSING,
    FRACTION,
    GSTEP,
    IN0,
    INS,
    LANES,
    LIMITED,
    LISTED,
    LISTED_LEFT,
    MARKED_LEFT,
    MOST_SUMS,
    OUT0,
    OUTS,
    STALLED,
    SUMS,
    WAITING,
    T,
)
from noptoolkit.simulate.compiled_allocators import allocate_switch, allocate_vcs, pass_flit
from noptoolkit.simulate.compiled_arrivals import arrive, return_credits
from noptoolkit.simulate.compiled_heads import route_head
from noptoolkit.simulate.compiled_records import as_network, as_sources, as_state, length, words_of
from noptoolkit.simulate.compiled_terminals import release, send
from noptoolkit.simulate.compiled_words import at, lowest
from noptoolkit.simulate.compiling import called, entry, inlined, source_digest

__all__ = ["run_cycles"]


@called
def _retry(net: Any, st: Any, key: Any, r: Any, now: Any) -> None:
    """Let the partial sums that found no place at a switch try again."""
    for w in range(net.words):
        left = st.stall[r, w]
        while left != 0 and st.rt[r, SUMS] < st.rt[r, MOST_SUMS]:
            here = (w << 6) + lowest(left)
            left &= left - 1
            st.stall[r, w] &= ~(np.int64(1) << (here & 63))
            st.rt[r, STALLED] -= 1
            i = here >> net.bits
            route_head(net, st, key, st.rt[r, IN0] + i, here - (i << net.bits), now)


@called
def _cross(st: Any, r: Any, now: Any) -> None:
    """Count a flit that passes through a crossbar of limited bandwidth."""
    end = max(st.rt[r, CROSSING], now << FRACTION) + st.rt[r, CROSS_TICKS]
    if (end & ((1 << FRACTION) - 1)) >= st.rt[r, CROSS_UNITS]:
        end += (1 << FRACTION) - st.rt[r, CROSS_UNITS]
    st.rt[r, CROSSING] = end


@called
def _wide_inputs(net: Any, st: Any, r: Any) -> Any:
    """Return the inputs of a router that are wider than 1, as bits: two of width 1 meet in a step once."""
    wide = np.int64(0)
    for i in range(st.rt[r, INS]):
        if net.width_in[st.rt[r, IN0] + i] > 1:
            wide |= np.int64(1) << i
    return wide


@inlined
def _step(net: Any, st: Any, key: Any, r: Any, now: Any, ready: Any) -> None:
    """Take an internal step of a router; where ports are wide, one of width w takes part in w sub-steps."""
    can_in, can_out, narrow_in = np.int64(-1), np.int64(-1), np.int64(-1)
    lanes = st.rt[at(r), LANES]
    if lanes > 1:
        for k in range(max(st.rt[at(r), INS], st.rt[at(r), OUTS])):
            st.s6[k] = 0
            st.s7[k] = 0
    for lane in range(lanes):
        matches = np.int64(0)
        if st.rt[at(r), ASKING] & can_out != 0:
            limit = can_in
            if st.rt[at(r), LIMITED] != 0 and st.rt[at(r), CROSSING] >= (now + 1) << FRACTION:
                limit &= ~st.rt[at(r), LIMITED]
            matches = allocate_switch(net, st, r, limit, can_out, narrow_in)
        if lane == 0:
            allocate_vcs(net, st, r)
        for k in range(matches):
            i, o, v = st.s1[at(k)], st.s2[at(k)], st.s3[at(k)]
            if lanes > 1:
                st.s7[o] += 1
                if st.s7[o] >= net.width_out[st.rt[r, OUT0] + o]:
                    can_out &= ~(np.int64(1) << o)
                if k == 0 or st.s1[k - 1] != i:  # copies of one flit read the buffer once
                    st.s6[i] += 1
                    if st.s6[i] >= net.width_in[st.rt[r, IN0] + i]:
                        can_in &= ~(np.int64(1) << i)
                    if (st.rt[r, LIMITED] >> i) & 1:
                        _cross(st, r, now)
            pass_flit(net, st, key, r, i, o, v, now, ready)
        if matches == 0:
            break
        if lane == 0 and lanes > 1:
            narrow_in = _wide_inputs(net, st, r)


def _compiled(digest: int) -> Any:
    @entry
    def advance(
        network: Any,
        state: Any,
        sources: Any,
        cycles: Any,
        until: Any,
        mark_from: Any,
        mark_to: Any,
        counting: Any,
        stop: Any,
    ) -> Any:
        """Advance some cycles: see `run_cycles`."""
        net, st, src = as_network(network), as_state(state), as_sources(sources)
        done = np.int64(0)
        if digest == 0:  # it is not: see source_digest
            return done
        while done < cycles:
            now = st.cnt[T]
            for wheel in range(2):  # the far one first: what was sent long ago is in front
                slot = now & net.near if wheel else net.near + 1 + (now & net.far)
                if st.flit_count[at(slot)] > 0:
                    arrive(net, st, src, slot, now, counting)
                if st.credit_count[at(slot)] > 0:
                    return_credits(net, st, slot)
            if src.mode == LISTED:
                release(st, src, now)
            send(net, st, src, now, until, mark_from, mark_to)
            before = st.cnt[GSTEP]
            after = np.int64((now + 1) * net.steps)
            st.cnt[GSTEP] = after
            steps = after - before
            for w in range(length(st.awake)):
                wake = st.awake[w]
                while wake != 0:
                    bit = lowest(wake)
                    wake &= wake - 1
                    r = (w << 6) + bit
                    if st.rt[at(r), STALLED] > 0:
                        _retry(net, st, src.key, r, now)
                    for step in range(steps):
                        ready = now if step + 1 < steps else now + 1
                        _step(net, st, src.key, r, now, ready)
                        if st.rt[at(r), WAITING] == 0 and st.rt[at(r), ASKING] == 0:
                            break
                    if st.rt[at(r), WAITING] == 0 and st.rt[at(r), ASKING] == 0:
                        st.awake[at(w)] &= ~(np.int64(1) << bit)
            st.cnt[T] = now + 1
            done += 1
            if stop == 1 and st.cnt[MARKED_LEFT] == 0:
                break
            if stop == 2 and st.cnt[ALIVE] == 0 and st.cnt[LISTED_LEFT] == 0:
                break
        return done

    return advance


_advance = _compiled(source_digest())


def run_cycles(
    net: Any,
    st: Any,
    src: Any,
    cycles: int,
    until: int,
    mark_from: int,
    mark_to: int,
    counting: bool,
    stop: int,
) -> int:
    """Advance some cycles; return how many.

    Parameters
    ----------
    net, st, src
        A `noptoolkit.simulate.columns.Network`, its ``State`` and the ``Sources``.
    cycles
        At most so many.
    until
        Drawn sources create packets before this cycle.
    mark_from, mark_to
        Packets made in these cycles are marked: they are measured, and enter the checksum.
    counting
        Whether packets that are not marked are measured too.
    stop
        1: as soon as no marked packet is left; 2: as soon as no flit is left and no listed packet.
    """
    words = words_of(net), words_of(st), words_of(src)
    return int(_advance(*words, cycles, until, mark_from, mark_to, counting, stop))
