"""The rule of every routing: next hops with shares, given paths, deadlock check, zero-load latency."""

from noptoolkit.routing.deadlock import Deadlock, check_deadlock
from noptoolkit.routing.forwarding import Forwarding
from noptoolkit.routing.method import Effort, RoutingMethod
from noptoolkit.routing.next_hops import NextHops
from noptoolkit.routing.rules import ROUTINGS, UpDown
from noptoolkit.routing.zero_load import Latency, zero_load_latency

__all__ = [
    "ROUTINGS",
    "Deadlock",
    "Effort",
    "Forwarding",
    "Latency",
    "NextHops",
    "RoutingMethod",
    "UpDown",
    "check_deadlock",
    "zero_load_latency",
]
