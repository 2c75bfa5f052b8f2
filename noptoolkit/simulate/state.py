"""The arrays of a run: made from ports and routes, and checked between two cycles."""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.ports import Ports
from noptoolkit.simulate.routes import Choice
from noptoolkit.simulate.trees import Forest

__all__ = ["carried", "depths_of", "new_network", "new_state"]

LONGEST = 1 << 20  # cycles of a wheel


def depths_of(ports: Ports) -> Ints:
    """Return the flits that each VC behind an output port holds, [outputs + terminals].

    With ``fit_buffers`` all VCs together hold what the link carries in a round trip: the flit on its way, the
    router, and the credit back.
    """
    router = ports.router
    depth = np.full(len(ports.rate), router.depth, np.int64)
    if router.fit_buffers:
        rate = np.array([float(rate) for rate in ports.rate])
        trip = np.ceil(rate * (2 * ports.latency + 6) / router.vcs).astype(np.int64) + 1
        depth = np.maximum(depth, trip)
    return depth


def new_network(
    ports: Ports,
    choice: Choice,
    *,
    masks: Ints,
    hops: Any = None,
    minimal: Any = None,
    phase_rows: int = 0,
    group_mask: Any = None,
    whole: int = 0,
) -> Any:
    """Return what does not change in a run, as a `noptoolkit.simulate.columns.Network`."""
    router = ports.router
    bits = max(router.vcs - 1, 0).bit_length()
    widest_in = int(np.diff(ports.first_in).max())
    width = np.array([-(-rate.numerator // rate.denominator) for rate in ports.rate], np.int64)
    near = 1 << max(4, int(ports.latency.max() + 8).bit_length())
    depth = depths_of(ports)
    slow = max(rate.denominator / rate.numerator for rate in ports.rate)
    backlog = int((router.vcs * depth.max() + 8) * max(slow, 1)) * 2 + int(ports.latency.max()) + 16
    far = 1 << min(backlog, LONGEST).bit_length()
    return c.Network(
        bits=bits,
        routers=len(ports.first_in) - 1,
        terminals=len(ports.endpoints),
        inputs=ports.inputs,
        outputs=ports.outputs,
        words=((widest_in << bits) + 63) // 64,
        classes=len(masks),
        credit_delay=1,
        iterations=router.iterations,
        near=near - 1,
        far=far - 1,
        class_mask=masks,
        routes=choice.table,
        choices=choice.choices,
        choice_entry=choice.entry,
        choice_limit=choice.limit,
        hops=np.zeros(1, np.int32) if hops is None else hops,
        minimal=np.zeros((1, 1), np.int64) if minimal is None else minimal,
        width_in=width[ports.from_output],
        width_out=width[: ports.outputs],
        all_classes=len(masks) - 1,
        phase_rows=phase_rows,
        group_mask=np.zeros((1, 1), np.int64) if group_mask is None else group_mask,
        steps=float(router.speedup),
        whole=whole,
    )


def new_state(
    ports: Ports,
    net: Any,
    choice: Choice,
    forest: Forest | None = None,
    listing: Any = None,
    histogram: int = 1 << 14,
) -> Any:
    """Return the arrays of an empty network at cycle 0."""
    router, stride = ports.router, 1 << net.bits
    inputs, outputs, terminals = ports.inputs, ports.outputs, net.terminals
    int32, int64 = np.int32, np.int64
    depth = depths_of(ports)
    depth_in = depth[ports.from_output]
    begin = np.r_[0, np.cumsum(depth_in * stride)]
    width = np.array([-(-rate.numerator // rate.denominator) for rate in ports.rate], np.int64)
    # at most a packet for each flit in a buffer or on its way to a terminal, and for each VC of an output
    waiting = int((depth[ports.eject] * router.vcs).sum())
    pool = int(begin[-1]) + waiting + (outputs + terminals) * (stride + 2) + 64
    vc, ov = np.zeros((inputs * stride, 8), int32), np.zeros(((outputs + terminals) * stride, 4), int32)
    vc[:, c.ESCAPE] = -1
    ov[:, c.OWNER], ov[:, c.CREDIT] = -1, np.repeat(depth, stride)
    op, ip = np.zeros((outputs + terminals, 16), int64), np.zeros((inputs, 16), int64)
    rt, tm = np.zeros((net.routers, 16), int64), np.zeros((terminals, 16), int64)
    all_vcs = (1 << router.vcs) - 1
    top, bottom = (np.array([getattr(rate, part) for rate in ports.rate], int64) for part in _PARTS)
    op[:, c.TICKS] = (bottom // top << c.FRACTION) + bottom % top
    op[:, c.UNITS] = top
    op[:, c.EXTRA], op[:, c.DEEP] = -(-bottom // top) - 1, depth
    op[:, c.LATENCY], op[:, c.FREE], op[:, c.MEDIUM] = ports.latency, all_vcs, ports.medium
    op[:, c.TARGET] = ports.to_input << net.bits
    ip[:, c.CREDIT_RATE] = width[ports.from_output]
    ip[:, c.UP], ip[:, c.ROUTER] = ports.from_output, ports.router_of_in
    ip[:, c.BASE], ip[:, c.DEPTH], ip[:, c.ROW] = begin[:-1], depth_in, choice.row_of_in
    from_router = ports.from_output < outputs
    ip[:, c.CREDIT_AFTER] = 1 + ports.latency[ports.from_output] + np.where(from_router, net.credit_delay, 0)
    # of the latency of a channel, the part that is the pipeline of a router is none of its credits'
    rt[:, c.IN0], rt[:, c.OUT0] = ports.first_in[:-1], ports.first_out[:-1]
    rt[:, c.INS], rt[:, c.OUTS] = np.diff(ports.first_in), np.diff(ports.first_out)
    rt[:, c.LANES] = 1
    np.maximum.at(rt[:, c.LANES], ports.router_of_in, net.width_in)
    np.maximum.at(rt[:, c.LANES], ports.router_of_out, net.width_out)
    rt[:, c.MOST_SUMS] = router.sums
    for r, rate in ports.crossing.items():
        mine = np.arange(ports.first_in[r], ports.first_in[r + 1])
        transit = sum(1 << k for k, port in enumerate(mine.tolist()) if ports.arc_in[port] >= 0)
        rt[r, c.LIMITED], rt[r, c.LANES] = transit, max(int(rt[r, c.LANES]), 2)
        rt[r, c.CROSS_TICKS] = (rate.denominator // rate.numerator << c.FRACTION) + (
            rate.denominator % rate.numerator
        )
        rt[r, c.CROSS_UNITS] = rate.numerator
    tm[:, [c.PACKET, c.LAST, c.FIRST_READY, c.LAST_READY]] = -1
    tm[:, c.MASK], tm[:, c.EJECT] = all_vcs, ports.eject
    if choice.start is None:
        rt[ports.at_router, c.START_ROW] = choice.row_of_in[ports.terminal_in]
    else:
        rt[:, c.START_ROW] = choice.start
    slots = net.near + 1 + net.far + 1
    branches = forest.most_branches if forest else 0
    counters = np.zeros(32, int64)
    counters[c.SPARE] = pool
    widest_in, widest_out = int(np.diff(ports.first_in).max()), int(np.diff(ports.first_out).max())
    scratch = max(64, widest_in * stride, 4 * widest_out)
    copies = inputs * stride if branches else 1
    return c.State(
        vc=vc, ov=ov, op=op, ip=ip, rt=rt, tm=tm, pk=np.zeros((pool, 16), int64),
        fifo=np.zeros(int(begin[-1]) + 1, int32),
        vam=np.zeros((outputs, net.classes, net.words), int64), rq=np.zeros((outputs, widest_in), int64),
        awake=np.zeros((net.routers + 63) // 64, int64),
        flits=np.zeros((slots, int(width.sum()) + 1), int64), flit_count=np.zeros(slots, int32),
        credits=np.zeros((slots, int(width.sum() + width[: outputs].sum()) + 1), int32),
        credit_count=np.zeros(slots, int32), spare=np.arange(pool, dtype=int32)[::-1].copy(),
        branch_group=np.zeros(copies, int32), branch_vc=np.zeros((copies, max(branches, 1)), int32),
        branch_sent=np.zeros((copies, max(branches, 1)), int32),
        branch_packet=np.zeros((copies, max(branches, 1)), int32),
        branch_left=np.zeros(copies, int64), branch_popped=np.zeros(copies, int32),
        gr=forest.rows if forest else np.zeros((1, 8), int64),
        ms=listing.messages.copy() if listing else np.zeros((1, 8), int64),
        sm=np.zeros((listing.sums if listing else 1, 5), int32),
        members=listing.members if listing else np.zeros((1, 1), int64),
        stall=np.zeros((net.routers, net.words), int64), hist=np.zeros(histogram, int64), cnt=counters,
        router_of=ports.router_of_out, **{f"s{k}": np.zeros(scratch, int64) for k in range(8)},
    )  # fmt: skip


_PARTS = ("numerator", "denominator")


def carried(ports: Ports, net: Any, state: Any) -> Floats:
    """Return the flits that the link behind each output port has carried so far, [outputs + terminals].

    Not yet those that have been granted the link and wait for it; of one that is on its way, the part of its
    time that has passed. On a half-duplex link what waits is of both ways, in proportion to their flits.
    """
    now = int(state.cnt[c.T])
    waiting = np.zeros(len(state.op), np.int64)
    source = np.r_[ports.from_output, ports.eject]
    for slot in np.flatnonzero(state.flit_count).tolist():
        out = source[(state.flits[slot, : state.flit_count[slot]] >> 32) >> int(net.bits)]
        mask, place = (net.near, slot) if slot <= net.near else (net.far, slot - net.near - 1)
        arrival = now + ((place - now) & mask)
        np.add.at(waiting, out[arrival - state.op[out, c.LATENCY] > now], 1)
    medium, units = state.op[:, c.MEDIUM], state.op[:, c.UNITS]
    cycle = (1 << c.FRACTION) - 1
    until, ticks = state.op[medium, c.NEXT], state.op[:, c.TICKS]
    busy = np.maximum((until >> c.FRACTION) - now + (until & cycle) / units, 0.0)
    left = busy / ((ticks >> c.FRACTION) + (ticks & cycle) / units)
    together = np.zeros(len(waiting), np.int64)
    np.add.at(together, medium, waiting)
    share = waiting / np.maximum(together[medium], 1)
    return np.asarray(state.op[:, c.FLITS] - np.minimum(left * share, waiting))
