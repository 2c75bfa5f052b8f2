"""
Every family
============

The presets, each a file in ``topologies/``: drawn where the chiplets stand, or as a tree or on a
circle where the links would tangle.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

with plot.style("page"):
    figure, axes = plt.subplots(8, 5, figsize=(7.16, 11.5))
    for ax in axes.flat:
        ax.axis("off")
    for ax, name in zip(axes.flat, nop.formats.list_topologies(), strict=False):
        plot.topology(nop.load_topology(name), ax, legend=False, labels=False, title=name)
