"""Studies made of many runs: comparisons, calibration to measurements, published tables."""

from noptoolkit.study.best_package import BestPackage, best_package
from noptoolkit.study.best_upgrades import BestUpgrade, best_upgrade, best_upgrades
from noptoolkit.study.calibration import Calibration, Measurement, calibrate, leave_one_out, step_times
from noptoolkit.study.collectives import CollectiveReproduction, reproduce_collectives
from noptoolkit.study.comparison import Comparison, compare
from noptoolkit.study.deepseek_serving import reproduce_deepseek_serving
from noptoolkit.study.distances import Distances, distances_to_bound
from noptoolkit.study.expected_losses import ExpectedTime, expected_step, expected_time
from noptoolkit.study.fred import reproduce_fred
from noptoolkit.study.korthikanti import reproduce_korthikanti
from noptoolkit.study.losses import Resilience, resilience
from noptoolkit.study.mechanisms import reproduce_mechanism
from noptoolkit.study.mozart import MozartReproduction, reproduce_mozart
from noptoolkit.study.parallel_folding import FoldingReproduction, reproduce_parallel_folding
from noptoolkit.study.published import PublishedRow, PublishedTable
from noptoolkit.study.rehoming import Rehomed, rehome
from noptoolkit.study.step_losses import StepLosses, step_losses
from noptoolkit.study.worst_losses import WorstLoss, worst_loss

__all__ = [
    "BestPackage",
    "BestUpgrade",
    "Calibration",
    "CollectiveReproduction",
    "Comparison",
    "Distances",
    "ExpectedTime",
    "FoldingReproduction",
    "Measurement",
    "MozartReproduction",
    "PublishedRow",
    "PublishedTable",
    "Rehomed",
    "Resilience",
    "StepLosses",
    "WorstLoss",
    "best_package",
    "best_upgrade",
    "best_upgrades",
    "calibrate",
    "compare",
    "distances_to_bound",
    "expected_step",
    "expected_time",
    "leave_one_out",
    "rehome",
    "reproduce_collectives",
    "reproduce_deepseek_serving",
    "reproduce_fred",
    "reproduce_korthikanti",
    "reproduce_mechanism",
    "reproduce_mozart",
    "reproduce_parallel_folding",
    "resilience",
    "step_losses",
    "step_times",
    "worst_loss",
]
