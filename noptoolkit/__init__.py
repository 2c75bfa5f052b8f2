"""noptoolkit: a network-on-package as a typed graph, and what a workload does to it."""

from noptoolkit.package import Channel, Chiplet, Link, LinkKind, Memory, Package, Switch
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, LatentAttention, MoEModel, Workload

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Channel",
    "Chiplet",
    "LatentAttention",
    "Link",
    "LinkKind",
    "Memory",
    "MoEModel",
    "Package",
    "RoutingTrace",
    "Switch",
    "SyntheticRouting",
    "Workload",
]
