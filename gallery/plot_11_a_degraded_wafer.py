"""
A degraded wafer
================

What one lost link or one lost die costs: the time of an all-to-all among the chiplets that are left, over
that of the intact wafer, both by equal splitting over shortest paths. In the middle a link costs up to 48 %
and a die up to 38 %, at the rim next to nothing. These are times of one routing; another may do better.
"""

import noptoolkit as nop
from noptoolkit import plot, topology
from noptoolkit.study import resilience

wafer = topology.wafer_mesh(2, 2, 3, 3)
demand = nop.traffic.all_to_all(wafer, "1 MB")
losses = [resilience(wafer, demand, of=kind, routing="ecmp") for kind in ("links", "chiplets")]
for loss in losses:
    print(f"worst: {', '.join(loss.worst)}, {100 * (loss.slowdown.max() - 1):.0f} % slower")

plot.degradation(losses)
