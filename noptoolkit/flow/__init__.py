"""Load on every channel of a package under a traffic: fixed routings, the optimal one, and proofs of both."""

from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.flow.cuts import Cut
from noptoolkit.flow.deadlock import Deadlock, check_deadlock
from noptoolkit.flow.degradation import Resilience, resilience
from noptoolkit.flow.measure import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.routings import ROUTINGS, UpDown
from noptoolkit.flow.zero_load import Latency, zero_load_latency

__all__ = [
    "ROUTINGS",
    "Cut",
    "Deadlock",
    "FlowResult",
    "Latency",
    "Resilience",
    "UpDown",
    "check_deadlock",
    "congestion",
    "proved_bisection",
    "resilience",
    "zero_load_latency",
]
