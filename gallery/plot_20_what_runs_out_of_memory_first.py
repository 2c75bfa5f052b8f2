"""
What runs out of memory first
=============================

Spread Llama3-8x70B over 256 GPUs of 80 GB, eight to a node. Each cut takes something else off a chiplet:
tensor parallelism cuts everything, expert parallelism the experts, a pipeline the layers but not the
micro-batches in flight, ZeRO what replicas hold twice.
"""

import noptoolkit as nop
from noptoolkit import ParallelPlan, plans, plot, topology

workload = nop.load_workload("llama3-8x70b")
rooms = list(plans.rooms_of(topology.dgx_h100(256)).values())


def memory(plan: ParallelPlan) -> plans.PlanMemory:
    checked = plans.check_plan(plan, workload.model, workload.batch, world=256)
    return plans.plan_memory(checked, workload.model, workload.batch, rooms=rooms)


# %%
# Without a pipeline, weights, gradients and the optimiser's state alone all but fill a GPU.

flat = memory(ParallelPlan(tp=8, ep=8, etp=8, micro_batches=8))
print(f"states {flat.worst.states / 1e9:.1f} GB; {flat.verdict}")
plot.plan_memory(flat)

# %%
# With eight stages states fit, and activations run over on the first stages: stage r of a 1F1B pipeline holds
# the activations of 8 - r micro-batches.

staged = memory(ParallelPlan(tp=8, ep=4, etp=8, pp=8))
print(staged.verdict)
plot.plan_memory(staged, title=str(staged.plan))

# %%
# Fewer layers on the first stages even that out; computing every forward again costs a third more arithmetic;
# folding (ETP1 for ETP8) no longer gathers the tokens of eight ranks on each.

for plan in (
    ParallelPlan(tp=8, ep=4, etp=8, pp=8, layers=(7, 8, 9, 10, 11, 11, 12, 12)),
    ParallelPlan(tp=8, ep=4, etp=8, pp=8, recompute="full"),
    ParallelPlan(tp=8, ep=8, pp=16, micro_batches=128),
):
    found = memory(plan)
    print(f"{plan}, {plan.recompute}: {found.verdict}")
plot.plan_memory(found, title=f"{found.plan}: folded, sixteen stages")
