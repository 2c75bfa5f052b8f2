"""Demands between endpoints: plain patterns, and dispatch and combine of a mixture-of-experts layer."""

from noptoolkit.traffic.demand import DestinationSets, Traffic, from_matrix
from noptoolkit.traffic.patterns import all_to_all, hotspot, permutation, transpose
from noptoolkit.traffic.routed import combine, dispatch

__all__ = [
    "DestinationSets",
    "Traffic",
    "all_to_all",
    "combine",
    "dispatch",
    "from_matrix",
    "hotspot",
    "permutation",
    "transpose",
]
