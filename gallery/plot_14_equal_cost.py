"""
An equal-cost comparison
========================

A torus has more links than a tree; with equal links it also has more wire. Scaled so that all take the same
die edge for their PHYs, or the same total bandwidth, the packages compete on equal terms.
"""

import noptoolkit as nop
from noptoolkit import plot, topology
from noptoolkit.physical import normalise

families = {"tree": topology.nop_tree(4, 4), "mesh": topology.mesh(4), "torus": topology.torus(4)}
for by in ("bandwidth", "beachfront"):
    level = normalise(list(families.values()), by=by)
    flows = [nop.congestion(one, nop.traffic.all_to_all(one, "1 MB"), routing="optimal") for one in level]
    plot.loads(flows, titles=[f"{name}, equal {by}" for name in families])
