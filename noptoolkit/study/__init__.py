"""Studies made of many runs: comparisons, calibration to measurements, Mozart's published table."""

from noptoolkit.study.calibration import Calibration, Measurement, calibrate, leave_one_out, step_times
from noptoolkit.study.compare import Comparison, compare_packages
from noptoolkit.study.mozart import MozartReproduction, reproduce_mozart

__all__ = [
    "Calibration",
    "Comparison",
    "Measurement",
    "MozartReproduction",
    "calibrate",
    "compare_packages",
    "leave_one_out",
    "reproduce_mozart",
    "step_times",
]
