"""Serving: what steps of prefill and decode make of requests.

`serve` gives the latency-throughput curve of a package; `Server` schedules steps and remembers them;
`max_sequences` says how many sequences fit; `disaggregate` parts prefill and decode; `stationary` and
`simulate_requests` answer for a stream of requests, `stream_of` with both on the server of a curve.
"""

from noptoolkit.serving.capacity import Capacity, capacity, max_sequences
from noptoolkit.serving.curve import ServingCurve, ServingPoint
from noptoolkit.serving.disaggregation import Disaggregated, disaggregate
from noptoolkit.serving.events import RequestRun, simulate_requests
from noptoolkit.serving.figures import FIGURES
from noptoolkit.serving.over_batches import serve
from noptoolkit.serving.published import PUBLISHED, Published, published_table
from noptoolkit.serving.requests import Lengths, Requests
from noptoolkit.serving.server import Server, Speculation, StepCost
from noptoolkit.serving.stationary import Stationary, stationary
from noptoolkit.serving.streaming import Stream, stream_of
from noptoolkit.serving.times import StepTimes, step_times

__all__ = [
    "FIGURES",
    "PUBLISHED",
    "Capacity",
    "Disaggregated",
    "Lengths",
    "Published",
    "RequestRun",
    "Requests",
    "Server",
    "ServingCurve",
    "ServingPoint",
    "Speculation",
    "Stationary",
    "StepCost",
    "StepTimes",
    "Stream",
    "capacity",
    "disaggregate",
    "max_sequences",
    "published_table",
    "serve",
    "simulate_requests",
    "stationary",
    "step_times",
    "stream_of",
]
