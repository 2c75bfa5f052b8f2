"""Studies made of many runs: comparisons, calibration to measurements, published tables."""

from noptoolkit.study.calibration import Calibration, Measurement, calibrate, leave_one_out, step_times
from noptoolkit.study.collectives import CollectiveReproduction, reproduce_collectives
from noptoolkit.study.comparison import Comparison, compare
from noptoolkit.study.fred import reproduce_fred
from noptoolkit.study.losses import Resilience, resilience
from noptoolkit.study.mozart import MozartReproduction, reproduce_mozart
from noptoolkit.study.published import PublishedRow, PublishedTable

__all__ = [
    "Calibration",
    "CollectiveReproduction",
    "Comparison",
    "Measurement",
    "MozartReproduction",
    "PublishedRow",
    "PublishedTable",
    "Resilience",
    "calibrate",
    "compare",
    "leave_one_out",
    "reproduce_collectives",
    "reproduce_fred",
    "reproduce_mozart",
    "resilience",
    "step_times",
]
