"""noptoolkit: a network-on-package as a typed graph, and what a mixture-of-experts workload does to it.

The stages, in the order in which a value walks through them::

    Package + Workload -> Allocation -> Traffic -> FlowResult -> Schedule -> Run -> Comparison -> plots
"""

from noptoolkit import notebook as notebook
from noptoolkit import topology, traffic
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.formats import load_topology, load_trace, load_workload
from noptoolkit.package import Channel, Chiplet, Link, LinkKind, Memory, Package, Switch
from noptoolkit.pipeline import Run, run
from noptoolkit.scheduling import Schedule, TaskGraph, schedule
from noptoolkit.study import Comparison
from noptoolkit.study import compare_packages as compare
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic import Traffic
from noptoolkit.workload import Batch, LatentAttention, MoEModel, Workload

__version__ = "0.1.0"

__all__ = [
    "Allocation",
    "Batch",
    "Channel",
    "Chiplet",
    "Comparison",
    "FlowResult",
    "LatentAttention",
    "Link",
    "LinkKind",
    "Memory",
    "MoEModel",
    "Package",
    "RoutingTrace",
    "Run",
    "Schedule",
    "Switch",
    "SyntheticRouting",
    "TaskGraph",
    "Traffic",
    "Workload",
    "allocate",
    "compare",
    "congestion",
    "load_topology",
    "load_trace",
    "load_workload",
    "run",
    "schedule",
    "topology",
    "traffic",
]
