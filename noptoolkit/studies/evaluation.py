"""One point, evaluated: its metrics, or the error that it ended with. What workers run."""

from __future__ import annotations

import json
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError, NopWarning
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.stages import Run
from noptoolkit.studies.memory import Memory, layout_digest, memory_of
from noptoolkit.studies.parameters import run_of
from noptoolkit.studies.space import Point
from noptoolkit.tables import Missing

__all__ = ["ARTEFACTS", "Evaluation", "Task", "Value", "evaluate", "evaluate_chunk", "plain"]

Value = float | int | str | Missing
"""Of a metric, in its base unit."""

MOST_LETTERS = 2000
"""Of the error of a point."""


@dataclass(frozen=True)
class Task:
    """A point to be evaluated.

    Parameters
    ----------
    key
        Digest of the point.
    point
        Value of each parameter.
    metrics
        Metrics by name; ``None`` for one of `noptoolkit.metrics.METRICS`, which need not travel.
    layout
        Layout in place of the allocator's, or ``None``.
    artefacts
        Names in `ARTEFACTS` of what is to be kept besides the metrics.
    known
        Layouts that may be the point's own, by `noptoolkit.studies.memory.layout_digest`.
    """

    key: str
    point: Point
    metrics: Mapping[str, Metric | None]
    layout: Allocation | None = None
    artefacts: tuple[str, ...] = ()
    known: dict[str, Allocation] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What became of a task: a small record that travels, without loads and proofs.

    Parameters
    ----------
    key
        Digest of the point.
    values
        Values of the metrics, in base units; those that were found before an error.
    error
        What went wrong, or empty.
    record
        What the values came from, see `noptoolkit.stages.Run.record`.
    layout_key
        Digest of what the layout depends on; empty where no layout was asked for.
    cpu
        Computing time of the process, in s.
    stages
        Stages that were computed or taken over.
    artefacts
        Compressed JSON, by name.
    warnings
        What was warned of.
    """

    key: str
    values: dict[str, Value]
    error: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    layout_key: str = ""
    cpu: float = 0.0
    stages: tuple[str, ...] = ()
    artefacts: dict[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def evaluate(task: Task, memory: Memory) -> Evaluation:
    """Return the evaluation of a task; what goes wrong in it becomes its error."""
    begin = time.process_time()
    values: dict[str, Value] = {}
    made: Run | None = None
    kept: dict[str, bytes] = {}
    error = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NopWarning)
        try:
            made = run_of(task.point, memory, task.layout)
            for name, metric in task.metrics.items():
                values[name] = plain((metric or METRICS[name]).value(made))
            kept = {name: ARTEFACTS[name](made) for name in task.artefacts}
        except NopError as fault:
            error = str(fault)
        except MemoryError:
            error = "MemoryError: out of memory"
        except Exception as fault:
            error = f"{type(fault).__name__}: {fault}"
    placed = made is not None and "allocation" in made.computed and task.layout is None
    return Evaluation(
        task.key,
        values,
        error=error[:MOST_LETTERS],
        record=dict(made.record()) if made is not None else {},
        layout_key=layout_digest(made.layout_key()) if placed and made is not None else "",
        cpu=time.process_time() - begin,
        stages=made.computed if made is not None else (),
        artefacts=kept,
        warnings=tuple(
            dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, NopWarning))
        ),
    )


def evaluate_chunk(study: str, tasks: Sequence[Task]) -> tuple[list[Evaluation], dict[str, Allocation]]:
    """Evaluate some tasks in a worker process; return what was found, and layouts that are new.

    Parameters
    ----------
    study
        Token of the sweep: its points share a memory in each process.
    tasks
        What to evaluate.
    """
    memory = memory_of(study)
    for task in tasks:
        memory.layouts.held.update(task.known)
    known = set(memory.layouts.held)
    found = [evaluate(task, memory) for task in tasks]
    return found, {key: layout for key, layout in memory.layouts.held.items() if key not in known}


def plain(value: Any) -> Value:
    """Return a value of a metric as the store holds it."""
    found: Value = value.item() if hasattr(value, "item") else value
    return str(found) if isinstance(found, str) else found


def _layout(run: Run) -> bytes:
    layout = run.allocation
    return _packed(
        {
            "method": layout.method,
            "experts": layout.experts,
            "chiplet_of_expert": layout.chiplet_of_expert.tolist(),
            "replicas": layout.replicas.tolist(),
        }
    )


def _loads(run: Run) -> bytes:
    names = list(run.package.channel_names)
    flows = {"dispatch": run.dispatch, "combine": run.combine}
    return _packed({name: dict(zip(names, flow.load.tolist(), strict=True)) for name, flow in flows.items()})


def _schedule(run: Run) -> bytes:
    names = [str(name) for name in run.plan.graph.labels]
    return _packed({"task": names, "start": run.plan.start.tolist(), "end": run.plan.end.tolist()})


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


ARTEFACTS = {"layout": _layout, "loads": _loads, "schedule": _schedule}
"""What can be kept of a point besides its metrics: compressed JSON, in base units."""
