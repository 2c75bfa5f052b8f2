"""Many runs of one plan: latency against load, saturation by bisection, and several seeds.

*Saturation* here is the offered load, in flits per cycle and source, between the highest that was stable and
the lowest that was not; a run is stable if its mean latency stays below the limit of `Sampling` while marked
packets drain, and if what it accepts is within 2 % of what is offered. Load points run in threads: the engine
works without Python's global lock, and results do not depend on how many.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.progress import Countdown, Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.simulate.injection import Bursts, Pattern, key_of, pattern_of
from noptoolkit.simulate.protocol import Sampling
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.simulating import plan_for, simulate_plan
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.traffic import Traffic

__all__ = ["LatencyCurve", "Saturation", "latency_curve", "repeat", "saturation"]

SHORT = 0.02  # of the offered rate, that a stable run may accept less


@dataclass(frozen=True, eq=False, repr=False)
class LatencyCurve(Reported):
    """Runs at several loads.

    Parameters
    ----------
    rates : array
        Flits per cycle and source, [points].
    runs : tuple of Simulation
        One for each rate.
    """

    rates: Floats
    runs: tuple[Simulation, ...]

    def __repr__(self) -> str:
        first = self.runs[0]
        place = f"{first.traffic} on {first.package.name!r}, {first.routing}"
        return f"LatencyCurve({place}: {len(self.runs)} loads)"

    @property
    def latency(self) -> Floats:
        """Mean latency at each load, in cycles, [points]."""
        return np.array([run.latency for run in self.runs])

    @property
    def accepted(self) -> Floats:
        """Accepted flits per cycle and source at each load, [points]."""
        return np.array([run.accepted for run in self.runs])

    def table(self) -> Table:
        """Return a row for each load."""
        columns = [
            Column("offered", meaning="flits per cycle and source", form=".4g"),
            Column("accepted", meaning="flits per cycle and source", form=".4g"),
            Column("latency", meaning="mean from creation to arrival of the tail, in cycles", form=".2f"),
            Column("zero_load", "zero-load", meaning="its part without waiting, in cycles", form=".2f"),
            Column("p99", meaning="99th percentile of the latency, in cycles"),
            Column("fairness", meaning="Jain's index over the sources", form=".3f"),
            Column("packets", meaning="packets measured"),
            Column("stable", meaning="yes, or why not"),
        ]
        rows = [
            [
                run.offered, run.accepted,
                *(
                    (run.latency, run.zero_load, run.percentile(99), run.fairness)
                    if run.packets
                    else [Missing("no packets")] * 4
                ),
                run.packets, "yes" if run.stable else f"no: {run.why}",
            ]
            for run in self.runs
        ]  # fmt: skip
        return Table(columns, rows, title=repr(self), notes=self.runs[0].notes[:1])


@dataclass(frozen=True, eq=False, repr=False)
class Saturation(Reported):
    """The bracket in which a network saturates.

    Parameters
    ----------
    stable, unstable : float
        Highest offered load that was stable, lowest that was not; ``unstable`` is infinite if none was found.
    accepted : float
        Accepted rate of the run at ``stable``, in flits per cycle and source.
    why : str
        Why the run at ``unstable`` was not stable.
    runs : tuple of Simulation
        All runs, in the order in which they were made.
    """

    stable: float
    unstable: float
    accepted: float
    why: str
    runs: tuple[Simulation, ...]

    def table(self) -> Table:
        """Return a row for each load that was tried, the lowest first."""
        runs = tuple(sorted(self.runs, key=lambda run: run.offered))
        found = LatencyCurve(np.array([run.offered for run in runs]), runs).table()
        return Table(found.columns, found.rows, title=repr(self), notes=found.notes)

    def __repr__(self) -> str:
        above = f"{self.unstable:.4g}" if np.isfinite(self.unstable) else "none found"
        return f"Saturation({self.stable:.4g} stable, {above} not: {self.why or 'all loads are stable'})"


def latency_curve(
    package: Package,
    traffic: Traffic | Pattern | str,
    rates: Sequence[float],
    *,
    routing: str | Routing = "shortest",
    router: Router | None = None,
    sampling: Sampling | None = None,
    bursts: Bursts | None = None,
    rng: int | np.random.Generator | None = 0,
    allow_deadlock: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> LatencyCurve:
    """Return runs at several loads, in parallel.

    Parameters
    ----------
    package, traffic, routing, router, sampling, bursts, rng, allow_deadlock
        As in `noptoolkit.simulate.simulate`.
    rates : sequence of float
        Flits per cycle and source.
    threads : int, optional
        Runs at a time; the processor's cores where ``None``. The results do not depend on it.
    progress : callable, optional
        Is told how many runs are done, and how long the rest takes.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> curve = latency_curve(ring(4), "uniform", [0.1, 0.3], sampling=Sampling(period=300))
    >>> bool(curve.latency[0] < curve.latency[1])
    True
    """
    expect_package(package)
    loads = [float(rate) for rate in rates]
    if not loads:
        raise WorkloadError("latency_curve() needs one rate or more, in flits per cycle and source")
    pattern = pattern_of(package, traffic)
    plan = plan_for(package, pattern, router or Router(), routing, allow_deadlock=allow_deadlock)
    key = key_of(rng)
    run = partial(simulate_plan, plan, pattern, key=key, sampling=sampling, bursts=bursts)
    found: list[Simulation | None] = [None] * len(loads)
    count = Countdown(len(loads), "loads")
    with ThreadPoolExecutor(_threads(threads, len(loads))) as pool:
        order = sorted(range(len(loads)), key=lambda k: -loads[k])  # the longest first
        for k, result in zip(order, pool.map(lambda k: run(loads[k]), order), strict=True):
            found[k] = result
            count.finish_one()
            if progress is not None:
                progress(f"{count.text()}: {result!r}")
    return LatencyCurve(np.array(loads), tuple(result for result in found if result is not None))


def saturation(
    package: Package,
    traffic: Traffic | Pattern | str,
    *,
    routing: str | Routing = "shortest",
    router: Router | None = None,
    sampling: Sampling | None = None,
    rng: int | np.random.Generator | None = 0,
    allow_deadlock: bool = False,
    step: float = 0.01,
    highest: float = 1.0,
    progress: Progress | None = None,
) -> Saturation:
    """Return the bracket of offered loads in which a network saturates, by bisection.

    Parameters
    ----------
    package, traffic, routing, router, sampling, rng, allow_deadlock
        As in `noptoolkit.simulate.simulate`.
    step : float
        Width at which to stop, as a share of ``highest``.
    highest : float
        Load tried first, in flits per cycle and source; lowered to what the sources can send.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> found = saturation(ring(8), "uniform", routing="up-down", step=0.1, sampling=Sampling(period=500))
    >>> found.stable < 0.8
    True
    """
    expect_package(package)
    if not 0 < step < 1 or not highest > 0:
        raise WorkloadError(
            f"saturation: step={step!r}, highest={highest!r}; a step is in (0, 1), a load above 0"
        )
    pattern = pattern_of(package, traffic)
    plan = plan_for(package, pattern, router or Router(), routing, allow_deadlock=allow_deadlock)
    key = key_of(rng)
    runs: list[Simulation] = []
    count = Countdown(1 + int(np.ceil(np.log2(1 / step))), "loads")
    load = pattern.weight.sum(axis=1)
    sends = load > 0
    ports = plan.ports
    widest = np.array([min(float(x), ports.router.packet) for x in ports.rate[ports.outputs :]])
    highest = min(highest, float((widest[sends] * load[sends].mean() / load[sends]).min()))

    def run(rate: float) -> Simulation:
        result = simulate_plan(plan, pattern, rate, key=key, sampling=sampling)
        result = _judged(result)
        runs.append(result)
        count.finish_one()
        if progress is not None:
            progress(f"{count.text()}: {result!r}")
        return result

    top = run(highest)
    if top.stable:
        return Saturation(highest, np.inf, top.accepted, "", tuple(runs))
    low, high, best, worst = 0.0, highest, None, top
    while high - low > step * highest:
        middle = (low + high) / 2
        result = run(middle)
        if result.stable:
            low, best = middle, result
        else:
            high, worst = middle, result
    return Saturation(low, high, best.accepted if best else 0.0, worst.why, tuple(runs))


def _judged(run: Simulation) -> Simulation:
    """Return a run that is not stable either if it accepts less than is offered."""
    if run.stable and run.accepted < run.offered * (1 - SHORT):
        why = f"accepted {run.accepted:.4g} of {run.offered:.4g} flits per cycle and source"
        return replace(run, stable=False, why=why)
    return run


def repeat(
    package: Package,
    traffic: Traffic | Pattern | str,
    rate: float,
    *,
    seeds: Sequence[int] = range(5),
    routing: str | Routing = "shortest",
    router: Router | None = None,
    sampling: Sampling | None = None,
    bursts: Bursts | None = None,
    threads: int | None = None,
) -> tuple[float, float, tuple[Simulation, ...]]:
    """Return the mean latency over several seeds, half of its 95 % confidence interval, and the runs.

    Parameters
    ----------
    seeds : sequence of int
        Two or more; the interval is Student's t over the means of the runs.
    package, traffic, rate, routing, router, sampling, bursts, threads
        As in `latency_curve`.
    """
    from scipy.special import stdtrit

    expect_package(package)
    if len(set(seeds)) < 2:
        raise WorkloadError(f"repeat: seeds {list(seeds)!r}; an interval needs two different ones or more")
    pattern = pattern_of(package, traffic)
    plan = plan_for(package, pattern, router or Router(), routing)
    with ThreadPoolExecutor(_threads(threads, len(seeds))) as pool:
        runs = tuple(
            pool.map(
                lambda seed: simulate_plan(
                    plan, pattern, rate, key=key_of(seed), sampling=sampling, bursts=bursts
                ),
                seeds,
            )
        )
    silent = [seed for seed, run in zip(seeds, runs, strict=True) if not run.packets]
    if silent:
        raise WorkloadError(
            f"repeat: rate {rate:g} with seed {silent[0]}: no packets measured; give a higher one"
        )
    means = np.array([run.latency for run in runs])
    half = float(stdtrit(len(means) - 1, 0.975) * means.std(ddof=1) / np.sqrt(len(means)))
    return float(means.mean()), half, runs


def _threads(asked: int | None, jobs: int) -> int:
    if asked is not None and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 1):
        raise WorkloadError(f"threads={asked!r}: give a whole number from 1 up, or None for all cores")
    return max(1, min(asked or os.cpu_count() or 1, jobs))
