"""
Which batch makes a NoP-Tree's experts worth loading
====================================================

One token of Qwen3-30B uses 8 of 128 experts in each layer, so a step of decode with one sequence reads a
tenth of the model. Sixteen sequences already touch 80 experts, and each step reads nearly all of them for
few tokens: throughput rises, but so does the time per token. From about 60 sequences on all experts are
loaded anyway, and further sequences cost only their keys and values. The circle is the batch of the greatest
throughput over latency; where the line is dotted, the caches no longer fit beside the weights.
"""

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.serving import serve

workload = nop.load_workload("qwen3-30b-a3b")

curves = {
    name: serve(nop.load_topology(name), workload, context=2048, batch="1:256:16", scheduled=10)
    for name in ("mozart-nop-tree", "mesh-4x4")
}
plot.serving(curves)

# %%
# The same as a table: experts touched, and what fits.
print(curves["mozart-nop-tree"].table())
