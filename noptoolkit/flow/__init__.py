"""Load on every channel of a package under a traffic: fixed routings, the optimal one, and proofs of both."""

from noptoolkit.flow.measure import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.routings import ROUTINGS

__all__ = ["ROUTINGS", "FlowResult", "congestion"]
