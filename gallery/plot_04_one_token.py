"""
The way of one token
====================

Six chiplets hold the eight experts of a token. Sent once per expert, it crosses two trunks of the tree three
times; sent once per chiplet, twice; where switches replicate it, every channel of the tree carries one copy.
On a mesh whose routers replicate, the copies part as late as their shortest paths do. Counts are exact.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.allocation import Allocation

token = nop.RoutingTrace([[0, 1, 5, 22, 23, 26, 40, 63]], num_experts=64)
said = {"copies": "a copy per expert", "chiplets": "a copy per chiplet", "in-network": "copied on the way"}
packages = {"tree": "mozart-nop-tree", "mesh": "mesh-4x4-in-network"}

with plot.style("page"):
    figure, axes = plt.subplots(2, 3, figsize=(7.16, 5.3), height_ratios=(1.3, 1))
    for shape, row in zip(packages, axes, strict=True):
        package = nop.load_topology(packages[shape])
        layout = Allocation(package.experts, [[expert // 4 for expert in range(64)]])  # four on each chiplet
        for degree, ax in zip(said, row, strict=True):
            demand = nop.traffic.dispatch(package, token, layout, token_bytes="4 kB", degree=degree)
            flow = nop.congestion(package, demand, routing="ecmp")
            plot.multicast(flow, ax, title=f"{shape}: {said[degree]}", legend=ax is axes[1, 1])
