"""
What if a link were faster
==========================

The price of a link is the slope of 1 / time at today's bandwidth. On a tree with near ties it forecasts
120 us for one upgrade of its busiest link and 80 us for another; both times 143 us are true, since the next
leaf takes over at .894 of the load. Bars are times solved again, the blue line is the range in which the
price holds.
"""

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch, plot

leaves = [Chiplet(f"e{i}", role="expert") for i in range(4)]
links = [Link("attn", "sw2", "1 TB/s"), *(Link("sw2", leaf.name, "96 GB/s") for leaf in leaves)]
tree = Package("near ties", [Chiplet("attn", role="attention"), Switch("sw2"), *leaves], links)
sent = [[0, 15.36e6, 13.73e6, 12.29e6, 10.75e6]] + [[0] * 5] * 4
flow = nop.congestion(tree, nop.traffic.from_matrix(tree, sent))

bandwidths = ("64 GB/s", "128 GB/s", "192 GB/s")
plot.upgrades([flow.upgrade("sw2->e0", to=bandwidth) for bandwidth in bandwidths])

# %%
# The same as a curve: in each range another resource limits, and 1 / time is linear in the bandwidth.

plot.bandwidth_curve(flow.over_bandwidth("sw2->e0", "48 GB/s", "192 GB/s"))

# %%
# What limits next, and what does it cost to remove it? The ladder of an 8 x 8 mesh: cut by cut, from the
# middle to the rim, each removed by the cheapest extra bandwidth.

mesh = nop.topology.mesh(8)
result = nop.congestion(mesh, nop.traffic.all_to_all(mesh, "1 MB")).ladder()
print(result.table())
plot.ladder(result)
