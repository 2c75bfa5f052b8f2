"""Collectives of many equal groups at once on a machine of two levels, in closed form.

The machine: nodes of g chiplets, each chiplet with ``inner`` B/s to the switch of its node, and with
``outer`` B/s to a fabric that all share, or to rails under a spine of full bisection; switches only forward
and are never the limit. Groups of n members
cover all chiplets, n_i of them in each of the n / n_i nodes that a group touches. With w bytes that every
member owns (of which an all-to-all sends w / n to each member):

* all-gather, reduce-scatter: each member receives (n - 1) w, and a node all shares from outside,
  T = max((n - 1) w / (inner + outer), (n - n_i) w / (n_i outer));
* all-to-all: T = max((1 - 1/n) w / (inner + outer), (1 - n_i/n) w / outer);
* messages of w bytes from each member to the next: T = max(w / (inner + outer), c w / (g outer)), c the most
  messages that leave or enter a node.

Both are cuts (a chiplet's ports; a node's links to the fabric), and are reached: every share enters a node
once, over the links of all its members, and is spread inside; what is left of the outer links carries
traffic of the node itself. So they are exact for the graph, and equal to what `noptoolkit.collective` finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.package import Package
from noptoolkit.plans.node_levels import two_levels_of

__all__ = ["TwoLevels", "two_levels"]


@dataclass(frozen=True, eq=False)
class TwoLevels:
    """A machine of two levels.

    Parameters
    ----------
    node
        Node of each chiplet, [chiplets].
    inner, outer
        Bandwidth of a chiplet to its node's switches and to the fabric, in B/s; 0 where there is none.
    """

    node: Ints
    inner: float
    outer: float

    def inside(self, groups: Ints) -> int | None:
        """Return n_i of groups, [groups, members] of chiplets; None where it is not one number for all."""
        size = groups.shape[1]
        nodes = np.sort(self.node[groups], axis=1)
        first = nodes[:, :1] == nodes
        count = int(first[0].sum())
        if size % count:
            return None
        blocks = nodes.reshape(len(groups), size // count, count)
        alike = (blocks == blocks[:, :, :1]).all()
        apart = (np.diff(blocks[:, :, 0], axis=1) > 0).all()
        return count if alike and apart else None

    def time(self, kind: str, groups: Ints) -> float | None:
        """Return the time per byte w of all groups at once, in s/B; None outside the model."""
        size = groups.shape[1]
        if kind == "send":
            return self._send(groups)
        covers = groups.size == len(self.node) and len(np.unique(groups)) == groups.size
        inside = self.inside(groups) if covers else None
        if inside is None or (inside < size and not self.outer):
            return None
        ports = self.inner + self.outer
        if kind in ("all-gather", "reduce-scatter"):
            crossing = (size - inside) / (inside * self.outer) if inside < size else 0.0
            return float(max((size - 1) / ports, crossing))
        if kind == "all-to-all":
            crossing = (1 - inside / size) / self.outer if inside < size else 0.0
            return float(max((1 - 1 / size) / ports, crossing))
        return None

    def _send(self, groups: Ints) -> float | None:
        """Return the time per byte of messages from each member to the next, in s/B."""
        there, here = self.node[groups[:, 1:]].ravel(), self.node[groups[:, :-1]].ravel()
        leave = np.bincount(here[here != there], minlength=int(self.node.max()) + 1)
        enter = np.bincount(there[here != there], minlength=int(self.node.max()) + 1)
        crossing = float(max(leave.max(), enter.max()))
        if crossing and not self.outer:
            return None
        chiplets = len(self.node) / len(leave)
        return max(1 / (self.inner + self.outer), crossing / (chiplets * self.outer) if crossing else 0.0)


def two_levels(package: Package, chiplets: tuple[str, ...]) -> TwoLevels | None:
    """Return a package as a machine of two levels, or None where it is not one.

    Parameters
    ----------
    chiplets
        The members, all chiplets of the package. A star is a single node.

    Examples
    --------
    >>> from noptoolkit.topology import star
    >>> package = star(8, link_bandwidth="450 GB/s", attention=False)
    >>> found = two_levels(package, package.experts)
    >>> found.inner, found.outer
    (450000000000.0, 0.0)
    """
    found = two_levels_of(package)
    places = {chiplet.name: i for i, chiplet in enumerate(package.chiplets)}
    if found is None or set(chiplets) != set(places):
        return None
    below = found.card * np.bincount(found.rail, minlength=len(found.spine))
    if (found.spine < below * (1 - 1e-9)).any():
        return None  # a spine that can be the limit
    node = found.node[[places[name] for name in chiplets]]
    if np.ptp(np.bincount(node)):
        return None
    return TwoLevels(node, found.inner, found.card)
