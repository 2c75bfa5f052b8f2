"""Collective operations at their certified optimum: cuts, trees, bounds, and the algorithms of today."""

from noptoolkit.collectives.requests import KINDS, Request
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import collective

__all__ = ["KINDS", "CollectiveResult", "Request", "collective"]
