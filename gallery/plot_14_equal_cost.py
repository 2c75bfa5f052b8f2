"""
An equal-cost comparison
========================

Uniform all-to-all, exact times. With equal links the tree takes three times as long as the mesh; with the
same total bandwidth it is 2.5 times, with the same die edge for PHYs 1.25 times. The order stays, the size of
the difference is the yardstick's.
"""

import noptoolkit as nop
from noptoolkit import plot, topology
from noptoolkit.physical import normalise

families = {"tree": topology.nop_tree(4, 4), "mesh": topology.mesh(4), "torus": topology.torus(4)}
times = {}
for by in ("bandwidth", "beachfront"):
    level = normalise(list(families.values()), by=by)
    flows = [nop.congestion(one, nop.traffic.all_to_all(one, "1 MB"), routing="optimal") for one in level]
    times[by] = {name: flow.time for name, flow in zip(families, flows, strict=True)}
    plot.loads(flows, titles=[f"{name}, equal {by}" for name in families])
