"""The step of a mixture-of-experts model: its operations and transfers as tasks on a package."""

from noptoolkit.step.costing import step_of
from noptoolkit.step.energy import StepEnergy, energy_of
from noptoolkit.step.hosts import check_computes
from noptoolkit.step.ledger import Holding, Ledger
from noptoolkit.step.policies import ORDERS, POLICIES, Policy
from noptoolkit.step.result import StepSchedule
from noptoolkit.step.scheduler import schedule
from noptoolkit.step.step import Step, StepOptions

__all__ = [
    "ORDERS",
    "POLICIES",
    "Holding",
    "Ledger",
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
