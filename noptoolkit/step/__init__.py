"""The step of a mixture-of-experts model: its operations and transfers as tasks on a package."""

from noptoolkit.step.costing import check_computes, step_of
from noptoolkit.step.energy import StepEnergy, energy_of
from noptoolkit.step.policies import ORDERS, POLICIES, Policy
from noptoolkit.step.result import StepSchedule
from noptoolkit.step.scheduler import schedule
from noptoolkit.step.step import Step, StepOptions

__all__ = [
    "ORDERS",
    "POLICIES",
    "Policy",
    "Step",
    "StepEnergy",
    "StepOptions",
    "StepSchedule",
    "check_computes",
    "energy_of",
    "schedule",
    "step_of",
]
