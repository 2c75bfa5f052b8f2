"""
A streaming step
================

Loading weights, attention, dispatch, experts and combine overlap where they can. The policies add what the
paper's ablation adds: overlap halves the step of this small recorded model, copies in the switches halve it
again, the layout takes 5 % off. The tick is the bound that no schedule of the same tasks can beat. Large
models gain by overlap alone: on this package their attention, not the network, sets the time.
"""

import noptoolkit as nop
from noptoolkit import plot

package = nop.load_topology("mozart-nop-tree")
workload = nop.load_workload("stdlib-moe")
plans = {
    policy: nop.schedule(package, workload, policy=policy)
    for policy in ("serial", "overlap", "all-to-all", "streaming")
}
plot.breakdown(plans)

# %%
# A quarter of the streaming step: one group of chiplets, its memory and its links. The uplinks never rest.

rows = ("attn", "e0", "e1", "e2", "e3", "hbm0", "hbm4", "attn->sw0", "sw0->e0", "e0->sw0", "sw0->attn")
plot.schedule(plans["streaming"], window=("20 us", "50 us"), rows=rows)

# %%
# How busy every channel is over the whole step.

plot.utilisation(plans["streaming"])
