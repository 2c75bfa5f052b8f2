"""
Latency against load, of two router designs
===========================================

A bound says where a network must saturate; routers say where it does. Uniform random traffic on a mesh of
8 x 8 chiplets, X then Y: latency is flat, then rises steeply. The plain design (8 virtual channels of 8
flits) gives up before the bound of the fluid model, that with an internal speedup of 2 comes close to it.
"""

import numpy as np

import noptoolkit as nop
from noptoolkit import plot
from noptoolkit.simulate import BOOKSIM, BOOKSIM_SPEEDUP, Sampling, latency_curve, uniform

mesh = nop.topology.mesh(8)
traffic = uniform(mesh, itself=False)
flow = nop.congestion(mesh, nop.traffic.from_matrix(mesh, traffic.weight), routing="dor")
bound = traffic.weight.sum(axis=1).mean() / (flow.time_bound * 128e9)
rates = np.linspace(0.05, 0.5, 8)
quick = Sampling(period=1500)
for router in (BOOKSIM, BOOKSIM_SPEEDUP):
    curve = latency_curve(mesh, traffic, rates.tolist(), routing="dor", router=router, sampling=quick)
    print(curve.table())
    plot.latency(curve, bound=bound, title=f"mesh 8 x 8, speedup {router.speedup:g}")

# %%
# How the latencies of single packets are spread at a high load.

plot.latencies(curve.runs[-2])

# %%
# Which channels are busy at that load.

plot.busy_channels(curve.runs[-2])
