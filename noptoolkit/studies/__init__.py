"""Sweeps over thousands of designs: spaces, a store that nothing is lost from, how to read it, and search."""

from noptoolkit.studies.best import Best, best_points
from noptoolkit.studies.difference import Difference, difference
from noptoolkit.studies.figures import MetricFigure, metric_figure
from noptoolkit.studies.front import Front, pareto_front
from noptoolkit.studies.optimising import Optimum, optimise
from noptoolkit.studies.parameters import PARAMETERS
from noptoolkit.studies.reading import diff_studies, export_table, study_frame, study_table
from noptoolkit.studies.recovery import recover
from noptoolkit.studies.sensitivity import Sensitivity, sensitivity
from noptoolkit.studies.space import Points, Range, Space
from noptoolkit.studies.store import Store, StoreError
from noptoolkit.studies.study import Study, read_study
from noptoolkit.studies.study_file import StudyFile, load_study
from noptoolkit.studies.sweeping import Row, sweep, sweep_all
from noptoolkit.studies.verifying import Check, verify_row

__all__ = [
    "PARAMETERS",
    "Best",
    "Check",
    "Difference",
    "Front",
    "MetricFigure",
    "Optimum",
    "Points",
    "Range",
    "Row",
    "Sensitivity",
    "Space",
    "Store",
    "StoreError",
    "Study",
    "StudyFile",
    "best_points",
    "diff_studies",
    "difference",
    "export_table",
    "load_study",
    "metric_figure",
    "optimise",
    "pareto_front",
    "read_study",
    "recover",
    "sensitivity",
    "study_frame",
    "study_table",
    "sweep",
    "sweep_all",
    "verify_row",
]
