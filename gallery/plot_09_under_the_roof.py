"""
Experts under the roof
======================

An expert reads its weights once per micro-batch, and its tokens' activations besides. The fewer tokens
share a reading, the further one HBM2 stack keeps it from its peak: why micro-batches must not be too
small, and why weights are streamed early. Even 8192 tokens stay below the roof if their activations
come from the stack too.
"""

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.nodes import expert_work

package = nop.load_topology("mozart-nop-tree")
model = nop.load_workload("qwen3-30b-a3b").model

works = {f"{tokens} tokens": expert_work(model, tokens) for tokens in (16, 128, 1024, 8192)}
plot.roofline(package["e0"], works, bandwidth={"one HBM2 stack": "256 GB/s"}, title="Qwen3 expert")
