"""Studies made of many runs: comparisons, calibration to published figures."""

from noptoolkit.study.compare import Comparison, compare_packages

__all__ = ["Comparison", "compare_packages"]
