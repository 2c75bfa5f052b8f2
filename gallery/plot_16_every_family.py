"""
Every family
============

The presets, each a file in ``topologies/``: drawn where the chiplets stand, or as a tree or on a
circle where the links would tangle.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

margins = {"hspace": 0.35, "left": 0.02, "right": 0.98, "top": 0.96, "bottom": 0.01}
figure, axes = plt.subplots(8, 5, figsize=(11, 18), gridspec_kw=margins)
for ax in axes.flat:
    ax.axis("off")
for ax, name in zip(axes.flat, nop.formats.list_topologies(), strict=False):
    plot.topology(nop.load_topology(name), ax, legend=False, labels=False, title=name)
