"""A schedule in the Trace Event Format that Perfetto and chrome://tracing open.

Each class of resource is a process, each resource a thread, each task a complete event; times are in us.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noptoolkit.formats.results import replace_file
from noptoolkit.package import Chiplet, Memory, Package

if TYPE_CHECKING:
    from noptoolkit.scheduling.result import Schedule

__all__ = ["write_chrome_trace"]

PROCESSES = ("compute", "memory", "network")


def write_chrome_trace(plan: Schedule, path: str | Path, package: Package | None = None) -> None:
    """Write a schedule as JSON; see ``Schedule.to_chrome_trace``."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
        for pid, name in enumerate(PROCESSES)
    ]
    process = [_process(package, name) for name in plan.resources]
    for tid, name in enumerate(plan.resources):
        row = {"ph": "M", "pid": process[tid], "tid": tid, "name": "thread_name", "args": {"name": name}}
        events.append(row)
    tasks = plan.tasks
    for i in range(len(tasks)):
        tid = int(tasks.resource[i])
        if tid < 0:
            continue
        events.append(
            {
                "ph": "X",
                "pid": process[tid],
                "tid": tid,
                "name": tasks.label[i] or str(tasks.kind[i]),
                "cat": str(tasks.kind[i]),
                "ts": 1e6 * float(tasks.start[i]),
                "dur": 1e6 * float(tasks.end[i] - tasks.start[i]),
            }
        )
    text = json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})
    replace_file(path, text)


def _process(package: Package | None, resource: str) -> int:
    if package is None:
        return 0
    node = package[resource] if resource in package.index else None
    if isinstance(node, Chiplet):
        return 0
    return 1 if isinstance(node, Memory) else 2
