"""The capacities of a package, straight from its nodes and links."""

from __future__ import annotations

import numpy as np

from noptoolkit.package import Chiplet, Memory, Package

__all__ = ["Resources"]


class Resources:
    """What each crossing of a channel, and each byte sent or received, uses.

    A channel uses itself, or its link where that is half duplex, and the crossbar that it enters.

    Attributes
    ----------
    capacity
        In B/s, [resources].
    uses
        Resources of each of ``package.channels``.
    sends, receives
        Resource by the name of a node: its port or its injection, its port or its ejection.
    """

    def __init__(self, package: Package) -> None:
        self.uses: list[list[int]] = []
        self.sends: dict[str, int] = {}
        self.receives: dict[str, int] = {}
        capacity: list[float] = []
        place: dict[object, int] = {}
        for channel in package.channels:
            key = ("link", channel.link) if package.links[channel.link].half_duplex else channel.name
            if key not in place:
                place[key] = len(capacity)
                capacity.append(channel.bandwidth)
            self.uses.append([place[key]])
        for node in package.nodes:
            if isinstance(node, Memory):
                self.sends[node.name] = self.receives[node.name] = len(capacity)
                capacity.append(node.bandwidth)
                continue
            if node.crossbar_bandwidth is not None:
                for use, channel in zip(self.uses, package.channels, strict=True):
                    if channel.head == node.name:
                        use.append(len(capacity))
                capacity.append(node.crossbar_bandwidth)
            if isinstance(node, Chiplet) and node.injection_bandwidth is not None:
                self.sends[node.name] = len(capacity)
                capacity.append(node.injection_bandwidth)
            if isinstance(node, Chiplet) and node.ejection_bandwidth is not None:
                self.receives[node.name] = len(capacity)
                capacity.append(node.ejection_bandwidth)
        self.capacity = np.array(capacity)
