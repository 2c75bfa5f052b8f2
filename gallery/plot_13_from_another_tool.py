"""
From another tool
=================

Any networkx graph is a package: attributes that are fields of a node or a link are taken over, and one
bandwidth for all links can be given.
"""

import networkx as nx

import noptoolkit as nop
from noptoolkit import plot

package = nop.Package.from_networkx(nx.petersen_graph(), bandwidth="64 GB/s")
flow = nop.congestion(package, nop.traffic.all_to_all(package, "1 MB"))
print(flow)
plot.load(flow)
