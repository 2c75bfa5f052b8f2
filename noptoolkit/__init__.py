"""noptoolkit: a network-on-package as a typed graph, and what a mixture-of-experts workload does to it.

The stages, in the order in which a value walks through them::

    Package + Workload -> Allocation -> Traffic -> FlowResult -> Schedule -> Run -> Comparison -> plots

Every public name is loaded from its room when it is first used, so that importing noptoolkit is quick.
"""

from noptoolkit import _interrupts as _interrupts  # first of all: Ctrl-C is quiet while the rest loads

# isort: split
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noptoolkit import _moved
from noptoolkit._pictures import name_artist, name_reporter
from noptoolkit._threads import check_numba_threads
from noptoolkit._version import __version__ as __version__

check_numba_threads()

if TYPE_CHECKING:
    from noptoolkit import (
        bounds,
        formats,
        physical,
        plans,
        plot,
        report,
        search,
        serving,
        simulate,
        studies,
        study,
        topology,
        traffic,
    )
    from noptoolkit._threads import limit_threads
    from noptoolkit.allocation import Allocation, allocate, compare_layouts
    from noptoolkit.collectives import CollectiveResult, collective
    from noptoolkit.flow import FlowResult, congestion
    from noptoolkit.formats import (
        convert,
        load_topology,
        load_trace,
        load_workload,
        save_topology,
        save_trace,
    )
    from noptoolkit.package import Channel, Chiplet, Link, LinkKind, Memory, Package, Switch
    from noptoolkit.pipeline import Run, run
    from noptoolkit.plans import ParallelPlan
    from noptoolkit.routing import check_deadlock, zero_load_latency
    from noptoolkit.scheduling import Schedule, TaskGraph, TaskGraphBuilder, schedule_graph
    from noptoolkit.step import schedule
    from noptoolkit.study import Comparison, resilience
    from noptoolkit.study.comparison import compare
    from noptoolkit.synthetic import SyntheticRouting
    from noptoolkit.trace import RoutingTrace
    from noptoolkit.traffic import Traffic
    from noptoolkit.workload import Batch, LatentAttention, MoEModel, Workload


_ROOMS = {
    "_threads": ["limit_threads"],
    "allocation": ["Allocation", "allocate", "compare_layouts"],
    "collectives": ["CollectiveResult", "collective"],
    "flow": ["FlowResult", "congestion"],
    "formats": ["convert", "load_topology", "load_trace", "load_workload", "save_topology", "save_trace"],
    "package": ["Channel", "Chiplet", "Link", "LinkKind", "Memory", "Package", "Switch"],
    "pipeline": ["Run", "run"],
    "plans": ["ParallelPlan"],
    "routing": ["check_deadlock", "zero_load_latency"],
    "scheduling": ["Schedule", "TaskGraph", "TaskGraphBuilder", "schedule_graph"],
    "step": ["schedule"],
    "study": ["Comparison", "compare", "resilience"],
    "synthetic": ["SyntheticRouting"],
    "trace": ["RoutingTrace"],
    "traffic": ["Traffic"],
    "workload": ["Batch", "LatentAttention", "MoEModel", "Workload"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Allocation",
    "Batch",
    "Channel",
    "Chiplet",
    "CollectiveResult",
    "Comparison",
    "FlowResult",
    "LatentAttention",
    "Link",
    "LinkKind",
    "Memory",
    "MoEModel",
    "Package",
    "ParallelPlan",
    "RoutingTrace",
    "Run",
    "Schedule",
    "Switch",
    "SyntheticRouting",
    "TaskGraph",
    "TaskGraphBuilder",
    "Traffic",
    "Workload",
    "allocate",
    "bounds",
    "check_deadlock",
    "collective",
    "compare",
    "compare_layouts",
    "congestion",
    "convert",
    "formats",
    "limit_threads",
    "load_topology",
    "load_trace",
    "load_workload",
    "physical",
    "plans",
    "plot",
    "report",
    "resilience",
    "run",
    "save_topology",
    "save_trace",
    "schedule",
    "schedule_graph",
    "search",
    "serving",
    "simulate",
    "studies",
    "study",
    "topology",
    "traffic",
    "zero_load_latency",
]


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        value = getattr(import_module(f"noptoolkit.{_ROOM_OF[name]}"), name)
    elif name in __all__:
        value = import_module(f"noptoolkit.{name}")
    else:
        raise AttributeError(f"module 'noptoolkit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _drawn(value: object) -> str | None:
    from noptoolkit.notebook import svg_of

    return svg_of(value)


def _reported(value: object, path: str | Path) -> None:
    from noptoolkit.report import write_report

    write_report(value, path)


name_artist(_drawn)
name_reporter(_reported)
_moved.install()
