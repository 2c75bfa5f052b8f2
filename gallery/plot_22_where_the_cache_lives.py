"""
Where the KV cache should live
==============================

At a long context a step of decode reads more keys and values than weights. On the NoP-Tree they may lie
on the attention chiplet's two stacks; be dealt over all six, by sequence, and cross the tree to the
attention chiplet; or attention itself may run on the expert chiplets, each with sequences of its own
(data-parallel) or with some heads of every sequence (tensor-parallel). Near the attention chiplet few
sequences are fastest; dealt out, caches fit twice as many and use the bandwidth of all stacks, which
pays from about sixteen sequences on. Attention on the experts' chiplets loads its weights on every one
of them, or sends every token to all.
"""

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.serving import serve

package, workload = nop.load_topology("mozart-nop-tree"), nop.load_workload("olmoe-1b-7b")
places = {
    "attention chiplet's stacks": {},
    "dealt over all stacks": {"cache": "sequences"},
    "attention on the experts, by sequence": {"hosts": "experts"},
    "attention on the experts, by head": {"hosts": "experts", "attention": "tensor"},
}

curves = {
    name: serve(package, workload, context=4096, batch="1,4,16,32,64", **place)
    for name, place in places.items()
}
plot.serving(curves)

# %%
# How many sequences fit, and how fast they are served.
for name, curve in curves.items():
    most = curve.room.sequences
    print(f"{name}: {most} sequences fit, {curve.at(16).token_time * 1e3:.1f} ms per token at 16")
