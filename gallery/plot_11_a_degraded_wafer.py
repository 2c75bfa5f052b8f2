"""
A degraded wafer
================

What one lost die or one lost link costs: the time of an all-to-all among the chiplets that are left, over
that of the intact wafer, both by equal splitting over shortest paths.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

wafer = topology.wafer_mesh(2, 2, 3, 3)


def time_of(package: nop.Package) -> float:
    return nop.congestion(package, nop.traffic.all_to_all(package, "1 MB"), routing="ecmp").time


whole = time_of(wafer)
parts = [*wafer.terminals, *(channel.name for channel in wafer.channels[::2])]
slowdown = {part: time_of(wafer.without(part)) / whole for part in parts}
worst = max(slowdown, key=lambda part: slowdown[part])
print(f"worst: {worst}, {100 * (slowdown[worst] - 1):.0f} % slower")

plot.degradation(wafer, slowdown)
