"""The schedule of a step: task graphs, list scheduling, lower bounds and policies."""

from noptoolkit.scheduling.bounds import LowerBound
from noptoolkit.scheduling.costing import check_computes, step_of
from noptoolkit.scheduling.energy import StepEnergy, energy_of
from noptoolkit.scheduling.list_scheduling import PRIORITIES, list_schedule
from noptoolkit.scheduling.plan import Breakdown, Schedule, TaskTable, schedule_graph
from noptoolkit.scheduling.policies import ORDERS, POLICIES, Policy
from noptoolkit.scheduling.scheduler import schedule
from noptoolkit.scheduling.step import Step, StepOptions
from noptoolkit.scheduling.task_graph import TaskGraph, TaskGraphBuilder
from noptoolkit.scheduling.verify import verify_schedule

__all__ = [
    "ORDERS",
    "POLICIES",
    "PRIORITIES",
    "Breakdown",
    "LowerBound",
    "Policy",
    "Schedule",
    "Step",
    "StepEnergy",
    "StepOptions",
    "TaskGraph",
    "TaskGraphBuilder",
    "TaskTable",
    "check_computes",
    "energy_of",
    "list_schedule",
    "schedule",
    "schedule_graph",
    "step_of",
    "verify_schedule",
]
