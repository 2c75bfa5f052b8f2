"""What if: widths as they should be, budgets of bandwidth, die edge or cost, faster parts of a step."""

from noptoolkit.whatif.budgets import Budget, budget_of, spend
from noptoolkit.whatif.rewiden import KEPT, rewiden
from noptoolkit.whatif.step_limits import StepLimits, what_limits
from noptoolkit.whatif.step_parts import PARTS, StepUpgrade, schedule_on, upgrade_step

__all__ = [
    "KEPT",
    "PARTS",
    "Budget",
    "StepLimits",
    "StepUpgrade",
    "budget_of",
    "rewiden",
    "schedule_on",
    "spend",
    "upgrade_step",
    "what_limits",
]
