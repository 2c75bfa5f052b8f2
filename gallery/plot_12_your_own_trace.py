"""
Bringing your own trace
=======================

A trace is an array of expert ids, [layers, tokens, k]: from a router's top-k, a file (``nop.load_trace``), or
drawn from the calibrated generator, which says so wherever its results appear.
"""

import numpy as np

import noptoolkit as nop
from noptoolkit import plot

rng = np.random.default_rng(0)
logits = rng.normal(size=(2, 2000, 32)) + np.linspace(1.0, 0.0, 32)  # a router that likes low ids
trace = nop.RoutingTrace(np.argsort(-logits, axis=2)[:, :, :4], num_experts=32)
print(trace)

package = nop.load_topology("mesh-4x4")
layout = nop.allocate(trace, package, method="descent")
demand = nop.traffic.dispatch(package, trace, layout, token_bytes="5760 B", degree="chiplets")
plot.load(nop.congestion(package, demand, routing="ecmp"))

# %%
# Who sends to whom: without the attention chiplet, tokens live on the experts' chiplets.

plain = nop.topology.mesh(4)
plot.traffic(nop.traffic.dispatch(plain, trace, layout, token_bytes="5760 B", degree="chiplets"))
