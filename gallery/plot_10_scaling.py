"""
A family's scaling from 16 to 1,024 chiplets
============================================

Uniform all-to-all, 1 MB a pair, on links of 128 GB/s. With N chiplets a mesh, a torus and a NoP-Tree all take
a time that grows as N to the power of 1.5: a topology buys a factor (two from mesh to torus, three to four
from NoP-Tree to mesh), not another slope. Each is routed as its family is; every time is exact, for it meets
the bound of the package's bisection, which no routing can beat.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

flows, rows = {}, []
for side in (4, 8, 16, 32):
    families = {
        "mesh, X then Y": (topology.mesh(side), "dor"),
        "torus, X then Y": (topology.torus(side), "dor"),
        "NoP-Tree": (topology.nop_tree(side, side), "shortest"),
    }
    for family, (package, routing) in families.items():
        flow = nop.congestion(package, nop.traffic.all_to_all(package, "1 MB"), routing=routing)
        rows.append({"chiplets": side * side, "family": family, "uniform": flow.time})
        flows[family, side] = flow
print({flow.status for flow in flows.values()})
plot.scaling(rows, x="chiplets", y="uniform", by="family")

# %%
# Where the time goes on the mesh of 1,024 chiplets: to the channels in the middle of each row and column.

plot.load(flows["mesh, X then Y", 32])
