"""
From another tool
=================

A topology that another tool wrote is loaded like a preset. Here BookSim2's *anynet* has two rings of eight
routers joined by two channels of 8 cycles: those two carry half of all traffic and take 250 µs, whatever the
routing. The file says nothing of bandwidth, so 128 GB/s is assumed, and said.
"""

import tempfile
from pathlib import Path

import networkx as nx

import noptoolkit as nop
from noptoolkit import plot

lines = []
for router in range(16):
    ring, place = divmod(router, 8)
    lines.append(f"router {router} node {router} router {8 * ring + (place + 1) % 8} 4")
lines += ["router 0 router 8 8", "router 4 router 12 8"]
path = Path(tempfile.mkdtemp()) / "two-rings.anynet"
path.write_text("\n".join(lines) + "\n", encoding="utf-8")

rings = nop.formats.import_topology(path)
print(*rings.assumed, sep="\n")

# %%
# Any networkx graph is a package too, attributes that are fields of a node or a link included.

petersen = nop.Package.from_networkx(nx.petersen_graph(), bandwidth="128 GB/s")
flows = [nop.congestion(one, nop.traffic.all_to_all(one, "1 MB")) for one in (rings.package, petersen)]
print(*flows, sep="\n")
plot.loads(flows)
