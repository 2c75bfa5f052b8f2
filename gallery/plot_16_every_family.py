"""
Every family
============

The presets, each a file in ``topologies/``: drawn where the chiplets stand, or as a tree or on a
circle where the links would tangle.
"""

import matplotlib.pyplot as plt

import noptoolkit as nop
from noptoolkit import plot

names = nop.formats.list_topologies()
margins = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.955, "hspace": 0.5, "wspace": 0.12}
with plot.style("page"), plt.rc_context({"font.size": 7, "axes.titlesize": 7.5}):
    figure, axes = plt.subplots(
        -(-len(names) // 5), 5, figsize=(7.16, 14), layout="none", gridspec_kw=margins
    )
    for ax in axes.flat:
        ax.axis("off")
    for ax, name in zip(axes.flat, names, strict=False):
        plot.topology(nop.load_topology(name), ax, legend=False, labels=False, title=name)
