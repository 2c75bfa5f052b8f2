"""`simulate`: a package, a traffic and a router design, cycle by cycle."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.completing import Completed, complete
from noptoolkit.simulate.injection import Bursts, Pattern, drawn_sources, key_of, loads_of, pattern_of
from noptoolkit.simulate.plan import Plan, plan_of
from noptoolkit.simulate.protocol import Measured, Sampling, measure
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.state import carried, depths_of
from noptoolkit.simulate.transfers import Transfers
from noptoolkit.traffic import Traffic

__all__ = ["completed_result", "plan_for", "result_of", "shares", "simulate", "simulate_plan"]


def simulate(
    package: Package,
    traffic: Traffic | Pattern | Transfers | str,
    *,
    rate: float | None = None,
    until: Literal["done"] | None = None,
    routing: str | Routing = "shortest",
    router: Router | None = None,
    sampling: Sampling | None = None,
    bursts: Bursts | None = None,
    window: int = 0,
    token_window: int | None = None,
    most_cycles: int = 100_000_000,
    rng: int | np.random.Generator | None = 0,
    allow_deadlock: bool = False,
    checked: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Return what routers with buffers and virtual channels make of a traffic.

    Parameters
    ----------
    package : Package
        The graph.
    traffic : Traffic, Pattern, Transfers or str
        Demand of each pair; ``"uniform"`` is uniform random traffic of all chiplets, themselves included.
    rate : float
        Load, in flits per cycle and source: the mean over the sources that send, in proportion to their
        demands.
    until : "done", optional
        In place of a rate: the bytes of a traffic, or a list of transfers, run until everything is delivered.
    routing : str or routing
        A name in `noptoolkit.routing.rules.ROUTINGS` or what may stand for it; or ``"adaptive"``, minimal
        with a channel to escape by. The optimum's routes are ``congestion(...).forwarding()``.
    router : Router, optional
        The design of the routers; ``Router()`` where ``None``.
    sampling : Sampling, optional
        How long to warm up and to measure; BookSim2's protocol.
    bursts : Bursts, optional
        Injection in bursts; where ``None``, each cycle is drawn for itself.
    window : int
        Packets of a source that may be on their way (a closed loop); 0 is no limit.
    token_window : int, optional
        Messages of one root that may be on their way until done; where ``None``, as many as the routers can
        hold partial sums of.
    most_cycles : int
        Cycles after which a run until done is given up.
    rng : int or Generator, optional
        Seed: one seed gives one result, on any machine and any number of threads.
    allow_deadlock : bool
        Whether to run a routing that can deadlock, with all VCs open to every packet.
    checked : bool
        Whether conservation, credits and buffers are checked every 50 cycles (slow).
    progress : callable, optional
        Receives the share that is done and the time left.

    Raises
    ------
    RoutingError
        If the routing can deadlock and there are too few VCs, or has come to a deadlock, with the cycle
        named.
    TopologyError
        If a bandwidth is not a ratio that a clock gives, or a router has too many ports.
    WorkloadError
        If a source would send more than it can, none would ever send, or an endpoint cannot send or receive.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> run = simulate(ring(4), "uniform", rate=0.05, sampling=Sampling(period=500), rng=1)
    >>> run.stable, round(run.zero_load, 1), run.packets
    (True, 8.0, 471)
    """
    expect_package(package)
    if (rate is None) == (until is None):
        raise WorkloadError("give either a rate, in flits per cycle and source, or until='done'")
    router = Router() if router is None else router
    report = None if progress is None else shares(progress)
    if until is not None:
        if until != "done" or not isinstance(traffic, Traffic | Transfers):
            raise WorkloadError(
                f"until={until!r}: only a Traffic or Transfers can run until='done', not {traffic!r}"
            )
        run = complete(
            package, traffic, router, routing, key_of(rng), token_window=token_window, window=window,
            allow_deadlock=allow_deadlock, checked=checked, most_cycles=most_cycles, report=report,
        )  # fmt: skip
        return completed_result(run, traffic.name)
    assert rate is not None
    if isinstance(traffic, Transfers):
        raise WorkloadError("a list of transfers has no rate; run it with until='done'")
    pattern = pattern_of(package, traffic)
    plan = plan_for(package, pattern, router, routing, allow_deadlock=allow_deadlock)
    return simulate_plan(
        plan, pattern, rate, sampling=sampling, bursts=bursts, window=window, key=key_of(rng),
        checked=checked, report=report,
    )  # fmt: skip


def plan_for(
    package: Package,
    pattern: Pattern,
    router: Router,
    routing: str | Routing,
    *,
    allow_deadlock: bool = False,
) -> Plan:
    """Return the plan of the runs of one pattern, at any rate and seed."""
    return plan_of(
        package, pattern.endpoints, router, routing, pattern.weight > 0, allow_deadlock=allow_deadlock
    )


def simulate_plan(
    plan: Plan,
    pattern: Pattern,
    rate: float,
    *,
    key: Any,
    sampling: Sampling | None = None,
    bursts: Bursts | None = None,
    window: int = 0,
    checked: bool = False,
    report: Callable[[float, str], None] | None = None,
) -> Simulation:
    """Return a run of a plan at one rate; runs of one plan may share it, in threads too."""
    if not isinstance(window, int) or isinstance(window, bool) or window < 0:
        raise WorkloadError(
            f"window={window!r}: give the packets on their way as a whole number, 0 for no limit"
        )
    sources = drawn_sources(plan.ports, pattern, rate, key, kind=plan.kind, bursts=bursts, window=window)
    if plan.kind == c.PATH:
        assert plan.paths is not None
        sources = sources._replace(
            paths=plan.paths, path_first=plan.path_first, path_limit=plan.path_limits()
        )
    found = measure(plan, sources, sampling or Sampling(), checked=checked, report=report)
    load = loads_of(pattern, rate)
    return result_of(plan, found, pattern.name, float(load[load > 0].mean()))


def result_of(
    plan: Plan, found: Measured, traffic: str, offered: float, said: tuple[str, ...] = (), **more: Any
) -> Simulation:
    """Return what was measured as a value of the public type."""
    state, ports, count = found.state, plan.ports, found.state.cnt
    package = ports.network.package
    now, packets = int(count[c.T]), int(count[c.MEASURED])
    window = max(1, now - found.since)
    moved = carried(ports, plan.arrays, state) - found.carried_before
    rate = np.array([float(x) for x in ports.rate[: ports.outputs]])
    flits, use, held = (np.zeros(len(package.channels)) for _ in range(3))
    peak = np.zeros(len(package.channels), np.int64)
    shares = ports.network.share_of_channel
    per_input = state.ip[:, c.OCCUPANCY] + now * state.ip[:, c.HELD]
    for channel, arc in enumerate(ports.network.arc_of_channel.tolist()):
        outs = ports.out_of_arc[arc]
        merged = len(outs) == 1 and plan.sharing == "by bandwidth"
        mine = [o for o in outs if merged or ports.channel_out[o] == channel]
        if not mine:
            continue
        out = mine[0]
        flits[channel] = moved[out] * (shares[channel] if merged else 1.0)
        use[channel] = moved[out] / (rate[out] * window)
        held[channel] = per_input[ports.to_input[out]] / window
        peak[channel] = state.ip[ports.to_input[out], c.PEAK]
    turns = state.tm[:, c.TURN]
    by_source = np.where(turns > 0, state.tm[:, c.DELAY] / np.maximum(turns, 1), math.nan)
    hops = int(count[c.HOPS_SUM]) / packets if packets else math.nan
    zero = (
        int(count[c.ZERO_SUM]) / packets + hops * _cycles_inside(ports.router.speedup)
        if packets
        else math.nan
    )
    deeper = depths_of(ports).max() > ports.router.depth
    notes = [plan.classes.how, *said]
    if deeper:
        notes.append(
            f"buffers of up to {int(depths_of(ports).max())} flits for each VC, as the round trip needs"
        )
    if not found.agrees:
        notes.append("the sampled periods did not agree: near saturation, or too short")
    peaks = state.rt[:, c.PEAK_SUMS]
    for array in (flits, use, held, peak, by_source, found.series):
        array.flags.writeable = False
    return Simulation(
        package=package, endpoints=ports.endpoints, router=ports.router, routing=plan.name, traffic=traffic,
        offered=offered, accepted=found.accepted, stable=found.stable, why=found.why,
        latency=int(count[c.LATENCY_SUM]) / packets if packets else math.nan, packets=packets,
        histogram=_trimmed(state.hist), highest=int(count[c.LATENCY_MOST]), zero_load=zero, hops=hops,
        cycles=now, checksum=int(count[c.CHECKSUM]) % 2**64, series=found.series,
        warmup=_warmup(found.series), discarded=found.discarded, flits=flits, utilisation=use, occupancy=held,
        peak_occupancy=peak,
        sent_by_source=state.tm[:, c.DELIVERED] / max(1, found.marked), latency_by_source=by_source,
        peak_sums={package.nodes[r].name: int(peaks[r]) for r in np.flatnonzero(peaks).tolist()},
        notes=tuple(notes), flit_bytes=ports.flit_bytes, clock=float(ports.router.clock), **more,
    )  # fmt: skip


def completed_result(run: Completed, traffic: str) -> Simulation:
    """Return a run until done as a value of the public type."""
    return result_of(run.plan, run.measured, traffic, 0.0, run.notes, finished=run.finished, trace=run.trace)


def shares(progress: Progress) -> Callable[[float, str], None]:
    """Return what turns a share that is done into a line with the time left."""
    start = time.monotonic()

    def tell(share: float, what: str) -> None:
        spent = time.monotonic() - start
        left = f", {spent * (1 - share) / share:.0f} s left" if share > 0 and spent > 2 else ""
        progress(f"{share:.0%} simulated, {what}{left}")

    return tell


def _cycles_inside(speedup: float) -> float:
    """Return the cycles from a head's arrival at an idle router to its link: two allocations, one crossing.

    They take a step each; between whole speedups it depends on the cycle, and the mean is near this line.
    """
    return max(1.0, 4.0 - speedup)


def _trimmed(histogram: Any) -> Any:
    """Return a histogram without the zeros behind its last bin that counts, but for one."""
    used = np.flatnonzero(histogram)
    return histogram[: int(used[-1]) + 2].copy() if len(used) else histogram[:1].copy()


def _warmup(series: Floats) -> int:
    """Return the cycle from which on the latencies are steady (White, MSER-5, Simulation 69, 1997).

    The cut that leaves the smallest standard error of the mean of what is behind it, at most half of the run.
    """
    rows = series[series[:, 1] > 0]
    if len(rows) < 10:
        return 0
    means = rows[:, 2] / rows[:, 1]
    errors = [means[d:].var() / (len(means) - d) for d in range(len(means) // 2 + 1)]
    best = int(np.argmin(errors))
    return int(rows[best - 1, 0]) if best else 0
