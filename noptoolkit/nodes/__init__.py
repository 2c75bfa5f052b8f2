"""Time and energy of one operation on one node of a package."""

from noptoolkit.nodes.energy import access_energy, compute_energy, link_energy
from noptoolkit.nodes.operations import (
    OPTIMISERS,
    Optimiser,
    Work,
    attention_work,
    dense_work,
    embedding_work,
    expert_work,
    head_work,
    kv_bytes_per_token,
    router_work,
    shared_work,
    step_flops,
    update_work,
)
from noptoolkit.nodes.timing import (
    Efficiency,
    RooflinePoint,
    array_flops,
    compute_time,
    memory_time,
    roofline,
)

__all__ = [
    "OPTIMISERS",
    "Efficiency",
    "Optimiser",
    "RooflinePoint",
    "Work",
    "access_energy",
    "array_flops",
    "attention_work",
    "compute_energy",
    "compute_time",
    "dense_work",
    "embedding_work",
    "expert_work",
    "head_work",
    "kv_bytes_per_token",
    "link_energy",
    "memory_time",
    "roofline",
    "router_work",
    "shared_work",
    "step_flops",
    "update_work",
]
