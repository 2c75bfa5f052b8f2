"""The latency-throughput curve beside scheduling every batch, and single steps on 64 chiplets.

    python benchmarks/bench_serving.py curve [--seed N]    every batch of a curve is scheduled as well
    python benchmarks/bench_serving.py steps               decode steps of DeepSeek-V3 on 64 chiplets

The context of each curve is drawn from the seed. A row of ``curve`` says how far the batches between those
that were scheduled are from their own schedules: ten drawn from the seed, and all of them. Seconds are of the
processor, layouts and compiled kernels counted apart.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from noptoolkit import topology
from noptoolkit.errors import NopWarning
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.serving import Server, serve
from noptoolkit.tables import text_table

CURVES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("mozart-nop-tree", "qwen3-30b-a3b", {}),
    ("mesh-4x4", "qwen3-30b-a3b", {}),
    ("mozart-nop-tree", "olmoe-1b-7b", {}),
    ("mozart-nop-tree", "qwen3-30b-a3b", {"experts": "used"}),
    ("mozart-nop-tree", "gpt-oss-20b", {"cache": "sequences"}),
    ("mesh-4x4", "qwen3-30b-a3b", {"hosts": "experts"}),
)
OTHERS = 10


def curves(seed: int) -> None:
    """Print a row for each curve."""
    rng = np.random.default_rng(seed)
    rows = []
    for package, model, options in CURVES:
        context = int(rng.integers(512, 4096))
        server = Server(load_topology(package), load_workload(model), options=options)
        server.decode(1, context)  # kernels
        begin = time.process_time()
        curve = serve(server, context=context, batch="2:256")
        middle = time.process_time()
        between = [point for point in curve.points if not point.scheduled]
        off = [abs(point.step / server.decode(point.batch, context).time - 1) for point in between]
        end = time.process_time()
        drawn = rng.choice(len(between), OTHERS, replace=False)
        each = (end - middle) / len(between)
        rows.append(
            [
                ", ".join([f"{model} on {package}", f"context {context}", *map("=".join, options.items())]),
                f"{len(curve.points)}",
                f"{len(curve.points) - len(between)}",
                f"{middle - begin:.1f}",
                f"{each * len(curve.points) / (middle - begin):.1f}",
                f"{100 * max(off[i] for i in drawn.tolist()):.2f} %",
                f"{100 * max(off):.2f} %",
            ]
        )
    head = [
        "curve",
        "batches",
        "scheduled",
        "CPU s",
        "all scheduled / curve",
        "10 others off",
        "all others off",
    ]
    print(text_table(head, rows))


def steps() -> None:
    """Print a row for each package of 64 chiplets: the first step with its routes, and others."""
    parts = {"memory": True, "flops": "74 TFLOP/s"}
    workload = load_workload("deepseek-v3")
    packages = [
        (topology.nop_tree(8, 8, attention=True, **parts), None, "on its own chiplet"),
        (topology.nop_tree(8, 8, attention=False, **parts), "all", "on all chiplets"),
        (topology.mesh(8, attention=False, **parts), "all", "on all chiplets"),
        (topology.torus(8, attention=False, **parts), "all", "on all chiplets"),
    ]
    small = topology.mesh(2, attention=False, **parts)
    Server(small, load_workload("stdlib-moe"), options={"hosts": "all"}).decode(4, 64)  # kernels
    rows = []
    for package, hosts, where in packages:
        server = Server(package, workload, options={"hosts": hosts})
        times = []
        for batch in (64, 96, 1, 256):
            begin = time.process_time()
            plan = server.plan(server.batch(batch, 4096))
            times.append(time.process_time() - begin)
        rows.append(
            [package.name, where, f"{len(plan.graph)}", f"{times[0]:.2f}", *(f"{t:.2f}" for t in times[1:])]
        )
    head = ["package", "attention", "tasks", "first step, batch 64", "batch 96", "batch 1", "batch 256"]
    print("decode steps of deepseek-v3, context 4096, CPU s")
    print(text_table(head, rows))


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["curve", "steps"])
    parser.add_argument("--seed", type=int, default=193)
    given = parser.parse_args()
    warnings.simplefilter("ignore", NopWarning)
    curves(given.seed) if given.what == "curve" else steps()


if __name__ == "__main__":
    main()
