"""What no package of given dies can beat, for want of room on them.

No package of these dies whose links are as wide one way as the other beats `room_bound`: a die's sides let no
more through than their length, and half its area holds its PHYs, wherever it lies and whatever it is linked
to. Links wider one way could halve one traffic, but not a dispatch and the combine of the same bytes:
s / x + s / (room - x) is least where x is half of the room.
"""

from __future__ import annotations

import numpy as np

from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.physical import TECHNOLOGIES, Technology
from noptoolkit.physical.feasibility import SHARE_OF_PHYS
from noptoolkit.traffic import Traffic

__all__ = ["room_bound"]


def room_bound(
    package: Package, traffic: Traffic, technology: str = "ucie-2d", *, roots_alone: bool = False
) -> float:
    """Return what a traffic takes at least, in s, on any package of these dies that a technology builds.

    Its links have one bandwidth for both directions.

    Parameters
    ----------
    roots_alone
        Whether only chiplets that send messages to sets count: what leaves them is the same in every layout
        (but for tokens whose experts they hold themselves).

    Raises
    ------
    TopologyError
        If a chiplet with traffic has no size.
    """
    chosen, needs = TECHNOLOGIES[technology], needs_of(traffic)
    sets = traffic.multicast
    roots = set() if sets is None else {traffic.endpoints[i] for i in np.unique(sets.root).tolist()}
    times = [0.0]
    for name, amount in zip(needs.names, needs.busier_way.tolist(), strict=True):
        if amount > 0 and not (roots_alone and name not in roots):
            size = package[name].size
            if size is None:
                raise TopologyError(f"package {package.name!r}: {name!r} has no size, and so no edge")
            times.append(2 * amount / room_of(size, chosen))
    return max(times)


def room_of(size: tuple[float, float], chosen: Technology) -> float:
    """Return the bandwidth of all links that a die has room for, both directions, in B/s."""
    width, height = size
    room = 2 * (width + height) * chosen.edge_density
    if chosen.areal_density is not None:
        room = min(room, SHARE_OF_PHYS * width * height * chosen.areal_density)
    return room
