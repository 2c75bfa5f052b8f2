"""How long to run: BookSim2's protocol of warm-up, samples and drain, and the state between cycles.

The network runs in periods. The first are warm-up. Then packets are marked, and periods go on until three
after the other agree on mean latency and accepted rate; at last the marked packets drain, the sources still
sending. A run is *not stable* if the mean latency, of those still on their way too, passes a limit, or if the
periods do not agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.checks import check_state, waiting_cycle
from noptoolkit.simulate.compiled_cycle import run_cycles
from noptoolkit.simulate.plan import Plan
from noptoolkit.simulate.state import carried

__all__ = ["Measured", "Sampling", "measure"]

NEVER = 1 << 60
TENTHS = 10


@dataclass(frozen=True)
class Sampling:
    """Periods of a run with a rate, as in BookSim2's ``sim_type = latency``.

    Parameters
    ----------
    period : int
        Cycles of a period.
    warmup : int
        Periods before packets are marked.
    most : int
        Periods at most, warm-up included, before the drain.
    least : int
        Periods that must agree, one after the other.
    agree : float
        Largest relative change of mean latency and of accepted rate between periods that agree.
    latency_limit : float
        Mean latency, in cycles, above which a run is not stable.
    """

    period: int = 5000
    warmup: int = 3
    most: int = 10
    least: int = 3
    agree: float = 0.05
    latency_limit: float = 300.0

    def __post_init__(self) -> None:
        for name in ("period", "most", "least"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise WorkloadError(f"sampling: {name}={value!r}; give a whole number from 1 up")
        if not isinstance(self.warmup, int) or not 0 <= self.warmup < self.most:
            raise WorkloadError(
                f"sampling: warmup={self.warmup!r} leaves nothing of {self.most} periods to measure"
            )
        if not (self.agree > 0 and self.latency_limit > 0):
            raise WorkloadError("sampling: agree and latency_limit must be above 0")
        if self.period * self.most > 1 << 34:
            raise WorkloadError("sampling: period x most is beyond the 2^34 cycles that a run may take")


@dataclass(frozen=True, eq=False)
class Measured:
    """The state at the end of a run and what is no longer in it; ``marked`` cycles made what was measured."""

    state: Any
    stable: bool
    why: str
    accepted: float
    series: Floats
    discarded: int
    since: int
    carried_before: Floats
    marked: int = 0
    agrees: bool = True


def measure(
    plan: Plan,
    sources: Any,
    sampling: Sampling,
    *,
    checked: bool = False,
    report: Callable[[float, str], None] | None = None,
) -> Measured:
    """Run drawn sources by the protocol.

    Raises
    ------
    RoutingError
        If nothing moves any more, with the cycle of channels that wait for each other.
    """
    state = plan.fresh()
    senders = max(1, int((sources.chance > 0).sum()))
    run = _Run(plan, state, sources, checked)
    before_latency = before_accepted = 0.0
    agreed, warming, total, clear, mark_from, since = 0, True, 0, False, NEVER, 0
    why = ""
    before = carried(plan.ports, plan.arrays, state)
    while total < sampling.most and (warming or agreed < sampling.least):
        if clear or (warming and total % 2 == 0):
            clear = False
            run.clear()
            since = run.now
            before = carried(plan.ports, plan.arrays, state)
        run.advance(sampling.period, mark_from, NEVER, warming)
        count = int(state.cnt[c.MEASURED])
        latency = state.cnt[c.LATENCY_SUM] / count if count else math.nan
        accepted = float(state.tm[:, c.ACCEPTED].sum()) / (run.now - since) / senders
        change = abs(1 - before_latency / latency) if count else math.inf
        drift = abs(1 - before_accepted / accepted) if accepted else math.inf
        before_latency, before_accepted = latency, accepted
        if run.mean_age() > sampling.latency_limit:
            why = f"mean latency above {sampling.latency_limit:g} cycles"
            break
        if warming:
            if total + 1 >= sampling.warmup:
                clear, warming, mark_from = True, False, run.now
        else:
            agreed = agreed + 1 if change <= sampling.agree and drift <= sampling.agree else 0
        total += 1
        if report is not None:
            report(min(1.0, total / (sampling.warmup + sampling.least)), f"{run.now} cycles")
    stable = not why and not warming
    end = run.now
    while stable and (state.cnt[c.MARKED_LEFT] > 0 or state.tm[:, c.CLOCK].min() <= end):
        if sources.window and state.cnt[c.MARKED_LEFT] == 0:
            break
        run.advance(1000, mark_from, end, False, stop=1)
        if run.mean_age() > sampling.latency_limit:
            stable, why = False, f"mean latency above {sampling.latency_limit:g} cycles while draining"
    agrees = agreed >= sampling.least
    run.check()
    series = np.array(run.series, dtype=float).reshape(-1, 4)
    discarded = 0 if mark_from == NEVER else mark_from
    return Measured(
        state, stable, why, before_accepted, series, discarded, since, before, end - since, agrees
    )


class _Run:
    """The state of a run on its way, advanced piece by piece."""

    def __init__(self, plan: Plan, state: Any, sources: Any, checked: bool) -> None:
        self.plan, self.state, self.sources, self.checked = plan, state, sources, checked
        self.series: list[tuple[int, ...]] = []
        self.progress = -1

    @property
    def now(self) -> int:
        """Cycle that comes next."""
        return int(self.state.cnt[c.T])

    def mean_age(self) -> float:
        """Mean latency of the packets measured and, so far, of the flits on their way."""
        count = self.state.cnt
        alive = int(count[c.ALIVE])
        age = int(count[c.LATENCY_SUM]) + alive * self.now - int(count[c.ALIVE_SINCE])
        return age / max(1, int(count[c.MEASURED]) + alive)

    def clear(self) -> None:
        """Begin to measure anew."""
        count = self.state.cnt
        for k in (c.MEASURED, c.LATENCY_SUM, c.LATENCY_MOST, c.HOPS_SUM, c.ZERO_SUM):
            count[k] = 0
        self.state.tm[:, [c.ACCEPTED, c.INJECTED, c.DELIVERED, c.DELAY, c.TURN]] = 0
        self.state.hist[:] = 0
        self.state.ip[:, c.OCCUPANCY] = -self.now * self.state.ip[:, c.HELD]
        self.state.ip[:, c.PEAK] = self.state.ip[:, c.HELD]
        self.state.rt[:, c.PEAK_SUMS] = self.state.rt[:, c.SUMS]

    def advance(self, cycles: int, mark_from: int, mark_to: int, counting: bool, stop: int = 0) -> None:
        """Run some cycles in tenths, and keep the series."""
        state, count = self.state, self.state.cnt
        piece = max(1, -(-cycles // TENTHS))
        if self.checked:
            piece = min(piece, 50)
        left = cycles
        while left > 0:
            old = (int(count[c.MEASURED]), int(count[c.LATENCY_SUM]), int(count[c.ARRIVED_FLITS]))
            asked = min(piece, left)
            done = run_cycles(
                self.plan.arrays, state, self.sources, asked, NEVER, mark_from, mark_to, counting, stop
            )
            left -= done
            new = (int(count[c.MEASURED]), int(count[c.LATENCY_SUM]), int(count[c.ARRIVED_FLITS]))
            self.series.append((self.now, *(b - a for a, b in zip(old, new, strict=True))))
            if self.checked:
                check_state(self.plan, state)
            if done < asked:
                break
        self.check()
        moved = int(state.op[:, c.FLITS].sum()) + int(count[c.ARRIVED_FLITS]) + int(count[c.ABSORBED])
        if moved == self.progress and count[c.INSIDE] > 0 and cycles >= 1000:
            raise RoutingError(
                f"package {self.plan.ports.network.package.name!r}: {self.plan.name} has come to a deadlock "
                "before "
                f"cycle {self.now}; {waiting_cycle(self.plan, state)}; give more VCs, or choose "
                "routing='up-down'"
            )
        self.progress = moved

    def check(self) -> None:
        """Raise if the engine has noted a fault of its own."""
        errors = int(self.state.cnt[c.ERRORS])
        if errors:
            raise AssertionError(f"fault in the simulator: error bits {errors:b} at cycle {self.now}")
