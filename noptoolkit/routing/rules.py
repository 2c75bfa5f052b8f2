"""Routings by name, and what may stand for a name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from noptoolkit._names import resolve
from noptoolkit.routing.dimension_order_routing import dimension_order
from noptoolkit.routing.forwarding import ForwardingRule, climb_then_descend, split_equally, take_first
from noptoolkit.routing.given_paths import PathFunction, PathTable

__all__ = ["FORWARDING", "Routing", "UpDown", "rule_of"]


@dataclass(frozen=True)
class UpDown:
    """Up*/down* routing from a root of one's choice; ``up-down`` takes the most central node.

    Parameters
    ----------
    root
        Name of the node at the top of the tree.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> from noptoolkit.flow import congestion
    >>> from noptoolkit.traffic import from_matrix
    >>> ring = Package("ring", [Chiplet(n) for n in "abc"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "ca")])
    >>> flow = congestion(ring, from_matrix(ring, [[0, 0, 0], [0, 0, 1e9], [0, 0, 0]]), routing=UpDown("a"))
    >>> flow.time, flow.routing
    (1.0, 'up-down from a')
    """

    root: str

    def __str__(self) -> str:
        return f"up-down from {self.root}"


Routing = PathFunction | PathTable | UpDown
"""What may stand for the name of a routing: the path of every pair, as a function or a table; or `UpDown`."""


FORWARDING: dict[str, ForwardingRule] = {
    "shortest": take_first,
    "ecmp": split_equally,
    "dor": dimension_order,
    "up-down": climb_then_descend,
}
"""The routings that forward by destination alone: what latency and deadlock are asked of."""


def rule_of(routing: str | UpDown) -> ForwardingRule:
    """Return how a routing forwards by destination."""
    if isinstance(routing, UpDown):
        return partial(climb_then_descend, root=routing.root)
    return resolve(routing, FORWARDING, "routing by destination")
