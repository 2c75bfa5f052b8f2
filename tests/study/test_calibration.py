"""The fit finds what it should, and says what it cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit.errors import InfeasibleError, UnknownNameError, WorkloadError
from noptoolkit.nodes import Efficiency
from noptoolkit.study.calibration import Measurement, StepTimes, calibrate, leave_one_out

TIMES = [
    StepTimes(3.0, 1.0, 1.0),
    StepTimes(1.0, 2.0, 1.0),
    StepTimes(1.0, 1.0, 3.0),
    StepTimes(2.0, 1.5, 1.0),
]


def measured(efficiency: Efficiency, exposed: dict[str, float]) -> list[Measurement]:
    """Return what an obedient world would measure."""
    found = []
    for i, times in enumerate(TIMES):
        serial = times.under(efficiency, 1.0)
        found.append(Measurement(f"{i} serial", f"g{i}", "serial", times, serial))
        for policy, share in exposed.items():
            value = serial / times.under(efficiency, share)
            found.append(Measurement(f"{i} {policy}", f"g{i}", policy, times, value, times))
    return found


shares = st.floats(0.05, 0.9)


@settings(max_examples=examples(20), deadline=None)
@given(shares, shares, shares, shares)
def test_finds_the_parameters_that_made_the_measurements(
    memory: float, compute: float, network: float, share: float
) -> None:
    true = Efficiency(compute=compute, memory=memory, network=network)
    fit = calibrate(measured(true, {"overlap": share}))
    assert fit.rms < 1e-4
    assert fit.free == 4
    assert np.allclose(fit.modelled, [m.value for m in fit.measurements], rtol=1e-3)


def test_serial_is_the_sum_and_full_overlap_the_longest() -> None:
    half = Efficiency(memory=0.5)
    assert StepTimes(1.0, 3.0, 0.5).under(half, 1.0) == pytest.approx(5.5, rel=1e-12)
    assert StepTimes(1.0, 3.0, 0.5).under(half, 0.0) == 3.0


def test_leave_one_out_of_an_obedient_world_beats_the_null_model() -> None:
    world = measured(Efficiency(memory=0.3, compute=0.5, network=0.2), {"overlap": 0.3, "streaming": 0.0})
    left = leave_one_out(world, fixed_exposed={"streaming": 0.0})
    assert [one.group for one in left] == ["g0", "g1", "g2", "g3"]
    assert max(abs(e) for one in left for e in one.errors) < 1e-2
    assert max(abs(e) for one in left for e in one.null_errors) > 0.05


def test_the_null_model_is_a_geometric_mean() -> None:
    values = {"g0": 1.0, "g1": 4.0, "g2": 3.0}
    world = [
        Measurement(f"{group} {times.load}", group, "overlap", times, value, times)
        for group, value in values.items()
        for times in TIMES
    ]
    left = leave_one_out(world, fixed_exposed={"overlap": 0.5})
    assert left[2].names == ("g2 3.0",)
    assert left[2].null_errors == pytest.approx((2.0 / 3.0 - 1.0,), rel=1e-12)


def test_too_few_measurements() -> None:
    one = Measurement("one", "g", "serial", TIMES[0], 1.0)
    with pytest.raises(InfeasibleError, match="1 measurements cannot fix 3 parameters"):
        calibrate([one])


def test_bad_measurements() -> None:
    with pytest.raises(WorkloadError, match="must be finite and above 0"):
        Measurement("m", "g", "serial", TIMES[0], float("nan"))
    with pytest.raises(UnknownNameError, match="did you mean 'serial'"):
        Measurement("m", "g", "seriel", TIMES[0], 1.0)
