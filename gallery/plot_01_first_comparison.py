"""
A first comparison
==================

Three packages with the same 17 compute chiplets and HBM stacks. Which is best depends on the question: the
NoP-Tree is the fastest at dispatch and combine, for its switches copy tokens, and the slowest at a uniform
all-to-all. No routing (or no schedule) can be faster than the black tick; OLMoE's routing is synthetic.
"""

import noptoolkit as nop
from noptoolkit import plot

result = nop.compare(
    ["mozart-nop-tree", "mesh-4x4", "torus-4x4"],
    ["olmoe-1b-7b"],
    allocator="mozart",  # the paper's clustering; "auto" finds better layouts and takes longer
)
print(result)

# %%
# One panel for each metric, one bar for each package.

plot.comparison(result)

# %%
# Where the time of dispatch goes: the load on every channel, on one scale.

plot.loads([run.dispatch for run in result.runs])
