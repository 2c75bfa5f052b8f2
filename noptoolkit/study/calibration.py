"""Fit a few global parameters of the step model to measured times and speed-ups.

The model. Done serially at peak rates, a step loads for L, computes for K and communicates for C seconds: the
breakdown of its serial schedule, with the policy's copies per token and layout. Real hardware reaches a share
e of each peak, and a policy p leaves a share x_p of what could be hidden exposed:

    T_p = m + x_p (L / e_L + K / e_K + C / e_C - m),   m = max(L / e_L, K / e_K, C / e_C).

x = 1 is a serial step, x = 0 one that hides all but its longest part. The three e and the x_p are global: the
same for every model, batch and package of the measurements. They are found by least squares on the logarithms
of modelled over measured values.

A fit shows how closely the model can follow the measurements, not how well it predicts: `leave_one_out` fits
without each group in turn and predicts it, beside a null model that predicts the geometric mean of the other
groups. Results of a calibrated model are *calibrated to* its measurements.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.allocation import Allocation
from noptoolkit.errors import InfeasibleError, UnknownNameError, WorkloadError
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Package
from noptoolkit.step import POLICIES, schedule
from noptoolkit.units import Measured, measured
from noptoolkit.workload import Workload

__all__ = [
    "Calibration",
    "LeftOut",
    "Measurement",
    "StepTimes",
    "calibrate",
    "leave_one_out",
    "step_times",
]


@dataclass(frozen=True)
class StepTimes:
    """Time that a serial step spends on each kind of work at peak rates.

    Parameters
    ----------
    load, compute, communication
        Time of each kind, in s.
    """

    load: Measured = measured("s")
    compute: Measured = measured("s")
    communication: Measured = measured("s")

    def under(self, efficiency: Efficiency, exposed: float) -> float:
        """Return the modelled time of a step in s, see the module's text.

        Examples
        --------
        >>> StepTimes(3.0, 2.0, 1.0).under(Efficiency(memory=0.5), exposed=0.5)
        7.5
        """
        load = self.load / efficiency.memory
        compute = self.compute / efficiency.compute
        communication = self.communication / efficiency.network
        longest = max(load, compute, communication)
        return longest + exposed * (load + compute + communication - longest)


def step_times(
    package: Package, workload: Workload, policy: str = "serial", allocation: Allocation | None = None
) -> StepTimes:
    """Return the times of a serial step with a policy's copies per token and layout, at peak rates.

    Weights occupy the memory ports only, not the channels that tokens use.
    """
    if policy not in POLICIES:
        raise UnknownNameError(f"no policy named {policy!r}; {did_you_mean(policy, POLICIES)}")
    chosen = POLICIES[policy]
    parts = schedule(
        package,
        workload,
        allocation,
        policy="serial",
        degree=chosen.degree,
        layout=chosen.layout,
        weights_on_network=False,
    ).breakdown
    return StepTimes(parts.load, parts.compute, parts.communication)


@dataclass(frozen=True, eq=False)
class Measurement:
    """One measured number.

    Parameters
    ----------
    name
        Name in tables.
    group
        Group that is left out together, usually the model.
    policy
        Name in `noptoolkit.step.POLICIES`.
    times
        Times of the step under that policy, see `step_times`.
    value
        Measured time in s, or its speed-up if ``baseline`` is given.
    baseline
        Times of the serial step that the speed-up is over.
    """

    name: str
    group: str
    policy: str
    times: StepTimes
    value: float
    baseline: StepTimes | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise WorkloadError(f"measurement {self.name!r}: value {self.value!r} must be finite and above 0")
        if self.policy not in POLICIES:
            hint = did_you_mean(self.policy, POLICIES)
            raise UnknownNameError(f"measurement {self.name!r}: no policy named {self.policy!r}; {hint}")

    def modelled(self, efficiency: Efficiency, exposed: Mapping[str, float]) -> float:
        """Return the model's value for it."""
        time = self.times.under(efficiency, exposed[self.policy])
        return time if self.baseline is None else self.baseline.under(efficiency, 1.0) / time


@dataclass(frozen=True, eq=False)
class Calibration:
    """The global parameters that fit some measurements best.

    Parameters
    ----------
    efficiency
        Share of each peak rate; without any measured time only the ratios of the three mean something.
    exposed
        Share of what could be hidden that each policy leaves exposed, by its name.
    measurements
        Measurements that were fitted.
    free
        Number of parameters fitted.
    """

    efficiency: Efficiency
    exposed: Mapping[str, float]
    measurements: tuple[Measurement, ...]
    free: int

    @property
    def modelled(self) -> Floats:
        """Value of the model for each measurement, [measurements]."""
        return np.array([m.modelled(self.efficiency, self.exposed) for m in self.measurements])

    @property
    def residuals(self) -> Floats:
        """Modelled over measured, minus 1, [measurements]."""
        values: Floats = np.array([m.value for m in self.measurements])
        return self.modelled / values - 1.0

    @property
    def rms(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def worst(self) -> float:
        """Largest absolute residual."""
        return float(np.abs(self.residuals).max())


@dataclass(frozen=True)
class LeftOut:
    """Errors in predicting one group from the others.

    Parameters
    ----------
    group
        Group that was left out.
    names
        Measurements of the group that the null model can predict too: those of a policy that others have as
        well.
    errors, null_errors
        Predicted over measured values, minus 1, by the model and by the null model.
    """

    group: str
    names: tuple[str, ...]
    errors: tuple[float, ...]
    null_errors: tuple[float, ...]


def calibrate(
    measurements: Sequence[Measurement], *, fixed_exposed: Mapping[str, float] | None = None, source: str = ""
) -> Calibration:
    """Return the global parameters that fit some measurements best.

    Parameters
    ----------
    measurements
        At least as many as parameters: three efficiencies, and one exposed share per policy that is not
        fixed.
    fixed_exposed
        Exposed shares that are given, by policy; ``serial`` is always 1.
    source
        Origin of the measurements; kept in the efficiency.

    Raises
    ------
    InfeasibleError
        If there are fewer measurements than parameters.

    Examples
    --------
    >>> base = StepTimes(load=2.0, compute=1.0, communication=1.0)
    >>> wide = StepTimes(load=1.0, compute=2.0, communication=1.0)
    >>> thin = StepTimes(load=1.0, compute=1.0, communication=3.0)
    >>> true = Efficiency(memory=0.5, compute=0.25, network=0.8)
    >>> found = calibrate([Measurement(f"{t.load}", "m", "serial", t, t.under(true, 1.0))
    ...                    for t in (base, wide, thin)])
    >>> round(found.efficiency.compute, 6), found.rms < 1e-6
    (0.25, True)
    """
    from scipy.optimize import least_squares

    fixed = {"serial": 1.0, **(fixed_exposed or {})}
    policies = [p for p in dict.fromkeys(m.policy for m in measurements) if p not in fixed]
    free = 3 + len(policies)
    if len(measurements) < free:
        raise InfeasibleError(
            f"{len(measurements)} measurements cannot fix {free} parameters; give more, or fixed_exposed"
        )
    values = np.log([m.value for m in measurements])

    def parameters(x: Floats) -> tuple[Efficiency, dict[str, float]]:
        memory, compute, network = (float(e) for e in np.exp(x[:3]))
        efficiency = Efficiency(
            compute=compute, memory=memory, network=network, source=source or "calibrated"
        )
        return efficiency, {**fixed, **dict(zip(policies, map(float, x[3:]), strict=True))}

    def residuals(x: Floats) -> Floats:
        efficiency, exposed = parameters(x)
        return np.log([m.modelled(efficiency, exposed) for m in measurements]) - values

    low = np.array([-12.0] * 3 + [0.0] * len(policies))
    high = np.array([4.0] * 3 + [1.0] * len(policies))
    fits = [
        least_squares(residuals, np.array([*scale, *[0.25] * len(policies)]), bounds=(low, high), xtol=1e-12)
        for scale in _STARTS
    ]
    best = min(fits, key=lambda fit: fit.cost)
    efficiency, exposed = parameters(best.x)
    return Calibration(efficiency, exposed, tuple(measurements), free)


_STARTS = tuple(itertools.product((-0.3, -1.5, -3.0), repeat=3))
"""Logarithms of memory, compute and network efficiency to start from: the sum has kinks where m changes."""


def leave_one_out(
    measurements: Sequence[Measurement], *, fixed_exposed: Mapping[str, float] | None = None
) -> tuple[LeftOut, ...]:
    """Return how well each group is predicted by a fit to the others, beside the null model.

    The null model predicts a speed-up as the geometric mean of the other groups' speed-ups under the same
    policy. Of each group and policy the first measurement counts; those without a counterpart are not scored.
    """
    first: dict[tuple[str, str], Measurement] = {}
    for m in measurements:
        if m.baseline is not None:
            first.setdefault((m.group, m.policy), m)
    results = []
    for group in dict.fromkeys(m.group for m in measurements):
        others = [m for m in measurements if m.group != group]
        alike: dict[str, list[float]] = {}
        for (other, policy), m in first.items():
            if other != group:
                alike.setdefault(policy, []).append(m.value)
        scored = [m for (g, policy), m in first.items() if g == group and policy in alike]
        fit = calibrate(others, fixed_exposed=fixed_exposed)
        errors, null_errors = [], []
        for m in scored:
            errors.append(m.modelled(fit.efficiency, fit.exposed) / m.value - 1.0)
            null_errors.append(math.exp(float(np.mean(np.log(alike[m.policy])))) / m.value - 1.0)
        names = tuple(m.name for m in scored)
        results.append(LeftOut(group, names, tuple(errors), tuple(null_errors)))
    return tuple(results)


def root_mean_square(results: Sequence[LeftOut], errors: Callable[[LeftOut], Sequence[float]]) -> float:
    """Return the root mean square of the errors of all groups.

    Examples
    --------
    >>> root_mean_square([LeftOut("m", ("a", "b"), (0.3, -0.4), (0.0, 0.0))], lambda left: left.errors)
    0.3535533905932738
    """
    every = [error for result in results for error in errors(result)]
    return float(np.sqrt(np.mean(np.square(every))))
