"""Collective operations at their certified optimum: cuts, trees, bounds, and the algorithms of today."""

from noptoolkit.collectives.classic import ALGORITHMS
from noptoolkit.collectives.comparing import AlgorithmComparison, compare_algorithms
from noptoolkit.collectives.requests import KINDS, Request
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import collective

__all__ = [
    "ALGORITHMS",
    "KINDS",
    "AlgorithmComparison",
    "CollectiveResult",
    "Request",
    "collective",
    "compare_algorithms",
]
