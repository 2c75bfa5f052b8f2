"""What if: budgets in bandwidth, die edge or cost, and what faster parts do to a whole step."""

from noptoolkit.whatif.budgets import Budget, budget_of, spend
from noptoolkit.whatif.step_limits import StepLimits, what_limits
from noptoolkit.whatif.step_parts import PARTS, StepUpgrade, schedule_on, upgrade_step

__all__ = [
    "PARTS",
    "Budget",
    "StepLimits",
    "StepUpgrade",
    "budget_of",
    "schedule_on",
    "spend",
    "upgrade_step",
    "what_limits",
]
