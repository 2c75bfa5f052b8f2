"""
A family's scaling from 16 to 1,024 chiplets
============================================

Uniform all-to-all among the chiplets of a mesh, a torus and a NoP-Tree on equal links, each by the routing of
its family. Small ones are certified; of the large ones the fixed routing's own time is shown.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

rows = []
for side in (4, 8, 16, 32):
    families = {
        "mesh, X then Y": (topology.mesh(side), "dor"),
        "torus, X then Y": (topology.torus(side), "dor"),
        "NoP-Tree": (topology.nop_tree(side, side), "shortest"),
    }
    for family, (package, routing) in families.items():
        flow = nop.congestion(package, nop.traffic.all_to_all(package, "1 MB"), routing=routing)
        rows.append({"chiplets": side * side, "family": family, "uniform": flow.time})
plot.scaling(rows, x="chiplets", y="uniform", by="family")

# %%
# The largest of the tori; wrap links end in stubs where the way round is long.

plot.topology(topology.torus(32))
