"""
Why a ring is not the best all-reduce on a mesh
===============================================

Ring all-reduce is called bandwidth-optimal, and on a ring it is. A mesh has half as many links again as two
rings can use, and its corners, where two links must do everything, rule out a fast reduce-scatter followed by
an all-gather. Spanning trees that reduce and broadcast at the same time use every link in both directions.
"""

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.collectives import compare_algorithms

mesh = nop.topology.mesh(4, 4, link_bandwidth="128 GB/s")
best = nop.collective(mesh, "all-reduce", "64 MB")
print(compare_algorithms(best).table())

# %%
# Every channel is busy all the time: none has anything left to give.

plot.collective(best)

# %%
# One of the trees: it spreads the sum that another one has collected along the same links.

plot.collective(best, tree=1)

# %%
# The proof is a partition: every chiplet is a part, and every byte enters or leaves parts 30 times.

print(best.cut)
print(best.verify())

# %%
# On larger meshes rings lose more: the optimum tends to half of the buffer per link, two rings to all of it.

for k in (4, 8, 16):
    mesh = nop.topology.mesh(k, k, link_bandwidth="128 GB/s")
    best = nop.collective(mesh, "all-reduce", "64 MB")
    rings = nop.collective(mesh, "all-reduce", "64 MB", algorithm="two rings", optimum=best)
    print(f"{k} x {k}: {best.time * 1e6:.1f} us, two rings {rings.time / best.time:.3f} times that")
