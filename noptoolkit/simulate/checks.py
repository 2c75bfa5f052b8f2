"""What must hold between two cycles, and what waits for what when nothing moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.ordering import find_cycle
from noptoolkit.simulate.plan import Plan
from noptoolkit.simulate.state import depths_of

__all__ = ["check_state", "waiting_cycle"]


def check_state(plan: Plan, state: Any) -> None:
    """Check conservation of flits and credits, buffers, and the masks of requests.

    Raises
    ------
    AssertionError
        With the first place where something does not hold: a fault of the simulator.
    """
    net, ports = plan.arrays, plan.ports
    stride = 1 << net.bits
    _hold(int(state.cnt[c.ERRORS]) == 0, f"error bits {int(state.cnt[c.ERRORS]):b}")
    credit, count = state.ov[:, c.CREDIT], state.vc[:, c.COUNT]
    _hold(bool((credit >= 0).all() and (count >= 0).all()), "a count is below 0")
    _hold(bool((count <= np.repeat(state.ip[:, c.DEPTH], stride)).all()), "a buffer overflows")
    flits = np.zeros((ports.inputs + net.terminals) * stride, np.int64)
    returning = np.zeros((ports.outputs + net.terminals) * stride, np.int64)
    for slot in np.flatnonzero(state.flit_count).tolist():
        np.add.at(flits, state.flits[slot, : state.flit_count[slot]] >> 32, 1)
    for slot in np.flatnonzero(state.credit_count).tolist():
        np.add.at(returning, state.credits[slot, : state.credit_count[slot]], 1)
    held = np.r_[count, np.zeros(net.terminals * stride, np.int64)]
    place = (ports.to_input[:, None] * stride + np.arange(stride)).ravel()
    total = credit + returning + flits[place] + held[place]
    wrong = np.flatnonzero(total != np.repeat(depths_of(ports), stride))
    _hold(len(wrong) == 0, f"output port {wrong[:1] // stride}: credits, flits and buffer do not add up")
    _hold(
        bool((state.ip[:, c.HELD] == count.reshape(-1, stride).sum(axis=1)).all()),
        "flits held are miscounted",
    )
    _hold(
        bool((state.ip[:, c.PEAK] >= state.ip[:, c.HELD]).all()), "the fullest that a buffer was is too low"
    )
    inside = int(count.sum() + flits.sum())
    _hold(inside == state.cnt[c.INSIDE], f"{inside} flits inside, {state.cnt[c.INSIDE]} counted")
    owner = state.ov[: ports.outputs * stride, c.OWNER].reshape(-1, stride)[:, : ports.router.vcs]
    free = ((owner < 0) << np.arange(ports.router.vcs)).sum(axis=1)
    _hold(bool((free == state.op[: ports.outputs, c.FREE]).all()), "free VCs do not match their owners")
    asking = (state.rt[ports.router_of_out, c.ASKING] >> _local(ports.first_out, ports.router_of_out)) & 1
    _hold(bool(((state.op[: ports.outputs, c.REQUESTS] != 0) == asking).all()), "switch requests")
    waiting = (state.rt[ports.router_of_out, c.WAITING] >> _local(ports.first_out, ports.router_of_out)) & 1
    _hold(bool((state.vam.any(axis=(1, 2)) == waiting).all()), "VC requests")


def waiting_cycle(plan: Plan, state: Any) -> str:
    """Return a sentence that names channels whose buffers wait for each other in turn, if there are any."""
    net, ports = plan.arrays, plan.ports
    stride = 1 << net.bits
    holds: list[int] = []
    asks: list[int] = []
    for ivc in np.flatnonzero(state.vc[:, c.COUNT] > 0).tolist():
        ip = ivc // stride
        r = int(ports.router_of_in[ip])
        base_in, base_out = int(ports.first_in[r]) * stride, int(ports.first_out[r])
        how = int(state.vc[ivc, c.STATE])
        wanted: list[tuple[int, int, int]] = []  # output port, its VC or -1, class
        if how == c.WAIT:
            wanted.append((base_out + int(state.vc[ivc, c.OUT]), -1, int(state.vc[ivc, c.CLASS])))
        elif how == c.ACTIVE:
            wanted.append((base_out + int(state.vc[ivc, c.OUT]), int(state.vc[ivc, c.OVC]), 0))
        elif how == c.MULTI:
            first = int(state.gr[state.branch_group[ivc], c.G_FIRST])
            for k in range(state.branch_vc.shape[1]):
                if int(state.branch_left[ivc]) >> k & 1:
                    group = state.gr[first + k]
                    out = base_out + int(group[c.G_OUT])
                    wanted.append((out, int(state.branch_vc[ivc, k]), int(group[c.G_CLASS])))
        for out, vc, cls in wanted:
            if vc < 0:
                owners = [int(state.ov[out * stride + v, c.OWNER]) for v in range(ports.router.vcs)
                          if int(net.class_mask[cls]) >> v & 1]  # fmt: skip
                if min(owners, default=-1) >= 0:
                    holds += [ivc] * len(owners)
                    asks += [base_in + owner for owner in owners]
            elif state.ov[out * stride + vc, c.CREDIT] == 0 and ports.to_input[out] < ports.inputs:
                holds.append(ivc)
                asks.append(int(ports.to_input[out]) * stride + vc)
    cycle = find_cycle(np.array(holds, np.int64), np.array(asks, np.int64), ports.inputs * stride)
    names = [_name(plan, ivc // stride) for ivc in cycle]
    if not names:
        stalled = [plan.ports.network.package.nodes[r].name for r in np.flatnonzero(state.rt[:, c.STALLED])]
        if stalled:
            return (
                f"partial sums wait for a place at {', '.join(stalled[:5])}: a smaller window, or more sums"
            )
        return "no cycle of buffers, but nothing moves"
    return f"these wait for each other in turn: {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}"


def _name(plan: Plan, ip: int) -> str:
    up = int(plan.ports.from_output[ip])
    if up >= plan.ports.outputs:
        return f"{plan.ports.endpoints[up - plan.ports.outputs]} injection"
    return plan.ports.name_of_out(up)


def _local(first: Ints, router: Ints) -> Ints:
    local: Ints = np.arange(len(router)) - first[router]
    return local


def _hold(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"fault in the simulator: {what}")
