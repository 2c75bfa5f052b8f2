"""
Fewer copies against a hotter chiplet
=====================================

The layout that sends the fewest copies in this recorded layer has one chiplet work 37 % more than the mean,
and a layer waits for its hottest chiplet. Caps on that load trade the two: balanced to 2 %, a token needs 5.9
copies instead of 5.3; a cap of 1.1 beats Mozart's clustering (our reading of it) in both. Tokens that no
layout has seen (hollow) agree.
"""

import numpy as np

import noptoolkit as nop
from noptoolkit import plot

trace = nop.load_workload("stdlib-moe").trace.layer(3)
order = np.random.default_rng(0).permutation(trace.num_tokens)
fit, held_out = trace.tokens(order[::2]), trace.tokens(order[1::2])
package = nop.load_topology("mozart-nop-tree")

layouts = {
    "contiguous": nop.allocate(fit, package, method="contiguous"),
    "mozart": nop.allocate(fit, package, method="mozart"),
    "no cap": nop.allocate(fit, package, method="tabu"),
}
for cap in (1.25, 1.1, 1.05, 1.02):
    layouts[f"cap {cap}"] = nop.allocate(fit, package, method="tabu", cap_chiplet=cap)
for name, layout in layouts.items():
    print(f"{name:10s} C_T {layout.c_t(fit):.2f}, imbalance {layout.imbalance(fit):.2f}")
plot.pareto(layouts, fit, held_out=held_out)
