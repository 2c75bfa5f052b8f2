"""Collective operations at their certified optimum: cuts, trees, bounds, and the algorithms of today."""

from noptoolkit.collectives.algorithms.classic import ALGORITHMS
from noptoolkit.collectives.comparing import AlgorithmComparison, compare_algorithms
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import collective
from noptoolkit.collectives.values.requests import KINDS, Request

__all__ = [
    "ALGORITHMS",
    "KINDS",
    "AlgorithmComparison",
    "CollectiveResult",
    "Request",
    "collective",
    "compare_algorithms",
]
