"""The planner at scale: processor seconds to the best plan and its certificate; what a limit of time leaves.

Run from the checkout, for instance::

    python benchmarks/bench_plans.py             # 1,024 GPUs on two levels, 64 chiplets of any package
    python benchmarks/bench_plans.py limited     # 256 and 1,024 chiplets of a mesh under a limit of time

Times are processor seconds of this process, which a busy machine changes less than wall time, without numba's
one-off compilation. The goal for the first is 5 s. The second takes the time that it is given (60 s): it says
how long it took by the clock, what is certified, and how many plans stay undecided.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import noptoolkit as nop
from noptoolkit import Package, Workload
from noptoolkit.plans import best_plans
from noptoolkit.topology import dgx_h100, mesh, nop_tree, torus


def chiplets(*sides: int) -> Package:
    return mesh(*sides, attention=False, flops="74 TFLOP/s", memory=True, memory_capacity="2 TB")


def cases(limited: bool) -> Iterator[tuple[Package, Workload]]:
    """Yield packages, and what is planned on them."""
    large, small = (nop.load_workload(name) for name in ("mixtral-8x22b", "olmoe-1b-7b"))
    if limited:
        yield chiplets(16, 16), large
        yield chiplets(32, 32), large.replace(sequences=1024)
        return
    yield dgx_h100(1024), large.replace(sequences=1024)
    options = {"attention": False, "flops": "74 TFLOP/s", "memory": True, "memory_capacity": "64 GB"}
    for package in (nop_tree(8, 8, **options), mesh(8, 8, **options), torus(8, 8, **options)):
        yield package, small
    yield nop.load_topology("wafer-mesh-64"), large


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["certified", "limited"], default="certified")
    parser.add_argument("--time-limit", type=float, default=60.0)
    asked = parser.parse_args()
    best_plans(nop.load_workload("olmoe-1b-7b").replace(layers=2), mesh(2, 2, flops="74 TFLOP/s"))
    print(f"{'package':24s} {'model':16s} {'CPU s':>7s} {'wall s':>7s}  answer")
    for package, workload in cases(asked.what == "limited"):
        cpu, wall = time.process_time(), time.perf_counter()
        found = best_plans(workload, package, time_limit=asked.time_limit)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        left = f"; {found.undecided} plans undecided" if found.undecided else ""
        answer = f"{found.best[0].plan}: {found.certificate}{left}"
        print(f"{package.name:24s} {workload.name:16s} {cpu:7.2f} {wall:7.2f}  {answer}")


if __name__ == "__main__":
    main()
