"""
Routing against the optimum
===========================

Matrix transposition is hard on X-then-Y routing: row and column of each pair meet in one corner, and it takes
three times as long as it need. Equal splitting over shortest paths takes a quarter longer than the optimal
routing, whose time is exact: a cut proves that none can be faster.
"""

import noptoolkit as nop
from noptoolkit import plot, topology

package = topology.mesh(4)
demand = nop.traffic.transpose(package, "16 MB")
flows = [nop.congestion(package, demand, routing=name) for name in ("dor", "ecmp", "optimal")]
for flow in flows:
    print(
        f"{flow.routing:8s} {flow.time * 1e6:6.1f} us, bound {flow.time_bound * 1e6:6.1f} us, {flow.status}"
    )

# %%
# The rings mark the channels that set the time.

plot.loads(flows)

# %%
# Why no routing is faster: all that leaves the tinted chiplets must cross the struck channels.

plot.load(flows[-1], cut=True)
