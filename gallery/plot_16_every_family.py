"""
Every family
============

The presets, each a file in ``topologies/``: drawn where the chiplets stand, or as a tree or on a
circle where the links would tangle.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

margins = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.965, "hspace": 0.35, "wspace": 0.12}
with plot.style("page"):
    figure, axes = plt.subplots(8, 5, figsize=(7.16, 11.5), layout="none", gridspec_kw=margins)
    for ax in axes.flat:
        ax.axis("off")
    for ax, name in zip(axes.flat, nop.formats.list_topologies(), strict=False):
        plot.topology(nop.load_topology(name), ax, legend=False, labels=False, title=name)
