"""
The way of one token
====================

A token goes to the chiplets of its top-k experts. Sent once per expert it crosses the trunks several times;
once per chiplet is less; a switch that replicates needs one copy on each channel of the tree.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.allocation import Allocation

package = nop.load_topology("mozart-nop-tree")
layout = Allocation(package.experts, [[expert // 4 for expert in range(64)]])  # four experts on each chiplet
token = nop.RoutingTrace([[0, 1, 5, 22, 23, 26, 40, 63]], num_experts=64)

with plot.style("page"):
    _, axes = plt.subplots(1, 2, figsize=(7.16, 4.2))
    for degree, ax in zip(("copies", "in-network"), axes, strict=True):
        demand = nop.traffic.dispatch(package, token, layout, token_bytes="4 kB", degree=degree)
        plot.multicast(nop.congestion(package, demand), ax, title=degree)
