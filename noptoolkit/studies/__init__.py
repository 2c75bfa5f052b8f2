"""Sweeps over thousands of designs: spaces, a store that nothing is lost from, and how to read it."""

from noptoolkit.studies.parameters import PARAMETERS
from noptoolkit.studies.reading import diff_studies, export_table, study_frame, study_table
from noptoolkit.studies.recovery import recover
from noptoolkit.studies.space import Range, Space
from noptoolkit.studies.store import Store, StoreError
from noptoolkit.studies.study_file import StudyFile, load_study
from noptoolkit.studies.sweeping import Row, sweep, sweep_all

__all__ = [
    "PARAMETERS",
    "Range",
    "Row",
    "Space",
    "Store",
    "StoreError",
    "StudyFile",
    "diff_studies",
    "export_table",
    "load_study",
    "recover",
    "study_frame",
    "study_table",
    "sweep",
    "sweep_all",
]
