"""The rule of every routing: next hops with shares, given paths, deadlock check, zero-load latency."""

from noptoolkit.routing.deadlock import Deadlock, check_deadlock
from noptoolkit.routing.rules import UpDown
from noptoolkit.routing.zero_load import Latency, zero_load_latency

__all__ = ["Deadlock", "Latency", "UpDown", "check_deadlock", "zero_load_latency"]
