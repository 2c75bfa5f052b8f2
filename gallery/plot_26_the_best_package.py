"""
What any package could do
=========================

How far is each topology from *any* package with its ports? At 1 nothing is faster, however it is wired and
whatever its routing: rings, flattened butterflies and the Slim NoC of 50 chiplets are optimal, the mesh and
the tree lose more the larger they are.
"""

import noptoolkit as nop
from noptoolkit import plot, study
from noptoolkit.whatif import rewiden

distances = study.distances_to_bound(sizes=(16, 64))
print(distances.table())
plot.bound_distances(distances)

# %%
# The paper's question: what is the best package for the tokens of a model? Two conventions of die edge give
# two answers. If switches are free, a hub that copies is as fast as any package can be; if all dies pay,
# chiplets that copy and are fully connected are. No topology is left to find where edge is split freely.

trees = ["tree as drawn", "tree, best trunk width", "tree, best widths"]
among = [*trees, "one hub that copies", "mesh whose routers copy"]
(answer,) = study.best_package("olmoe-1b-7b", allocator="contiguous", step=False, among=among)
print(answer)
plot.best_packages(answer)

# %%
# Most of the tree's distance is not its shape but its widths: trunks carry twice what leaves do. The same
# links with the same total at chiplets, each as wide as its load:

tree = nop.load_topology("mozart-nop-tree")
dispatch = nop.run(tree, "olmoe-1b-7b", allocator="contiguous").dispatch_traffic
plot.widths(rewiden(tree, dispatch, "beachfront"))

# %%
# The hub that attains the bound where switches are free. Its one switch carries everything, and most of its
# links are too long for UCIe.

plot.topology(answer.contenders[3].package)
