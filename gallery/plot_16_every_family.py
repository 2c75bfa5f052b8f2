"""
Every family
============

One package of each topology family, drawn where its chiplets stand; the presets are files in ``topologies/``.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

families = (
    "mozart-nop-tree-compact mozart-nop-tree-deep fat-tree-16 star-16 concentrated-mesh-16 dragonfly-16 "
    "ring-16 express-ring-16 mesh-4x4 torus-4x4 folded-torus-4x4 wafer-mesh-16 flattened-butterfly-4x4 "
    "sparse-hamming-4x4 hypercube-16 slim-noc-18 random-regular-16 fully-connected-16 octamesh-4x4 "
    "octatorus-4x4 folded-octatorus-4x4 hexamesh-19 hexatorus-19 folded-hexatorus-19 kite-small-4x4 "
    "kite-medium-4x4 kite-large-4x4 double-butterfly-4x4 butter-donut-4x4 cluscross-v1-4x4 cluscross-v2-4x4 "
    "sid-mesh-4x4 mesh-3d-4x2x2 torus-3d-4x2x2 ring-of-meshes-16"
).split()

margins = {"hspace": 0.3, "left": 0.02, "right": 0.98, "top": 0.96, "bottom": 0.01}
figure, axes = plt.subplots(7, 5, figsize=(11, 16), gridspec_kw=margins)
for ax, name in zip(axes.flat, families, strict=True):
    plot.topology(nop.load_topology(name), ax, legend=False, labels=False, title=name)
