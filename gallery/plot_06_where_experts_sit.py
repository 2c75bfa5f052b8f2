"""
Where each expert should sit
============================

Experts that tokens use together belong on one chiplet: what lies within the frames costs no further copy.
C_T is the mean number of chiplets that a token has to reach.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

trace = nop.load_workload("stdlib-moe").trace
package = nop.load_topology("mozart-nop-tree")
layout = nop.allocate(trace, package, method="tabu")

with plot.style("page"):
    _, axes = plt.subplots(1, 2, figsize=(7.16, 3.5))
    plot.coactivation(trace, None, axes[0], bar=False)
    plot.coactivation(trace, layout, axes[1])

# %%
# The same layout on the package, coloured by how hot each chiplet gets.

plot.layout(package, layout, trace)
