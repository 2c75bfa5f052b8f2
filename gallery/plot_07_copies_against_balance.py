"""
Fewer copies against a hotter chiplet
=====================================

A layout of few copies tends to pile hot experts up, and a layer waits for its hottest chiplet. A cap on the
load of each chiplet trades the two; tokens that the layout has not seen judge it.
"""

import numpy as np

import noptoolkit as nop
from noptoolkit import plot

trace = nop.load_workload("stdlib-moe").trace.layer(0)
order = np.random.default_rng(0).permutation(trace.num_tokens)
fit, held_out = trace.tokens(order[::2]), trace.tokens(order[1::2])
package = nop.load_topology("mozart-nop-tree")

layouts = {
    "contiguous": nop.allocate(fit, package, method="contiguous"),
    "mozart": nop.allocate(fit, package, method="mozart"),
    "no cap": nop.allocate(fit, package, method="tabu"),
}
for cap in (1.5, 1.25, 1.1):
    layouts[f"cap {cap}"] = nop.allocate(fit, package, method="tabu", cap_chiplet=cap)
plot.pareto(layouts, fit, held_out=held_out)
