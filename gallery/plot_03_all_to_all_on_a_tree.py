"""
What a NoP-Tree does to all-to-all, and when it wins
====================================================

On equal links a plain tree is three times slower than the 4x4 mesh for a uniform all-to-all: 48 messages of
each group share one uplink. Uplinks four times as wide take that away, and the leaf links are the limit.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

packages = [
    topology.nop_tree(4, 4).replace(name="NoP-Tree"),
    topology.nop_tree(4, 4, uplink_bandwidth="512 GB/s").replace(name="NoP-Tree, 4x uplinks"),
    topology.mesh(4).replace(name="mesh"),
]
flows = [nop.congestion(package, nop.traffic.all_to_all(package, "1 MB")) for package in packages]
for flow in flows:
    print(flow)

# %%
# Width is bandwidth, darkness the time that a channel is busy.

plot.loads(flows)
