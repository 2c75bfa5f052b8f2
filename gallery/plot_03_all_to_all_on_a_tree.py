"""
What a NoP-Tree does to all-to-all, and when it wins
====================================================

On equal links a plain tree is three times slower than the 4x4 mesh for a uniform all-to-all: what three
quarters of the experts send to a group shares one uplink. Uplinks four times as wide take that away. All
times are exact.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

packages = [
    topology.nop_tree(4, 4).replace(name="NoP-Tree"),
    topology.nop_tree(4, 4, uplink_bandwidth="512 GB/s").replace(name="NoP-Tree, 4x uplinks"),
    topology.mesh(4).replace(name="mesh"),
]
uniform = [nop.congestion(package, nop.traffic.all_to_all(package, "1 MB")) for package in packages]
print(*uniform, sep="\n")
plot.loads(uniform)

# %%
# Dispatch from one attention chiplet is another matter: the tree's switches copy each token on the way down.
# It wins against routers that cannot copy; against a mesh whose routers copy too, it loses again.

trace = nop.load_workload("qwen3-30b-a3b").trace.layer(0).tokens(slice(0, 512))
dispatches = []
for name in ("mozart-nop-tree", "mesh-4x4", "mesh-4x4-in-network"):
    package = nop.load_topology(name)
    layout = nop.allocate(trace, package, method="contiguous")
    demand = nop.traffic.dispatch(package, trace, layout, token_bytes="8 kB", degree="in-network")
    dispatches.append(nop.congestion(package, demand))
print(*dispatches, sep="\n")
plot.loads(dispatches)
