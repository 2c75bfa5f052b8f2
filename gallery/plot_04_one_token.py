"""
The way of one token
====================

Six chiplets hold the eight experts of a token. Sent once per expert, it crosses two trunks of the tree three
times; sent once per chiplet, twice; where switches replicate it, every channel of the tree carries one copy.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.allocation import Allocation

token = nop.RoutingTrace([[0, 1, 5, 22, 23, 26, 40, 63]], num_experts=64)


def draw(name, degree, ax, title):
    package = nop.load_topology(name)
    layout = Allocation(package.experts, [[expert // 4 for expert in range(64)]])  # four on each chiplet
    demand = nop.traffic.dispatch(package, token, layout, token_bytes="4 kB", degree=degree)
    plot.multicast(nop.congestion(package, demand, routing="ecmp"), ax, title=title, legend=ax is axes[1])


with plot.style("page"):
    _, axes = plt.subplots(1, 3, figsize=(7.16, 3.2))
    for degree, ax in zip(("copies", "chiplets", "in-network"), axes, strict=True):
        draw("mozart-nop-tree", degree, ax, degree)

# %%
# The same on a mesh whose routers can copy: the multicast tree of shortest paths.

with plot.style("page"):
    _, axes = plt.subplots(1, 3, figsize=(7.16, 2.6))
    for degree, ax in zip(("copies", "chiplets", "in-network"), axes, strict=True):
        draw("mesh-4x4-in-network", degree, ax, degree)
