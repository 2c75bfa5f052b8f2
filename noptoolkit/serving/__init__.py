"""Serving: what steps of prefill and decode make of requests.

`serve` gives the latency-throughput curve of a package; `Server` schedules steps and remembers them;
`max_sequences` says how many sequences fit; `disaggregate` parts prefill and decode; `stationary` and
`simulate_requests` answer for a stream of requests.
"""

from noptoolkit.serving.capacity import Capacity, capacity, max_sequences
from noptoolkit.serving.curve import ServingCurve, ServingPoint, serve
from noptoolkit.serving.server import Server, Speculation, StepCost
from noptoolkit.serving.times import StepTimes, step_times

__all__ = [
    "Capacity",
    "Server",
    "ServingCurve",
    "ServingPoint",
    "Speculation",
    "StepCost",
    "StepTimes",
    "capacity",
    "max_sequences",
    "serve",
    "step_times",
]
