"""Load on every channel: fixed routings, the certified optimum, multicast; bounds and their verification."""

from typing import Any

from noptoolkit import _moved
from noptoolkit.flow.bandwidth_curves import BandwidthCurve
from noptoolkit.flow.best_widths import BestWidths, best_widths
from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.flow.bounds.cuts import Cut
from noptoolkit.flow.evaluation import congestion
from noptoolkit.flow.ladder import Ladder
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.upgrades import Upgrade
from noptoolkit.routing.rules import ROUTINGS

__all__ = [
    "ROUTINGS",
    "BandwidthCurve",
    "BestWidths",
    "Cut",
    "FlowResult",
    "Ladder",
    "Upgrade",
    "best_widths",
    "congestion",
    "proved_bisection",
]


def __getattr__(name: str) -> Any:
    return _moved.attribute(__name__, name)
