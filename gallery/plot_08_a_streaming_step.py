"""
A streaming step
================

Loading weights, attention, dispatch, experts and combine overlap where they can. The policies add one after
the other what the paper's ablation adds; the tick is the bound that no schedule of the same tasks can beat.
"""

import noptoolkit as nop
from noptoolkit import plot

package = nop.load_topology("mozart-nop-tree")
workload = nop.load_workload("olmoe-1b-7b")
plans = {
    policy: nop.schedule(package, workload, policy=policy)
    for policy in ("serial", "overlap", "all-to-all", "streaming")
}
plot.breakdown(plans)

# %%
# Some milliseconds of the streaming step: one group, its memory, its links.

rows = ("attn", "e0", "e1", "e2", "e3", "hbm0", "hbm4", "attn->sw0", "sw0->e0", "e0->sw0", "sw0->attn")
plot.schedule(plans["streaming"], window=("2 ms", "6 ms"), rows=rows)

# %%
# How busy every channel is over the whole step.

plot.utilisation(plans["streaming"])
