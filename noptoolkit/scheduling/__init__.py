"""Task graphs, list scheduling, lower bounds, and the verification of schedules."""

from typing import Any

from noptoolkit import _moved
from noptoolkit.scheduling.bounds import LowerBound
from noptoolkit.scheduling.execution_trace import from_chakra, to_chakra
from noptoolkit.scheduling.graph_builder import TaskGraphBuilder
from noptoolkit.scheduling.list_scheduling import PRIORITIES, list_schedule
from noptoolkit.scheduling.result import Breakdown, Schedule, TaskTable, schedule_graph
from noptoolkit.scheduling.task_graph import TaskGraph
from noptoolkit.scheduling.verify import verify_schedule

__all__ = [
    "PRIORITIES",
    "Breakdown",
    "LowerBound",
    "Schedule",
    "TaskGraph",
    "TaskGraphBuilder",
    "TaskTable",
    "from_chakra",
    "list_schedule",
    "schedule_graph",
    "to_chakra",
    "verify_schedule",
]


def __getattr__(name: str) -> Any:
    return _moved.attribute(__name__, name)
