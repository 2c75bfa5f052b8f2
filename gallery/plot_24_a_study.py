"""
A study of trees and meshes
===========================

Many designs, one question: how fast is a uniform all-to-all, and what does the network cost? The sweep is
kept in a store; with a file in its place the next run computes nothing twice.
"""

from noptoolkit import plot
from noptoolkit.studies import Space, Store, best_points, difference, pareto_front, read_study, sweep_all

space = Space(
    {
        "builder": ["nop_tree", "mesh", "torus"],
        "params.groups": [2, 4, 8],
        "params.experts_per_group": [2, 4, 8],
        "params.rows": 4,
        "params.link_bandwidth": ["64 GB/s", "96 GB/s", "128 GB/s", "256 GB/s", "512 GB/s"],
        "params.uplink_bandwidth": ["128 GB/s", "512 GB/s"],
        "workload": "olmoe-1b-7b",
        "routing": "shortest",
    },
    where="params.groups * params.experts_per_group == 16",
)
store = Store(None)
sweep_all(space, ["uniform", "links", "total_bandwidth"], store=store)
study = read_study(store)
plot.front(pareto_front(study, ["uniform", "total_bandwidth"]))

# %%
# Every design as a line: darker lines are slower.

plot.parallel_coordinates(study, colour="uniform")

# %%
plot.scatter_matrix(study, names=["uniform", "links", "total_bandwidth"], colour="uniform")

# %%
# The best under a limit, and what changed between it and the cheapest: alone, last, and as shares.

best = best_points(study, "uniform", "total_bandwidth <= 6 TB/s")
print(best.table(5))
print(difference(best.row, best_points(study, "total_bandwidth").row, store=store).table())
