"""
An equal-cost comparison
========================

A torus has more links than a tree; with equal links it also has more wire. Scaled so that all take the same
die edge for their PHYs, or the same total bandwidth, the packages compete on equal terms.
"""

import noptoolkit as nop
from noptoolkit import plot, topology
from noptoolkit.physical import normalise

packages = [topology.nop_tree(4, 4), topology.mesh(4), topology.torus(4)]
packages = [package.replace(name=package.name.split("-")[0]) for package in packages]
for by in ("bandwidth", "beachfront"):
    level = normalise(packages, by=by)
    flows = [nop.congestion(one, nop.traffic.all_to_all(one, "1 MB"), routing="optimal") for one in level]
    titles = [f"{one.name}, equal {by}" for one in level]
    plot.loads(flows, titles=titles)
