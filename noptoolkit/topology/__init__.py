"""Builders: from a few sizes to a package. `BUILDERS` names them all.

Every builder takes the options of `Parts` (bandwidths, chiplet parameters, attention chiplet, memory stacks).
"""

from __future__ import annotations

from collections.abc import Callable

from noptoolkit.package import Package
from noptoolkit.topology.grids import mesh, torus
from noptoolkit.topology.parts import Parts
from noptoolkit.topology.regular import fully_connected, random_regular
from noptoolkit.topology.rings import ring
from noptoolkit.topology.trees import nop_tree, star

__all__ = [
    "BUILDERS",
    "Parts",
    "fully_connected",
    "mesh",
    "nop_tree",
    "random_regular",
    "ring",
    "star",
    "torus",
]

BUILDERS: dict[str, Callable[..., Package]] = {
    "nop_tree": nop_tree,
    "star": star,
    "mesh": mesh,
    "torus": torus,
    "ring": ring,
    "fully_connected": fully_connected,
    "random_regular": random_regular,
}
