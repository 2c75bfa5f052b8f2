"""A star of an attention chiplet and two expert chiplets, and decode steps of a small model on it."""

import numpy as np

from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation
from noptoolkit.workload import Batch, MoEModel, Workload

LAYOUT = Allocation(("e0", "e1"), [0, 0, 0, 0, 1, 1, 1, 1])


def star(sram=None) -> Package:
    nodes = [Switch("hub", replicates=True, reduces=True)]
    links = []
    for name in ("attn", "e0", "e1"):
        role = "attention" if name == "attn" else "expert"
        nodes.append(Chiplet(name, flops="1 TFLOP/s", role=role, sram=sram))
        nodes.append(Memory(f"m-{name}", bandwidth="1 GB/s", capacity="1 GB", serves=(name,)))
        links += [Link("hub", name, "1 GB/s"), Link(f"m-{name}", name, "1 GB/s", kind="memory")]
    return Package("star", nodes, links)


def workload(sequences=4, mode="decode", layers=3, micro_batches=1, **batch) -> Workload:
    model = MoEModel(
        "tiny", hidden=64, layers=layers, heads=2, kv_heads=1, head_dim=32, vocab=16, expert_width=96,
        experts=8, top_k=2, shared_experts=1, dense_layers=1, dense_width=128,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    ids = np.argsort(rng.random((2, 40, 8)) * np.linspace(0.2, 1.0, 8), axis=2)[:, :, :2]
    return Workload("tiny", model, Batch(sequences, 8, micro_batches, mode, **batch), RoutingTrace(ids, 8))
