"""
Folding on a NoP-Tree, a mesh and a DGX
=======================================

Folding maps experts apart from attention over the same chiplets (MoE Parallel Folding, arXiv 2504.14960): an
expert group need not stand TP x CP ranks apart. What that is worth depends on which links its members use.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit.plans import ParallelPlan, plan_step

workload = nop.load_workload("qwen2-57b-a14b").replace(sequences=64, layers=4)
flops = {"flops": "100 TFLOP/s", "attention": False}
packages = {
    "NoP-Tree": nop.topology.nop_tree(4, 8, link_bandwidth="128 GB/s", **flops),
    "mesh": nop.topology.mesh(4, 8, link_bandwidth="128 GB/s", **flops),
    "DGX": nop.topology.dgx_h100(32),
}

# %%
# The same plan with and without folding: attention 4 x TP, experts over 8 chiplets. Without folding an expert
# group takes every fourth rank and an expert is cut by TP, too; folded it takes eight neighbours.

steps = {}
for name, package in packages.items():
    for folded in (False, True):
        split = ParallelPlan(tp=4, ep=8, etp=1 if folded else 4, folded=folded, micro_batches=8)
        steps[name, folded] = plan_step(split, workload, package)
        print(f"{name:8s} {'folded' if folded else 'before':6s} {steps[name, folded]!r}")

# %%
# Seconds of communication by dimension, on the busiest rank. The gain is in what experts no longer send.

fig, axes = plt.subplots(1, 3, figsize=(9, 3), constrained_layout=True)
for ax, package in zip(axes, packages, strict=True):
    for x, folded in enumerate((False, True)):
        bottom = 0.0
        for k, dimension in enumerate(("tp", "ep", "etp")):
            part = 1e3 * steps[package, folded].breakdown.get(f"{dimension} communication", 0.0)
            label = dimension.upper() if x == 0 else None
            ax.bar(x, part, bottom=bottom, color=f"C{k}", width=0.6, label=label)
            bottom += part
    gain = steps[package, False].time / steps[package, True].time
    ax.set(title=f"{package}: {gain:.2f} x as fast", xticks=[0, 1], xticklabels=["before", "folded"])
axes[0].set_ylabel("communication (ms)")
axes[0].legend(frameon=False)
