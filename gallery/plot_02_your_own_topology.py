"""
Your own topology, in Python and in TOML
========================================

A package is a typed graph: chiplets, switches, memory stacks, links. Write it in Python, or in a file that
anybody can read; both give the same package.
"""

import tempfile
from pathlib import Path

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Switch, plot

experts = [Chiplet(f"e{i}", flops="74 TFLOP/s", role="expert") for i in range(4)]
nodes = [Chiplet("attn", flops="74 TFLOP/s", role="attention"), Switch("hub", replicates=True), *experts]
nodes += [Memory("hbm", capacity="8 GiB", bandwidth="256 GB/s")]
links = [Link("attn", "hub", bandwidth="512 GB/s"), Link("hbm", "attn", bandwidth="256 GB/s", kind="memory")]
links += [Link("hub", expert.name, bandwidth="128 GB/s") for expert in experts]
package = nop.Package("star-4", nodes, links)
print(package)

# %%
# The same idea as a file: a builder and its parameters.

text = """
schema = 1
name = "small tree"
source = "an example"
builder = "nop_tree"
[params]
groups = 2
experts_per_group = 4
uplink_bandwidth = "512 GB/s"
"""
path = Path(tempfile.mkdtemp()) / "small-tree.toml"
path.write_text(text, encoding="utf-8")
for picture in (package, nop.load_topology(path)):
    plot.topology(picture)
