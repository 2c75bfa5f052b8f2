"""
Packages that a search found
============================

The best topology found of 16 chiplets with four ports, no link longer than two pitches: 7.15 for a uniform
all-to-all of 1 over links of 1, where the folded torus takes 8 and no graph less than 6.81. It looks the
same after a quarter turn, and not in a mirror: of graphs that keep reflections too, the best takes 7.6.
"""

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.bounds import grid_class, room_bound
from noptoolkit.search import search
from noptoolkit.study.rows_of_dies import package_in_rows

within = grid_class(4, ports=4, reach=2, bandwidth="1 GB/s", links="single")
demand = nop.traffic.all_to_all(nop.topology.mesh(4), "1 GB")
found = search(within, demand, solves=40, screens=0, name="found-4x4")
print(found.table())
plot.topology(found.package)

# %%
# The best package found for the tokens of OLMoE that can be built at the cost of Mozart's tree: chiplets in
# rows round the attention chiplet, linked with all that lies in reach, widths as the sides of the dies allow.
# Nothing of these dies is faster than what the attention chiplet's own edge lets out.

tree = nop.load_topology("mozart-nop-tree")
dispatch = nop.run(tree, "olmoe-1b-7b", allocator="contiguous").dispatch_traffic
rows, time = package_in_rows(tree, dispatch)
print(f"dispatch + combine: {2e6 * time:.2f} us, at least {2e6 * room_bound(tree, dispatch):.2f} us")
plot.topology(rows)
